"""Protections of pools, sealed values and the transport, broken one at a time for the self-test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import ExitStack, asynccontextmanager, contextmanager
from functools import partial
from typing import Any
from unittest.mock import patch

import asyncpg

from prismicx.engines import handshake, scoped_sql
from prismicx.engines.context import ContextKey
from prismicx.engines.postgres import ScopedConnection
from prismicx.errors import Denied
from prismicx.isolation import transport
from prismicx.platform import Platform
from prismicx.sealing.fields import CONNECTION, FIELDS, Field
from prismicx.sealing.keyset import Keyset
from prismicx.sealing.sealer import Sealer, Writer
from prismicx.sealing.values import Spot

Breaks = Mapping[str, Callable[[], Any]]
"""What is broken, and a context in which it is."""


@contextmanager
def _outliving() -> Iterator[None]:
    """Settings of the session instead of the transaction's, and pools that do not reset."""

    def settings(self: ContextKey, tenant_id: str, backend: int) -> str:
        return f"SET app.current_tenant_id = '{tenant_id}'; SET app.tenant_proof = '{self.proof(tenant_id, backend)}'"

    async def reset(self: ScopedConnection, *, timeout: float | None = None) -> None:  # noqa: ASYNC109
        if self.is_in_transaction():
            await self.execute("COMMIT", timeout=timeout)

    with ExitStack() as stack:
        stack.enter_context(patch.object(ContextKey, "settings", settings))
        stack.enter_context(patch.object(ScopedConnection, "reset", reset))
        yield


@contextmanager
def _unchecked() -> Iterator[None]:
    """Statements are sent unread."""
    with patch.object(scoped_sql, "check", lambda _, **__: None):
        yield


@contextmanager
def _shared_context() -> Iterator[None]:
    """Whoever opens a transaction gets the tenant of the one before."""
    last: list[str] = []
    right = ContextKey.settings

    def settings(self: ContextKey, tenant_id: str, backend: int) -> str:
        last.append(tenant_id)
        return right(self, last[-2] if len(last) > 1 else tenant_id, backend)

    with patch.object(ContextKey, "settings", settings):
        yield


@contextmanager
def _kept_savepoints() -> Iterator[None]:
    """A savepoint whose block raises is kept, unless the server itself undoes it."""

    @asynccontextmanager
    async def savepoint(self: scoped_sql.Sql) -> AsyncIterator[None]:
        connection = self._open()
        await connection.execute("SAVEPOINT kept")
        try:
            yield
        except asyncpg.PostgresError:
            await connection.execute("ROLLBACK TO SAVEPOINT kept")
            self._aborted = False
            raise
        finally:
            await connection.execute("RELEASE SAVEPOINT kept")

    with patch.object(scoped_sql.Sql, "savepoint", savepoint):
        yield


POOLS: Breaks = {
    "what is set outlives the transaction": _outliving,
    "statements are not read": _unchecked,
    "a transaction has the tenant of another": _shared_context,
    "a savepoint is kept when its block fails": _kept_savepoints,
}

TRANSPORT: Breaks = {
    "every certificate is taken": lambda: patch.object(handshake, "shake", _taken),
    "servers take plaintext": lambda: patch.object(transport, "_without", _taken_plain),
}
"""For connections that have TLS."""


async def _taken(*_: Any, **__: Any) -> None:
    """A handshake that asks for nothing."""


async def _taken_plain(attempt: Any, _: float) -> str:
    attempt.close()
    return "the server took it"


def values() -> Breaks:
    """Breaks of what is bound into a sealed value, and of how it is opened."""
    return {
        "values are bound to nothing": lambda: patch.object(Spot, "associated", lambda *_: b""),
        "values are not bound to their row": lambda: _bound_without(row=""),
        "values are not bound to their name": lambda: _bound_without(name=""),
        "values are not bound to their field": lambda: _bound_without(field=FIELDS[0]),
        "what does not open is taken as it is": _unauthenticated,
    }


def stored(px: Platform, tenant_id: str) -> Breaks:
    """Each field that is declared sealed, stored plain.

    Args:
        tenant_id: whose fields are looked at.
    """
    found: dict[str, Callable[[], Any]] = {
        f"{field.path} is stored plain": partial(_plain, field) for field in FIELDS if field != CONNECTION
    }
    return {**found, f"{CONNECTION.path} is stored plain": lambda: _plain_connection(px, tenant_id)}


@contextmanager
def undestroyed(px: Platform) -> Iterator[None]:
    """Keys that are said to be destroyed are there."""

    async def nothing(_: str) -> None:
        """As if it had."""

    with patch.object(px.keys, "destroy", nothing):
        yield


@contextmanager
def _bound_without(**changes: Any) -> Iterator[None]:
    right = Spot.associated

    def associated(self: Spot, head: str) -> bytes:
        parts = {"tenant_id": self.tenant_id, "field": self.field, "row": self.row, "name": self.name, **changes}
        return right(Spot(**parts), head)

    with patch.object(Spot, "associated", associated):
        yield


@contextmanager
def _unauthenticated() -> Iterator[None]:
    right = Keyset.open_parsed

    def open_parsed(self: Keyset, spot: Spot, sealed: Any) -> Any:
        try:
            return right(self, spot, sealed)
        except Denied:
            return sealed

    with patch.object(Keyset, "open_parsed", open_parsed):
        yield


@contextmanager
def _plain(field: Field) -> Iterator[None]:
    right = Writer.seal

    def seal(self: Writer, row: object, name: str, value: Any) -> Any:
        return value if self.field == field else right(self, row, name, value)

    with patch.object(Writer, "seal", seal):
        yield


@asynccontextmanager
async def _plain_connection(px: Platform, tenant_id: str) -> AsyncIterator[None]:
    tenants = await px._registry.collection("tenants")
    entry = await px._registry.entry(tenant_id)
    path, sealed = "database_config.connection_string", str.__str__(entry.connection_string)
    opened = await Sealer(px._keysets, tenant_id, CONNECTION).open(tenant_id, "connection_string", sealed)
    await tenants.update_one({"tenant_id": tenant_id}, {"$set": {path: opened}})
    try:
        yield
    finally:
        await tenants.update_one({"tenant_id": tenant_id}, {"$set": {path: sealed}})
