"""Transactions of one tenant in PostgreSQL.

The context is set in the message that begins the transaction and ends with it, so nothing of a tenant stays on a
pooled connection, also behind a pooler that hands out server connections by transaction.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any, NamedTuple, NoReturn, TypeVar

import asyncpg

from prismicx.engines.lost import DRIVER_ERRORS, is_lost, lost
from prismicx.engines.postgres import PooledConnection, Postgres
from prismicx.engines.refusals import Refused
from prismicx.engines.statement_rules import check, elsewhere, is_of_tenant
from prismicx.errors import BoundaryViolation, Conflict

Record = asyncpg.Record

T = TypeVar("T")

_ANOTHER_ROLE = "prismicx: it is another role"
"""No boolean, and so the error that ends a transaction whose role was changed: it says this."""

_QUALIFIED = re.compile(r'["\s](\w+)"?\.(\w*)')
"""A name with a schema in an error of PostgreSQL."""
_SCHEMA = re.compile(r'schema "?(\w+)')
_BY_NUMBER = re.compile(r"(cannot|could not) open relation|permission denied for sequence")
"""What is said of sequences that are named by a number, which may be of anything: with the name of what has it."""


class Becoming(NamedTuple):
    """What makes a transaction the work of a tenant's own role in one of its schemas.

    Attributes:
        schema: the schema.
        begin: is sent after what begins the transaction.
        end: is sent before what ends it; fails where the role is another one by then, and so nothing is kept.
    """

    schema: str
    begin: str
    end: str


def in_tenant_schema(role: str, schema: str) -> Becoming:
    """See `Becoming`; names from `names.Names`."""
    return Becoming(
        schema,
        # Without jit, because the driver would switch it off by set_config, which a tenant's role may not call.
        f'; SET LOCAL search_path = "{schema}"; SET LOCAL jit = off; SET LOCAL ROLE "{role}"',
        f"SELECT (CASE WHEN current_user OPERATOR(pg_catalog.=) '{role}' THEN 'true' ELSE '{_ANOTHER_ROLE}' END)"
        "::pg_catalog.bool; ",
    )


class Sql:
    """A transaction and its statements: committed when its ``async with`` block ends, rolled back when that raises.

    Each call takes one statement, with ``$1`` where values go.

    Args:
        service: whose login and rights the statements have.
        database: of the reference.
        tenant_id: whose transaction it is.
        becoming: see `in_tenant_schema`; None for the shared tables.
        view: the tenant's own in this database; others' are not there for it.
        refused: told of every BoundaryViolation before it is raised.
        label: for a tenant's schema, what to put before each statement: a comment that names what is installed.
            PostgreSQL and the driver keep plans by the text of a statement, and the same text means another thing in
            another schema, or after an upgrade. It also tells an operator whose statement is running.

    Raises, from every call:
        InvalidInput: ``sql.invalid`` for what is not one statement.
        BoundaryViolation: ``boundary.statement`` for one that could change what the boundary hangs on, see
            `prismicx.engines.statement_rules`; ``boundary.refused`` when PostgreSQL refuses it; at the end of the
            block ``boundary.role`` when the transaction is not the tenant's role's any more: nothing of it was kept.
        Conflict: ``sql.ended`` outside the block; ``sql.changed`` when a table was changed meanwhile: run it again;
            ``sql.contended`` when another transaction was in the way;
            at the end of the block ``sql.aborted`` when a statement failed, its error was caught inside, and the
            block went on: nothing of the transaction was kept.
        Unavailable: ``postgres.lost``.
    """

    # Not a generator with @asynccontextmanager, and one object: what this does in Python is a tenth of a point read.
    __slots__ = (
        "_aborted",
        "_becoming",
        "_connection",
        "_database",
        "_find_label",
        "_label",
        "_pool",
        "_postgres",
        "_refused",
        "_savepoints",
        "_schema",
        "_service",
        "_tenant_id",
        "_view",
    )

    def __init__(
        self,
        postgres: Postgres,
        service: str,
        database: str,
        tenant_id: str,
        becoming: Becoming | None = None,
        *,
        view: str = "",
        label: Callable[[], Awaitable[str]] | None = None,
        refused: Refused | None = None,
    ) -> None:
        self._postgres = postgres
        self._service = service
        self._database = database
        self._tenant_id = tenant_id
        self._becoming = becoming
        self._find_label = label
        self._refused = refused
        self._view = view
        self._schema = "" if becoming is None else becoming.schema
        self._connection: PooledConnection | None = None
        self._label = ""
        self._aborted = False
        self._savepoints = 0

    async def __aenter__(self) -> Sql:
        if self._find_label is not None:
            self._label = await self._find_label()
        postgres, service, database = self._postgres, self._service, self._database
        self._pool = pool = postgres.opened(service, database) or await postgres.pool(service, database)
        connection = await pool.acquire()
        try:
            await postgres.begin(connection, service, self._tenant_id, self._becoming.begin if self._becoming else "")
        except DRIVER_ERRORS as error:
            await pool.release(connection)
            fail(error)
        except BaseException:
            await pool.release(connection)
            raise
        self._connection = connection
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        connection, self._connection = self._open(), None
        try:
            # After an error nothing is sent: the pool rolls back and resets when the connection returns.
            if kind is None:
                if self._aborted:
                    raise Conflict(
                        "sql.aborted",
                        "a statement of this transaction failed, so nothing of it was kept",
                        "let the error out of the block, or put the statement in `async with sql.savepoint()`",
                    )
                # The rules let nothing through that outlives the transaction. A system brings functions of its own.
                ending = "COMMIT"
                if self._becoming is not None:
                    ending = f"{self._becoming.end}COMMIT; {connection.get_reset_query()}"
                try:
                    await connection.execute(ending)
                except DRIVER_ERRORS as error:
                    self._fail(error)
                connection.note_reset()  # type: ignore[attr-defined]  # a method of ScopedConnection
        finally:
            await self._pool.release(connection)

    async def fetch(self, statement: str, *values: Any) -> list[Record]:
        """All rows."""
        connection = self._checked(statement)
        return await self._run(connection.fetch(self._label + statement, *values))

    async def fetchrow(self, statement: str, *values: Any) -> Record | None:
        """The first row, or None."""
        connection = self._checked(statement)
        return await self._run(connection.fetchrow(self._label + statement, *values))

    async def fetchval(self, statement: str, *values: Any) -> Any:
        """The first value of the first row, or None."""
        connection = self._checked(statement)
        return await self._run(connection.fetchval(self._label + statement, *values))

    async def execute(self, statement: str, *values: Any) -> int:
        """The number of rows the statement touched; 0 for those that touch none."""
        connection = self._checked(statement)
        if values:
            status = await self._run(connection.execute(self._label + statement, *values))
        else:
            # Without values the driver would send a text that the server may take for several statements.
            prepared = await self._run(connection.prepare(self._label + statement))
            await self._run(prepared.fetch())
            status = prepared.get_statusmsg() or ""
        last = status.rpartition(" ")[2]
        return int(last) if last.isdigit() else 0

    async def executemany(self, statement: str, rows: Iterable[Sequence[Any]]) -> None:
        """The same statement for many rows of values."""
        connection = self._checked(statement)
        await self._run(connection.executemany(self._label + statement, rows))

    @asynccontextmanager
    async def savepoint(self) -> AsyncIterator[None]:
        """A part that may fail without the rest: undone when the block raises, and the error goes on."""
        self._savepoints += 1
        name = f"prismicx_{self._savepoints}"
        connection = self._open()
        await self._run(connection.execute(f"SAVEPOINT {name}"))
        try:
            yield
        except BaseException:
            try:
                await connection.execute(f"ROLLBACK TO SAVEPOINT {name}")
            except DRIVER_ERRORS:
                self._aborted = True  # the connection is gone, and what is raised below says why
            else:
                self._aborted = False
            raise
        await self._run(connection.execute(f"RELEASE SAVEPOINT {name}"))

    def _open(self) -> PooledConnection:
        if self._connection is None:
            raise Conflict("sql.ended", "this transaction has ended", "use it inside its `async with` block only")
        return self._connection

    def _checked(self, statement: str) -> PooledConnection:
        try:
            check(statement, schema=self._schema, view=self._view)
        except BoundaryViolation as violation:
            self._tell(violation)
            raise
        return self._connection or self._open()

    async def _run(self, sending: Awaitable[T]) -> T:
        """Await the driver. Whatever cuts it off, a time-out of the caller's included, has aborted the transaction."""
        try:
            return await sending
        except DRIVER_ERRORS as error:
            self._aborted = True
            self._fail(error)
        except BaseException:
            self._aborted = True
            raise

    def _fail(self, error: Exception) -> NoReturn:
        try:
            if _names_another_place(error, self._schema):
                raise elsewhere() from None
            fail(error)
        except BoundaryViolation as violation:
            self._tell(violation)
            raise

    def _tell(self, violation: BoundaryViolation) -> None:
        if self._refused is not None:
            self._refused(violation)


def _names_another_place(error: Exception, schema: str) -> bool:
    """Whether an error is about something outside of the schema: names may come as values, to nextval and its like.

    Args:
        schema: empty on shared tables, where what is outside are the schemas and the views of tenants.
    """
    if not isinstance(error, asyncpg.PostgresError):
        return False
    text = error.args[0]  # without the hint
    if _BY_NUMBER.match(text):
        return True
    if isinstance(error, (asyncpg.InsufficientPrivilegeError, asyncpg.InvalidSchemaNameError)):
        named = _SCHEMA.search(text)
    elif isinstance(error, (asyncpg.UndefinedTableError, asyncpg.UndefinedObjectError, asyncpg.UndefinedFunctionError)):
        named = _QUALIFIED.search(text)
    else:
        return False
    return named is not None and (named[1] != schema if schema else is_of_tenant(*named.groups()))


def fail(error: Exception) -> NoReturn:
    """Raise our own error where it is about the boundary or the connection, else the driver's as it is."""
    if isinstance(error, asyncpg.InsufficientPrivilegeError):
        columns = ", and name the columns you read: password_hash is for the library alone"
        raise BoundaryViolation(
            "boundary.refused",
            f"PostgreSQL refused it to this tenant: {error}",
            f"reach a tenant's data through that tenant's own scope{columns if 'table users' in str(error) else ''}",
        ) from error
    if isinstance(error, asyncpg.InvalidTextRepresentationError) and _ANOTHER_ROLE in str(error):
        raise BoundaryViolation(
            "boundary.role",
            "the transaction was not the tenant's own role's when it ended, so nothing of it was kept",
            "a function of the system changed the role: withdraw that version, and see what it read",
        ) from error
    if is_lost(error):
        raise lost(error) from error
    if isinstance(error, (asyncpg.DeadlockDetectedError, asyncpg.SerializationError)):
        raise Conflict(
            "sql.contended", f"another transaction was in the way: {error}", "run this one again, from its beginning"
        ) from error
    if isinstance(error, asyncpg.InvalidCachedStatementError):
        raise Conflict(
            "sql.changed", "the tables were changed while this connection held a plan of the statement", "run it again"
        ) from error
    raise error
