"""Plans and rollouts over many tenants: what would be done is what is done, once, whatever happens meanwhile."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prismicx import Conflict, InvalidInput, NotFound, Platform
from prismicx.fleet.values import Options, Plan, Rollout, Selection
from prismicx.settings import Settings
from tests.support import administrator, make_package

ALL = Selection(all_tenants=True)
SCRIPTS = (
    ("CREATE TABLE items (id int PRIMARY KEY, name text);", "DROP TABLE items;"),
    ("ALTER TABLE items ADD COLUMN price int; CREATE INDEX items_price ON items (price);",
     "ALTER TABLE items DROP COLUMN price;"),
    ("ALTER TABLE items ADD CONSTRAINT items_price_positive CHECK (price > 0);",
     "ALTER TABLE items DROP CONSTRAINT items_price_positive;"),
    ("CREATE TABLE notes (id int);", None),
)  # fmt: skip


class Shop:
    """A system of its own and tenants of its own, so that tests are not in each other's way."""

    def __init__(self, px: Platform, settings: Settings, folder: Path) -> None:
        self.px, self.settings = px, settings
        self.system = f"s{secrets.token_hex(4)}"
        self.folder = folder
        self.tenants: list[str] = []

    async def open(self, count: int, version: str | None = "1.0") -> None:
        make_package(self.folder, self.system, *SCRIPTS)
        await self.px.catalogue.publish(self.folder)
        self.tenants = [f"t-{secrets.token_hex(5)}" for _ in range(count)]
        for begin in range(0, count, 8):
            await asyncio.gather(
                *(self.px.tenants.create(name, name="T", isolation="shared", tier=self.system, region=f"r{n % 2}")
                  for n, name in enumerate(self.tenants[begin : begin + 8], begin))
            )  # fmt: skip
        if version is not None:
            await self.run("install", version)

    @property
    def mine(self) -> Selection:
        return Selection(tiers=(self.system,))

    async def plan(
        self, action: Any, version: str | None = None, selection: Selection | None = None, **options: Any
    ) -> Plan:
        return await self.px.fleet.plan(
            self.system, action, selection=selection or self.mine, version=version, options=Options(**options)
        )

    async def run(self, action: Any, version: str | None = None, **options: Any) -> Rollout:
        return await self.px.fleet.start(await self.plan(action, version, **options))

    async def versions(self) -> dict[str, str]:
        """What each tenant has; `price` or not is looked up in its schema."""
        found = {}
        for name in self.tenants:
            async with self.px.tenant(name) as scope:
                for item in await scope.systems.list():
                    found[name] = f"{item.version} {item.status}"
        return found

    async def sql(self, tenant: str, text: str) -> Any:
        admin = await administrator(self.settings, "management_system_repository")
        try:
            async with admin.transaction():
                schema = f"{self.settings.namespace}__tenant_{tenant}_{self.system}".replace("-", "_")
                names = [row[0] for row in await admin.fetch("SELECT nspname FROM pg_namespace")]
                schema = next(
                    name for name in names if name.endswith(f"tenant_{tenant}_{self.system}".replace("-", "_"))
                )
                await admin.execute(f'SET LOCAL search_path = "{schema}"')
                return await admin.fetchval(text)
        finally:
            await admin.close()


@pytest.fixture
async def shop(px: Platform, settings: Settings, tmp_path: Path) -> AsyncIterator[Shop]:
    yield Shop(px, settings, tmp_path)


def installed(version: str, tenants: Sequence[str]) -> dict[str, str]:
    return dict.fromkeys(tenants, f"{version} installed")


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
    assert {item.tenant_id: item.code for item in plan.blocked} == {a: "tenant.suspended", c: "system.not_installed"}
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

    async def pause_soon() -> None:
        while not names:
            names.extend(
                item.rollout_id for item in await px.fleet.list(shop.system, limit=1) if item.action == "upgrade"
            )
            await asyncio.sleep(0.01)
        await px.fleet.pause(names[0])

    # A reader holds the table of one tenant, so that the rollout is at work when it is paused.
    admin = await administrator(shop.settings, "management_system_repository")
    async with admin.transaction():
        for tenant in shop.tenants:
            schema = px._names.schema(tenant, shop.system)
            await admin.execute(f'LOCK TABLE "{schema}".items IN ACCESS SHARE MODE')
        running = asyncio.create_task(px.fleet.start(plan))
        await pause_soon()
        with pytest.raises(Conflict) as caught:
            await px.fleet.resume(names[0])
        assert caught.value.code == "rollout.running"
        await asyncio.sleep(1)  # it looks twice a second
    await admin.close()
    paused = await running
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


async def test_a_reader_delays_its_own_tenant_only(shop: Shop, px: Platform) -> None:
    await shop.open(6)
    slow = shop.tenants[2]
    admin = await administrator(shop.settings, "management_system_repository")
    transaction = admin.transaction()
    await transaction.start()
    schema = px._names.schema(slow, shop.system)
    await admin.execute(f'LOCK TABLE "{schema}".items IN ACCESS SHARE MODE')
    running = asyncio.create_task(shop.run("upgrade", "2.0", waves=(), concurrency=2, lock_milliseconds=50))
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
    assert (await running).status == "finished"
    assert await shop.versions() == installed("2.0", shop.tenants)


@pytest.mark.parametrize(
    "script",
    [
        "RESET ROLE; CREATE ROLE stolen;",
        "SET ROLE {other};",
        "SET LOCAL ROLE NONE; SELECT 1;",
        "SET SESSION AUTHORIZATION {fleet};",
        "SELECT set_config('role', '{other}', true);",
        "COMMIT; CREATE TABLE public.stolen (id int);",
        "ROLLBACK;",
        "CREATE TABLE public.stolen (id int);",
        "DELETE FROM public.tenant_systems;",
        "INSERT INTO \"{schema}\".items VALUES (66, 'planted');",
        'SELECT * FROM "{schema}".items;',
        "DO $$ BEGIN RESET ROLE; EXECUTE 'DROP TABLE \"{schema}\".items'; END $$;",
        "DO $$ BEGIN PERFORM set_config('role', 'none', false); END $$;",
        "CREATE SCHEMA stolen;",
        "CREATE EXTENSION dblink;",
        "CREATE DATABASE stolen;",
        "COPY items TO PROGRAM 'cat';",
        "COPY items TO '/tmp/stolen';",
        "ALTER SYSTEM SET log_statement = 'all';",
        "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RESET ROLE; RETURN NULL; END $$; "
        "CREATE CONSTRAINT TRIGGER t AFTER INSERT ON items DEFERRABLE INITIALLY DEFERRED FOR EACH ROW "
        "EXECUTE FUNCTION f(); INSERT INTO items VALUES (1, 'x');",
        "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$; "
        "CREATE CONSTRAINT TRIGGER t AFTER INSERT ON items DEFERRABLE INITIALLY DEFERRED FOR EACH ROW "
        "EXECUTE FUNCTION f();",
        "SELECT prismicx.take_step('x', 'x', 'x', 'x', 0, 1, now()::timestamp, NULL, NULL);",
        "GRANT {owner} TO {other};",
        "ALTER DEFAULT PRIVILEGES FOR ROLE {other} GRANT ALL ON TABLES TO PUBLIC;",
    ],
)
async def test_what_the_parser_misses_the_server_refuses(shop: Shop, px: Platform, script: str) -> None:
    """Scripts that reach for more are put into the catalogue past every check, and run for one tenant."""
    await shop.open(2)
    mine, theirs = shop.tenants
    names = px._names
    words = {
        "other": names.tenant_owner(theirs), "owner": names.tenant_owner(mine), "fleet": names.service("fleet"),
        "schema": names.schema(theirs, shop.system),
    }  # fmt: skip
    for key, value in words.items():
        script = script.replace(f"{{{key}}}", value)
    admin = await administrator(shop.settings, "management_system_repository")
    changed = "UPDATE schema_migrations SET migration_sql = $1 WHERE system_id = $2 AND schema_version_to = 2"
    await admin.execute(changed, script, shop.system)
    done = await shop.run("upgrade", "2.0", selection=Selection(tenants=(mine,)), max_failures="0")
    assert (done.status, done.failed, done.done) == ("paused", 1, 0)
    assert await shop.versions() == installed("1.0", shop.tenants)
    assert await shop.sql(theirs, "SELECT count(*) FROM items") == 0
    for relation in ("public.stolen", "stolen"):
        assert await admin.fetchval("SELECT to_regclass($1)", relation) is None
    assert await admin.fetchval("SELECT count(*) FROM pg_roles WHERE rolname = 'stolen'") == 0
    assert await admin.fetchval("SELECT count(*) FROM pg_namespace WHERE nspname = 'stolen'") == 0
    # And for one tenant by its own scope, in the same way.
    async with px.tenant(mine) as scope:
        with pytest.raises(Conflict) as caught:
            await scope.systems.migrate(shop.system, "2.0")
    assert caught.value.code == "system.migration_failed"
    assert await shop.versions() == installed("1.0", shop.tenants)
    await admin.close()


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


async def test_what_cannot_run_in_a_transaction_is_a_phase_of_its_own(
    shop: Shop, px: Platform, settings: Settings
) -> None:
    shop.system = f"s{secrets.token_hex(4)}"
    script = (
        "CREATE TABLE more (id int);\n"
        "CREATE UNIQUE INDEX CONCURRENTLY items_name ON items (name);\n"
        "COMMENT ON TABLE ${schema}.more IS 'after';"
    )
    down = "DROP TABLE more; DROP INDEX items_name;"
    make_package(shop.folder, shop.system, SCRIPTS[0], (script, down))
    await px.catalogue.publish(shop.folder)
    shop.tenants = [f"t-{secrets.token_hex(5)}" for _ in range(4)]
    await asyncio.gather(
        *(px.tenants.create(name, name="T", isolation="shared", tier=shop.system) for name in shop.tenants)
    )
    await shop.run("install", "1.0")
    bad, good = shop.tenants[0], shop.tenants[1:]
    await shop.sql(bad, "INSERT INTO items VALUES (1, 'a'), (2, 'a')")
    done = await shop.run("upgrade", "2.0", waves=(), max_failures="1")
    assert (done.done, done.failed) == (3, 1), await px.fleet.failures(done.rollout_id)
    (cause,) = await px.fleet.failures(done.rollout_id)
    assert (cause.code, cause.tenants) == ("23505", (bad,))
    assert await shop.versions() == installed("2.0", good) | installed("1.0", [bad])
    codes = [item.code for item in (await px.fleet.errors(shop.system))[shop.system]]
    assert sorted(codes) == ["23505", "system.unfinished"]
    # It is between two versions: nothing leads anywhere else.
    plan = await shop.plan("uninstall", selection=Selection(tenants=(bad,)))
    assert [item.code for item in plan.blocked] == ["system.unfinished"]
    await shop.sql(bad, "DELETE FROM items")
    assert await shop.sql(bad, "SELECT indisvalid FROM pg_index WHERE indexrelid = 'items_name'::regclass") is False
    async with px.tenant(bad) as scope:
        assert (await scope.systems.migrate(shop.system)).version == "2.0"
        assert (await scope.systems.migrate(shop.system, "1.0")).version == "1.0"
        assert (await scope.systems.migrate(shop.system, "2.0")).version == "2.0"
    for name in shop.tenants:
        assert await shop.sql(name, "SELECT indisvalid FROM pg_index WHERE indexrelid = 'items_name'::regclass")
        assert await shop.sql(name, "SELECT obj_description('more'::regclass)") == "after"
    assert await px.fleet.errors(shop.system) == {}


async def test_drift_is_named_mended_and_in_the_way(shop: Shop, px: Platform, settings: Settings) -> None:
    await shop.open(5)
    await shop.run("upgrade", "3.0")
    await shop.run("rollback", "2.0")  # going back is no drift
    assert (await px.fleet.drift(shop.system)).drifted == ()
    edited, dropped, missing = shop.tenants[0], shop.tenants[1], shop.tenants[2]
    await shop.sql(edited, "ALTER TABLE items ADD COLUMN extra text")
    await shop.sql(edited, "ALTER TABLE items ALTER COLUMN name SET NOT NULL")
    await shop.sql(dropped, "DROP INDEX items_price")
    await shop.sql(missing, "SELECT 1")
    admin = await administrator(settings, "management_system_repository")
    await admin.execute(f'DROP SCHEMA "{px._names.schema(missing, shop.system)}" CASCADE')
    await admin.close()
    found = await px.fleet.drift(shop.system)
    assert (found.checked, found.untried, found.between) == (5, (), ())
    told = {item.tenant_id: {str(part).partition(":")[0] for part in item.differences} for item in found.drifted}
    assert told == {
        edited: {"column items.extra is extra", "column items.name has another required"},
        dropped: {"index items.items_price is missing"},
        missing: {f"schema {px._names.schema(missing, shop.system)} is missing"},
    }
    plan = await shop.plan("upgrade", "3.0")
    assert {item.tenant_id: item.code for item in plan.blocked} == dict.fromkeys(
        (edited, dropped, missing), "system.drift"
    )
    assert plan.tenants == 2
    (mending,) = (item.repair for item in found.drifted if item.tenant_id == dropped)
    admin = await administrator(settings, "management_system_repository")
    async with admin.transaction():
        for line in mending:
            await admin.execute(line)
    await admin.close()
    assert {item.tenant_id for item in (await px.fleet.drift(shop.system)).drifted} == {edited, missing}
    assert [item.tenant_id for item in (await px.fleet.drift(shop.system, tenants=[edited])).drifted] == [edited]
    forced = await shop.plan("upgrade", "3.0", Selection(tenants=(edited,)), force=True)
    assert (await px.fleet.start(forced)).done == 1
    async with px.tenant(shop.tenants[3]) as scope:
        await shop.sql(shop.tenants[3], "ALTER TABLE items ADD COLUMN extra text")
        with pytest.raises(Conflict) as caught:
            await scope.systems.migrate(shop.system, "3.0")
        assert caught.value.code == "system.drift"
        assert "items.extra" in caught.value.message
        assert (await scope.systems.migrate(shop.system, "3.0", force=True)).version == "3.0"


async def test_a_snapshot_gives_what_the_history_gives(shop: Shop, px: Platform) -> None:
    await shop.open(2, version=None)
    plan = await shop.plan("install", "3.0")
    (group,) = plan.groups
    assert (group.from_snapshot, group.path) == (True, ("3.0",))
    assert set(group.locks) <= {"1.0", "2.0", "3.0"}
    assert (await px.fleet.start(plan)).done == 2
    async with px.tenant(shop.tenants[0]) as scope:
        async with scope.system(shop.system).sql() as sql:
            await sql.execute("INSERT INTO items VALUES (1, 'a', 5)")
        await scope.systems.migrate(shop.system, "1.0")
    assert (await px.fleet.drift(shop.system)).drifted == ()
    assert await shop.versions() == {shop.tenants[0]: "1.0 installed", shop.tenants[1]: "3.0 installed"}
