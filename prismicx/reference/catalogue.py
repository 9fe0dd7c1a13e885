"""What a live PostgreSQL database holds, read from ``pg_catalog``."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from prismicx.engines.postgres import Connection
from prismicx.names import Names
from prismicx.statements import Statements

sql = Statements(__package__, "catalogue.sql")

Rows = Iterable[Any]


@dataclass(frozen=True, slots=True)
class Column:
    """A column; ``type`` as ``format_type`` writes it."""

    name: str
    type: str
    required: bool = False
    default: str | None = None
    comment: str = ""


@dataclass(frozen=True, slots=True)
class Constraint:
    """A constraint; ``kind`` is one of ``p u f c x`` as in ``pg_constraint``."""

    kind: str
    definition: str
    enforced: bool = True


@dataclass(frozen=True, slots=True)
class IndexFact:
    """An index; ``definition`` is what follows the method, such as ``(tenant_id, email)``."""

    definition: str
    method: str
    unique: bool
    valid: bool


@dataclass(frozen=True, slots=True)
class Policy:
    """A row-level security policy."""

    name: str
    permissive: bool
    command: str
    roles: tuple[str, ...]
    using: str
    check: str

    def __str__(self) -> str:
        check = f" with check {self.check}" if self.check else ""
        kind = "permissive" if self.permissive else "restrictive"
        return f"{kind} {self.command} to {', '.join(self.roles)} using {self.using}{check}"


@dataclass(slots=True)
class Relation:
    """A table or a view."""

    name: str
    kind: str
    comment: str
    row_security: bool
    force_row_security: bool
    security_invoker: bool
    definition: str
    columns: list[Column] = field(default_factory=list)
    constraints: list[Constraint] = field(default_factory=list)
    indexes: list[IndexFact] = field(default_factory=list)
    policies: list[Policy] = field(default_factory=list)

    @property
    def is_view(self) -> bool:
        return self.kind in ("v", "m")


@dataclass(slots=True)
class Catalogue:
    """A database; role names are without the namespace, so that they compare with the reference."""

    database: str
    schemas: dict[str, str] = field(default_factory=dict)
    relations: dict[str, Relation] = field(default_factory=dict)
    functions: dict[str, str] = field(default_factory=dict)
    triggers: dict[str, str] = field(default_factory=dict)
    rights: dict[tuple[str, str], str] = field(default_factory=dict)
    owners: dict[str, str] = field(default_factory=dict)


async def read(connection: Connection, database: str, names: Names) -> Catalogue:
    """Read a database of the reference, inside the caller's transaction.

    Args:
        database: its name in the reference, which the namespace may precede on the server.
    """
    plain = without_namespace(names)
    catalogue = Catalogue(database)
    # Nothing on the path: every name in a definition is written with its schema.
    await connection.execute("SET LOCAL search_path = ''")
    for row in await connection.fetch(sql.schemas):
        catalogue.schemas[row["name"]] = row["comment"] or ""
    for row in await connection.fetch(sql.relations):
        catalogue.relations[row["name"]] = Relation(
            row["name"],
            row["kind"],
            row["comment"] or "",
            row["row_security"],
            row["force_row_security"],
            row["security_invoker"],
            one_line(row["definition"] or ""),
        )
    parts = _by_relation(
        {
            "columns": await connection.fetch(sql.columns),
            "constraints": await connection.fetch(sql.constraints),
            "indexes": await connection.fetch(sql.indexes),
            "policies": await connection.fetch(sql.policies),
        }
    )
    for name, relation in catalogue.relations.items():
        _fill(relation, parts[name], plain)
    for row in await connection.fetch(sql.functions):
        definer = "security definer" if row["definer"] else "security invoker"
        body = sha256(one_line(plain(row["source"])).encode()).hexdigest()[:12]
        catalogue.functions[f"{row['short_name']}({row['arguments']})"] = f"{definer}, {row['settings']}, body {body}"
    for row in await connection.fetch(sql.triggers):
        catalogue.triggers[f"{row['relation']}: {row['name']}"] = row["definition"]
    for row in await connection.fetch(sql.rights):
        thing = plain(row["object"]) if row["object"].startswith("database ") else row["object"]
        catalogue.rights[plain(row["role"]), thing] = row["privileges"]
    for row in await connection.fetch(sql.owners, list(catalogue.schemas)):
        catalogue.owners[row["object"]] = plain(row["owner"])
    return catalogue


def without_namespace(names: Names) -> Any:
    """A function that takes the namespace off names of roles and databases in a text."""
    if not names.namespace:
        return lambda text: text
    pattern = re.compile(rf"\b{re.escape(names.namespace)}__")
    return lambda text: pattern.sub("", text)


def one_line(text: str) -> str:
    """The definition on one line; PostgreSQL's versions break lines differently."""
    return re.sub(r"\s+", " ", text).strip().removesuffix(";")


def _by_relation(kinds: dict[str, Rows]) -> dict[str, dict[str, list[Any]]]:
    parts: dict[str, dict[str, list[Any]]] = defaultdict(lambda: defaultdict(list))
    for kind, rows in kinds.items():
        for row in rows:
            parts[row["relation"]][kind].append(row)
    return parts


def _fill(relation: Relation, parts: dict[str, list[Any]], plain: Any) -> None:
    relation.columns = [
        Column(row["name"], row["type"], row["required"], row["value"], row["comment"] or "")
        for row in parts["columns"]
    ]
    relation.constraints = [
        Constraint(row["kind"], one_line(row["definition"]), row["valid"] and row["enabled"])
        for row in parts["constraints"]
    ]
    relation.indexes = [
        IndexFact(row["definition"], row["method"], row["is_unique"], row["valid"]) for row in parts["indexes"]
    ]
    relation.policies = [
        Policy(
            row["name"],
            row["permissive"],
            row["command"],
            tuple(plain(role) for role in row["roles"]),
            one_line(plain(row["condition"] or "")),
            one_line(plain(row["with_check"] or "")),
        )
        for row in parts["policies"]
    ]
