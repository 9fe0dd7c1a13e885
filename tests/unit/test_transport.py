"""The rule of transport: off loopback nothing less than verify-full, whatever the URL looks like."""

from __future__ import annotations

import ssl
from pathlib import Path
from urllib.parse import parse_qsl, quote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prismicx.engines import handshake
from prismicx.engines.endpoints import Endpoint, locate_pooler
from prismicx.engines.transport import LEVELS, Transport, like, of_mongo, of_postgres, portable, weakness
from prismicx.errors import InvalidInput, PrismicXError, Unavailable
from prismicx.settings import MASK, Settings, load, mask_url

STRICT = Transport()

LOCAL = ["localhost", "LocalHost:5433", "127.0.0.1", "127.8.9.10:1", "[::1]", "[::1]:27018"]
REMOTE = [
    "db.internal", "db.internal:5433", "10.0.0.1", "[fd00::2]:5432", "127.0.0.1.example", "localhost.example",
    "0.0.0.0", "[::ffff:127.0.0.1]", "127.1", "example", "[::]", "localhost.",
]  # fmt: skip
local, remote = st.sampled_from(LOCAL), st.sampled_from(REMOTE)
several = st.tuples(st.lists(local, max_size=2), remote, st.lists(st.sampled_from(LOCAL + REMOTE), max_size=2)).map(
    lambda drawn: ",".join([*drawn[0], drawn[1], *drawn[2]])
)
login = st.sampled_from(["", "ada@", "ada:word@", f"ada:{quote('p@s,s/w#?rd', safe='')}@"])

WEAK_MONGO = ["tls=false", "ssl=false", "tls=true&tlsInsecure=true", "tls=true&tlsAllowInvalidCertificates=true",
              "tls=true&TLSALLOWINVALIDHOSTNAMES=true", "tlsInsecure=true", "TLS=False", "tls=true&ssl=false", "tls=",
              "tls=true&tls=false", "tls=0", "tls=true&tlsInsecure=yes"]  # fmt: skip


def options(url: str) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(url).query))


@given(login, several)
def test_a_silent_url_off_loopback_gets_verify_full(login: str, hosts: str) -> None:
    url = STRICT.postgres(f"postgresql://{login}{hosts}/db")
    assert options(url) == {"sslmode": "verify-full"}
    made = handshake.for_postgres(of_postgres(url))
    assert made.check_hostname
    assert made.verify_mode is ssl.CERT_REQUIRED
    assert made.minimum_version >= ssl.TLSVersion.TLSv1_2
    url = STRICT.mongo(f"mongodb://{login}{hosts}/")
    assert options(url) == {"tls": "true"}
    assert of_mongo(url).level == "verify-full"


@given(login, several)
def test_a_url_that_never_met_the_rule_gets_verify_full_too(login: str, hosts: str) -> None:
    assert of_postgres(f"postgresql://{login}{hosts}/db").level == "verify-full"
    assert of_mongo(f"mongodb://{login}{hosts}/db").level == "verify-full"


@given(login, several, st.sampled_from(LEVELS[:-1]))
def test_a_postgres_url_that_asks_for_less_is_refused(login: str, hosts: str, level: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        STRICT.postgres(f"postgresql://{login}{hosts}/db?sslmode={level}")
    assert caught.value.code == "transport.insecure"
    assert level in caught.value.message
    assert "postgres_url" in caught.value.message
    assert "tls_ca" in caught.value.remedy
    assert "word" not in str(caught.value)


@given(login, several, st.sampled_from(WEAK_MONGO))
def test_a_mongo_url_that_asks_for_less_is_refused(login: str, hosts: str, asked: str) -> None:
    for scheme in ("mongodb", "mongodb+srv"):
        with pytest.raises(InvalidInput) as caught:
            STRICT.mongo(f"{scheme}://{login}{hosts}/?{asked}")
        assert caught.value.code == "transport.insecure"


@given(login, st.lists(local, min_size=1, max_size=3).map(",".join))
def test_loopback_gets_what_it_asks_for_and_plaintext_if_silent(login: str, hosts: str) -> None:
    plain = f"postgresql://{login}{hosts}/db?application_name=x"
    assert STRICT.postgres(plain) == plain
    assert handshake.for_postgres(of_postgres(plain)) is False
    for level in LEVELS:
        assert of_postgres(STRICT.postgres(f"{plain}&sslmode={level}")).level == level
    plain = f"mongodb://{login}{hosts}/?authSource=admin"
    assert STRICT.mongo(plain) == plain
    assert not of_mongo(plain).encrypted
    assert of_mongo(STRICT.mongo(f"{plain}&tls=true")).level == "verify-full"


@pytest.mark.parametrize(
    "url",
    [
        "postgresql:///db", "postgresql://%2Frun%2Fpostgresql/db", "postgresql:///db?host=/run/postgresql",
        "postgresql://ada@/db?host=localhost,127.0.0.1",
    ],
)  # fmt: skip
def test_sockets_and_hosts_among_the_options_of_this_machine(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PGHOST", "PGSERVICE"):
        monkeypatch.delenv(name, raising=False)
    assert STRICT.postgres(url) == url


@pytest.mark.parametrize(
    ("url", "environment"),
    [
        ("postgresql:///db?host=db.internal", {}),
        ("postgresql:///db?host=localhost,db.internal&port=1,2", {}),
        ("postgresql:///db", {"PGHOST": "localhost,db.internal"}),
        ("postgresql://ada:w@db.internal@127.0.0.1/db", {}),  # the driver parts at the first '@'
    ],
)
def test_a_host_that_hides_is_found(url: str, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert of_postgres(STRICT.postgres(url)).level == "verify-full"


@pytest.mark.parametrize(
    ("url", "environment"),
    [
        ("postgresql://u:p@/postgres?service=prod", {}),
        ("postgresql://u:p@/postgres?service=prod", {"PGHOST": "127.0.0.1"}),
        ("postgresql://u:p@127.0.0.1/postgres?service=prod", {}),
        ("postgresql://u:p@/postgres", {"PGSERVICE": "prod"}),
        ("postgresql://u:p@/postgres", {"PGSERVICE": "prod", "PGHOST": "127.0.0.1"}),
    ],
)
def test_a_service_is_refused_as_its_file_may_name_any_host(
    url: str, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(Unavailable, match="whose file may") as caught:
        STRICT.postgres(url)
    assert caught.value.code == "postgres.url_invalid"


@pytest.mark.parametrize("url", ["postgresql://u:p@127.0.0.1/db", "postgresql:///db?host=/run/postgresql"])
def test_a_service_of_the_environment_does_not_matter_where_the_url_names_the_host(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGSERVICE", "prod")
    assert STRICT.postgres(url) == url


def test_a_proxy_counts_as_a_host() -> None:
    assert of_mongo("mongodb://127.0.0.1/?proxyHost=proxy.internal").level == "verify-full"


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("postgresql://h/db?sslmode=full", "postgres.url_invalid"),
        ("postgresql://h/db?sslcrl=/tmp/x", "postgres.url_invalid"),
        ("postgresql://127.0.0.1/db?ssl_min_protocol_version=TLSv1", "postgres.url_invalid"),
        ("postgresql://h:port/db", "postgres.url_invalid"),
        ("postgresql://[::1/db", "postgres.url_invalid"),
        ("postgresql://u:a#b@h/db", "postgres.url_invalid"),
        ("mongodb://127.0.0.1/?tls=false;authSource=admin", "mongo.url_invalid"),
        ("mongodb://127.0.0.1#@db.internal/", "mongo.url_invalid"),
        ("mongodb://h:port/", "mongo.url_invalid"),
    ],
)
def test_what_the_drivers_might_read_otherwise_is_refused(url: str, code: str) -> None:
    with pytest.raises(Unavailable) as caught:
        STRICT.postgres(url) if url.startswith("postgresql") else STRICT.mongo(url)
    assert caught.value.code == code


def test_files_of_the_settings_are_added_and_those_of_the_url_kept() -> None:
    named = Transport(ca="/etc/ca file.pem", certificate="/etc/client.pem")
    url = named.postgres("postgresql://db.internal/db")
    assert of_postgres(url).ca == "/etc/ca file.pem"
    assert of_postgres(url).certificate == "/etc/client.pem"
    assert "+" not in url
    assert of_postgres(named.postgres("postgresql://db.internal/db?sslrootcert=/own.pem")).ca == "/own.pem"
    assert of_postgres(named.postgres("postgresql://db.internal/db?sslrootcert=system")).ca == "/etc/ca file.pem"
    url = named.mongo("mongodb+srv://db.example.internal/")
    assert of_mongo(url).ca == "/etc/ca file.pem"
    assert of_mongo(url).level == "verify-full"
    assert of_mongo(named.mongo("mongodb://db.internal/?tlsCAFile=/own.pem")).ca == "/own.pem"
    assert "pem" not in named.postgres("postgresql://127.0.0.1/db")
    assert "pem" not in named.mongo("mongodb://127.0.0.1/")


def test_every_url_of_an_endpoint_carries_the_demands_and_the_registrys_no_files() -> None:
    endpoint = Endpoint(Transport(ca="/etc/ca.pem").mongo("mongodb://root:w@db.internal/?authSource=admin"), "url")
    service = endpoint.mongo("admin", "me", "word")
    assert of_mongo(service).level == "verify-full"
    assert of_mongo(service).ca == "/etc/ca.pem"
    kept = endpoint.mongo_for_all("tenant_acme_db", "tenant_acme", "word")
    assert options(kept) == {"tls": "true", "authSource": "tenant_acme_db"}
    assert of_mongo(like(kept, endpoint.url)).ca == "/etc/ca.pem"
    assert endpoint.mongo_for_all("shared_insights_1") == "mongodb://db.internal/shared_insights_1?tls=true"
    plain = Endpoint("mongodb://root:w@127.0.0.1:5/?directConnection=true", "secantusdb")
    assert plain.mongo_for_all("shared_insights_1") == "mongodb://127.0.0.1:5/shared_insights_1"
    postgres = Endpoint(Transport(ca="/etc/ca.pem").postgres("postgresql://root:w@db.internal/postgres"), "url")
    assert of_postgres(postgres.postgres("system_users", "me", "word")).ca == "/etc/ca.pem"


def test_the_way_to_a_pooler_is_under_the_same_rule() -> None:
    pooler = locate_pooler(Settings(postgres_pooler_url="postgresql://bouncer.internal:6432/", tls_ca="/etc/ca.pem"))
    assert pooler is not None
    assert of_postgres(pooler.postgres("system_users", "me", "word")).level == "verify-full"
    assert of_postgres(pooler.postgres("system_users", "me", "word")).ca == "/etc/ca.pem"
    with pytest.raises(InvalidInput, match="postgres_pooler_url asks for disable"):
        locate_pooler(Settings(postgres_pooler_url="postgresql://bouncer.internal:6432/?sslmode=disable"))


def test_portable_drops_files_and_passwords_of_keys_only() -> None:
    url = "mongodb://db.internal/?tls=true&tlsCAFile=/a&TLSCERTIFICATEKEYFILE=/b&tlsCertificateKeyFilePassword=c&w=1"
    assert portable(url) == "mongodb://db.internal/?tls=true&w=1"


def test_what_a_string_says_itself_is_kept() -> None:
    assert like("mongodb://db.internal/?tls=true", "mongodb://x/?tls=false&tlsCAFile=/a") == (
        "mongodb://db.internal/?tls=true&tlsCAFile=/a"
    )
    assert like("mongodb://127.0.0.1/x", "mongodb://127.0.0.1/?directConnection=true") == "mongodb://127.0.0.1/x"


@pytest.mark.parametrize(
    ("mode", "asked", "level"),
    [
        ("verify-ca", "", "verify-ca"),
        ("verify-ca", "sslmode=verify-full", "verify-full"),
        ("insecure", "", "disable"),
        ("insecure", "sslmode=prefer", "prefer"),
        ("insecure", "sslmode=verify-full", "verify-full"),
    ],
)
def test_a_lowered_rule_is_named_as_a_weakness(mode: str, asked: str, level: str) -> None:
    tls = of_postgres(Transport(mode).postgres(f"postgresql://db.internal/db?{asked}"))
    assert tls.level == level
    found = weakness("PostgreSQL", tls)
    if level == "verify-full":
        assert found is None
    else:
        assert found is not None
        assert found.code == "transport.weak"
        assert "db.internal" in found.message
    with pytest.raises(PrismicXError):
        STRICT.postgres(f"postgresql://db.internal/db?sslmode={level}") if level != "verify-full" else STRICT.postgres(
            "#"
        )


@pytest.mark.parametrize(
    ("mode", "asked", "level"),
    [
        ("verify-ca", "", "verify-ca"),
        ("verify-ca", "tls=true", "verify-ca"),
        ("verify-ca", "tls=true&tlsAllowInvalidHostnames=false", "verify-full"),
        ("insecure", "", "disable"),
        ("insecure", "tls=true&tlsInsecure=true", "require"),
    ],
)
def test_a_lowered_rule_for_mongodb(mode: str, asked: str, level: str) -> None:
    tls = of_mongo(Transport(mode).mongo(f"mongodb://db.internal/?{asked}"))
    assert tls.level == level
    assert (weakness("MongoDB", tls) is None) == (level == "verify-full")


@pytest.mark.parametrize("mode", ["verify-ca", "insecure"])
def test_loopback_is_no_weakness(mode: str) -> None:
    assert weakness("PostgreSQL", of_postgres(Transport(mode).postgres("postgresql://127.0.0.1/db"))) is None
    assert weakness("MongoDB", of_mongo(Transport(mode).mongo("mongodb://localhost/"))) is None


def test_verify_ca_still_refuses_less() -> None:
    with pytest.raises(InvalidInput):
        Transport("verify-ca").postgres("postgresql://db.internal/db?sslmode=require")
    with pytest.raises(InvalidInput):
        Transport("verify-ca").mongo("mongodb://db.internal/?tls=true&tlsAllowInvalidCertificates=true")


def test_a_file_that_is_none_is_named(tmp_path: Path) -> None:
    junk = tmp_path / "junk.pem"
    junk.write_text("junk")
    for url in (
        f"postgresql://db.internal/db?sslrootcert={tmp_path / 'nowhere'}",
        f"postgresql://db.internal/db?sslrootcert={junk}",
        f"postgresql://db.internal/db?sslcert={junk}",
    ):
        with pytest.raises(InvalidInput) as caught:
            handshake.for_postgres(of_postgres(url))
        assert caught.value.code == "transport.file_unusable"
        assert str(tmp_path) in caught.value.message


def test_files_are_relative_to_the_settings_file_and_the_choice_is_checked(tmp_path: Path) -> None:
    file = tmp_path / "own.toml"
    file.write_text('tls_ca = "ca.pem"\ntransport = "verify-ca"\n')
    settings = load({}, {}, file).settings
    assert settings.tls_ca == str(tmp_path / "ca.pem")
    assert settings.tls_cert == ""
    with pytest.raises(InvalidInput, match="transport"):
        load({"transport": "off"}, {})


def test_passwords_of_keys_are_masked() -> None:
    url = "mongodb://db.internal/?tlsCertificateKeyFilePassword=geheim&tls=true"
    assert mask_url(url) == f"mongodb://db.internal/?tlsCertificateKeyFilePassword={MASK}&tls=true"
    assert "geheim" not in Endpoint(url, "url").without_login()
    assert "geheim" not in Endpoint("postgresql://h/d?sslpassword=geheim&password=geheim", "url").without_login()
