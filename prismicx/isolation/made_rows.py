"""Rows of tenants that are attacked, made from what the catalogue says of each table."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import asyncpg

from prismicx.engines.postgres import Connection
from prismicx.isolation.catalogue import TENANT, Column, Live, Relation
from prismicx.isolation.values import Tally

Row = Mapping[str, Any]


@dataclass(slots=True)
class RowMaker:
    """Makes rows, parents first. It sends them as the role that the connection has then.

    Attributes:
        made: the rows, by tenant and oid; rows of everybody are under the tenant ``""``.
    """

    connection: Connection
    live: Live
    tally: Tally
    made: dict[tuple[str, int], Row] = field(default_factory=dict)

    async def make(self, relation: Relation, tenant_id: str) -> Row | None:
        """A row of a tenant, or None where the catalogue does not tell enough to make one."""
        key = (tenant_id if self.live.tenant_path(relation) is not False else "", relation.oid)
        if key not in self.made:
            values = await self.values(relation, tenant_id)
            if values is None:
                return None
            try:
                self.made[key] = await self._inserted(relation, values)
            except asyncpg.PostgresError as error:
                self.tally.leave(relation.name, f"no row could be made: {error}")
                return None
        return self.made[key]

    async def values(self, relation: Relation, tenant_id: str) -> dict[str, Any] | None:
        """New values for a row of a tenant; None where a parent cannot be made."""
        found: dict[str, Any] = {}
        links = {link.column: link for link in relation.foreign_keys}
        for column in relation.columns:
            if column.name == TENANT:
                found[column.name] = tenant_id
            elif column.name in links and (column.required or links[column.name] == self.live.tenant_path(relation)):
                parent = self.live.relations.get(links[column.name].parent)
                row = None if parent is None or parent is relation else await self.make(parent, tenant_id)
                if row is None:
                    return None
                found[column.name] = row[links[column.name].parent_column]
            elif column.required and not column.filled:
                found[column.name] = relation.choices.get(column.name, _some(column))
        return found

    async def _inserted(self, relation: Relation, values: Mapping[str, Any]) -> Row:
        text = f"{insert(relation, values)} RETURNING *"
        try:
            async with self.connection.transaction():
                return dict((await self.connection.fetch(text, *values.values()))[0])
        except asyncpg.InsufficientPrivilegeError:
            # A table that somebody made by hand, and so not the platform's owner's.
            role = await self.connection.fetchval("SELECT current_user")
            async with self.connection.transaction():
                await self.connection.execute("SET LOCAL ROLE NONE")
                row = dict((await self.connection.fetch(text, *values.values()))[0])
                await self.connection.execute(f'SET LOCAL ROLE "{role}"')
                return row


def insert(relation: Relation, values: Mapping[str, Any]) -> str:
    """The statement that inserts a row, values from ``$1`` on in their order."""
    columns = ", ".join(f'"{name}"' for name in values)
    places = ", ".join(f"${number}" for number in range(1, len(values) + 1))
    return f"INSERT INTO {relation.name} ({columns}) VALUES ({places})"


def _some(column: Column) -> Any:
    kind = column.type.partition("(")[0]
    text = f"x{uuid.uuid4().hex}"
    limit = column.type.partition("(")[2].partition(")")[0]
    known: dict[str, Any] = {
        "uuid": uuid.uuid4(),
        "integer": 1,
        "bigint": uuid.uuid4().int >> 66,  # keys are of this type
        "smallint": 1,
        "double precision": 1.0,
        "real": 1.0,
        "numeric": 1,
        "boolean": True,
        "jsonb": "{}",
        "json": "{}",
        "bytea": b"x",
        "timestamp without time zone": datetime.now(UTC).replace(tzinfo=None),
        "timestamp with time zone": datetime.now(UTC),
        "date": datetime.now(UTC).date(),
    }
    if kind in known:
        return known[kind]
    return text[: int(limit)] if limit.isdigit() else text
