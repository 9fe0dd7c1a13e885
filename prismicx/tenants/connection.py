"""The connection string of a tenant, which is sealed in the registry. Reference: `tenants` Collection."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from pymongo.asynchronous.collection import AsyncCollection

from prismicx.sealing.fields import CONNECTION, Field
from prismicx.sealing.places import Tally
from prismicx.sealing.sealer import Sealer
from prismicx.sealing.values import is_sealed

CONNECTION_STRING = "connection_string"
_PATH = f"database_config.{CONNECTION_STRING}"


async def connection_string(sealer: Sealer, tenant_id: str, stored: str) -> str:
    """The string, opened; earlier releases stored it as it is.

    Raises:
        Unavailable, Conflict, Denied: ``keys.*``.
    """
    return str(await sealer.open(tenant_id, CONNECTION_STRING, stored)) if is_sealed(stored) else stored


class SealedConnection:
    """The connection string, as `prismicx.sealing.places.Place` has it."""

    field: Field = CONNECTION

    def __init__(
        self, tenant_id: str, open_collection: Callable[[], Awaitable[AsyncCollection[dict[str, Any]]]], sealer: Sealer
    ) -> None:
        self._tenant_id = tenant_id
        self._open_collection = open_collection
        self._sealer = sealer

    async def tally(self) -> Tally:
        """See `Place.tally`."""
        tally = Tally()
        for stored in await self._stored():
            if is_sealed(stored):
                tally.add(stored)
            else:
                tally.plain += 1
        return tally

    async def reseal(self, progress: Callable[[int], None]) -> int:
        """See `Place.reseal`."""
        count = 0
        for stored in await self._stored():
            text = await self._sealer.renewed(self._tenant_id, CONNECTION_STRING, stored)
            if text is not None:
                same = {"tenant_id": self._tenant_id, _PATH: stored}
                done = await (await self._open_collection()).update_one(same, {"$set": {_PATH: text}})
                count += done.matched_count
        progress(count)
        return count

    async def _stored(self) -> list[str]:
        collection = await self._open_collection()
        document = await collection.find_one({"tenant_id": self._tenant_id}, {_PATH: 1})
        return [] if document is None else [document["database_config"][CONNECTION_STRING]]
