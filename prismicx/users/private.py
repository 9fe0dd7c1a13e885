"""What is sealed of users: the value under ``private`` in their metadata. Reference: `users` Table."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable

from prismicx.engines.scoped_sql import Sql
from prismicx.sealing.fields import PRIVATE, Field
from prismicx.sealing.places import Tally
from prismicx.sealing.sealer import Sealer, Writer
from prismicx.sealing.values import is_sealed
from prismicx.statements import Statements
from prismicx.users.values import User, UserValues

PRIVATE_KEY = "private"

queries = Statements("prismicx.users", "private.sql")

_BATCH = 500


async def stored_metadata(sealer: Sealer, key: uuid.UUID, values: UserValues) -> str:
    """The metadata as JSON, as it is stored."""
    if PRIVATE_KEY not in values.metadata:
        return values.metadata_text
    return with_private(await sealer.writer(), key, values)


def with_private(writer: Writer, key: uuid.UUID, values: UserValues) -> str:
    """The metadata as JSON with what is private sealed; whatever that is, also a text that looks sealed."""
    sealed = writer.seal(key, PRIVATE_KEY, values.metadata[PRIVATE_KEY])
    return json.dumps({**values.metadata, PRIVATE_KEY: sealed}, ensure_ascii=False)


async def kept_metadata(sealer: Sealer, key: uuid.UUID, held: User, text: str | None) -> str:
    """The metadata of a user that changes in something else; what is private needs no keys for that, and gets those
    that seal now where they are at hand."""
    private = held.metadata.get(PRIVATE_KEY) if isinstance(held.metadata, dict) else None
    if not isinstance(private, str) or not is_sealed(private):
        return text or "{}"
    return json.dumps(
        {**held.metadata, PRIVATE_KEY: await sealer.refreshed(key, PRIVATE_KEY, private)}, ensure_ascii=False
    )


class PrivateMetadata:
    """What is private of all users of a tenant, as `prismicx.sealing.places.Place` has it."""

    field: Field = PRIVATE

    def __init__(self, tenant_id: str, open_sql: Callable[[], Sql], sealer: Sealer) -> None:
        self._tenant_id = tenant_id
        self._open_sql = open_sql
        self._sealer = sealer

    async def tally(self) -> Tally:
        """See `Place.tally`."""
        tally = Tally()
        after = uuid.UUID(int=0)
        while True:
            async with self._open_sql() as sql:
                rows = await sql.fetch(queries.private, self._tenant_id, after, _BATCH)
            for row in rows:
                private = json.loads(row["private"])
                if is_sealed(private):
                    tally.add(private)
                else:
                    tally.plain += 1
            if len(rows) < _BATCH:
                return tally
            after = rows[-1]["id"]

    async def reseal(self, progress: Callable[[int], None]) -> int:
        """See `Place.reseal`."""
        count, after = 0, uuid.UUID(int=0)
        while True:
            async with self._open_sql() as sql:
                rows = await sql.fetch(queries.private_for_update, self._tenant_id, after, _BATCH)
                for row in rows:
                    text = await self._sealer.renewed(row["id"], PRIVATE_KEY, json.loads(row["private"]))
                    if text is not None:
                        await sql.execute(queries.set_private, row["id"], json.dumps(text))
                        count += 1
            progress(count)
            if len(rows) < _BATCH:
                return count
            after = rows[-1]["id"]
