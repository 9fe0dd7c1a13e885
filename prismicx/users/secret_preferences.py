"""The preferences of a tenant's users that are secret. Reference: `preferences` Table."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable

from prismicx.engines.scoped_sql import Sql
from prismicx.sealing.fields import PREFERENCE, Field
from prismicx.sealing.places import Tally
from prismicx.sealing.sealer import Sealer
from prismicx.sealing.values import is_sealed
from prismicx.statements import Statements
from prismicx.users.preference_types import PreferenceTypes

queries = Statements("prismicx.users", "secret_preferences.sql")

_BATCH = 500


class SecretPreferences:
    """As `prismicx.sealing.places.Place` has it.

    Args:
        types: tell which are registered as secret; what is sealed already is found without.
    """

    field: Field = PREFERENCE

    def __init__(self, tenant_id: str, open_sql: Callable[[], Sql], sealer: Sealer, types: PreferenceTypes) -> None:
        self._tenant_id = tenant_id
        self._open_sql = open_sql
        self._sealer = sealer
        self._types = types

    async def tally(self) -> Tally:
        """See `Place.tally`."""
        tally = Tally()
        keys = await self._secret_keys()
        user, key = uuid.UUID(int=0), ""
        while True:
            async with self._open_sql() as sql:
                rows = await sql.fetch(queries.secret, self._tenant_id, user, key, keys, _BATCH)
            for row in rows:
                value = json.loads(row["value"])
                if is_sealed(value):
                    tally.add(value)
                else:
                    tally.plain += 1
            if len(rows) < _BATCH:
                return tally
            user, key = rows[-1]["user_id"], rows[-1]["key"]

    async def reseal(self, progress: Callable[[int], None]) -> int:
        """See `Place.reseal`."""
        keys = await self._secret_keys()
        count, user, key = 0, uuid.UUID(int=0), ""
        while True:
            async with self._open_sql() as sql:
                rows = await sql.fetch(queries.secret_for_update, self._tenant_id, user, key, keys, _BATCH)
                for row in rows:
                    text = await self._sealer.renewed(row["user_id"], row["key"], json.loads(row["value"]))
                    if text is not None:
                        await sql.execute(queries.set_secret, row["user_id"], row["key"], json.dumps(text))
                        count += 1
            progress(count)
            if len(rows) < _BATCH:
                return count
            user, key = rows[-1]["user_id"], rows[-1]["key"]

    async def _secret_keys(self) -> list[str]:
        return [item.key for item in await self._types.list() if item.secret]
