"""Through the command line, as a newcomer would."""

from __future__ import annotations

import json
from pathlib import Path

import asyncpg
import pytest

from tests.acceptance.conftest import Prismicx

SYSTEMS = Path(__file__).parents[2] / "systems"


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
