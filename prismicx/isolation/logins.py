"""Attacks with MongoDB logins: a tenant's own on another's database, and every service's on everything else."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from pymongo.errors import OperationFailure, PyMongoError

from prismicx.credentials import Credentials
from prismicx.engines import mongo
from prismicx.engines.endpoints import Endpoints
from prismicx.isolation.accounts import check_accounts, places
from prismicx.isolation.tenants import Made
from prismicx.isolation.values import Check, Tally
from prismicx.names import Names
from prismicx.platform import Platform
from prismicx.reference.apply import privileges, shared_databases
from prismicx.reference.definitions import services
from prismicx.settings import Settings

TENANTS = Check("logins.tenants", "MongoDB", "A tenant's login reaches its own database and no other")
SERVICES = Check("logins.services", "MongoDB", "A service's login does what its role says, on its collections only")
CHECKS = (TENANTS, SERVICES)

_NOT_GUARDED = {"change rules": "SecantusDB asks for no right to collMod; MongoDB does"}
"""What the embedded substitute lets everybody do; it is told, and is no reason to trust it with strangers."""

_BY_DATABASE = "SecantusDB keeps rights by database; MongoDB keeps them by collection"

Attempt = Callable[[], Awaitable[Any]]

_ADMINISTERS = "registry"
"""Provisioning makes databases and users whose names are not known beforehand; MongoDB has no narrower right for it."""


def _attempts(database: mongo.Database, name: str) -> Mapping[str, tuple[str, Attempt]]:
    """What is tried on a collection: the action of MongoDB that allows it, and the operation."""
    collection = database[name]

    async def watched() -> None:
        # Not by the driver's stream: what it leaves open it ends in the background, and tells of it when it may not.
        await database.command("aggregate", name, pipeline=[{"$changeStream": {}}], cursor={"batchSize": 0})

    return {
        "find": ("find", lambda: collection.find_one({})),
        "aggregate": ("find", lambda: _read(collection, [{"$limit": 1}])),
        "count": ("find", lambda: collection.count_documents({}, limit=1)),
        "distinct": ("find", lambda: collection.distinct("tenant_id")),
        "watch": ("changeStream", watched),
        "insert": ("insert", lambda: collection.insert_one({"planted": True})),
        "update": ("update", lambda: collection.update_one({"planted": 1}, {"$set": {"planted": 2}})),
        "delete": ("remove", lambda: collection.delete_one({"planted": 1})),
        "create index": ("createIndex", lambda: collection.create_index("planted_by_check")),
        "drop": ("dropCollection", lambda: database.drop_collection(f"{name}_planted_by_check")),
        "change rules": ("collMod", lambda: database.command("collMod", name)),  # which changes nothing
        "list collections": ("listCollections", lambda: database.list_collection_names(authorizedCollections=False)),
        "make a user": ("createUser", lambda: database.command("createUser", "planted", pwd="x", roles=[])),  # noqa: S106
        "list users": ("viewUser", lambda: database.command("usersInfo")),
    }  # fmt: skip


async def _read(collection: Any, pipeline: list[dict[str, Any]]) -> Any:
    return await (await collection.aggregate(pipeline)).to_list()


async def attack_logins(px: Platform, made: Made, settings: Settings, endpoints: Endpoints, tally: Tally) -> None:
    """Try every operation with every login where it has no right to it."""
    names, passwords = Names(settings.namespace), Credentials(settings.credentials_file)
    entries = {tenant_id: await px._registry.routable(tenant_id) for tenant_id in made.all}
    async with mongo.connect(endpoints.mongo.url, settings.connect_timeout) as admin:
        shared = await shared_databases(admin, names)
        substitute = any(key.startswith("secantus") for key in await admin.admin.command("buildInfo"))
        # What the live databases have, and what the reference says that they should.
        found = {(entries[made.other].tenant.database, "user_insights")}
        for place in (await places(admin, names)).values():
            if place.shared:
                found |= {(place.name, name) for name in await admin[place.name].list_collection_names()}
        found |= {
            (names.server_wide(path.partition(".")[0]), path.partition(".")[2])
            for service in services()
            for path in service.mongo
            if "*" not in path
        }
        targets = sorted(item for item in found if not item[1].startswith("system."))
        own_url = await px._connection_string(entries[made.own])
        async with mongo.connect(own_url, settings.connect_timeout) as client:
            own = entries[made.own].tenant.database
            for database, name in targets:
                target = _shown(database, entries[made.other].tenant.database, names)
                for operation, (_, attempt) in _attempts(client[database], name).items():
                    how = _unless_known(operation, await _tried(attempt), substitute, tally)
                    tally.note(TENANTS, "a tenant's login", f"{target}.{name}", operation, how)
            how = await _tried(lambda: client[own]["user_insights"].find_one({}))
            tally.note(TENANTS, "a tenant's login", "its own database", "find", "" if how else "it cannot read it")
        for service in services():
            if not service.mongo or service.name == _ADMINISTERS:
                continue
            held = {
                (item["resource"]["db"], item["resource"]["collection"]): item["actions"]
                for item in privileges(service, names, shared)
            }
            login, password = passwords.require_login("mongo", names.service(service.name))
            url = endpoints.mongo.mongo(mongo.USERS, login, password)
            async with mongo.connect(url, settings.connect_timeout) as client:
                for database, name in targets:
                    may = held.get((database, name), [])
                    target = _shown(database, entries[made.other].tenant.database, names)
                    for operation, (action, attempt) in _attempts(client[database], name).items():
                        # A stream shows nothing that may not be found as well.
                        allowed = action in may or (may and operation in ("list collections", "watch"))
                        if not allowed:
                            how = _unless_known(operation, await _tried(attempt), substitute, tally)
                            if how and substitute and any(database == place for place, _ in held):
                                tally.leave("MongoDB: collections beside a service's own", _BY_DATABASE)
                                how = ""
                            tally.note(SERVICES, service.name, f"{target}.{name}", operation, how)
        await check_accounts(admin, names, endpoints, tally)


def _unless_known(operation: str, how: str, substitute: bool, tally: Tally) -> str:
    if how and substitute and operation in _NOT_GUARDED:
        tally.leave(f"MongoDB: {operation}", _NOT_GUARDED[operation])
        return ""
    return how


async def _tried(attempt: Attempt) -> str:
    """How it got through; empty where the server refused it."""
    try:
        await attempt()
    except OperationFailure as error:
        return "" if error.code in (13, 18) or "not authorized" in str(error).lower() else f"refused otherwise: {error}"
    except PyMongoError as error:
        return f"not refused: {error}"
    return "it was done"


def _shown(database: str, other: str, names: Names) -> str:
    return "another tenant's database" if database == other else database.removeprefix(names.server_wide(""))
