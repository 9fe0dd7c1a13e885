"""The extensions of the tenant whose scope gave this out. Reference: User Extensions Database."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields, replace
from typing import Any

import asyncpg

from prismicx.audit.tracing import Trace, audited
from prismicx.checks import check_changes, check_id, check_text, is_storable
from prismicx.clock import utc_now
from prismicx.engines.scoped_sql import Sql
from prismicx.errors import Conflict, InvalidInput, NotFound, quoted
from prismicx.extensions.values import (
    INVALID,
    ORDERS,
    Extension,
    ExtensionValues,
    Factor,
    Order,
    Practicality,
    Ranked,
    check_integer,
    check_number,
    extension_of,
    practicality_of,
)
from prismicx.pages import Page, check_limit, cursor_of, key_of
from prismicx.statements import Statements
from prismicx.users.values import check_user_id, unknown_user
from prismicx.versions import stale

queries = Statements("prismicx.extensions", "queries.sql")

_CHANGEABLE = {item.name for item in fields(ExtensionValues) if item.init}
_UNCHANGED = {"type": "-", "name": "-"}
"""What stands for values that stay: they are not checked again, as SQL may have written others."""
_FIRST = (-(2**31), uuid.UUID(int=0))


class Extensions:
    """Makes, finds, changes, removes and rates extensions.

    Args:
        open_sql: opens a transaction of the tenant on the tables of extensions.
    """

    def __init__(self, tenant_id: str, open_sql: Callable[[], Sql], trace: Trace) -> None:
        self._trace = trace
        self._tenant_id = tenant_id
        self._open_sql = open_sql

    @audited("extension.create", made=lambda extension: extension.id)
    async def create(
        self,
        user_id: uuid.UUID | str,
        *,
        type: str,
        name: str,
        description: str | None = None,
        enabled: bool = True,
        priority: int = 0,
        metadata: Mapping[str, Any] | None = None,
    ) -> Extension:
        """Give a user an extension.

        Raises:
            InvalidInput: ``extension.invalid`` or ``user.id_invalid``.
            NotFound: ``user.unknown``.
        """
        user = check_user_id(user_id)
        held = {} if metadata is None else metadata
        values = ExtensionValues(type, name, description, enabled, priority, held)
        key = uuid.uuid4()
        try:
            async with self._open_sql() as sql:
                await sql.execute(
                    queries.add, key, user, self._tenant_id, values.type, values.name, values.description,
                    values.enabled, values.priority, utc_now(), values.metadata_text,
                )  # fmt: skip
                return await _get(sql, key)
        except asyncpg.ForeignKeyViolationError as error:
            raise unknown_user(user) from error

    async def get(self, extension_id: uuid.UUID | str) -> Extension:
        """An extension by its id.

        Raises:
            InvalidInput: ``extension.id_invalid``.
            NotFound: ``extension.unknown``, also when it is another tenant's.
        """
        key = _key(extension_id)
        async with self._open_sql() as sql:
            return await _get(sql, key)

    async def list(
        self,
        *,
        user_id: uuid.UUID | str | None = None,
        type: str | None = None,
        enabled: bool | None = None,
        after: str | None = None,
        limit: int = 100,
    ) -> Page[Extension]:
        """Extensions in the order of their priorities.

        Raises:
            InvalidInput: ``page.cursor_invalid``, ``page.limit_invalid``, ``user.id_invalid``.
        """
        size = check_limit(limit)
        priority, begin = _FIRST
        if after is not None:
            priority, text = key_of("extensions", after, int, str)
            check_integer("after", priority, _FIRST[0], 2**31 - 1)
            begin = check_id("page.cursor_invalid", "after", text)
        user = None if user_id is None else check_user_id(user_id)
        if type is not None:
            check_text(INVALID, "type", type, 50)
        if enabled is not None and not isinstance(enabled, bool):
            raise InvalidInput(INVALID, f"enabled is {quoted(enabled)}", "give True or False")
        async with self._open_sql() as sql:
            rows = await sql.fetch(queries.list, self._tenant_id, priority, begin, user, type, enabled, size + 1)
        items = [extension_of(row) for row in rows[:size]]
        more = len(rows) > size
        return Page(items, cursor_of("extensions", items[-1].priority, str(items[-1].id)) if more else None)

    async def update(self, extension_id: uuid.UUID | str, *, version: str | None = None, **changes: Any) -> Extension:
        """Change ``type``, ``name``, ``description``, ``enabled``, ``priority`` or ``metadata``.

        Args:
            version: of the extension the changes were made to; without it the last writer wins.

        Raises:
            InvalidInput: ``extension.invalid`` or ``extension.id_invalid``.
            NotFound: ``extension.unknown``.
            Conflict: ``extension.changed`` when it has another version now.
        """
        check_changes(INVALID, changes, _CHANGEABLE)
        key = _key(extension_id)
        given = ExtensionValues(**{**_UNCHANGED, **changes})
        async with self._open_sql() as sql:
            await _lock(sql, key)
            held = await _get(sql, key)
            if version not in (None, held.version):
                raise Conflict("extension.changed", *stale(f"the extension {key}", held.version, version))
            values = replace(held, **{name: getattr(given, name) for name in changes})
            await sql.execute(
                queries.update, key, values.type, values.name, values.description, values.enabled, values.priority,
                given.metadata_text if "metadata" in changes else None, utc_now(after=held.updated_at),
            )  # fmt: skip
            return await _get(sql, key)

    async def enable(self, extension_id: uuid.UUID | str) -> Extension:
        """Switch an extension on; errors as `get`."""
        return await self.update(extension_id, enabled=True)

    async def disable(self, extension_id: uuid.UUID | str) -> Extension:
        """Switch an extension off; errors as `get`."""
        return await self.update(extension_id, enabled=False)

    async def reorder(self, user_id: uuid.UUID | str, order: Sequence[uuid.UUID | str]) -> None:
        """Give a user's extensions the priorities 0, 1, 2 … in this order.

        Args:
            order: every extension of the user, once.

        Raises:
            InvalidInput: ``extension.invalid`` when one is missing, twice there or not the user's.
            NotFound: ``user.unknown``.
        """
        user = check_user_id(user_id)
        if not isinstance(order, Iterable):
            raise InvalidInput(INVALID, f"the order is {quoted(order)}", "give the ids of the user's extensions")
        keys = [_key(item) for item in order]
        async with self._open_sql() as sql:
            held = {row["id"] for row in await sql.fetch(queries.of_user, user)}
            if not held and await sql.fetchval(queries.user_exists, user) is None:
                raise unknown_user(user)
            wrong = [str(key) for key in keys if key not in held or keys.count(key) > 1]
            wrong += [str(key) for key in held if key not in keys]
            if wrong:
                raise InvalidInput(
                    INVALID, f"the order is not of the user's extensions: {wrong[0]}", "name each of them once"
                )
            await sql.execute(queries.reorder, keys, utc_now())

    @audited("extension.delete", subject="extension_id")
    async def delete(self, extension_id: uuid.UUID | str) -> None:
        """Remove an extension with its metrics and factors; errors as `get`."""
        key = _key(extension_id)
        async with self._open_sql() as sql:
            await _lock(sql, key)
            await sql.execute(queries.delete_metrics, key)
            await sql.execute(queries.delete_factors, key)
            await sql.execute(queries.delete, key)

    async def record_use(self, extension_id: uuid.UUID | str, times: int = 1) -> None:
        """Count uses; none is lost when several count at once. The count ends at 2,147,483,647.

        Raises:
            InvalidInput: ``extension.invalid`` or ``extension.id_invalid``.
            NotFound: ``extension.unknown``.
        """
        key, count, moment = _key(extension_id), check_integer("times", times, 1, 1_000_000), utc_now()
        async with self._open_sql() as sql:
            if not await sql.execute(queries.count_use, key, count, moment):
                await _lock(sql, key)  # one of several that begin the metrics makes them, the others find them
                if not await sql.execute(queries.count_use, key, count, moment):
                    await sql.execute(queries.add_metrics, uuid.uuid4(), key, count, moment, None, moment)

    async def record_feedback(self, extension_id: uuid.UUID | str, score: float) -> None:
        """Note what a user thinks of an extension, 0 to 10; the last word counts.

        Raises:
            InvalidInput: ``extension.invalid`` or ``extension.id_invalid``.
            NotFound: ``extension.unknown``.
        """
        key, value, moment = _key(extension_id), check_number("score", score, 0, 10), utc_now()
        async with self._open_sql() as sql:
            await _lock(sql, key)
            if not await sql.execute(queries.set_feedback, key, value, moment):
                await sql.execute(queries.add_metrics, uuid.uuid4(), key, 0, None, value, moment)

    async def factors(self, extension_id: uuid.UUID | str) -> Sequence[Factor]:
        """The rated factors by name; errors as `get`."""
        key = _key(extension_id)
        async with self._open_sql() as sql:
            await _get(sql, key)
            return await _factors(sql, key)

    async def rate(self, extension_id: uuid.UUID | str, name: str, value: int, weight: float = 1.0) -> Practicality:
        """Rate a factor, anew if it was rated; how practical the extension is then.

        Args:
            value: 1 to 10.
            weight: 0 or more.

        Raises:
            InvalidInput: ``extension.invalid`` or ``extension.id_invalid``.
            NotFound: ``extension.unknown``.
        """
        key, factor = _key(extension_id), Factor(name, value, weight)
        async with self._open_sql() as sql:
            await _lock(sql, key)
            await sql.execute(
                queries.set_factor, uuid.uuid4(), key, factor.name, factor.value, factor.weight, utc_now()
            )
            return await _practicality(sql, key)

    async def unrate(self, extension_id: uuid.UUID | str, name: str) -> Practicality:
        """Remove a factor; how practical the extension is then.

        Raises:
            InvalidInput: ``extension.id_invalid``.
            NotFound: ``extension.unknown`` or ``factor.unknown``.
        """
        key = _key(extension_id)
        async with self._open_sql() as sql:
            await _get(sql, key)
            known = isinstance(name, str) and is_storable(name)
            if not known or not await sql.execute(queries.remove_factor, key, name):
                raise _unknown_factor(name)
            return await _practicality(sql, key)

    async def practicality(self, extension_id: uuid.UUID | str) -> Practicality:
        """How practical an extension is; errors as `get`."""
        key = _key(extension_id)
        async with self._open_sql() as sql:
            await _get(sql, key)
            return await _practicality(sql, key)

    async def what_if(self, extension_id: uuid.UUID | str, weights: Mapping[str, float]) -> Practicality:
        """How practical an extension would be with other weights; nothing is changed.

        Args:
            weights: by the names of factors; the others keep theirs.

        Raises:
            InvalidInput: ``extension.invalid`` or ``extension.id_invalid``.
            NotFound: ``extension.unknown`` or ``factor.unknown``.
        """
        if not isinstance(weights, Mapping):
            raise InvalidInput(INVALID, f"the weights are {quoted(weights)}", "give weights by the names of factors")
        held = {factor.name: factor for factor in await self.factors(extension_id)}
        for name, weight in weights.items():
            if name not in held:
                raise _unknown_factor(name)
            held[name] = replace(held[name], weight=weight)
        return practicality_of([*held.values()])

    async def ranking(self, by: Order = "practicality", *, limit: int = 100) -> Sequence[Ranked]:
        """The tenant's extensions, the best first; those without a value come last.

        Raises:
            InvalidInput: ``extension.invalid`` or ``page.limit_invalid``.
        """
        if by not in ORDERS:
            raise InvalidInput(INVALID, f"the ranking is by {quoted(by)}", f"use one of {', '.join(ORDERS)}")
        async with self._open_sql() as sql:
            rows = await sql.fetch(queries.ranking, by, check_limit(limit))
        return [Ranked(place, *row) for place, row in enumerate(rows, 1)]


async def _get(sql: Sql, key: uuid.UUID) -> Extension:
    row = await sql.fetchrow(queries.get, key)
    if row is None:
        raise _unknown(key)
    return extension_of(row)


async def _lock(sql: Sql, key: uuid.UUID) -> None:
    if await sql.fetchrow(queries.lock, key) is None:
        raise _unknown(key)


async def _factors(sql: Sql, key: uuid.UUID) -> Sequence[Factor]:
    return [Factor(*row) for row in await sql.fetch(queries.factors, key)]


async def _practicality(sql: Sql, key: uuid.UUID) -> Practicality:
    row = await sql.fetchrow(queries.practicality, key)
    if row is None:
        raise _unknown(key)
    return Practicality(*row)


def _key(value: object) -> uuid.UUID:
    return check_id("extension.id_invalid", "the extension's id", value)


def _unknown(key: uuid.UUID) -> NotFound:
    return NotFound(
        "extension.unknown", f"there is no extension {key}", "prismicx extension list shows those there are"
    )


def _unknown_factor(name: object) -> NotFound:
    return NotFound(
        "factor.unknown", f"the extension has no factor {quoted(name)}", "prismicx extension show lists them"
    )
