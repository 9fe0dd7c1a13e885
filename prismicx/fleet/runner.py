"""The work of a rollout: tenants in waves, some at once, each step of each tenant in a transaction with its ledger row.

A worker sends the steps of several tenants in one message while they are quick: the server has the next one when it is
done with one. When one fails, those before it are done and those after it have not begun. A tenant whose tables others
hold waits until everybody else had a turn, in the waves after its own, too, so that it delays another by one lock
time-out at most. Only a wave in which nobody is done waits for its own: it has shown nothing yet.
"""

from __future__ import annotations

import asyncio
import heapq
import random
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

import asyncpg

from prismicx.engines.lost import LOST, lost
from prismicx.engines.postgres import Postgres
from prismicx.errors import PrismicXError, Unavailable
from prismicx.fleet.values import Options
from prismicx.systems.execution import MOVED, Link, is_small, perform, perform_together
from prismicx.systems.failure import failure_of
from prismicx.systems.patience import FIRST, LONGEST, PASSING
from prismicx.systems.step import Limits, Phase, Place
from prismicx.systems.way import phases_left

_TOGETHER, _QUICK = 16, 0.2
"""At most so many tenants are in one message; fewer than in the last one where that took so many seconds."""

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


@dataclass(order=True, slots=True)
class _Busy:
    """A tenant whose tables others held: when it is tried again, after which pause, and until when."""

    due: float
    tenant_id: str
    here: Where = field(compare=False)
    pause: float = field(compare=False, default=FIRST)
    end: float | None = field(compare=False, default=None)


@dataclass(slots=True)
class Runner:
    """Brings tenants where a rollout leads.

    Attributes:
        postgres: where the schemas are.
        place: where the system of a tenant is.
        way: the phases from a version.
        now: where tenants are now, for those that may be elsewhere.
        done: told of every tenant that is where it was to be.
        failed: writes down that a tenant failed: its id, a code, and what happened.
        progress: told after every message, which brings one tenant or several.
        stop: set it to stop between two tenants.
        failures: how many tenants failed since it began; those of an earlier run are not counted again.
        trouble: why it stopped by itself, when an engine could not be used; nobody's failure.
        busy: who is put off until the others had their turn.
    """

    postgres: Postgres
    place: Callable[[str], Place]
    way: Way
    now: Callable[[Sequence[str]], Awaitable[Mapping[str, Where]]]
    done: Callable[[str], None]
    failed: Callable[[str, str, str], Awaitable[None]]
    options: Options
    told: Progress
    progress: Callable[[Progress], None]
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    trouble: str = ""
    failures: int = 0
    busy: list[_Busy] = field(default_factory=list)

    async def wave(self, tenants: Sequence[tuple[str, Where]], allowed: int, *, last: bool) -> int:
        """Bring the tenants of a wave there, each from where it is; how many failed meanwhile.

        Those that others are in the way of are left for the next wave, unless it is the last one or nobody is done.

        Stops between two messages when `stop` is set, or when more than the allowed failures were counted in all.
        """
        waiting, failed, done = deque(tenants), self.failures, self.told.done

        def goes_on() -> bool:
            return not self._stopped(allowed) and bool(waiting or (self.busy and (last or self.told.done == done)))

        workers = [self._work(waiting, goes_on) for _ in range(self.options.concurrency)]
        async with asyncio.TaskGroup() as group:
            for worker in workers:
                group.create_task(worker)
        return self.failures - failed

    def reason(self, allowed: int, failed: int, tenants: int, *, last: bool) -> str:
        """Why a rollout pauses after a wave of so many tenants, of which so many failed; empty where it goes on."""
        if self.trouble:
            return self.trouble
        if self.failures > allowed:
            return f"{self.failures} tenants failed, and {allowed} may"
        if not last and failed and failed * 2 >= tenants:
            return f"{failed} of the {tenants} tenants of wave {self.told.wave} failed"
        return ""

    async def _work(self, waiting: deque[tuple[str, Where]], goes_on: Callable[[], bool]) -> None:
        link, size = Link(self.postgres), 1
        try:
            while True:
                await link.recycle()  # before the look: meanwhile another worker may take the last one
                if not goes_on():
                    break
                size = await self._turn(link, waiting, size)
                self.progress(self.told)
        finally:
            await link.close()

    async def _turn(self, link: Link, waiting: deque[tuple[str, Where]], size: int) -> int:
        """One message, or one that others were in the way of; how many tenants the next message takes."""
        try:
            if waiting:
                begun = time.monotonic()
                # The last ones are shared out evenly: a worker with many of them would be waited for by the others.
                share = len(waiting) // (2 * self.options.concurrency) + 1
                await self._some(link, waiting, self._taken(waiting, min(size, share)))
                quick = time.monotonic() - begun < _QUICK
                return min(size * 2, _TOGETHER) if quick else max(size // 2, 1)
            await self._again(link)
        except PrismicXError as error:
            self._give_up(error.message)
        except LOST as error:
            self._give_up(lost(error).message)
        except asyncpg.PostgresError as error:  # of no step: what went wrong could not be written down
            self._give_up(failure_of(error))
        return size

    def _stopped(self, allowed: int) -> bool:
        return self.stop.is_set() or self.failures > allowed

    def _taken(self, waiting: deque[tuple[str, Where]], size: int) -> list[tuple[str, Where]]:
        """The next tenant, and as many after it as go into a message with it."""
        taken = [waiting.popleft()]
        while waiting and len(taken) < size and self._is_small(taken[0][1]) and self._is_small(waiting[0][1]):
            taken.append(waiting.popleft())
        return taken

    def _is_small(self, here: Where) -> bool:
        phases = self._known_phases(here)
        return phases is not None and len(phases) == 1 and is_small(phases[0])

    async def _some(self, link: Link, waiting: deque[tuple[str, Where]], tenants: Sequence[tuple[str, Where]]) -> None:
        if len(tenants) == 1:
            await self._one(link, *tenants[0])
            return
        steps = [(self.place(tenant_id), self._phases(here)[0]) for tenant_id, here in tenants]
        try:
            await perform_together(link, steps, self._limits)
        except asyncpg.PostgresError as error:
            waiting.extendleft(reversed(await self._sort_out(link, [tenant_id for tenant_id, _ in tenants], error)))
        else:
            for tenant_id, _ in tenants:
                self._is_done(tenant_id)

    async def _sort_out(
        self, link: Link, tenants: Sequence[str], error: asyncpg.PostgresError
    ) -> list[tuple[str, Where]]:
        """After a message that failed: the ledger says who is done, the first of the others is the one that failed,
        and the rest, which is given back, has not begun."""
        now = await self.now(tenants)
        left = [(tenant_id, now[tenant_id]) for tenant_id in tenants if self._known_phases(now[tenant_id]) != []]
        for tenant_id in tenants:
            if (tenant_id, now[tenant_id]) not in left:
                self._is_done(tenant_id)
        if left and isinstance(error, PASSING):
            self._later(*left[0])
        elif left:
            await self._one(link, *left[0])  # alone, its error is its own beyond doubt
        return left[1:]

    async def _one(self, link: Link, tenant_id: str, here: Where) -> None:
        if await self._in_the_way(link, tenant_id, here) is not None:
            self._later(tenant_id, here)

    def _later(self, tenant_id: str, here: Where) -> None:
        heapq.heappush(self.busy, _Busy(time.monotonic(), tenant_id, here))

    async def _again(self, link: Link) -> None:
        """Try one again that others were in the way of, when it is time; patience begins with the first time."""
        one = heapq.heappop(self.busy)
        try:
            await asyncio.wait_for(self.stop.wait(), max(one.due - time.monotonic(), 0))
        except TimeoutError:
            pass
        else:
            return  # it stays open, as the ledger says
        if one.end is None:
            one.end = time.monotonic() + self.options.patience
        error = await self._in_the_way(link, one.tenant_id, one.here, apart=True)
        if error is None:
            return
        if time.monotonic() >= one.end:
            await self._note(one.tenant_id, error.sqlstate or "XX000", failure_of(error))
            return
        # Reason enough for a pseudo-random number: nobody gains by guessing it.
        one.due = time.monotonic() + one.pause * random.uniform(0.5, 1.5)  # noqa: S311
        one.pause = min(one.pause * 2, LONGEST)
        heapq.heappush(self.busy, one)

    async def _in_the_way(
        self, link: Link, tenant_id: str, here: Where, *, apart: bool = False
    ) -> asyncpg.PostgresError | None:
        """Bring a tenant there, or write down why not; the error where another transaction is in its way."""
        try:
            await self._bring(link, tenant_id, here, apart)
            self._is_done(tenant_id)
        except PASSING as error:
            return error
        except asyncpg.PostgresError as error:
            await self._note(tenant_id, error.sqlstate or "XX000", failure_of(error))
        except Unavailable:
            raise  # nobody's failure
        except PrismicXError as error:
            await self._note(tenant_id, error.code, error.message)
        return None

    def _is_done(self, tenant_id: str) -> None:
        self.told.done += 1
        self.done(tenant_id)

    def _give_up(self, why: str) -> None:
        self.trouble = why
        self.stop.set()

    async def _note(self, tenant_id: str, code: str, text: str) -> None:
        self.failures += 1
        self.told.failed += 1
        await self.failed(tenant_id, code, text)

    async def _bring(self, link: Link, tenant_id: str, here: Where, apart: bool) -> None:
        place = self.place(tenant_id)
        try:
            await self._walk(link, place, here, apart)
        except asyncpg.PostgresError as error:
            if error.sqlstate not in MOVED:
                raise
            # Another rollout, or this one before its answer was lost, took the step. From where it is now, once.
            found = (await self.now([tenant_id]))[tenant_id]
            if found == here:
                raise
            await self._walk(link, place, found, apart)

    async def _walk(self, link: Link, place: Place, here: Where, apart: bool) -> None:
        for phase in self._phases(here):
            await perform(link, place, phase, self._limits, apart=apart)

    def _phases(self, here: Where) -> Sequence[Phase]:
        version, done = here
        return phases_left(self.way(version), done)

    def _known_phases(self, here: Where) -> Sequence[Phase] | None:
        """The phases, or None where there is no way: it is told when it is that tenant's turn."""
        try:
            return self._phases(here)
        except PrismicXError:
            return None

    @property
    def _limits(self) -> Limits:
        return Limits(self.options.lock_milliseconds, self.options.statement_milliseconds)
