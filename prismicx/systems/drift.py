"""Whether a tenant's schema is what its version makes, before a step that was tried from there."""

from __future__ import annotations

from prismicx.engines.postgres import PooledConnection
from prismicx.errors import Conflict
from prismicx.systems.catalogue import queries
from prismicx.systems.definitions import Definitions
from prismicx.systems.differences import differences
from prismicx.systems.shape import hashes, shape_of
from prismicx.systems.step import Place

_SHOWN = 5


async def check_no_drift(connection: PooledConnection, place: Place, version: str) -> None:
    """See that a schema is what a version makes; one that is between two versions, or of a version that was never
    tried, is left alone.

    Args:
        version: its key.

    Raises:
        Conflict: ``system.drift``, naming the differences.
    """
    trial = await connection.fetchrow(queries.trial, version)
    between = await connection.fetchval(queries.phases_done, place.system_id)
    if trial is None or between:
        return
    names = (place.schema, place.owner, place.user)
    if (await hashes(connection, [names])).get(place.schema) == trial["shape_hash"]:
        return
    found = await shape_of(connection, *names)
    told = [str(item) for item in differences(Definitions.from_json(trial["shape"]).shape, found)]
    more = f"; and {len(told) - _SHOWN} more" if len(told) > _SHOWN else ""
    raise Conflict(
        "system.drift",
        f"the schema {place.schema} is not what {version} makes: {'; '.join(told[:_SHOWN])}{more}",
        f"prismicx system drift --tenant {place.tenant_id} --repair-sql shows what mends it; or force the step",
    )
