"""Everything the live databases hold, read once, for the diagrams and the document."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from prismicx.engines import mongo, postgres
from prismicx.engines.endpoints import Endpoints
from prismicx.engines.mongo import Client
from prismicx.names import Names
from prismicx.reference import catalogue
from prismicx.reference.catalogue import Catalogue
from prismicx.reference.definitions import INSIGHTS, POSTGRES_DATABASES, REGISTRY, collection, fixed_collections
from prismicx.settings import Settings


@dataclass(frozen=True, slots=True)
class LiveField:
    """A field of a document; ``path`` with dots, ``depth`` from 0."""

    path: str
    type: str
    required: bool
    enum: tuple[str, ...]
    description: str

    @property
    def depth(self) -> int:
        return self.path.count(".")


@dataclass(frozen=True, slots=True)
class LiveCollection:
    """A collection as ``listCollections`` and ``listIndexes`` describe it."""

    name: str
    fields: tuple[LiveField, ...]
    indexes: tuple[tuple[tuple[str, ...], bool], ...]


@dataclass(slots=True)
class Live:
    """The databases by their names in the reference; ``insights`` is empty while there is no tenant."""

    postgres: dict[str, Catalogue] = field(default_factory=dict)
    mongo: dict[str, list[LiveCollection]] = field(default_factory=dict)
    tenants: int = 0


async def read(settings: Settings, endpoints: Endpoints) -> Live:
    """Read both engines with the administrator's login.

    Raises:
        Unavailable, Denied: an engine or a database cannot be read.
    """
    names = Names(settings.namespace)
    live = Live()
    for database in POSTGRES_DATABASES:
        url = endpoints.postgres.postgres(names.server_wide(database))
        async with (
            postgres.connect(url, settings.connect_timeout) as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            live.postgres[database] = await catalogue.read(connection, database, names)
    async with mongo.connect(endpoints.mongo.url, settings.connect_timeout) as client:
        for item in fixed_collections():
            found = await _collection(client, names.server_wide(item.database), item.name)
            if found is not None:
                live.mongo.setdefault(item.database, []).append(found)
        registry = client[names.server_wide(REGISTRY)]
        live.tenants = await registry["tenants"].count_documents({})
        # A database of its own shows the indexes of the reference; shared ones have the tenant in front.
        held = await registry["tenant_databases"].find_one({"type": "dedicated"}, sort=[("database_name", 1)])
        if held is not None:
            insights = collection(f"{INSIGHTS}.user_insights")
            found = await _collection(client, held["database_name"], insights.name)
            if found is not None:
                live.mongo[INSIGHTS] = [found]
    return live


async def _collection(client: Client, database: str, name: str) -> LiveCollection | None:
    async for found in await client[database].list_collections(filter={"name": name}):
        schema = found.get("options", {}).get("validator", {}).get("$jsonSchema", {})
        indexes = [index async for index in await client[database][name].list_indexes()]
        return LiveCollection(
            name,
            tuple(_fields(schema, "")),
            tuple((tuple(index["key"]), bool(index.get("unique"))) for index in indexes if index["name"] != "_id_"),
        )
    return None


def _fields(schema: Mapping[str, Any], prefix: str) -> list[LiveField]:
    found = []
    for name, rules in schema.get("properties", {}).items():
        path = f"{prefix}{name}"
        kind = str(rules.get("bsonType", "any"))
        inner = rules.get("items", {}) if kind == "array" else rules
        word = f"array of {inner.get('bsonType', 'any')}" if kind == "array" else kind
        enum = tuple(str(value) for value in rules.get("enum", ()))
        required = name in schema.get("required", ())
        found.append(LiveField(path, word, required, enum, str(rules.get("description", ""))))
        found += _fields(inner, f"{path}.")
    return found
