"""Through the command line, as a newcomer would."""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
import subprocess
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from pymongo import MongoClient

from tests.acceptance.conftest import COMMAND, Prismicx

SYSTEMS = Path(__file__).parents[2] / "systems"


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


def test_a_second_up_finds_everything_in_place(prismicx: Prismicx) -> None:
    before = prismicx.json("status")
    done = prismicx("up", "--detach")
    assert "the reference was in place" in done.stderr
    assert prismicx.json("status") == before


def test_a_tenant_is_created_listed_and_shown(prismicx: Prismicx) -> None:
    made = prismicx.json("tenant", "create", "tenant-001", "--name", "First", "--tier", "pro", "--region", "eu")
    assert made["status"] == "active"
    prismicx("tenant", "create", "small", "--name", "Small", "--isolation", "shared")
    assert [row["tenant_id"] for row in prismicx.json("tenant", "list")["tenants"]] == ["small", "tenant-001"]
    assert [row["tenant_id"] for row in prismicx.json("tenant", "list", "--region", "eu")["tenants"]] == ["tenant-001"]
    shown = prismicx.json("tenant", "show", "tenant-001")
    assert shown["placement"] == "dedicated"
    assert shown["insights_database"] == "tenant_tenant_001_db"
    assert shown["extensions_view"] == "tenant_tenant_001_extensions"
    assert shown["schemas"] == {}
    held = {row["name"]: row for row in prismicx.json("tenant", "databases")}
    assert held["tenant_tenant_001_db"]["tenants"] == ["tenant-001"]
    assert held["tenant_tenant_001_db"]["region"] == "eu"
    assert (held["shared_insights_1"]["type"], held["shared_insights_1"]["status"]) == ("shared", "active")
    assert "small" in prismicx("tenant", "databases").stdout
    logins = json.loads((prismicx.data / "credentials.json").read_text())["mongo"].values()
    for words in (("show", "tenant-001"), ("list",), ("databases",)):
        for options in ((), ("--json",)):
            told = prismicx("tenant", *words, *options).stdout
            assert not any(word in told for word in ("connection", "mongodb://", "@", *logins))
    assert "tenant-001" in prismicx("tenant", "list").stdout


def test_systems_are_published_and_installed(prismicx: Prismicx) -> None:
    prismicx("tenant", "create", "buyer", "--name", "Buyer")
    for system in ("crm", "sales", "marketing"):
        published = prismicx.json("system", "publish", str(SYSTEMS / system))
        assert len(published["added"]) >= 3
        assert prismicx.json("system", "publish", str(SYSTEMS / system))["added"] == []
        installed = prismicx.json("system", "install", system, "--tenant", "buyer")
        assert installed["version"] == published["latest"]
        assert installed["schema"] == f"tenant_buyer_{system}"
    assert {row["system_id"] for row in prismicx.json("system", "list")} == {"crm", "sales", "marketing"}
    assert prismicx.json("tenant", "show", "buyer")["schemas"] == {
        system: f"tenant_buyer_{system}" for system in ("crm", "sales", "marketing")
    }
    versions = prismicx.json("system", "show", "crm")["versions"]
    assert sum(version["is_latest"] for version in versions) == 1
    first = versions[0]["version"]
    assert prismicx.json("system", "rollback", "crm", "--tenant", "buyer", "--to", first)["version"] == first
    assert prismicx.json("system", "upgrade", "crm", "--tenant", "buyer")["version"] == versions[-1]["version"]
    assert prismicx.error("system", "install", "crm", "--tenant", "buyer", code=4)["code"] == "system.installed"


def test_systems_are_configured_listed_and_deprecated(prismicx: Prismicx) -> None:
    prismicx("tenant", "create", "chooser", "--name", "Chooser", "--isolation", "shared")
    prismicx("system", "publish", str(SYSTEMS / "crm"))
    words = ("--tenant", "chooser")
    made = prismicx.json(
        "system", "install", "crm", *words, "--configuration", '{"currency": "CHF"}', "--enable", "deal_teams",
        "--disable", "stage_history",
    )  # fmt: skip
    assert made["configuration"] == {"currency": "CHF", "stale_after_days": 30}
    assert made["features"] == {"deal_teams": True, "stage_history": False}
    changed = prismicx.json("system", "configure", "crm", *words, "--configuration", '{"currency": null}')
    assert changed["configuration"]["currency"] == "EUR"
    assert changed["features"] == made["features"]
    assert [row["configuration"] for row in prismicx.json("system", "installed", *words)] == [changed["configuration"]]
    assert "deal_teams: yes" in prismicx("system", "installed", *words).stdout
    for choice, code in (
        (("--configuration", '{"currency": "euro"}'), "system.configuration_invalid"),
        (("--configuration", "[1]"), "usage.json"),
        (("--configuration", "{"), "usage.json"),
        (("--enable", "nothing"), "system.configuration_invalid"),
    ):
        error = prismicx.error("system", "configure", "crm", *words, *choice, code=2)
        assert error["code"] == code
        assert error["remedy"]
    both = prismicx("system", "configure", "crm", *words, "--enable", "a", "--disable", "a", check=2)
    assert "both name a" in both.stderr
    shown = prismicx("system", "show", "crm").stdout
    for word in ("postgres: >=15", "features of 2.0.0", "stage_history", "configuration of 2.0.0", '"pattern"'):
        assert word in shown
    assert prismicx.json("system", "show", "crm")["versions"][-1]["features"]["deal_teams"]["default"] is False
    steps = prismicx.json("system", "path", "crm", "--from", "2.0.0", "--to", "1.1.0")
    assert [(step["version_to"], step["direction"]) for step in steps] == [("1.2.0", "down"), ("1.1.0", "down")]
    assert all("script" not in step for step in steps)
    assert "up" in prismicx("system", "path", "crm", "--from", "0", "--to", "1.0.0").stdout
    assert (
        prismicx.error("system", "path", "crm", "--from", "0", "--to", "9", code=3)["code"] == "system.version_unknown"
    )
    assert prismicx.json("system", "deprecate", "crm")["status"] == "deprecated"
    try:
        prismicx("tenant", "create", "late-comer", "--name", "Late", "--isolation", "shared")
        error = prismicx.error("system", "install", "crm", "--tenant", "late-comer", code=4)
        assert (error["code"], "prismicx system restore crm" in error["remedy"]) == ("system.deprecated", True)
        assert [row["system_id"] for row in prismicx.json("system", "list", "--status", "deprecated")] == ["crm"]
        assert prismicx.json("system", "list", "--type", "crm", "--status", "active") == []
        assert len(prismicx.json("system", "list", "--vendor", "PrismicX")) >= 1
    finally:
        assert prismicx.json("system", "restore", "crm")["status"] == "active"


def test_verify_is_green_and_counts(prismicx: Prismicx) -> None:
    report = prismicx.json("db", "verify")
    assert report["ok"] is True
    assert report["held"] == report["facts"] > 300
    assert report["missing"] == []
    assert "every fact is held" in prismicx("db", "verify").stdout


async def test_verify_turns_red_and_names_what_is_missing(prismicx: Prismicx) -> None:
    url = prismicx.json("status", "--show-secrets")["postgres"]["system_users"]
    connection = await asyncpg.connect(url)
    try:
        await connection.execute("ALTER TABLE user_data.users NO FORCE ROW LEVEL SECURITY")
        done = prismicx("db", "verify", "--json", check=1)
        assert [item["subject"] for item in json.loads(done.stdout)["missing"]] == ["user_data.users"]
        assert "forced row security user_data.users" in prismicx("db", "verify", check=1).stdout
    finally:
        await connection.execute("ALTER TABLE user_data.users FORCE ROW LEVEL SECURITY")
        await connection.close()
    prismicx("db", "verify")


def test_diagrams_and_the_reference_are_drawn_from_the_live_databases(prismicx: Prismicx, tmp_path: Path) -> None:
    prismicx("tenant", "create", "drawn", "--name", "Drawn")
    files = prismicx.json("db", "diagram", "--out", str(tmp_path / "out"))["files"]
    names = {Path(file).name for file in files}
    for stem in (
        *("system_users", "user_extensions", "management_system_repository", "tenant_registry"),
        *("task_repository", "category_repository", "user_insights", "architecture"),
    ):
        assert {f"{stem}.svg", f"{stem}.mmd"} <= names
    assert "user_data.users" in (tmp_path / "out" / "system_users.svg").read_text()
    text = prismicx("db", "reference").stdout
    for word in ("user_data.users", "tenant_isolation_policy", "topics.subtopics.content.key_points", "suspended"):
        assert word in text


@pytest.mark.parametrize(
    ("words", "exit_code", "code"),
    [
        (("tenant", "show", "nobody"), 3, "tenant.unknown"),
        (("tenant", "show", "Acme"), 2, "tenant.id_invalid"),
        (("tenant", "show", "../etc"), 2, "tenant.id_invalid"),
        (("tenant", "show", "a" * 51), 2, "tenant.id_invalid"),
        (("tenant", "show", "x'; DROP TABLE users; --"), 2, "tenant.id_invalid"),
        (("tenant", "show", '{"$ne": ""}'), 2, "tenant.id_invalid"),
        (("tenant", "create", "blank", "--name", ""), 2, "tenant.invalid"),
        (("tenant", "list", "--limit", "0"), 2, "page.limit_invalid"),
        (("system", "install", "crm", "--tenant", "nobody"), 3, "tenant.unknown"),
        (("system", "publish", "nowhere"), 2, "package.unreadable"),
        (("system", "show", "nothing"), 3, "system.unknown"),
        (("db", "verify", "--namespace", "Bad"), 2, "settings.namespace_invalid"),
        (("status", "--postgres-url", "mysql://x"), 2, "settings.invalid"),
        (("status", "--config", "nowhere.toml"), 2, "settings.file_unreadable"),
    ],
)
def test_wrong_words_end_with_their_code_and_a_remedy(
    prismicx: Prismicx, words: tuple[str, ...], exit_code: int, code: str
) -> None:
    error = prismicx.error(*words, code=exit_code)
    assert error["code"] == code
    assert error["message"]
    text = prismicx(*words, check=exit_code).stderr
    assert code in text
    assert "Traceback" not in text


def test_an_unknown_system_is_named(prismicx: Prismicx) -> None:
    prismicx("tenant", "create", "hopeful", "--name", "Hopeful")
    assert prismicx.error("system", "install", "nothing", "--tenant", "hopeful", code=3)["code"] == "system.unknown"


@pytest.mark.parametrize(
    ("words", "word"),
    [
        (("tenant", "create", "x"), "--name"),
        (("tenant", "create", "x", "--name", "X", "--isolation", "private"), "private"),
        (("tenat",), "tenat"),
        (("db", "diagram"), "--out"),
    ],
)
def test_usage_errors_are_clicks(prismicx: Prismicx, words: tuple[str, ...], word: str) -> None:
    done = prismicx(*words, check=2)
    assert word in done.stderr


def test_suspended_and_twice(prismicx: Prismicx) -> None:
    prismicx("tenant", "create", "late", "--name", "Late")
    assert prismicx.error("tenant", "create", "late", "--name", "Late", code=4)["code"] == "tenant.exists"
    assert prismicx.json("tenant", "suspend", "late")["status"] == "suspended"
    refused = prismicx.error("system", "install", "crm", "--tenant", "late", code=5)
    assert refused["code"] == "tenant.suspended"
    assert prismicx.error("tenant", "suspend", "late", code=4)["code"] == "tenant.transition"
    assert prismicx.json("tenant", "resume", "late")["status"] == "active"
    assert prismicx.json("tenant", "deactivate", "late")["status"] == "inactive"
    gone = prismicx.error("system", "install", "crm", "--tenant", "late", code=5)
    assert (gone["code"], gone["remedy"]) == ("tenant.inactive", "prismicx tenant activate late")
    assert prismicx.error("tenant", "resume", "late", code=4)["code"] == "tenant.transition"
    assert prismicx.json("tenant", "activate", "late")["status"] == "active"


def test_every_command_helps(prismicx: Prismicx) -> None:
    import click

    from prismicx.cli import main

    def walk(command: click.Command, words: tuple[str, ...]) -> None:
        assert command.help, words
        if isinstance(command, click.Group):
            context = click.Context(command)
            for name in command.list_commands(context):
                inner = command.get_command(context, name)
                assert inner is not None, (*words, name)
                walk(inner, (*words, name))
        else:
            options = {option for parameter in command.params for option in parameter.opts}
            assert {"--data", "--json"} <= options, words
            for parameter in command.params:
                if isinstance(parameter, click.Option):
                    assert parameter.help, (words, parameter.name)

    walk(main, ())


def test_doctor_names_all_that_is_wrong_at_once(prismicx: Prismicx, tmp_path: Path) -> None:
    healthy = prismicx.json("doctor")
    assert healthy["ok"] is True
    assert {row["setting"]: row["source"] for row in healthy["settings"]}["data"] == "flag"
    elsewhere = Prismicx(tmp_path / "fresh")
    url = "postgresql://someone:geheim@127.0.0.1:1/postgres"
    mongo = "mongodb://someone:geheim@127.0.0.1:1/"
    done = elsewhere("doctor", "--json", "--postgres-url", url, "--mongo-url", mongo, check=1)
    found = json.loads(done.stdout)
    assert {problem["code"] for problem in found["problems"]} >= {"postgres.unreachable", "mongo.unreachable"}
    assert "geheim" not in done.stdout + done.stderr
    assert all(problem["remedy"] for problem in found["problems"])
    done = elsewhere("doctor", "--json", check=1)
    assert {problem["code"] for problem in json.loads(done.stdout)["problems"]} == {"engine.not_running"}


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
