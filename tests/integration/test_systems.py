"""Publishing and installing: one transaction with the ledger row, as a role that owns one tenant's schema."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from prismicx import BoundaryViolation, Conflict, InvalidInput, NotFound, Platform, Unavailable
from prismicx.credentials import Credentials
from prismicx.engines.endpoints import locate
from prismicx.names import Names
from prismicx.platform import open_platform
from prismicx.settings import Settings
from prismicx.systems import installation, package
from tests.support import administrator, make_package

ROOT = Path(__file__).parents[2]
SYSTEMS = ("crm", "sales", "marketing")
Id = Callable[[], str]

CHECKS = [
    pytest.param(system, check, id=f"{system}: {check['what']}")
    for system in SYSTEMS
    for check in tomllib.loads((ROOT / "tests/data/systems" / system / "checks.toml").read_text())["check"]
]


@pytest.fixture(scope="module")
async def published(px: Platform) -> Platform:
    for system in SYSTEMS:
        await px.catalogue.publish(ROOT / "systems" / system)
    return px


async def load(px: Platform, settings: Settings, tenant: str, system: str) -> None:
    """The awkward rows of version 1.0.0, as the tenant's own role inserts them."""
    names = Names(settings.namespace)
    admin = await administrator(settings, "management_system_repository")
    try:
        async with admin.transaction():
            await admin.execute(f'SET LOCAL ROLE "{names.tenant_role(tenant)}"')
            await admin.execute(f'SET LOCAL search_path = "{names.schema(tenant, system)}"')
            await admin.execute((ROOT / "tests/data/systems" / system / "1.0.0.sql").read_text())
    finally:
        await admin.close()


async def snapshot(settings: Settings, schema: str) -> list[tuple[Any, ...]]:
    """What a schema holds: columns, constraints, indexes, views, functions, triggers, comments."""
    admin = await administrator(settings, "management_system_repository")
    try:
        rows = await admin.fetch(
            """
            SELECT 'column', c.relname, a.attname, format_type(a.atttypid, a.atttypmod) || a.attnotnull::text
                || coalesce(pg_get_expr(d.adbin, d.adrelid), '') || a.attidentity::text || a.attgenerated::text
                || coalesce(col_description(c.oid, a.attnum), '')
            FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
            LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
            WHERE c.relnamespace = $1::text::regnamespace AND c.relkind IN ('r', 'v')
                AND a.attnum > 0 AND NOT a.attisdropped
            UNION ALL
            SELECT 'constraint', conrelid::regclass::text, conname, pg_get_constraintdef(oid)
            FROM pg_constraint WHERE connamespace = $1::text::regnamespace AND contype IN ('p', 'u', 'f', 'c')
            UNION ALL
            SELECT 'index', tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = $1::text
            UNION ALL
            SELECT 'view', viewname, '', definition FROM pg_views WHERE schemaname = $1::text
            UNION ALL
            SELECT 'function', proname, '', prosrc FROM pg_proc WHERE pronamespace = $1::text::regnamespace
            UNION ALL
            SELECT 'trigger', tgrelid::regclass::text, tgname, pg_get_triggerdef(t.oid) FROM pg_trigger t
            JOIN pg_class c ON c.oid = t.tgrelid WHERE c.relnamespace = $1::text::regnamespace AND NOT tgisinternal
            UNION ALL
            SELECT 'comment', relname, '', obj_description(oid, 'pg_class') FROM pg_class
            WHERE relnamespace = $1::text::regnamespace AND obj_description(oid, 'pg_class') IS NOT NULL
            ORDER BY 1, 2, 3, 4
            """,
            schema,
        )
        return [tuple(row) for row in rows]
    finally:
        await admin.close()


@pytest.mark.parametrize("system", SYSTEMS)
async def test_every_migration_and_its_rollback_meet_in_the_same_schema(
    published: Platform, settings: Settings, new_id: Id, system: str
) -> None:
    tenant = new_id()
    await published.tenants.create(tenant, name="Up and down", isolation="shared")
    versions = [item.version for item in await published.catalogue.versions(system)]
    assert len(versions) >= 3
    async with published.tenant(tenant) as scope:
        schema = (await scope.systems.install(system, versions[0])).schema
        await load(published, settings, tenant, system)
        shapes = [await snapshot(settings, schema)]
        assert len({row[1] for row in shapes[0] if row[0] == "column"}) >= 6
        for version in versions[1:]:
            assert (await scope.systems.migrate(system, version)).version == version
            shapes.append(await snapshot(settings, schema))
            assert shapes[-1] != shapes[-2]
        for number in range(len(versions) - 2, -1, -1):
            await scope.systems.migrate(system, versions[number])
            assert await snapshot(settings, schema) == shapes[number], versions[number]
        await scope.systems.migrate(system)
        assert await snapshot(settings, schema) == shapes[-1]


@pytest.mark.parametrize(("system", "check"), CHECKS)
async def test_migrations_carry_the_rows(
    published: Platform, settings: Settings, new_id: Id, system: str, check: dict[str, str]
) -> None:
    tenant = new_id()
    await published.tenants.create(tenant, name="Rows", isolation="shared")
    async with published.tenant(tenant) as scope:
        await scope.systems.install(system, "1.0.0")
        await load(published, settings, tenant, system)
        for version in filter(None, (check.get("via"), check["at"])):
            await scope.systems.migrate(system, version)
        async with scope.system(system).sql() as sql:
            if "before" in check:
                await sql.execute(check["before"])
            assert str(await sql.fetchval(check["sql"])) == check["expected"]


async def test_an_installation_straight_to_the_latest_is_the_same_as_by_steps(
    published: Platform, settings: Settings, new_id: Id
) -> None:
    first, second = new_id(), new_id()
    shapes = []
    for tenant, steps in ((first, [None]), (second, ["1.0.0", None])):
        await published.tenants.create(tenant, name="Direct", isolation="shared")
        async with published.tenant(tenant) as scope:
            installed = await scope.systems.install("crm", steps[0])
            for step in steps[1:]:
                installed = await scope.systems.migrate("crm", step)
            shape = await snapshot(settings, installed.schema)
            shapes.append([tuple(str(part).replace(installed.schema, "") for part in row) for row in shape])
    assert shapes[0] == shapes[1]


async def test_a_tenants_role_reaches_its_own_schemas_only(published: Platform, new_id: Id) -> None:
    ann, bob = new_id(), new_id()
    names = published._names
    for tenant in (ann, bob):
        await published.tenants.create(tenant, name=tenant, isolation="shared")
        async with published.tenant(tenant) as scope:
            await scope.systems.install("crm")
            async with scope.system("crm").sql() as sql:
                await sql.execute("INSERT INTO companies (name) VALUES ($1)", tenant)
    async with published.tenant(ann) as scope, published.tenant(bob) as other:
        crm, foreign = scope.system("crm"), other.system("crm").schema
        async with crm.sql() as sql:
            assert await sql.fetchval("SELECT name FROM companies") == ann
            assert await sql.execute("UPDATE companies SET website = 'x'") == 1
        for statement in (
            f"SELECT * FROM {foreign}.companies",
            f"INSERT INTO {foreign}.companies (name) VALUES ('planted')",
            f"DROP TABLE {foreign}.companies",
            f"CREATE TABLE {foreign}.planted (a int)",
            "SELECT * FROM public.tenant_systems",
            "SELECT * FROM public.schema_migrations",
            "DROP TABLE companies",
            "ALTER TABLE companies ADD COLUMN mine text",
            "CREATE TABLE mine (a int)",
            "CREATE TEMP TABLE companies (a int)",
            "CREATE SCHEMA mine",
            "TRUNCATE companies CASCADE",
            "CREATE ROLE evil",
            f'SET LOCAL ROLE "{names.tenant_role(bob)}"',
            "RESET ROLE",
            f"SELECT set_config('role', '{names.tenant_role(bob)}', true)",
            f"DO $$ BEGIN EXECUTE 'SET ROLE ' || '\"{names.tenant_role(bob)}\"'; END $$",
        ):
            with pytest.raises(BoundaryViolation):
                async with crm.sql() as sql:
                    await sql.execute(statement)
    async with published.tenant(bob) as scope, scope.system("crm").sql() as sql:
        assert await sql.fetchval("SELECT string_agg(name, ',') FROM companies") == bob


BECOMES = {
    "aggregate": "CREATE AGGREGATE becomes(text, boolean) (SFUNC = set_config, STYPE = text, INITCOND = 'role')",
    "function": "CREATE FUNCTION becomes(r text, l boolean) RETURNS text LANGUAGE sql AS "
    "$$ SELECT set_config('role', r, l) $$",
    "operator": "CREATE FUNCTION f(r text, l boolean) RETURNS text LANGUAGE plpgsql AS "
    "$$ BEGIN RETURN pg_catalog.set_config('role', r, l); END $$; "
    "CREATE FUNCTION becomes(r text, l boolean) RETURNS text LANGUAGE sql AS 'SELECT f(r, l)'",
    "setting": "CREATE FUNCTION becomes(r text, l boolean) RETURNS text LANGUAGE plpgsql AS "
    "$$ BEGIN EXECUTE format('SET %s ROLE %I', CASE WHEN l THEN 'LOCAL' ELSE 'SESSION' END, r); RETURN r; END $$",
}
"""What would make a transaction another tenant's, if it got past the reading at publication."""


@pytest.mark.parametrize("way", BECOMES)
async def test_a_system_does_not_become_another_tenant(
    px: Platform, settings: Settings, new_id: Id, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    kind, (mine, other) = f"becomes{way}", (new_id(), new_id())
    versions = ("CREATE TABLE held (note text);", None), (BECOMES[way], None)
    with pytest.raises(InvalidInput):
        await px.catalogue.publish(make_package(tmp_path / "refused", kind, *versions))
    monkeypatch.setattr(package, "inspect", lambda *_: None)
    if way == "aggregate":  # who makes it must be allowed to call what it calls
        with pytest.raises(InvalidInput, match="permission denied for function set_config"):
            await px.catalogue.publish(make_package(tmp_path / "made", kind, *versions))
        return
    await px.catalogue.publish(make_package(tmp_path / "made", kind, *versions))
    for tenant in (mine, other):
        await px.tenants.create(tenant, name=tenant, isolation="shared")
        async with px.tenant(tenant) as scope:
            await scope.systems.install(kind)
    role = px._names.tenant_role(other)
    for local in (True, False):
        async with px.tenant(mine) as scope:
            with pytest.raises(BoundaryViolation) as caught:
                async with scope.system(kind).sql() as sql:
                    await sql.execute("INSERT INTO held VALUES ('kept?')")
                    await sql.fetch("SELECT becomes($1, $2)", role, local)
            assert caught.value.code == ("boundary.role" if way == "setting" else "boundary.refused")
            async with scope.system(kind).sql() as sql:
                assert await sql.fetchval("SELECT count(*) FROM held") == 0
                assert await sql.fetchval("SELECT current_user::text") == px._names.tenant_role(mine)
    if way != "setting":
        return
    # There and back again is not seen, but nothing of it stays in the session.
    async with px.tenant(mine) as scope, scope.system(kind).sql() as sql:
        await sql.fetch("SELECT becomes($1, false), becomes($2, true)", role, px._names.tenant_role(mine))
    pool = await px._postgres.pool("systems", "management_system_repository")
    async with pool.acquire() as connection:
        assert await connection.fetchval("SELECT current_user = session_user")


async def test_no_role_of_a_tenant_changes_settings_by_a_function(
    published: Platform, settings: Settings, new_id: Id
) -> None:
    mine, other = new_id(), new_id()
    for tenant in (mine, other):
        await published.tenants.create(tenant, name=tenant, isolation="shared")
    names = Names(settings.namespace)
    login, password = Credentials(settings.credentials_file).require_login("postgres", names.service("systems"))
    database = names.server_wide("management_system_repository")
    connection = await asyncpg.connect(locate(settings).postgres.postgres(database, login, password))
    try:
        for statement in (
            f"SELECT set_config('role', '{names.tenant_role(other)}', true)",
            f"UPDATE pg_settings SET setting = '{names.tenant_role(other)}' WHERE name = 'role'",
            "CREATE AGGREGATE pg_temp.a(text, boolean) (SFUNC = set_config, STYPE = text, INITCOND = 'role')",
        ):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                async with connection.transaction():
                    await connection.execute(f'SET LOCAL ROLE "{names.tenant_role(mine)}"')
                    await connection.execute(statement)
    finally:
        await connection.close()


async def test_types_of_a_system_are_asked_for_as_the_tenants_role(px: Platform, new_id: Id, tmp_path: Path) -> None:
    tenant = new_id()
    await px.catalogue.publish(
        make_package(
            tmp_path, "typed", ("CREATE TYPE mood AS ENUM ('good'); CREATE TYPE pair AS (a int, m mood);", None)
        )
    )
    await px.tenants.create(tenant, name="T", isolation="shared")
    async with px.tenant(tenant) as scope:
        await scope.systems.install("typed")
        async with scope.system("typed").sql() as sql:
            assert await sql.fetchval("SELECT ARRAY[ROW(1, 'good')::pair]") == [(1, "good")]


async def test_another_tenants_schema_and_none_at_all_answer_alike(
    px: Platform, published: Platform, new_id: Id
) -> None:
    ann, bob, nobody = new_id(), new_id(), new_id()
    for tenant in (ann, bob):
        await published.tenants.create(tenant, name=tenant, isolation="shared")
        async with published.tenant(tenant) as scope:
            await scope.systems.install("crm")
    names = published._names
    own = names.schema(ann, "crm")
    asked = [
        ("SELECT * FROM {}.companies", []),
        ("SELECT * FROM {}.nothing", []),
        ("SELECT NULL::{}.companies", []),
        ("SELECT {}.f()", []),
        ("SELECT nextval($1::text)", ["{}.companies_id_seq"]),
        ("SELECT nextval('{}.companies')", []),
        ("SELECT currval($1::text)", ["{}.nothing"]),
        ("SELECT pg_get_serial_sequence($1, 'id')", ["{}.companies"]),
        ("SELECT to_tsvector($1::text::regconfig, 'a')", ["{}.c"]),
        ("SELECT has_schema_privilege($1, 'USAGE')", ["{}"]),
        ("SELECT $1::text::regtype", ["{}.companies"]),
    ]

    async def answer(statement: str, values: list[str], schema: str) -> tuple[type, str, str]:
        async with px.tenant(ann) as scope:
            with pytest.raises(BoundaryViolation) as caught:
                async with scope.system("crm").sql() as sql:
                    await sql.fetch(statement.format(schema), *(value.format(schema) for value in values))
        return type(caught.value), caught.value.code, caught.value.message

    for statement, values in asked:
        of_bob = await answer(statement, values, names.schema(bob, "crm"))
        assert of_bob == await answer(statement, values, names.schema(nobody, "crm")), statement
        assert bob.replace("-", "_") not in of_bob[2]
    for statement in (f"SELECT * FROM {own}.nothing", "SELECT * FROM nothing", "SELECT nothing()"):
        async with px.tenant(ann) as scope:  # what is missing in the own schema is said as it is
            with pytest.raises((asyncpg.UndefinedTableError, asyncpg.UndefinedFunctionError)):
                async with scope.system("crm").sql() as sql:
                    await sql.fetch(statement)
    async with px.tenant(ann) as scope:
        for tenant in (bob, nobody):
            with pytest.raises(BoundaryViolation) as caught:
                async with scope.sql("system_users", service="extensions") as sql:
                    await sql.fetch(f"SELECT * FROM user_extensions.{names.extensions_view(tenant)}")
            assert caught.value.code == "boundary.refused"
        async with scope.sql("system_users", service="extensions") as sql:
            assert await sql.fetch(f"SELECT * FROM user_extensions.{names.extensions_view(ann)}") == []


async def test_one_statement_serves_tenants_of_different_versions(published: Platform, new_id: Id) -> None:
    """Plans are kept by connection and text: the same text means other tables, of other columns."""
    old, new = new_id(), new_id()
    for tenant, version in ((old, "1.0.0"), (new, "2.0.0")):
        await published.tenants.create(tenant, name=tenant, isolation="shared")
        async with published.tenant(tenant) as scope:
            await scope.systems.install("crm", version)

    async def columns(tenant: str) -> set[str]:
        async with published.tenant(tenant) as scope, scope.system("crm").sql() as sql:
            await sql.execute("INSERT INTO companies (name) VALUES ('x')")
            row = await sql.fetchrow("SELECT * FROM companies")
            assert row is not None
            return set(row.keys())

    for _ in range(8):
        assert "address" in await columns(old)
        assert "address" not in await columns(new)
    async with published.tenant(old) as scope:
        await scope.systems.migrate("crm")
        assert "address" not in await columns(old)
        await scope.systems.migrate("crm", "1.0.0")
        assert "address" in await columns(old)


async def test_a_change_by_another_process_is_a_conflict_once(
    published: Platform, settings: Settings, new_id: Id
) -> None:
    tenant = new_id()
    await published.tenants.create(tenant, name=tenant, isolation="shared")
    read = "SELECT * FROM companies"
    async with published.tenant(tenant) as scope:
        await scope.systems.install("crm", "1.0.0")
        async with scope.system("crm").sql() as sql:
            await sql.fetch(read)
        async with open_platform(settings) as elsewhere, elsewhere.tenant(tenant) as other:
            await other.systems.migrate("crm")
        with pytest.raises(Conflict) as caught:
            async with scope.system("crm").sql() as sql:
                await sql.fetch(read)
        assert caught.value.code == "sql.changed"
        async with scope.system("crm").sql() as sql:
            assert await sql.fetch(read) == []


async def test_a_system_that_is_not_installed_is_not_found(published: Platform, pair: tuple[str, str]) -> None:
    async with published.tenant(pair[0]) as scope:
        with pytest.raises(NotFound) as caught:
            async with scope.system("warehouse").sql():
                pass
        assert caught.value.code == "system.not_installed"
        with pytest.raises(NotFound):
            await scope.systems.migrate("sales", "1.0.0")
        with pytest.raises(InvalidInput):
            scope.system("CRM; DROP")


async def test_a_failed_migration_leaves_the_schema_and_tells_the_operator(
    px: Platform, settings: Settings, new_id: Id, tmp_path: Path
) -> None:
    folder = make_package(
        tmp_path / "s", "failing",
        ("CREATE TABLE a (b int);", "DROP TABLE a;"),
        ("ALTER TABLE a ADD c int; CREATE UNIQUE INDEX u ON a (b);", "DROP INDEX u; ALTER TABLE a DROP c;"),
        # What only tenants' schemas have: a role that uses them of that name.
        ("DO $$ BEGIN IF current_schema NOT LIKE '%trial%' THEN RAISE EXCEPTION 'no' USING ERRCODE = '23505'; "
         "END IF; END $$;", "SELECT 1;"),
    )  # fmt: skip
    await px.catalogue.publish(folder)
    tenant, fresh = new_id(), new_id()
    for one in (tenant, fresh):
        await px.tenants.create(one, name="F", isolation="shared")
    async with px.tenant(tenant) as scope:
        schema = (await scope.systems.install("failing", "1.0")).schema
        async with scope.system("failing").sql() as sql:
            await sql.execute("INSERT INTO a VALUES (1), (1)")
        before = await snapshot(settings, schema)
        with pytest.raises(Conflict) as caught:
            await scope.systems.migrate("failing")
        assert caught.value.code == "system.migration_failed"
        assert "23505" in caught.value.message
        assert await snapshot(settings, schema) == before
        (row,) = await scope.systems.list()
        assert (row.version, row.status) == ("1.0", "installed")
        assert row.error_message is not None
        assert "23505" in row.error_message
    async with px.tenant(fresh) as scope:
        with pytest.raises(Conflict):
            await scope.systems.install("failing")
        (row,) = await scope.systems.list()
        assert row.status == "failed"
        with pytest.raises(NotFound):
            async with scope.system("failing").sql():
                pass
        assert (await scope.systems.install("failing", "1.0")).error_message is None


async def test_what_is_nobodys_data_is_not_written_down(
    px: Platform, settings: Settings, new_id: Id, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(installation, "_PATIENCE", 0.5)
    folder = make_package(
        tmp_path / "s", "passing",
        ("CREATE TABLE a (b int);", None),
        ("ALTER TABLE a ADD c int;", None),
        # A server that ends the session, as it does when it is stopped; the trial goes on.
        ("DO $$ BEGIN IF current_schema NOT LIKE '%trial%' THEN RAISE EXCEPTION 'stop' USING ERRCODE = '57P01'; "
         "END IF; END $$;", None),
    )  # fmt: skip
    await px.catalogue.publish(folder)
    tenant = new_id()
    await px.tenants.create(tenant, name="P", isolation="shared")
    admin = await administrator(settings, "management_system_repository")
    try:
        async with px.tenant(tenant) as scope:
            schema = (await scope.systems.install("passing", "1.0")).schema
            async with admin.transaction():
                await admin.execute(f'SELECT * FROM "{schema}".a')
                with pytest.raises(Conflict) as busy:
                    await scope.systems.migrate("passing", "2.0")
            assert busy.value.code == "system.busy"
            assert "lock timeout" in busy.value.message
            with pytest.raises(Unavailable) as gone:
                await scope.systems.migrate("passing")
            assert gone.value.code == "postgres.lost"
            (row,) = await scope.systems.list()
            assert (row.version, row.status, row.error_message) == ("1.0", "installed", None)
            assert (await scope.systems.migrate("passing", "2.0")).version == "2.0"
    finally:
        await admin.close()


async def test_what_the_grammar_lets_through_the_role_stops(
    px: Platform, settings: Settings, new_id: Id, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Migrations run as the owner of one schema: hostile ones fail in the database, when they are tried already."""
    monkeypatch.setattr(package, "inspect", lambda text, source: None)
    victim = new_id()
    await px.tenants.create(victim, name="Victim", isolation="shared")
    names = Names(settings.namespace)
    hostile = {
        "roles": "CREATE ROLE evil",
        "schemas": "CREATE SCHEMA evil",
        "ledger": "UPDATE public.tenant_systems SET status = 'x'",
        "sql": "UPDATE public.schema_migrations SET migration_sql = 'x'",
        "grants": f'GRANT "{names.tenant_role(victim)}" TO CURRENT_USER',
        "programs": "COPY (SELECT 1) TO PROGRAM 'id'",
        "system": "ALTER SYSTEM SET work_mem = '1GB'",
        "owner": f'SET ROLE "{names.service("owner")}"',
        "commits": "CREATE TABLE a (b int); COMMIT; CREATE TABLE c (d int)",
        "resets": "RESET ROLE",
    }
    for number, script in enumerate(hostile.values()):
        with pytest.raises(InvalidInput) as caught:
            await px.catalogue.publish(make_package(tmp_path / f"h{number}", f"h{number}", (script, None)))
        assert caught.value.code == "package.trial"
        with pytest.raises(NotFound):
            await px.catalogue.get(f"h{number}")
        admin = await administrator(settings, "management_system_repository")
        assert await admin.fetchval("SELECT count(*) FROM pg_namespace WHERE nspname LIKE '%prismicx_trial%'") == 0
        await admin.close()


async def test_unknown_systems_and_versions_are_named(px: Platform, published: Platform, pair: tuple[str, str]) -> None:
    async with px.tenant(pair[0]) as scope:
        for system, version, code in (
            ("nothing", None, "system.unknown"),
            ("crm", "9.9.9", "system.version_unknown"),
            ("crm' OR true --", None, "system.unknown"),
        ):
            with pytest.raises(NotFound) as caught:
                await scope.systems.install(system, version)
            assert caught.value.code == code
    with pytest.raises(NotFound):
        await px.catalogue.versions("nothing")


async def test_a_failure_does_not_overwrite_what_another_command_installed(
    px: Platform, new_id: Id, tmp_path: Path
) -> None:
    await px.catalogue.publish(make_package(tmp_path, "raced", ("CREATE TABLE t (a int);", None), ("SELECT 1;", None)))
    tenant = new_id()
    await px.tenants.create(tenant, name="R", isolation="shared")
    async with px.tenant(tenant) as scope:
        await scope.systems.install("raced", "1.0")
        await scope.systems.record_failure("raced", "2.0", True, "22012: division by zero")
        (row,) = await scope.systems.list()
        assert (row.version, row.status, row.error_message) == ("1.0", "installed", None)
        for wrong in ({"$ne": ""}, ["raced"], None):
            with pytest.raises(InvalidInput):
                await scope.systems.of_type(wrong)  # type: ignore[arg-type]
            with pytest.raises(NotFound):
                await px.catalogue.path("raced", wrong, "1.0")  # type: ignore[arg-type]
