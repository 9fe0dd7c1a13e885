"""Logins, collections and indexes of MongoDB, broken one at a time for the self-test."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from prismicx.engines import mongo
from prismicx.isolation.platform_breaks import Breaks
from prismicx.names import Names


def login_breaks(admin: mongo.Client, names: Names, login: str, own: str, other: str) -> Breaks:
    """What is broken, and a context in which it is.

    Args:
        login: of a tenant, in the database ``own``.
        other: the database of another tenant.
    """
    tasks, categories = (names.server_wide(name) for name in ("task_repository", "category_repository"))
    found: dict[str, Callable[[], Any]] = {
        "a tenant's login reads another's database": lambda: _granted(admin[own], login, "read", other),
        "a tenant's login reads shared collections": lambda: _granted(admin[own], login, "read", tasks),
        "a service's login writes beyond its collections": lambda: _granted(
            admin[mongo.USERS], names.service("tasks"), "readWrite", categories
        ),
        "a stranger reads a shared database": lambda: _user(admin[tasks], "read", tasks),
        "a stranger reads a tenant's database": lambda: _user(admin[mongo.USERS], "read", other),
        "a stranger reads every database": lambda: _user(admin[mongo.USERS], "readAnyDatabase", mongo.USERS),
        "a stranger has a role of a service": lambda: _user(admin[mongo.USERS], names.service("keys"), mongo.USERS),
        "a shared database has another collection": lambda: _collection(admin[tasks]),
        "a unique index does not begin with the tenant": lambda: _indexed(
            admin[tasks]["tasks"], ["task_id", "tenant_id", "type"]
        ),
        "a unique index has no tenant": lambda: _indexed(admin[categories]["categories"], ["name", "category_id"]),
    }
    return found


@asynccontextmanager
async def _granted(database: mongo.Database, login: str, role: str, place: str) -> AsyncIterator[None]:
    roles = [{"role": role, "db": place}]
    await database.command("grantRolesToUser", login, roles=roles)
    try:
        yield
    finally:
        await database.command("revokeRolesFromUser", login, roles=roles)


@asynccontextmanager
async def _user(database: mongo.Database, role: str, place: str) -> AsyncIterator[None]:
    roles = [{"role": role, "db": place}]
    await database.command("createUser", "planted_by_check", pwd=secrets.token_urlsafe(24), roles=roles)
    try:
        yield
    finally:
        await database.command("dropUser", "planted_by_check")


@asynccontextmanager
async def _collection(database: mongo.Database) -> AsyncIterator[None]:
    await database.create_collection("planted_by_check")
    try:
        yield
    finally:
        await database.drop_collection("planted_by_check")


@asynccontextmanager
async def _indexed(collection: Any, fields: list[str]) -> AsyncIterator[None]:
    name = await collection.create_index([(field, 1) for field in fields], unique=True)
    try:
        yield
    finally:
        await collection.drop_index(name)
