"""The fleet of a platform: plans, rollouts that survive being killed, and where every tenant stands.

Which tenants are done is never written down by a rollout: the ledger tells, whose row is written in the transaction of
the step. So nothing is run twice, and nothing is skipped, wherever a rollout was cut off.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import groupby
from operator import itemgetter
from typing import Any

from prismicx.audit.tracing import Trace, audited
from prismicx.checks import check_id
from prismicx.clock import utc_now
from prismicx.engines.lost import LOST, lost, told_when_lost
from prismicx.engines.postgres import Connection, Pool, Postgres
from prismicx.errors import Conflict, InvalidInput, NotFound, quoted
from prismicx.fleet.drift import Drift, find_drift, queries
from prismicx.fleet.look import Look
from prismicx.fleet.plan import Planner, unknown_tenant
from prismicx.fleet.runner import Progress, Runner, Where
from prismicx.fleet.values import (
    ACTIONS,
    INVALID,
    Action,
    Failures,
    Options,
    Plan,
    Rollout,
    Selection,
    State,
    begun,
    grouped,
)
from prismicx.fleet.ways import ways_of
from prismicx.names import Names
from prismicx.systems.installation import INSTALLED, Installations
from prismicx.systems.records import DATABASE, unknown_system, version_id
from prismicx.systems.step import place_of
from prismicx.tenants.registry import Registry

_FRESH = timedelta(seconds=5)
"""A plan that is no older has looked at the schemas just now: looking again would take as long as many a step."""

_POLL = 0.5
"""Seconds between two looks at whether somebody paused or aborted the rollout."""

Told = Callable[[Progress], None]


@dataclass(frozen=True, slots=True)
class Standing:
    """How many tenants have a version of a system in a state; ``with_error`` of them had an error last."""

    system_id: str
    version: str
    status: str
    tenants: int
    with_error: int


def _outcome(rollout: Rollout) -> dict[str, Any]:
    return {
        "system": rollout.system_id, "action": rollout.action, "version": rollout.version, "tenants": rollout.tenants,
        "status": rollout.status, "done": rollout.done, "failed": rollout.failed,
    }  # fmt: skip


class Fleet:
    """Plans and runs what is done to many tenants."""

    def __init__(
        self,
        postgres: Postgres,
        registry: Registry,
        names: Names,
        installations: Callable[[str], Installations],
        trace: Trace,
    ) -> None:
        self._trace = trace
        self._postgres = postgres
        self._registry = registry
        self._names = names
        self._installations = installations

    @told_when_lost
    async def plan(
        self,
        system_id: str,
        action: Action = "upgrade",
        *,
        selection: Selection,
        version: str | None = None,
        options: Options | None = None,
    ) -> Plan:
        """What a rollout would do.

        Args:
            version: to which tenants are brought; the latest unless given, none for ``uninstall``.

        Raises:
            InvalidInput: ``rollout.invalid``.
            NotFound: ``system.unknown``, ``system.version_unknown`` or, for one that is named, ``tenant.unknown``.
            Conflict: ``system.deprecated`` or ``system.incompatible``.
        """
        if action not in ACTIONS:
            raise InvalidInput(INVALID, f"the action is {quoted(action)}", f"use one of {', '.join(ACTIONS)}")
        if action == "uninstall" and version is not None:
            raise InvalidInput(INVALID, f"version is {quoted(version)}", "a system is removed whole, whatever version")
        pool = await self._postgres.pool("reporting", DATABASE)
        return await Planner(pool, self._registry, self._names).plan(
            system_id, action, selection, version, options or Options()
        )

    @audited("rollout.start", made=lambda rollout: rollout.rollout_id, told=_outcome)
    async def start(self, plan: Plan, *, progress: Told = lambda _: None) -> Rollout:
        """Run a plan: the tenants it names, in its waves. It returns when the rollout is finished, paused or aborted.

        Tenants that changed meanwhile take the way from the version they have then.

        Raises:
            Unavailable: PostgreSQL cannot be used before the rollout is written down, or when it ends.
        """
        key, moment = uuid.uuid4(), utc_now()
        versions = {tenant_id: group.version_from for group in plan.groups for tenant_id in group.tenants}
        tenants = [(tenant_id, number) for number, wave in enumerate(plan.waves) for tenant_id in wave]
        target = None if plan.version is None else version_id(plan.system_id, plan.version)
        async with self._working(key) as watch:  # before anybody can see it, and go on with it
            async with watch.transaction():
                await watch.execute(
                    queries.add_rollout, key, plan.system_id, plan.action, target, plan.options.to_json(), moment
                )
                await watch.execute(
                    queries.add_tenants, key, moment, [tenant_id for tenant_id, _ in tenants],
                    [number for _, number in tenants], [versions[tenant_id] for tenant_id, _ in tenants],
                )  # fmt: skip
            return await self._run(watch, begun(plan, key, moment), tenants, progress, planned=plan.made_at)

    @audited("rollout.resume", subject="rollout_id", given=("retry_failed",), told=_outcome)
    async def resume(
        self, rollout_id: uuid.UUID | str, *, retry_failed: bool = False, progress: Told = lambda _: None
    ) -> Rollout:
        """Go on with a rollout that was paused, or whose process is no more.

        Args:
            retry_failed: try those again that failed; else they stay as they are.

        Raises:
            InvalidInput: ``rollout.id_invalid``.
            NotFound: ``rollout.unknown``.
            Conflict: ``rollout.ended`` when it was aborted or has nothing to do, ``rollout.running`` when another
                process works on it.
        """
        rollout = await self.get(rollout_id)
        open_ones = rollout.tenants - rollout.done
        if rollout.status == "aborted" or not (open_ones if retry_failed else open_ones - rollout.failed):
            if rollout.status in ("running", "paused", "interrupted"):
                await self._set_status(rollout.rollout_id, "finished", None, ("running", "paused"))
                return await self.get(rollout.rollout_id)
            raise Conflict("rollout.ended", f"the rollout {rollout.rollout_id} is {rollout.status}", "plan another one")
        async with self._working(rollout.rollout_id) as watch:
            if retry_failed:
                await watch.execute(queries.forget_failures, rollout.rollout_id, utc_now())
            await self._set_status(rollout.rollout_id, "running", None, ("paused", "running", "finished"))
            pool = await self._postgres.pool("reporting", DATABASE)
            rows = await pool.fetch(_of_rollout(queries.open_tenants), rollout.rollout_id)
            waiting = [(row["tenant_id"], row["wave"]) for row in rows]
            return await self._run(watch, await self.get(rollout.rollout_id), waiting, progress)

    @audited("rollout.pause", subject="rollout_id")
    async def pause(self, rollout_id: uuid.UUID | str) -> Rollout:
        """Let a rollout stop after the tenants it is at, also one that runs in another process; errors as `get`.

        Raises:
            Conflict: ``rollout.ended``.
        """
        return await self._stop(rollout_id, "paused")

    @audited("rollout.abort", subject="rollout_id")
    async def abort(self, rollout_id: uuid.UUID | str) -> Rollout:
        """Let a rollout stop for good. Tenants that are done stay where they are; errors as `pause`."""
        return await self._stop(rollout_id, "aborted")

    async def get(self, rollout_id: uuid.UUID | str) -> Rollout:
        """A rollout, and how far it is.

        Raises:
            InvalidInput: ``rollout.id_invalid``.
            NotFound: ``rollout.unknown``.
        """
        key = check_id("rollout.id_invalid", "the rollout's id", rollout_id)
        pool = await self._postgres.pool("reporting", DATABASE)
        row = await pool.fetchrow(queries.rollout, key)
        if row is None:
            raise NotFound(
                "rollout.unknown", f"there is no rollout {key}", "prismicx system rollouts shows those there are"
            )
        counts: Any = await pool.fetchrow(_of_rollout(queries.counts), key)
        # Tenants go on after a rollout that is finished: what it did stays done.
        done = counts["tenants"] - counts["failed"] if row["status"] == "finished" else counts["done"]
        status: State = "interrupted" if row["status"] == "running" and not row["is_worked_on"] else row["status"]
        return Rollout(
            key, row["system_id"], row["action"], row["version"], status, row["reason"], counts["tenants"],
            done, counts["failed"], row["created_at"].replace(tzinfo=UTC),
            row["updated_at"].replace(tzinfo=UTC), row["finished_at"] and row["finished_at"].replace(tzinfo=UTC),
            Options.from_json(row["options"]),
        )  # fmt: skip

    async def list(self, system_id: str | None = None, *, limit: int = 20) -> list[Rollout]:
        """The latest rollouts, the newest first.

        Raises:
            NotFound: ``system.unknown``.
        """
        pool = await self._known(system_id)
        return [await self.get(row["rollout_id"]) for row in await pool.fetch(queries.rollouts, system_id, limit)]

    async def failures(self, rollout_id: uuid.UUID | str) -> Sequence[Failures]:
        """Who failed in a rollout, grouped by cause; errors as `get`."""
        rollout = await self.get(rollout_id)
        pool = await self._postgres.pool("reporting", DATABASE)
        rows = await pool.fetch(_of_rollout(queries.failures), rollout.rollout_id)
        return grouped([(row["error_code"], row["error_message"], row["tenant_id"]) for row in rows])

    async def status(self, system_id: str | None = None) -> Sequence[Standing]:
        """How many tenants have which version in which state.

        Raises:
            NotFound: ``system.unknown``.
        """
        pool = await self._known(system_id)
        rows = await pool.fetch(queries.overview, system_id)
        names = ("system_id", "version", "status", "tenants", "with_error")
        return [Standing(*(row[name] for name in names)) for row in rows]

    async def errors(self, system_id: str | None = None) -> Mapping[str, Sequence[Failures]]:
        """What the ledger knows to have gone wrong, by system and cause; tenants between two versions included."""
        pool = await self._postgres.pool("reporting", DATABASE)
        found: dict[str, list[tuple[str, str, str]]] = {}
        for row in await pool.fetch(queries.errors, system_id):
            code, _, message = row["error_message"].partition(": ")
            found.setdefault(row["system_id"], []).append((code, message, row["tenant_id"]))
        for row in await pool.fetch(queries.unfinished_steps, system_id):
            words = f"between {row['version_from'] or 'nothing'} and {row['version_to']}"
            found.setdefault(row["system_id"], []).append(("system.unfinished", words, row["tenant_id"]))
        return {name: grouped(items) for name, items in found.items()}

    @told_when_lost
    async def drift(self, system_id: str | None = None, *, tenants: Sequence[str] | None = None) -> Drift:
        """Which tenants' schemas are not what their versions make, and what would mend them.

        Args:
            tenants: only these; all unless given.

        Raises:
            NotFound: ``system.unknown`` or ``tenant.unknown``.
        """
        pool = await self._known(system_id)
        if tenants is not None:
            for tenant_id in set(tenants) - (await self._registry.standings(tenants)).keys():
                raise unknown_tenant(tenant_id)
        return await find_drift(pool, self._names, system_id, tenants)

    async def _known(self, system_id: str | None) -> Pool:
        """The pool that reads over all tenants, if the system that is named is there."""
        pool = await self._postgres.pool("reporting", DATABASE)
        if system_id is not None and await pool.fetchrow(queries.system, system_id) is None:
            raise unknown_system(system_id)
        return pool

    async def _stop(self, rollout_id: uuid.UUID | str, status: State) -> Rollout:
        rollout = await self.get(rollout_id)
        sources: tuple[State, ...] = ("running",) if status == "paused" else ("running", "paused")
        if not await self._set_status(rollout.rollout_id, status, "asked for", sources):
            raise Conflict(
                "rollout.ended", f"the rollout {rollout.rollout_id} is {rollout.status}", "it cannot be stopped"
            )
        return await self.get(rollout.rollout_id)

    async def _set_status(self, key: uuid.UUID, status: State, reason: str | None, sources: Sequence[State]) -> bool:
        pool = await self._postgres.pool("fleet", DATABASE)
        done = await pool.fetchval(queries.set_status, key, status, reason, utc_now(), [*sources])
        return done is not None

    async def _run(
        self, watch: Connection, rollout: Rollout, waiting: Sequence[tuple[str, int]], progress: Told,
        planned: datetime | None = None,
    ) -> Rollout:  # fmt: skip
        """Bring those that wait where the rollout leads: each with the number of its wave, in the order of these."""
        reading = await self._postgres.pool("reporting", DATABASE)
        told = Progress(rollout.tenants, rollout.done, rollout.failed)
        system: Any = await reading.fetchrow(queries.system, rollout.system_id)
        runner = await self._runner(rollout, system["type"], told, progress)
        look = Look(reading, self._registry, self._names, rollout, system["type"], runner)
        allowed = rollout.options.allowed_failures(rollout.tenants)
        waves = [(number, [name for name, _ in some]) for number, some in groupby(waiting, key=itemgetter(1))]
        told.waves = max((number for number, _ in waves), default=-1) + 1
        reason = ""
        watcher = asyncio.create_task(self._watch(watch, rollout.rollout_id))
        watcher.add_done_callback(lambda _: runner.stop.set())
        try:
            for number, group in waves:
                told.wave = number + 1
                fresh = planned is not None and utc_now().replace(tzinfo=UTC) - planned < _FRESH
                ready = await look.ready(group, schemas=not fresh)
                last = number + 1 == told.waves
                failed = await runner.wave(ready, allowed, last=last)
                reason = runner.reason(allowed, failed, len(ready), last=last)
                if reason or runner.stop.is_set():
                    break
        finally:
            watcher.cancel()
            (seen,) = await asyncio.gather(watcher, return_exceptions=True)
        if isinstance(seen, Exception):
            raise seen  # nobody could have stopped it any more, and another process may work on it by now
        status: State = "paused" if reason else "finished"
        moved = await self._set_status(rollout.rollout_id, status, reason or None, ("running",))
        ended = await self.get(rollout.rollout_id)
        if not moved and ended.status == "paused" and ended.done == ended.tenants:
            # What somebody else asked for stays, unless there is nothing left to stop.
            await self._set_status(rollout.rollout_id, status, reason or None, ("paused",))
            ended = await self.get(rollout.rollout_id)
        return ended

    @asynccontextmanager
    async def _working(self, key: uuid.UUID) -> AsyncIterator[Any]:
        """The right to work on a rollout, which ends with the connection."""
        connection = await self._postgres.connection("fleet", DATABASE)
        try:
            if not await connection.fetchval(queries.try_lock, str(key)):
                raise Conflict("rollout.running", f"another process works on the rollout {key}", "pause it first")
            yield connection
        except LOST as error:
            raise lost(error, "prismicx system resume goes on with it") from error
        finally:
            await connection.close()

    async def _watch(self, connection: Connection, key: uuid.UUID) -> None:
        """Until somebody has paused or aborted the rollout."""
        # Somebody else's word in the database: there is nothing to wait on but the clock.
        while await connection.fetchval(queries.status, key) == "running":  # noqa: ASYNC110
            await asyncio.sleep(_POLL)

    async def _runner(self, rollout: Rollout, system_type: str, told: Progress, progress: Told) -> Runner:
        pool = await self._postgres.pool("reporting", DATABASE)

        async def now(tenants: Sequence[str]) -> dict[str, Where]:
            rows = await pool.fetch(queries.holding, rollout.system_id, tenants)
            # What is removed is removed as a whole, whichever phases were done.
            whole = rollout.version is None
            return {row["tenant_id"]: (_where(row)[0], 0) if whole else _where(row) for row in rows}

        def recorded(tenant_id: str, code: str | None = None) -> None:
            details = {"system": rollout.system_id, "action": rollout.action, "version": rollout.version}
            trail = self._trace.trail
            trail.enqueue(
                trail.event(
                    "rollout.tenant", "failed" if code else "done", tenant_id=tenant_id, subject=rollout.rollout_id,
                    code=code, details=details,
                ),
                patient=True,
            )  # fmt: skip

        async def failed(tenant_id: str, code: str, text: str) -> None:
            recorded(tenant_id, code)
            writer = await self._postgres.pool("fleet", DATABASE)
            await writer.execute(queries.note_failure, rollout.rollout_id, tenant_id, code[:50], text, utc_now())
            if "." in code:
                return  # it was refused before anything was tried: nothing is wrong with the installation
            installing = rollout.action == "install"
            await self._installations(tenant_id).record_failure(rollout.system_id, rollout.version, installing, text)

        return Runner(
            postgres=self._postgres,
            place=lambda tenant_id: place_of(self._names, tenant_id, rollout.system_id, system_type),
            way=await ways_of(pool, rollout), now=now, done=recorded, failed=failed, options=rollout.options, told=told,
            progress=progress,
        )  # fmt: skip


def _of_rollout(statement: str) -> str:
    return f"{queries.of_rollout}\n{statement}"


def _where(row: Any) -> Where:
    return row["version"] if row["status"] == INSTALLED else None, row["phases_done"]
