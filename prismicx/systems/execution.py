"""Performing a phase on a connection of the service that changes schemas, one message where that can be.

What cannot run in a transaction, such as CREATE INDEX CONCURRENTLY, runs as a statement of its own, as the schema's
owner, and its ledger row follows. Cut off between the two it is found again: such a phase can be repeated.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import asyncpg

from prismicx.clock import utc_now
from prismicx.engines.lost import LOST, lost
from prismicx.engines.postgres import Connection, Pool, PooledConnection, Postgres
from prismicx.systems.guard import REFUSED, refusal_of
from prismicx.systems.patience import PASSING
from prismicx.systems.phases import with_schema
from prismicx.systems.records import DATABASE
from prismicx.systems.repeatable import still_to_do
from prismicx.systems.step import (
    LAST,
    ON_DISK,
    Limits,
    Phase,
    Place,
    lacks_runner,
    ledger,
    literal,
    making,
    message,
    settings,
)

RECYCLED_AFTER = 400
"""Steps after which a connection is replaced: a backend keeps some 110 KB for each schema it touched, for good."""

MOVED = ("PX001", "PX002")
"""What the ledger says of a tenant that is not where a phase begins."""

_TOLD = (*PASSING, asyncpg.QueryCanceledError)
"""Errors after which a script is not run once more to learn in which of its statements: another try will have it, or
somebody did not want it to go on."""

# What a script prepared outlives its transaction, whatever error ended that: it may have the name of one of ours.
_NOTHING_PREPARED = "SELECT 1 / (count(*) = 0)::int FROM pg_catalog.pg_prepared_statements WHERE from_sql"


class Link:
    """A connection that is opened when it is needed, and replaced when it was lost or has touched many schemas."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres
        self._connection: Connection | None = None
        self._sent = 0

    async def context(self, tenant_id: str) -> str:
        """What makes a transaction on this connection the tenant's; `Unavailable` as `send`."""
        return self._postgres.context(await self._opened(), tenant_id)

    async def send(self, text: str, steps: int = 1) -> None:
        """Send a message; after an error the session is as it was.

        Args:
            steps: how many there are in it.

        Raises:
            asyncpg.PostgresError: what the server said.
            Unavailable: ``postgres.lost``.
        """
        connection = await self._opened()
        self._sent += steps
        try:
            await connection.execute(text)
        except LOST as error:
            self._drop()
            raise lost(error) from error
        except PASSING:
            await self._reset()
            raise
        except asyncpg.PostgresError as error:
            if error.sqlstate in MOVED or error.sqlstate in REFUSED:
                await self._reset()
            else:
                self._drop()  # what a script prepared in the session outlives its transaction
            raise
        except BaseException:
            self._drop()
            raise

    async def ask(self, text: str, *arguments: object) -> Any:
        """The first value of the first row of an answer; errors as `send`."""
        connection = await self._opened()
        try:
            return await connection.fetchval(text, *arguments)
        except LOST as error:
            self._drop()
            raise lost(error) from error

    async def end(self, text: str) -> None:
        """A last word, if the connection is still there; where it cannot be said, the connection is dropped."""
        if self._connection is not None:
            try:
                await self._connection.execute(text)
            except (asyncpg.PostgresError, *LOST):
                self._drop()

    async def recycle(self) -> None:
        """Replace the connection by a new one when it has touched many schemas; between two tenants."""
        if self._sent >= RECYCLED_AFTER:
            await self.close()

    async def close(self) -> None:
        """Close the connection, if there is one."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()

    async def _opened(self) -> Connection:
        if self._connection is None:
            self._connection = await self._postgres.connection("fleet", DATABASE)
            self._sent = 0
        return self._connection

    async def _reset(self) -> None:
        connection: Any = self._connection
        try:
            await connection.execute(f"ROLLBACK; RESET ALL; {_NOTHING_PREPARED}")
        except (asyncpg.PostgresError, *LOST):
            self._drop()

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.terminate()


async def perform(link: Link, place: Place, phase: Phase, limits: Limits, *, apart: bool = False) -> None:
    """Perform a phase, or nothing.

    Args:
        apart: statement by statement from the first try on, see `prismicx.systems.step.run`.

    Raises:
        asyncpg.PostgresError: what the server said; ``55P03`` when somebody else changes the schema, ``PX001`` when the
            tenant is not where the phase begins, ``PX002`` when it is between two versions.
        Conflict: ``system.type_taken`` or ``system.dependency`` when other systems of the tenant are in the way.
        Unavailable: ``postgres.lost``.
    """
    try:
        await _perform(link, place, phase, limits, apart)
    except asyncpg.PostgresError as error:
        refusal = refusal_of(error)
        if refusal is not None:
            raise refusal from error
        raise


async def _perform(link: Link, place: Place, phase: Phase, limits: Limits, apart: bool) -> None:
    if not phase.concurrent:
        await _together_or_apart(link, place, phase, limits, apart)
        return
    key = f"hashtextextended({literal(place.schema)}, 0)"
    taken = f"{await link.context(place.tenant_id)}; {settings(limits)} {ledger(place, phase, utc_now())}"
    if not await link.ask(f"SELECT pg_try_advisory_lock({key})"):
        raise asyncpg.LockNotAvailableError(f"{place.schema} is being changed by another command")
    try:
        # Is it this phase's turn? The ledger says so, and is not written yet.
        await link.send(f"BEGIN; {taken} ROLLBACK")
        await _alone(link, place, phase, limits)
        await link.send(f"RESET ROLE; BEGIN; {taken} COMMIT; {LAST}")
    finally:
        await link.end(f"RESET ROLE; RESET ALL; SELECT pg_advisory_unlock({key})")


async def _together_or_apart(link: Link, place: Place, phase: Phase, limits: Limits, apart: bool) -> None:
    async def send(begin: str, apart: bool) -> None:
        context = await link.context(place.tenant_id)
        await link.send(begin + message(context, place, phase, limits, utc_now(), apart=apart))

    try:
        await send("", apart)
    except asyncpg.PostgresError as error:
        if lacks_runner(error):
            # An older release made the tenant, or a script dropped whatever its role owned.
            await send(making(place.owner), True)
        elif apart or isinstance(error, _TOLD) or error.sqlstate in MOVED or error.sqlstate in REFUSED:
            raise
        else:
            await send("", True)  # it was undone; now it tells which of its statements fails


@asynccontextmanager
async def stepping(pool: Pool) -> AsyncIterator[PooledConnection]:
    """A transaction for steps on a connection of a pool, which is closed after an error of theirs."""
    async with pool.acquire() as connection:
        try:
            async with connection.transaction():
                yield connection
        except asyncpg.PostgresError:
            connection.terminate()  # what a script prepared in the session outlives its transaction
            raise


def is_small(phase: Phase) -> bool:
    """Whether a phase makes or changes a schema in one message, so that `perform_together` takes it."""
    return not phase.concurrent and phase.target is not None


async def perform_together(link: Link, phases: Sequence[tuple[Place, Phase]], limits: Limits) -> None:
    """Perform small phases of several tenants in one message, each in a transaction of its own.

    After an error those before it are done and those after it are not; the ledger tells which. Errors as `perform`,
    but ``PX003`` or ``PX004`` where other systems of the tenant are in the way.
    """
    messages = [
        message(
            await link.context(place.tenant_id), place, phase, limits, utc_now(), followed=number < len(phases)
        )
        for number, (place, phase) in enumerate(phases, 1)
    ]  # fmt: skip
    try:
        await link.send("; ".join(messages), len(messages))
    except asyncpg.PostgresError:
        await link.send(ON_DISK)  # those before the one that failed did not wait for that
        raise


async def _alone(link: Link, place: Place, phase: Phase, limits: Limits) -> None:
    await link.send(
        f"SET lock_timeout = {limits.lock}; SET statement_timeout = {limits.statement}; "
        f'SET ROLE "{place.owner}"; SET search_path = "{place.schema}"'
    )
    statement = with_schema(phase.script, place.schema)
    for text in await still_to_do(link.ask, place.schema, statement):
        await link.send(text)
