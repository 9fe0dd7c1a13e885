"""Plans and rollouts over many tenants: what would be done is what is done, once, whatever happens meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prismicx import Conflict, InvalidInput, NotFound, Platform
from prismicx.fleet.values import Options, Selection
from tests.integration.shop import ALL, Shop, installed
from tests.support import administrator


async def test_a_fleet_goes_up_and_down_and_away(shop: Shop) -> None:
    await shop.open(9)
    assert await shop.versions() == installed("1.0", shop.tenants)
    plan = await shop.plan("upgrade", "3.0")
    (group,) = plan.groups
    assert (group.version_from, group.path, sorted(group.tenants)) == ("1.0", ("2.0", "3.0"), sorted(shop.tenants))
    assert (plan.tenants, plan.done, plan.blocked) == (9, 0, ())
    done = await shop.px.fleet.start(plan)
    assert (done.status, done.tenants, done.done, done.failed) == ("finished", 9, 9, 0)
    assert await shop.versions() == installed("3.0", shop.tenants)
    again = await shop.plan("upgrade", "3.0")
    assert (again.tenants, again.done, again.groups) == (0, 9, ())
    assert (await shop.px.fleet.start(again)).status == "finished"
    back = await shop.run("rollback", "1.0")
    assert (back.status, back.done) == ("finished", 9)
    assert await shop.versions() == installed("1.0", shop.tenants)
    standing = await shop.px.fleet.status(shop.system)
    assert [(item.version, item.status, item.tenants) for item in standing] == [("1.0", "installed", 9)]
    gone = await shop.run("uninstall")
    assert (gone.status, gone.done, await shop.versions()) == ("finished", 9, {})
    assert (await shop.run("install")).done == 9
    assert await shop.versions() == installed("4.0", shop.tenants)


async def test_a_plan_tells_who_is_left_out_and_why(shop: Shop, px: Platform) -> None:
    await shop.open(6)
    a, b, c, d, e, f = shop.tenants
    await px.tenants.suspend(a)
    async with px.tenant(b) as scope:
        await scope.systems.migrate(shop.system, "4.0")
    async with px.tenant(c) as scope:
        await scope.systems.uninstall(shop.system)
    async with px.tenant(d) as scope:
        await scope.systems.migrate(shop.system, "2.0")
    plan = await shop.plan("upgrade", "3.0", Selection(tenants=tuple(shop.tenants)))
    assert {item.tenant_id: item.code for item in plan.blocked} == {
        a: "tenant.suspended", b: "system.direction", c: "system.not_installed",
    }  # fmt: skip
    assert {group.version_from: group.tenants for group in plan.groups} == {"1.0": tuple(sorted((e, f))), "2.0": (d,)}
    plan = await shop.plan("rollback", "3.0", Selection(tenants=(b,)))
    assert [(item.tenant_id, item.code) for item in plan.blocked] == [(b, "system.irreversible")]
    await px.tenants.resume(a)
    region = await shop.plan("upgrade", "2.0", Selection(tiers=(shop.system,), regions=("r0",)))
    assert sorted(sum(region.waves, ())) == sorted({a, e} & set(shop.tenants[::2]))
    await px.tenants.update(f, settings={"tags": ["beta"]})
    tagged = await shop.plan("upgrade", "2.0", Selection(tags=("beta",), tiers=(shop.system,)))
    assert tagged.waves == ((f,),)
    with pytest.raises(NotFound) as caught:
        await shop.plan("upgrade", "2.0", Selection(tenants=("nobody",)))
    assert caught.value.code == "tenant.unknown"
    for attempt in (
        shop.plan("upgrade", "9.0"), px.fleet.plan("nothing", "upgrade", selection=ALL),
        px.fleet.get("5f1c0b1e-3c0a-4a53-9d52-1d3c1c1f0a11"),
    ):  # fmt: skip
        with pytest.raises(NotFound):
            await attempt
    wrong: list[Callable[[], object]] = [
        Selection, lambda: Selection(all_tenants=True, tenants=("a",)), lambda: Options(waves=("x",)),
        lambda: Options(concurrency=0), lambda: Options(max_failures="101%"),
    ]  # fmt: skip
    for make in wrong:
        with pytest.raises(InvalidInput):
            make()


@pytest.mark.parametrize(("action", "version"), [("upgrade", "3.0"), ("rollback", "1.0")])
async def test_who_lost_the_system_meanwhile_is_not_given_it_anew(
    shop: Shop, px: Platform, action: str, version: str
) -> None:
    await shop.open(3)
    if action == "rollback":
        await shop.run("upgrade", "2.0")
    plan = await shop.plan(action, version, waves=("100%",), max_failures="50%")
    async with px.tenant(shop.tenants[0]) as scope:
        await scope.systems.uninstall(shop.system)
    done = await px.fleet.start(plan)
    assert (done.done, done.failed) == (2, 1)
    assert [item.code for item in await px.fleet.failures(done.rollout_id)] == ["rollout.moved"]
    assert await shop.versions() == installed(version, shop.tenants[1:])


async def test_failures_pause_it_and_leave_the_others_alone(shop: Shop, px: Platform) -> None:
    await shop.open(10)
    await shop.run("upgrade", "2.0")
    bad = shop.tenants[:3]
    for tenant in bad:
        await shop.sql(tenant, "INSERT INTO items VALUES (1, 'a', -1)")
    paused = await shop.run("upgrade", "3.0", waves=(), max_failures="0", concurrency=1)
    assert (paused.status, paused.failed) == ("paused", 1)
    assert "1 tenants failed" in (paused.reason or "")
    going = await px.fleet.resume(paused.rollout_id)
    assert (going.status, going.failed) == ("paused", 2)
    everybody = await shop.run("upgrade", "3.0", waves=(), max_failures="100%")
    assert (everybody.status, everybody.done, everybody.failed) == ("finished", 10 - going.done - 3, 3)
    (cause,) = await px.fleet.failures(everybody.rollout_id)
    assert (cause.code, sorted(cause.tenants)) == ("23514", sorted(bad))
    assert "items_price_positive" in cause.message
    assert "ALTER TABLE items ADD CONSTRAINT" in cause.message
    held = await shop.versions()
    assert {name: held[name] for name in bad} == installed("2.0", bad)
    async with px.tenant(bad[0]) as scope:
        (item,) = await scope.systems.list()
        assert item.error_message is not None
        assert item.error_message.startswith("23514: ")
    assert [failure.code for failure in (await px.fleet.errors(shop.system))[shop.system]] == ["23514"]
    for tenant in bad:
        await shop.sql(tenant, "DELETE FROM items")
    mended = await px.fleet.resume(everybody.rollout_id, retry_failed=True)
    assert (mended.status, mended.failed, await shop.versions()) == ("finished", 0, installed("3.0", shop.tenants))
    assert await px.fleet.errors(shop.system) == {}
    with pytest.raises(Conflict) as caught:
        await px.fleet.resume(everybody.rollout_id, retry_failed=True)
    assert caught.value.code == "rollout.ended"


async def test_those_that_fail_in_a_message_of_many_are_found(shop: Shop, px: Platform) -> None:
    await shop.open(24)
    await shop.run("upgrade", "2.0", waves=(), concurrency=1)
    bad = sorted(shop.tenants)[5::9]
    for name in bad:
        await shop.sql(name, "INSERT INTO items VALUES (1, 'a', -1)")
    # With nothing allowed it stops at the first one, whoever was sent with it.
    stopped = await shop.run("upgrade", "3.0", waves=(), concurrency=1, max_failures="0")
    assert (stopped.status, stopped.failed) == ("paused", 1)
    versions = await shop.versions()
    assert list(versions.values()).count("3.0 installed") == stopped.done < 24 - len(bad)
    done = await shop.run("upgrade", "3.0", waves=(), concurrency=1, max_failures="3")
    assert (done.status, done.failed) == ("finished", len(bad))
    (cause,) = await px.fleet.failures(done.rollout_id)
    assert (cause.code, sorted(cause.tenants)) == ("23514", bad)
    good = [name for name in shop.tenants if name not in bad]
    assert await shop.versions() == installed("3.0", good) | installed("2.0", bad)
    for name in shop.tenants:
        assert await shop.sql(name, "SELECT count(*) FROM pg_constraint WHERE conname = 'items_price_positive' AND "
                              "conrelid = 'items'::regclass") == (name in good)  # fmt: skip


async def test_a_bad_wave_stops_it(shop: Shop) -> None:
    await shop.open(12)
    await shop.run("upgrade", "2.0")
    canary = shop.tenants[5]
    await shop.sql(canary, "INSERT INTO items VALUES (1, 'a', -1)")
    plan = await shop.plan("upgrade", "3.0", canaries=(canary,), waves=("50%",), max_failures="5")
    assert [len(wave) for wave in plan.waves] == [1, 5, 6]
    assert plan.waves[0] == (canary,)
    stopped = await shop.px.fleet.start(plan)
    assert (stopped.status, stopped.done, stopped.failed) == ("paused", 0, 1)
    assert "wave 1" in (stopped.reason or "")
    assert (await shop.px.fleet.resume(stopped.rollout_id)).done == 11


async def test_pausing_resuming_and_aborting(shop: Shop, px: Platform) -> None:
    await shop.open(8)
    plan = await shop.plan("upgrade", "2.0", waves=(), concurrency=1)
    names: list[Any] = []

    # A reader holds everybody's table, so that the rollout is at work when it is paused.
    admin = await administrator(shop.settings, "management_system_repository")
    async with admin.transaction():
        for tenant in shop.tenants:
            schema = px._names.schema(tenant, shop.system)
            await admin.execute(f'LOCK TABLE "{schema}".items IN ACCESS SHARE MODE')
        running = asyncio.create_task(px.fleet.start(plan))
        while not names:
            names.extend(
                item.rollout_id for item in await px.fleet.list(shop.system, limit=1) if item.action == "upgrade"
            )
            await asyncio.sleep(0.01)
        with pytest.raises(Conflict) as caught:
            await px.fleet.resume(names[0])
        assert caught.value.code == "rollout.running"
        await px.fleet.pause(names[0])
        paused = await running  # it looks twice a second
    await admin.close()
    assert (paused.status, paused.reason) == ("paused", "asked for")
    assert paused.done < 8
    going = await px.fleet.resume(paused.rollout_id)
    assert (going.status, going.done) == ("finished", 8)
    other = await shop.plan("upgrade", "3.0", waves=(), max_failures="0")
    for tenant in shop.tenants:
        await shop.sql(tenant, "INSERT INTO items VALUES (1, 'a', -1)")
    stuck = await px.fleet.start(other)
    assert stuck.status == "paused"
    assert (await px.fleet.abort(stuck.rollout_id)).status == "aborted"
    for attempt in (px.fleet.resume(stuck.rollout_id), px.fleet.pause(stuck.rollout_id)):
        with pytest.raises(Conflict) as caught:
            await attempt
        assert caught.value.code == "rollout.ended"


async def test_two_rollouts_at_once_run_every_step_once(shop: Shop, px: Platform) -> None:
    await shop.open(16)
    one, two = await shop.plan("upgrade", "2.0", waves=()), await shop.plan("upgrade", "4.0", waves=())
    first, second = await asyncio.gather(px.fleet.start(one), px.fleet.start(two))
    assert (second.status, second.done, second.failed) == ("finished", 16, 0)
    assert first.failed == 0 or {item.code for item in await px.fleet.failures(first.rollout_id)} <= {
        "rollout.moved",
        "system.irreversible",
    }
    assert await shop.versions() == installed("4.0", shop.tenants)


@pytest.mark.parametrize(("concurrency", "waves"), [(1, ()), (2, ("50%",))])
async def test_a_reader_delays_its_own_tenant_only(
    shop: Shop, px: Platform, concurrency: int, waves: tuple[str, ...]
) -> None:
    await shop.open(20)
    slow = (await shop.plan("upgrade", "2.0", waves=waves)).waves[0][4]  # among those that go in one message
    admin = await administrator(shop.settings, "management_system_repository")
    transaction = admin.transaction()
    await transaction.start()
    schema = px._names.schema(slow, shop.system)
    await admin.execute(f'LOCK TABLE "{schema}".items IN ACCESS SHARE MODE')
    running = asyncio.create_task(
        shop.run("upgrade", "2.0", waves=waves, concurrency=concurrency, lock_milliseconds=50)
    )
    others = installed("2.0", [name for name in shop.tenants if name != slow])
    for _ in range(200):
        if (await shop.versions()).items() >= others.items():
            break
        await asyncio.sleep(0.05)
    assert (await shop.versions())[slow] == "1.0 installed"
    assert not running.done()
    # A reader of the same table comes through while the step waits its short time again and again.
    reader = await administrator(shop.settings, "management_system_repository")
    await asyncio.wait_for(reader.fetch(f'SELECT * FROM "{schema}".items'), 5)
    await reader.close()
    await transaction.rollback()
    await admin.close()
    done = await running
    assert done.status == "finished"
    assert await shop.versions() == installed("2.0", shop.tenants)
    told = (await px.audit.list(operation="rollout.tenant", limit=100)).items
    recorded = [event.tenant_id for event in told if event.subject == str(done.rollout_id)]
    assert sorted(filter(None, recorded)) == sorted(shop.tenants)


@given(
    tenants=st.lists(st.text("abc", min_size=1, max_size=6), unique=True, max_size=30),
    canaries=st.lists(st.text("abc", min_size=1, max_size=6), unique=True, max_size=3),
    waves=st.none() | st.lists(st.from_regex(r"[0-9]{1,2}%?", fullmatch=True), max_size=4).map(tuple),
)
def test_waves_hold_everybody_once(tenants: list[str], canaries: list[str], waves: Any) -> None:
    found = Options(canaries=tuple(canaries), waves=waves).in_waves(tenants, named=False)
    assert sorted(name for wave in found for name in wave) == sorted(tenants)
    assert all(found)
    first = set(canaries) & set(tenants)
    assert not first or set(found[0]) == first


async def test_a_lost_server_pauses_it(shop: Shop, px: Platform) -> None:
    await shop.open(4)
    plan = await shop.plan("upgrade", "2.0", waves=(), concurrency=1)
    admin = await administrator(shop.settings, "management_system_repository")
    seen = 0

    async def cut() -> None:
        await admin.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE usename = $1 AND query LIKE '%take_step%' AND pid <> pg_backend_pid()",
            px._names.service("fleet"),
        )

    def told(_: Any) -> None:
        nonlocal seen
        seen += 1
        if seen == 1:
            cutting.append(asyncio.get_running_loop().create_task(cut()))

    cutting: list[asyncio.Task[None]] = []
    done = await px.fleet.start(plan, progress=told)
    await asyncio.gather(*cutting)
    await admin.close()
    if done.status == "paused":
        assert "lost" in (done.reason or "")
        done = await px.fleet.resume(done.rollout_id)
    assert (done.status, done.done, done.failed) == ("finished", 4, 0)
    assert await shop.versions() == installed("2.0", shop.tenants)
