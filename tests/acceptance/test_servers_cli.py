"""The servers that the command starts, or is given: where they are, who reaches them, and what is in their way."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import stat
import subprocess
import time
import urllib.error
import urllib.request
from contextlib import suppress
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from pymongo import MongoClient

from prismicx.engines.embedded.process import Server
from tests.acceptance.conftest import COMMAND, Prismicx


async def test_status_says_where_everything_is(prismicx: Prismicx) -> None:
    plain = prismicx.json("status")
    assert plain["ready"] is True
    assert plain["data"] == str(prismicx.data)
    assert plain["postgres"]["source"] == plain["mongo"]["source"] == "embedded"
    assert "PostgreSQL" in plain["postgres"]["server"]
    assert "@" not in json.dumps(plain)
    secret = prismicx.json("status", "--show-secrets")
    for database in ("system_users", "management_system_repository"):
        assert "@" in secret["postgres"][database]
        connection = await asyncpg.connect(secret["postgres"][database])
        assert await connection.fetchval("SELECT current_database()") == database
        await connection.close()
    with MongoClient[dict[str, Any]](secret["mongo"]["url"]) as client:
        assert "tenant_registry" in client.list_database_names()


def test_servers_demand_a_password_and_listen_on_loopback_only(prismicx: Prismicx) -> None:
    found = prismicx.json("status")
    with MongoClient[dict[str, Any]](found["mongo"]["url"]) as client, pytest.raises(Exception, match="auth"):
        client["tenant_registry"]["tenants"].find_one({})
    assert "127.0.0.1" in found["postgres"]["system_users"]
    listening = {
        line.split()[1]
        for table in ("/proc/net/tcp", "/proc/net/tcp6")
        for line in Path(table).read_text().splitlines()[1:]
        if line.split()[3] == "0A"
    }
    for url in (found["postgres"]["system_users"], found["mongo"]["url"], found["api"]):
        port = int(re.search(r"127\.0\.0\.1:(\d+)", url)[1])  # type: ignore[index]
        where = [address.split(":")[0] for address in listening if int(address.split(":")[1], 16) == port]
        assert where == ["0100007F"]


def test_secrets_are_kept_from_others(prismicx: Prismicx) -> None:
    assert stat.S_IMODE(prismicx.data.stat().st_mode) == 0o700
    file = prismicx.data / "credentials.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    secrets = [value for logins in json.loads(file.read_text()).values() for value in logins.values()]
    assert len(secrets) > 10
    assert min(map(len, secrets)) >= 32
    arguments = "".join(
        path.read_bytes().decode(errors="replace").replace("\0", " ")
        for path in Path("/proc").glob("[0-9]*/cmdline")
        if path.exists()
    )
    logs = "".join(path.read_text() for path in (prismicx.data / "log").iterdir())
    shown = prismicx("status").stdout + prismicx("doctor").stdout
    for secret in secrets:
        assert secret not in arguments
        assert secret not in logs
        assert secret not in shown


def test_the_http_door_tells_whether_it_is_ready(prismicx: Prismicx) -> None:
    api = prismicx.json("status")["api"]
    with urllib.request.urlopen(f"{api}/health/ready") as answer:
        assert json.load(answer)["status"] == "ready"
    with urllib.request.urlopen(f"{api}/health/live") as answer:
        assert answer.status == 200
    with urllib.request.urlopen(f"{api}/openapi.json") as answer:
        assert "/health/ready" in json.load(answer)["paths"]


def test_without_a_word_everything_is_in_the_working_directory(tmp_path: Path) -> None:
    environ = {key: value for key, value in os.environ.items() if not key.startswith("PRISMICX_")}

    def run(*words: str) -> str:
        done = subprocess.run(
            [COMMAND, *words], capture_output=True, text=True, timeout=120, env=environ, cwd=tmp_path, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    run("up", "--detach")
    try:
        with urllib.request.urlopen(json.loads(run("status", "--json"))["api"] + "/health/ready") as answer:
            assert answer.status == 200
        assert stat.S_IMODE((tmp_path / ".prismicx").stat().st_mode) == 0o700
    finally:
        assert "postgres" in run("down")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_up_in_the_foreground_stops_everything(tmp_path: Path, number: signal.Signals) -> None:
    environ = {key: value for key, value in os.environ.items() if not key.startswith("PRISMICX_")}
    words = [COMMAND, "up", "--data", tmp_path / "data"]
    run = tmp_path / "data" / "run"
    with subprocess.Popen(words, env=environ, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as up:
        assert up.stdout is not None
        try:
            for line in up.stdout:
                if line.startswith(b"data "):  # the last one, when everything is there
                    break
            records = [run / f"{name}.json" for name in ("postgres", "mongo", "keys", "api")]
            while not records[-1].exists():
                assert up.poll() is None
                time.sleep(0.05)
            servers = [Server(**json.loads(record.read_text())) for record in records]
            assert all(server.alive() for server in servers)
            with suppress(urllib.error.URLError):  # it may be just about to listen
                urllib.request.urlopen(f"http://127.0.0.1:{servers[-1].port}/health/live", timeout=5).close()
            up.send_signal(number)
            up.communicate(timeout=60)
            assert not any(server.alive() for server in servers)
            assert not any(record.exists() for record in records)
        finally:
            up.kill()
            Prismicx(tmp_path / "data")("down", check=None)


def test_a_second_up_finds_everything_in_place(prismicx: Prismicx) -> None:
    before = prismicx.json("status")
    done = prismicx("up", "--detach")
    assert "the reference was in place" in done.stderr
    assert prismicx.json("status") == before


def test_commands_without_servers_say_how_to_start_them(tmp_path: Path) -> None:
    command = Prismicx(tmp_path / "none")
    for words in (("tenant", "list"), ("db", "apply"), ("db", "verify"), ("system", "list")):
        error = command.error(*words, code=6)
        assert error["code"] == "engine.not_running"
        assert "prismicx up" in error["remedy"]
    assert command("status", check=6)
    assert command.json("down") == {"stopped": []}


def test_a_port_that_is_taken_is_named(prismicx: Prismicx, tmp_path: Path) -> None:
    port = re.search(r":(\d+)/", prismicx.json("status")["postgres"]["system_users"])[1]  # type: ignore[index]
    command = Prismicx(tmp_path / "taken")
    for option in ("--postgres-port", "--mongo-port", "--port"):
        error = command.error("up", "--detach", option, port, code=6)
        assert error["code"] == "engine.port_taken"
        assert port in error["message"]
        command("down")


def test_a_wrong_login_is_denied(prismicx: Prismicx) -> None:
    shown = prismicx.json("status", "--show-secrets")
    wrong = re.sub(r"://(\w+):[^@]+@", r"://\1:wrong@", shown["postgres"]["system_users"])
    error = prismicx.error("db", "apply", "--postgres-url", wrong, code=5)
    assert error["code"] == "postgres.login_refused"
    wrong = re.sub(r"://(\w+):[^@]+@", r"://\1:wrong@", shown["mongo"]["url"])
    error = prismicx.error("db", "apply", "--mongo-url", wrong, code=5)
    assert error["code"] == "mongo.login_refused"


def test_named_servers_are_used_as_they_are(prismicx: Prismicx, tmp_path: Path) -> None:
    shown = prismicx.json("status", "--show-secrets")
    # In a file: what is among the words of a command every user of the machine can read.
    file = tmp_path / "named.toml"
    file.touch(mode=0o600)
    file.write_text(f'postgres_url = "{shown["postgres"]["system_users"]}"\nmongo_url = "{shown["mongo"]["url"]}"\n')
    urls = ("--config", str(file))
    other = Prismicx(tmp_path / "other")
    other("up", "--detach", "--namespace", "other", *urls)
    try:
        made = json.loads(
            other("tenant", "create", "acme", "--name", "A", "--json", "--namespace", "other", *urls).stdout
        )
        assert made["insights_database"] == "other__tenant_acme_db"
        assert json.loads(other("db", "verify", "--json", "--namespace", "other", *urls).stdout)["ok"] is True
        assert not (other.data / "postgres").exists()
        error = other.error("tenant", "list", *urls, code=6)
        assert error["code"] == "credentials.missing"
    finally:
        other("down")
    assert prismicx.json("status")["ready"] is True


def test_an_exposed_or_foreign_data_directory_is_refused(tmp_path: Path) -> None:
    exposed = tmp_path / "exposed"
    exposed.mkdir(mode=0o755)
    exposed.chmod(0o755)
    assert Prismicx(exposed).error("up", "--detach", code=6)["code"] == "data.exposed"
    blocked = tmp_path / "file"
    blocked.write_text("not a directory")
    assert Prismicx(blocked / "data").error("up", "--detach", code=6)["code"] == "data.unwritable"
    later = tmp_path / "later"
    later.mkdir(mode=0o700)
    (later / "format.json").write_text('{"format": 99}')
    assert Prismicx(later).error("up", "--detach", code=6)["code"] == "data.version"
    other = tmp_path / "other"
    (other / "postgres").mkdir(parents=True)
    other.chmod(0o700)
    (other / "postgres" / "PG_VERSION").write_text("9\n")
    error = Prismicx(other).error("up", "--detach", code=6)
    assert error["code"] == "data.version"
    assert "PostgreSQL 9" in error["message"]


def test_a_full_disk_is_named(tmp_path: Path) -> None:
    import subprocess

    small = tmp_path / "small"
    small.mkdir(mode=0o700)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64m,mode=700", "tmpfs", small], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip("a small file system can be mounted by root only")
    try:
        assert Prismicx(small).error("up", "--detach", code=6)["code"] == "data.full"
        assert not (small / "postgres").exists()
    finally:
        subprocess.run(["umount", small], check=True)
        shutil.rmtree(small)


def test_the_api_port_can_be_chosen(tmp_path: Path) -> None:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = Prismicx(tmp_path / "data")
    try:
        command("up", "--detach", "--port", str(port))
        assert command.json("status")["api"] == f"http://127.0.0.1:{port}"
    finally:
        assert set(command.json("down")["stopped"]) == {"api", "keys", "mongo", "postgres"}
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(f"http://127.0.0.1:{port}/health/live")
