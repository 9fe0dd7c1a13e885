"""Tenants that are between two versions, that move while somebody looks, or that were never ready: told as they are."""

from __future__ import annotations

import asyncio
import secrets
from typing import Any

import asyncpg
import pytest

from prismicx import Conflict, InvalidInput, NotFound, Platform, Unavailable
from prismicx.fleet import drift as fleet_drift
from prismicx.fleet.values import grouped
from prismicx.systems.execution import Link, stepping
from tests.integration.shop import SCRIPTS, Shop, installed
from tests.support import administrator, make_package

DATABASE = "management_system_repository"
UNIQUE = (
    "CREATE TABLE more (id int); CREATE UNIQUE INDEX CONCURRENTLY items_name ON items (name);",
    "DROP TABLE more; DROP INDEX items_name;",
)
INSERTED = (
    "CREATE TABLE items (id int PRIMARY KEY, name text); INSERT INTO items VALUES (1, 'a');",
    "DROP TABLE items;",
)
CONTENDED = "PREPARE stolen AS SELECT 1; DO $$ BEGIN RAISE EXCEPTION 'busy' USING ERRCODE = '40001'; END $$"


async def publish(shop: Shop, *scripts: Any, tenants: int, declared: dict[int, str] | None = None) -> list[str]:
    shop.system = f"s{secrets.token_hex(4)}"
    await shop.px.catalogue.publish(make_package(shop.folder, shop.system, *scripts, declared=declared))
    shop.tenants = [f"t-{secrets.token_hex(5)}" for _ in range(tenants)]
    await asyncio.gather(
        *(shop.px.tenants.create(name, name="T", isolation="shared", tier=shop.system) for name in shop.tenants)
    )
    return shop.tenants


async def test_who_is_between_two_versions_goes_on_and_nowhere_else(shop: Shop, px: Platform) -> None:
    (tenant,) = await publish(shop, *SCRIPTS[:2], UNIQUE, tenants=1)
    await shop.run("install", "2.0")
    await shop.sql(tenant, "INSERT INTO items VALUES (1, 'a'), (2, 'a')")
    back = await shop.plan("rollback", "1.0")
    async with px.tenant(tenant) as scope:
        with pytest.raises(Conflict) as failed:
            await scope.systems.migrate(shop.system, "3.0")
        assert failed.value.code == "system.migration_failed"
        assert "phase 1 of 2 on the way to" in failed.value.remedy
        for other in ("1.0", "2.0"):
            with pytest.raises(Conflict) as caught:
                await scope.systems.migrate(shop.system, other)
            assert caught.value.code == "system.unfinished"
        # And by a rollout that was planned before.
        done = await px.fleet.start(back)
        assert (done.failed, await shop.versions()) == (1, installed("2.0", [tenant]))
        await shop.sql(tenant, "DELETE FROM items")
        assert (await scope.systems.migrate(shop.system, "3.0")).version == "3.0"


async def test_an_installation_of_several_steps_goes_on_after_others_were_in_the_way(shop: Shop, px: Platform) -> None:
    (tenant,) = await publish(shop, INSERTED, UNIQUE, tenants=1)
    reader = await administrator(shop.settings, DATABASE)
    transaction = reader.transaction(isolation="repeatable_read")
    await transaction.start()
    await reader.fetchval("SELECT 1")  # its snapshot is what CREATE INDEX CONCURRENTLY waits for
    async with px.tenant(tenant) as scope:
        installing = asyncio.create_task(scope.systems.install(shop.system, patience=30))
        await asyncio.sleep(1.5)
        await transaction.rollback()
        assert (await installing).version == "2.0"
    await reader.close()


async def test_an_installation_that_stops_half_way_tells_why(shop: Shop, px: Platform) -> None:
    (tenant,) = await publish(shop, INSERTED, SCRIPTS[1], tenants=1)
    admin = await administrator(shop.settings, DATABASE)
    changed = (
        "UPDATE schema_migrations SET migration_sql = 'SELECT 1 / 0' WHERE system_id = $1 AND schema_version_to = 2"
    )
    await admin.execute(changed, shop.system)
    await admin.close()
    done = await shop.run("install", "2.0", max_failures="1")
    assert (done.failed, await shop.versions()) == (1, installed("1.0", [tenant]))
    (cause,) = (await px.fleet.errors(shop.system))[shop.system]
    assert (cause.code, cause.tenants) == ("22012", (tenant,))


async def test_many_get_no_configuration_that_the_version_forbids(shop: Shop) -> None:
    needed = '[versions.configuration]\ntype = "object"\nrequired = ["region"]\nproperties.region.type = "string"\n'
    await publish(shop, SCRIPTS[0], tenants=2, declared={1: needed})
    with pytest.raises(InvalidInput) as caught:
        await shop.plan("install")
    assert caught.value.code == "system.configuration_invalid"


async def test_of_tenants_alike_in_version_each_configuration_is_looked_at(shop: Shop, px: Platform) -> None:
    schema = '[versions.configuration]\ntype = "object"\nproperties.region.type = "string"\n'
    needed = f'{schema}required = ["region"]\n'
    none, north, south, other = await publish(shop, *SCRIPTS[:2], tenants=4, declared={1: schema, 2: needed})
    assert (await shop.run("install", "1.0")).done == 4
    for tenant, region in ((north, "eu"), (south, "eu"), (other, "us")):
        async with px.tenant(tenant) as scope:
            await scope.systems.configure(shop.system, configuration={"region": region})
    plan = await shop.plan("upgrade", "2.0")
    assert [(item.tenant_id, item.code) for item in plan.blocked] == [(none, "system.configuration_invalid")]
    assert {group.tenants for group in plan.groups} == {tuple(sorted((north, south, other)))}


async def test_a_wave_of_those_who_may_not_be_touched_is_passed(shop: Shop, px: Platform) -> None:
    await shop.open(3)
    canary, *others = shop.tenants
    plan = await shop.plan("upgrade", "2.0", canaries=(canary,), max_failures="1")
    await px.tenants.suspend(canary)
    done = await px.fleet.start(plan)
    assert (done.status, done.done, done.failed) == ("finished", 2, 1)
    await px.tenants.resume(canary)
    assert await shop.versions() == installed("2.0", others) | installed("1.0", [canary])


def test_failures_of_one_cause_are_one_group_whatever_the_tenant() -> None:
    found = grouped([("tenant.suspended", f"{name} is suspended", name) for name in ("ann", "bob")])
    assert [(item.message, item.tenants) for item in found] == [("ann is suspended", ("ann", "bob"))]


async def test_nothing_that_a_script_prepared_is_left_in_a_session(px: Platform) -> None:
    prepared = "SELECT count(*) FROM pg_prepared_statements WHERE from_sql"
    link = Link(px._postgres)
    with pytest.raises(asyncpg.SerializationError):
        await link.send(CONTENDED)
    assert await link.ask(prepared) == 0
    await link.close()
    pool = await px._postgres.pool("fleet", DATABASE)
    with pytest.raises(asyncpg.SerializationError):
        async with stepping(pool) as connection:
            await connection.execute(CONTENDED)
    held = [await pool.acquire() for _ in range(pool.get_size())]
    assert [await connection.fetchval(prepared) for connection in held] == [0] * len(held)
    for connection in held:
        await pool.release(connection)


async def test_who_moves_while_somebody_looks_has_not_drifted(
    shop: Shop, px: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    await shop.open(3)
    moving, edited, gone = shop.tenants
    hashes_of_many = fleet_drift.hashes_of_many
    await shop.sql(edited, "ALTER TABLE items ADD COLUMN mine int")

    async def moved_before(*words: Any) -> Any:
        async with px.tenant(moving) as scope:
            await scope.systems.migrate(shop.system, versions.pop())
        return await hashes_of_many(*words)

    versions = ["3.0", "2.0"]
    monkeypatch.setattr(fleet_drift, "hashes_of_many", moved_before)
    assert [item.tenant_id for item in (await px.fleet.drift(shop.system)).drifted] == [edited]
    plan = await shop.plan("upgrade", "4.0")
    assert [item.tenant_id for item in plan.blocked] == [edited]
    monkeypatch.undo()
    with pytest.raises(NotFound) as caught:
        await px.fleet.drift(shop.system, tenants=["nobody"])
    assert caught.value.code == "tenant.unknown"
    assert (await px.fleet.drift(shop.system, tenants=[gone])).drifted == ()


async def test_a_rollout_that_nobody_can_stop_any_more_stops(shop: Shop, px: Platform) -> None:
    slow = ("SELECT pg_sleep(0.2); ALTER TABLE items ADD COLUMN price int;", "ALTER TABLE items DROP COLUMN price;")
    await publish(shop, SCRIPTS[0], slow, tenants=8)
    await shop.run("install", "1.0")
    plan = await shop.plan("upgrade", "2.0", waves=(), concurrency=1)
    running = asyncio.create_task(px.fleet.start(plan))
    admin = await administrator(shop.settings, DATABASE)
    ended = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename = $1 AND query LIKE $2"
    login = px._names.service("fleet")
    while not await admin.fetchval(ended, login, "SELECT status FROM prismicx.rollouts%"):
        await asyncio.sleep(0.05)
    await admin.close()
    with pytest.raises(Unavailable) as caught:
        await running
    assert caught.value.code == "postgres.lost"
    latest = (await px.fleet.list(shop.system, limit=1))[0]
    assert latest.status == "interrupted"
    assert latest.done < 8
    assert (await px.fleet.resume(latest.rollout_id)).status == "finished"
    assert await shop.versions() == installed("2.0", shop.tenants)
