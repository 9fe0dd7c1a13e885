"""What can be published, in which order, and what an installation of it does."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from pathlib import Path

import asyncpg
import pytest

from prismicx import Conflict, Platform
from tests.support import make_package

Id = Callable[[], str]


async def test_one_version_is_the_latest_also_when_published_at_once(px: Platform, tmp_path: Path) -> None:
    scripts = [(f"CREATE TABLE t{n} (a int);", f"DROP TABLE t{n};") for n in range(1, 7)]
    folders = [make_package(tmp_path / f"p{n}", "racing", *scripts[:n]) for n in range(1, 7)]
    await asyncio.gather(*(px.catalogue.publish(folder) for folder in folders))
    versions = await px.catalogue.versions("racing")
    assert [item.version for item in versions] == [f"{n}.0" for n in range(1, 7)]
    assert [item.version for item in versions if item.is_latest] == ["6.0"]


async def test_versions_are_ordered_as_versions(px: Platform, tmp_path: Path) -> None:
    folder = make_package(tmp_path / "v", "ordered", ("SELECT 1;", None), ("SELECT 2;", None))
    text = (folder / "system.toml").read_text().replace('"1.0"', '"1.9.0"').replace('"2.0"', '"1.10.0"')
    (folder / "system.toml").write_text(text)
    assert (await px.catalogue.publish(folder)).latest == "1.10.0"
    assert (await px.catalogue.get("ordered")).latest == "1.10.0"


async def test_published_content_does_not_change(px: Platform, tmp_path: Path) -> None:
    folder = make_package(tmp_path / "f", "fixed", ("CREATE TABLE a (b int);", "DROP TABLE a;"))
    await px.catalogue.publish(folder)
    (folder / "migrations/0001_step.up.sql").write_text("CREATE TABLE a (b bigint);")
    with pytest.raises(Conflict) as caught:
        await px.catalogue.publish(folder)
    assert caught.value.code == "package.changed"
    shutil.rmtree(folder)
    make_package(folder, "fixed", ("CREATE TABLE a (b int);", "DROP TABLE a;"), kind="other")
    with pytest.raises(Conflict) as caught:
        await px.catalogue.publish(folder)
    assert caught.value.code == "package.type_changed"
    assert (await px.catalogue.get("fixed")).type == "fixed"


async def test_a_step_without_a_way_back_is_named(px: Platform, new_id: Id, tmp_path: Path) -> None:
    folder = make_package(tmp_path / "o", "oneway", ("SELECT 1;", "SELECT 1;"), ("SELECT 2;", None), ("SELECT 3;", ""))
    await px.catalogue.publish(folder)
    tenant = new_id()
    await px.tenants.create(tenant, name="One way", isolation="shared")
    async with px.tenant(tenant) as scope:
        await scope.systems.install("oneway")
        assert (await scope.systems.migrate("oneway", "2.0")).version == "2.0"
        with pytest.raises(Conflict) as caught:
            await scope.systems.migrate("oneway", "1.0")
        assert caught.value.code == "system.irreversible"
        assert "1.0 to 2.0" in caught.value.message


async def test_two_systems_of_one_type_do_not_share_a_schema(px: Platform, new_id: Id, tmp_path: Path) -> None:
    for name in ("first", "second"):
        await px.catalogue.publish(make_package(tmp_path / name, f"{name}-shop", ("SELECT 1;", None), kind="shop"))
    tenant = new_id()
    await px.tenants.create(tenant, name="Shop", isolation="shared")
    async with px.tenant(tenant) as scope:
        await scope.systems.install("first-shop")
        with pytest.raises(Conflict) as caught:
            await scope.systems.install("second-shop")
        assert caught.value.code == "system.type_taken"
        assert "first-shop" in caught.value.message


async def test_the_same_installation_at_once_is_made_once(px: Platform, new_id: Id, tmp_path: Path) -> None:
    await px.catalogue.publish(make_package(tmp_path / "t", "twice", ("CREATE TABLE a (b int);", None)))
    tenant = new_id()
    await px.tenants.create(tenant, name="Twice", isolation="shared")
    async with px.tenant(tenant) as scope:
        done = await asyncio.gather(*(scope.systems.install("twice") for _ in range(4)), return_exceptions=True)
        made = [item for item in done if not isinstance(item, BaseException)]
        assert len(made) == 1
        codes = {getattr(item, "code", repr(item)) for item in done if isinstance(item, BaseException)}
        assert codes <= {"system.busy", "system.installed"}


async def test_long_types_and_tenants_get_short_schema_names(px: Platform, tmp_path: Path) -> None:
    kind = "manufacturing"
    await px.catalogue.publish(make_package(tmp_path / "l", kind, ("CREATE TABLE a (b int);", None)))
    tenant = "l" * 50
    await px.tenants.create(tenant, name="Long", isolation="shared")
    async with px.tenant(tenant) as scope:
        installed = await scope.systems.install(kind)
        assert len(installed.schema) == 63
        async with scope.system(kind).sql() as sql:
            assert await sql.fetchval("SELECT count(*) FROM a") == 0
            with pytest.raises(asyncpg.UndefinedTableError):
                async with sql.savepoint():
                    await sql.fetch("SELECT * FROM nothing_here")
