"""Transactions of one tenant in PostgreSQL.

The context is set in the message that begins the transaction and ends with it, so nothing of a tenant stays on a
pooled connection, also behind a pooler that hands out server connections by transaction.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import asyncpg

from prismicx.engines.postgres import Pool, PooledConnection
from prismicx.errors import BoundaryViolation, Conflict, PrismicXError, Unavailable

Record = asyncpg.Record


def in_shared_tables(tenant_id: str) -> str:
    """What opens a transaction on tables under row-level security. The id was checked by `names.check_tenant_id`
    when the scope was opened: it holds nothing that needs quoting."""
    return f"BEGIN; SET LOCAL app.current_tenant_id = '{tenant_id}'"


def in_tenant_schema(tenant_id: str, role: str, schema: str) -> str:
    """What opens a transaction as the tenant's own role in one of its schemas; names from `names.Names`."""
    return (
        f"BEGIN; SET LOCAL app.current_tenant_id = '{tenant_id}'; "
        f'SET LOCAL search_path = "{schema}"; SET LOCAL ROLE "{role}"'
    )


@asynccontextmanager
async def transaction(pool: Pool, opening: str) -> AsyncIterator[Sql]:
    """A transaction that is committed when the block ends and rolled back when it raises.

    Raises:
        BoundaryViolation: ``boundary.refused`` when PostgreSQL refuses what the tenant may not do.
        Conflict: ``sql.aborted`` when a statement failed, its error was caught inside, and the block went on: nothing
            of the transaction was kept.
        Unavailable: ``postgres.lost``.
    """
    async with pool.acquire() as connection:
        await _sent(connection.execute(opening))
        sql = Sql(connection)
        try:
            yield sql
        finally:
            sql._connection = None
        # A block that raised does not come here: the pool rolls back and resets when the connection returns.
        if sql._aborted:
            raise Conflict(
                "sql.aborted",
                "a statement of this transaction failed, so nothing of it was kept",
                "let the error out of the block, or put the statement in `async with sql.savepoint()`",
            )
        await _sent(connection.execute("COMMIT; " + connection.get_reset_query()))
        connection.note_reset()  # type: ignore[attr-defined]  # a method of ScopedConnection


class Sql:
    """The statements of one transaction. Each call takes one statement with ``$1`` parameters."""

    __slots__ = ("_aborted", "_connection", "_savepoints")

    def __init__(self, connection: PooledConnection) -> None:
        self._connection: PooledConnection | None = connection
        self._aborted = False
        self._savepoints = 0

    async def fetch(self, statement: str, *values: Any) -> list[Record]:
        """All rows."""
        return await self._run(self._open().fetch(statement, *values))  # type: ignore[no-any-return]

    async def fetchrow(self, statement: str, *values: Any) -> Record | None:
        """The first row, or None."""
        return await self._run(self._open().fetchrow(statement, *values))  # type: ignore[no-any-return]

    async def fetchval(self, statement: str, *values: Any) -> Any:
        """The first value of the first row, or None."""
        return await self._run(self._open().fetchval(statement, *values))

    async def execute(self, statement: str, *values: Any) -> int:
        """The number of rows the statement touched; 0 for those that touch none."""
        connection = self._open()
        if values:
            status = await self._run(connection.execute(statement, *values))
        else:
            # Without values the driver would take several statements in one string. One call is one statement,
            # so that a value pasted into it cannot bring a second one.
            prepared = await self._run(connection.prepare(statement))
            await self._run(prepared.fetch())
            status = prepared.get_statusmsg()
        last = status.rpartition(" ")[2]
        return int(last) if last.isdigit() else 0

    async def executemany(self, statement: str, rows: Iterable[Sequence[Any]]) -> None:
        """The same statement for many rows of values."""
        await self._run(self._open().executemany(statement, rows))

    @asynccontextmanager
    async def savepoint(self) -> AsyncIterator[None]:
        """A part that may fail without the rest: undone when the block raises, and the error goes on."""
        self._savepoints += 1
        name = f"prismicx_{self._savepoints}"
        connection = self._open()
        await self._run(connection.execute(f"SAVEPOINT {name}"))
        try:
            yield
        except Exception:
            await _sent(connection.execute(f"ROLLBACK TO SAVEPOINT {name}"))
            self._aborted = False
            raise
        await self._run(connection.execute(f"RELEASE SAVEPOINT {name}"))

    def _open(self) -> PooledConnection:
        if self._connection is None:
            raise Conflict("sql.ended", "this transaction has ended", "use it inside its `async with` block only")
        return self._connection

    async def _run(self, sending: Any) -> Any:
        try:
            return await _sent(sending)
        except (asyncpg.PostgresError, PrismicXError):
            self._aborted = True
            raise


async def _sent(sending: Any) -> Any:
    try:
        return await sending
    except asyncpg.InsufficientPrivilegeError as error:
        raise BoundaryViolation(
            "boundary.refused",
            f"PostgreSQL refused it to this tenant: {error}",
            "reach a tenant's data through that tenant's own scope",
        ) from error
    except (OSError, asyncpg.PostgresConnectionError, asyncpg.AdminShutdownError) as error:
        raise Unavailable("postgres.lost", f"the connection to PostgreSQL was lost: {error}", "try again") from error
