"""The key service by the command line."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import hvac
import pytest

from prismicx.engines import embedded
from prismicx.engines.embedded import process
from prismicx.engines.endpoints import locate_keys
from prismicx.errors import Unavailable
from prismicx.settings import Settings
from tests.acceptance.conftest import COMMAND, Prismicx
from tests.certificates import certificate

Serve = Callable[..., tuple[subprocess.Popen[str], str]]


@pytest.fixture
def command(tmp_path: Path) -> Prismicx:
    """The command, with nothing started."""
    return Prismicx(tmp_path / "data")


@pytest.fixture
def store(tmp_path: Path, command: Prismicx) -> list[str]:
    """The options that name a store and its root key, which were made."""
    words = ["--store", str(tmp_path / "store"), "--root-key-file", str(tmp_path / "root.key")]
    assert command.json("key", "init", *words) == {"store": str(tmp_path / "store")}
    return words


@pytest.fixture
def serve(command: Prismicx) -> Iterator[Serve]:
    """Starts `key serve` on a port; gives the process and its URL."""
    running: list[subprocess.Popen[str]] = []

    def start(*words: str, environ: dict[str, str] | None = None) -> tuple[subprocess.Popen[str], str]:
        port = process.choose_port(0)
        held = {key: value for key, value in os.environ.items() if not key.startswith("PRISMICX_")}
        made = subprocess.Popen(
            [COMMAND, "key", "serve", *words, "--listen", f"127.0.0.1:{port}"],
            env=held | (environ or {}), stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        running.append(made)
        assert made.stderr is not None
        said = made.stderr.readline()
        assert "serving wrapping keys on" in said, said + made.stderr.read()
        return made, said.split()[-1]

    yield start
    for one in running:
        one.terminate()
        one.communicate(timeout=20)


def test_a_service_from_its_store_to_its_end(command: Prismicx, store: list[str], serve: Serve, tmp_path: Path) -> None:
    assert (tmp_path / "root.key").stat().st_mode & 0o777 == 0o600
    token = command(
        "key", "token", "create", "sealing", "--role", "sealing", "--keys", "tenant_*", *store
    ).stdout.strip()
    admin = command.json("key", "token", "create", "keyadmin", "--role", "keyadmin", *store)["token"]
    running, url = serve(*store)
    client = hvac.Client(url, token)
    client.secrets.transit.create_key("tenant_acme")
    text = client.secrets.transit.encrypt_data("tenant_acme", "AAAA")["data"]["ciphertext"]
    assert client.secrets.transit.decrypt_data("tenant_acme", text)["data"]["plaintext"] == "AAAA"
    assert command.json("key", "check", *store) == {"keys": 1, "damaged": []}
    listed = command.json("key", "token", "list", *store)["tokens"]
    assert [(one["name"], one["keys"]) for one in listed] == [("sealing", ["tenant_*"]), ("keyadmin", ["*"])]
    assert not any(secret in json.dumps(listed) for secret in (token, admin, "digest"))
    command("key", "token", "revoke", "sealing", *store)
    assert not client.is_authenticated()
    client.adapter.close()
    assert command.error("key", "token", "revoke", "sealing", *store, code=3)["code"] == "keys.token_unknown"
    running.send_signal(signal.SIGINT)
    assert running.wait(timeout=20) == 0
    begun = [json.loads(line) for line in (tmp_path / "store" / "use.log").read_text().splitlines()]
    assert begun[-1]["result"] == "ended"


def test_the_platform_uses_the_service_that_is_named(command: Prismicx, store: list[str], serve: Serve) -> None:
    token = command.json("key", "token", "create", "all", "--role", "sealing", *store)["token"]
    _, url = serve(*store)
    environ = {"PRISMICX_KEY_TOKEN": token, "PRISMICX_KEY_URL": url}
    done = subprocess.run(
        [COMMAND, "key", "status", "--json", "--data", command.data],
        env=os.environ | environ, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert json.loads(done.stdout)["url"] == url
    assert token not in done.stdout + done.stderr
    error = command.error("key", "status", "--key-url", url, code=6)
    assert error["code"] == "credentials.missing"


@pytest.mark.parametrize("way", ["environment", "passphrase"])
def test_the_root_key_of_the_environment_and_a_passphrase(
    command: Prismicx, serve: Serve, tmp_path: Path, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    where = ["--store", str(tmp_path / "store")]
    words = tmp_path / "words"
    words.write_text("correct horse battery staple\n")
    words.chmod(0o600)
    root_key = "A" * 43 + "="
    environ = {"PRISMICX_ROOT_KEY": root_key} if way == "environment" else {}
    if way == "passphrase":
        where += ["--passphrase-file", str(words)]
    held = {key: value for key, value in os.environ.items() if not key.startswith("PRISMICX_")} | environ
    subprocess.run([COMMAND, "key", "init", *where], env=held, check=True, capture_output=True)
    _, url = serve(*where, environ=environ)
    with urllib.request.urlopen(f"{url}/v1/sys/health") as answer:
        assert json.load(answer)["sealed"] is False


def test_bad_input_is_refused_and_changes_nothing(command: Prismicx, store: list[str], tmp_path: Path) -> None:
    before = {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file() and file.name != "use.log"}
    other = tmp_path / "other.key"
    other.write_text("B" * 43 + "=")
    other.chmod(0o600)
    path = store[1]
    for words, code, exit_code in [
        (["init", *store], "keys.store_exists", 4),
        (["serve", "--store", path, "--root-key-file", str(other)], "keys.root_wrong", 6),
        (["serve", "--store", path], "keys.root_missing", 6),
        (["serve", "--store", str(tmp_path / "none"), *store[2:]], "keys.store_missing", 6),
        (["serve", *store, "--listen", "0.0.0.0:8200"], "keys.tls_required", 6),
        (["serve", *store, "--listen", "8200"], "keys.listen_invalid", 2),
        (["serve", *store, "--listen", "127.0.0.1:99999"], "keys.listen_invalid", 2),
        (["serve", *store, "--tls-cert", str(other)], "keys.certificate_invalid", 6),
        (["serve", *store, "--tls-cert", str(other), "--tls-key", str(other)], "keys.certificate_invalid", 6),
        (["serve", *store, "--passphrase-file", str(other)], "keys.root_ambiguous", 2),
        (["token", "create", "x", *store], "keys.operation_unknown", 2),
        (["token", "create", "x", "--role", "monitor", "--keys", "[", *store], "keys.pattern_invalid", 2),
        (["check", "--store", path, "--root-key-file", str(other)], "keys.root_wrong", 6),
        (["status"], "engine.not_running", 6),
        (["status", "--key-url", "http://keys.example:8200"], "settings.invalid", 2),
    ]:
        error = command.error("key", *words, code=exit_code)
        assert error["code"] == code, error
        assert error["remedy"]
    (tmp_path / "root.key").chmod(0o644)
    assert command.error("key", "serve", *store, code=6)["code"] == "keys.exposed"
    (tmp_path / "root.key").chmod(0o600)
    assert {file: file.read_bytes() for file in before} == before


def test_a_damaged_key_is_found(command: Prismicx, store: list[str], serve: Serve, tmp_path: Path) -> None:
    token = command.json("key", "token", "create", "all", "--role", "sealing", *store)["token"]
    _, url = serve(*store)
    client = hvac.Client(url, token)
    for name in ("acme", "globex"):
        client.secrets.transit.create_key(name)
    client.adapter.close()
    file = tmp_path / "store" / "keys" / "acme.key"
    file.write_bytes(file.read_bytes()[:-9])
    found = json.loads(command("key", "check", *store, "--json", check=1).stdout)
    assert found["keys"] == 2
    assert "acme.key is cut or changed" in found["damaged"][0]


def test_changes_of_the_store_and_its_tokens_are_logged(command: Prismicx, store: list[str], tmp_path: Path) -> None:
    made = command.json("key", "token", "create", "all", "--role", "sealing", *store)["token"]
    command.error("key", "token", "create", "all", "--role", "sealing", *store, code=4)
    command("key", "token", "revoke", "all", *store)
    command("key", "reseal", *store, "--new-root-key-file", str(tmp_path / "next.key"))
    log = (tmp_path / "store" / "use.log").read_text()
    entries = [json.loads(line) for line in log.splitlines()]
    assert [(one["operation"], one.get("name"), one["result"], one.get("reason")) for one in entries] == [
        ("init", None, "done", None),
        ("token.create", "all", "begun", None),
        ("token.create", "all", "done", None),
        ("token.create", "all", "begun", None),
        ("token.create", "all", "refused", "keys.token_exists"),
        ("token.revoke", "all", "begun", None),
        ("token.revoke", "all", "done", None),
        ("reseal", None, "begun", None),
        ("reseal", None, "done", None),
    ]
    assert all("@" in one["actor"] and one["time"] for one in entries)
    assert made not in log
    (tmp_path / "store" / "use.log").chmod(0o644)
    error = command.error(
        "key", "token", "create", "more", "--role", "sealing", *store[:3], str(tmp_path / "next.key"), code=6
    )
    assert error["code"] == "keys.exposed"
    (tmp_path / "store" / "use.log").chmod(0o600)
    listed = command.json("key", "token", "list", *store[:3], str(tmp_path / "next.key"))["tokens"]
    assert [one["name"] for one in listed] == ["all"]


def test_a_store_is_put_under_another_root_key(command: Prismicx, store: list[str], tmp_path: Path) -> None:
    command("key", "reseal", *store, "--new-root-key-file", str(tmp_path / "next.key"))
    assert command.error("key", "check", *store, code=6)["code"] == "keys.root_wrong"
    command("key", "check", *store[:3], str(tmp_path / "next.key"))


def test_beyond_loopback_there_is_tls(command: Prismicx, store: list[str], serve: Serve, tmp_path: Path) -> None:
    token = command.json("key", "token", "create", "all", "--role", "sealing", *store)["token"]
    cert, key = certificate(tmp_path, -1, 1)
    _, url = serve(*store, "--tls-cert", str(cert), "--tls-key", str(key))
    assert url.startswith("https://")
    client = hvac.Client(url, token, verify=str(cert))
    assert client.is_authenticated()
    client.adapter.close()
    key.chmod(0o644)
    words = [*store, "--tls-cert", str(cert), "--tls-key", str(key), "--listen", "127.0.0.1:0"]
    assert command.error("key", "serve", *words, code=6)["code"] == "keys.exposed"
    for begins, ends in ((-20, -10), (10, 20)):
        certificate(tmp_path, begins, ends)
        error = command.error("key", "serve", *words, code=6)
        assert error["code"] == "keys.certificate_expired"


def test_up_starts_the_embedded_one_and_down_ends_it(prismicx: Prismicx) -> None:
    found = prismicx.json("status")
    assert found["ready"] is True
    assert found["keys"]["source"] == "embedded"
    assert found["keys"]["problem"] is None
    data = prismicx.data
    assert (data / "root.key").stat().st_mode & 0o777 == 0o600
    assert {token["name"] for token in prismicx.json("key", "token", "list")["tokens"]} == {"sealing", "keyadmin"}
    assert prismicx.json("key", "status")["version"]
    held = json.loads((data / "credentials.json").read_text())["keys"]
    client = hvac.Client(found["keys"]["url"], held["sealing"])
    client.secrets.transit.create_key("tenant_acme")
    text = client.secrets.transit.encrypt_data("tenant_acme", "AAAA")["data"]["ciphertext"]
    # Killed, it is missed, and comes back with its keys and at its port.
    record = json.loads((data / "run" / "keys.json").read_text())
    os.kill(record["pid"], signal.SIGKILL)
    deadline = time.monotonic() + 10
    while process.Server(**record).alive() and time.monotonic() < deadline:
        time.sleep(0.05)
    state = json.loads(prismicx("status", "--json", check=6).stdout)
    assert state["keys"]["problem"]
    assert "engine.not_running" in {
        one["code"] for one in json.loads(prismicx("doctor", "--json", check=1).stdout)["problems"]
    }
    assert prismicx.error("key", "status", code=6)["code"] == "engine.not_running"
    prismicx("up", "--detach")
    assert prismicx.json("status")["keys"]["url"] == found["keys"]["url"]
    assert client.secrets.transit.decrypt_data("tenant_acme", text)["data"]["plaintext"] == "AAAA"
    client.adapter.close()
    (data / "root.key").chmod(0o644)
    assert {one["code"] for one in json.loads(prismicx("doctor", "--json", check=1).stdout)["problems"]} == {
        "keys.exposed"
    }
    (data / "root.key").chmod(0o600)
    assert "keys" in prismicx.json("down")["stopped"]
    prismicx("up", "--detach")


def test_an_embedded_store_that_is_gone_is_not_made_anew(command: Prismicx, tmp_path: Path) -> None:
    settings = Settings(data=tmp_path / "data", postgres_url="postgresql://a@b/c", mongo_url="mongodb://a@b/c")
    try:
        first = embedded.start(settings).keys
        assert first is not None
        # A second file of credentials gets tokens of its own.
        embedded.stop(settings)
        other = replace(settings, credentials=str(tmp_path / "other.json"))
        embedded.start(other)
        found = [locate_keys(one) for one in (settings, other)]
        assert len({one.token for one in found} | {one.admin_token for one in found}) == 4
        for endpoint in found:
            client = hvac.Client(endpoint.url, endpoint.token)
            assert client.is_authenticated()
            client.adapter.close()
        assert {token["name"] for token in command.json("key", "token", "list")["tokens"]} == {
            "sealing", "sealing-2", "keyadmin", "keyadmin-2",
        }  # fmt: skip
        embedded.stop(settings)
        (tmp_path / "data" / "keys").rename(tmp_path / "away")
        with pytest.raises(Unavailable) as caught:
            embedded.start(settings)
        assert caught.value.code == "keys.store_missing"
        assert not (tmp_path / "data" / "keys").exists()
        (tmp_path / "away").rename(tmp_path / "data" / "keys")
        embedded.start(settings)
    finally:
        embedded.stop(settings)
