"""Many tenants at once, as provisioning leaves them: for what is measured about many, not about making them."""

from __future__ import annotations

from datetime import UTC, datetime

from prismicx.platform import Platform


async def crowd(platform: Platform, name: str, number: int, sizes: tuple[int, ...] = ()) -> list[str]:
    """Active tenants `name-1`, `name-2` … of the tier `name`, with their roles, what runs their migrations, and their
    entries in the registry; the first so many of them, for each of the sizes, are tagged with it."""
    tenants = [f"{name}-{n}" for n in range(1, number + 1)]
    names = platform._names
    pool = await platform._postgres.pool("registry", "management_system_repository")
    fleet = await platform._postgres.pool("fleet", "management_system_repository")
    for begin in range(0, number, 500):
        some = tenants[begin : begin + 500]
        await pool.execute(
            "SELECT prismicx.create_tenant_roles(role, owner) FROM unnest($1::text[], $2::text[]) AS g (role, owner)",
            [names.tenant_role(tenant) for tenant in some],
            [names.tenant_owner(tenant) for tenant in some],
        )
        owners = [names.tenant_owner(tenant) for tenant in some]
        # Each changes the rights of one schema, which gets slower with every change of the same transaction.
        for first in range(0, len(owners), 20):
            await fleet.execute(
                "SELECT prismicx.make_runner(owner) FROM unnest($1::text[]) AS owner", owners[first : first + 20]
            )
        registry = await platform._registry.collection("tenants")
        moment = datetime.now(UTC)
        await registry.insert_many(
            {
                "tenant_id": tenant, "name": tenant, "status": "active", "created_at": moment, "tier": name,
                "settings": {"tags": [str(size) for size in sizes if int(tenant.rpartition("-")[2]) <= size]},
                "database_config": {
                    "type": "shared", "database_name": "shared_insights_1", "connection_string": "mongodb://x/y",
                },
            }
            for tenant in some
        )  # fmt: skip
    return tenants
