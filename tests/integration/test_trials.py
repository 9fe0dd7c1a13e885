"""What a trial finds out of a version: the line that fails, and the locks it takes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from prismicx import InvalidInput, Platform
from prismicx.settings import Settings
from prismicx.systems import trial
from prismicx.systems.snapshot import is_pure
from tests.support import administrator, make_package

Id = Callable[[], str]


@pytest.mark.parametrize(
    ("script", "line"),
    [
        ("CREATE TABLE items_old ();\nDROP TABLE items_old;\n-- gone\nDROP TABLE items;", 4),
        ("CREATE TABLE ${schema}.items ();\n\n  DROP TABLE ${schema}.items_old;", 3),
        (
            'CREATE TABLE "${schema}"."Ä" ();\nCOMMENT ON TABLE "Ä" IS \'ä\';\nALTER TABLE ${schema}."Ö"\n  ADD a int;',
            3,
        ),
        ("CREATE TABLE a (b int);\nCREATE INDEX CONCURRENTLY i ON a (b);\nCREATE INDEX CONCURRENTLY i ON a (b);", 3),
        ("CREATE TABLE a (b int);\nCREATE INDEX CONCURRENTLY i ON a (b);\nDROP TABLE x;\nDROP TABLE a;", 3),
        ("CREATE TABLE a (b int);\nINSERT INTO a SELECT c FROM a;", 2),
        ("CREATE TABLE a (b int);\nDO $$ BEGIN\n  DROP TABLE x;\nEND $$;", 2),
    ],
)
async def test_the_line_of_the_statement_that_fails_is_told(
    px: Platform, new_id: Id, tmp_path: Path, script: str, line: int
) -> None:
    with pytest.raises(InvalidInput) as caught:
        await px.catalogue.publish(make_package(tmp_path, new_id(), (script, None), kind="trials"))
    assert caught.value.code == "package.trial"
    assert f"0001_step.up.sql:{line}: 1.0: " in caught.value.message


@pytest.mark.parametrize(
    ("script", "mode", "rewrites"),
    [
        (
            "ALTER TABLE t ADD b int; CREATE INDEX CONCURRENTLY i ON t (b); CREATE INDEX j ON t (b)",
            "AccessExclusive",
            False,
        ),
        ("CREATE INDEX CONCURRENTLY i ON t (a); ALTER TABLE t ADD b int", "AccessExclusive", False),
        ("CREATE INDEX j ON t (a); CREATE INDEX CONCURRENTLY i ON t (a)", "Share", False),
        ("CREATE INDEX CONCURRENTLY i ON t (a)", "ShareUpdateExclusive", False),
        (
            "ALTER TABLE t ALTER a TYPE text; CREATE INDEX CONCURRENTLY i ON t (a); DROP TABLE t",
            "AccessExclusive",
            True,
        ),
    ],
)
async def test_the_strongest_lock_of_all_phases_is_told(
    px: Platform, settings: Settings, new_id: Id, tmp_path: Path, script: str, mode: str, rewrites: bool
) -> None:
    system = new_id()
    scripts = ("CREATE TABLE t (a int)", None), (script, None)
    await px.catalogue.publish(make_package(tmp_path, system, *scripts, kind="trials"))
    admin = await administrator(settings, "management_system_repository")
    text = await admin.fetchval(
        "SELECT locks::text FROM prismicx.version_trials WHERE version_id = $1", f"{system}:2.0"
    )
    await admin.close()
    assert json.loads(text)["up"]["locks"] == [{"table": "t", "mode": f"{mode}Lock", "rewrites": rewrites}]


async def test_a_history_is_read_once_however_many_versions_it_has(
    px: Platform, settings: Settings, new_id: Id, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []

    def noting(scripts: list[str]) -> bool:
        read.extend(scripts)
        return is_pure(scripts)

    monkeypatch.setattr(trial, "is_pure", noting)
    system = new_id()
    scripts = [f"CREATE TABLE t{number} (a int)" for number in range(4)]
    scripts[2] += "; INSERT INTO t2 VALUES (1)"
    await px.catalogue.publish(make_package(tmp_path, system, *((script, None) for script in scripts), kind="trials"))
    assert read == scripts[:3]
    admin = await administrator(settings, "management_system_repository")
    made = await admin.fetch(
        "SELECT version_id FROM prismicx.version_trials WHERE version_id LIKE $1 AND snapshot IS NOT NULL ORDER BY 1",
        f"{system}:%",
    )
    await admin.close()
    # The first version is its one script already, and after the third there is data.
    assert [row["version_id"] for row in made] == [f"{system}:2.0"]


@pytest.mark.parametrize(
    ("scripts", "at_once"),
    [
        (["CREATE TABLE a (b int); CREATE INDEX ON a (b)"], []),
        (["CREATE TABLE a (b int); CREATE TABLE c (d int); DROP TABLE c"], ["1.0"]),
        (["CREATE TABLE a (b int)", "CREATE INDEX ON a (b)"], ["2.0"]),
        (["CREATE TABLE a (b int); CREATE INDEX CONCURRENTLY i ON a (b)"], ["1.0"]),
    ],
)
async def test_a_version_is_made_at_once_where_that_saves_something(
    px: Platform, settings: Settings, new_id: Id, tmp_path: Path, scripts: list[str], at_once: list[str]
) -> None:
    system = new_id()
    await px.catalogue.publish(make_package(tmp_path, system, *((script, None) for script in scripts), kind="trials"))
    admin = await administrator(settings, "management_system_repository")
    made = await admin.fetch(
        "SELECT version_id FROM prismicx.version_trials WHERE version_id LIKE $1 AND snapshot IS NOT NULL ORDER BY 1",
        f"{system}:%",
    )
    await admin.close()
    assert [row["version_id"] for row in made] == [f"{system}:{version}" for version in at_once]
