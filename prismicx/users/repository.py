"""The users of the tenant whose scope gave this out. Reference: `users` Table."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from typing import Any

import asyncpg

from prismicx.audit.tracing import Trace, audited
from prismicx.checks import check_changes, is_storable
from prismicx.clock import utc_now
from prismicx.engines.scoped_sql import Sql
from prismicx.errors import Conflict, Denied, InvalidInput, quoted
from prismicx.pages import Page, check_limit, cursor_of, key_of
from prismicx.sealing.sealer import Sealer
from prismicx.sealing.values import MARK
from prismicx.statements import Statements
from prismicx.users import passwords
from prismicx.users.private import PRIVATE_KEY, kept_metadata, stored_metadata
from prismicx.users.values import (
    INVALID,
    Status,
    User,
    UserValues,
    check_status,
    check_user_id,
    normal_email,
    unknown_user,
    user_of,
)
from prismicx.versions import stale

queries = Statements("prismicx.users", "queries.sql")

_SEALED = (PRIVATE_KEY,)
_CHANGEABLE = {item.name for item in fields(UserValues) if item.init} - {"status"}
_UNCHANGED = {"username": "-", "email": "-@-"}
"""What stands for values that stay: they are not checked again, as SQL may have written others."""


class Users:
    """Makes, finds, changes and removes users, and knows their passwords.

    Args:
        open_sql: opens a transaction of the tenant on the tables of users.
        open_secrets: opens one that reads the hashes of passwords, which the other cannot.
        sealer: of what metadata holds under ``private``.
    """

    def __init__(
        self,
        tenant_id: str,
        open_sql: Callable[[], Sql],
        open_secrets: Callable[[], Sql],
        sealer: Sealer,
        trace: Trace,
    ) -> None:
        self._trace = trace
        self._tenant_id = tenant_id
        self._open_sql = open_sql
        self._open_secrets = open_secrets
        self._sealer = sealer

    @audited("user.create", made=lambda user: user.id)
    async def create(
        self,
        *,
        username: str,
        email: str,
        password: str | None = None,
        first_name: str | None = None,
        last_name: str | None = None,
        role: str = "user",
        metadata: Mapping[str, Any] | None = None,
    ) -> User:
        """Make a user; without a password it cannot log in until one is set.

        Raises:
            InvalidInput: ``user.invalid`` or ``user.password_invalid``.
            Conflict: ``user.email_taken``.
            Unavailable, Conflict: ``keys.*`` when there is something ``private`` and it cannot be sealed.
        """
        held = {} if metadata is None else metadata
        values = UserValues(username, email, first_name, last_name, role, "active", held)
        key = uuid.uuid4()
        stored = await stored_metadata(self._sealer, key, values)
        kept = passwords.UNUSABLE if password is None else await passwords.hashed(passwords.check_password(password))
        try:
            async with self._open_sql() as sql:
                row = await sql.fetchrow(
                    queries.add, key, self._tenant_id, values.username, values.email, kept, values.first_name,
                    values.last_name, values.role, values.status, utc_now(), stored,
                )  # fmt: skip
        except asyncpg.UniqueViolationError as error:
            raise _email_taken(values.email) from error
        return await self._user(_there(row))

    async def get(self, user_id: uuid.UUID | str) -> User:
        """A user by its id.

        Raises:
            InvalidInput: ``user.id_invalid``.
            NotFound: ``user.unknown``, also when it is another tenant's.
        """
        key = check_user_id(user_id)
        async with self._open_sql() as sql:
            row = await sql.fetchrow(queries.get, key)
        if row is None:
            raise unknown_user(key)
        return await self._user(row)

    async def by_email(self, email: str) -> User:
        """A user by its address, in capitals or small letters.

        Raises:
            InvalidInput: ``user.invalid``.
            NotFound: ``user.unknown``.
        """
        wanted = normal_email(email)
        async with self._open_sql() as sql:
            row = await sql.fetchrow(queries.by_email, self._tenant_id, wanted)
        if row is None:
            raise unknown_user(wanted)
        return await self._user(row)

    async def by_username(self, username: str) -> User:
        """The user of that name. Names need not be unique: addresses are.

        Raises:
            NotFound: ``user.unknown``.
            Conflict: ``user.ambiguous`` when several have it.
        """
        async with self._open_sql() as sql:
            rows = await sql.fetch(queries.by_username, self._tenant_id, _plain(username, "username"))
        if not rows:
            raise unknown_user(username)
        if len(rows) > 1:
            raise Conflict(
                "user.ambiguous", f"several users are named {quoted(username)}", "ask by e-mail address or id"
            )
        return await self._user(rows[0])

    async def list(
        self,
        *,
        status: Status | None = None,
        role: str | None = None,
        text: str | None = None,
        after: str | None = None,
        limit: int = 100,
    ) -> Page[User]:
        """Users in the order of their addresses.

        Args:
            text: what username, address, first or last name holds, in capitals or small letters.
            after: the ``next`` of the page before.

        Raises:
            InvalidInput: ``page.cursor_invalid``, ``page.limit_invalid`` or ``user.invalid``.
        """
        size = check_limit(limit)
        (begin,) = key_of("users", after, str) if after is not None else ("",)
        pattern = None if text is None else f"%{_literal(_plain(text, 'text'))}%"
        if status is not None:
            check_status(status)
        if role is not None:
            _plain(role, "role")
        async with self._open_sql() as sql:
            rows = await sql.fetch(queries.list, self._tenant_id, begin, status, role, pattern, size + 1)
        items = [await self._user(row) for row in rows[:size]]
        return Page(items, cursor_of("users", items[-1].email) if len(rows) > size else None)

    @audited("user.update", subject="user_id")
    async def update(self, user_id: uuid.UUID | str, *, version: str | None = None, **changes: Any) -> User:
        """Change some values of a user: ``username``, ``email``, ``first_name``, ``last_name``, ``role``, ``metadata``.

        Args:
            version: the ``version`` of the user the changes were made to; without it the last writer wins.

        Raises:
            InvalidInput: ``user.invalid`` or ``user.id_invalid``.
            NotFound: ``user.unknown``.
            Conflict: ``user.changed`` when it has another version now, ``user.email_taken``.
        """
        check_changes(INVALID, changes, _CHANGEABLE)
        return await self._change(user_id, version, changes)

    @audited("user.activate", subject="user_id")
    async def activate(self, user_id: uuid.UUID | str) -> User:
        """Let a user log in again.

        Raises:
            InvalidInput, NotFound: as `get`.
        """
        return await self._change(user_id, None, {"status": "active"})

    @audited("user.deactivate", subject="user_id")
    async def deactivate(self, user_id: uuid.UUID | str) -> User:
        """Refuse a user's logins; what it has stays.

        Raises:
            InvalidInput, NotFound: as `get`.
        """
        return await self._change(user_id, None, {"status": "inactive"})

    @audited("user.delete", subject="user_id")
    async def delete(self, user_id: uuid.UUID | str) -> None:
        """Remove a user and its preferences.

        Raises:
            InvalidInput, NotFound: as `get`.
            Conflict: ``user.has_extensions``.
        """
        key = check_user_id(user_id)
        try:
            async with self._open_sql() as sql:
                # First, so that nobody gives it a preference meanwhile: what still refers to it is an extension.
                if await sql.fetchval(queries.lock, key) is None:
                    raise unknown_user(key)
                await sql.execute(queries.delete_preferences, key)
                await sql.execute(queries.delete, key)
        except asyncpg.ForeignKeyViolationError as error:
            raise Conflict(
                "user.has_extensions", f"the user {key} has extensions", "remove its extensions first, or deactivate it"
            ) from error

    @audited("user.password", subject="user_id")
    async def set_password(self, user_id: uuid.UUID | str, password: str) -> None:
        """Give a user a password.

        Raises:
            InvalidInput: ``user.password_invalid`` or ``user.id_invalid``.
            NotFound: ``user.unknown``.
        """
        key = check_user_id(user_id)
        kept = await passwords.hashed(passwords.check_password(password))
        async with self._open_sql() as sql:
            if not await sql.execute(queries.set_password, key, kept, utc_now()):
                raise unknown_user(key)

    async def verify_password(self, user_id: uuid.UUID | str, password: str) -> bool:
        """Whether the password is the user's. A user that is not there takes as long as one that is.

        Raises:
            InvalidInput: ``user.id_invalid``.
        """
        key = check_user_id(user_id)
        async with self._open_secrets() as sql:
            row = await sql.fetchrow(queries.secret, key)
        kept = row["password_hash"] if row is not None else None
        found = await passwords.matches(kept, password)
        stronger = await passwords.rehashed(kept, password) if found else None
        if stronger is not None:
            async with self._open_secrets() as sql:
                await sql.execute(queries.rehash, key, kept, stronger)
        return found

    @audited("user.login")
    async def login(self, email: str, password: str) -> User:
        """The active user of an address and a password; its ``last_login_at`` is now.

        Raises:
            Denied: ``user.login_refused``: address, password or status, it does not say which, nor by its time.
        """
        try:
            wanted = normal_email(email)
        except InvalidInput:
            wanted = ""
        async with self._open_secrets() as sql:
            row = await sql.fetchrow(queries.secret_of_email, self._tenant_id, wanted)
        kept = row["password_hash"] if row is not None else None
        if row is not None and await passwords.matches(kept, password):
            stronger = await passwords.rehashed(kept, password)
            async with self._open_secrets() as sql:
                # With the hash that was checked: a password set meanwhile counts.
                found = await sql.fetchrow(queries.logged_in, row["id"], kept, utc_now(), stronger)
            if found is not None:
                return await self._user(found)
        elif row is None:
            await passwords.matches(None, password)
        raise Denied("user.login_refused", "address and password do not fit an active user", "check both")

    async def _change(self, user_id: uuid.UUID | str, version: str | None, changes: Mapping[str, Any]) -> User:
        key = check_user_id(user_id)
        given = UserValues(**{**_UNCHANGED, **changes})
        if PRIVATE_KEY in given.metadata:
            await self._sealer.writer()  # no row waits, locked, for the key service
        try:
            async with self._open_sql() as sql:
                row = await sql.fetchrow(queries.get_for_update, key)
                if row is None:
                    raise unknown_user(key)
                held = user_of(row)
                if version not in (None, held.version):
                    raise Conflict("user.changed", *stale(f"the user {key}", held.version, version))
                values = replace(held, **{name: getattr(given, name) for name in changes})
                if "metadata" in changes:
                    stored = await stored_metadata(self._sealer, key, given)
                else:
                    stored = await kept_metadata(self._sealer, key, held, row["metadata"])
                changed = await sql.fetchrow(
                    queries.update, key, values.username, values.email, values.first_name, values.last_name,
                    values.role, values.status, stored, utc_now(after=held.updated_at),
                )  # fmt: skip
        except asyncpg.UniqueViolationError as error:
            raise _email_taken(given.email) from error
        return await self._user(_there(changed))

    async def _user(self, row: asyncpg.Record) -> User:
        text = row["metadata"]
        if not text or MARK not in text:
            return user_of(row)
        return user_of(row, await self._sealer.opened(row["id"], json.loads(text), _SEALED))


def _email_taken(email: str) -> Conflict:
    return Conflict(
        "user.email_taken", f"the tenant has a user with the address {quoted(email)}", "use another address"
    )


def _plain(value: object, label: str) -> str:
    if isinstance(value, str) and len(value) <= 255 and is_storable(value):
        return value
    raise InvalidInput(INVALID, f"{label} is {quoted(value)}", "give a text of at most 255 characters, without NUL")


def _literal(text: str) -> str:
    """The text for LIKE, without special characters."""
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def _there(row: asyncpg.Record | None) -> asyncpg.Record:
    if row is None:  # a statement with RETURNING that wrote a row gives it
        raise AssertionError("a row that was written was not returned")
    return row
