"""A platform of its own on the same servers, to break things in; it is gone afterwards."""

from __future__ import annotations

import secrets
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from prismicx.engines import mongo, postgres
from prismicx.engines.endpoints import Endpoints, locate, locate_keys
from prismicx.reference.apply import apply
from prismicx.settings import Settings


@asynccontextmanager
async def scratch(settings: Settings, endpoints: Endpoints) -> AsyncIterator[Settings]:
    """Settings of a platform in a namespace nobody has, to which the reference was applied.

    Raises:
        Unavailable: an engine or the key service cannot be used.
    """
    keys = locate_keys(settings)
    with tempfile.TemporaryDirectory(prefix="prismicx-scratch-") as folder:
        mine = replace(
            settings,
            namespace=f"check{secrets.token_hex(3)}",
            postgres_url=endpoints.postgres.url,
            postgres_pooler_url="",  # it knows none of the logins that are made here
            mongo_url=endpoints.mongo.url,
            # The tokens of an embedded key service are in the credentials file, and that is another one here.
            key_token=keys.token,
            key_admin_token=keys.admin_token,
            credentials=str(Path(folder) / "credentials.json"),
        )
        try:
            await apply(mine, locate(mine))
            yield mine
        finally:
            await drop_namespace(mine)


async def drop_namespace(settings: Settings) -> None:
    """Remove every database, role and user of a platform that has a namespace.

    Raises:
        ValueError: the platform has none: it owns its servers, and is not to be removed.
    """
    if not settings.namespace:
        raise ValueError("a platform without a namespace is not removed")
    prefix = f"{settings.namespace}\\_\\_%"
    endpoints = locate(settings)
    async with postgres.connect(endpoints.postgres.url, settings.connect_timeout) as admin:
        for row in await admin.fetch("SELECT datname FROM pg_database WHERE datname LIKE $1", prefix):
            await admin.execute(f'DROP DATABASE "{row["datname"]}" WITH (FORCE)')
        roles = await admin.fetch("SELECT rolname FROM pg_roles WHERE rolname LIKE $1", prefix)
        if roles:  # in one command, since they are members of one another
            await admin.execute("DROP ROLE " + ", ".join(f'"{row["rolname"]}"' for row in roles))
    async with mongo.connect(endpoints.mongo.url, settings.connect_timeout) as client:
        begin = f"{settings.namespace}__"
        for name in await client.list_database_names():
            if name.startswith(begin):
                await client[name].command("dropAllUsersFromDatabase")
                await client.drop_database(name)
        admin_database = client["admin"]
        for user in (await admin_database.command("usersInfo"))["users"]:
            if user["user"].startswith(begin):
                await admin_database.command("dropUser", user["user"])
        for role in (await admin_database.command("rolesInfo"))["roles"]:
            if role["role"].startswith(begin):
                await admin_database.command("dropRole", role["role"])
