"""Attacks through the pools: what one borrower of a connection leaves to the next."""

from __future__ import annotations

import asyncio
import random
import uuid
from collections.abc import Sequence
from contextlib import suppress

import asyncpg

from prismicx.errors import BoundaryViolation, InvalidInput, PrismicXError
from prismicx.isolation.tenants import Made
from prismicx.isolation.values import Check, Tally
from prismicx.platform import Platform
from prismicx.scopes import TenantScope

LEFT = Check("pools.left", "Pools", "What a borrower set, or was cut off in, is gone for the next one")
CROWD = Check("pools.crowd", "Pools", "A hundred tasks of four tenants, with errors and time-outs, read their own rows")
SAVEPOINT = Check("pools.savepoint", "Pools", "A savepoint that is rolled back leaves the tenant as it was")
INJECTED = Check(
    "pools.injected", "Pools", "SQL to change the session, or to tell who exists, is refused before it is sent"
)
CHECKS = (LEFT, CROWD, SAVEPOINT, INJECTED)

_CONTEXT = (
    "SELECT current_setting('app.current_tenant_id', true), current_setting('app.tenant_proof', true), current_user"
)
_SEEN = "SELECT DISTINCT tenant_id FROM user_data.users"
_INJECTIONS = (
    "SELECT set_config('app.current_tenant_id', '{other}', true)",
    "SELECT set_config('app.current_tenant_id', '{other}', false)",
    "SET app.current_tenant_id = '{other}'",
    "SET LOCAL app.current_tenant_id = '{other}'",
    "SELECT 1; SET app.current_tenant_id = '{other}'",
    "COMMIT",
    "ROLLBACK; SELECT 1",
    "RESET ALL",
    "DISCARD ALL",
    "SET ROLE NONE",
    "RESET ROLE",
    "SET SESSION AUTHORIZATION DEFAULT",
    "DO $$ BEGIN PERFORM set_config('app.current_tenant_id', '{other}', true); END $$",
    "UPDATE pg_settings SET setting = '{other}' WHERE name = 'app.current_tenant_id'",
    "SELECT query_to_xml('SELECT * FROM user_data.users', true, true, '')",
    "COPY user_data.users TO STDOUT",
    "PREPARE stolen AS SELECT 1",
    "LISTEN stolen",
    "CREATE TEMP TABLE stolen AS SELECT * FROM user_data.users",
    "EXPLAIN ANALYZE SELECT * FROM user_data.users",
    "LOCK TABLE user_data.users",
    "SELECT array_agg(number::oid)::_regrole FROM generate_series(16384, 20000) number",
    "SELECT array_agg(number::oid)::_regclass FROM generate_series(16384, 20000) number",
    "SELECT ARRAY['tenant_{other}=r/postgres']::_aclitem",
    "SELECT 'tenant_{other}=r/postgres'::aclitem",
    "SELECT makeaclitem(number::oid, 10::oid, 'SELECT', false)::text FROM generate_series(16384, 20000) number",
    "SELECT acldefault('r', number::oid)::text FROM generate_series(16384, 20000) number",
    "SELECT COALESCE(NULLIF(pg_typeof(1), pg_typeof(1)), '16500')",
    "SELECT pg_input_is_valid('tenant_{other}', 'regrole')",
    "SELECT array_in('16500', 2210, -1)::text",
    "SELECT NULL::pg_class",
    'SELECT * FROM "tenant_{other}_crm".companies',
)


async def make_users(px: Platform, made: Made) -> None:
    """A user for each tenant, so that there is something to see."""
    for tenant_id in made.all:
        async with px.tenant(tenant_id) as tenant:
            await tenant.users.create(
                username="checked", email=f"{uuid.uuid4()}@check.invalid", password=uuid.uuid4().hex
            )


async def attack_pools(px: Platform, made: Made, seed: int, tally: Tally) -> None:
    """Borrow connections of the platform's own pools, leave things behind, and look what the next borrower finds."""
    await _left(px, made, tally)
    await _crowd(px, made, random.Random(seed), tally)  # noqa: S311 - which task does what need not be a secret
    await _savepoint(px, made, tally)
    for injection in _INJECTIONS:
        how = "it was run"
        # What an injection that was run leaves behind may fail at the end of the transaction as well,
        # and the driver cannot read every answer.
        with suppress(PrismicXError, asyncpg.PostgresError, asyncpg.InterfaceError):
            async with px.tenant(made.own) as tenant, tenant.sql("system_users") as sql:
                try:
                    await sql.fetch(injection.format(other=made.other))
                except (BoundaryViolation, InvalidInput):  # the latter for what is not one statement
                    how = ""
        tally.note(INJECTED, "users", "a transaction", injection.split("(")[0].partition(" '")[0], how)


async def _left(px: Platform, made: Made, tally: Tally) -> None:
    pool = await px._postgres.pool("users", "system_users")

    async def used(tenant: TenantScope, how: str) -> None:
        with suppress(asyncpg.PostgresError, TimeoutError, PrismicXError, RuntimeError):
            async with asyncio.timeout(0.05 if how == "a time-out" else 5), tenant.sql("system_users") as sql:
                await sql.fetch(_SEEN)
                if how == "an error of SQL":
                    await sql.fetch("SELECT 1 / 0")
                if how == "a time-out":
                    await sql.fetch("SELECT pg_sleep(1)")
                if how == "an error of the caller":
                    raise RuntimeError

    for how in ("a commit", "an error of SQL", "a time-out", "an error of the caller"):
        async with px.tenant(made.own) as tenant:
            await asyncio.gather(*(used(tenant, how) for _ in range(20)))
        held = [await pool.acquire() for _ in range(pool.get_size())]
        try:
            for connection in held:
                try:
                    found = tuple((await connection.fetchrow(_CONTEXT)) or ())
                    rows = await connection.fetch(_SEEN)
                    left = [str(value) for value in found[:2] if value] + [row[0] for row in rows]
                except asyncpg.PostgresError as error:  # such as a transaction that is somebody else's
                    left = [str(error)]
                tally.note(LEFT, "the next borrower", "a pooled connection", f"after {how}", ", ".join(left))
        finally:
            for connection in held:
                await pool.release(connection)


async def _crowd(px: Platform, made: Made, chance: random.Random, tally: Tally) -> None:
    async def one(tenant_id: str, pause: float, wrong: bool) -> Sequence[str]:
        seen: list[str] = []
        with suppress(TimeoutError, asyncpg.PostgresError, PrismicXError):
            async with asyncio.timeout(pause), px.tenant(tenant_id) as tenant, tenant.sql("system_users") as sql:
                seen += [row[0] for row in await sql.fetch(_SEEN)]
                if wrong:
                    await sql.fetch("SELECT 1 / 0")
                seen += [row[0] for row in await sql.fetch(_SEEN)]
        return [found for found in seen if found != tenant_id]

    for _ in range(4):
        order = [chance.choice(made.all) for _ in range(100)]
        foreign = await asyncio.gather(
            *(one(tenant_id, chance.choice((0.005, 5)), chance.random() < 0.2) for tenant_id in order)
        )
        for found in foreign:
            tally.note(CROWD, "one of a hundred tasks", "user_data.users", "read", ", ".join(found))


class _Undone(Exception):
    """What a caller raises in a savepoint."""


async def _savepoint(px: Platform, made: Made, tally: Tally) -> None:
    """Another tenant is named inside of it, with a proof that holds: who has the key of proofs can do that."""
    for tenant_id, other in zip(made.all, (*made.all[1:], made.own), strict=True):
        async with px.tenant(tenant_id) as tenant, tenant.sql("system_users") as sql:
            connection = sql._open()
            backend = await connection.fetchval("SELECT pg_catalog.pg_backend_pid()")
            for how in ("an error of SQL", "an error of the caller"):
                with suppress(asyncpg.PostgresError, _Undone):
                    async with sql.savepoint():
                        await connection.execute(px._postgres._context_key().settings(other, backend))
                        await sql.fetch("SELECT 1 / 0" if how == "an error of SQL" else _SEEN)
                        raise _Undone
                seen = [row[0] for row in await sql.fetch(_SEEN)]
                named = await connection.fetchval("SELECT current_setting('app.current_tenant_id')")
                left = "" if seen == [tenant_id] and named == tenant_id else f"{named} is the tenant; {seen} are seen"
                tally.note(SAVEPOINT, "users", "user_data.users", f"read after {how}", left)
