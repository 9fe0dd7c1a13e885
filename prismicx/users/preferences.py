"""What users prefer. Reference: `preferences` Table."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import jsonschema

from prismicx.audit.tracing import Trace, audited
from prismicx.checks import check_json
from prismicx.clock import utc_now
from prismicx.engines.scoped_sql import Sql
from prismicx.errors import InvalidInput, NotFound, quoted
from prismicx.sealing.sealer import Sealer
from prismicx.sealing.values import check_plain, is_sealed
from prismicx.statements import Statements
from prismicx.users.repository import check_user_id, unknown_user

queries = Statements("prismicx.users", "preferences.sql")

INVALID = "preference.invalid"

_KEY = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:/-]{0,99}")
_MANY = 1000


class PreferenceTypes:
    """What services registered of the values of their keys: a JSON schema, and what counts where nothing is set."""

    def __init__(self) -> None:
        self._schemas: dict[str, Mapping[str, Any]] = {}
        self._secret: set[str] = set()
        self._defaults: dict[str, Any] = {}

    def register(self, key: str, schema: Mapping[str, Any], *, default: Any = None, secret: bool = False) -> None:
        """Let values of a key obey a JSON schema from now on, in this process.

        Args:
            secret: seal the values where they are stored.
            default: what a user has who set nothing; it obeys the schema, unless it is None.

        Raises:
            InvalidInput: ``preference.invalid``.
        """
        check_key(key)
        try:
            jsonschema.Draft202012Validator.check_schema(schema)
        except jsonschema.SchemaError as error:
            raise InvalidInput(INVALID, f"the schema of {key}: {error.message}", "give a JSON schema") from error
        self._schemas[key] = schema
        (self._secret.add if secret else self._secret.discard)(key)
        if default is not None:
            self.check(key, default)
            self._defaults[key] = default

    def check(self, key: str, value: Any) -> str:
        """The value as JSON, if it is what the key may have.

        Raises:
            InvalidInput: ``preference.invalid``.
        """
        text = check_json(INVALID, f"the preference {key}", value)
        schema = self._schemas.get(key)
        if schema is not None:
            try:
                jsonschema.validate(value, schema, cls=jsonschema.Draft202012Validator)
            except jsonschema.ValidationError as error:
                # What is wrong with a secret is not told: the message would hold it.
                problem = f"it breaks {error.validator}" if key in self._secret else error.message[:200]
                raise InvalidInput(
                    INVALID, f"the preference {key}: {problem}", f"its schema is {json.dumps(schema)[:300]}"
                ) from (None if key in self._secret else error)
        check_plain(INVALID, f"the preference {key}", value)
        return text

    @property
    def secret(self) -> frozenset[str]:
        """The keys whose values are sealed."""
        return frozenset(self._secret)

    @property
    def defaults(self) -> Mapping[str, Any]:
        """What counts where nothing is set, by key."""
        return self._defaults


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
        return await self._sealer.opened(key, {**self._defaults(), **held} if with_defaults else held, held)

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
        defaults = self._defaults()
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
        texts = self._checked(values)
        marked = set(texts) if secret else self._types.secret & texts.keys()
        if marked:
            await self._sealer.writer()  # no transaction waits for the key service
        async with self._open_sql() as sql:
            found = await sql.fetchrow(queries.user_and_secrets, user, list(texts))
            if found is None:
                raise unknown_user(user)
            marked = marked.union(found["secrets"])
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
        check_json(INVALID, "the patch", patch)
        async with self._open_sql() as sql:
            if await sql.fetchval(queries.lock_user, user) is None:
                raise unknown_user(user)
            rows = await sql.fetch(queries.some_for_update, user, [wanted])
            held = json.loads(rows[0]["value"]) if rows else self._defaults().get(wanted)
            secret = wanted in self._types.secret or (bool(rows) and is_sealed(held))
            if rows and is_sealed(held):
                held = await self._sealer.open(user, wanted, held)
            merged = _merged(held, patch)
            text = self._types.check(wanted, merged)
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
        wanted = [check_key(key) for key in ([keys] if isinstance(keys, str) else keys)]
        async with self._open_sql() as sql:
            await _require(sql, user)
            return await sql.execute(queries.unset, user, wanted)

    def _checked(self, values: Mapping[str, Any]) -> dict[str, str]:
        if not isinstance(values, Mapping) or not 0 < len(values) <= _MANY:
            raise InvalidInput(INVALID, f"the preferences are {quoted(values)}", f"give 1 to {_MANY} values by key")
        return {check_key(key): self._types.check(key, value) for key, value in values.items()}

    def _defaults(self) -> dict[str, Any]:
        return {**self._types.defaults, **self._tenant_defaults()}


def check_key(key: object) -> str:
    """The name of a preference.

    Raises:
        InvalidInput: ``preference.invalid``.
    """
    if isinstance(key, str) and _KEY.fullmatch(key):
        return key
    raise InvalidInput(
        INVALID,
        f"the key is {quoted(key)}",
        "give 1 to 100 of letters, digits and _ . : / -, not beginning with a sign",
    )


async def _require(sql: Sql, user: uuid.UUID) -> None:
    if await sql.fetchval(queries.user_exists, user) is None:
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
