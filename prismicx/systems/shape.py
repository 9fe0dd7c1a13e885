"""What a schema holds, as facts without its name and its roles', and a hash of them: equal shapes have equal hashes."""

from __future__ import annotations

import json
import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

from prismicx.engines.postgres import Connection, PooledConnection
from prismicx.errors import InvalidInput, NotFound, quoted
from prismicx.statements import Statements

queries = Statements(__package__, "shape.sql")
SCHEMA, OWNER, USER = "{schema}", "{owner}", "{user}"
"""What facts say for the name of the schema and of its two roles."""

_BUNDLES = {"columns": "column", "attributes": "attribute"}


class Fact(NamedTuple):
    """One thing that holds: of the ``column`` ``contacts.email`` the ``type`` is ``text``."""

    kind: str
    object: str
    aspect: str
    value: str


@dataclass(frozen=True, slots=True)
class Shape:
    """What a schema holds.

    Attributes:
        hash: as `hashes` gives it.
        facts: sorted; what is as by default, such as the usual grants, is no fact.
    """

    hash: str
    facts: tuple[Fact, ...]

    def to_json(self) -> str:
        """The shape as text of JSON, to be stored."""
        return json.dumps({"hash": self.hash, "facts": self.facts}, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> Shape:
        """A shape that was stored.

        Raises:
            InvalidInput: ``shape.invalid`` when the text is not what `to_json` gave.
        """
        try:
            held = json.loads(text)
            return cls(str(held["hash"]), tuple(Fact(*map(str, fact)) for fact in held["facts"]))
        except (ValueError, KeyError, TypeError) as error:
            raise InvalidInput(
                "shape.invalid", f"{quoted(text)} is not a shape: {error}", "store what to_json gives"
            ) from error


async def hashes(connection: Connection | PooledConnection, schemas: Sequence[tuple[str, str, str]]) -> dict[str, str]:
    """A hash of everything each schema holds, by its name; equal for two that differ in their names only.

    Args:
        schemas: each with the role that owns it and the role that uses it; those that are not there are left out.
    """
    async with reading(connection):
        rows = await connection.fetch(f"{_facts()}{queries.hashes}", *_given(schemas))
    return {row["schema"]: row["hash"] for row in rows}


async def shape_of(connection: Connection | PooledConnection, schema: str, owner: str, user: str) -> Shape:
    """What one schema holds.

    Raises:
        NotFound: ``schema.missing``.
    """
    wanted = _given([(schema, owner, user)])
    async with reading(connection):
        # Between two statements the schema may change: the hash is asked for until it stays.
        while True:
            before = await connection.fetch(f"{_facts()}{queries.hashes}", *wanted)
            rows = await connection.fetch(f"{_facts()}{queries.details}", *wanted)
            if before == await connection.fetch(f"{_facts()}{queries.hashes}", *wanted):
                break
    if not before:
        raise NotFound("schema.missing", f"there is no schema {quoted(schema)}")
    return Shape(before[0]["hash"], tuple(sorted(fact for row in rows for fact in _unpacked(row))))


@asynccontextmanager
async def reading(connection: Connection | PooledConnection, settings: str = queries.settings) -> AsyncIterator[None]:
    """A transaction with settings that end with it, inside another one too: it is rolled back, having only read."""
    # The driver's own nested transaction stays open on the server after it was rolled back.
    inside = connection.is_in_transaction()
    await connection.execute(queries.begin_inside if inside else queries.begin)
    try:
        await connection.execute(settings)
        yield
    finally:
        await connection.execute(queries.end_inside if inside else queries.end)


def _facts() -> str:
    return f"WITH facts AS ({queries.facts})\n"


def _given(schemas: Sequence[tuple[str, str, str]]) -> list[Any]:
    """The parameters of the facts."""
    once = {item[0]: item for item in schemas}.values()  # a schema that is named twice would look like an empty one
    return [*([item[place] for item in once] for place in range(3)), secrets.randbits(63)]


def _unpacked(row: Any) -> list[Fact]:
    """Facts of a row: the columns of a table come as one, and so do the attributes of a type, whose order counts."""
    kind = _BUNDLES.get(row["kind"])
    if kind is None:
        return [Fact(row["kind"], row["object"], row["aspect"], row["value"])]
    held = json.loads(row["value"])
    facts = [Fact(kind, f"{row['object']}.{name}", aspect, value) for name, aspect, value in held]
    if kind == "column":
        return facts
    order = ", ".join(dict.fromkeys(name for name, _, _ in held))
    return [Fact("type", row["object"], "columns", order), *facts]
