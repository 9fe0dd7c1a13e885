"""PostgreSQL keeps tenants apart, for the roles the services really use."""

from __future__ import annotations

import random
import uuid
from typing import Any

import asyncpg
import pytest

from prismicx import BoundaryViolation, InvalidInput, Platform
from prismicx.settings import Settings
from tests.support import (
    ADD_EXTENSION,
    ADD_FACTOR,
    ADD_PREFERENCE,
    ADD_USER,
    add_extension,
    add_user,
    administrator,
    fill,
    naive_now,
)

TABLES = {
    "users": ["user_data.users", "user_preferences.preferences"],
    "extensions": [
        "user_extensions.extensions",
        "user_extensions.extension_metrics",
        "user_extensions.practicality_factors",
        "user_extensions.extension_practicality",
    ],
}


async def test_each_tenant_counts_only_its_own_rows(px: Platform, pair: tuple[str, str]) -> None:
    async with px.tenant(pair[0]) as ann, px.tenant(pair[1]) as bob:
        await fill(ann)
        await fill(bob)
        for scope, other in ((ann, bob), (bob, ann)):
            for service, tables in TABLES.items():
                async with scope.sql("system_users", service=service) as sql:
                    for table in tables:
                        if table in ("user_extensions.extension_metrics",):
                            continue
                        assert await sql.fetchval(f"SELECT count(*) FROM {table}") > 0
                    assert (
                        await sql.fetchval("SELECT count(*) FROM user_data.users WHERE tenant_id = $1", other.tenant_id)
                        == 0
                    )


@pytest.mark.parametrize("service", ["users", "extensions"])
@pytest.mark.parametrize("before", ["nothing", "a committed transaction"])
async def test_without_a_tenant_there_are_no_rows(
    px: Platform, pair: tuple[str, str], service: str, before: str
) -> None:
    async with px.tenant(pair[0]) as ann:
        await fill(ann)
    pool = await px._postgres.pool(service, "system_users")
    async with pool.acquire() as connection:
        if before != "nothing":
            async with connection.transaction():
                await connection.execute(px._postgres.context(connection, pair[0]))
                assert await connection.fetchval(f"SELECT count(*) FROM {TABLES[service][0]}") > 0
            assert await connection.fetchval("SELECT current_setting('app.current_tenant_id', true)") == ""
        for table in TABLES[service]:
            assert await connection.fetchval(f"SELECT count(*) FROM {table}") == 0
        if service == "users":
            for tenant in (pair[0], ""):
                with pytest.raises((asyncpg.InsufficientPrivilegeError, asyncpg.CheckViolationError)):
                    await connection.execute(ADD_USER, uuid.uuid4(), tenant, "x", "x@example.test", naive_now())


async def test_a_row_of_another_tenant_can_be_neither_made_nor_moved(px: Platform, pair: tuple[str, str]) -> None:
    async with px.tenant(pair[0]) as ann, px.tenant(pair[1]) as bob:
        await fill(ann)
        theirs, extension = await fill(bob)
        attempts: list[tuple[str, str, tuple[Any, ...]]] = [
            ("users", ADD_USER, (uuid.uuid4(), bob.tenant_id, "x", "x@example.test", naive_now())),
            ("users", "UPDATE user_data.users SET tenant_id = $1", (bob.tenant_id,)),
            ("users", ADD_PREFERENCE, (theirs, "planted", naive_now())),
            ("extensions", ADD_EXTENSION, (uuid.uuid4(), theirs, bob.tenant_id, "x", naive_now())),
            ("extensions", "UPDATE user_extensions.extensions SET tenant_id = $1", (bob.tenant_id,)),
            ("extensions", ADD_FACTOR, (uuid.uuid4(), extension, "planted", 5, 1.0, naive_now())),
            ("extensions", "SELECT email FROM user_data.users", ()),
            ("extensions", "DELETE FROM user_data.users", ()),
            ("users", "SELECT 1 FROM user_extensions.extensions", ()),
            ("users", "TRUNCATE user_data.users", ()),
            ("users", "CREATE TABLE user_data.mine (a int)", ()),
            ("users", "CREATE TEMP TABLE users (a int)", ()),
            ("users", "ALTER TABLE user_data.users DISABLE ROW LEVEL SECURITY", ()),
            ("users", "SELECT prismicx.create_extensions_view('x', 'tenant_x_extensions')", ()),
        ]
        for service, statement, values in attempts:
            with pytest.raises(BoundaryViolation):
                async with ann.sql("system_users", service=service) as sql:
                    await sql.execute(statement, *values)
        async with bob.sql("system_users") as sql:
            assert await sql.fetchval("SELECT count(*) FROM user_preferences.preferences WHERE preference_key = $1",
                                      "planted") == 0  # fmt: skip


async def test_what_is_not_visible_is_not_changed(px: Platform, pair: tuple[str, str]) -> None:
    async with px.tenant(pair[0]) as ann, px.tenant(pair[1]) as bob:
        theirs, extension = await fill(bob)
        async with ann.sql("system_users") as sql:
            assert await sql.execute("UPDATE user_data.users SET username = 'x' WHERE id = $1", theirs) == 0
            assert await sql.execute("DELETE FROM user_preferences.preferences WHERE user_id = $1", theirs) == 0
            assert await sql.execute("DELETE FROM user_data.users WHERE id = $1", theirs) == 0
        async with ann.sql("system_users", service="extensions") as sql:
            factors = "DELETE FROM user_extensions.practicality_factors WHERE extension_id = $1"
            assert await sql.execute(factors, extension) == 0
            assert await sql.execute("UPDATE user_extensions.extensions SET name = 'x' WHERE id = $1", extension) == 0


async def test_a_foreign_user_and_a_missing_user_give_the_same_error(px: Platform, pair: tuple[str, str]) -> None:
    """A foreign key is checked without policies: it must not tell whether another tenant has that user."""
    async with px.tenant(pair[0]) as ann, px.tenant(pair[1]) as bob:
        theirs, _ = await fill(bob)
        seen = []
        for user in (theirs, uuid.uuid4()):
            with pytest.raises(asyncpg.ForeignKeyViolationError) as caught:
                async with ann.sql("system_users", service="extensions") as sql:
                    await add_extension(sql, ann.tenant_id, user)
            seen.append((caught.value.constraint_name, caught.value.message))
        assert seen[0] == seen[1]


async def test_row_security_off_is_an_error_not_rows(px: Platform, pair: tuple[str, str]) -> None:
    """Where a statement got past the library: the engine itself."""
    pool = await px._postgres.pool("users", "system_users")
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute(f"SET LOCAL app.current_tenant_id = '{pair[0]}'; SET LOCAL row_security = off")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.fetch("SELECT tenant_id FROM user_data.users")


async def test_one_call_is_one_statement(px: Platform, pair: tuple[str, str]) -> None:
    async with px.tenant(pair[0]) as ann:
        for run in ("execute", "fetch", "fetchrow", "fetchval"):
            with pytest.raises(InvalidInput) as caught:
                async with ann.sql("system_users") as sql:
                    await getattr(sql, run)("SELECT 1; SET app.current_tenant_id = 'other'")
            assert caught.value.code == "sql.invalid"


WORDS = (
    "SELECT SELECT SELECT 1 , ( ) set_config('app.current_tenant_id','other',true) set_config( 'a' 'role' "
    '"set_config" '
    "FROM WHERE user_data.users ; SET RESET LOCAL ROLE ALL app.current_tenant_id = TO 'other' -- \n /* */ $$ $$ DO "
    "pg_catalog. pg_settings UPDATE setting "
    "('x'::text).ts_stat (q).set_config . AS q "
    "U&\"set!005fconfig\" UESCAPE '!' WITH x AS (SELECT 1) EXPLAIN ANALYZE \\' E'\\'' || ::text"
).split(" ")


async def test_no_arrangement_of_words_changes_who_asks(px: Platform, pair: tuple[str, str]) -> None:
    """What the rules let through is sent, and whatever it does, tenant and role are as they were."""
    draw = random.Random(20)
    sent = ran = 0
    async with px.tenant(pair[0]) as ann, ann.sql("system_users") as sql:
        role = await sql.fetchval("SELECT current_user::text")
        await sql.execute("SET LOCAL statement_timeout = '5s'")
        for _ in range(6_000):
            statement = " ".join(draw.choice(WORDS) for _ in range(draw.randint(1, 8)))
            sent += 1
            try:
                async with sql.savepoint():
                    await sql.execute(statement)
                    ran += 1
                    now = await sql.fetchrow(
                        "SELECT current_setting('app.current_tenant_id') AS t, current_user::text AS u"
                    )
                    assert tuple(now) == (pair[0], role), statement
            except (InvalidInput, BoundaryViolation, asyncpg.PostgresError):
                continue
    assert ran > 50, f"of {sent} statements, {ran} ran"


async def test_the_views_show_the_tenant_only(px: Platform, pair: tuple[str, str]) -> None:
    async with px.tenant(pair[0]) as ann, px.tenant(pair[1]) as bob:
        await fill(ann)
        await fill(bob)
        view = f"user_extensions.tenant_{pair[0].replace('-', '_')}_extensions"
        async with ann.sql("system_users", service="extensions") as sql:
            assert await sql.fetchval(f"SELECT count(*) FROM {view}") > 0
            assert await sql.fetchval(f"SELECT count(*) FROM {view} WHERE tenant_id <> $1", pair[0]) == 0
        # Whether it is there is not told: it would say that there is such a tenant.
        with pytest.raises(BoundaryViolation, match="not there, or is not"):
            async with bob.sql("system_users", service="extensions") as sql:
                await sql.fetchval(f"SELECT count(*) FROM {view}")


async def test_practicality_is_the_weighted_mean(px: Platform, pair: tuple[str, str]) -> None:
    async with px.tenant(pair[0]) as ann:
        async with ann.sql("system_users") as sql:
            user = await add_user(sql, pair[0])
        async with ann.sql("system_users", service="extensions") as sql:
            rated = await add_extension(sql, pair[0], user, "rated")
            bare = await add_extension(sql, pair[0], user, "bare")
            weightless = await add_extension(sql, pair[0], user, "weightless")
            for name, value, weight in (("a", 10, 3.0), ("b", 1, 1.0), ("c", 4, 0.5)):
                await sql.execute(ADD_FACTOR, uuid.uuid4(), rated, name, value, weight, naive_now())
            await sql.execute(ADD_FACTOR, uuid.uuid4(), weightless, "a", 5, 0.0, naive_now())
            query = "SELECT * FROM user_extensions.extension_practicality WHERE extension_id = $1"
            row = await sql.fetchrow(query, rated)
            assert row is not None
            assert row["practicality_score"] == pytest.approx((30 + 1 + 2) / 4.5)
            assert (row["factor_count"], row["total_weight"]) == (3, 4.5)
            for extension, count in ((bare, 0), (weightless, 1)):
                row = await sql.fetchrow(query, extension)
                assert row is not None
                assert (row["practicality_score"], row["factor_count"], row["total_weight"]) == (None, count, 0.0)
            for value in (0, 11):
                with pytest.raises(asyncpg.CheckViolationError):
                    async with sql.savepoint():
                        await sql.execute(ADD_FACTOR, uuid.uuid4(), rated, f"v{value}", value, 1.0, naive_now())
            with pytest.raises(asyncpg.UniqueViolationError):
                async with sql.savepoint():
                    await sql.execute(ADD_FACTOR, uuid.uuid4(), rated, "a", 5, 1.0, naive_now())


async def test_hot_reads_use_an_index_that_leads_with_the_tenant_or_the_key(
    px: Platform, settings: Settings, pair: tuple[str, str]
) -> None:
    admin = await administrator(settings, "system_users")
    try:
        await admin.execute(
            """
            INSERT INTO user_data.users
                (id, tenant_id, username, email, password_hash, role, status, created_at, updated_at)
            SELECT gen_random_uuid(), 'plan-' || n % 50, 'u', n || '@plan.test', '-', 'user', 'active', now(), now()
            FROM generate_series(1, 20000) n
            """
        )
        await admin.execute("ANALYZE user_data.users")
        pool = await px._postgres.pool("users", "system_users")
        async with pool.acquire() as sql, sql.transaction():
            await sql.execute(px._postgres.context(sql, pair[0]))
            for condition in ("id = gen_random_uuid()", "email = 'x'", "id = 'a9d8a7a2-6a6f-4a6d-8a6c-2f6f6b8f0c11'"):
                plan = await sql.fetch(f"EXPLAIN SELECT metadata FROM user_data.users WHERE {condition}")
                text = "\n".join(row[0] for row in plan)
                assert "Index" in text, text
                assert "Seq Scan" not in text, text
    finally:
        await admin.execute("DELETE FROM user_data.users WHERE tenant_id LIKE 'plan-%'")
        await admin.close()


async def test_a_wrong_database_or_service_is_named(px: Platform, pair: tuple[str, str]) -> None:
    async with px.tenant(pair[0]) as ann:
        for database, service in (("postgres", None), ("system_users", "fleet"), ("system_users", "registry")):
            with pytest.raises(InvalidInput):
                async with ann.sql(database, service=service):  # type: ignore[arg-type]
                    pass
