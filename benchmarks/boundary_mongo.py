"""`find_one` through a scoped collection, against the raw driver."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime

from benchmarks.measure import Claim, in_turns
from prismicx.engines.endpoints import locate
from prismicx.platform import Platform
from prismicx.settings import Settings


async def measure(settings: Settings, quick: bool) -> Claim:
    """One task of 2,000 of ten tenants by its key; the raw driver is given the tenant by hand."""
    platform = Platform(settings, locate(settings))
    count = 200 if quick else 2_000
    keys: list[str] = []
    for number in range(10):
        tenant_id = f"mongo-{number}"
        await platform.tenants.create(tenant_id, name="M", isolation="shared")
        async with platform.tenant(tenant_id) as tenant:
            tasks = await tenant.collection("tasks")
            rows = [
                {
                    "task_id": str(uuid.uuid4()), "service_id": "s", "type": "t", "status": "pending", "priority": 1,
                    "payload": {"n": n}, "created_at": datetime.now(UTC),
                }
                for n in range(count // 10)
            ]  # fmt: skip
            await tasks.insert_many(rows)
            if number == 0:
                keys = [str(row["task_id"]) for row in rows]
    client = await platform._mongo.service("tasks")
    raw_collection = client["task_repository"]["tasks"]
    key = keys[7]
    async with platform.tenant("mongo-0") as tenant:
        scoped_collection = await tenant.collection("tasks")

        async def raw() -> None:
            assert await raw_collection.find_one({"task_id": key, "tenant_id": "mongo-0"})

        async def scoped() -> None:
            assert await scoped_collection.find_one({"task_id": key})

        async def with_scope() -> None:
            async with platform.tenant("mongo-0") as own:
                assert await (await own.collection("tasks")).find_one({"task_id": key})

        try:
            figures = await in_turns(
                {"raw driver": raw, "scoped collection": scoped, "scope opened for each read": with_scope},
                operations=300,
                tasks=4,
                turns=3 if quick else 71,
            )
        finally:
            await platform.close()
    return Claim(
        "`find_one` by key in a shared collection, 4 tasks", "raw driver", figures, {"scoped collection": 0.90}
    )
