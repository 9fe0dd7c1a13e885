"""What tests of sealed fields need: platforms with a key service of their own, and a look at what is stored."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

from prismicx import Platform
from prismicx.engines import mongo
from prismicx.engines.endpoints import locate
from prismicx.sealing.fields import CONNECTION, Field
from prismicx.sealing.keysets import Keysets
from prismicx.sealing.sealer import Sealer
from prismicx.settings import Settings
from tests.key_service import KeyService
from tests.leaks import SEALED
from tests.support import administrator

SECRET = SEALED
PAGE = {"ssn": SECRET, "n": 1}
DECLARED = """
[versions.configuration]
type = "object"
properties.url = { type = "string" }
properties.token = { type = "string", minLength = 8, secret = true }
properties.port = { type = "integer", secret = true }
"""
"""What a version declares of its configuration: two keys of it are secret."""


@asynccontextmanager
async def platform(settings: Settings, grace: float = 60.0, **changes: Any) -> AsyncIterator[Platform]:
    """A platform as another process would have it: with caches of its own."""
    changed = replace(settings, **changes)
    made = Platform(changed, locate(changed))
    made.keys._rotation._grace = timedelta(seconds=grace)
    try:
        yield made
    finally:
        await made.close()


def with_service(settings: Settings, service: KeyService, **changes: Any) -> Settings:
    """The settings with a key service of one's own."""
    url = f"http://127.0.0.1:{service.port}"
    return replace(settings, key_url=url, key_token=service.token, key_admin_token=service.token, **changes)


def sealer(px: Platform, tenant: str, field: Field = CONNECTION) -> Sealer:
    return Sealer(px._keysets, tenant, field)


def keysets(px: Platform) -> Keysets:
    return px._keysets


async def stored(settings: Settings, tenant: str) -> dict[str, list[Any]]:
    """All that both engines hold of the tenant where something may be sealed, past the library."""
    users = await administrator(settings, "system_users")
    repository = await administrator(settings, "management_system_repository")
    try:
        found: dict[str, list[Any]] = {
            "users": [
                json.loads(row[0])
                for row in await users.fetch(
                    "SELECT metadata::text FROM user_data.users WHERE tenant_id = $1 AND metadata IS NOT NULL "
                    "ORDER BY email",
                    tenant,
                )
            ],
            "preferences": [
                json.loads(row[0])
                for row in await users.fetch(
                    "SELECT preference_value::text FROM user_preferences.preferences p "
                    "JOIN user_data.users u ON u.id = p.user_id WHERE tenant_id = $1 ORDER BY preference_key",
                    tenant,
                )
            ],
            "systems": [
                json.loads(row[0] or "{}")
                for row in await repository.fetch(
                    "SELECT configurations::text FROM public.tenant_systems WHERE tenant_id = $1", tenant
                )
            ],
        }
    finally:
        await users.close()
        await repository.close()
    async with mongo.connect(locate(settings).mongo.url, 10) as client:
        begin = f"{settings.namespace}__"
        tasks = client[f"{begin}task_repository"]["tasks"].find({"tenant_id": tenant})
        found["tasks"] = [document["payload"] async for document in tasks]
        registry = client[f"{begin}tenant_registry"]["tenants"].find({"tenant_id": tenant})
        found["registry"] = [document["database_config"]["connection_string"] async for document in registry]
    return found


@asynccontextmanager
async def collection(settings: Settings, name: str, database: str = "prismicx_platform") -> AsyncIterator[Any]:
    """A collection of the platform, past the library."""
    async with mongo.connect(locate(settings).mongo.url, 10) as client:
        yield client[f"{settings.namespace}__{database}"][name]
