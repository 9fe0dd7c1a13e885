"""What cannot run in a transaction, cut off at any point: it goes on, and nothing of the attempt is left."""

from __future__ import annotations

import asyncio
import secrets
from typing import Any

import pytest

from prismicx import Platform
from tests.integration.shop import Shop, installed
from tests.support import administrator, make_package

FIRST = (
    "CREATE TABLE a (x int, y int); CREATE INDEX a_x ON a (x); CREATE INDEX a_y ON a (y); "
    "CREATE TABLE p (id int) PARTITION BY LIST (id); CREATE TABLE p1 PARTITION OF p FOR VALUES IN (1);"
)
STATEMENTS = {
    "DROP INDEX CONCURRENTLY a_x": "DROP INDEX a_x",
    "CREATE INDEX CONCURRENTLY a_xy ON ${schema}.a (x, y)": "CREATE INDEX a_xy ON a (x, y)",
    "REINDEX TABLE CONCURRENTLY a": "REINDEX TABLE a",
    "REINDEX INDEX CONCURRENTLY a_y": "REINDEX INDEX a_y",
    "ALTER TABLE p DETACH PARTITION p1 CONCURRENTLY":
    # What the server leaves with CONCURRENTLY only.
    "ALTER TABLE p DETACH PARTITION p1; ALTER TABLE p1 ADD CHECK (id IS NOT NULL AND id = 1)",
}
"""Each and what it does when nobody cuts it."""


@pytest.mark.parametrize("statement", STATEMENTS)
async def test_what_was_cut_off_goes_on(shop: Shop, px: Platform, statement: str) -> None:
    shop.system = f"s{secrets.token_hex(4)}"
    step = (f"COMMENT ON TABLE a IS 'begun'; {statement}; COMMENT ON TABLE a IS 'done';", None)
    await px.catalogue.publish(make_package(shop.folder, shop.system, (FIRST, None), step))
    shop.tenants = [f"t-{secrets.token_hex(5)}" for _ in range(3)]
    await asyncio.gather(
        *(px.tenants.create(name, name="T", isolation="shared", tier=shop.system) for name in shop.tenants)
    )
    await shop.run("install", "1.0")
    after, waiting, killed = shop.tenants
    made = await shop.plan("upgrade", waves=(), concurrency=3, patience=20, lock_milliseconds=150)
    # The server ended it and nobody wrote it down.
    for text in STATEMENTS[statement].split("; "):
        await shop.sql(after, text)
    admin = await administrator(shop.settings, "management_system_repository")
    reader = await administrator(shop.settings, "management_system_repository")
    schemas = [px._names.schema(name, shop.system) for name in (waiting, killed)]
    try:
        # A reader in the way: the time for locks is over again and again, in the middle of the statement.
        transaction = reader.transaction(isolation="repeatable_read")
        await transaction.start()
        for schema in schemas:
            await reader.execute(f'SELECT * FROM "{schema}".a; SELECT * FROM "{schema}".p')
        running = asyncio.create_task(px.fleet.start(made))
        await asyncio.sleep(1.0)
        terminated = await terminate(admin, px)
        await asyncio.sleep(0.5)
        await transaction.rollback()
        done = await running
        if terminated and done.status == "paused":
            assert "lost" in (done.reason or "")
            done = await px.fleet.resume(done.rollout_id)
        assert (done.status, done.failed) == ("finished", 0), await px.fleet.failures(done.rollout_id)
        assert await shop.versions() == installed("2.0", shop.tenants)
        assert (await px.fleet.drift(shop.system)).drifted == ()
        for name in shop.tenants:
            assert await shop.sql(name, "SELECT obj_description('a'::regclass)") == "done"
            assert await shop.sql(
                name, "SELECT count(*) FROM pg_index WHERE NOT indisvalid AND indrelid = 'a'::regclass"
            ) == 0  # fmt: skip
    finally:
        await reader.close()
        await admin.close()


async def terminate(admin: Any, px: Platform) -> int:
    """End the sessions that are at such a statement, as a server that goes down does; how many."""
    rows = await admin.fetch(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = $1 AND query LIKE '%CONCURRENTLY%' "
        "AND state = 'active'",
        px._names.service("fleet"),
    )
    return len(rows)
