"""Systems of one tenant: installed, upgraded and rolled back in one transaction with their ledger row.

Reference: `tenant_systems` Table, Tenant-Specific Schemas.
"""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, MutableSequence, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC
from typing import Any

import asyncpg

from prismicx.audit.tracing import Trace, audited
from prismicx.clock import utc_now
from prismicx.engines.lost import LOST, lost
from prismicx.engines.postgres import Pool, PooledConnection, Postgres
from prismicx.engines.scoped_sql import Sql
from prismicx.errors import Conflict, NotFound
from prismicx.names import Names, check_system_type
from prismicx.remembered import Remembered
from prismicx.sealing.sealer import Sealer
from prismicx.systems import requirements
from prismicx.systems.declarations import Choices
from prismicx.systems.drift import check_no_drift
from prismicx.systems.execution import Link, perform, stepping
from prismicx.systems.failure import failure_of
from prismicx.systems.guard import guard_of, refusal_of, related_versions
from prismicx.systems.installed import (
    Change,
    Direction,
    Installation,
    choices_of,
    declared_of,
    installation_of,
    version_told,
)
from prismicx.systems.manifest import is_system_id
from prismicx.systems.needs import check_needs, installed_beside
from prismicx.systems.package import NOTHING
from prismicx.systems.path import check_unfinished, find_path, find_version
from prismicx.systems.patience import PASSING, patiently
from prismicx.systems.records import DATABASE, DEPRECATED, queries, unknown_system, version_id
from prismicx.systems.secrets import changed_choices
from prismicx.systems.step import Limits, Phase, Place, body, making, place_of, settings
from prismicx.systems.way import phases_left, phases_of_way, removal
from prismicx.versions import stale, version_of

INSTALLED = "installed"

_LIMITS = Limits()
_PATIENCE = 15.0
"""Seconds for which a change tries again while others hold locks."""


class Installations:
    """The systems of the tenant whose scope gave this out."""

    def __init__(
        self,
        tenant_id: str,
        postgres: Postgres,
        names: Names,
        known: Remembered[tuple[str, str], Installation],
        sealer: Sealer,
        trace: Trace,
    ) -> None:
        self._sealer = sealer
        self._trace = trace
        self._tenant_id = tenant_id
        self._postgres = postgres
        self._names = names
        self._known = known

    async def list(self) -> list[Installation]:
        """What the tenant has, by system, failed installations included."""
        return [await self._with_secrets(item) for item in await self._listed()]

    async def _with_secrets(self, item: Installation) -> Installation:
        opened = await self._sealer.opened(item.system_id, item.configuration)
        return item if opened is item.configuration else replace(item, configuration=opened)

    async def _listed(self) -> Sequence[Installation]:
        """What the tenant has, its secrets sealed."""
        async with Sql(self._postgres, "fleet", DATABASE, self._tenant_id) as sql:
            rows = await sql.fetch(queries.installations)
        return [installation_of(self._names, self._tenant_id, row) for row in rows]

    async def of_type(self, system_type: str) -> Installation:
        """The installed system of a type; what is told may be as old as a registry entry.

        Raises:
            NotFound: ``system.not_installed``.
        """
        return await self._with_secrets(await self.place_of_type(system_type))

    async def place_of_type(self, system_type: str) -> Installation:
        """As `of_type`, its secrets sealed: for who only wants to know which version is where.

        Raises:
            NotFound: ``system.not_installed``.
        """
        key = (self._tenant_id, check_system_type(system_type))
        known = self._known.get(key)
        if known is not None:
            return known
        asked = time.monotonic()
        for item in await self._listed():
            if item.type == system_type and item.status == INSTALLED:
                self._known.keep(key, item, asked)
                return item
        raise NotFound(
            "system.not_installed",
            f"{self._tenant_id} has no system of the type {system_type}",
            f"prismicx system install SYSTEM --tenant {self._tenant_id}",
        )

    @audited("system.install", subject="system_id", given=("version",), told=version_told)
    async def install(
        self,
        system_id: str,
        version: str | None = None,
        *,
        configuration: Mapping[str, Any] | None = None,
        features: Mapping[str, bool] | None = None,
        limits: Limits = _LIMITS,
        patience: float | None = None,
    ) -> Installation:
        """Install a version, the latest unless one is named.

        Args:
            configuration: values by top-level key, as the version declares them; its defaults count for the rest.
            features: on or off, by name.
            limits: how long a statement may wait for a lock, and run.
            patience: seconds for which it is tried again while others hold locks.

        Raises:
            InvalidInput: ``system.configuration_invalid``, naming where in it which rule is broken.
            NotFound: ``system.unknown`` or ``system.version_unknown``.
            Unavailable: ``postgres.lost``.
            Conflict: ``system.installed``, ``system.type_taken``, ``system.deprecated``, ``system.dependency``,
                ``system.incompatible``, ``system.busy`` or ``system.migration_failed``; in the last case the tenant's
                row tells the error and the schema is as it was.
        """
        return await self._change(
            system_id, Change(version, configuration, features, limits=limits, patience=patience), "install"
        )

    @audited("system.migrate", subject="system_id", given=("version", "force"), told=version_told)
    async def migrate(
        self,
        system_id: str,
        version: str | None = None,
        *,
        configuration: Mapping[str, Any] | None = None,
        features: Mapping[str, bool] | None = None,
        force: bool = False,
        direction: Direction | None = None,
        limits: Limits = _LIMITS,
        patience: float | None = None,
    ) -> Installation:
        """Bring an installed system to another version, forward or back; the latest unless one is named.

        What was set stays set, if the other version takes it; features it does not have wait for one that has them.

        Args:
            configuration, features: changes that are made with the step, as `configure` makes them.
            force: take the step also from a schema that is not what its version makes.
            direction: refuse a way that is no ``upgrade`` or no ``rollback``; both will do unless one is named.
            limits, patience: as `install`.

        Raises:
            InvalidInput: ``system.configuration_invalid`` when the other version does not take what is set.
            NotFound: as `install`, or ``system.not_installed``.
            Unavailable: as `install`.
            Conflict: as `install`, ``system.irreversible``, ``system.direction``, or ``system.drift``, naming the
                differences.
        """
        change = Change(version, configuration, features, force, limits, patience)
        return await self._change(system_id, change, direction or "migrate")

    @audited("system.configure", subject="system_id")
    async def configure(
        self,
        system_id: str,
        *,
        revision: str | None = None,
        configuration: Mapping[str, Any] | None = None,
        features: Mapping[str, bool] | None = None,
    ) -> Installation:
        """Change what was chosen for an installed system; what is not named stays.

        Args:
            revision: of the installation the changes were made to; without it the last writer wins.
            configuration: new values by top-level key; None takes one away, so that its default counts again.
            features: on or off, by name.

        Raises:
            InvalidInput: ``system.configuration_invalid`` when the installed version does not take it.
            NotFound: ``system.unknown`` or ``system.not_installed``.
            Conflict: ``system.changed`` when it has another revision now, ``system.busy``.
            Unavailable, Conflict, Denied: ``keys.*`` when a secret cannot be opened or sealed.
        """
        async with self._transaction() as connection:
            _, _, held = await self._held(connection, system_id)
            if held is None:
                raise requirements.not_installed(self._tenant_id, system_id)
            changed_at = held["updated_at"].replace(tzinfo=UTC)
            current = version_of(changed_at)
            if revision not in (None, current):
                raise Conflict("system.changed", *stale(f"{system_id} of {self._tenant_id}", current, revision))
            versions = await connection.fetch(queries.versions, system_id)
            declared = declared_of(find_version(system_id, versions, held["version"]))
            stored = await changed_choices(self._sealer, system_id, declared, choices_of(held), configuration, features)
            moment = utc_now(after=changed_at)
            await connection.execute(queries.set_choices, system_id, *_columns(stored), moment)
        return await self._told(system_id)

    @audited("system.uninstall", subject="system_id")
    async def uninstall(self, system_id: str) -> None:
        """Remove a system with its schema and everything in it.

        Raises:
            NotFound: ``system.unknown`` or ``system.not_installed``.
            Unavailable: ``postgres.lost``.
            Conflict: ``system.dependency`` when another system of the tenant needs it, ``system.busy``,
                ``system.migration_failed``.
        """

        async def work() -> None:
            async with self._transaction() as connection:
                system, place, held = await self._held(connection, system_id)
                if held is None:
                    raise requirements.not_installed(self._tenant_id, system_id)
                requirements.check_unneeded(self._tenant_id, system_id, await installed_beside(connection))
                guard = guard_of(system_id, None, await related_versions(connection, system_id, None))
                phase = removal(system_id, held["version"], guard)
                await connection.execute(settings(_LIMITS) + body(place, phase, utc_now()))
            self._known.forget((self._tenant_id, system["type"]))  # not before others see that it is gone

        await self._patiently(system_id, work, _PATIENCE)

    async def _change(self, system_id: str, change: Change, action: str) -> Installation:
        done: MutableSequence[Phase] = []

        async def work() -> None:
            await (await self._pool()).execute(making(self._names.tenant_owner(self._tenant_id)))
            async with self._transaction() as connection:
                place, phases = await self._change_within(connection, system_id, change, action, going_on=bool(done))
            if phases:
                await self._perform(place, phases, change.limits, done)

        patience = _PATIENCE if change.patience is None else change.patience
        await self._patiently(system_id, work, patience, change.version, installing=action == "install", done=done)
        return await self._told(system_id)

    async def _patiently(
        self,
        system_id: str,
        work: Callable[[], Awaitable[None]],
        patience: float,
        version: str | None = None,
        *,
        installing: bool = False,
        done: Sequence[Phase] = (),
    ) -> None:
        """Do the work, or say why not; `done` are phases that are done already, each for good."""
        try:
            await patiently(work, patience)
        except PASSING as error:
            # Nothing is wrong with the tenant, so there is nothing to write down.
            raise Conflict(
                "system.busy",
                f"{system_id} for {self._tenant_id}: others were in the way for {patience:g} seconds: {error}",
                f"{_left(done)}; try again when they are done",
            ) from error
        except LOST as error:
            raise lost(error) from error
        except asyncpg.PostgresError as error:
            refusal = refusal_of(error)
            if refusal is not None:
                raise refusal from error
            failure = failure_of(error)
            await self.record_failure(system_id, version, installing, failure)
            raise Conflict(
                "system.migration_failed",
                f"{system_id} for {self._tenant_id}: {failure}",
                f"{_left(done)}; mend the data or publish a mended version, then try again",
            ) from error

    async def _perform(
        self, place: Place, phases: Sequence[Phase], limits: Limits, done: MutableSequence[Phase]
    ) -> None:
        """Phases of which some cannot run in a transaction, each by itself; after an error the same change goes on."""
        link = Link(self._postgres)
        try:
            for phase in phases:
                await perform(link, place, phase, limits)
                done.append(phase)
        finally:
            await link.close()

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[PooledConnection]:
        """A transaction of the service, which sees this tenant's rows only."""
        async with stepping(await self._pool()) as connection:
            await connection.execute(self._postgres.context(connection, self._tenant_id))
            yield connection

    async def _told(self, system_id: str) -> Installation:
        changed = next(item for item in await self.list() if item.system_id == system_id)
        self._known.forget((self._tenant_id, changed.type))
        return changed

    async def _held(self, connection: PooledConnection, system_id: str) -> tuple[Any, Place, Any]:
        """The system, its place, locked against other commands, and the row of its installation."""
        system = await connection.fetchrow(queries.system, system_id) if is_system_id(system_id) else None
        if system is None:
            raise unknown_system(system_id)
        place = place_of(self._names, self._tenant_id, system_id, system["type"])
        if not await connection.fetchval(queries.try_lock, place.schema):
            raise Conflict("system.busy", f"{place.schema} is being changed by another command", "try again later")
        held = await connection.fetchrow(queries.installation, system_id)
        return system, place, held if held is not None and held["status"] == INSTALLED else None

    async def _change_within(
        self, connection: PooledConnection, system_id: str, change: Change, action: str, *, going_on: bool
    ) -> tuple[Place, Sequence[Phase]]:
        """Change it in the transaction, or give the phases that cannot be in one.

        Args:
            going_on: some of them are done, so that what is being installed may be there to a part.
        """
        system, place, held = await self._held(connection, system_id)
        target = find_version(system_id, await connection.fetch(queries.versions, system_id), change.version)
        if action == "install" and not (going_on and held):
            requirements.check_absent(self._tenant_id, system_id, held and held["version"])
            requirements.check_offered(system_id, deprecated=system["status"] == DEPRECATED)
            other = await connection.fetchval(queries.same_type, system["type"], system_id)
            requirements.check_type_free(self._tenant_id, system["type"], other)
        elif held is None:
            raise requirements.not_installed(self._tenant_id, system_id)
        elif action in ("upgrade", "rollback"):
            requirements.check_direction(system_id, action, held["version"], target["version"])
        guard = await check_needs(connection, self._tenant_id, system_id, target)
        chosen = await changed_choices(
            self._sealer, system_id, declared_of(target), choices_of(held), change.configuration, change.features
        )
        migrations = await connection.fetch(queries.migrations, system_id)
        steps = find_path(system_id, migrations, held["version"] if held else NOTHING, target["version"])
        begun = await connection.fetchrow(queries.unfinished, system_id)
        check_unfinished(self._tenant_id, system_id, held and held["version"], begun, steps)
        if not steps:
            await connection.execute(queries.set_choices, system_id, *_columns(chosen), utc_now())
        if held and steps and not change.force:
            await check_no_drift(connection, place, version_id(system_id, held["version"]))
        configuration, features = _columns(chosen)
        snapshot = None if held or begun else await connection.fetchval(queries.snapshot, target["version_id"])
        phases = phases_of_way(system_id, steps, snapshot, configuration=configuration, features=features, guard=guard)
        if begun or any(phase.concurrent for phase in phases):
            return place, phases_left(phases, begun["phases_done"] if begun else 0)
        for phase in phases:
            await connection.execute(settings(change.limits) + body(place, phase, utc_now()))
        return place, []

    async def record_failure(self, system_id: str, version: str | None, installing: bool, failure: str) -> None:
        """Write down in the tenant's row what went wrong."""
        async with Sql(self._postgres, "fleet", DATABASE, self._tenant_id) as sql:
            if not installing:
                await sql.execute(queries.note_failure, system_id, failure, utc_now())
                return
            for row in await sql.fetch(queries.versions, system_id):
                if row["version"] == version or (version is None and row["is_latest"]):
                    key = row["version_id"]
                    await sql.execute(queries.note_failed_installation, system_id, key, utc_now(), failure)

    async def _pool(self) -> Pool:
        return await self._postgres.pool("fleet", DATABASE)


def _left(done: Sequence[Phase]) -> str:
    """How an error left the schema, in words."""
    if not done:
        return "the schema is as it was"
    last = done[-1]
    return f"phase {last.number + 1} of {last.of} on the way to {last.target} is done; the same command goes on there"


def _columns(chosen: Choices) -> tuple[str, str]:
    """What was set, as its two columns take it."""
    return json.dumps(chosen.configuration), json.dumps(chosen.features)
