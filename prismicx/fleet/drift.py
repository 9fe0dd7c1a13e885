"""Drift: tenants whose schemas are not what their versions make, found by one query, and what would mend them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from prismicx.engines.postgres import Pool, PooledConnection
from prismicx.errors import Conflict, NotFound
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
    suspects = [name for name, place in places.items() if found.get(place.schema) != expected[held[name]]]
    if not suspects:
        return []
    # Whoever has moved meanwhile was looked at against the wrong version.
    now = {row["tenant_id"]: row for row in await pool.fetch(queries.holding, system_id, suspects)}
    return [name for name in suspects if now[name]["version"] == held[name] and not now[name]["phases_done"]]


async def find_drift(pool: Pool, names: Names, system_id: str | None, tenants: Sequence[str] | None) -> Drift:
    """Compare the schemas of all tenants, or of some, with what their versions make.

    Args:
        pool: of the login that reads over all tenants.
    """
    standing, between = await _standing(pool, system_id, tenants)
    known = {
        key: (row, place_of(names, row["tenant_id"], row["system_id"], row["type"]))
        for key, row in standing.items()
        if row["shape_hash"] is not None and key not in between
    }
    found = await hashes_of_many(pool, [place for _, place in known.values()])
    suspects = {key: row for key, (row, place) in known.items() if found.get(place.schema) != row["shape_hash"]}
    drifted = []
    if suspects:
        # Whoever has moved meanwhile was looked at against the wrong version.
        now, moving = await _standing(pool, system_id, [tenant_id for tenant_id, _ in suspects])
        expected: dict[str, Definitions] = {}
        async with pool.acquire() as connection:
            for key, row in suspects.items():
                if key in moving or key not in now or now[key]["version_id"] != row["version_id"]:
                    continue
                if row["version_id"] not in expected:
                    text = await connection.fetchval(queries.shape, row["version_id"])
                    expected[row["version_id"]] = Definitions.from_json(text)
                drifted.append(await _drifted(connection, row, known[key][1], expected[row["version_id"]]))
    untried = tuple(row["tenant_id"] for row in standing.values() if row["shape_hash"] is None)
    return Drift(len(known), tuple(drifted), untried, tuple(sorted(tenant_id for tenant_id, _ in between)))


async def _standing(
    pool: Pool, system_id: str | None, tenants: Sequence[str] | None
) -> tuple[dict[tuple[str, str], Any], set[tuple[str, str]]]:
    """By tenant and system what is installed, and those that are between two versions."""
    rows = await pool.fetch(queries.standing_shapes, system_id, None if tenants is None else [*tenants])
    steps = await pool.fetch(queries.unfinished_steps, system_id)
    between = {(row["tenant_id"], row["system_id"]) for row in steps if tenants is None or row["tenant_id"] in tenants}
    return {(row["tenant_id"], row["system_id"]): row for row in rows}, between


async def _drifted(connection: PooledConnection, row: Any, place: Place, expected: Definitions) -> Drifted:
    roles = Roles(place.schema, place.owner, place.user)
    try:
        differ = await differences_at(connection, place, expected)
        mending = repair(differ, expected, roles)
    except NotFound:
        differ = [Difference("schema", place.schema, "missing", "", "schema", "")]
        mending = remake(expected, opening_statements(place), roles)
    return Drifted(row["tenant_id"], row["system_id"], row["version"], place.schema, tuple(differ), tuple(mending))
