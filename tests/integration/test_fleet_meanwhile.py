"""What a plan saw, changed before its turn came: looked at again where the step is taken, and before each wave."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from prismicx import Conflict, Platform
from prismicx.fleet.values import Options, Rollout, Selection
from prismicx.settings import Settings
from prismicx.systems import execution
from prismicx.systems.step import place_of
from tests.integration.shop import Shop, installed
from tests.support import administrator, context_of, make_package

Names = dict[str, str]
STEPS = [(f"CREATE TABLE t{n} (a int);", f"DROP TABLE t{n};") for n in (1, 2)]
WITHOUT_TRANSACTION = ("CREATE TABLE c (a int); CREATE INDEX CONCURRENTLY c_a ON c (a); SELECT 1;", "DROP TABLE c;")


async def publish(px: Platform, folder: Path, *scripts: Any, kind: str = "", **needs: str) -> str:
    """A system of scripts; every version needs the others as they are given."""
    name = f"s{secrets.token_hex(4)}"
    text = "[versions.dependencies]\n" + "".join(f'{key} = "{value}"\n' for key, value in needs.items())
    declared = dict.fromkeys(range(1, len(scripts) + 1), text) if needs else None
    await px.catalogue.publish(make_package(folder / name, name, *scripts, kind=kind, declared=declared))
    return name


@pytest.fixture
async def two(px: Platform) -> AsyncIterator[tuple[str, ...]]:
    names = tuple(f"t-{secrets.token_hex(5)}" for _ in range(2))
    await asyncio.gather(*(px.tenants.create(name, name="T", isolation="shared") for name in names))
    yield names


async def plan(px: Platform, system: str, action: Any, tenants: tuple[str, ...], version: str | None = None) -> Any:
    options = Options(max_failures="100%", patience=5)
    return await px.fleet.plan(system, action, selection=Selection(tenants=tenants), version=version, options=options)


async def codes(px: Platform, done: Rollout) -> set[str]:
    return {item.code for item in await px.fleet.failures(done.rollout_id)}


async def held(px: Platform, tenant: str) -> Mapping[str, str]:
    async with px.tenant(tenant) as scope:
        return {item.system_id: item.version for item in await scope.systems.list() if item.status == "installed"}


@pytest.mark.parametrize("stands", [False, True], ids=["no schema", "a schema"])
async def test_a_plan_of_before_another_system_of_the_type_was_installed(
    px: Platform, settings: Settings, two: tuple[str, ...], tmp_path: Path, stands: bool
) -> None:
    """The step itself refuses it; a schema that stands empty, whoever made it, is in nobody's way."""
    kind = f"k{secrets.token_hex(4)}"
    first, second = [await publish(px, tmp_path, *STEPS[:1], kind=kind) for _ in range(2)]
    if stands:
        admin = await administrator(settings, "management_system_repository")
        for tenant in two:
            place = place_of(px._names, tenant, first, kind)
            await admin.execute(f'CREATE SCHEMA "{place.schema}" AUTHORIZATION "{place.owner}"')
        await admin.close()
    late = await plan(px, second, "install", two)
    done = await px.fleet.start(await plan(px, first, "install", two[:1]))
    assert (done.status, done.done) == ("finished", 1)
    done = await px.fleet.start(late)
    assert (done.done, done.failed) == (1, 1)
    assert await codes(px, done) == {"system.type_taken"}
    assert [set(await held(px, tenant)) for tenant in two] == [{first}, {second}]


@pytest.mark.parametrize("scripts", [STEPS[:1], [WITHOUT_TRANSACTION]], ids=["at once", "in phases"])
async def test_two_systems_of_one_type_do_not_share_a_schema(
    px: Platform, two: tuple[str, ...], tmp_path: Path, scripts: Any
) -> None:
    kind = f"k{secrets.token_hex(4)}"
    systems = [await publish(px, tmp_path, *scripts, kind=kind) for _ in range(2)]
    plans = [await plan(px, system, "install", two) for system in systems]
    done = await asyncio.gather(*map(px.fleet.start, plans))
    assert sum(item.done for item in done) == 2
    assert set().union(*[await codes(px, item) for item in done]) == {"system.type_taken"}
    for tenant in two:
        assert len(await held(px, tenant)) == 1
        # Nothing is written down against a system that was never tried.
        async with px.tenant(tenant) as scope:
            assert [item.status for item in await scope.systems.list()] == ["installed"]


async def test_what_is_needed_is_there_when_the_step_is_taken(
    px: Platform, two: tuple[str, ...], tmp_path: Path
) -> None:
    base = await publish(px, tmp_path, *STEPS)
    top = await publish(px, tmp_path, *STEPS, **{base: ">=2"})
    await px.fleet.start(await plan(px, base, "install", two))
    # Of two plans that exclude one another, the one that comes first is carried out.
    installing, back = await plan(px, top, "install", two), await plan(px, base, "rollback", two, "1.0")
    away = await plan(px, base, "uninstall", two)
    assert (await px.fleet.start(back)).done == 2
    late = await px.fleet.start(installing)
    assert (late.done, late.failed, await codes(px, late)) == (0, 2, {"system.dependency"})
    await px.fleet.start(await plan(px, base, "upgrade", two))
    going = await px.fleet.resume(late.rollout_id, retry_failed=True)
    assert (going.status, going.done) == ("finished", 2)
    for made in (away, await plan(px, base, "rollback", two, "1.0")):
        assert made.tenants == (2 if made is away else 0)
    assert await codes(px, await px.fleet.start(away)) == {"system.dependency"}
    back = replace(back, groups=(replace(back.groups[0], version_from="2.0"),))
    assert await codes(px, await px.fleet.start(back)) == {"system.dependency"}
    for tenant in two:
        assert await held(px, tenant) == {base: "2.0", top: "2.0"}


async def test_an_upgrade_needs_what_it_needs_too(px: Platform, two: tuple[str, ...], tmp_path: Path) -> None:
    base = await publish(px, tmp_path, *STEPS)
    top = f"s{secrets.token_hex(4)}"
    declared = {2: f'[versions.dependencies]\n{base} = ">=2"\n'}
    await px.catalogue.publish(make_package(tmp_path / top, top, *STEPS, declared=declared))
    await px.fleet.start(await plan(px, base, "install", two))
    await px.fleet.start(await plan(px, top, "install", two, "1.0"))
    upgrade = await plan(px, top, "upgrade", two)
    async with px.tenant(two[0]) as scope:
        await scope.systems.migrate(base, "1.0")
    done = await px.fleet.start(upgrade)
    assert (done.done, await codes(px, done)) == (1, {"system.dependency"})
    assert [(await held(px, tenant))[top] for tenant in two] == ["1.0", "2.0"]


async def test_what_needs_a_system_keeps_it_between_its_phases(
    px: Platform, two: tuple[str, ...], tmp_path: Path
) -> None:
    base = await publish(px, tmp_path, *STEPS)
    unique = ("CREATE TABLE c (a int); INSERT INTO c SELECT 1 FROM generate_series(1, CASE WHEN current_schema LIKE "
              "'%trial%' THEN 1 ELSE 2 END); SELECT 1; CREATE UNIQUE INDEX CONCURRENTLY u ON c (a);", None)  # fmt: skip
    top = await publish(px, tmp_path, unique, **{base: ">=2"})
    await px.fleet.start(await plan(px, base, "install", two))
    back = await plan(px, base, "rollback", two, "1.0")
    half = await px.fleet.start(await plan(px, top, "install", two))
    assert await codes(px, half) == {"23505"}
    assert await codes(px, await px.fleet.start(back)) == {"system.dependency"}
    # The index can never be built: a way out is to remove what is half there.
    blocked = await plan(px, top, "uninstall", two)
    assert {item.code for item in blocked.blocked} <= {"system.failed", "system.unfinished"}
    assert blocked.tenants == 0
    forced = await px.fleet.plan(top, "uninstall", selection=Selection(tenants=two), options=Options(force=True))
    gone = await px.fleet.start(forced)
    assert (gone.status, gone.done) == ("finished", 2)
    for tenant in two:
        assert await held(px, tenant) == {base: "2.0"}
    assert (await px.fleet.start(back)).status == "finished"
    assert await px.fleet.errors(top) == {}


async def test_who_was_suspended_or_edited_meanwhile_is_left_alone(shop: Shop, px: Platform) -> None:
    await shop.open(5)
    first, second, third, *rest = shop.tenants
    made = await shop.plan("upgrade", "2.0", waves=(), max_failures="0")
    await px.tenants.suspend(first)
    await shop.sql(second, "ALTER TABLE items ADD COLUMN extra text")
    async with px.tenant(third) as scope:
        await scope.systems.migrate(shop.system, "2.0")  # moved, which is no drift
    done = await px.fleet.start(replace(made, made_at=made.made_at - timedelta(minutes=1)))
    assert (done.status, done.done, done.failed) == ("finished", 3, 2)
    failures = {item.code: item.tenants for item in await px.fleet.failures(done.rollout_id)}
    assert failures == {"tenant.suspended": (first,), "system.drift": (second,)}
    await px.tenants.resume(first)
    assert await shop.versions() == installed("2.0", [third, *rest]) | installed("1.0", [first, second])
    again = await px.fleet.resume(done.rollout_id, retry_failed=True)
    assert (again.done, await codes(px, again)) == (4, {"system.drift"})
    assert await px.fleet.errors(shop.system) == {}


async def test_no_statement_of_a_step_scans_a_table(
    px: Platform, settings: Settings, two: tuple[str, ...], tmp_path: Path
) -> None:
    """By the plans that the login itself gets, whatever statistics say of a small table."""
    base = await publish(px, tmp_path, *STEPS)
    await px.fleet.start(await plan(px, base, "install", two, "1.0"))
    connection = await px._postgres.connection("fleet", "management_system_repository")
    guard = json.dumps({"needs": {base: [f"{base}:1.0"]}, "against": ["x:1.0"]})
    try:
        # As with the rows of many tenants, where a scan would hurt.
        transaction = connection.transaction()
        await transaction.start()
        await connection.execute(context_of(settings, connection, two[0]))
        await connection.execute("SET LOCAL enable_seqscan = off")
        for text in (
            f"UPDATE public.tenant_systems SET version_id = version_id WHERE system_id = '{base}' AND version_id = 'x' "
            "AND status = 'installed' AND NOT EXISTS (SELECT FROM prismicx.unfinished_steps u WHERE u.system_id = 'x')",
            f"SELECT FROM public.tenant_systems t WHERE t.system_id = '{base}' AND '[\"x\"]'::jsonb ? t.version_id "
            "FOR SHARE",
            "SELECT version_id FROM public.tenant_systems WHERE status = 'installed' UNION ALL "
            "SELECT version_to FROM prismicx.unfinished_steps",
            f"SELECT FROM (SELECT system_id FROM public.tenant_systems WHERE status = 'installed') h "
            f"JOIN public.management_systems s ON s.system_id = h.system_id WHERE s.type = '{base}'",
        ):  # fmt: skip
            lines = [row[0] for row in await connection.fetch(f"EXPLAIN {text}")]
            assert not any("Seq Scan" in line for line in lines), lines
        # And the function does what it should with such a guard.
        with pytest.raises(asyncpg.PostgresError, match="in a version that") as caught:
            await connection.fetch(
                "SELECT prismicx.check_others($1, false, $2::jsonb)", "other", guard.replace(":1.0", ":9.9")
            )
        assert caught.value.sqlstate == "PX004"
        await transaction.rollback()
    finally:
        await connection.close()


async def test_one_by_one_the_same_rules_hold(px: Platform, two: tuple[str, ...], tmp_path: Path) -> None:
    """Phases that are transactions of their own are guarded, too, when a tenant is changed by itself."""
    kind = f"k{secrets.token_hex(4)}"
    systems = [await publish(px, tmp_path, WITHOUT_TRANSACTION, kind=kind) for _ in range(2)]
    async with px.tenant(two[0]) as scope:
        found = await asyncio.gather(*(scope.systems.install(system) for system in systems), return_exceptions=True)
    errors = [item for item in found if isinstance(item, Conflict)]
    assert len(errors) == 1
    assert errors[0].code in ("system.type_taken", "system.busy")
    assert len(await held(px, two[0])) == 1


async def test_a_plan_names_dependencies_and_failed_installations(
    px: Platform, two: tuple[str, ...], tmp_path: Path
) -> None:
    base = await publish(px, tmp_path, *STEPS)
    top = await publish(px, tmp_path, *STEPS, **{base: ">=2"})
    assert {item.code for item in (await plan(px, top, "install", two)).blocked} == {"system.dependency"}
    fails = "DO $$ BEGIN IF current_schema NOT LIKE '%trial%' THEN RAISE EXCEPTION 'no'; END IF; END $$;"
    failing = await publish(px, tmp_path, (fails, None))
    assert (await px.fleet.start(await plan(px, failing, "install", two))).failed == 2
    blocked = (await plan(px, failing, "upgrade", two)).blocked
    assert [item.code for item in blocked] == ["system.failed"] * 2
    assert (await plan(px, failing, "install", two)).tenants == 2
    # It can be removed, though there is nothing but a row that tells of it.
    forced = await px.fleet.plan(failing, "uninstall", selection=Selection(tenants=two), options=Options(force=True))
    assert (await px.fleet.start(forced)).done == 2
    assert await px.fleet.errors(failing) == {}


async def test_connections_are_replaced_by_what_they_touched(
    shop: Shop, px: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    await shop.open(8)
    monkeypatch.setattr(execution, "RECYCLED_AFTER", 2)
    closed = 0
    close = execution.Link.close

    async def counted(link: execution.Link) -> None:
        nonlocal closed
        closed += 1
        await close(link)

    monkeypatch.setattr(execution.Link, "close", counted)
    assert (await shop.run("upgrade", "4.0", waves=(), concurrency=1)).done == 8
    assert closed > 4


async def test_while_a_connection_is_replaced_others_take_the_last_ones(
    shop: Shop, px: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    await shop.open(8)
    monkeypatch.setattr(execution, "RECYCLED_AFTER", 1)
    close = execution.Link.close

    async def slowly(link: execution.Link) -> None:
        await close(link)
        await asyncio.sleep(0.01 * (id(link) // 64 % 7))

    monkeypatch.setattr(execution.Link, "close", slowly)
    for version in ("2.0", "3.0", "4.0"):
        done = await shop.run("upgrade", version, waves=(), concurrency=5)
        assert (done.status, done.done) == ("finished", 8)
