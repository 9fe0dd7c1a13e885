"""Who can reach MongoDB's databases of the platform, and what is in them, as the live server has it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from prismicx.credentials import SECOND
from prismicx.engines import mongo
from prismicx.engines.endpoints import Endpoints, login_of
from prismicx.isolation.values import Check, Tally
from prismicx.names import Names
from prismicx.reference.definitions import INSIGHTS, REGISTRY, collections, fixed_collections, services

USERS = Check("accounts.users", "MongoDB", "Nobody reaches the platform's databases but those whom the platform made")
COLLECTIONS = Check("accounts.collections", "MongoDB", "Shared databases hold the collections of the reference only")
INDEXES = Check("accounts.indexes", "MongoDB", "Unique indexes of shared collections begin with the tenant")
CHECKS = (USERS, COLLECTIONS, INDEXES)

_HARMLESS = frozenset({"clusterMonitor", "hostManager", "enableSharding"})
"""Roles of ``admin`` that read and change no collection of others; all else there reaches every database."""

_REGISTRY = "prismicx_registry"
_ANOTHER = "the registry login of another platform on this server may administer all of it: platforms share trust"


@dataclass(frozen=True, slots=True)
class Place:
    """A MongoDB database of the platform.

    Attributes:
        tenants: who is in it; none where it is the platform's own.
        shared: whether several tenants are, or may be.
    """

    name: str
    tenants: tuple[str, ...]
    shared: bool


async def places(admin: mongo.Client, names: Names) -> dict[str, Place]:
    """The platform's databases by name, as the registry has them."""
    found = {(name := names.server_wide(item.database)): Place(name, (), True) for item in fixed_collections()}
    rows = admin[names.server_wide(REGISTRY)]["tenant_databases"].find()
    async for row in rows:
        name, shared = row["database_name"], row["type"] == "shared"
        found[name] = Place(name, tuple(row["tenants"]), shared)
    return found


async def check_accounts(admin: mongo.Client, names: Names, endpoints: Endpoints, tally: Tally) -> None:
    """Look at every user, collection and unique index of the server that has to do with the platform."""
    known = await places(admin, names)
    # Before and after, as other platforms come and go: a role that is in neither would seem to be one of the server's.
    earlier, users = await _roles(admin, known), await _users(admin, known)
    roles = {**earlier, **await _roles(admin, known)}
    administrator = login_of(endpoints.mongo.url).login
    for user in users:
        if user["db"] == mongo.USERS and user["user"] == administrator:
            continue
        reached = sorted({place for role in user["roles"] for place in _reached(role, roles, known)})
        if not reached:
            continue
        if names.namespace and _is_registry(user) and not user["user"].startswith(f"{names.namespace}__"):
            tally.leave("MongoDB: other platforms", _ANOTHER)
            continue
        how = "" if _made_so(user, names, known) else f"{user['user']} of {user['db']} reaches {', '.join(reached)}"
        tally.note(USERS, _shown(user, names), "databases of the platform", "reach", how)
    for place in known.values():
        if place.shared:
            await _collections(admin[place.name], place, names, tally)


async def _users(admin: mongo.Client, known: Mapping[str, Place]) -> list[Any]:
    """All users of the server. One of the embedded servers tells them by database only."""
    found: dict[tuple[str, str], Any] = {}
    answers = [await admin[mongo.USERS].command("usersInfo", {"forAllDBs": True})]
    for name in {mongo.USERS, *known, *await admin.list_database_names()}:
        answers.append(await admin[name].command("usersInfo"))
    for answer in answers:
        found.update({(user["db"], user["user"]): user for user in answer["users"]})
    return list(found.values())


async def _roles(admin: mongo.Client, known: Mapping[str, Place]) -> dict[tuple[str, str], Any]:
    """All roles that somebody made, with what they may."""
    found: dict[tuple[str, str], Any] = {}
    for name in {mongo.USERS, *known, *await admin.list_database_names()}:
        answer = await admin[name].command("rolesInfo", 1, showPrivileges=True)
        found.update({(role["db"], role["role"]): role for role in answer["roles"] if not role.get("isBuiltin")})
    return found


def _reached(
    role: Mapping[str, str], roles: Mapping[tuple[str, str], Any], known: Mapping[str, Place]
) -> Iterator[str]:
    """The platform's databases that a role reaches."""
    made = roles.get((role["db"], role["role"]))
    if made is None:
        if role["db"] == mongo.USERS:
            yield from () if role["role"] in _HARMLESS else known
        elif role["db"] in known:
            yield role["db"]
        return
    for item in (*made.get("privileges", ()), *made.get("inheritedPrivileges", ())):
        resource = item["resource"]
        if resource.get("anyResource") or resource.get("db") == "":
            yield from known
        elif resource.get("db") in known:
            yield resource["db"]
    for inherited in made.get("roles", ()):
        yield from _reached(inherited, roles, known)


def _made_so(user: Any, names: Names, known: Mapping[str, Place]) -> bool:
    """Whether the platform made a user, with these roles."""
    held = {(role["role"], role["db"]) for role in user["roles"]}
    if user["db"] == mongo.USERS:
        for service in services():
            name = names.service(service.name)
            if service.mongo and user["user"] in (name, name + SECOND):
                return held == {(role, mongo.USERS) for role in (name, *service.mongo_roles)}
        return False
    place = known.get(user["db"])
    if place is None or place.shared:
        return False
    return user["user"] in map(names.tenant_role, place.tenants) and held == {("readWrite", place.name)}


def _is_registry(user: Any) -> bool:
    name = str(user["user"]).removesuffix(SECOND)
    return user["db"] == mongo.USERS and name.endswith(_REGISTRY)


def _shown(user: Any, names: Names) -> str:
    if user["db"] != mongo.USERS:
        return "a tenant's login"
    login = str(user["user"]).removesuffix(SECOND)
    found = [service.name for service in services() if names.service(service.name) == login]
    return found[0] if found else "a stranger"


async def _collections(database: mongo.Database, place: Place, names: Names, tally: Tally) -> None:
    plain = place.name.removeprefix(names.server_wide(""))
    fixed = {item.name: item for item in fixed_collections() if item.database == plain}
    expected = fixed or {item.name: item for item in collections() if item.database == INSIGHTS}
    async for found in await database.list_collections():
        name = found["name"]
        if name.startswith("system."):
            continue
        item = expected.get(name) if found.get("type", "collection") == "collection" else None
        how = "" if item else "it is none of the reference's: nothing keeps tenants apart in it"
        tally.note(COLLECTIONS, "everybody", f"{plain}.{name}", "be there", how)
        if found.get("type", "collection") != "collection":
            continue
        kept = {index.keys for index in item.indexes_for(shared=True) if index.unique} if item else set()
        for index, rules in (await database[name].index_information()).items():
            fields = tuple(field for field, _ in rules["key"])
            if rules.get("unique"):
                held = fields[0] == "tenant_id" or fields in kept
                how = "" if held else f"it begins with {fields[0]}"
                tally.note(INDEXES, "everybody", f"{plain}.{name}", index, how)
