"""One phase of one step of one tenant, as one message to PostgreSQL: the ledger row and the script, or neither.

The script runs inside a function that belongs to the role that owns the tenant's schemas, SECURITY DEFINER: there the
server itself refuses SET ROLE, RESET ROLE and transaction control, so that a script can do what that role may and
nothing else, whoever wrote it and whatever was overlooked when it was published. The function is made and dropped
within the transaction.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from itertools import accumulate

import postgast
from postgast import PgQueryError

from prismicx.names import Names
from prismicx.systems.phases import built_index, phases_of, with_placeholder, with_schema

_FUNCTION = "prismicx_step"

LAST = "RESET ALL"
"""What ends a step: whatever its script set is forgotten."""

_BODY = (
    "DECLARE statement pg_catalog.text; BEGIN "
    "FOREACH statement IN ARRAY {statements} LOOP EXECUTE statement; END LOOP; "
    "SET CONSTRAINTS ALL IMMEDIATE; END"
)
"""Statement by statement, so that an error tells which one it was. What was put off to the transaction's end would run
with the rights of the login there; so it runs now, and `prismicx.end_step` refuses what could still be put off."""


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
        index: the index that such a statement builds, if it builds one.
    """

    expected: str | None
    target: str | None
    script: str
    number: int = 0
    of: int = 1
    configuration: str | None = None
    features: str | None = None
    concurrent: bool = False
    index: str | None = None


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
) -> list[Phase]:
    """The phases of a step: one, unless its script holds what cannot run in a transaction."""
    plain, _ = with_placeholder(script)  # as long as the script, and the grammar can read it
    pieces = phases_of(plain)
    begins = [0, *accumulate(len(piece.sql) for piece in pieces)]
    return [
        Phase(
            expected, target, script[begin : begin + len(piece.sql)], number, len(pieces), configuration, features,
            piece.concurrent, built_index(piece),
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


def message(context: str, place: Place, phase: Phase, limits: Limits, moment: datetime) -> str:
    """The whole phase: a transaction of its own, and the session as it was.

    Args:
        context: what makes the transaction the tenant's, see `prismicx.engines.postgres.Postgres.context`.
    """
    return f"BEGIN; {context}; {settings(limits)} {body(place, phase, moment)} COMMIT; {LAST}"


def settings(limits: Limits) -> str:
    """What holds for the transaction."""
    return (
        f"SELECT set_config('lock_timeout', '{limits.lock}', true), "
        f"set_config('statement_timeout', '{limits.statement}', true);"
    )


def ledger(place: Place, phase: Phase, moment: datetime) -> str:
    """The ledger row of a phase; it fails where the tenant is not where the phase begins."""
    words = (place.schema, place.system_id, phase.expected, phase.target)
    given = ", ".join(literal(word) for word in words)
    chosen = f"{literal(phase.configuration)}, {literal(phase.features)}"
    return f"SELECT prismicx.take_step({given}, {phase.number}, {phase.of}, {literal(moment.isoformat())}, {chosen});"


def body(place: Place, phase: Phase, moment: datetime) -> str:
    """What is done within the transaction."""
    written = ledger(place, phase, moment)
    if phase.target is None:
        # Nothing of the tenant's runs when its schema is dropped.
        return f'{written} SET LOCAL ROLE "{place.owner}"; DROP SCHEMA "{place.schema}" CASCADE;'
    begin = "" if phase.expected is not None or phase.number else opening(place)
    return f'{written} {begin} SET LOCAL ROLE "{place.owner}"; {run(place, phase.script)}'


def opening(place: Place) -> str:
    """The schema, which its owner fills and the tenant's other role uses: all it will hold, by default."""
    schema, user = f'"{place.schema}"', f'"{place.user}"'
    return (
        f'CREATE SCHEMA IF NOT EXISTS {schema} AUTHORIZATION "{place.owner}"; SET LOCAL ROLE "{place.owner}"; '
        f"GRANT USAGE ON SCHEMA {schema} TO {user}; "
        f"ALTER DEFAULT PRIVILEGES IN SCHEMA {schema} GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO {user}; "
        f"ALTER DEFAULT PRIVILEGES IN SCHEMA {schema} GRANT USAGE, SELECT ON SEQUENCES TO {user};"
    )


def run(place: Place, script: str) -> str:
    """A script as the owner of the schema and as nobody else, for one who is that owner now; then one is the login."""
    function = f'"{place.schema}".{_FUNCTION}()'
    text = _BODY.format(statements=_statements(with_schema(script, place.schema)))
    return (
        # Our own function need not be checked when it is made, those of the script must.
        f"SET LOCAL check_function_bodies = off; "
        f"CREATE OR REPLACE FUNCTION {function} RETURNS pg_catalog.void LANGUAGE plpgsql SECURITY DEFINER "
        f'SET search_path = "{place.schema}" SET check_function_bodies = on AS {literal(text)}; SELECT {function}; '
        f"DROP FUNCTION {function}; SET LOCAL ROLE NONE; SELECT prismicx.end_step({literal(place.schema)});"
    )


@lru_cache(maxsize=512)
def _statements(script: str) -> str:
    """The statements of a script as an array."""
    try:
        found = postgast.split(script)
    except PgQueryError:
        found = [script]  # the server will say what is wrong with it
    return f"ARRAY[{', '.join(map(literal, found))}]::pg_catalog.text[]"


def literal(text: str | None) -> str:
    """A text as it stands in a statement; the session has ``standard_conforming_strings``."""
    return "NULL" if text is None else "'" + text.replace("'", "''") + "'"
