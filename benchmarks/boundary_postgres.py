"""A point read of `users` through a scope, against a plain pooled read without a tenant."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime

import asyncpg
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from benchmarks.measure import Claim, in_turns
from prismicx.credentials import Credentials
from prismicx.engines.endpoints import locate
from prismicx.platform import Platform
from prismicx.settings import Settings

TASKS = 8
READ = "SELECT id, username, email, role, status FROM user_data.users WHERE id = $1"


async def measure(settings: Settings, quick: bool) -> Claim:
    """200 tenants of 100 users; every read is of one row by its key."""
    endpoints = locate(settings)
    platform = Platform(settings, endpoints)
    await platform.tenants.create("reader", name="Reader", isolation="shared")
    admin_url = endpoints.postgres.postgres("system_users")
    admin = await asyncpg.connect(admin_url)
    now = datetime.now(UTC).replace(tzinfo=None)
    await admin.executemany(
        "INSERT INTO user_data.users (id, tenant_id, username, email, password_hash, role, status, created_at, "
        "updated_at) VALUES ($1, $2, $3, $4, '-', 'user', 'active', $5, $5)",
        [(uuid.uuid4(), f"other-{n % 200}", "u", f"{n}@x.test", now) for n in range(2_000 if quick else 20_000)],
    )
    user = uuid.uuid4()
    await admin.execute(
        "INSERT INTO user_data.users (id, tenant_id, username, email, password_hash, role, status, created_at, "
        "updated_at) VALUES ($1, 'reader', 'ada', 'ada@x.test', '-', 'user', 'active', $2, $2)",
        user,
        now,
    )
    await admin.execute("VACUUM ANALYZE user_data.users")
    await admin.close()

    login = "prismicx_users"
    password = Credentials(settings.credentials_file).require("postgres", login)
    service_url = endpoints.postgres.postgres("system_users", login, password)
    plain_pool = await asyncpg.create_pool(admin_url, min_size=TASKS, max_size=TASKS)
    naive_pool = await asyncpg.create_pool(service_url, min_size=TASKS, max_size=TASKS)
    engine = create_async_engine(
        service_url.replace("postgresql://", "postgresql+asyncpg://"), pool_size=TASKS, max_overflow=0
    )
    statement = text(READ.replace("$1", ":id"))
    context = text(
        "SELECT set_config('app.current_tenant_id', :tenant, true), set_config('app.tenant_proof', :proof, true)"
    )
    key = platform._postgres._context_key()

    async def plain() -> None:
        """As an administrator: no policy applies, no tenant is set."""
        row = await plain_pool.fetchrow(READ, user)
        assert row is not None

    async def scoped() -> None:
        async with platform.tenant("reader") as tenant, tenant.sql("system_users") as sql:
            row = await sql.fetchrow(READ, user)
        assert row is not None

    async def naive() -> None:
        """Four messages: begin, set, read, commit."""
        async with naive_pool.acquire() as connection, connection.transaction():
            await connection.execute(platform._postgres.context(connection, "reader"))
            row = await connection.fetchrow(READ, user)
        assert row is not None

    async def sqlalchemy() -> None:
        async with engine.begin() as connection:
            driver = (await connection.get_raw_connection()).driver_connection
            assert driver is not None
            proof = key.proof("reader", driver.get_server_pid())
            await connection.execute(context, {"tenant": "reader", "proof": proof})
            row = (await connection.execute(statement, {"id": user})).one()
        assert row.username == "ada"

    try:
        figures = await in_turns(
            {
                "plain pooled asyncpg, no tenant": plain,
                "prismicx scope": scoped,
                "asyncpg, four round trips": naive,
                "SQLAlchemy": sqlalchemy,
            },
            operations=400,
            tasks=TASKS,
            turns=3 if quick else 151,
        )
    finally:
        await plain_pool.close()
        await naive_pool.close()
        await engine.dispose()
        await platform.close()
    return Claim(
        "A point read of `users` in a tenant's scope, 8 tasks",
        "plain pooled asyncpg, no tenant",
        figures,
        {"prismicx scope": 0.80},
        ["The scope opens (registry cache), begins, sets the tenant, reads under row security, commits, resets."],
    )
