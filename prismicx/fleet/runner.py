"""The work of a rollout: tenants in waves, some at once, each step of each tenant in a transaction with its ledger row.

A worker sends the steps of several tenants in one message while they are quick: the server has the next one when it is
done with one, and one that fails is found by doing them again one by one.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

import asyncpg

from prismicx.engines.postgres import Postgres
from prismicx.errors import PrismicXError, Unavailable
from prismicx.fleet.values import Options
from prismicx.systems.execution import MOVED, Link, is_small, perform, perform_together
from prismicx.systems.failure import failure_of
from prismicx.systems.patience import patiently
from prismicx.systems.step import Limits, Phase, Place

_TOGETHER, _QUICK = 16, 0.05
"""At most so many tenants are in one message, and only where the last one took less than so many seconds."""

Where = tuple[str | None, int]
"""The version a tenant has, None where it has none, and how many phases of the next step are done."""

Way = Callable[[str | None], Sequence[Phase]]
"""The phases that lead from a version (None: nothing) to where the rollout goes."""


@dataclass(slots=True)
class Progress:
    """How far a rollout is."""

    tenants: int
    done: int = 0
    failed: int = 0
    wave: int = 0
    waves: int = 0


@dataclass(slots=True)
class Runner:
    """Brings tenants where a rollout leads.

    Attributes:
        postgres: where the schemas are.
        place: where the system of a tenant is.
        way: the phases from a version.
        now: where a tenant is now, for one that was found elsewhere.
        done: told of every tenant that is where it was to be.
        failed: writes down that a tenant failed: its id, a code, and what happened.
        progress: told after every tenant.
        stop: set it to stop between two tenants.
        failures: how many tenants failed since it began; those of an earlier run are not counted again.
        trouble: why it stopped by itself, when an engine could not be used; nobody's failure.
    """

    postgres: Postgres
    place: Callable[[str], Place]
    way: Way
    now: Callable[[str], Awaitable[Where]]
    done: Callable[[str], None]
    failed: Callable[[str, str, str], Awaitable[None]]
    options: Options
    told: Progress
    progress: Callable[[Progress], None]
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    trouble: str = ""
    failures: int = 0

    async def wave(self, tenants: Sequence[tuple[str, Where]], allowed: int) -> int:
        """Bring the tenants of a wave there, each from where it is; how many failed.

        Stops between two messages when `stop` is set, or when more than the allowed failures were counted in all.
        """
        waiting, before = deque(tenants), self.failures
        workers = [self._work(waiting, allowed) for _ in range(min(self.options.concurrency, len(tenants)))]
        async with asyncio.TaskGroup() as group:
            for worker in workers:
                group.create_task(worker)
        return self.failures - before

    async def _work(self, waiting: deque[tuple[str, Where]], allowed: int) -> None:
        link, size = Link(self.postgres), 1
        try:
            while waiting and not self._stopped(allowed):
                await link.recycle()
                begun = time.monotonic()
                await self._some(link, self._taken(waiting, size), allowed)
                quick = time.monotonic() - begun < _QUICK
                size = min(size * 2, _TOGETHER) if quick else 1
        finally:
            await link.close()

    def _stopped(self, allowed: int) -> bool:
        return self.stop.is_set() or self.failures > allowed

    def _taken(self, waiting: deque[tuple[str, Where]], size: int) -> list[tuple[str, Where]]:
        """The next tenant, and as many after it as go into a message with it."""
        taken = [waiting.popleft()]
        while waiting and len(taken) < size and self._is_small(taken[0][1]) and self._is_small(waiting[0][1]):
            taken.append(waiting.popleft())
        return taken

    def _is_small(self, here: Where) -> bool:
        try:
            phases = self._phases(here)
        except PrismicXError:
            return False  # it is told when it is that tenant's turn
        return len(phases) == 1 and is_small(phases[0])

    async def _some(self, link: Link, tenants: Sequence[tuple[str, Where]], allowed: int) -> None:
        if len(tenants) > 1:
            steps = [(self.place(tenant_id), self._phases(here)[0]) for tenant_id, here in tenants]
            try:
                await perform_together(link, steps, self._limits)
            except asyncpg.PostgresError:
                pass  # one by one it shows which of them, and those that are done say so
            except Unavailable as error:
                self._give_up(error)
                return
            else:
                self.told.done += len(tenants)
                self.progress(self.told)
                return
        for tenant_id, here in tenants:
            if self._stopped(allowed):
                return
            await self._one(link, tenant_id, here)
            self.progress(self.told)

    async def _one(self, link: Link, tenant_id: str, here: Where) -> None:
        try:
            await self._bring(link, tenant_id, here)
            self.told.done += 1
            self.done(tenant_id)
        except asyncpg.PostgresError as error:
            await self._note(tenant_id, error.sqlstate or "XX000", failure_of(error))
        except Unavailable as error:
            self._give_up(error)
        except PrismicXError as error:
            await self._note(tenant_id, error.code, error.message)

    def _give_up(self, error: Unavailable) -> None:
        self.trouble = error.message
        self.stop.set()

    async def _note(self, tenant_id: str, code: str, text: str) -> None:
        self.failures += 1
        self.told.failed += 1
        await self.failed(tenant_id, code, text)

    async def _bring(self, link: Link, tenant_id: str, here: Where) -> None:
        place = self.place(tenant_id)
        try:
            await self._walk(link, place, here)
        except asyncpg.PostgresError as error:
            if error.sqlstate not in MOVED:
                raise
            # Another rollout, or this one before its answer was lost, took the step. From where it is now, once.
            found = await self.now(tenant_id)
            if found == here:
                raise
            await self._walk(link, place, found)

    async def _walk(self, link: Link, place: Place, here: Where) -> None:
        for phase in self._phases(here):
            await self._phase(link, place, phase)

    def _phases(self, here: Where) -> Sequence[Phase]:
        version, done = here
        return self.way(version)[done:]

    async def _phase(self, link: Link, place: Place, phase: Phase) -> None:
        async def once() -> None:
            await perform(link, place, phase, self._limits)

        await patiently(once, self.options.patience)

    @property
    def _limits(self) -> Limits:
        return Limits(self.options.lock_milliseconds, self.options.statement_milliseconds)
