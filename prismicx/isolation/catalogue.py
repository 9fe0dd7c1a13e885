"""What the live catalogue of a PostgreSQL database knows, as far as isolation hangs on it."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from prismicx.credentials import SECOND
from prismicx.engines.postgres import Connection
from prismicx.names import Names
from prismicx.reference.definitions import OWNER
from prismicx.statements import Statements

sql = Statements(__package__, "catalogue.sql")

TENANT = "tenant_id"


@dataclass(frozen=True, slots=True)
class Column:
    """A column; ``filled`` where the database fills it when nothing is given."""

    name: str
    type: str
    required: bool
    filled: bool


@dataclass(frozen=True, slots=True)
class ForeignKey:
    """A column that names a row of another relation, by oid and column."""

    column: str
    parent: int
    parent_column: str


@dataclass(slots=True)
class Relation:
    """A table or view outside the schemas of tenants.

    Attributes:
        kind: as in pg_class: ``r`` and ``p`` tables, ``v`` view, ``m`` materialised view, ``f`` foreign table.
        key: columns of the primary key.
        choices: by column, a value that a CHECK with a list allows.
    """

    oid: int
    name: str
    kind: str
    secured: bool
    forced: bool
    is_part: bool
    as_invoker: bool
    owner: str
    key: Sequence[str]
    columns: list[Column] = field(default_factory=list)
    foreign_keys: list[ForeignKey] = field(default_factory=list)
    policies: list[Any] = field(default_factory=list)
    triggers: list[str] = field(default_factory=list)
    choices: dict[str, str] = field(default_factory=dict)

    @property
    def is_table(self) -> bool:
        return self.kind in ("r", "p")

    @property
    def has_tenant(self) -> bool:
        return any(column.name == TENANT for column in self.columns)


@dataclass(frozen=True, slots=True)
class Live:
    """A database.

    Attributes:
        roles: the logins of the platform that may connect.
        relations: by oid.
        proofs: the functions that policies ask for a proof, with the type they give.
        server_roles: the roles that the server brings.
        version: of the server.
    """

    roles: Sequence[Any]
    relations: dict[int, Relation]
    proofs: Mapping[str, str]
    server_roles: Sequence[str]
    version: int

    def tenant_path(self, relation: Relation) -> ForeignKey | bool:
        """How rows of a table belong to a tenant: True by their own column, by a foreign key, or False not at all."""
        if relation.has_tenant:
            return True
        for link in relation.foreign_keys:
            parent = self.relations.get(link.parent)
            if parent is not None and parent is not relation and self.tenant_path(parent) is not False:
                return link
        return False

    @property
    def of_tenants(self) -> list[Relation]:
        """The relations that hold rows of tenants."""
        return [item for item in self.relations.values() if self.tenant_path(item) is not False]


async def read(connection: Connection, names: Names) -> Live:
    """Read the catalogue of the database."""
    roles = await connection.fetch(sql.roles, f"^{names.service('')}[a-z]", names.service(OWNER))
    relations = {
        row["oid"]: Relation(**{name: row[name] for name in Relation.__slots__ if name in row})
        for row in await connection.fetch(sql.relations)
    }
    for row in await connection.fetch(sql.columns, list(relations)):
        relations[row["oid"]].columns.append(Column(row["name"], row["type"], row["required"], row["filled"]))
    parts: dict[str, dict[int, list[Any]]] = {}
    for name in ("foreign_keys", "policies", "checks", "triggers"):
        parts[name] = defaultdict(list)
        for row in await connection.fetch(getattr(sql, name)):
            parts[name][row["oid"]].append(row)
    for oid, relation in relations.items():
        relation.foreign_keys = [
            ForeignKey(row["name"], row["parent"], row["parent_column"]) for row in parts["foreign_keys"][oid]
        ]
        relation.triggers = [row["name"] for row in parts["triggers"][oid]]
        relation.policies = parts["policies"][oid]
        relation.choices = dict(_choice(row["text"]) for row in parts["checks"][oid] if _choice(row["text"])[0])
    proofs = {row["name"]: row["result"] for row in await connection.fetch(sql.proofs)}
    server_roles = [row["name"] for row in await connection.fetch(sql.server_roles)]
    return Live(roles, relations, proofs, server_roles, connection.get_server_version().major)


def service_of(role: str, names: Names) -> str:
    """The service whose login a role is; both logins of a service are its."""
    return role.removeprefix(names.service("")).removesuffix(SECOND)


def _choice(text: str) -> tuple[str, str]:
    """The column of ``CHECK (column = ANY (ARRAY['one', …]))`` and the first value of its list."""
    found = re.search(r"\(?\"?(\w+)\"?\)?(?:::\w+)? = ANY \(+ARRAY\['([^']*)'", text)
    return (found[1], found[2]) if found else ("", "")
