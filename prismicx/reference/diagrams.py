"""`prismicx db diagram`: the live databases and the architecture as pictures, in Mermaid and SVG."""

from __future__ import annotations

import asyncio
import re
from collections import defaultdict
from pathlib import Path

from prismicx.engines.endpoints import Endpoints
from prismicx.errors import Unavailable
from prismicx.reference import live
from prismicx.reference._drawing import (
    Architecture,
    Arrow,
    Box,
    Diagram,
    Entity,
    Field,
    Layer,
    Relation,
    architecture_mermaid,
    architecture_svg,
    mermaid,
    svg,
)
from prismicx.reference.catalogue import Catalogue
from prismicx.reference.catalogue import Relation as LiveRelation
from prismicx.reference.definitions import INSIGHTS, PLATFORM, services
from prismicx.reference.live import Live, LiveCollection, LiveField
from prismicx.settings import Settings

_FOREIGN = re.compile(r"FOREIGN KEY \((.+?)\) REFERENCES ([\w.\"]+)\((.+?)\)")
_PRIMARY = re.compile(r"PRIMARY KEY \((.+)\)")
_LINKS = {"categories.parent_id": "categories"}
"""Fields of documents that point at another document; MongoDB itself does not know of them."""


async def write(settings: Settings, endpoints: Endpoints, out: Path) -> list[str]:
    """Write one pair of files for each database, and one for the architecture; gives their paths.

    Raises:
        Unavailable: an engine cannot be read, or ``diagram.unwritable``.
    """
    found = await live.read(settings, endpoints)
    drawings = {name: (mermaid(diagram), svg(diagram)) for name, diagram in diagrams(found).items()}
    picture = architecture(found)
    drawings["architecture"] = (architecture_mermaid(picture), architecture_svg(picture))
    return await asyncio.to_thread(_save, drawings, out)


def _save(drawings: dict[str, tuple[str, str]], out: Path) -> list[str]:
    written = []
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name, (text, image) in drawings.items():
            for ending, content in (("mmd", text), ("svg", image)):
                path = out / f"{name}.{ending}"
                path.write_text(content, encoding="utf-8")
                written.append(str(path))
    except OSError as error:
        raise Unavailable("diagram.unwritable", f"{out}: {error.strerror}", "choose another --out") from error
    return written


def diagrams(found: Live) -> dict[str, Diagram]:
    """One diagram for each of the seven databases, by name of its file."""
    users = found.postgres["system_users"]
    drawn = {
        # The reference counts the extensions as a database of their own; they live beside the users.
        "system_users": _postgres(users, "System users", ("user_data", "user_preferences")),
        "user_extensions": _postgres(users, "User extensions", ("user_data", "user_extensions")),
        "management_system_repository": _postgres(
            found.postgres["management_system_repository"], "Management system repository", ("public",)
        ),
    }
    for database, items in found.mongo.items():
        if database != PLATFORM:
            name = "user_insights" if database == INSIGHTS else database
            drawn[name] = _mongo(database, items)
    return drawn


def architecture(found: Live) -> Architecture:
    """How a tenant's data is reached, with the numbers of the live platform."""
    by_engine: dict[str, list[str]] = defaultdict(list)
    for service in services():
        if service.postgres:
            by_engine["postgres"].append(service.name)
        if service.mongo:
            by_engine["mongo"].append(service.name)
    return Architecture(
        "Multi-tenancy architecture",
        (
            Layer(
                "Doors",
                (
                    Box("cli", "Command line", ("prismicx …",), "door"),
                    Box("library", "Library", ("import prismicx",), "door"),
                    Box("http", "HTTP API", ("health, so far",), "door"),
                ),
            ),
            Layer(
                "Tenant boundary",
                (
                    Box("registry", "Registry", (f"tenants: {found.tenants}", "asked when a scope opens"), "boundary"),
                    Box("scope", "Scope of one tenant", ("the only way to its data",), "boundary"),
                    Box("platform", "Platform", ("provisioning, catalogue", "roles of its own"), "boundary"),
                ),
            ),
            Layer(
                "Connections",
                (
                    Box("rls", "Shared tables", ("tenant set in the", "message that begins"), "tenant"),
                    Box("schema", "Tenant schemas", ("as the tenant's own role",), "tenant"),
                    Box("scoped", "Shared collections", ("tenant in every filter,", "document and stage"), "tenant"),
                    Box("login", "Own databases", ("as the tenant's own user",), "tenant"),
                ),
            ),
            Layer(
                "Engines",
                (
                    Box(
                        "system_users",
                        "PostgreSQL: system_users",
                        ("row-level security, forced", f"logins: {', '.join(by_engine['postgres'][:2])}"),
                        "postgres",
                    ),
                    Box(
                        "repository",
                        "PostgreSQL: systems",
                        ("management_system_repository", "catalogue, tenant_<id>_<type> schemas"),
                        "postgres",
                    ),
                    Box("shared", "MongoDB: shared", ("tasks, categories,", "shared insights"), "mongo"),
                    Box("own", "MongoDB: tenant_<id>_db", ("user_insights",), "mongo"),
                ),
            ),
        ),
        (
            Arrow("cli", "scope"),
            Arrow("library", "scope"),
            Arrow("http", "platform"),
            Arrow("scope", "registry", "may it?"),
            Arrow("scope", "rls"),
            Arrow("scope", "schema"),
            Arrow("scope", "scoped"),
            Arrow("scope", "login"),
            Arrow("rls", "system_users"),
            Arrow("schema", "repository"),
            Arrow("scoped", "shared"),
            Arrow("login", "own"),
        ),
    )


def _postgres(catalogue: Catalogue, title: str, schemas: tuple[str, ...]) -> Diagram:
    shown = {
        name: relation
        for name, relation in catalogue.relations.items()
        if name.split(".")[0] in schemas and not name.startswith("user_extensions.tenant_")
    }
    relations = []
    for name, relation in shown.items():
        for columns, target, _ in _foreign_keys(relation):
            if target in shown and len(columns) == 1:  # the key with the tenant would double the line
                relations.append(Relation(name, target, columns[0]))
        if relation.is_view:
            relations += [
                Relation(name, other, "reads", many=False) for other in shown if f" {other} " in relation.definition
            ]
    groups = {
        schema: tuple(name for name in shown if name.startswith(f"{schema}."))
        for schema in schemas
        if any(name.startswith(f"{schema}.") for name in shown)
    }
    return Diagram(
        f"{title} (PostgreSQL database {catalogue.database})",
        tuple(_entity(relation) for relation in shown.values()),
        tuple(relations),
        groups,
    )


def _entity(relation: LiveRelation) -> Entity:
    primary = {column for item in relation.constraints for column in _listed(_PRIMARY.fullmatch(item.definition))}
    foreign = {column for columns, _, _ in _foreign_keys(relation) for column in columns}
    unique = {
        index.definition.strip("()") for index in relation.indexes if index.unique and "," not in index.definition
    }

    def keys(column: str) -> str:
        marks = (("PK", primary), ("FK", foreign), ("UK", unique - primary))
        return ",".join(mark for mark, held in marks if column in held)

    policies = ", ".join(policy.name for policy in relation.policies)
    return Entity(
        relation.name,
        tuple(
            Field(column.name, column.type, keys(column.name), column.required, _default(column.default))
            for column in relation.columns
        ),
        "view" if relation.is_view else "table",
        f"row-level security: {policies}" if policies else "",
    )


def _default(default: str | None) -> str:
    return "" if default is None else f"default {default}"


def _listed(match: re.Match[str] | None) -> list[str]:
    return [column.strip() for column in match[1].split(",")] if match else []


def _foreign_keys(relation: LiveRelation) -> list[tuple[list[str], str, str]]:
    matches = (_FOREIGN.match(item.definition) for item in relation.constraints)
    return [(_listed(match), match[2], match[3]) for match in matches if match]


def _mongo(database: str, items: list[LiveCollection]) -> Diagram:
    entities, relations = [], []
    for item in items:
        entities.append(_document(item, "", item.name, "collection"))
        for outer in _objects(item.fields):
            name = f"{item.name}.{outer.path}"
            entities.append(_document(item, f"{outer.path}.", name, "embedded"))
            owner = outer.path.rpartition(".")[0]
            several = outer.type.startswith("array")
            relations.append(Relation(name, f"{item.name}.{owner}" if owner else item.name, "inside", several))
        for path, target in _LINKS.items():
            if path.split(".")[0] == item.name:
                relations.append(Relation(item.name, target, path.split(".")[1]))
    return Diagram(f"MongoDB database {database}", tuple(entities), tuple(relations))


def _objects(fields: tuple[LiveField, ...]) -> list[LiveField]:
    """The fields that hold documents with fields of their own."""
    return [outer for outer in fields if any(inner.path.startswith(f"{outer.path}.") for inner in fields)]


def _document(item: LiveCollection, prefix: str, name: str, kind: str) -> Entity:
    unique = {".".join(keys) for keys, is_unique in item.indexes if is_unique and len(keys) == 1}
    depth = prefix.count(".")
    return Entity(
        name,
        tuple(
            Field(
                field.path.removeprefix(prefix),
                field.type,
                "UK" if field.path in unique else "",
                field.required,
                f"one of {', '.join(field.enum)}" if field.enum else "",
            )
            for field in item.fields
            if field.path.startswith(prefix) and field.depth == depth
        ),
        kind,
    )
