"""What can be published, in which order, and what an installation of it does."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from prismicx import Conflict, InvalidInput, NotFound, Platform
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


async def test_a_deprecated_system_is_not_installed_anew(px: Platform, new_id: Id, tmp_path: Path) -> None:
    folder = make_package(tmp_path / "d", "outgoing", ("SELECT 1;", "SELECT 1;"), ("SELECT 2;", "SELECT 2;"))
    await px.catalogue.publish(folder)
    old, new = new_id(), new_id()
    for tenant in (old, new):
        await px.tenants.create(tenant, name="D", isolation="shared")
    async with px.tenant(old) as scope:
        await scope.systems.install("outgoing", "1.0")
        assert (await px.catalogue.deprecate("outgoing")).status == "deprecated"
        assert (await px.catalogue.deprecate("outgoing")).status == "deprecated"
        await px.catalogue.publish(folder)
        assert (await px.catalogue.get("outgoing")).status == "deprecated"
        assert (await scope.systems.migrate("outgoing")).version == "2.0"
        with pytest.raises(Conflict) as caught:
            await scope.systems.install("outgoing")
        assert caught.value.code == "system.installed"
    async with px.tenant(new) as scope:
        with pytest.raises(Conflict) as caught:
            await scope.systems.install("outgoing")
        assert caught.value.code == "system.deprecated"
        assert "prismicx system restore outgoing" in caught.value.remedy
        assert (await px.catalogue.restore("outgoing")).status == "active"
        assert (await scope.systems.install("outgoing")).version == "2.0"
    for change in (px.catalogue.deprecate, px.catalogue.restore):
        with pytest.raises(NotFound) as unknown:
            await change("nothing")
        assert unknown.value.code == "system.unknown"


async def test_systems_are_found_by_type_state_and_vendor(px: Platform, tmp_path: Path) -> None:
    for name in ("listed-one", "listed-two"):
        folder = make_package(tmp_path / name, name, ("SELECT 1;", None), kind="listing")
        file = folder / "system.toml"
        file.write_text(file.read_text().replace('vendor = "T"', f'vendor = "By {name}"'))
        await px.catalogue.publish(folder)
    await px.catalogue.deprecate("listed-two")

    async def found(**filters: Any) -> list[str]:
        return [item.system_id for item in await px.catalogue.list(type="listing", **filters)]

    assert await found() == ["listed-one", "listed-two"]
    assert await found(status="active") == ["listed-one"]
    assert await found(status="deprecated") == ["listed-two"]
    assert await found(vendor="By listed-one") == ["listed-one"]
    assert await found(vendor="By listed-one", status="deprecated") == []
    for wrong in (
        {"status": "gone"},
        {"status": {"a": 1}},
        {"type": "x y"},
        {"type": 5},
        {"vendor": ""},
        {"vendor": "a\0"},
    ):
        with pytest.raises(InvalidInput):
            await px.catalogue.list(**wrong)  # type: ignore[arg-type]


async def test_the_way_between_any_two_versions(px: Platform, tmp_path: Path) -> None:
    scripts = [(f"SELECT {n};", f"SELECT -{n};" if n != 2 else None) for n in range(1, 5)]
    await px.catalogue.publish(make_package(tmp_path / "w", "ways", *scripts))

    async def way(here: str, there: str) -> list[tuple[str, str, int, int, str, bool, str]]:
        steps = await px.catalogue.path("ways", here, there)
        return [
            (
                s.version_from,
                s.version_to,
                s.schema_version_from,
                s.schema_version_to,
                s.direction,
                s.reversible,
                s.script,
            )
            for s in steps
        ]

    assert await way("0", "2.0") == [
        ("0", "1.0", 0, 1, "up", True, "SELECT 1;"),
        ("1.0", "2.0", 1, 2, "up", False, "SELECT 2;"),
    ]
    assert await way("4.0", "2.0") == [
        ("4.0", "3.0", 4, 3, "down", True, "SELECT -4;"),
        ("3.0", "2.0", 3, 2, "down", True, "SELECT -3;"),
    ]
    assert await way("1.0", "0") == [("1.0", "0", 1, 0, "down", True, "SELECT -1;")]
    assert [step[1] for step in await way("1.0", "4.0")] == ["2.0", "3.0", "4.0"]
    for version in ("0", "1.0", "4.0"):
        assert await way(version, version) == []
    for here, there in (("4.0", "1.0"), ("2.0", "0")):
        with pytest.raises(Conflict) as caught:
            await way(here, there)
        assert caught.value.code == "system.irreversible"
        assert "1.0 to 2.0" in caught.value.message
    for here, there in (("9.0", "1.0"), ("1.0", "1"), ("", "1.0"), ("1.0", "a\0")):
        with pytest.raises(NotFound) as unknown:
            await way(here, there)
        assert unknown.value.code == "system.version_unknown"
    with pytest.raises(NotFound):
        await px.catalogue.path("nothing", "0", "1.0")
