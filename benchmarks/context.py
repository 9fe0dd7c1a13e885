"""A point read whose transaction is proved, against the policy alone and against no policy."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import asyncpg

from benchmarks.measure import Claim, in_turns
from prismicx.credentials import CONTEXT, Credentials
from prismicx.engines.context import ContextKey
from prismicx.engines.endpoints import locate
from prismicx.settings import Settings

TASKS, TENANTS = 4, 200
TABLES = {"no policy": "bench.free", "the policy of the reference": "bench.by_setting", "with proof": "user_data.users"}
ADD = (
    "INSERT INTO {table} (id, tenant_id, username, email, password_hash, role, status, created_at, updated_at) "
    "VALUES ($1, $2, 'ada', $3, '-', 'user', 'active', $4, $4)"
)


async def measure(settings: Settings, quick: bool) -> Claim:
    """Three tables with the same rows; each read is a transaction of three messages, of one row by its key."""
    endpoints = locate(settings)
    admin = await asyncpg.connect(endpoints.postgres.postgres("system_users"))
    await admin.execute(
        "DROP SCHEMA IF EXISTS bench CASCADE; CREATE SCHEMA bench; GRANT USAGE ON SCHEMA bench TO prismicx_users; "
        "CREATE TABLE bench.free (LIKE user_data.users INCLUDING ALL); "
        "CREATE TABLE bench.by_setting (LIKE user_data.users INCLUDING ALL); "
        "ALTER TABLE bench.by_setting ENABLE ROW LEVEL SECURITY; CREATE POLICY tenant_isolation_policy "
        "ON bench.by_setting USING (tenant_id = current_setting('app.current_tenant_id', TRUE)); "
        "GRANT SELECT ON bench.free, bench.by_setting TO prismicx_users"
    )
    now, rows = datetime.now(UTC).replace(tzinfo=None), 2_000 if quick else 20_000
    people = [(uuid.uuid4(), f"tenant-{n % TENANTS}", f"{n}@proof.test", now) for n in range(rows)]
    for table in TABLES.values():
        await admin.executemany(ADD.format(table=table), people)
        await admin.execute(f"VACUUM ANALYZE {table}")
    turn = itertools.count()
    credentials = Credentials(settings.credentials_file)
    url = endpoints.postgres.postgres(
        "system_users", "prismicx_users", credentials.require("postgres", "prismicx_users")
    )
    key = ContextKey(credentials.require(CONTEXT, "prismicx_context"))
    pool = await asyncpg.create_pool(url, min_size=TASKS, max_size=TASKS)

    def reading(name: str) -> Callable[[], Awaitable[None]]:
        read = f"SELECT id, username, email, role, status FROM {TABLES[name]} WHERE id = $1"

        async def work() -> None:
            # Proofs are kept for pairs of tenant and backend: as many are in use as in a process that serves many.
            user, tenant_id = people[next(turn) % TENANTS][:2]
            async with pool.acquire() as connection:
                context = f"SET LOCAL app.current_tenant_id = '{tenant_id}'"
                if name == "with proof":
                    context = key.settings(tenant_id, connection.get_server_pid())
                await connection.execute(f"BEGIN; {context}")
                row = await connection.fetchrow(read, user)
                assert row is not None
                await connection.execute("COMMIT")

        return work

    try:
        figures = await in_turns(
            {name: reading(name) for name in TABLES},
            operations=400,
            tasks=TASKS,
            turns=3 if quick else 201,
        )
    finally:
        await pool.close()
        await admin.execute("DROP SCHEMA bench CASCADE; DELETE FROM user_data.users WHERE email LIKE '%@proof.test'")
        await admin.close()
    return Claim(
        "A point read of `users` with a signed context, 4 tasks",
        "the policy of the reference",
        figures,
        {"with proof": 0.90},
        [
            f"Begin and setting, read, commit: three messages each, for {TENANTS} tenants in turn. The proof is one "
            "more setting, and two hashes a read."
        ],
    )
