"""Steps of tenants: what they may do, in which phases, and whether a schema is what its version makes."""

from __future__ import annotations

import asyncio
import secrets

import pytest

from prismicx import Conflict, Platform
from prismicx.fleet.values import Selection
from prismicx.settings import Settings
from tests.integration.shop import SCRIPTS, Shop, installed
from tests.support import administrator, make_package


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
        "CREATE FUNCTION f() RETURNS int LANGUAGE plpgsql AS $$ BEGIN EXECUTE 'CREATE SCHEMA stolen'; RETURN 1; END $$;"
        " DECLARE c CURSOR WITH HOLD FOR SELECT f();",
        "PREPARE stolen AS SELECT 1;",
        "SELECT prismicx.take_step('x', 'x', 'x', 'x', 0, 1, now()::timestamp, NULL, NULL);",
        "GRANT {owner} TO {other};",
        'ALTER FUNCTION runners."{owner}"(text[]) SECURITY INVOKER;',
        'CREATE OR REPLACE FUNCTION runners."{owner}"(statements text[]) RETURNS void LANGUAGE plpgsql AS '
        "$$ BEGIN RESET ROLE; END $$;",
        'DROP FUNCTION runners."{owner}"(text[]);',
        'GRANT EXECUTE ON FUNCTION runners."{owner}"(text[]) TO PUBLIC;',
        "GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA runners TO PUBLIC;",
        'SET search_path = runners; ALTER FUNCTION "{owner}"(text[]) SECURITY INVOKER;',
        "SELECT runners.\"{other}\"(ARRAY['SELECT 1']);",
        "SELECT prismicx.make_runner('{owner}');",
        "CREATE FUNCTION runners.stolen() RETURNS int LANGUAGE sql AS 'SELECT 1';",
        "DROP OWNED BY {owner};",
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
    assert group.locks == {}
    assert (await px.fleet.start(plan)).done == 2
    async with px.tenant(shop.tenants[0]) as scope:
        async with scope.system(shop.system).sql() as sql:
            await sql.execute("INSERT INTO items VALUES (1, 'a', 5)")
        await scope.systems.migrate(shop.system, "1.0")
    assert (await px.fleet.drift(shop.system)).drifted == ()
    assert await shop.versions() == {shop.tenants[0]: "1.0 installed", shop.tenants[1]: "3.0 installed"}


@pytest.mark.parametrize(
    ("more", "question", "answer"),
    [
        ("CREATE TABLE rates AS SELECT 7 AS rate;", "SELECT count(*) FROM rates", 1),
        ("ALTER SEQUENCE numbers RESTART WITH 1000;", "SELECT nextval('numbers')", 1000),
        ("ALTER TABLE counted ALTER COLUMN id RESTART WITH 500;",
         "INSERT INTO counted DEFAULT VALUES RETURNING id", 500),
        ("SELECT setval('numbers', 77);", "SELECT nextval('numbers')", 78),
        # A sequence stays where it began: only the catalogue says 5.
        ("ALTER SEQUENCE numbers START 5;", "SELECT nextval('numbers')", 1),
        ("CREATE MATERIALIZED VIEW rates AS SELECT 7 AS rate;", "SELECT count(*) FROM rates", 1),
    ],
)  # fmt: skip
async def test_a_snapshot_loses_no_data(shop: Shop, px: Platform, more: str, question: str, answer: int) -> None:
    shop.system = f"s{secrets.token_hex(4)}"
    first = "CREATE SEQUENCE numbers; CREATE TABLE counted (id int GENERATED BY DEFAULT AS IDENTITY);"
    await px.catalogue.publish(make_package(shop.folder, shop.system, (first, None), (more, None), ("SELECT 1;", None)))
    shop.tenants = [f"t-{secrets.token_hex(5)}"]
    await px.tenants.create(shop.tenants[0], name="T", isolation="shared", tier=shop.system)
    (group,) = (await shop.plan("install", "1.0")).groups
    assert not group.from_snapshot  # the first version is its script already
    assert group.seconds > 0
    assert (await shop.run("install", "2.0")).done == 1
    assert await shop.sql(shop.tenants[0], question) == answer
    assert (await px.fleet.drift(shop.system)).drifted == ()


async def test_what_runs_scripts_is_made_where_it_is_not_there(shop: Shop, px: Platform) -> None:
    await shop.open(3)
    owners = [px._names.tenant_owner(tenant) for tenant in shop.tenants]
    admin = await administrator(shop.settings, "management_system_repository")
    made = "SELECT prosecdef AND pg_get_userbyid(proowner) = proname FROM pg_proc WHERE oid = to_regprocedure($1)"
    runners = [f'runners."{owner}"(text[])' for owner in owners]
    assert [await admin.fetchval(made, name) for name in runners] == [True] * 3
    for owner in owners:
        for right in ("USAGE", "CREATE"):
            assert not await admin.fetchval("SELECT has_schema_privilege($1, 'runners', $2)", owner, right)
    # As an older release left it, and as nobody should have: each is mended by the step that needs it.
    await admin.execute(f"DROP FUNCTION {runners[0]}; DROP FUNCTION {runners[1]}")
    assert (await shop.run("upgrade", "2.0", selection=Selection(tenants=tuple(shop.tenants[:1])))).done == 1
    async with px.tenant(shop.tenants[1]) as scope:
        assert (await scope.systems.migrate(shop.system, "2.0")).version == "2.0"
    await admin.execute(f"ALTER FUNCTION {runners[2]} SECURITY INVOKER")
    async with px.tenant(shop.tenants[2]) as scope:
        assert (await scope.systems.migrate(shop.system, "2.0")).version == "2.0"
    assert [await admin.fetchval(made, name) for name in runners] == [True] * 3
    await admin.close()


async def test_of_tenants_that_are_made_together_one_that_fails_tells_the_statement(shop: Shop, px: Platform) -> None:
    shop.system = f"s{secrets.token_hex(4)}"
    script = "CREATE TABLE first (a int); CREATE TABLE items (b int); CREATE TABLE last (c int);"
    await px.catalogue.publish(make_package(shop.folder, shop.system, (script, None)))
    shop.tenants = [f"t-{secrets.token_hex(5)}" for _ in range(9)]
    for name in shop.tenants:
        await px.tenants.create(name, name="T", isolation="shared", tier=shop.system)
    taken = shop.tenants[4]
    schema, owner = px._names.schema(taken, shop.system), px._names.tenant_owner(taken)
    admin = await administrator(shop.settings, "management_system_repository")
    await admin.execute(f'CREATE SCHEMA "{schema}" AUTHORIZATION "{owner}"; CREATE VIEW "{schema}".items AS SELECT 1')
    plan = await shop.plan("install", "1.0", waves=(), concurrency=1, max_failures="1")
    done = await px.fleet.start(plan)
    assert (done.done, done.failed) == (8, 1)
    (cause,) = await px.fleet.failures(done.rollout_id)
    assert (cause.code, cause.tenants) == ("42P07", (taken,))
    assert cause.message.endswith("in: CREATE TABLE items (b int)")
    left = await admin.fetch("SELECT relname FROM pg_class WHERE relnamespace = $1::regnamespace", f'"{schema}"')
    assert [row["relname"] for row in left] == ["items"]
    await admin.execute(f'DROP VIEW "{schema}".items')
    assert (await px.fleet.resume(done.rollout_id, retry_failed=True)).done == 9
    assert await shop.versions() == installed("1.0", shop.tenants)
    await admin.close()


async def test_a_tenant_has_what_runs_its_scripts_from_its_making_on(shop: Shop, px: Platform) -> None:
    await shop.open(2, version=None)
    admin = await administrator(shop.settings, "management_system_repository")
    runners = [f'runners."{px._names.tenant_owner(tenant)}"(text[])' for tenant in shop.tenants]
    for name in runners:
        assert await admin.fetchval("SELECT to_regprocedure($1) IS NOT NULL", name)
    await admin.execute(f"DROP FUNCTION {runners[1]}")  # as an older release made tenants
    assert (await shop.run("install", "1.0")).done == 2
    assert await admin.fetchval("SELECT to_regprocedure($1) IS NOT NULL", runners[1])
    await admin.close()
