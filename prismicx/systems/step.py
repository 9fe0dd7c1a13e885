"""One phase of one step of one tenant, as one message to PostgreSQL: the ledger row and the script, or neither.

The script runs inside a function that belongs to the role that owns the tenant's schemas, SECURITY DEFINER: there the
server itself refuses SET ROLE, RESET ROLE and transaction control, so that a script can do what that role may and
nothing else, whoever wrote it and whatever was overlooked when it was published. The function is made once for each
such role, in a schema that the role cannot reach; see `0008_steps.sql`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from itertools import accumulate

import asyncpg
import postgast
from postgast import PgQueryError

from prismicx.names import Names
from prismicx.systems.failure import statement_of
from prismicx.systems.phases import phases_of, with_placeholder, with_schema

_RUNNERS = "runners"

LATE = "SET LOCAL synchronous_commit = off; "
"""Lets a transaction end before it is on disk: the next one that waits for that waits for this one, too."""

ON_DISK = "SELECT pg_catalog.pg_logical_emit_message(true, 'prismicx', '')"
"""A transaction that waits for the disk, and changes nothing."""

_PATIENT = "SET LOCAL lock_timeout = '5s'; "
"""One transaction at a time makes such a function, in a millisecond or two."""

_EMPTY = "SET LOCAL max_parallel_maintenance_workers = 0; "
"""No index of an empty schema is worth a worker, and to find that out takes a twelfth of the time of making one."""

LAST = "RESET ALL"
"""What ends a step: whatever its script set is forgotten."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a system of a tenant is: its schema, the role that owns it and the role that uses it."""

    tenant_id: str
    system_id: str
    schema: str
    owner: str
    user: str


@dataclass(frozen=True, slots=True)
class Phase:
    """One phase of a step.

    Attributes:
        expected: key of the version the tenant has; None where it has none.
        target: key of the version the step leads to; None where the system is removed.
        number, of: which of the step's phases it is, from 0 on, and how many there are.
        script: the SQL.
        configuration, features: what was chosen, as JSON; None leaves it as it is.
        concurrent: the script is one statement that cannot run in a transaction.
        guard: what must still hold of the tenant's other systems, see `prismicx.systems.guard`.
    """

    expected: str | None
    target: str | None
    script: str
    number: int = 0
    of: int = 1
    configuration: str | None = None
    features: str | None = None
    concurrent: bool = False
    guard: str | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    """How long a statement may wait for a lock and how long it may run, in milliseconds; 0 is without a limit."""

    lock: int = 300
    statement: int = 0


def phases_of_step(
    expected: str | None,
    target: str | None,
    script: str,
    *,
    configuration: str | None = None,
    features: str | None = None,
    guard: str | None = None,
) -> list[Phase]:
    """The phases of a step: one, unless its script holds what cannot run in a transaction."""
    plain, _ = with_placeholder(script)  # as long as the script, and the grammar can read it
    pieces = phases_of(plain)
    begins = [0, *accumulate(len(piece.sql) for piece in pieces)]
    return [
        Phase(
            expected, target, script[begin : begin + len(piece.sql)], number, len(pieces), configuration, features,
            piece.concurrent, guard,
        )
        for number, (piece, begin) in enumerate(zip(pieces, begins, strict=False))
    ]  # fmt: skip


def place_of(names: Names, tenant_id: str, system_id: str, system_type: str) -> Place:
    """Where a system of a tenant is."""
    return Place(
        tenant_id,
        system_id,
        names.schema(tenant_id, system_type),
        names.tenant_owner(tenant_id),
        names.tenant_role(tenant_id),
    )


def message(
    context: str,
    place: Place,
    phase: Phase,
    limits: Limits,
    moment: datetime,
    *,
    apart: bool = False,
    followed: bool = False,
) -> str:
    """The whole phase: a transaction of its own, and the session as it was.

    Args:
        context: what makes the transaction the tenant's, see `prismicx.engines.postgres.Postgres.context`.
        apart: see `run`.
        followed: whether others follow in what is sent: it is on disk when the last one is, as the log has one order.
    """
    late = LATE if followed else ""
    return f"BEGIN; {late}{context}; {settings(limits)} {body(place, phase, moment, apart=apart)} COMMIT; {LAST}"


def settings(limits: Limits) -> str:
    """What holds for the transaction."""
    return f"SET LOCAL lock_timeout = {limits.lock}; SET LOCAL statement_timeout = {limits.statement};"


def ledger(place: Place, phase: Phase, moment: datetime) -> str:
    """The ledger row of a phase; it fails where the tenant is not where the phase begins."""
    words = (place.schema, place.system_id, phase.expected, phase.target)
    given = ", ".join(literal(word) for word in words)
    chosen = ", ".join(map(literal, (moment.isoformat(), phase.configuration, phase.features, phase.guard)))
    return f"SELECT prismicx.take_step({given}, {phase.number}, {phase.of}, {chosen});"


def body(place: Place, phase: Phase, moment: datetime, *, apart: bool = True) -> str:
    """What is done within the transaction; `apart` as in `run`."""
    written = ledger(place, phase, moment)
    if phase.target is None:
        # Nothing of the tenant's runs when its schema is dropped, and somebody may have dropped it by hand.
        return f'{written} SET LOCAL ROLE "{place.owner}"; DROP SCHEMA IF EXISTS "{place.schema}" CASCADE;'
    begin = "" if phase.expected is not None or phase.number else opening(place)
    return f"{written} {begin} {run(place, phase.script, apart=apart)}"


def opening(place: Place) -> str:
    """The schema, which its owner fills and the tenant's other role uses: all it will hold, by default."""
    return f"{_EMPTY}{'; '.join(opening_statements(place))};"


def opening_statements(place: Place) -> list[str]:
    """The statements of `opening`."""
    schema, user = f'"{place.schema}"', f'"{place.user}"'
    defaults = f"ALTER DEFAULT PRIVILEGES IN SCHEMA {schema} GRANT"
    return [
        f'CREATE SCHEMA IF NOT EXISTS {schema} AUTHORIZATION "{place.owner}"',
        f'SET LOCAL ROLE "{place.owner}"',
        f"GRANT USAGE ON SCHEMA {schema} TO {user}",
        f"{defaults} SELECT, INSERT, UPDATE, DELETE ON TABLES TO {user}",
        f"{defaults} USAGE, SELECT ON SEQUENCES TO {user}",
        "SET LOCAL ROLE NONE",
    ]


def run(place: Place, script: str, *, apart: bool = True) -> str:
    """A script as the owner of the schema and as nobody else, for one who is the login; see `making`.

    Args:
        apart: statement by statement, so that an error tells in which one; else at once, which takes less time.
    """
    path = literal(f'SET LOCAL search_path = "{place.schema}"')
    given = _statements(script) if apart else (script,)
    texts = ", ".join(literal(with_schema(statement, place.schema)) for statement in given)
    statements = f"ARRAY[{path}, {texts or literal('')}]::pg_catalog.text[]"
    return (
        f'SELECT {_RUNNERS}."{place.owner}"({statements}); '
        # Nothing after the script finds names where the script says.
        f"SET LOCAL search_path TO DEFAULT; SELECT prismicx.end_step({literal(place.schema)});"
    )


def making(owner: str) -> str:
    """What makes the function that `run` needs for a role, where it is not there, before a message that needs it; in a
    transaction of its own, since one at a time can."""
    return f"BEGIN; {LATE}{_PATIENT}SELECT prismicx.make_runner({literal(owner)}); COMMIT; "


def lacks_runner(error: Exception) -> bool:
    """Whether a step failed because that function is not there."""
    return isinstance(error, asyncpg.UndefinedFunctionError) and _RUNNERS in str(error) and not statement_of(error)


@lru_cache(maxsize=512)
def _statements(script: str) -> tuple[str, ...]:
    """The statements of a script, which says ``${schema}``: one for all tenants."""
    plain, _ = with_placeholder(script)  # as long as the script, and the grammar can read it
    try:
        pieces = postgast.split(plain)
    except PgQueryError:
        return (script,)  # the server will say what is wrong with it
    found, end = [], 0
    for piece in pieces:
        begin = plain.index(piece, end)
        end = begin + len(piece)
        found.append(script[begin:end])
    return tuple(found)


def literal(text: str | None) -> str:
    """A text as it stands in a statement; the session has ``standard_conforming_strings``."""
    return "NULL" if text is None else "'" + text.replace("'", "''") + "'"
