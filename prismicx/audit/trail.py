"""Writing the trail: what is asked for at the same time goes in one message, and waits for one commit."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from prismicx.audit.denials import Denials
from prismicx.audit.values import (
    Event,
    Outcome,
    allowed_details,
    check_actor,
    current,
    default_actor,
    subject_or_none,
    tenant_or_none,
)
from prismicx.engines.lost import DRIVER_ERRORS
from prismicx.engines.postgres import Postgres
from prismicx.errors import PrismicXError, Unavailable
from prismicx.statements import Statements

DATABASE = "management_system_repository"
SERVICE = "audit"

log = logging.getLogger("prismicx.audit")
queries = Statements(__package__, "queries.sql")

_BATCH = 200
_GATHERED = 0.1
"""Seconds for which events that nobody waits for wait for others: a message costs more than what is in it."""


class Trail:
    """Adds events to the trail of a platform.

    Args:
        actor: who acts unless `prismicx.audit.values.acting` names somebody; empty for the user of this process.
    """

    def __init__(self, postgres: Postgres, actor: str = "") -> None:
        self._postgres = postgres
        self._actor = check_actor(actor) if actor else default_actor()
        self._waiting: list[tuple[Event, asyncio.Future[int]]] = []
        self._writer: asyncio.Task[None] | None = None
        self._hurry = asyncio.Event()
        self._denials = Denials(self.event, self.enqueue)

    def event(
        self,
        operation: str,
        outcome: Outcome,
        *,
        tenant_id: object = None,
        subject: object = None,
        code: str | None = None,
        begun: int | None = None,
        details: Mapping[str, Any] | None = None,
    ) -> Event:
        """An event of now, with what may be written down of it: what is no id is left out."""
        return event_of_now(
            self._actor, operation, outcome, tenant_id=tenant_id, subject=subject, code=code, begun=begun,
            details=details,
        )  # fmt: skip

    async def append(self, event: Event) -> int:
        """Add an event; its place in the chain. It is on disk when this returns.

        Raises:
            Unavailable: ``audit.unavailable``, or as `prismicx.engines.postgres.Postgres.pool`.
        """
        return await asyncio.shield(self.enqueue(event))

    def enqueue(self, event: Event, *, patient: bool = False) -> asyncio.Future[int]:
        """Have an event added, without waiting for it.

        Args:
            patient: it may go with those of the next tenth of a second; of a process that is killed they are missing.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[int] = loop.create_future()
        future.add_done_callback(_heard)
        self._waiting.append((event, future))
        if not patient:
            self._hurry.set()
        if self._writer is None or self._writer.done():
            self._writer = loop.create_task(self._write())
        return future

    def denied(self, operation: str, code: str, tenant_id: str | None = None, subject: str | None = None) -> None:
        """Note a refusal: the first at once, those like it that follow counted together. Never waits, never raises."""
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            log.error("a refusal outside the event loop was not written to the audit trail: %s %s", operation, code)
            return
        self._denials.note(operation, code, tenant_id, subject)

    async def close(self) -> None:
        """Write what waits."""
        self._denials.flush()
        self._hurry.set()
        if self._writer is not None and not self._writer.done():
            await self._writer

    async def _write(self) -> None:
        while self._waiting:
            if not self._hurry.is_set():
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._hurry.wait(), _GATHERED)
            batch, self._waiting = self._waiting[:_BATCH], self._waiting[_BATCH:]
            if not self._waiting:
                self._hurry.clear()
            try:
                places = await self._send([event for event, _ in batch])
            except BaseException as error:
                told = error if isinstance(error, PrismicXError) else _unavailable(error)
                for _, future in batch:
                    if not future.done():
                        future.set_exception(told)
                if not isinstance(error, (PrismicXError, *DRIVER_ERRORS)):
                    raise
            else:
                for (_, future), place in zip(batch, places, strict=True):
                    if not future.done():
                        future.set_result(place)

    async def _send(self, events: list[Event]) -> Sequence[int]:
        pool = self._postgres.opened(SERVICE, DATABASE) or await self._postgres.pool(SERVICE, DATABASE)
        async with pool.acquire() as connection:
            places: Sequence[int] = await connection.fetchval(queries.append, _text(events))
            connection.note_reset()  # type: ignore[attr-defined]  # a method of ScopedConnection
        return places


def event_of_now(
    default: str,
    operation: str,
    outcome: Outcome,
    *,
    tenant_id: object = None,
    subject: object = None,
    code: str | None = None,
    begun: int | None = None,
    details: Mapping[str, Any] | None = None,
) -> Event:
    """An event, by who acts now, else by the default, with what may be written down of it."""
    door, actor = current(default)
    tenant = None if tenant_id is None else tenant_or_none(tenant_id)
    touched = None if subject is None else subject_or_none(operation, subject)
    allowed = allowed_details(operation, details or {})
    return Event(door, actor, operation, tenant, touched, outcome, code, begun, allowed)


def _text(events: Sequence[Event]) -> str:
    return json.dumps([event.as_json() for event in events])


def _unavailable(error: BaseException) -> Unavailable:
    made = Unavailable(
        "audit.unavailable",
        f"the audit trail cannot be written: {error or type(error).__name__}",
        "what is recorded is not done without its record: see that PostgreSQL runs and `prismicx db apply` was run",
    )
    made.__cause__ = error
    return made


def _heard(future: asyncio.Future[int]) -> None:
    """Nobody may be waiting: an event that could not be written is told in the log, too."""
    error = None if future.cancelled() else future.exception()
    if error is not None:
        log.error("an event of the audit trail was not written: %s", error)
