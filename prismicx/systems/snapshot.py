"""Making a version at once instead of by its history, where both give the same schema, and nothing else is in it."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import asyncpg
import postgast
from postgast import walk

from prismicx.engines.postgres import Connection
from prismicx.statements import Statements
from prismicx.systems.ddl import ddl
from prismicx.systems.definitions import Definitions
from prismicx.systems.mend import Roles
from prismicx.systems.phases import phases_of, with_placeholder
from prismicx.systems.shape import shape_of
from prismicx.systems.step import Limits, Place, opening, run, settings

queries = Statements(__package__, "snapshot.sql")

_NOBODY = "prismicx nobody"
"""Stands for names that differ from tenant to tenant."""

_PURE = frozenset(
    """
    alter_domain_stmt alter_enum_stmt alter_function_stmt alter_policy_stmt alter_seq_stmt alter_stats_stmt
    alter_table_stmt alter_type_stmt comment_stmt composite_type_stmt create_domain_stmt create_enum_stmt
    create_function_stmt create_policy_stmt create_range_stmt create_seq_stmt create_stats_stmt create_stmt
    create_trig_stmt drop_stmt index_stmt rename_stmt rule_stmt view_stmt
    """.split()
)
"""Statements whose whole effect is in the catalogue, unless they begin a sequence anew."""

Content = Mapping[str, Any]
"""What is in a schema besides its shape: by name, how large tables are and where sequences stand."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """SQL that makes a version in an empty schema, and how long that took."""

    script: str
    milliseconds: float


@dataclass(frozen=True, slots=True, order=True)
class Length:
    """Of scripts: their phases, and the statements in these. The shorter is done first."""

    phases: int = 0
    statements: int = 0

    def __add__(self, other: Length) -> Length:
        return Length(self.phases + other.phases, self.statements + other.statements)


def is_pure(scripts: Iterable[str]) -> bool:
    """Whether scripts do nothing that the catalogue does not show."""
    return all(_is_pure(raw.stmt) for script in scripts for raw in postgast.parse(with_placeholder(script)[0]).stmts)


def _is_pure(statement: Any) -> bool:
    kind = statement.WhichOneof("node")
    node = getattr(statement, kind)
    if kind == "create_table_as_stmt":
        # A materialised view holds what it finds, which is nothing where nothing was put in.
        return bool(postgast.pg_query_pb2.ObjectType.Name(node.objtype) == "OBJECT_MATVIEW")
    if kind not in _PURE:
        return False
    return not any(type(item).__name__ == "DefElem" and item.defname == "restart" for _, item in walk(node))


def length_of(script: str) -> Length:
    """How long a script is for the server."""
    phases = phases_of(with_placeholder(script)[0])
    return Length(len(phases), sum(len(postgast.split(phase.sql)) for phase in phases))


async def content_of(connection: Connection, place: Place) -> Content:
    """What a schema holds besides its shape."""
    # Sizes and not counts of rows: these a policy may hide from the owner.
    rows = await connection.fetch(queries.sizes, place.schema)
    found: dict[str, Any] = {row["name"]: row["size"] for row in rows}
    for row in await connection.fetch(queries.sequences, place.schema):
        state: Any = await connection.fetchrow(queries.state.replace("{sequence}", row["name"]))
        found[row["name"]] = (state["last_value"], state["is_called"])
    return found


async def snapshot_of(
    connection: Connection, place: Place, definitions: Definitions, content: Content, limits: Limits
) -> Snapshot | None:
    """What makes a version at once in place of its history; None where it does not quite.

    Args:
        place: of a trial; its schema stays as it is.
        content: what the history leaves there besides the shape.
    """
    # What names a role or the schema are the default privileges, which every schema is opened with.
    written = ddl(definitions, Roles(_NOBODY, _NOBODY, _NOBODY))
    script = ";\n".join(statement for statement in written if _NOBODY not in statement)
    try:
        await connection.execute(
            f'BEGIN; {settings(limits)} SET LOCAL ROLE "{place.owner}"; DROP SCHEMA "{place.schema}" CASCADE; '
            f"SET LOCAL ROLE NONE; {opening(place)}"
        )
        begun = time.perf_counter()
        await connection.execute(run(place, script))
        milliseconds = (time.perf_counter() - begun) * 1000
        made = await shape_of(connection, place.schema, place.owner, place.user)
        await connection.execute(f'SET LOCAL ROLE "{place.owner}"')
        same = made.hash == definitions.shape.hash and await content_of(connection, place) == content
    except asyncpg.PostgresError:
        return None  # what the generated statements cannot make, the history still can
    finally:
        await connection.execute("ROLLBACK; RESET ALL; RESET ROLE")
    return Snapshot(script, milliseconds) if same else None
