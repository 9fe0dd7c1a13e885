"""A tenant setting that was changed opens nothing: the proof is of one tenant and one backend."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Callable

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

    async def make(service: str, of: Settings | None = None) -> Connection:
        mine = of or settings
        names = Names(mine.namespace)
        login = names.service(service)
        password = Credentials(mine.credentials_file).require("postgres", login)
        url = locate(mine).postgres.postgres(names.server_wide("system_users"), login, password)
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
    for service in ("users", "extensions", "registry"):
        connection = await connect(service)  # type: ignore[misc]
        for statement in (
            "SELECT pads FROM prismicx.context_key",
            "UPDATE prismicx.context_key SET pads = '{}'",
            "SELECT prismicx.context_pad(1)",
            "ALTER FUNCTION prismicx.proven() IMMUTABLE",
            "CREATE OR REPLACE FUNCTION prismicx.proven() RETURNS BOOLEAN LANGUAGE sql AS 'SELECT true'",
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
