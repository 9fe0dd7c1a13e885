"""What a step must still find among a tenant's other systems when it is taken: checked in its transaction, by
`prismicx.take_step`, since between a plan and a step other commands may have been there.
"""

from __future__ import annotations

import json
from collections.abc import Iterable

import asyncpg

from prismicx.engines.postgres import Pool, PooledConnection
from prismicx.engines.scoped_sql import Record
from prismicx.errors import Conflict
from prismicx.systems.records import queries
from prismicx.systems.requirements import Held, fits, held_of

_REFUSALS = {
    "PX003": ("system.type_taken", "one system of a type has the schema: a tenant can have only one"),
    "PX004": ("system.dependency", "prismicx system plan tells who needs which version of what"),
}
"""By the SQLSTATE with which the ledger refuses a step, the code and the remedy of the error."""

REFUSED = frozenset(_REFUSALS)


def guard_of(system_id: str, wanted: Held | None, related: Iterable[Record]) -> str | None:
    """The guard of a step as `prismicx.take_step` takes it; None where nothing has to be looked at.

    Args:
        wanted: the version the step leads to; None where the system is removed.
        related: rows of all versions of the systems it needs, and of those that need this system.
    """
    needs: dict[str, list[str]] = {name: [] for name in (wanted.dependencies if wanted else ())}
    against = []
    for row in related:
        held = held_of(row["system_id"], row)
        if wanted and held.system_id in needs and fits(wanted.dependencies[held.system_id], held.version):
            needs[held.system_id].append(row["version_id"])
        needed = held.dependencies.get(system_id)
        if needed is not None and not (wanted and fits(needed, wanted.version)):
            against.append(row["version_id"])
    return json.dumps({"needs": needs, "against": against}) if needs or against else None


async def related_versions(connection: Pool | PooledConnection, system_id: str, wanted: Held | None) -> list[Record]:
    """The rows that `guard_of` needs."""
    return [*await connection.fetch(queries.related_versions, system_id, list(wanted.dependencies if wanted else ()))]


def refusal_of(error: asyncpg.PostgresError) -> Conflict | None:
    """The error for a step that the tenant's other systems do not let be taken; None where it is something else."""
    found = _REFUSALS.get(error.sqlstate or "")
    return None if found is None else Conflict(found[0], str(error), found[1])
