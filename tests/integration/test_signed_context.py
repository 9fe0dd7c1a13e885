"""A tenant setting that was changed opens nothing: the proof is of one tenant and one backend."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Callable
from typing import Any

import asyncpg
import pytest

from prismicx.credentials import CONTEXT, Credentials, generate
from prismicx.engines.context import ContextKey
from prismicx.engines.endpoints import locate
from prismicx.engines.postgres import Connection
from prismicx.names import Names
from prismicx.platform import Platform, open_platform
from prismicx.reference.apply import apply
from prismicx.settings import Settings
from tests.support import ADD_USER, add_extension, add_user, administrator, context_of, naive_now

TABLES = {
    "users": ["user_data.users", "user_preferences.preferences"],
    "passwords": ["user_data.users"],
    "extensions": ["user_data.users", "user_extensions.extensions", "user_extensions.extension_practicality"],
}


@pytest.fixture
async def theirs(px: Platform, pair: tuple[str, str]) -> tuple[str, str]:
    """Two tenants with a user and an extension each; the second is the one that is attacked."""
    for tenant_id in pair:
        async with px.tenant(tenant_id) as tenant:
            async with tenant.sql("system_users") as sql:
                user = await add_user(sql, tenant_id, f"u{uuid.uuid4().hex[:8]}")
                await sql.execute(
                    "INSERT INTO user_preferences.preferences (user_id, preference_key, preference_value, created_at, "
                    "updated_at) VALUES ($1, 'theme', '{}', $2, $2)", user, naive_now(),
                )  # fmt: skip
            async with tenant.sql("system_users", service="extensions") as sql:
                await add_extension(sql, tenant_id, user)
    return pair


@pytest.fixture
async def connect(settings: Settings) -> AsyncIterator[Callable[[str, Settings | None], object]]:
    """A service's own connection, as somebody has it who can send any SQL."""
    opened: list[Connection] = []

    async def make(service: str, of: Settings | None = None, database: str = "system_users") -> Connection:
        mine = of or settings
        names = Names(mine.namespace)
        login = names.service(service)
        password = Credentials(mine.credentials_file).require("postgres", login)
        url = locate(mine).postgres.postgres(names.server_wide(database), login, password)
        opened.append(await asyncpg.connect(url))
        return opened[-1]

    yield make
    for connection in opened:
        await connection.close()


async def seen(connection: Connection, table: str) -> int:
    found: int = await connection.fetchval(f"SELECT count(*) FROM {table}")
    return found


@pytest.mark.parametrize("service", TABLES)
async def test_who_changes_the_setting_sees_nothing(
    settings: Settings, connect: Callable[..., AsyncIterator[Connection]], theirs: tuple[str, str], service: str
) -> None:
    connection = await connect(service)  # type: ignore[misc]
    mine, other = theirs
    for table in TABLES[service]:
        async with connection.transaction():
            await connection.execute(context_of(settings, connection, mine))
            assert await seen(connection, table) > 0
            await connection.execute("SELECT set_config('app.current_tenant_id', $1, true)", other)
            assert await seen(connection, table) == 0
            for proof in ("", "0" * 64, "%", "NULL", "' OR true --"):
                await connection.execute("SELECT set_config('app.tenant_proof', $1, true)", proof)
                assert await seen(connection, table) == 0
    async with connection.transaction():
        await connection.execute(context_of(settings, connection, mine))
        await connection.execute("SELECT set_config('app.current_tenant_id', $1, true)", other)
        if service == "users":
            with pytest.raises(asyncpg.InsufficientPrivilegeError, match="row-level security"):
                async with connection.transaction():
                    await connection.execute(ADD_USER, uuid.uuid4(), other, "planted", "p@example.test", naive_now())
            assert await connection.execute("UPDATE user_data.users SET username = 'x'") == "UPDATE 0"
            assert await connection.execute("DELETE FROM user_data.users") == "DELETE 0"


FLIP = (
    "(VALUES ('{mine}'), ('{other}')) v (t) CROSS JOIN LATERAL "
    "(SELECT set_config('app.current_tenant_id', v.t, true) AS c OFFSET 0) s"
)
"""Changes the setting within a statement: after what was asked once for all of it, and before rows are read."""

COPIED = {
    "user_data.users": "INSERT INTO user_data.users (id, tenant_id, username, email, password_hash, role, status, "
    "created_at, updated_at) SELECT gen_random_uuid(), v.t, 'planted', v.t || gen_random_uuid(), '-', 'user', "
    "'active', now(), now()",
    "user_preferences.preferences": "INSERT INTO user_preferences.preferences (user_id, preference_key, "
    "preference_value, created_at, updated_at) SELECT CASE v.t WHEN '{mine}' THEN '{my_user}'::uuid "
    "ELSE '{user}'::uuid END, 'planted', '1', now(), now()",
    "user_extensions.extensions": "INSERT INTO user_extensions.extensions (id, user_id, tenant_id, extension_type, "
    "name, created_at, updated_at) SELECT gen_random_uuid(), CASE v.t WHEN '{mine}' THEN '{my_user}'::uuid "
    "ELSE '{user}'::uuid END, v.t, 'widget', 'planted', now(), now()",
    "user_extensions.extension_metrics": "INSERT INTO user_extensions.extension_metrics (id, extension_id, "
    "created_at, updated_at) SELECT gen_random_uuid(), CASE v.t WHEN '{mine}' THEN '{my_extension}'::uuid "
    "ELSE '{extension}'::uuid END, now(), now()",
    "user_extensions.practicality_factors": "INSERT INTO user_extensions.practicality_factors (id, extension_id, "
    "factor_name, factor_value, created_at, updated_at) SELECT gen_random_uuid(), CASE v.t WHEN '{mine}' THEN "
    "'{my_extension}'::uuid ELSE '{extension}'::uuid END, 'planted', 1, now(), now()",
    "public.tenant_systems": "INSERT INTO public.tenant_systems (tenant_id, system_id, version_id, status, "
    "installed_at, updated_at) SELECT v.t, 'flip2', 'flip2', 'installed', now(), now()",
    "prismicx.unfinished_steps": "INSERT INTO prismicx.unfinished_steps (tenant_id, system_id, version_to, "
    "phases_done, updated_at) SELECT v.t, 'flip2', 'flip2', 1, now()",
}
"""What plants a row of each of the two tenants, by table."""

LEDGER = """
INSERT INTO public.management_systems (system_id, name, type, vendor, status, created_at, updated_at)
    SELECT id, id, 'flip', 'v', 'active', now(), now() FROM unnest(ARRAY['flip', 'flip2']) id ON CONFLICT DO NOTHING;
INSERT INTO public.system_versions
    (version_id, system_id, version, schema_version, is_latest, release_date, created_at)
    SELECT id, id, '1.0.0', 1, true, now(), now() FROM unnest(ARRAY['flip', 'flip2']) id ON CONFLICT DO NOTHING;
INSERT INTO public.tenant_systems (tenant_id, system_id, version_id, status, installed_at, updated_at)
    SELECT id, 'flip', 'flip', 'installed', now(), now() FROM unnest(ARRAY['{mine}', '{other}']) id;
INSERT INTO prismicx.unfinished_steps (tenant_id, system_id, version_to, phases_done, updated_at)
    SELECT id, 'flip', 'flip', 1, now() FROM unnest(ARRAY['{mine}', '{other}']) id;
"""


@pytest.fixture
async def rows(settings: Settings, theirs: tuple[str, str]) -> AsyncIterator[dict[str, str]]:
    """A row of both tenants in every table of tenants; the ids of those of the second."""
    mine, other = theirs
    admin, ledger = [await administrator(settings, name) for name in (USERS, LEDGERS)]
    await ledger.execute(LEDGER.format(mine=mine, other=other))
    found = {"mine": mine, "other": other}
    for prefix, tenant_id in (("my_", mine), ("", other)):
        user = await admin.fetchval("SELECT id FROM user_data.users WHERE tenant_id = $1 LIMIT 1", tenant_id)
        extension = await admin.fetchval(
            "SELECT id FROM user_extensions.extensions WHERE tenant_id = $1 LIMIT 1", tenant_id
        )
        await admin.execute(
            "INSERT INTO user_extensions.extension_metrics (id, extension_id, created_at, updated_at) "
            "SELECT gen_random_uuid(), $1, now(), now()", extension,
        )  # fmt: skip
        await admin.execute(
            "INSERT INTO user_extensions.practicality_factors (id, extension_id, factor_name, factor_value, "
            "created_at, updated_at) SELECT gen_random_uuid(), $1, 'f', 1, now(), now() ON CONFLICT DO NOTHING",
                extension,
        )  # fmt: skip
        found |= {f"{prefix}user": str(user), f"{prefix}extension": str(extension)}
    yield found
    for table in ("public.tenant_systems", "prismicx.unfinished_steps"):
        await ledger.execute(f"DELETE FROM {table} WHERE tenant_id = ANY ($1::text[])", [mine, other])
    await admin.close()
    await ledger.close()


USERS, LEDGERS = "system_users", "management_system_repository"
FLIPPED = [
    ("users", USERS, "user_data.users", "tenant_id = '{other}'"),
    ("users", USERS, "user_preferences.preferences", "user_id = '{user}'"),
    ("passwords", USERS, "user_data.users", "tenant_id = '{other}'"),
    ("extensions", USERS, "user_extensions.extensions", "tenant_id = '{other}'"),
    ("extensions", USERS, "user_extensions.extension_metrics", "extension_id = '{extension}'"),
    ("extensions", USERS, "user_extensions.practicality_factors", "extension_id = '{extension}'"),
    ("extensions", USERS, "user_extensions.extension_practicality", "tenant_id = '{other}'"),
    ("fleet", LEDGERS, "public.tenant_systems", "tenant_id = '{other}'"),
    ("fleet", LEDGERS, "prismicx.unfinished_steps", "tenant_id = '{other}'"),
    ("systems", LEDGERS, "public.tenant_systems", "tenant_id = '{other}'"),
]
"""Each table with a login that reads it, and what tells the other tenant's rows."""


@pytest.mark.parametrize(("service", "database", "table", "of_other"), FLIPPED)
async def test_a_statement_that_changes_the_setting_while_it_runs_reaches_nothing(
    settings: Settings, connect: Callable[..., Any], rows: dict[str, str], service: str, database: str, table: str,
    of_other: str,
) -> None:  # fmt: skip
    connection: Connection = await connect(service, database=database)
    flip, of_other = FLIP.format(**rows), of_other.format(**rows)
    column = of_other.split()[0]
    reads = f"SELECT count(*) FROM {flip} CROSS JOIN LATERAL (SELECT {column} FROM {table} WHERE s.c <> '' OFFSET 0) x"
    writes = [] if service in ("systems", "passwords") or "extension_practicality" in table else [
        f"UPDATE {table} x SET {column} = x.{column} FROM {flip} WHERE s.c <> '' AND x.{of_other}",
        f"UPDATE {table} SET {column} = {column} WHERE set_config('app.current_tenant_id', '{rows['other']}', true) "
        f"<> '' AND {of_other}",
        f"DELETE FROM {table} x USING {flip} WHERE s.c <> '' AND x.{of_other}",
        f"DELETE FROM {table} WHERE set_config('app.current_tenant_id', '{rows['other']}', true) <> '' "
        f"AND {of_other}",
    ]  # fmt: skip
    begun = connection.transaction()
    await begun.start()
    for asked, found in ((f"{reads} WHERE x.{of_other}", 0), (f"{reads} WHERE NOT x.{of_other}", 1)):
        await connection.execute(context_of(settings, connection, rows["mine"]))
        assert (await connection.fetchval(asked) > 0) == bool(found), asked
    for write in writes:
        await connection.execute(context_of(settings, connection, rows["mine"]))
        assert (await connection.execute(write)).endswith(" 0"), write
    if writes:
        await connection.execute(context_of(settings, connection, rows["mine"]))
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="row-level security"):
            await connection.execute(f"{COPIED[table].format(**rows)} FROM {flip} WHERE s.c <> ''")
    await begun.rollback()


async def test_a_step_cannot_be_turned_to_another_tenant(
    settings: Settings, connect: Callable[..., Any], rows: dict[str, str]
) -> None:
    connection: Connection = await connect("fleet", database=LEDGERS)
    for then in ("NULL", "'flip'"):
        async with connection.transaction():
            await connection.execute(context_of(settings, connection, rows["mine"]))
            with pytest.raises(asyncpg.PostgresError, match="nothing of flip"):
                async with connection.transaction():
                    await connection.execute(
                        f"SELECT prismicx.take_step('s', 'flip', 'flip', {then}, 0, 1, now()::timestamp, NULL, NULL) "
                        f"FROM (SELECT set_config('app.current_tenant_id', '{rows['other']}', true) AS c OFFSET 0) s "
                        "WHERE s.c <> ''"
                    )


async def test_a_proof_of_another_backend_proves_nothing(
    settings: Settings, connect: Callable[..., AsyncIterator[Connection]], theirs: tuple[str, str]
) -> None:
    one, two = await connect("users"), await connect("users")  # type: ignore[misc]
    stolen = context_of(settings, one, theirs[1])
    async with one.transaction():
        await one.execute(stolen)
        assert await seen(one, "user_data.users") > 0
    async with two.transaction():
        await two.execute(stolen)
        assert await seen(two, "user_data.users") == 0


async def test_the_key_is_out_of_reach_of_every_service(settings: Settings, connect: Callable[..., object]) -> None:
    for service in ("users", "passwords", "extensions", "registry"):
        connection = await connect(service)  # type: ignore[misc]
        for statement in (
            "SELECT pads FROM prismicx.context_key",
            "UPDATE prismicx.context_key SET pads = '{}'",
            "SELECT prismicx.context_pad(1)",
            "ALTER FUNCTION prismicx.proven_tenant() IMMUTABLE",
            "CREATE OR REPLACE FUNCTION prismicx.proven_tenant() RETURNS TEXT LANGUAGE sql AS $$SELECT 'acme'$$",
            "DROP POLICY proven_context ON user_data.users",
        ):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(statement)


async def test_what_runs_for_one_tenant_is_not_shown_to_others(
    settings: Settings, connect: Callable[..., object], theirs: tuple[str, str]
) -> None:
    one, two = await connect("users"), await connect("users")  # type: ignore[misc]
    async with one.transaction():
        await one.execute(context_of(settings, one, theirs[1]))
        rows = await two.fetch("SELECT query FROM pg_stat_activity WHERE pid = $1", one.get_server_pid())
        assert [row["query"] for row in rows] in ([""], [None])
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await one.execute("SET LOCAL track_activities = on")


async def test_sessions_learn_of_a_new_key_and_take_the_old_one_until_the_next(
    new_namespace: Callable[[], Settings], connect: Callable[..., object]
) -> None:
    mine = new_namespace()
    await apply(mine, locate(mine))
    async with open_platform(mine) as px:
        await px.tenants.create("acme", name="A", isolation="shared")
        async with px.tenant("acme") as tenant, tenant.sql("system_users") as sql:
            await add_user(sql, "acme")
    connection: Connection = await connect("users", mine)  # type: ignore[misc]
    backend = connection.get_server_pid()
    login, credentials = Names(mine.namespace).service(CONTEXT), Credentials(mine.credentials_file)

    async def counted(secret: str) -> int:
        async with connection.transaction():
            await connection.execute(ContextKey(secret).settings("acme", backend))
            return await seen(connection, "user_data.users")

    first, second, third = credentials.require(CONTEXT, login), generate(), generate()
    assert (await counted(first), await counted(second)) == (1, 0)
    credentials.put(CONTEXT, login, second)
    await apply(mine, locate(mine))
    assert (await counted(first), await counted(second), await counted(third)) == (1, 1, 0)
    credentials.put(CONTEXT, login, third)
    await apply(mine, locate(mine))
    assert (await counted(first), await counted(second), await counted(third)) == (0, 1, 1)


async def test_without_a_key_nothing_is_seen(
    new_namespace: Callable[[], Settings], connect: Callable[..., object]
) -> None:
    mine = new_namespace()
    await apply(mine, locate(mine))
    async with open_platform(mine) as px:
        await px.tenants.create("acme", name="A", isolation="shared")
        async with px.tenant("acme") as tenant, tenant.sql("system_users") as sql:
            await add_user(sql, "acme")
    admin = await administrator(mine, "system_users")
    await admin.execute("DELETE FROM prismicx.context_key")
    await admin.close()
    connection: Connection = await connect("users", mine)  # type: ignore[misc]
    async with connection.transaction():
        await connection.execute(context_of(mine, connection, "acme"))
        assert await seen(connection, "user_data.users") == 0
    await apply(mine, locate(mine))
    connection = await connect("users", mine)  # type: ignore[misc]
    async with connection.transaction():
        await connection.execute(context_of(mine, connection, "acme"))
        assert await seen(connection, "user_data.users") == 1
