"""`prismicx db apply`: bring the databases of the reference to life, or up to date."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from importlib.metadata import version as installed_version
from typing import Any

from packaging.version import Version
from pymongo.errors import OperationFailure

from prismicx.audit.once import recorded_apart
from prismicx.credentials import CONTEXT, Credentials, generate, scram_verifier
from prismicx.engines import mongo, postgres
from prismicx.engines.endpoints import Endpoints
from prismicx.engines.mongo import Client
from prismicx.engines.postgres import Connection
from prismicx.errors import Conflict, Unavailable
from prismicx.names import Names
from prismicx.reference.context_key import has_context_key, knows_proofs, set_context_key
from prismicx.reference.definitions import (
    OWNER,
    POSTGRES_DATABASES,
    REGISTRY,
    Collection,
    Service,
    SqlFile,
    fixed_collections,
    services,
    sql_files,
)
from prismicx.reference.role_change import TENANT_SCHEMAS, keep_roles
from prismicx.settings import Settings
from prismicx.statements import Statements

RELEASE = installed_version("prismicx")

_sql = Statements(__package__, "ledger.sql")
_LEDGER_OF_COLLECTIONS = "management_system_repository"
_LOCK_PATIENCE = 120.0
_NAMESPACE_EXISTS = 48
_USER_EXISTS = 51003
_ROLE_EXISTS = 51002


@dataclass(slots=True)
class Applied:
    """What an application changed, in words; empty when everything was in place."""

    changes: list[str] = field(default_factory=list)


def _told(applied: Applied) -> dict[str, Any] | None:
    return {"changes": len(applied.changes), "release": RELEASE} if applied.changes else None


@recorded_apart("db.apply", told=_told, given=("reset_credentials",))
async def apply(
    settings: Settings,
    endpoints: Endpoints,
    *,
    progress: Callable[[str], None] = lambda _: None,
    reset_credentials: bool = False,
    upto: int | None = None,
) -> Applied:
    """Create or complete roles, databases, tables, collections and users. Safe to run twice, and twice at once.

    What exists is not altered unless a file says so; readers are never made to wait for a table that is in place.

    Args:
        reset_credentials: give the services new passwords where this machine holds none.
        upto: stop after this many SQL files of each database, as an older release would have; for tests.

    Raises:
        Unavailable: an engine cannot be used, or ``reference.newer`` when a newer release was here.
        Conflict: ``reference.changed`` when an applied file differs, ``credentials.elsewhere``,
            ``reference.busy`` when another application takes too long.
    """
    applied = Applied()

    def tell(text: str) -> None:
        applied.changes.append(text)
        progress(text)

    names = Names(settings.namespace)
    credentials = Credentials(settings.credentials_file)
    timeout = settings.connect_timeout
    async with postgres.connect(endpoints.postgres.url, timeout) as admin:
        postgres.check_version(admin)
        async with mongo.connect(endpoints.mongo.url, timeout) as client:
            await application_lock(admin, names)
            credentials.reload()
            work = _Work(endpoints, names, credentials, timeout, tell, reset_credentials)
            await work.roles(admin)
            for database in POSTGRES_DATABASES:
                await work.database(admin, database, upto)
            await work.mongo_collections(client)
            await work.mongo_users(client)
    return applied


async def application_lock(admin: Connection, names: Names) -> None:
    """Hold the server against other applications, until the connection closes. Polled: a waiting
    ``pg_advisory_lock`` would hold a snapshot.

    Raises:
        Conflict: ``reference.busy``.
    """
    for _ in range(int(_LOCK_PATIENCE / 0.1)):
        if await admin.fetchval(_sql.try_lock, names.server_wide("prismicx db apply")):
            return
        await asyncio.sleep(0.1)
    raise Conflict("reference.busy", "another `db apply` has been running for long", "wait for it, then retry")


@dataclass(slots=True)
class _Work:
    endpoints: Endpoints
    names: Names
    credentials: Credentials
    timeout: float
    tell: Callable[[str], None]
    reset_credentials: bool

    async def roles(self, admin: Connection) -> None:
        """The owner and one login for each service that uses PostgreSQL."""
        owner = self.names.service(OWNER)
        if not await admin.fetchval(_sql.role_exists, owner):
            await admin.execute(f'CREATE ROLE "{owner}" NOLOGIN CREATEROLE')
            self.tell(f"PostgreSQL role {owner}")
        if not await admin.fetchval(_sql.is_superuser):
            await admin.execute(f'GRANT "{owner}" TO CURRENT_USER')
        for service in services():
            if service.postgres:
                await self._login_role(admin, self.names.service(service.name))
        await self._hide_activity(admin)

    async def _hide_activity(self, admin: Connection) -> None:
        """Keep what runs for one tenant from the others of the same login: pg_stat_activity shows a login all of its
        statements, and in them proofs. Only a superuser may set that; `isolation verify` tells where it is not set."""
        if await admin.fetchval(_sql.is_superuser):
            for service in services():
                role = self.names.service(service.name)
                if service.hidden and not await admin.fetchval(_sql.activity_hidden, role):
                    await admin.execute(f'ALTER ROLE "{role}" SET track_activities = off')
                    self.tell(f"PostgreSQL role {role}: what it runs is not shown")

    async def _login_role(self, admin: Connection, role: str) -> None:
        login, held = self.credentials.login("postgres", role)
        exists = await admin.fetchval(_sql.role_exists, login)
        if exists and held is not None:
            return
        self._check_not_elsewhere("PostgreSQL role", login, exists)
        if login != role and not await admin.fetchval(_sql.role_exists, role):
            await admin.execute(f'CREATE ROLE "{role}" NOLOGIN NOINHERIT')
        password = generate()
        self.credentials.put("postgres", login, password)
        verb = "ALTER" if exists else "CREATE"
        kind = "NOINHERIT" if login == role else "INHERIT" if exists else f'INHERIT IN ROLE "{role}"'
        # Not the password itself: a server may log the statement. A verifier needs no quoting.
        verifier = scram_verifier(password)
        await admin.execute(f"{verb} ROLE \"{login}\" LOGIN PASSWORD '{verifier}' {kind}")
        self.tell(f"PostgreSQL role {login}")

    async def database(self, admin: Connection, database: str, upto: int | None) -> None:
        """One database with all its files."""
        name = self.names.server_wide(database)
        if not await admin.fetchval(_sql.database_exists, name):
            owner = self.names.service(OWNER)
            await admin.execute(f'CREATE DATABASE "{name}" OWNER "{owner}" ENCODING \'UTF8\' TEMPLATE template0')
            self.tell(f"PostgreSQL database {name}")
        url = self.endpoints.postgres.postgres(name)
        async with postgres.connect(url, self.timeout) as connection:
            files = sql_files(database)
            known = {file.name for file in files} | {_ledger_name(item) for item in fixed_collections()}
            ledger = await _ledger(connection, known, database)
            if not ledger:
                await self._rights_on_database(connection, name, database)
            for file in files[:upto]:
                await self._file(connection, file, ledger)
            await self._context(connection, database)
            if database == TENANT_SCHEMAS and await keep_roles(connection, self.names):
                self.tell(f"{database}: no role of a tenant may change the role")

    async def _rights_on_database(self, connection: Connection, name: str, database: str) -> None:
        await connection.execute(f'REVOKE ALL ON DATABASE "{name}" FROM PUBLIC')
        for service in services():
            role = self.names.service(service.name)
            if database in service.postgres:
                create = ", CREATE" if database in service.create else ""
                await connection.execute(f'GRANT CONNECT{create} ON DATABASE "{name}" TO "{role}"')

    async def _context(self, connection: Connection, database: str) -> None:
        """The key that transactions of tenants are proved with."""
        if not await knows_proofs(connection):
            return
        login = self.names.service(CONTEXT)
        secret = self.credentials.get(CONTEXT, login)
        if secret is None:
            self._check_not_elsewhere("key of tenants' proofs", login, await has_context_key(connection))
            secret = generate()
            self.credentials.put(CONTEXT, login, secret)
        if await set_context_key(connection, self.names, secret):
            self.tell(f"{database}: key of tenants' proofs")

    async def _file(self, connection: Connection, file: SqlFile, ledger: dict[str, str]) -> None:
        found = ledger.get(file.name)
        if found == file.checksum:
            return
        if found is not None:
            raise Conflict(
                "reference.changed",
                f"{file.database}/{file.name} differs from what was applied",
                "applied files do not change: install the release that was used, and report it",
            )
        async with connection.transaction():
            # A table that readers use is not to be waited for: they would queue behind us.
            await connection.execute("SET LOCAL lock_timeout = '3s'")
            await connection.execute(f'SET LOCAL ROLE "{self.names.service(OWNER)}"')
            await connection.execute(file.sql(self.names))
            await connection.execute(_sql.record, file.name, file.checksum, RELEASE)
        self.tell(f"{file.database}/{file.name}")

    async def mongo_collections(self, client: Client) -> None:
        """The collections that exist once; those of tenants come with their provisioning."""
        name = self.names.server_wide(_LEDGER_OF_COLLECTIONS)
        async with postgres.connect(self.endpoints.postgres.postgres(name), self.timeout) as connection:
            ledger = {row["file"]: row["checksum"] for row in await connection.fetch(_sql.applied)}
            for item in fixed_collections():
                database = client[self.names.server_wide(item.database)]
                if await ensure_collection(database, item, shared=True):
                    self.tell(f"MongoDB collection {database.name}.{item.name}")
                if ledger.get(_ledger_name(item)) != item.checksum:
                    await connection.execute(_sql.record, _ledger_name(item), item.checksum, RELEASE)

    async def mongo_users(self, client: Client) -> None:
        """One user with one role for each service that uses MongoDB."""
        admin = client[mongo.USERS]
        shared = await shared_databases(client, self.names)
        for service in services():
            if not service.mongo:
                continue
            name = self.names.service(service.name)
            if await ensure_role(admin, service, self.names, shared):
                self.tell(f"MongoDB role {name}")
            login, held = self.credentials.login("mongo", name)
            exists = await mongo.is_user(client, login)
            if exists and held is not None:
                continue
            self._check_not_elsewhere("MongoDB user", login, exists)
            password = generate()
            self.credentials.put("mongo", login, password)
            granted = [{"role": role, "db": mongo.USERS} for role in (name, *service.mongo_roles)]
            verb = "updateUser" if exists else "createUser"
            await _tolerating(_USER_EXISTS, admin.command(verb, login, pwd=password, roles=granted))
            self.tell(f"MongoDB user {login}")

    def _check_not_elsewhere(self, kind: str, login: str, exists: bool) -> None:
        if exists and not self.reset_credentials:
            raise Conflict(
                "credentials.elsewhere",
                f"the {kind} {login} exists, and {self.credentials.path} holds no password of it",
                "bring the credentials file from where `db apply` was run first, or give new passwords with "
                "`prismicx db apply --reset-credentials`, which locks out whoever holds the old ones",
            )


def privileges(service: Service, names: Names, shared_databases: Iterable[str]) -> list[dict[str, Any]]:
    """The rights of a service on collections, as MongoDB takes them.

    Args:
        shared_databases: the databases that stand for ``shared_insights_*``.
    """
    found: list[dict[str, Any]] = []
    for path, actions in service.mongo.items():
        database, _, name = path.partition(".")
        several = sorted(shared_databases) if "*" in database else [names.server_wide(database)]
        found += [{"resource": {"db": one, "collection": name}, "actions": list(actions)} for one in several]
    return found


async def shared_databases(client: Client, names: Names) -> list[str]:
    """The databases that many tenants share, as the registry has them."""
    rows = client[names.server_wide(REGISTRY)]["tenant_databases"].find({"type": "shared"})
    return [row["database_name"] async for row in rows]


async def ensure_role(admin: mongo.Database, service: Service, names: Names, shared: Iterable[str]) -> bool:
    """Make the role of a service as the reference has it; True if anything changed."""
    login = names.service(service.name)
    rights = privileges(service, names, shared)
    found = (await admin.command("rolesInfo", login, showPrivileges=True))["roles"]
    if not found:
        return await _tolerating(_ROLE_EXISTS, admin.command("createRole", login, privileges=rights, roles=[]))
    if privileges_text(found[0].get("privileges")) == privileges_text(rights):
        return False
    await admin.command("updateRole", login, privileges=rights, roles=[])
    return True


async def widen_role(admin: mongo.Database, service: Service, names: Names, shared: Iterable[str]) -> bool:
    """Give the role of a service what it lacks, beside all it has; True if it lacked anything. Not every server keeps
    what two give at once: look again after True."""
    login = names.service(service.name)
    found = (await admin.command("rolesInfo", login, showPrivileges=True))["roles"]
    held = {privileges_text([right]) for role in found for right in role.get("privileges", ())}
    lacking = [right for right in privileges(service, names, shared) if privileges_text([right]) not in held]
    if lacking:
        await admin.command("grantPrivilegesToRole", login, privileges=lacking)
    return bool(lacking)


def privileges_text(held: list[dict[str, Any]] | None) -> str:
    """The rights in a form that compares: ``database.collection: actions``, sorted."""
    return "; ".join(
        sorted(
            f"{item['resource'].get('db', '')}.{item['resource'].get('collection', '')}: "
            f"{', '.join(sorted(item['actions']))}"
            for item in held or ()
        )
    )


async def _ledger(connection: Connection, known: set[str], database: str) -> dict[str, str]:
    """What was applied here, by file.

    Raises:
        Unavailable: ``reference.newer``.
    """
    if not await connection.fetchval(_sql.ledger_exists):
        return {}
    rows = await connection.fetch(_sql.applied)
    newer = [row for row in rows if Version(row["release"]) > Version(RELEASE) and row["file"] not in known]
    if newer:
        raise Unavailable(
            "reference.newer",
            f"{database} was brought up to date by prismicx {newer[0]['release']}; this is {RELEASE}",
            f"pip install 'prismicx>={newer[0]['release']}'",
        )
    return {row["file"]: row["checksum"] for row in rows}


async def ensure_collection(database: mongo.Database, item: Collection, shared: bool) -> bool:
    """Make the collection, its validator and its indexes as the reference has them; True if anything changed.

    Raises:
        Conflict: ``reference.index`` when an index of that name exists with other properties.
    """
    changed = False
    rules: dict[str, Any] = {"validator": item.validator, "validationLevel": "strict", "validationAction": "error"}
    existing = [found async for found in await database.list_collections(filter={"name": item.name})]
    if not existing:
        changed = await _tolerating(_NAMESPACE_EXISTS, database.command("create", item.name, **rules))
    elif not _same_rules(existing[0].get("options", {}), rules):
        await database.command("collMod", item.name, **rules)
        changed = True
    try:
        done = await database.command(
            "createIndexes",
            item.name,
            indexes=[index.specification() for index in item.indexes_for(shared)],
        )
    except OperationFailure as error:
        raise Conflict(
            "reference.index",
            f"{database.name}.{item.name}: {error.details.get('errmsg') if error.details else error}",
            "drop the index that differs, then run `prismicx db apply` again",
        ) from error
    return changed or done.get("numIndexesAfter", 0) > done.get("numIndexesBefore", 0)


def _same_rules(options: dict[str, Any], rules: dict[str, Any]) -> bool:
    defaults = {"validationLevel": "strict", "validationAction": "error"}
    found = {key: options.get(key, defaults.get(key)) for key in rules}
    return json.dumps(found, sort_keys=True, default=str) == json.dumps(rules, sort_keys=True, default=str)


def _ledger_name(item: Collection) -> str:
    return f"mongo/{item.path}"


async def _tolerating(code: int, sending: Awaitable[Any]) -> bool:
    """False where another session did the same meanwhile."""
    try:
        await sending
    except OperationFailure as error:
        if error.code != code:
            raise
        return False
    return True
