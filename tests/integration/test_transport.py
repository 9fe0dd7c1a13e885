"""TLS to both engines: what is refused, with the reason, and the whole path with verify-full.

PostgreSQL has TLS by a server in front of the embedded one, which is built without it, and by itself where a
distribution's is installed. Off loopback is another address of this machine.
"""

from __future__ import annotations

import asyncio
import gc
import json
import secrets
import shutil
import ssl
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from prismicx import doctor
from prismicx.engines import mongo, postgres
from prismicx.engines.endpoints import Endpoint, Endpoints, locate, locate_keys
from prismicx.engines.transport import Transport
from prismicx.errors import Denied, Unavailable
from prismicx.isolation.scratch import drop_namespace
from prismicx.isolation.transport import attack_connections
from prismicx.isolation.values import Tally
from prismicx.platform import open_platform
from prismicx.settings import Settings, load
from tests.support import fill, insight, task
from tests.transport import (
    Authority,
    Front,
    Running,
    debian_postgres,
    make_authority,
    mongo_everywhere,
    own_address,
    pgbouncer,
)

COMMAND = Path(sys.executable).parent / "prismicx"
PROGRAMS = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
PGBOUNCER = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")
ENGINES = ("postgres", "mongo")

# Of bare sockets only, which of the two drivers is MongoDB's alone; a connection of the other one is told by its class.
pytestmark = pytest.mark.filterwarnings(
    r"ignore:Exception ignored in. <(ssl\.SSLSocket|socket\.socket):pytest.PytestUnraisableExceptionWarning"
)


@pytest.fixture(autouse=True)
def left_sockets() -> Iterator[None]:
    """MongoDB's driver leaves sockets of handshakes that were cut to the collector, which warns: here, not later."""
    yield
    gc.collect()


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return make_authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def away() -> str:
    """An address of this machine that is not loopback."""
    address = own_address()
    if address is None:
        pytest.skip("this machine has loopback only")
    return address


@pytest.fixture(scope="module")
def plain(servers: Settings) -> Endpoints:
    """The servers without TLS, on loopback."""
    return locate(servers)


def front(engine: str, plain: Endpoints, certificate: Path | None, **options: Any) -> Front:
    behind = urlsplit(getattr(plain, engine).url).port
    assert behind is not None
    return Front(behind, certificate, postgres=engine == "postgres", **options)


def through(
    engine: str, plain: Endpoints, port: int, host: str, authority: Authority | None, asked: bool = True
) -> str:
    """The URL of an engine by way of a front, as the settings make it."""
    parts = urlsplit(getattr(plain, engine).url)
    said = {"postgres": "sslmode=verify-full", "mongo": "tls=true"}[engine] if asked else ""
    query = "&".join(filter(None, [parts.query, said]))
    url = parts._replace(netloc=f"{parts.username}:{parts.password}@{host}:{port}", query=query).geturl()
    transport = Transport(ca=str(authority.ca) if authority else "")
    return transport.postgres(url) if engine == "postgres" else transport.mongo(url)


async def answer(engine: str, url: str, timeout: float = 10.0) -> int:
    """One word with the server."""
    if engine == "postgres":
        async with postgres.connect(url, timeout) as connection:
            return int(await connection.fetchval("SELECT 1"))
    async with mongo.connect(url, timeout) as client:
        return int((await client.admin.command("ping"))["ok"])


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
async def test_verify_full_connects(engine: str, host: str, plain: Endpoints, authority: Authority) -> None:
    with front(engine, plain, authority.good) as server:
        assert await answer(engine, through(engine, plain, server.port, host, authority)) == 1
        assert server.plain == b""


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("certificate", "host", "reason", "remedy"),
    [
        ("wrong_host", "localhost", "for another name", "name that its certificate has"),
        ("named", "127.0.0.1", "for another name", "name that its certificate has"),
        ("expired", "localhost", "has expired", "a new one"),
        ("foreign", "localhost", "not by an authority that is trusted", "tls_ca"),
    ],
)
async def test_a_certificate_that_is_not_good_is_refused_with_the_reason(
    engine: str, certificate: str, host: str, reason: str, remedy: str, plain: Endpoints, authority: Authority
) -> None:
    with front(engine, plain, getattr(authority, certificate)) as server:
        with pytest.raises(Unavailable) as caught:
            await answer(engine, through(engine, plain, server.port, host, authority))
        assert caught.value.code == f"{engine}.tls_refused"
        assert reason in caught.value.message
        assert remedy in caught.value.remedy


@pytest.mark.parametrize("engine", ENGINES)
async def test_an_authority_that_nobody_named_is_not_trusted(
    engine: str, plain: Endpoints, authority: Authority
) -> None:
    with front(engine, plain, authority.good) as server:
        with pytest.raises(Unavailable) as caught:
            await answer(engine, through(engine, plain, server.port, "localhost", None))
        assert caught.value.code == f"{engine}.tls_refused"


@pytest.mark.parametrize("engine", ENGINES)
async def test_a_server_without_tls_gets_no_word_of_ours(engine: str, plain: Endpoints, authority: Authority) -> None:
    """Also when it answers PostgreSQL's question for TLS with N, as whoever is in between would."""
    with front(engine, plain, None) as server:
        with pytest.raises(Unavailable) as caught:
            await answer(engine, through(engine, plain, server.port, "localhost", authority), 1.5)
        assert caught.value.code == f"{engine}.tls_refused"
        assert "no TLS" in caught.value.message
        login = urlsplit(getattr(plain, engine).url).username or ""
        assert login.encode() not in server.plain
        assert b"saslStart" not in server.plain


@pytest.mark.parametrize("engine", ENGINES)
async def test_off_loopback_a_silent_url_means_tls_even_if_it_never_met_the_rule(
    engine: str, away: str, plain: Endpoints, authority: Authority
) -> None:
    with front(engine, plain, None, host=away) as server:
        silent = through(engine, plain, server.port, away, None, asked=False).replace("sslmode=verify-full", "")
        silent = silent.replace("tls=true", "").rstrip("?&")
        with pytest.raises(Unavailable) as caught:
            await answer(engine, silent, 1.5)
        assert caught.value.code == f"{engine}.tls_refused"
        assert (urlsplit(silent).username or "").encode() not in server.plain
    with front(engine, plain, authority.good, host=away) as server:
        assert await answer(engine, through(engine, plain, server.port, away, authority, asked=False)) == 1


@pytest.mark.parametrize("engine", ENGINES)
async def test_tls_before_1_2_is_refused(engine: str, plain: Endpoints, authority: Authority) -> None:
    with front(engine, plain, authority.good, newest=ssl.TLSVersion.TLSv1_1) as server:
        with pytest.raises(Unavailable) as caught:
            await answer(engine, through(engine, plain, server.port, "localhost", authority), 3.0)
        assert caught.value.code == f"{engine}.tls_refused"
        assert "1.2" in caught.value.message + caught.value.remedy


@pytest.mark.parametrize("engine", ENGINES)
async def test_a_clients_certificate_is_shown_to_a_server_that_wants_one(
    engine: str, plain: Endpoints, authority: Authority
) -> None:
    option = {"postgres": "sslcert", "mongo": "tlsCertificateKeyFile"}[engine]
    with front(engine, plain, authority.good, clients_of=authority.ca) as server:
        url = through(engine, plain, server.port, "localhost", authority)
        assert await answer(engine, f"{url}&{option}={authority.client}") == 1
        with pytest.raises(Unavailable) as caught:
            await answer(engine, url, 2.0)
        assert "tls_cert" in caught.value.remedy


async def test_a_member_off_loopback_is_asked_nothing_without_tls(tmp_path: Path) -> None:
    """A replica set tells the driver where its members are: this one listens everywhere, and calls itself 0.0.0.0."""
    with mongo_everywhere(tmp_path, None) as server:
        assert await answer("mongo", server.at("127.0.0.1")) == 1
        with pytest.raises(Unavailable) as caught:
            await answer("mongo", server.at("127.0.0.1").replace("directConnection=true", "w=1"), 2.0)
        assert caught.value.code == "mongo.tls_refused"
        assert "0.0.0.0" in caught.value.message
        assert "directConnection" in caught.value.remedy


# --- the whole path ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def mongo_server(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> Iterator[Running]:
    with mongo_everywhere(tmp_path_factory.mktemp("mongo"), authority.good) as server:
        yield server


@pytest.fixture(scope="module", params=["a server in front", "a distribution's"])
def postgres_server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, authority: Authority, plain: Endpoints
) -> Iterator[Running]:
    if request.param == "a distribution's":
        if not PROGRAMS:
            pytest.skip("no PostgreSQL of a distribution is installed under /usr/lib/postgresql")
        with debian_postgres(PROGRAMS[-1].parent, tmp_path_factory.mktemp("postgres"), authority.good) as server:
            yield server
        return
    with front("postgres", plain, authority.good, host="0.0.0.0") as made:
        parts = urlsplit(plain.postgres.url)
        yield Running(f"postgresql://{parts.username}:{parts.password}@HOST:{made.port}/postgres")


async def run(folder: Path, *words: str, check: int | None = 0) -> str:
    """The command, in another process."""
    done = await asyncio.to_thread(
        subprocess.run, [COMMAND, *words, "--config", folder / "prismicx.toml"],
        capture_output=True, text=True, timeout=120, cwd=folder, check=False,
    )  # fmt: skip
    assert check is None or done.returncode == check, f"{words}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout or done.stderr


async def test_the_whole_path_with_verify_full(
    servers: Settings, postgres_server: Running, mongo_server: Running, authority: Authority, tmp_path: Path
) -> None:
    """By the command line, off loopback where this machine has an address there, else by the URL's own words."""
    host = own_address()
    asked = {"postgres": "", "mongo": ""} if host else {"postgres": "sslmode=verify-full", "mongo": "tls=true"}
    namespace = f"tls{secrets.token_hex(3)}"
    keys = locate_keys(servers)
    set_in_file = {
        "data": "data",
        "namespace": namespace,
        "postgres_url": postgres_server.at(host or "localhost", asked["postgres"]),
        "mongo_url": mongo_server.at(host or "localhost", asked["mongo"]),
        "tls_ca": str(authority.ca),
        "key_url": keys.url,
        "key_token": keys.token,
        "key_admin_token": keys.admin_token,
    }
    file = tmp_path / "prismicx.toml"
    file.write_text("".join(f"{name} = {json.dumps(value)}\n" for name, value in set_in_file.items()))
    settings = load({}, {}, file).settings
    try:
        await run(tmp_path, "db", "apply")
        await run(tmp_path, "tenant", "create", "ann", "--name", "Ann")
        await run(tmp_path, "tenant", "create", "bob", "--name", "Bob", "--isolation", "shared")
        await run(tmp_path, "db", "verify")
        async with open_platform(settings) as px:
            for tenant_id in ("ann", "bob"):
                async with px.tenant(tenant_id) as tenant:
                    user, _ = await fill(tenant)
                    await (await tenant.collection("user_insights")).insert_one(insight(str(user)))
                    await (await tenant.collection("tasks")).insert_one(task())
                    async with tenant.sql("system_users") as sql:
                        assert await sql.fetchval("SELECT count(*) FROM user_data.users") == 1
                    assert await (await tenant.collection("user_insights")).count_documents({}) == 1
                    assert await (await tenant.collection("tasks")).count_documents({}) == 1
            strings = [await px._connection_string(await px._registry.entry(name)) for name in ("ann", "bob")]
        for string in strings:
            assert "tls=true" in string
            assert "pem" not in string
        found = json.loads(await run(tmp_path, "doctor", "--json"))
        for engine in ENGINES:
            words = found["state"][engine]["transport"]
            assert words.startswith("TLSv1.3, TLS_")
            assert f"certificate and name verified by {authority.ca}" in words
            assert "ends 2051-02-03" in words
        assert found["problems"] == []
        await self_check_of_refusals(settings, set_in_file, tmp_path)
    finally:
        await drop_namespace(settings)


async def self_check_of_refusals(settings: Settings, set_in_file: dict[str, str], folder: Path) -> None:
    """The same platform by a URL that asks for less, and with an authority that signed nothing."""
    other = make_authority(folder)
    error = await code_of(folder, {**set_in_file, "tls_ca": str(other.ca)}, "tenant", "list")
    assert error["code"] == "mongo.tls_refused"
    assert "not by an authority that is trusted" in error["message"]
    error = await code_of(folder, {**set_in_file, "tls_ca": str(folder / "nowhere.pem")}, "db", "apply")
    assert error["code"] == "transport.file_unusable"
    if own_address() is None:
        return
    weaker = f"{set_in_file['postgres_url']}?sslmode=require"
    error = await code_of(folder, {**set_in_file, "postgres_url": weaker}, "db", "apply", expected=2)
    assert error["code"] == "transport.insecure"
    assert "postgres_url asks for require" in error["message"]


async def code_of(folder: Path, values: dict[str, str], *words: str, expected: int | None = None) -> dict[str, str]:
    place = folder / secrets.token_hex(4)
    place.mkdir()
    (place / "prismicx.toml").write_text(
        "".join(f"{name} = {json.dumps(value)}\n" for name, value in {**values, "data": str(folder / "data")}.items())
    )
    done = await run(place, *words, "--json", check=expected)
    return dict(json.loads(done.strip().splitlines()[-1])["error"])


@pytest.mark.skipif(PGBOUNCER is None, reason="PgBouncer is not installed")
async def test_pgbouncer_is_a_server_like_any_other(plain: Endpoints, authority: Authority) -> None:
    assert PGBOUNCER is not None
    with (
        tempfile.TemporaryDirectory() as folder,
        pgbouncer(PGBOUNCER, Path(folder), authority.good, plain.postgres.url) as server,
    ):
        host = own_address() or "localhost"
        url = Transport(ca=str(authority.ca)).postgres(server.at(host, "sslmode=verify-full"))
        assert await answer("postgres", url) == 1
        with pytest.raises(Unavailable) as caught:
            await answer("postgres", server.at(host, "sslmode=verify-full"))
        assert caught.value.code == "postgres.tls_refused"


@pytest.mark.parametrize("postgres_server", ["a distribution's"], indirect=True)
async def test_a_server_that_takes_tls_only_says_so_on_loopback(postgres_server: Running) -> None:
    with pytest.raises(Denied) as caught:
        await answer("postgres", postgres_server.at("127.0.0.1"))
    assert caught.value.code == "postgres.login_refused"
    assert "sslmode=verify-full" in caught.value.remedy


async def test_the_lowered_rule_is_shouted_about(away: str, plain: Endpoints, tmp_path: Path) -> None:
    with front("postgres", plain, None, host=away) as one, front("mongo", plain, None, host=away) as other:
        parts = {engine: urlsplit(getattr(plain, engine).url) for engine in ENGINES}
        ports = {"postgres": one.port, "mongo": other.port}
        urls = {
            f"{engine}_url": part._replace(netloc=f"{part.username}:{part.password}@{away}:{ports[engine]}").geturl()
            for engine, part in parts.items()
        }
        loaded = load({"data": tmp_path, "transport": "insecure", **urls}, {})
        found = await doctor.examine(loaded)
        weak = [problem for problem in found.problems if problem["code"] == "transport.weak"]
        assert [name in problem["problem"] for name, problem in zip(("PostgreSQL", "MongoDB"), weak, strict=True)]
        assert found.state is not None
        assert found.state.postgres.transport == f"plaintext to {away}"
        assert found.state.mongo.transport == f"plaintext to {away}"
        assert found.state.postgres.version
        assert found.state.mongo.version


async def test_on_loopback_doctor_says_plaintext(servers: Settings) -> None:
    found = await doctor.state(servers)
    assert found.postgres.transport == found.mongo.transport == "plaintext, on this machine only"
    assert found.postgres.weakness is None


async def test_isolation_verify_tries_to_connect_without_tls_and_by_another_authority(
    authority: Authority, plain: Endpoints
) -> None:
    with front("postgres", plain, authority.good) as first, front("mongo", plain, authority.good) as second:
        urls = []
        for url, port, options in (
            (plain.postgres.url, first.port, f"sslmode=verify-full&sslrootcert={authority.ca}"),
            (plain.mongo.url, second.port, f"directConnection=true&tls=true&tlsCAFile={authority.ca}"),
        ):
            parts = urlsplit(url)
            there = parts.netloc.replace(f":{parts.port}", f":{port}")
            urls.append(Endpoint(parts._replace(netloc=there, query=options).geturl(), "url"))
        tally = Tally()
        await attack_connections(Settings(connect_timeout=5.0), Endpoints(*urls), tally)
    assert {(target, operation) for _, _, target, operation in tally.attempts} == {
        (engine, operation)
        for engine in ("PostgreSQL", "MongoDB")
        for operation in ("connect", "show a certificate of another authority", "connect without TLS")
    }
    # The front of PostgreSQL lets those through who do not ask for TLS, as a server with `host` lines does.
    assert [(item.target, item.operation) for item in tally.breaches] == [("PostgreSQL", "connect without TLS")]
    assert tally.untried == {}
