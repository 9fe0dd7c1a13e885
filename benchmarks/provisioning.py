"""`tenant create` against the bare statements it needs, on the same servers."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime

import asyncpg

from benchmarks.measure import Claim, in_turns
from prismicx.credentials import generate
from prismicx.engines.endpoints import locate
from prismicx.engines.mongo import open_client
from prismicx.names import Names
from prismicx.platform import Platform
from prismicx.reference.definitions import collection
from prismicx.settings import Settings

INSIGHTS = collection("tenant_XXX_db.user_insights")


async def measure(settings: Settings, quick: bool) -> Claim:
    """One tenant after another, each with a database of its own."""
    endpoints = locate(settings)
    names = Names(settings.namespace)
    platform = Platform(settings, endpoints)
    repository = await asyncpg.connect(endpoints.postgres.postgres("management_system_repository"))
    users = await asyncpg.connect(endpoints.postgres.postgres("system_users"))
    client = open_client(endpoints.mongo.url, 10)
    numbers = itertools.count()

    async def bare() -> None:
        """The statements alone, one after another: no journal, no checks, nothing to resume."""
        tenant = f"bare-{next(numbers)}"
        role, owner = names.tenant_role(tenant), names.tenant_owner(tenant)
        database = client[names.tenant_database(tenant)]
        now = datetime.now(UTC)
        await repository.execute(f'CREATE ROLE "{role}" NOLOGIN NOINHERIT')
        await repository.execute(f'CREATE ROLE "{owner}" NOLOGIN NOINHERIT')
        await repository.execute(f'GRANT "{role}" TO prismicx_systems')
        await repository.execute(f'GRANT "{owner}" TO prismicx_fleet')
        view = names.extensions_view(tenant)
        await users.execute(
            f'CREATE VIEW user_extensions."{view}" WITH (security_invoker = true) AS SELECT id, user_id, tenant_id, '
            "extension_type, name, description, enabled, priority, created_at, updated_at, metadata "
            f"FROM user_extensions.extensions WHERE tenant_id = '{tenant}'"
        )
        await users.execute(f'GRANT SELECT ON user_extensions."{view}" TO prismicx_extensions')
        await database.command("create", "user_insights", validator=INSIGHTS.validator)
        await database.command(
            "createIndexes", "user_insights", indexes=[index.specification() for index in INSIGHTS.indexes]
        )
        await database.command("createUser", role, pwd=generate(), roles=[{"role": "readWrite", "db": database.name}])
        await client["tenant_registry"]["tenant_databases"].insert_one(
            {"database_name": database.name, "type": "dedicated", "tenants": [tenant], "status": "active",
             "created_at": now}
        )  # fmt: skip
        await client["tenant_registry"]["tenants"].insert_one(
            {"tenant_id": tenant, "name": "Bare", "created_at": now, "status": "active",
             "database_config": {"type": "dedicated", "connection_string": "x", "database_name": database.name}}
        )  # fmt: skip

    async def create() -> None:
        await platform.tenants.create(f"made-{next(numbers)}", name="Made")

    try:
        figures = await in_turns(
            {"bare statements": bare, "tenant create": create},
            operations=6 if quick else 30,
            tasks=1,
            turns=3 if quick else 7,
        )
    finally:
        await repository.close()
        await users.close()
        await client.close()
        await platform.close()
    return Claim(
        "`tenant create`, dedicated placement, no systems",
        "bare statements",
        figures,
        {"tenant create": 0.60},
        ["Journal, checks and registry states are part of `tenant create`; its two engines work side by side."],
    )
