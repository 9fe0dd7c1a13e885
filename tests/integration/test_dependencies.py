"""Systems that need one another: published in order, installed and migrated only as they fit."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from prismicx import Conflict, Platform
from tests.support import make_package

Id = Callable[[], str]

STEPS = [(f"CREATE TABLE t{n} (a int);", f"DROP TABLE t{n};") for n in (1, 2, 3)]


def needs(**specifiers: str) -> str:
    return "[versions.dependencies]\n" + "".join(f'{name} = "{text}"\n' for name, text in specifiers.items())


@pytest.fixture
async def tenant(px: Platform, new_id: Id) -> str:
    name = new_id()
    await px.tenants.create(name, name="Needy", isolation="shared")
    return name


async def test_dependencies_hold_in_both_directions(px: Platform, tenant: str, tmp_path: Path) -> None:
    await px.catalogue.publish(make_package(tmp_path / "base", "base", *STEPS))
    declared = {1: needs(base=">=2"), 2: needs(base=">=2,<3"), 3: needs(base=">=3")}
    await px.catalogue.publish(make_package(tmp_path / "top", "top", *STEPS, declared=declared))
    versions = {item.version: item.dependencies for item in await px.catalogue.versions("top")}
    assert versions == {"1.0": {"base": ">=2"}, "2.0": {"base": ">=2,<3"}, "3.0": {"base": ">=3"}}

    async def refused(work: object, *words: str) -> None:
        with pytest.raises(Conflict) as caught:
            await work  # type: ignore[misc]
        assert caught.value.code == "system.dependency"
        for word in words:
            assert word in str(caught.value)

    async with px.tenant(tenant) as scope:
        await refused(
            scope.systems.install("top", "2.0"), f"prismicx system install base --version 2.0 --tenant {tenant}"
        )
        assert await scope.systems.list() == []
        await scope.systems.install("base", "1.0")
        await refused(scope.systems.install("top"), f"prismicx system upgrade base --to 3.0 --tenant {tenant}")
        await scope.systems.migrate("base")
        await refused(scope.systems.install("top", "2.0"), f"prismicx system rollback base --to 2.0 --tenant {tenant}")
        await scope.systems.install("top", "1.0")
        await refused(scope.systems.migrate("base", "1.0"), "top 1.0", "needs base >=2, not 1.0")
        await refused(scope.systems.migrate("top", "2.0"), "top 2.0 needs base >=2,<3")
        await scope.systems.migrate("base", "2.0")
        await scope.systems.migrate("top", "2.0")
        await refused(scope.systems.migrate("base"), "top 2.0", "not 3.0")
        assert {item.system_id: item.version for item in await scope.systems.list()} == {"base": "2.0", "top": "2.0"}


@pytest.mark.parametrize("first", ["over", "under"])
async def test_what_is_needed_does_not_go_away_meanwhile(px: Platform, tenant: str, tmp_path: Path, first: str) -> None:
    """The later one waits for the earlier one to end, and sees what it did."""
    slow = "SELECT pg_sleep(0.4);"
    await px.catalogue.publish(make_package(tmp_path / "b", "under", *((up, down + slow) for up, down in STEPS[:2])))
    scripts = [(up + slow, down) for up, down in STEPS[:1]]
    await px.catalogue.publish(make_package(tmp_path / "t", "over", *scripts, declared={1: needs(under=">=2")}))
    async with px.tenant(tenant) as scope:
        await scope.systems.install("under")
        work = {"over": scope.systems.install("over"), "under": scope.systems.migrate("under", "1.0")}
        earlier = asyncio.create_task(work.pop(first))
        await asyncio.sleep(0.15)
        (later,) = work.values()
        with pytest.raises(Conflict) as caught:
            await later
        assert caught.value.code == "system.dependency"
        await earlier
        held = {item.system_id: item.version for item in await scope.systems.list()}
        assert held == ({"over": "1.0", "under": "2.0"} if first == "over" else {"under": "1.0"})


async def test_what_cannot_be_published(px: Platform, tmp_path: Path) -> None:
    async def refused(folder: Path, word: str) -> None:
        with pytest.raises(Conflict) as caught:
            await px.catalogue.publish(folder)
        assert caught.value.code == "package.dependency"
        assert word in caught.value.message

    one = make_package(tmp_path / "1", "circle-one", STEPS[0], kind="one", declared={1: needs(**{"circle-two": ">=1"})})
    await refused(one, "circle-two, which is not published")
    assert "circle-one" not in {item.system_id for item in await px.catalogue.list()}
    await refused(make_package(tmp_path / "s", "selfish", STEPS[0], declared={1: needs(selfish=">=1")}), "on itself")
    two = make_package(tmp_path / "2", "circle-two", STEPS[0], kind="two")
    await px.catalogue.publish(two)
    await px.catalogue.publish(one)
    make_package(two, "circle-two", *STEPS[:2], kind="two", declared={2: needs(**{"circle-one": ">=1"})})
    await refused(two, "circle-two → circle-one → circle-two")
    assert (await px.catalogue.get("circle-two")).latest == "1.0"


async def test_two_published_at_once_do_not_close_a_circle(px: Platform, tmp_path: Path) -> None:
    for name in ("left", "right"):
        await px.catalogue.publish(make_package(tmp_path / name, name, STEPS[0]))
    folders = [
        make_package(tmp_path / name, name, *STEPS[:2], declared={2: needs(**{other: ">=1"})})
        for name, other in (("left", "right"), ("right", "left"))
    ]
    done = await asyncio.gather(*(px.catalogue.publish(folder) for folder in folders), return_exceptions=True)
    assert sorted(getattr(item, "code", "done") for item in done) == ["done", "package.dependency"]


async def test_the_server_and_the_release_must_fit(px: Platform, tenant: str, tmp_path: Path) -> None:
    declared = {
        1: '[versions.compatibility]\npostgres = ">=15"\nprismicx = ">=0.1"\n',
        2: '[versions.compatibility]\npostgres = ">=99"\n',
        3: '[versions.compatibility]\nprismicx = "<0.1"\n',
    }
    await px.catalogue.publish(make_package(tmp_path / "p", "picky", *STEPS, declared=declared))
    async with px.tenant(tenant) as scope:
        for version, word in (("2.0", "postgres >=99"), ("3.0", "prismicx <0.1")):
            with pytest.raises(Conflict) as caught:
                await scope.systems.install("picky", version)
            assert caught.value.code == "system.incompatible"
            assert word in caught.value.message
        await scope.systems.install("picky", "1.0")
        with pytest.raises(Conflict) as caught:
            await scope.systems.migrate("picky")
        assert caught.value.code == "system.incompatible"
        assert [item.version for item in await scope.systems.list()] == ["1.0"]
