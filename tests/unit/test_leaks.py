"""The search for leaks finds what is planted, in every place and form, and nothing else."""

from __future__ import annotations

import base64
import logging
import os
import subprocess
import sys
import tempfile
import threading
import traceback
import urllib.parse
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import quote

import asyncpg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymongo.errors import OperationFailure

from prismicx import Denied, InvalidInput, PrismicXError, Unavailable
from prismicx.credentials import Credentials, generate, scram_verifier
from prismicx.engines.context import ContextKey
from prismicx.engines.endpoints import Endpoint
from prismicx.keys import root
from prismicx.keys.client import Keys
from prismicx.keys.connection import Connection
from prismicx.keys.endpoint import KeyEndpoint
from prismicx.keys.wrapping import new_version
from prismicx.sealing import keyset
from prismicx.secret import MASK, Secret, without_frames
from prismicx.settings import Settings, load
from tests.leaks import PROOF, Hunt, Leaks, Processes, Records, current

SECRET = "Zq7-geheim_" + "x9" * 6


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """Apart from where this run's own leaks are looked for: here they are meant."""
    with tempfile.TemporaryDirectory(prefix="leaks-") as folder:
        yield Path(folder)


@pytest.fixture
def log() -> logging.Logger:
    """One whose records go nowhere else."""
    made = logging.getLogger("test.leaks")
    made.propagate = False
    return made


@pytest.fixture
def leaks(tmp_path: Path) -> Leaks:
    made = Leaks(tmp_path / "kept")
    made.plant(SECRET, "the planted one")
    return made


def places(leaks: Leaks, *folders: Path) -> set[str]:
    found = leaks.search(*folders)
    assert all(SECRET not in str(leak) for leak in found)
    return {leak.place for leak in found}


def test_a_run_that_leaks_nothing_is_clean(leaks: Leaks, tmp_path: Path) -> None:
    leaks.keep("errors", f"the password is {MASK}, not {SECRET[:-1]}")
    (tmp_path / "a.log").write_text("Zq7-geheim_ x9x9\n" * 1000)
    assert places(leaks, tmp_path) == set()


@pytest.mark.parametrize("name", ["log/mongo.log", "x.log", "core", "core.123", "users.csv", "users.jsonl", "out.svg"])
def test_a_leak_in_a_file_is_found(leaks: Leaks, tmp_path: Path, name: str) -> None:
    file = tmp_path / "data" / name
    file.parent.mkdir(parents=True)
    file.write_bytes(b"\0\xff...url=postgresql://u:" + SECRET.encode() + b"@h/x\n")
    assert places(leaks, tmp_path / "data") == {name}


def test_a_leak_in_the_log_of_a_data_directory_is_found_and_its_own_files_are_no_leak(
    leaks: Leaks, tmp_path: Path
) -> None:
    for name in ("postgres/base.log", "mongo/x.log", "log/postgres.log"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text(SECRET)
    (tmp_path / "format.json").write_text("{}")
    (tmp_path / "credentials.json").write_text(f'{{"postgres": {{"x": "{SECRET}"}}}}')
    assert places(leaks, tmp_path) == {"log/postgres.log"}


def test_what_a_credentials_file_holds_is_planted(tmp_path: Path) -> None:
    held = Credentials(tmp_path / "credentials-t1.json")
    held.put("mongo", "prismicx_tasks", generate())
    (tmp_path / "a.log").write_text(f"pwd={held.require('mongo', 'prismicx_tasks')}")
    (leak,) = Leaks(tmp_path / "kept").search(tmp_path)
    assert str(leak) == "the mongo password of prismicx_tasks, plain, in a.log"


@pytest.mark.parametrize("form", [bytes.hex, lambda key: base64.b64encode(b"x" + key).decode()])
def test_a_key_is_found_in_hex_and_in_base64(leaks: Leaks, tmp_path: Path, form: Callable[[bytes], str]) -> None:
    key = bytes(range(200, 232))
    leaks.plant(key, "a wrapping key")
    (tmp_path / "a.log").write_text(f"key={form(key)}")
    assert {leak.secret for leak in leaks.search(tmp_path)} == {"a wrapping key"}


def test_what_a_file_of_a_root_key_holds_is_planted(tmp_path: Path) -> None:
    root.make_file(tmp_path / "root.key")
    (tmp_path / "a.log").write_text(f"opened by {(tmp_path / 'root.key').read_text()}")
    found = Leaks(tmp_path / "kept").search(tmp_path)
    assert {(leak.secret, leak.place) for leak in found} == {("a root key", "a.log")}


def test_keys_and_proofs_are_planted_where_they_are_made(monkeypatch: pytest.MonkeyPatch) -> None:
    planted: dict[str | bytes, str] = {}
    monkeypatch.setattr(current(), "plant", lambda secret, what: planted.update({secret: what}))
    made = keyset.generate("acme", "users")
    proof = ContextKey("a secret").proof("acme", 1)
    version = new_version(0.0)
    assert planted[proof] == PROOF
    assert planted[version.material] == "a root key, a key of a store or a wrapping key"
    assert {what for what in planted.values() if "keyset" in what} == {"a key of a keyset of class users"}
    assert not any(secret == made.plain for secret in planted)


def test_a_proof_may_stand_in_the_servers_own_log_and_nowhere_else(tmp_path: Path) -> None:
    kept = Leaks(tmp_path / "kept")
    kept.plant("0123456789abcdef" * 4, PROOF)
    for name in ("postgres.log", "other.log"):
        (tmp_path / name).write_text("SET LOCAL app.tenant_proof = '" + "0123456789abcdef" * 4 + "'")
    assert places(kept, tmp_path) == {"other.log"}


def test_a_leak_in_a_log_record_or_its_error_is_found(leaks: Leaks, log: logging.Logger) -> None:
    handler = Records(leaks)
    log.addHandler(handler)
    log.warning("connecting with %s", SECRET)
    log.removeHandler(handler)
    assert places(leaks) == {"log-records"}


def test_a_leak_in_the_error_of_a_log_record_is_found(leaks: Leaks, log: logging.Logger) -> None:
    handler = Records(leaks)
    log.addHandler(handler)
    try:
        raise ValueError(f"bad {SECRET}")
    except ValueError:
        log.exception("something failed")
    log.removeHandler(handler)
    assert places(leaks) == {"log-records"}


@pytest.mark.parametrize("where", ["cmdline", "environ"])
def test_a_leak_in_a_process_is_found_while_it_runs(leaks: Leaks, where: str) -> None:
    word = SECRET if where == "cmdline" else "x"
    environ = {**os.environ, "PLANTED": f"url=mongodb://u:{SECRET}@h"} if where == "environ" else None
    child = subprocess.Popen([sys.executable, "-c", "input()", word], stdin=subprocess.PIPE, env=environ)
    try:
        Processes(leaks).look()
    finally:
        child.communicate(b"\n")
    assert places(leaks) == {where}


def test_what_a_killed_process_dumps_is_searched(leaks: Leaks, tmp_path: Path) -> None:
    program = "import os, sys, faulthandler; faulthandler.enable(); secret = sys.stdin.read(); os.abort()"
    with (tmp_path / "crash.log").open("wb") as out:
        subprocess.run([sys.executable, "-c", program], input=SECRET.encode(), stderr=out, check=False, cwd=tmp_path)
    assert b"Fatal Python error: Aborted" in (tmp_path / "crash.log").read_bytes()
    assert places(leaks, tmp_path) == set()
    with (tmp_path / "crash.log").open("a") as out:
        out.write(f"rbx = {SECRET}")
    assert places(leaks, tmp_path) == {"crash.log"}


@given(st.text(min_size=12, max_size=40), st.binary(max_size=7), st.binary(max_size=7))
def test_every_form_is_found_wherever_it_stands(secret: str, before: bytes, after: bytes) -> None:
    try:
        raw = secret.encode()
    except UnicodeEncodeError:
        return
    hunt = Hunt([(secret, "it")])
    for text in (
        raw, urllib.parse.quote(secret, safe="").encode(), raw.hex().encode(), raw.hex().upper().encode(),
        base64.b64encode(before + raw + after), base64.urlsafe_b64encode(before + raw + after),
    ):  # fmt: skip
        assert hunt.within(b"x: '" + text + b"'\n", "there"), text


@given(st.binary(max_size=400))
def test_nothing_is_found_where_nothing_is(noise: bytes) -> None:
    assert Hunt([(SECRET, "it")]).within(noise, "there") == []


def test_many_secrets_in_much_text_are_looked_for_in_a_moment(tmp_path: Path) -> None:
    many = Leaks(tmp_path / "kept")
    for number in range(2_000):
        many.plant(generate(), f"number {number}")
    line = "2026-01-01 00:00:00.000 UTC [1] ERROR:  permission denied for table audit_events_append_only {}\n"
    (tmp_path / "a.log").write_text("".join(line.format(generate()) for _ in range(20_000)))
    assert many.search(tmp_path) == []


# --- What is shown of settings, logins and errors ----------------------------------------------------------


def told(error: BaseException) -> str:
    """A report of an error, with all local variables, as crash reporters make them."""
    report = traceback.TracebackException.from_exception(error, capture_locals=True)
    return "".join(report.format())


def test_settings_logins_and_urls_show_no_password(tmp_path: Path) -> None:
    settings = Settings(postgres_url=f"postgresql://a:{SECRET}@h/x", mongo_url=f"mongodb://a:{SECRET}@h/")
    endpoint = Endpoint(settings.postgres_url, "url")
    held = Credentials(tmp_path / "credentials.json")
    held.put("postgres", "x", Secret(SECRET))
    held.reload()
    loaded = load({"postgres_url": f"postgresql://a:{SECRET}@h/x"}, environ={})
    for shown in (
        settings, loaded, endpoint, endpoint.postgres("d", "u", SECRET), held.require("postgres", "x"), vars(held),
        endpoint.mongo("d", "u", SECRET), generate(),
    ):  # fmt: skip
        assert not Hunt([(SECRET, "it")]).within(repr(shown).encode(), "repr"), shown
        assert MASK in repr(shown)
    assert endpoint.postgres("d", "u", SECRET) == f"postgresql://u:{SECRET}@h/d"
    assert repr(Settings().postgres_url) == "''"


@pytest.mark.parametrize("sign", ["/", "?", "#", "@", "/x@", ":", "[", "]"])
@pytest.mark.parametrize("setting", ["postgres_url", "mongo_url"])
def test_a_password_with_a_sign_in_the_wrong_place_is_refused_and_not_shown(setting: str, sign: str) -> None:
    scheme = "postgresql" if setting == "postgres_url" else "mongodb"
    password = f"{SECRET}{sign}{SECRET}"
    right = load({setting: f"{scheme}://a:{quote(password, safe='')}@host/x"}, environ={}).settings
    assert SECRET not in repr(right)
    try:
        Settings(**{setting: f"{scheme}://a:{password}@host/x"})
    except InvalidInput as error:
        assert error.code == "settings.invalid"
        assert SECRET not in told(_from(error, "_check_url"))
    else:
        assert sign == ":"  # which a password may hold


async def test_errors_of_logins_show_no_password_not_even_with_local_variables(servers: Settings) -> None:
    from prismicx.engines import mongo, postgres
    from prismicx.engines.endpoints import locate

    endpoints = locate(servers)
    attempts = [
        (postgres.connect, endpoints.postgres.postgres("postgres", "nobody", SECRET)),
        (mongo.connect, endpoints.mongo.mongo("admin", "nobody", SECRET)),
        (postgres.connect, f"postgresql://nobody:{SECRET}@127.0.0.1:1/x"),
    ]
    for connect, url in attempts:
        with pytest.raises(Exception, match=r"\[(postgres|mongo)\.\w+\]") as caught:
            await _connected(connect, Secret(url), 2.0)
        report = told(_from(caught.value, "_connected"))
        assert "connect" in report
        assert not Hunt([(SECRET, "it")]).within(report.encode(), "report"), report.replace(SECRET, "<SECRET>")


class _Refusing(BaseHTTPRequestHandler):
    """A key service that refuses all."""

    def do_POST(self) -> None:
        self.send_error(403)

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.mark.parametrize(
    ("scheme", "authority", "code"),
    [
        ("http", "", "keys.denied"),
        ("https", "", "keys.certificate"),
        ("https", "/nowhere/ca.pem", "keys.certificate"),
        ("down", "", "keys.unavailable"),
    ],
)
def test_errors_of_the_key_client_show_neither_token_nor_keyset(scheme: str, authority: str, code: str) -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Refusing)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = "http://127.0.0.1:1" if scheme == "down" else f"{scheme}://127.0.0.1:{server.server_port}"
    connection = Connection(KeyEndpoint(url, token=SECRET, authority=authority), 2.0)
    keyset = base64.b64encode(SECRET.encode()).decode()
    try:
        with pytest.raises(PrismicXError) as caught:
            _asked(connection, {"plaintext": Secret(keyset)})
    finally:
        connection.close()
        server.shutdown()
        server.server_close()
    assert caught.value.code == code
    report = told(_from(caught.value, "_asked"))
    assert "_translated" in report
    assert not Hunt([(SECRET, "it")]).within(report.encode(), "report"), report.replace(SECRET, "<SECRET>")


async def test_errors_of_sealing_show_not_what_was_to_be_sealed() -> None:
    async def sealed(many: bool) -> None:
        keys = Keys(KeyEndpoint("http://127.0.0.1:1", token=SECRET), 2.0)
        try:
            if many:
                await keys.encrypt_many("x", [(SECRET.encode(), b"acme")])
            await keys.encrypt("x", SECRET.encode(), b"acme")
        finally:
            keys.close()

    for many in (True, False):
        with pytest.raises(Unavailable) as caught:
            await sealed(many)
        report = told(_from(caught.value, "sealed"))
        assert "plaintext" in report
        assert not Hunt([(SECRET, "it")]).within(report.encode(), "report"), report.replace(SECRET, "<SECRET>")


def _asked(connection: Connection, body: dict[str, str]) -> None:
    connection.ask("post", "/v1/transit/encrypt/x", body, False, True)


async def _connected(connect: object, url: Secret, seconds: float) -> None:
    async with connect(url, seconds):  # type: ignore[operator]
        raise AssertionError


def _from(error: BaseException, function: str) -> BaseException:
    """The error without the frames above a function: those of the tests hold the planted secret."""
    frame = error.__traceback__
    while frame is not None and frame.tb_frame.f_code.co_name != function:
        frame = frame.tb_next
    return error.with_traceback(frame)


def test_the_errors_that_led_to_an_error_lose_their_frames_and_keep_their_words() -> None:
    def driver(password: str) -> None:
        try:
            raise OSError(f"refused {len(password)}")
        except OSError as error:
            raise OperationFailure("no login") from error

    try:
        try:
            driver(SECRET)
        except OperationFailure as error:
            raise Denied("mongo.login_refused", "refused") from without_frames(error)
    except Denied as error:
        report = told(error)
    assert "refused 23" in report
    assert "no login" in report
    assert f"password = '{SECRET}'" not in report


@given(st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1))
def test_a_verifier_is_of_its_password_and_does_not_tell_it(password: str) -> None:
    text = scram_verifier(password, b"0123456789abcdef")
    assert text == scram_verifier(password, b"0123456789abcdef") != scram_verifier(password)
    assert text != scram_verifier(password + "x", b"0123456789abcdef")
    assert text.startswith("SCRAM-SHA-256$4096:MDEyMzQ1Njc4OWFiY2RlZg==$")


def test_a_verifier_is_that_of_the_rfc() -> None:
    """RFC 7677: user ``user``, password ``pencil``, 4096 rounds."""
    import hashlib
    import hmac

    salt = base64.b64decode("W22ZaJ0SNY7soEsUEjb6gQ==")
    stored, server = (base64.b64decode(part) for part in scram_verifier("pencil", salt).split("$")[2].split(":"))
    message = (
        b"n=user,r=rOprNGfwEbeRWgbNEkqO,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
        b"s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
    )
    proof = base64.b64decode("dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=")
    client_key = bytes(a ^ b for a, b in zip(proof, hmac.digest(stored, message, "sha256"), strict=True))
    assert hashlib.sha256(client_key).digest() == stored
    signature = base64.b64encode(hmac.digest(server, message, "sha256"))
    assert signature == b"6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="


async def test_postgresql_takes_a_verifier_for_the_password(servers: Settings) -> None:
    from prismicx.engines import postgres
    from prismicx.engines.endpoints import locate

    endpoint = locate(servers).postgres
    password = generate()
    async with postgres.connect(endpoint.url, 10) as admin:
        await admin.execute(f"CREATE ROLE verified LOGIN PASSWORD '{scram_verifier(password)}'")
        try:
            connection = await asyncpg.connect(endpoint.postgres("postgres", "verified", password))
            assert await connection.fetchval("SELECT current_user") == "verified"
            await connection.close()
        finally:
            await admin.execute("DROP ROLE verified")
