"""What a tenant's role reaches of installed systems, and what their functions cannot become."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import asyncpg
import pytest

from prismicx import BoundaryViolation, InvalidInput, NotFound, Platform
from prismicx.credentials import Credentials
from prismicx.engines.endpoints import locate
from prismicx.engines.statement_rules import ELSEWHERE, check
from prismicx.names import Names
from prismicx.settings import Settings
from prismicx.systems import package
from tests.support import administrator, make_package


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


Id = Callable[[], str]

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


async def test_on_shared_tables_the_schema_of_another_tenant_and_none_at_all_answer_alike(
    published: Platform, new_id: Id
) -> None:
    ann, bob, nobody = new_id(), new_id(), new_id()
    for tenant in (ann, bob):
        await published.tenants.create(tenant, name=tenant, isolation="shared")
    async with published.tenant(bob) as scope:
        await scope.systems.install("crm")
    names = published._names
    asked = [
        ("management_system_repository", None, "SELECT * FROM {}.companies", ""),
        ("management_system_repository", None, "SELECT NULL::{}.companies", ""),
        ("management_system_repository", None, "SELECT nextval($1::text)", "{}.companies"),
        ("management_system_repository", None, "SELECT pg_get_serial_sequence($1, 'id')", "{}.companies"),
        ("management_system_repository", None, "SELECT to_tsvector($1::text::regconfig, 'a')", "{}.c"),
        ("system_users", "extensions", "SELECT nextval($1::text)", "user_extensions.{}"),
    ]
    async with published.tenant(ann) as scope:
        for database, service, statement, value in asked:
            said = set()
            for tenant in (bob, nobody):
                name = names.schema(tenant, "crm") if service is None else names.extensions_view(tenant)
                with pytest.raises(BoundaryViolation) as caught:
                    async with scope.sql(database, service=service) as sql:  # type: ignore[arg-type]
                        await sql.fetch(statement.format(name), *[value.format(name)] * bool(value))
                said.add((caught.value.code, caught.value.message))
            assert said == {("boundary.refused", ELSEWHERE)}, statement
        with pytest.raises(asyncpg.UndefinedTableError):  # what belongs to no tenant is said as it is
            async with scope.sql("management_system_repository") as sql:
                await sql.fetch("SELECT * FROM public.nothing")


async def test_a_number_tells_nothing_of_what_has_it(published: Platform, settings: Settings, new_id: Id) -> None:
    ann, bob = new_id(), new_id()
    for tenant in (ann, bob):
        await published.tenants.create(tenant, name=tenant, isolation="shared")
        async with published.tenant(tenant) as scope:
            await scope.systems.install("crm")
    admin = await administrator(settings, "management_system_repository")
    try:
        numbers = await admin.fetch(
            "SELECT oid FROM pg_class WHERE relnamespace = $1::regnamespace", published._names.schema(bob, "crm")
        )
    finally:
        await admin.close()
    async with published.tenant(ann) as scope:
        for number in [1, *(row[0] for row in numbers)]:
            for calling in ("nextval({}::oid)", "currval({}::oid)", "setval({}::oid, 1)", "nextval('{}')"):
                with pytest.raises(BoundaryViolation) as caught:
                    async with scope.system("crm").sql() as sql:
                        await sql.fetch(f"SELECT {calling.format(number)}")
                assert caught.value.message == ELSEWHERE


async def test_every_type_and_function_of_the_server_that_tells_what_exists_is_refused(settings: Settings) -> None:
    admin = await administrator(settings, "system_users")
    try:
        types = await admin.fetch(
            """
            SELECT t.typname FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
            WHERE n.nspname = 'pg_catalog' AND (t.typname ~ '^_?(reg|aclitem)' OR t.typrelid > 0)
                AND t.typname !~ '^_?(regconfig|regdictionary)$'
            """
        )
        functions = await admin.fetch(
            """
            SELECT DISTINCT p.proname FROM pg_proc p
            JOIN pg_type t ON t.oid = ANY (p.proargtypes::oid[] || p.prorettype || p.proallargtypes)
            WHERE t.typname ~ '^_?(reg|aclitem)' AND t.typname !~ '^_?(regconfig|regdictionary)$'
                AND p.proname NOT IN ('nextval', 'currval', 'setval')
            UNION SELECT 'array_in'
            """
        )
    finally:
        await admin.close()
    assert len(types) > 50 < len(functions)
    for statement in (
        *(f'SELECT NULL::"{row[0]}"' for row in types),
        *(f"SELECT pg_catalog.{row[0]}(1)" for row in functions),
    ):
        with pytest.raises(BoundaryViolation, match=r"boundary\.statement"):
            check(statement)


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
