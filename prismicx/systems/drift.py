"""Whether a tenant's schema is what its version makes: looked at before a step that was tried from there, too."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence

from prismicx.engines.postgres import Pool, PooledConnection
from prismicx.errors import Conflict
from prismicx.systems.definitions import Definitions
from prismicx.systems.differences import Difference, differences
from prismicx.systems.records import queries
from prismicx.systems.shape import hashes, shape_of
from prismicx.systems.step import Place

_SHOWN = 5

_WORTH, _PARTS = 500, 2
"""So many schemas are worth a query of their own, and there are at most so many at once: some of what a query does is
for all that there are, and with a third one it takes longer where there are two cores."""


async def hashes_at(connection: PooledConnection, places: Iterable[Place]) -> Mapping[str, str]:
    """By schema, the hash of what is found at a place; a schema that is not there has none."""
    return await hashes(connection, [(place.schema, place.owner, place.user) for place in places])


async def hashes_of_many(pool: Pool, places: Sequence[Place], connections: int = _PARTS) -> Mapping[str, str]:
    """As `hashes_at`, over several connections at once where there are many places; over none where there are none."""
    if not places:
        return {}
    parts = max(1, min(connections, _PARTS, len(places) // _WORTH))

    async def part(number: int) -> Mapping[str, str]:
        async with pool.acquire() as connection:
            return await hashes_at(connection, places[number::parts])

    found = await asyncio.gather(*(part(number) for number in range(parts)))
    return {schema: digest for some in found for schema, digest in some.items()}


async def differences_at(connection: PooledConnection, place: Place, expected: Definitions) -> list[Difference]:
    """In what a schema differs from what was expected of it.

    Raises:
        NotFound: ``schema.missing``.
    """
    return differences(expected.shape, await shape_of(connection, place.schema, place.owner, place.user))


async def check_no_drift(connection: PooledConnection, place: Place, version: str) -> None:
    """See that a schema is what a version makes; one that is between two versions, or of a version that was never
    tried, is left alone.

    Args:
        version: its key.

    Raises:
        Conflict: ``system.drift``, naming the differences.
    """
    trial = await connection.fetchrow(queries.trial, version)
    between = await connection.fetchrow(queries.unfinished, place.system_id)
    if trial is None or between:
        return
    if (await hashes_at(connection, [place])).get(place.schema) == trial["shape_hash"]:
        return
    told = [str(item) for item in await differences_at(connection, place, Definitions.from_json(trial["shape"]))]
    more = f"; and {len(told) - _SHOWN} more" if len(told) > _SHOWN else ""
    raise Conflict(
        "system.drift",
        f"the schema {place.schema} is not what {version} makes: {'; '.join(told[:_SHOWN])}{more}",
        f"prismicx system drift --tenant {place.tenant_id} --repair-sql shows what mends it; or force the step",
    )
