"""What the files of this folder say: SQL in the order it is applied, collections, services."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import Any

from prismicx.names import Names

POSTGRES_DATABASES = ("system_users", "management_system_repository")
REGISTRY = "tenant_registry"
PLATFORM = "prismicx_platform"
TASKS = "task_repository"
CATEGORIES = "category_repository"
INSIGHTS = "tenant_XXX_db"
"""The pattern of tenants' own databases, as the reference writes it."""
OWNER = "owner"
"""The role that owns the databases and everything the files make; nobody logs in as it."""

_ROLE = re.compile(r"\bprismicx_([a-z]+)\b")


@dataclass(frozen=True, slots=True)
class SqlFile:
    """One file of DDL. Once released it does not change; what is to change comes in the next file."""

    database: str
    name: str
    text: str

    @property
    def checksum(self) -> str:
        return sha256(self.text.encode()).hexdigest()

    def sql(self, names: Names) -> str:
        """The statements with the roles of this platform; schemas are the same in all."""
        return _ROLE.sub(lambda match: names.service(match[1]), self.text)


@dataclass(frozen=True, slots=True)
class Index:
    """An index of a collection: field names in order, all ascending."""

    keys: tuple[str, ...]
    unique: bool = False

    @property
    def name(self) -> str:
        """The name MongoDB itself would give."""
        return "_".join(f"{key}_1" for key in self.keys)

    def specification(self) -> dict[str, Any]:
        """As ``createIndexes`` takes it."""
        unique = {"unique": True} if self.unique else {}
        return {"key": dict.fromkeys(self.keys, 1), "name": self.name, **unique}


@dataclass(frozen=True, slots=True)
class Collection:
    """One collection: its validator and its indexes, which differ where tenants share it."""

    database: str
    name: str
    section: str
    description: str
    validator: Mapping[str, Any]
    indexes: tuple[Index, ...]
    shared_indexes: tuple[Index, ...]
    checksum: str

    @property
    def path(self) -> str:
        return f"{self.database}.{self.name}"

    def indexes_for(self, shared: bool) -> tuple[Index, ...]:
        """Those of a tenant's own database, or of one that many tenants share."""
        return self.shared_indexes if shared and self.shared_indexes else self.indexes


@dataclass(frozen=True, slots=True)
class Service:
    """One service and its rights outside the grants of the SQL files."""

    name: str
    purpose: str
    postgres: tuple[str, ...] = ()
    create: tuple[str, ...] = ()
    mongo: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    mongo_roles: tuple[str, ...] = ()
    hidden: bool = False


@cache
def sql_files(database: str) -> tuple[SqlFile, ...]:
    """The files of a database in the order they are applied."""
    folder = files(__package__).joinpath("postgres", database)
    names = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".sql"))
    return tuple(SqlFile(database, name, folder.joinpath(name).read_text(encoding="utf-8")) for name in names)


@cache
def collections() -> tuple[Collection, ...]:
    """All collections, the platform's own included."""
    found = []
    for folder in sorted(files(__package__).joinpath("mongo").iterdir(), key=lambda entry: entry.name):
        for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
            text = entry.read_text(encoding="utf-8")
            found.append(_collection(json.loads(text), sha256(text.encode()).hexdigest()))
    return tuple(found)


def collection(path: str) -> Collection:
    """The collection of ``database.collection``.

    Raises:
        KeyError: there is none of that name.
    """
    return {item.path: item for item in collections()}[path]


def fixed_collections() -> tuple[Collection, ...]:
    """Those that exist once, not once a tenant."""
    return tuple(item for item in collections() if item.database != INSIGHTS)


@cache
def services() -> tuple[Service, ...]:
    """The services, in the order of the file."""
    held = tomllib.loads(files(__package__).joinpath("services.toml").read_text(encoding="utf-8"))
    return tuple(
        Service(
            name,
            item["purpose"],
            tuple(item.get("postgres", ())),
            tuple(item.get("create", ())),
            {path: tuple(actions) for path, actions in item.get("mongo", {}).items()},
            tuple(item.get("mongo_roles", ())),
            item.get("hidden", False),
        )
        for name, item in held.items()
    )


def _collection(held: dict[str, Any], checksum: str) -> Collection:
    def indexes(key: str) -> tuple[Index, ...]:
        return tuple(Index(tuple(i["keys"]), i.get("unique", False)) for i in held.get(key, ()))

    return Collection(
        held["database"],
        held["collection"],
        held["section"],
        held["description"],
        held["validator"],
        indexes("indexes"),
        indexes("shared_indexes"),
        checksum,
    )
