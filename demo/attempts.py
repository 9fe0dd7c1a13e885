"""Every way the library offers to reach data, used by one tenant to reach another's."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Awaitable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import asyncpg
from pymongo import AsyncMongoClient
from pymongo.errors import PyMongoError

from prismicx import PrismicXError, ScopedCollection, TenantScope
from prismicx.credentials import Credentials
from prismicx.engines.endpoints import locate
from prismicx.names import Names
from prismicx.platform import open_platform
from prismicx.settings import Settings


@dataclass(frozen=True)
class Attempt:
    """One attempt and how it ended; ``held`` when it got nothing."""

    engine: str
    what: str
    outcome: str
    held: bool


@dataclass(frozen=True)
class Victim:
    """What the thief knows of its victim: more than any tenant would."""

    tenant_id: str
    user: uuid.UUID
    role: str
    schema: str
    view: str


async def tried(engine: str, what: str, work: Awaitable[Any]) -> Attempt:
    """Await the work; an error or an empty result is a refusal."""
    try:
        result = await work
    except (PrismicXError, asyncpg.PostgresError, PyMongoError) as error:
        reason = error.code if isinstance(error, PrismicXError) else type(error).__name__
        return Attempt(engine, what, f"refused: {reason}", True)
    for count in ("matched_count", "deleted_count"):
        result = getattr(result, count, result)
    if result in (0, None, []):
        return Attempt(engine, what, "nothing found" if result is None or result == [] else "nothing touched", True)
    return Attempt(engine, what, f"GOT {str(result)[:60]}", False)


async def in_postgres(thief: TenantScope, victim: Victim) -> AsyncIterator[Attempt]:
    """Statements under row-level security, and in the schema of an installed system."""
    me, user, them = thief.tenant_id, victim.user, victim.tenant_id
    users, table = "user_data.users", f'"{victim.schema}".companies'
    shared: list[tuple[str, str, list[Any]]] = [
        ("read users by the tenant's id", f"SELECT id, email FROM {users} WHERE tenant_id = $1", [them]),
        ("read a user by its key", f"SELECT id, email FROM {users} WHERE id = $1", [user]),
        ("a condition that is always true", f"SELECT id FROM {users} WHERE tenant_id <> $1 OR id = $2", [me, user]),
        ("change a user", f"UPDATE {users} SET email = 'x' WHERE id = $1", [user]),
        ("delete a user", f"DELETE FROM {users} WHERE id = $1", [user]),
        ("plant a user", f"INSERT INTO {users} SELECT gen_random_uuid(), $1, 'x', 'x', '!', NULL, NULL, 'x', 'x', "
                         "now(), now()", [them]),
        ("move one's own user over", f"UPDATE {users} SET tenant_id = $1", [them]),
        ("take over a user's primary key", f"INSERT INTO {users} SELECT $1, $2, 'x', 'x', '!', NULL, NULL, 'x', 'x', "
                                           "now(), now() ON CONFLICT (id) DO UPDATE SET tenant_id = $2", [user, me]),
        ("read preferences", "SELECT * FROM user_preferences.preferences WHERE user_id = $1", [user]),
        ("plant a preference", "INSERT INTO user_preferences.preferences VALUES ($1, 'x', '1', now(), now())", [user]),
        ("become the other by SET", f"SET LOCAL app.current_tenant_id = '{them}'", []),
        ("become the other by set_config", "SELECT set_config('app.current_tenant_id', $1, true)", [them]),
        ("a function without brackets", "SELECT ('SELECT to_tsvector(set_config(''app.current_tenant_id'', ''"
                                        f"{them}'', true))'::text).ts_stat", []),
        ("a setting by its table", "UPDATE pg_settings SET setting = $1 WHERE name = 'app.current_tenant_id'", [them]),
        ("texts of other statements", "SELECT statement FROM pg_prepared_statements", []),
        ("a store beside the tables", "SELECT lo_from_bytea(0, 'x')", []),
        ("a second statement in one string", f"SELECT 1; SET app.current_tenant_id = '{them}'", []),
        ("switch policies off", "SET LOCAL row_security = off", []),
        ("code of one's own", f"DO $$ BEGIN EXECUTE 'SET app.current_tenant_id = {them}'; END $$", []),
    ]  # fmt: skip
    for what, statement, values in shared:
        yield await tried("PostgreSQL, shared tables", what, _sql(thief.sql("system_users"), statement, values))
    extensions: list[tuple[str, str, list[Any]]] = [
        ("read extensions", "SELECT * FROM user_extensions.extensions WHERE tenant_id = $1", [them]),
        ("read practicality", "SELECT * FROM user_extensions.extension_practicality WHERE tenant_id = $1", [them]),
        ("read the other's own view", f'SELECT * FROM user_extensions."{victim.view}"', []),
        ("an extension for the other's user", "INSERT INTO user_extensions.extensions VALUES (gen_random_uuid(), $1, "
                                              "$2, 'x', 'x', NULL, true, 0, now(), now())", [user, me]),
    ]  # fmt: skip
    for what, statement, values in extensions:
        opened = thief.sql("system_users", service="extensions")
        yield await tried("PostgreSQL, shared tables", what, _sql(opened, statement, values))
    ledger = thief.sql("management_system_repository")
    told = "SELECT * FROM public.tenant_systems WHERE tenant_id = $1"
    yield await tried("PostgreSQL, shared tables", "read what the other has installed", _sql(ledger, told, [them]))
    schemas: list[tuple[str, str]] = [
        ("read a table by its full name", f"SELECT * FROM {table}"),
        ("write to it", f"INSERT INTO {table} (name) VALUES ('planted')"),
        ("drop it", f"DROP TABLE {table} CASCADE"),
        ("look into its schema by search path", f'SET LOCAL search_path = "{victim.schema}"'),
        ("take the other's role", f'SET LOCAL ROLE "{victim.role}"'),
        ("take it by set_config", f"SELECT set_config('role', '{victim.role}', true)"),
        ("give the role up", "RESET ROLE"),
        ("a program of the server", "COPY companies TO PROGRAM 'id'"),
        ("a file of the server", "SELECT pg_read_file('/etc/passwd')"),
    ]
    for what, statement in schemas:
        opened = thief.system("crm").sql()
        yield await tried("PostgreSQL, a system's schema", what, _sql(opened, statement, []))


async def in_mongo(thief: TenantScope, victim: Victim) -> AsyncIterator[Attempt]:
    """Filters, documents, updates and pipelines in the shared collections and in the thief's own database."""
    moment, them = datetime.now(UTC), victim.tenant_id
    times = {"created_at": moment, "updated_at": moment}
    for name in ("categories", "tasks", "user_insights"):
        where = await thief.collection(name)
        planted = {"user_id": "x", "category_id": "x", "name": "x", "tenant_id": them, **times}
        other, anything = {"tenant_id": them}, {"$or": [{"tenant_id": them}, {"tenant_id": {"$exists": False}}]}
        joined = {"from": name, "as": "x", "pipeline": [{"$match": other}]}
        tries: list[tuple[str, Awaitable[Any]]] = [
            ("find by the tenant's id", where.find(other).to_list()),
            ("find with $or", where.find(anything).to_list()),
            ("find everything but one's own", where.find({"tenant_id": {"$ne": thief.tenant_id}}).to_list()),
            ("count", where.count_documents(other)),
            ("list the distinct tenants", _foreign(where, thief.tenant_id)),
            ("insert for the other", where.insert_one(planted)),
            ("update", where.update_many(other, {"$set": {"name": "x"}})),
            ("update with a pipeline", where.update_many(other, [{"$set": {"name": "x"}}])),
            ("move one's own over", where.update_many({}, {"$set": {"tenant_id": them}})),
            ("replace", where.replace_one(other, {"user_id": "x", **times})),
            ("delete", where.delete_many(other)),
            ("$match in a pipeline", _rows(where, [{"$match": other}])),
            ("$facet", _rows(where, [{"$facet": {"x": [{"$match": other}]}}, {"$match": {"x": {"$ne": []}}}])),
            ("$unionWith", _rows(where, [{"$unionWith": name}, {"$match": other}])),
            ("$lookup", _rows(where, [{"$lookup": joined}, {"$match": {"x": {"$ne": []}}}])),
            ("$unionWith another collection", _rows(where, [{"$unionWith": "tenants"}])),
            ("$graphLookup", _rows(where, [{"$graphLookup": {"from": name}}])),
            ("$out to another database", _rows(where, [{"$out": {"db": "tenant_registry", "coll": "tenants"}}])),
            ("$merge", _rows(where, [{"$merge": {"into": "tenants"}}])),
            ("JavaScript in $where", _find(where, {"$where": "true"})),
        ]  # fmt: skip
        for what, work in tries:
            yield await tried(f"MongoDB, {name}", what, work)


async def with_own_logins(settings: Settings, thief: str, victim_database: str) -> AsyncIterator[Attempt]:
    """Past the library: the thief's own MongoDB login, which is sealed in the registry, and a service's."""
    async with open_platform(settings) as px:
        url = await px._connection_string(await px._registry.entry(thief))
    async with AsyncMongoClient[dict[str, Any]](url) as client:
        theirs = client[victim_database]["user_insights"]
        tries: list[tuple[str, Awaitable[Any]]] = [
            ("find in the other's database", theirs.find_one({})),
            ("delete in it", theirs.delete_many({})),
            ("list its collections", client[victim_database].list_collection_names()),
            ("read the registry", client["tenant_registry"]["tenants"].find_one({})),
        ]
        for what, work in tries:
            yield await tried("MongoDB, the tenant's own login", what, work)
    login = Names(settings.namespace).service("users")
    password = Credentials(settings.credentials_file).require("postgres", login)
    connection = await asyncpg.connect(locate(settings).postgres.postgres("system_users", login, password))
    engine = "PostgreSQL, a service's login"
    try:
        users = connection.fetch("SELECT id, email FROM user_data.users")
        yield await tried(engine, "read users without a tenant", users)
        yield await tried(engine, "read the catalogue of logins", connection.fetch("SELECT * FROM pg_authid"))
        yield await tried(engine, "switch policies off", _unprotected(connection))
    finally:
        await connection.close()


async def _unprotected(connection: Any) -> Any:
    await connection.execute("SET row_security = off")
    return await connection.fetch("SELECT id, email FROM user_data.users")


async def _sql(opened: Any, statement: str, values: list[Any]) -> Any:
    async with opened as sql:
        if statement.startswith("SELECT"):
            return [dict(row) for row in await sql.fetch(statement, *values)]
        return await sql.execute(statement, *values)


async def _rows(where: ScopedCollection, pipeline: list[Any]) -> list[Any]:
    return await (await where.aggregate(pipeline)).to_list()


async def _find(where: ScopedCollection, given: Any) -> list[Any]:
    return await where.find(given).to_list()


async def _foreign(where: ScopedCollection, mine: str) -> list[Any]:
    return [tenant for tenant in await where.distinct("tenant_id") if tenant != mine]
