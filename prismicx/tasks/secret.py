"""What is secret in the payloads of a tenant's tasks. Reference: `tasks` Collection."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

from prismicx.engines.document_rules import TENANT
from prismicx.engines.lost import told_when_lost
from prismicx.engines.scoped_documents import ScopedCollection
from prismicx.sealing.fields import PAYLOAD, Field
from prismicx.sealing.places import Tally
from prismicx.sealing.sealer import Sealer
from prismicx.sealing.values import is_sealed
from prismicx.tasks.values import SEALED_KEY

_BATCH = 500


class SecretPayloads:
    """As `prismicx.sealing.places.Place` has it."""

    field: Field = PAYLOAD

    def __init__(self, open_collection: Callable[[], Awaitable[ScopedCollection]], sealer: Sealer) -> None:
        self._open_collection = open_collection
        self._sealer = sealer

    async def tally(self) -> Tally:
        """See `Place.tally`."""
        tally = Tally()
        async for document in self._documents(await self._open_collection()):
            for key, value in document["payload"].items():
                if is_sealed(value):
                    tally.add(value)
                elif key == SEALED_KEY:
                    tally.plain += 1
        return tally

    async def reseal(self, progress: Callable[[int], None]) -> int:
        """See `Place.reseal`."""
        count = 0
        collection = await self._open_collection()
        async for document in self._documents(collection):
            payload, row = document["payload"], document["task_id"]
            sealed = {}
            for key, value in payload.items():
                if is_sealed(value) or key == SEALED_KEY:
                    text = await self._sealer.renewed(row, key, value)
                    if text is not None:
                        sealed[key] = text
            if sealed:
                count += len(sealed) if await _exchange(collection, row, payload, {**payload, **sealed}) else 0
                progress(count)
        return count

    async def _documents(self, collection: ScopedCollection) -> AsyncIterator[dict[str, Any]]:
        """All tasks with their payloads. One that moves meanwhile may come twice, which does no harm."""
        async for document in collection.find({}, {"_id": 0, "task_id": 1, "payload": 1}, batch_size=_BATCH):
            yield document


@told_when_lost
async def _exchange(
    collection: ScopedCollection, task_id: str, payload: Mapping[str, Any], renewed: Mapping[str, Any]
) -> bool:
    """Put a payload in the place of another, whole and only where that is as it was read: one that was changed
    meanwhile is for the next pass.

    Not by a filter of the scoped collection: those refuse text and names that a tenant may keep as data, such as
    ``$where``. Here they stay data, in whatever place.
    """
    found = {TENANT: collection._tenant, "task_id": {"$eq": task_id}, "payload": {"$eq": payload}}
    done = await collection._collection.update_one(found, {"$set": {"payload": renewed}})
    return done.matched_count == 1
