"""What users prefer. Reference: `preferences` Table."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from prismicx.audit.tracing import Trace, audited
from prismicx.checks import check_json, check_object
from prismicx.clock import utc_now
from prismicx.engines.scoped_sql import Sql
from prismicx.errors import InvalidInput, NotFound, quoted
from prismicx.sealing.sealer import Sealer
from prismicx.sealing.values import is_sealed
from prismicx.statements import Statements
from prismicx.users.preference_types import INVALID, PreferenceTypes, check_key
from prismicx.users.values import check_user_id, unknown_user

queries = Statements("prismicx.users", "preferences.sql")

_MANY = 1000


class Preferences:
    """Reads and writes the preferences of a tenant's users.

    Args:
        open_sql: opens a transaction of the tenant on the tables of users.
        types: what services registered.
        defaults: what the tenant set for all its users.
        sealer: of what is secret.
    """

    def __init__(
        self,
        open_sql: Callable[[], Sql],
        types: PreferenceTypes,
        defaults: Callable[[], Mapping[str, Any]],
        sealer: Sealer,
        trace: Trace,
    ) -> None:
        self._trace = trace
        self._open_sql = open_sql
        self._sealer = sealer
        self._types = types
        self._tenant_defaults = defaults

    async def list(self, user_id: uuid.UUID | str, *, with_defaults: bool = False) -> Mapping[str, Any]:
        """All that a user has set, by key. Where a secret one cannot be opened, asking for it raises why.

        Args:
            with_defaults: also what counts where nothing is set: the tenant's defaults, then those registered.

        Raises:
            InvalidInput: ``user.id_invalid``.
            NotFound: ``user.unknown``.
        """
        key = check_user_id(user_id)
        async with self._open_sql() as sql:
            rows = await sql.fetch(queries.all, key)
            if not rows:
                await _require(sql, key)
        held = {row["key"]: json.loads(row["value"]) for row in rows}
        defaults = await self._defaults() if with_defaults else {}
        return await self._sealer.opened(key, {**defaults, **held}, held)

    async def get(self, user_id: uuid.UUID | str, key: str) -> Any:
        """What a user prefers: what was set, else the tenant's default, else the registered one.

        Raises:
            InvalidInput: ``user.id_invalid`` or ``preference.invalid``.
            NotFound: ``user.unknown``, or ``preference.unset`` when there is no default either.
            Unavailable, Conflict, Denied: ``keys.*`` when it is secret and cannot be opened.
        """
        user, wanted = check_user_id(user_id), check_key(key)
        async with self._open_sql() as sql:
            rows = await sql.fetch(queries.some, user, [wanted])
            if not rows:
                await _require(sql, user)
        if rows:
            value = json.loads(rows[0]["value"])
            return await self._sealer.open(user, wanted, value) if is_sealed(value) else value
        defaults = await self._defaults()
        if wanted in defaults:
            return defaults[wanted]
        raise NotFound("preference.unset", f"the user {user} has not set {wanted}, and it has no default", "set it")

    @audited("preference.set", subject="user_id")
    async def set(self, user_id: uuid.UUID | str, values: Mapping[str, Any], *, secret: bool = False) -> None:
        """Set some preferences, all in one statement; the others stay.

        Args:
            secret: seal the values where they are stored. What was secret before stays so until it is unset.

        Raises:
            InvalidInput: ``user.id_invalid`` or ``preference.invalid``.
            NotFound: ``user.unknown``.
            Unavailable, Conflict: ``keys.*`` when something cannot be sealed; nothing is set then.
        """
        user = check_user_id(user_id)
        if not isinstance(values, Mapping) or not 0 < len(values) <= _MANY:
            found = f"are {len(values):,}" if isinstance(values, Mapping) else f"are a {type(values).__name__}"
            raise InvalidInput(INVALID, f"the preferences {found}", f"give 1 to {_MANY} values by key")
        types = await self._types.known()
        keys = [check_key(key) for key in values]
        marked = set(keys) if secret else types.secret & {*keys}
        if marked:
            await self._sealer.writer()  # no transaction waits for the key service
        async with self._open_sql() as sql:
            await _lock(sql, user)
            # By a statement of its own: it sees what whoever had the lock before has set.
            marked = marked.union(row["key"] for row in await sql.fetch(queries.secrets, user, keys))
            # Only now is it known of which values an error may tell.
            texts = {key: types.check(key, values[key], secret=key in marked) for key in keys}
            if marked:
                writer = await self._sealer.writer()
                texts.update({key: json.dumps(writer.seal(user, key, values[key])) for key in marked})
            await sql.execute(queries.set, user, utc_now(), list(texts), list(texts.values()))

    async def find(self, key: str, value: Any) -> Sequence[uuid.UUID]:
        """The users who have set a secret preference to a value, by id. The value is looked for by its keyed hash.

        Raises:
            InvalidInput: ``preference.invalid``.
            Unavailable, Conflict: ``keys.*``.
        """
        wanted = check_key(key)
        check_json(INVALID, "the value", value)
        beginnings = [f'"{text}' for text in await self._sealer.beginnings(wanted, value)]
        async with self._open_sql() as sql:
            return [row["user_id"] for row in await sql.fetch(queries.find, wanted, beginnings)]

    @audited("preference.merge", subject="user_id")
    async def merge(self, user_id: uuid.UUID | str, key: str, patch: Mapping[str, Any]) -> Any:
        """Change parts of a preference that is an object (RFC 7396: null takes a part away); what it is then.

        Two at once both count: they wait for one another.

        Raises:
            InvalidInput: ``user.id_invalid`` or ``preference.invalid``.
            NotFound: ``user.unknown``.
            Unavailable, Conflict, Denied: ``keys.*`` when it is secret and cannot be opened or sealed.
        """
        user, wanted = check_user_id(user_id), check_key(key)
        if not isinstance(patch, Mapping):
            raise InvalidInput(INVALID, f"the patch is a {type(patch).__name__}", "give a JSON object")
        check_object(INVALID, "the patch", patch)
        types, defaults = await self._types.known(), await self._defaults()
        async with self._open_sql() as sql:
            await _lock(sql, user)
            rows = await sql.fetch(queries.some_for_update, user, [wanted])
            held = json.loads(rows[0]["value"]) if rows else defaults.get(wanted)
            secret = wanted in types.secret or (bool(rows) and is_sealed(held))
            if rows and is_sealed(held):
                held = await self._sealer.open(user, wanted, held)
            merged = _merged(held, patch)
            text = types.check(wanted, merged, secret=secret)
            if secret:
                text = json.dumps(await self._sealer.seal(user, wanted, merged))
            await sql.execute(queries.set, user, utc_now(), [wanted], [text])
        return merged

    @audited("preference.unset", subject="user_id", told=lambda count: {"count": count})
    async def unset(self, user_id: uuid.UUID | str, keys: Iterable[str]) -> int:
        """Forget some preferences, all in one statement; how many were set.

        Raises:
            InvalidInput: ``user.id_invalid`` or ``preference.invalid``.
            NotFound: ``user.unknown``.
        """
        user = check_user_id(user_id)
        if not isinstance(keys, Iterable):
            raise InvalidInput(INVALID, f"the keys are {quoted(keys)}", "give their names")
        wanted = [check_key(key) for key in ([keys] if isinstance(keys, str) else keys)]
        async with self._open_sql() as sql:
            await _lock(sql, user)
            return await sql.execute(queries.unset, user, wanted)

    async def _defaults(self) -> dict[str, Any]:
        return {**(await self._types.known()).defaults, **self._tenant_defaults()}


async def _require(sql: Sql, user: uuid.UUID) -> None:
    if await sql.fetchval(queries.user_exists, user) is None:
        raise unknown_user(user)


async def _lock(sql: Sql, user: uuid.UUID) -> None:
    if await sql.fetchval(queries.lock_user, user) is None:
        raise unknown_user(user)


def _merged(held: Any, patch: Any) -> Any:
    if not isinstance(patch, Mapping):
        return patch
    merged = dict(held) if isinstance(held, Mapping) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = _merged(merged.get(name), value)
    return merged
