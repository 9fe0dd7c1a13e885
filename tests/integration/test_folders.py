"""Folders of other tools, published and installed as they are."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from prismicx import Conflict, InvalidInput, NotFound, Platform
from prismicx.systems import linting
from prismicx.systems.catalogue import Published
from prismicx.systems.conventions import READERS
from tests.support import make_package

DATA = Path(__file__).parents[1] / "data/folders"
Id = Callable[[], str]


async def publish(px: Platform, folder: Path, system_id: str, strict: bool = False) -> Published:
    return await px.catalogue.publish(
        folder, system_id=system_id, type=system_id.replace("-", ""), vendor="T", name="T", strict=strict
    )


@pytest.mark.parametrize("format", READERS)
async def test_a_folder_is_published_installed_and_rolled_back(px: Platform, new_id: Id, format: str) -> None:
    system_id = f"from-{format}"
    published = await publish(px, DATA / format, system_id)
    first, second, latest = published.added
    assert published.latest == latest
    again = await publish(px, DATA / format, system_id)
    assert (again.added, again.latest, again.warnings) == ((), latest, ())
    versions = await px.catalogue.versions(system_id)
    assert [item.version for item in versions if item.is_latest] == [latest]
    tenant = new_id()
    await px.tenants.create(tenant, name="T", isolation="shared")
    async with px.tenant(tenant) as scope:
        assert (await scope.systems.install(system_id)).version == latest
        async with scope.system(system_id.replace("-", "")).sql() as sql:
            await sql.execute("INSERT INTO items (name, price) VALUES ('SECOND', 2)")
            assert await sql.fetchval("SELECT string_agg(name, ' ' ORDER BY id) FROM items") == "first second"
        if versions[-1].reversible:
            assert (await scope.systems.migrate(system_id, second)).version == second
            assert (await scope.systems.migrate(system_id, first)).version == first
            async with scope.system(system_id.replace("-", "")).sql() as sql:
                await sql.execute("INSERT INTO items (name) VALUES ('THIRD')")
                assert await sql.fetchval("SELECT name FROM items ORDER BY id DESC LIMIT 1") == "THIRD"
        else:
            with pytest.raises(Conflict) as caught:
                await scope.systems.migrate(system_id, first)
            assert caught.value.code == "system.irreversible"


async def test_what_was_published_does_not_change(px: Platform, tmp_path: Path) -> None:
    folder = tmp_path / "f"
    shutil.copytree(DATA / "goose", folder)
    await publish(px, folder, "kept-goose")
    file = folder / "00002_names.sql"
    file.write_text(file.read_text().replace("lower(NEW.name)", "upper(NEW.name)"))
    with pytest.raises(Conflict) as caught:
        await publish(px, folder, "kept-goose")
    assert (caught.value.code, "kept-goose 2 " in caught.value.message) == ("package.changed", True)


async def test_a_later_migration_is_the_next_version(px: Platform, tmp_path: Path) -> None:
    folder = tmp_path / "f"
    folder.mkdir()
    for number in range(1, 11):
        (folder / f"{number:06}_t.up.sql").write_text(f"CREATE TABLE t{number} (id bigint);")
        published = await publish(px, folder, "growing")
        assert (published.added, published.latest) == ((str(number),), str(number))
    assert (await px.catalogue.get("growing")).latest == "10"


async def test_a_time_between_those_published_is_refused(px: Platform, tmp_path: Path) -> None:
    for moment in ("20260101000000", "20260301000000"):
        (tmp_path / f"{moment}_t.up.sql").write_text(f"CREATE TABLE t{moment} (id bigint);")
    await publish(px, tmp_path, "going-back")
    (tmp_path / "20260201000000_t.up.sql").write_text("SELECT 1;")
    with pytest.raises(Conflict) as caught:
        await publish(px, tmp_path, "going-back")
    assert caught.value.code == "package.changed"
    assert "20260301000000 is published as version 2" in caught.value.message
    assert "numbers above theirs" in caught.value.remedy


async def test_what_cannot_run_in_a_transaction_is_published(px: Platform, tmp_path: Path) -> None:
    script = "CREATE TABLE ${schema}.a (b text);\nCREATE INDEX CONCURRENTLY i ON ${schema}.a (b);\n"
    folder = make_package(tmp_path, "concurrent", (script, "DROP INDEX CONCURRENTLY i; DROP TABLE ${schema}.a;"))
    published = await px.catalogue.publish(folder)
    assert (published.added, published.warnings) == (("1.0",), ())
    (step,) = await px.catalogue.path("concurrent", "0", "1.0")
    assert step.script == script


async def test_warnings_are_told_and_strictly_refuse(px: Platform, tmp_path: Path) -> None:
    folder = make_package(tmp_path, "warned", ("CREATE TABLE a (b bigint);", "DROP TABLE a;"))
    assert (await px.catalogue.publish(folder, strict=True)).warnings == ()
    make_package(
        tmp_path, "warned", ("CREATE TABLE a (b bigint);", "DROP TABLE a;"), ("ALTER TABLE a DROP COLUMN b;", None)
    )
    with pytest.raises(InvalidInput) as caught:
        await px.catalogue.publish(folder, strict=True)
    assert caught.value.code == "package.lint"
    assert "0002_step.up.sql:1:15: ban-drop-column" in caught.value.message
    assert (await px.catalogue.get("warned")).latest == "1.0"
    published = await px.catalogue.publish(folder)
    assert published.warnings is not None
    assert [item.rule for item in published.warnings] == ["no-way-back", "ban-drop-column"]
    # What is published already is not warned of again.
    assert (await px.catalogue.publish(folder, strict=True)).warnings == ()


async def test_without_squawk_only_strict_publications_fail(
    px: Platform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_package(tmp_path / "p", "unlinted", ("CREATE TABLE a (b int);", "DROP TABLE a;"))
    monkeypatch.setattr(linting.sysconfig, "get_path", lambda _: str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(linting.Unavailable) as caught:
        await px.catalogue.publish(folder, strict=True)
    assert caught.value.code == "lint.unavailable"
    with pytest.raises(NotFound):
        await px.catalogue.get("unlinted")
    assert (await px.catalogue.publish(folder)).warnings is None
