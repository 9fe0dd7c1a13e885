"""What a transaction leaves in its session, and what happens to it when things go wrong."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Callable

import asyncpg
import pytest

from prismicx import Conflict, Platform
from tests.support import add_user, fill


async def test_a_savepoint_rolled_back_keeps_the_tenant(px: Platform, pair: tuple[str, str]) -> None:
    async with px.tenant(pair[0]) as ann:
        async with ann.sql("system_users") as sql:
            kept = await add_user(sql, pair[0])
            with pytest.raises(ZeroDivisionError):
                async with sql.savepoint():
                    lost = await add_user(sql, pair[0])
                    raise ZeroDivisionError
            assert await sql.fetchval("SELECT current_setting('app.current_tenant_id')") == pair[0]
        async with ann.sql("system_users") as sql:
            found = [row["id"] for row in await sql.fetch("SELECT id FROM user_data.users")]
            assert kept in found
            assert lost not in found


async def test_an_error_that_was_caught_inside_keeps_nothing_and_says_so(px: Platform, pair: tuple[str, str]) -> None:
    async with px.tenant(pair[0]) as ann:
        with pytest.raises(Conflict) as caught:
            async with ann.sql("system_users") as sql:
                user = await add_user(sql, pair[0])
                with pytest.raises(asyncpg.DivisionByZeroError):
                    await sql.fetchval("SELECT 1 / 0")
        assert caught.value.code == "sql.aborted"
        async with ann.sql("system_users") as sql:
            assert await sql.fetchval("SELECT count(*) FROM user_data.users WHERE id = $1", user) == 0


async def test_an_error_rolls_back_and_the_connection_is_clean(px: Platform, pair: tuple[str, str]) -> None:
    async with px.tenant(pair[0]) as ann:
        with pytest.raises(RuntimeError):
            async with ann.sql("system_users") as sql:
                user = await add_user(sql, pair[0])
                await sql.execute("SET LOCAL statement_timeout = 1234")
                raise RuntimeError
        async with ann.sql("system_users") as sql:
            assert await sql.fetchval("SELECT count(*) FROM user_data.users WHERE id = $1", user) == 0
            assert await sql.fetchval("SHOW statement_timeout") == "0"


async def test_a_setting_of_one_is_gone_for_the_next(px: Platform, pair: tuple[str, str]) -> None:
    async with px.tenant(pair[0]) as ann:
        for _ in range(12):
            async with ann.sql("system_users") as sql:
                assert await sql.fetchval("SHOW statement_timeout") == "0"
                await sql.execute("SET LOCAL statement_timeout = 1234")
    pool = await px._postgres.pool("users", "system_users")
    for _ in range(12):
        async with pool.acquire() as connection:
            assert await connection.fetchval("SELECT current_setting('app.current_tenant_id', true)") in (None, "")
            await connection.execute("SET app.leak = 'ann'")
    for _ in range(12):
        async with pool.acquire() as connection:
            assert await connection.fetchval("SELECT current_setting('app.leak', true)") in (None, "")


async def test_a_timeout_that_was_caught_inside_keeps_nothing_and_says_so(px: Platform, pair: tuple[str, str]) -> None:
    async with px.tenant(pair[0]) as ann:
        with pytest.raises(Conflict) as caught:
            async with ann.sql("system_users") as sql:
                user = await add_user(sql, pair[0])
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(0.1):
                        await sql.fetch("SELECT pg_sleep(3)")
        assert caught.value.code == "sql.aborted"
        async with ann.sql("system_users") as sql:
            kept = await add_user(sql, pair[0])
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.1), sql.savepoint():
                    await sql.fetch("SELECT pg_sleep(3)")
        async with ann.sql("system_users") as sql:
            found = await sql.fetch("SELECT id FROM user_data.users WHERE id = ANY ($1)", [user, kept])
            assert [row["id"] for row in found] == [kept]


async def test_texts_are_read_as_the_check_reads_them(px: Platform, pair: tuple[str, str]) -> None:
    async with px.tenant(pair[0]) as ann, ann.sql("system_users") as sql:
        assert await sql.fetchval("SHOW standard_conforming_strings") == "on"


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TEMP TABLE mine AS SELECT 1",
        "SELECT 1 INTO TEMP mine",
        "CREATE FUNCTION pg_temp.f() RETURNS void LANGUAGE sql AS ''",
        "CREATE FUNCTION public.f() RETURNS void LANGUAGE sql AS ''",
        "CREATE TABLE public.mine (a int)",
        "CREATE TABLE user_data.mine (a int)",
        "SET SESSION AUTHORIZATION postgres",
    ],
)
@pytest.mark.parametrize("service", ["users", "extensions"])
async def test_a_service_can_make_nothing_of_its_own(px: Platform, statement: str, service: str) -> None:
    """Where a statement got past the library: the engine itself."""
    pool = await px._postgres.pool(service, "system_users")
    async with pool.acquire() as connection:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(statement)


async def test_a_cancelled_query_leaves_nothing_behind(px: Platform, pair: tuple[str, str]) -> None:
    async def slow() -> None:
        async with px.tenant(pair[0]) as ann, ann.sql("system_users") as sql:
            await sql.fetchval("SELECT pg_sleep(30)")

    for _ in range(10):
        work = asyncio.create_task(slow())
        await asyncio.sleep(0.02)
        work.cancel()
        with pytest.raises(asyncio.CancelledError):
            await work
    async with px.tenant(pair[1]) as bob, bob.sql("system_users") as sql:
        assert await sql.fetchval("SELECT current_setting('app.current_tenant_id')") == pair[1]
        assert await sql.fetchval("SELECT count(*) FROM user_data.users WHERE tenant_id <> $1", pair[1]) == 0


async def test_a_transaction_that_ended_takes_nothing_more(px: Platform, pair: tuple[str, str]) -> None:
    async with px.tenant(pair[0]) as ann, ann.sql("system_users") as sql:
        pass
    with pytest.raises(Conflict) as caught:
        await sql.fetch("SELECT 1")
    assert caught.value.code == "sql.ended"


async def test_a_hundred_tasks_with_errors_and_timeouts_see_no_foreign_row(
    px: Platform, new_id: Callable[[], str]
) -> None:
    tenants = [new_id() for _ in range(4)]
    for tenant in tenants:
        await px.tenants.create(tenant, name=tenant, isolation="shared")
        async with px.tenant(tenant) as scope:
            await fill(scope)
    chance = random.Random(7)
    seen = 0

    async def one(tenant: str, kind: str) -> None:
        nonlocal seen
        try:
            async with asyncio.timeout(0.03 if kind == "timeout" else 30):
                async with px.tenant(tenant) as scope, scope.sql("system_users") as sql:
                    rows = await sql.fetch("SELECT tenant_id FROM user_data.users")
                    assert {row["tenant_id"] for row in rows} == {tenant}
                    seen += 1
                    if kind == "error":
                        await sql.fetch("SELECT 1 / 0")
                    if kind == "timeout":
                        await sql.fetch("SELECT pg_sleep(5)")
        except (TimeoutError, asyncpg.DivisionByZeroError):
            return

    kinds = ["plain", "plain", "error", "timeout"]
    await asyncio.gather(*(one(chance.choice(tenants), chance.choice(kinds)) for _ in range(100)))
    assert seen > 50
