"""What several tests need: rows of users, and cleaning up after a namespace."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg

from prismicx import Platform, ScopedCollection, Sql, TenantScope
from prismicx.credentials import CONTEXT, Credentials
from prismicx.engines.context import ContextKey
from prismicx.engines.endpoints import locate
from prismicx.names import Names
from prismicx.settings import Settings

ADD_USER = """
INSERT INTO user_data.users
    (id, tenant_id, username, email, password_hash, role, status, created_at, updated_at)
VALUES ($1, $2, $3, $4, '-', 'user', 'active', $5, $5)
"""
ADD_PREFERENCE = """
INSERT INTO user_preferences.preferences (user_id, preference_key, preference_value, created_at, updated_at)
VALUES ($1, $2, '{"on": true}', $3, $3)
"""
ADD_EXTENSION = """
INSERT INTO user_extensions.extensions (id, user_id, tenant_id, extension_type, name, created_at, updated_at)
VALUES ($1, $2, $3, 'widget', $4, $5, $5)
"""
ADD_FACTOR = """
INSERT INTO user_extensions.practicality_factors
    (id, extension_id, factor_name, factor_value, factor_weight, created_at, updated_at)
VALUES ($1, $2, $3, $4, $5, $6, $6)
"""


def naive_now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)


def aware_now() -> datetime:
    return datetime.now(UTC)


async def add_user(sql: Sql, tenant_id: str, name: str = "ada") -> uuid.UUID:
    """A user of the tenant; its e-mail address is unique."""
    key = uuid.uuid4()
    await sql.execute(ADD_USER, key, tenant_id, name, f"{name}-{key}@example.test", naive_now())
    return key


async def add_extension(sql: Sql, tenant_id: str, user: uuid.UUID, name: str = "clock") -> uuid.UUID:
    key = uuid.uuid4()
    await sql.execute(ADD_EXTENSION, key, user, tenant_id, name, naive_now())
    return key


def insight(user_id: str, **more: Any) -> dict[str, Any]:
    moment = aware_now()
    return {"user_id": user_id, "created_at": moment, "updated_at": moment, **more}


def category(name: str, **more: Any) -> dict[str, Any]:
    return {"category_id": str(uuid.uuid4()), "name": name, "created_at": aware_now(), **more}


def task(kind: str = "mail", **more: Any) -> dict[str, Any]:
    fixed = {"service_id": "mailer", "type": kind, "status": "pending", "priority": 1, "payload": {}}
    return {"task_id": str(uuid.uuid4()), **fixed, "created_at": aware_now(), **more}


def context_of(settings: Settings, connection: asyncpg.Connection, tenant_id: str) -> str:
    """What makes a transaction on a service's own connection the tenant's."""
    login = Names(settings.namespace).service(CONTEXT)
    key = ContextKey(Credentials(settings.credentials_file).require(CONTEXT, login))
    return key.settings(tenant_id, connection.get_server_pid())


def administrator(settings: Settings, database: str) -> Any:
    """A connection of the administrator to a database of the reference."""
    endpoint = locate(settings).postgres
    return asyncpg.connect(endpoint.postgres(Names(settings.namespace).server_wide(database)))


def make_package(
    folder: Path,
    system_id: str,
    *scripts: tuple[str, str | None],
    kind: str = "",
    declared: Mapping[int, str] | None = None,
) -> Path:
    """A system with one version for each pair of scripts, and what the versions declare, by number, as TOML."""
    (folder / "migrations").mkdir(parents=True, exist_ok=True)
    text = f'id = "{system_id}"\ntype = "{kind or system_id}"\nname = "T"\nvendor = "T"\n'
    for number, (up, down) in enumerate(scripts, 1):
        text += f'\n[[versions]]\nversion = "{number}.0"\nschema_version = {number}\nrelease_date = 2026-01-01\n'
        text += (declared or {}).get(number, "")
        (folder / "migrations" / f"{number:04d}_step.up.sql").write_text(up)
        if down is not None:
            (folder / "migrations" / f"{number:04d}_step.down.sql").write_text(down)
    (folder / "system.toml").write_text(text)
    return folder


async def fill(scope: TenantScope) -> tuple[uuid.UUID, uuid.UUID]:
    """A user with a preference and an extension with a factor."""
    async with scope.sql("system_users") as sql:
        user = await add_user(sql, scope.tenant_id)
        await sql.execute(ADD_PREFERENCE, user, "theme", naive_now())
    async with scope.sql("system_users", service="extensions") as sql:
        extension = await add_extension(sql, scope.tenant_id, user)
        await sql.execute(ADD_FACTOR, uuid.uuid4(), extension, "speed", 7, 2.0, naive_now())
    return user, extension


async def two_trees(px: Platform, pair: tuple[str, str]) -> tuple[ScopedCollection, ScopedCollection]:
    async with px.tenant(pair[0]) as ann, px.tenant(pair[1]) as bob:
        mine, theirs = await ann.collection("categories"), await bob.collection("categories")
    for own in (mine, theirs):
        await own.delete_many({})
        await own.insert_many([category("root"), category("leaf")])
    return mine, theirs
