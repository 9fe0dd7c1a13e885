"""How to make again what a schema holds: its shape, and the statement that makes each of its objects."""

from __future__ import annotations

import heapq
import json
from collections.abc import Mapping
from dataclasses import astuple, dataclass
from typing import Any

from prismicx.engines.postgres import Connection, PooledConnection
from prismicx.statements import Statements
from prismicx.systems.shape import Shape, reading, shape_of

queries = Statements(__package__, "definitions.sql")

_RANKS = {
    kind: rank
    for rank, kind in enumerate(
        "type, domain, sequence, function, table, column, partition, constraint, foreign key, domain constraint, "
        "index, view, materialised view, rule, trigger, policy, statistics".split(", ")
    )
}


@dataclass(frozen=True, slots=True)
class Made:
    """An object and the statement that makes it, in which no schema is named; a policy's has ``{roles}``."""

    kind: str
    object: str
    statement: str


@dataclass(frozen=True, slots=True)
class Definitions:
    """A shape and how its objects are made, in an order in which that works.

    What merely completes an object, such as a comment or a flag, is in the shape only.
    """

    shape: Shape
    made: tuple[Made, ...]

    def to_json(self) -> str:
        """As text of JSON, to be stored."""
        return json.dumps({"hash": self.shape.hash, "facts": self.shape.facts, "made": [*map(astuple, self.made)]})

    @classmethod
    def from_json(cls, text: str) -> Definitions:
        """What was stored."""
        held = json.loads(text)
        return cls(Shape.from_json(text), tuple(Made(*item) for item in held["made"]))

    def find(self, kind: str, name: str) -> Made | None:
        """How one object is made; None for what comes with another, such as a partition's index."""
        return next((item for item in self.made if (item.kind, item.object) == (kind, name)), None)


async def definitions_of(connection: Connection | PooledConnection, schema: str, owner: str, user: str) -> Definitions:
    """What one schema holds and how to make it again.

    Raises:
        NotFound: ``schema.missing``.
    """
    shape = await shape_of(connection, schema, owner, user)
    quoted_schema = '"' + schema.replace('"', '""') + '"'
    async with reading(connection, f"SET LOCAL search_path = {quoted_schema}"):
        rows = await connection.fetch(queries.definitions, schema)
    return Definitions(shape, tuple(_ordered({f"{row['node']} {row['kind']} {row['object']}": row for row in rows})))


def _ordered(rows: Mapping[str, Any]) -> list[Made]:
    """Objects after those they need and otherwise by kind and name; what is in a circle comes at the end."""
    nodes: dict[str, list[str]] = {}
    for key, row in rows.items():
        nodes.setdefault(row["node"], []).append(key)
    waiting = {
        key: {
            other for need in row["needs"] for other in nodes.get(need, ()) if other != key and _is_before(rows[other])
        }
        for key, row in rows.items()
    }
    ready = [(_place(rows[key]), key) for key, needs in waiting.items() if not needs]
    heapq.heapify(ready)
    done: dict[str, Made] = {}
    while ready or len(done) < len(rows):
        if not ready:
            ready = [min((_place(rows[key]), key) for key in rows if key not in done)]
        _, key = heapq.heappop(ready)
        if key in done:
            continue
        row = rows[key]
        done[key] = Made(_kind(row["kind"]), row["object"], row["statement"])
        for other, needs in waiting.items():
            if key in needs:
                needs.remove(key)
                if not needs and other not in done:
                    heapq.heappush(ready, (_place(rows[other]), other))
    return list(done.values())


def _is_before(row: Any) -> bool:
    """Whether others wait for it: a column is made with its table."""
    return row["kind"] not in ("column", "partition", "domain constraint")


def _place(row: Any) -> tuple[int, str]:
    return _RANKS[row["kind"]], row["object"]


def _kind(kind: str) -> str:
    return "constraint" if kind == "foreign key" else kind
