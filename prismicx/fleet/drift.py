"""Drift: tenants whose schemas are not what their versions make, found by one query, and what would mend them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from prismicx.engines.postgres import Pool, PooledConnection
from prismicx.errors import Conflict
from prismicx.names import Names
from prismicx.statements import Statements
from prismicx.systems.ddl import remake, repair
from prismicx.systems.definitions import Definitions
from prismicx.systems.differences import Difference
from prismicx.systems.drift import differences_at, hashes_of_many
from prismicx.systems.mend import Roles
from prismicx.systems.step import Place, opening_statements, place_of

queries = Statements(__package__, "queries.sql")


@dataclass(frozen=True, slots=True)
class Drifted:
    """A tenant whose schema differs from what its version makes.

    Attributes:
        differences: named; one that says the schema is missing where there is none.
        repair: statements that would mend them in a transaction, for an administrator; what could lose data is a
            comment that says why.
    """

    tenant_id: str
    system_id: str
    version: str
    schema: str
    differences: tuple[Difference, ...]
    repair: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Drift:
    """What a look at the schemas found.

    Attributes:
        checked: schemas that were looked at.
        untried: tenants with a version that was published before trials were kept: nothing says what it makes.
        between: tenants that are between two versions.
    """

    checked: int
    drifted: tuple[Drifted, ...]
    untried: tuple[str, ...]
    between: tuple[str, ...]


def drifted(tenant_id: str, version: str | None) -> Conflict:
    """The error for a tenant that is left out because its schema drifted: nobody tried a step from there."""
    return Conflict(
        "system.drift",
        f"the schema is not what {version} makes: prismicx system drift --tenant {tenant_id}",
        "mend it with the statements of --repair-sql, or force the step",
    )


async def drifted_among(
    pool: Pool, names: Names, system_id: str, system_type: str, held: Mapping[str, str], connections: int
) -> list[str]:
    """Those of the tenants whose schemas are not what their versions make; versions that were never tried pass.

    Args:
        held: by tenant, the version it has.
        connections: how many may be used at once.
    """
    expected = {row["version"]: row["shape_hash"] for row in await pool.fetch(queries.shape_hashes, system_id)}
    places = {
        tenant_id: place_of(names, tenant_id, system_id, system_type)
        for tenant_id, version in held.items()
        if version in expected
    }
    found = await hashes_of_many(pool, [*places.values()], connections)
    return [name for name, place in places.items() if found.get(place.schema) != expected[held[name]]]


async def find_drift(pool: Pool, names: Names, system_id: str | None, tenants: Sequence[str] | None) -> Drift:
    """Compare the schemas of all tenants, or of some, with what their versions make.

    Args:
        pool: of the login that reads over all tenants.
    """
    rows = await pool.fetch(queries.standing_shapes, system_id, None if tenants is None else [*tenants])
    between = {(row["tenant_id"], row["system_id"]) for row in await pool.fetch(queries.unfinished_steps, system_id)}
    held = [(row, place_of(names, row["tenant_id"], row["system_id"], row["type"])) for row in rows]
    known = [
        (row, place)
        for row, place in held
        if row["shape_hash"] is not None and (row["tenant_id"], row["system_id"]) not in between
    ]
    found = await hashes_of_many(pool, [place for _, place in known])
    expected: dict[str, Definitions] = {}
    drifted = []
    async with pool.acquire() as connection:
        for row, place in known:
            if found.get(place.schema) != row["shape_hash"]:
                if row["version_id"] not in expected:
                    text = await connection.fetchval(queries.shape, row["version_id"])
                    expected[row["version_id"]] = Definitions.from_json(text)
                drifted.append(await _drifted(connection, row, place, expected[row["version_id"]], found))
    untried = tuple(row["tenant_id"] for row, _ in held if row["shape_hash"] is None)
    return Drift(len(known), tuple(drifted), untried, tuple(sorted(tenant_id for tenant_id, _ in between)))


async def _drifted(
    connection: PooledConnection, row: Any, place: Place, expected: Definitions, found: Mapping[str, str]
) -> Drifted:
    roles = Roles(place.schema, place.owner, place.user)
    if place.schema not in found:
        differ = [Difference("schema", place.schema, "missing", "", "schema", "")]
        mending = remake(expected, opening_statements(place), roles)
    else:
        differ = await differences_at(connection, place, expected)
        mending = repair(differ, expected, roles)
    return Drifted(row["tenant_id"], row["system_id"], row["version"], place.schema, tuple(differ), tuple(mending))
