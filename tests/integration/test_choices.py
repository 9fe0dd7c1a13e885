"""What a tenant chooses for its systems: kept with the installation, and only as the version declares it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from prismicx import Conflict, InvalidInput, NotFound, Platform
from prismicx.settings import Settings
from tests.support import administrator, make_package

Id = Callable[[], str]

FIRST = """
[versions.configuration]
type = "object"
additionalProperties = false
properties.colour = { enum = ["red", "blue"], default = "red" }
[versions.features.beta]
description = "Try it"
default = false
"""
SECOND = """
[versions.configuration]
type = "object"
additionalProperties = false
required = ["size"]
properties.colour = { enum = ["red", "green"], default = "green" }
properties.size = { type = "integer", minimum = 1 }
[versions.features.alpha]
description = "Tried"
default = true
"""
STEPS = [(f"CREATE TABLE t{n} (a int);", f"DROP TABLE t{n};") for n in (1, 2, 3)]


@pytest.fixture(scope="module")
async def chosen(px: Platform, tmp_path_factory: pytest.TempPathFactory) -> Platform:
    folder = tmp_path_factory.mktemp("choices")
    await px.catalogue.publish(make_package(folder, "choices", *STEPS, declared={1: FIRST, 2: SECOND}))
    return px


@pytest.fixture
async def tenant(px: Platform, new_id: Id) -> str:
    name = new_id()
    await px.tenants.create(name, name="Chooser", isolation="shared")
    return name


async def stored(settings: Settings, tenant: str) -> tuple[Any, Any]:
    admin = await administrator(settings, "management_system_repository")
    try:
        row = await admin.fetchrow(
            "SELECT configurations::text, features_enabled::text FROM public.tenant_systems WHERE tenant_id = $1",
            tenant,
        )
        return tuple(row)
    finally:
        await admin.close()


async def test_what_is_chosen_is_kept_and_the_rest_is_as_declared(
    chosen: Platform, settings: Settings, tenant: str
) -> None:
    async with chosen.tenant(tenant) as scope:
        made = await scope.systems.install("choices", "1.0", configuration={"colour": "blue"}, features={"beta": True})
        assert (made.configuration, made.features) == ({"colour": "blue"}, {"beta": True})
        assert await stored(settings, tenant) == ('{"colour": "blue"}', '{"beta": true}')
        changed = await scope.systems.configure("choices", configuration={"colour": None})
        assert (changed.configuration, changed.features) == ({"colour": "red"}, {"beta": True})
        assert await stored(settings, tenant) == ("{}", '{"beta": true}')
        assert changed.updated_at > made.updated_at
        assert await scope.systems.of_type("choices") == changed
        assert await scope.systems.list() == [changed]
        async with scope.system("choices").sql() as sql:
            assert await sql.fetchval("SELECT count(*) FROM t1") == 0


async def test_two_tenants_choose_apart(chosen: Platform, new_id: Id) -> None:
    ann, bob = new_id(), new_id()
    for name in (ann, bob):
        await chosen.tenants.create(name, name=name, isolation="shared")
    async with chosen.tenant(ann) as first, chosen.tenant(bob) as second:
        await first.systems.install("choices", "1.0", configuration={"colour": "blue"})
        with pytest.raises(NotFound) as caught:
            await second.systems.configure("choices", configuration={"colour": "blue"})
        assert caught.value.code == "system.not_installed"
        await second.systems.install("choices", "1.0")
        await second.systems.configure("choices", features={"beta": True})
        assert [item.features for item in await first.systems.list()] == [{"beta": False}]
        assert [item.configuration for item in await second.systems.list()] == [{"colour": "red"}]


async def test_what_does_not_fit_changes_nothing(chosen: Platform, settings: Settings, tenant: str) -> None:
    async with chosen.tenant(tenant) as scope:
        for version, configuration, features, words in (
            ("1.0", {"colour": "green"}, None, ["$.colour", "blue"]),
            ("1.0", None, {"alpha": True}, ["alpha", "features are beta"]),
            ("2.0", None, None, ["size", "required"]),
            ("3.0", {"colour": "red"}, None, ["takes no configuration"]),
            ("3.0", None, {"beta": True}, ["no features"]),
        ):
            with pytest.raises(InvalidInput) as caught:
                await scope.systems.install("choices", version, configuration=configuration, features=features)
            assert caught.value.code == "system.configuration_invalid"
            for word in words:
                assert word in str(caught.value)
        assert await scope.systems.list() == []
        made = await scope.systems.install("choices", "1.0")
        for wrong in ({"colour": 5}, {"other": 1}, ["colour"], {"colour": "x" * 20_000}):
            with pytest.raises(InvalidInput):
                await scope.systems.configure("choices", configuration=wrong)  # type: ignore[arg-type]
        assert await scope.systems.list() == [made]
        with pytest.raises(NotFound):
            await scope.systems.configure("nothing", features={})
        with pytest.raises(NotFound):
            await scope.systems.configure("choices\0", features={})


async def test_a_migration_takes_along_what_the_other_version_takes(
    chosen: Platform, settings: Settings, tenant: str
) -> None:
    async with chosen.tenant(tenant) as scope:
        await scope.systems.install("choices", "1.0", configuration={"colour": "blue"}, features={"beta": True})
        with pytest.raises(InvalidInput) as caught:
            await scope.systems.migrate("choices", "2.0")
        assert caught.value.code == "system.configuration_invalid"
        (held,) = await scope.systems.list()
        assert (held.version, held.configuration) == ("1.0", {"colour": "blue"})
        moved = await scope.systems.migrate("choices", "2.0", configuration={"colour": None, "size": 3})
        assert (moved.configuration, moved.features) == ({"colour": "green", "size": 3}, {"alpha": True})
        with pytest.raises(InvalidInput, match="takes no configuration"):
            await scope.systems.migrate("choices", "3.0")
        bare = await scope.systems.migrate("choices", "3.0", configuration={"size": None})
        assert (bare.configuration, bare.features) == ({}, {})
        back = await scope.systems.migrate("choices", "1.0")
        # A feature that the versions between do not have waited for one that has it.
        assert (back.configuration, back.features) == ({"colour": "red"}, {"beta": True})


async def test_choices_at_once_lose_nothing(chosen: Platform, tenant: str) -> None:
    async with chosen.tenant(tenant) as scope:
        await scope.systems.install("choices", "1.0")

        async def choose(change: dict[str, Any]) -> None:
            for _ in range(200):
                try:
                    await scope.systems.configure("choices", **change)
                    return
                except Conflict as error:
                    assert error.code == "system.busy"
                    await asyncio.sleep(0.01)
            raise AssertionError("busy for ever")

        await asyncio.gather(choose({"configuration": {"colour": "blue"}}), choose({"features": {"beta": True}}))
        (held,) = await scope.systems.list()
        assert (held.configuration, held.features) == ({"colour": "blue"}, {"beta": True})


async def test_what_a_version_declares_is_shown_and_does_not_change(
    px: Platform, settings: Settings, tmp_path: Path
) -> None:
    folder = make_package(tmp_path / "d", "declared", *STEPS[:2], declared={2: FIRST})
    await px.catalogue.publish(folder)
    first, second = await px.catalogue.versions("declared")
    assert (first.configuration, first.features, first.dependencies, first.compatibility) == (None, {}, {}, {})
    assert second.configuration is not None
    assert second.configuration["properties"]["colour"]["default"] == "red"
    assert (second.features["beta"].description, second.features["beta"].default) == ("Try it", False)
    assert (await px.catalogue.publish(folder)).added == ()
    for change in (
        {1: FIRST, 2: FIRST}, {}, {2: FIRST.replace("false", "true", 1)}, {2: FIRST.replace("Try", "Taste")},
        {2: FIRST + '[versions.compatibility]\npostgres = ">=15"\n'},
        {2: FIRST + '[versions.dependencies]\nchoices = ">=1"\n'},
    ):  # fmt: skip
        make_package(folder, "declared", *STEPS[:2], declared=change)
        with pytest.raises(Conflict) as caught:
            await px.catalogue.publish(folder)
        assert caught.value.code == "package.changed"


async def test_of_two_that_change_what_they_read_the_second_is_told(chosen: Platform, tenant: str) -> None:
    async with chosen.tenant(tenant) as scope:
        read = await scope.systems.install("choices", "1.0")
        first = await scope.systems.configure("choices", revision=read.revision, configuration={"colour": "blue"})
        with pytest.raises(Conflict) as caught:
            await scope.systems.configure("choices", revision=read.revision, configuration={"colour": "red"})
        assert caught.value.code == "system.changed"
        assert first.revision in caught.value.message
        assert await scope.systems.list() == [first]
        again = await scope.systems.configure("choices", revision=first.revision, features={"beta": True})
        assert (again.configuration, again.features) == ({"colour": "blue"}, {"beta": True})
        moved = await scope.systems.migrate("choices", "2.0", configuration={"colour": "red", "size": 1})
        assert moved.revision > again.revision


async def test_choices_never_get_older(chosen: Platform, settings: Settings, tenant: str) -> None:
    """The clock of another machine may be ahead."""
    async with chosen.tenant(tenant) as scope:
        await scope.systems.install("choices", "1.0")
        admin = await administrator(settings, "management_system_repository")
        await admin.execute(
            "UPDATE public.tenant_systems SET updated_at = updated_at + interval '1 hour' WHERE tenant_id = $1", tenant
        )
        await admin.close()
        (before,) = await scope.systems.list()
        assert (await scope.systems.configure("choices", features={"beta": True})).updated_at > before.updated_at
