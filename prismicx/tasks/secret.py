"""What is secret in the payloads of a tenant's tasks. Reference: `tasks` Collection."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

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
                # Whole and only as it was read: a payload that was changed meanwhile is for the next pass.
                done = await collection.update_one(
                    {"task_id": row, "payload": payload}, {"$set": {"payload": {**payload, **sealed}}}
                )
                count += len(sealed) if done.matched_count else 0
                progress(count)
        return count

    async def _documents(self, collection: ScopedCollection) -> AsyncIterator[dict[str, Any]]:
        """All tasks with their payloads. One that moves meanwhile may come twice, which does no harm."""
        async for document in collection.find({}, {"_id": 0, "task_id": 1, "payload": 1}, batch_size=_BATCH):
            yield document
