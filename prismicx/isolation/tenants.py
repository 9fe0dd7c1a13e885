"""Tenants that are made to be attacked, and leave nothing behind."""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from prismicx.engines import mongo, postgres
from prismicx.engines.endpoints import Endpoints, locate_keys
from prismicx.errors import Conflict
from prismicx.keys.client import Keys
from prismicx.names import Names
from prismicx.platform import Platform, open_platform
from prismicx.reference.definitions import CATEGORIES, PLATFORM, REGISTRY, TASKS
from prismicx.settings import Settings

_PREFIX = "prismicx-check-"
_MADE = re.compile(rf"{_PREFIX}[0-9a-f]{{8}}-[a-z]+")


@dataclass(frozen=True, slots=True)
class Made:
    """Tenants to attack with and to be attacked: in databases of their own, and in a shared one."""

    own: str
    other: str
    shared: str
    other_shared: str

    @property
    def all(self) -> tuple[str, ...]:
        return self.own, self.other, self.shared, self.other_shared


@asynccontextmanager
async def throw_away(settings: Settings, endpoints: Endpoints) -> AsyncIterator[tuple[Platform, Made]]:
    """A platform and four tenants; they are gone afterwards, and so are those that a killed verification left.

    Raises:
        Conflict: ``isolation.running`` when another verification of the platform runs: it would lose its tenants.
    """
    mark = f"{_PREFIX}{secrets.token_hex(4)}"
    made = Made(f"{mark}-own", f"{mark}-other", f"{mark}-shared", f"{mark}-others")
    async with _alone(settings, endpoints), open_platform(settings) as px:
        await _remove_left(settings, endpoints)
        try:
            await asyncio.gather(
                *(
                    px.tenants.create(
                        tenant_id,
                        name="Made by isolation verify",
                        isolation="dedicated" if tenant_id in (made.own, made.other) else "shared",
                    )
                    for tenant_id in made.all
                )
            )
            yield px, made
        finally:
            await _remove_left(settings, endpoints)


@asynccontextmanager
async def _alone(settings: Settings, endpoints: Endpoints) -> AsyncIterator[None]:
    url = endpoints.postgres.postgres(Names(settings.namespace).server_wide("system_users"))
    async with postgres.connect(url, settings.connect_timeout) as admin:
        if not await admin.fetchval("SELECT pg_try_advisory_lock(hashtextextended('prismicx isolation verify', 0))"):
            raise Conflict("isolation.running", "another isolation verify of this platform runs", "wait for it to end")
        yield


async def _remove_left(settings: Settings, endpoints: Endpoints) -> None:
    names = Names(settings.namespace)
    async with mongo.connect(endpoints.mongo.url, settings.connect_timeout) as client:
        registry = client[names.server_wide(REGISTRY)]
        rows = registry["tenants"].find({"tenant_id": {"$regex": f"^{_PREFIX}"}})
        left = [row async for row in rows if _MADE.fullmatch(row["tenant_id"])]
        if not left:
            return
        tenants = [row["tenant_id"] for row in left]
        await _remove_from_postgres(settings, endpoints, names, tenants)
        keys = Keys(locate_keys(settings))
        for tenant_id in tenants:
            await keys.destroy(names.wrapping_key(tenant_id))
        for row in left:  # the registry's own entry last: by it they are found again
            await _remove(client, registry, row, names)


async def _remove(client: mongo.Client, registry: Any, row: dict[str, Any], names: Names) -> None:
    tenant, config = {"tenant_id": row["tenant_id"]}, row["database_config"]
    database = client[config["database_name"]]
    if config["type"] == "dedicated":
        await database.command("dropAllUsersFromDatabase")
        await client.drop_database(database.name)
        await registry["tenant_databases"].delete_one({"database_name": database.name})
    else:
        await database["user_insights"].delete_many(tenant)
        await registry["tenant_databases"].update_one(
            {"database_name": database.name}, {"$pull": {"tenants": row["tenant_id"]}}
        )
    for place in (TASKS, CATEGORIES, PLATFORM):
        shared = client[names.server_wide(place)]
        for name in await shared.list_collection_names():
            await shared[name].delete_many(tenant)
    await registry["tenants"].delete_one(tenant)


async def _remove_from_postgres(settings: Settings, endpoints: Endpoints, names: Names, tenants: list[str]) -> None:
    url = endpoints.postgres.postgres(names.server_wide("system_users"))
    async with postgres.connect(url, settings.connect_timeout) as admin:
        await admin.execute(f'SET ROLE "{names.service("owner")}"')
        for tenant_id in tenants:
            await admin.execute(f'DROP VIEW IF EXISTS user_extensions."{names.extensions_view(tenant_id)}"')
        await admin.execute("RESET ROLE")
        for table, column, parent in (
            ("user_preferences.preferences", "user_id", "user_data.users"),
            ("user_extensions.extension_metrics", "extension_id", "user_extensions.extensions"),
            ("user_extensions.practicality_factors", "extension_id", "user_extensions.extensions"),
        ):
            await admin.execute(
                f"DELETE FROM {table} WHERE {column} IN (SELECT id FROM {parent} WHERE tenant_id = ANY ($1))", tenants
            )
        await admin.execute("DELETE FROM user_extensions.extensions WHERE tenant_id = ANY ($1)", tenants)
        await admin.execute("DELETE FROM user_data.users WHERE tenant_id = ANY ($1)", tenants)
    url = endpoints.postgres.postgres(names.server_wide("management_system_repository"))
    async with postgres.connect(url, settings.connect_timeout) as admin:
        for tenant_id in tenants:
            await admin.execute(f'DROP FUNCTION IF EXISTS runners."{names.tenant_owner(tenant_id)}"(text[])')
            for role in (names.tenant_role(tenant_id), names.tenant_owner(tenant_id)):
                await admin.execute(f'DROP ROLE IF EXISTS "{role}"')
