"""Systems of one tenant: installed, upgraded and rolled back in one transaction with their ledger row.

Reference: `tenant_systems` Table, Tenant-Specific Schemas.
"""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import asyncpg

from prismicx.clock import utc_now
from prismicx.engines.postgres import Pool, PooledConnection, Postgres
from prismicx.engines.scoped_sql import Sql, in_shared_tables
from prismicx.errors import Conflict, NotFound
from prismicx.names import Names
from prismicx.reference.apply import RELEASE
from prismicx.remembered import Remembered
from prismicx.systems.catalogue import DATABASE, DEPRECATED, queries, unknown_system
from prismicx.systems.declarations import Choices, Declaration, stored_choices, stored_declaration
from prismicx.systems.manifest import is_system_id
from prismicx.systems.package import NOTHING
from prismicx.systems.path import Step, find_path, find_version
from prismicx.systems.requirements import Held, check_compatible, check_dependencies

INSTALLED, FAILED = "installed", "failed"


@dataclass(frozen=True, slots=True)
class Installation:
    """A system of a tenant and the schema that holds its tables; times are aware, UTC.

    Attributes:
        configuration: what counts: what was set, over what the version gives by default.
        features: of those the version has, which are on.
    """

    system_id: str
    type: str
    version: str
    status: str
    schema: str
    installed_at: datetime
    updated_at: datetime
    error_message: str | None
    configuration: Mapping[str, Any]
    features: Mapping[str, bool]


@dataclass(frozen=True, slots=True)
class _Change:
    """What is asked of a system of a tenant; None leaves it as it is, and the version the latest."""

    version: str | None = None
    configuration: Mapping[str, Any] | None = None
    features: Mapping[str, bool] | None = None


class Installations:
    """The systems of the tenant whose scope gave this out."""

    def __init__(
        self, tenant_id: str, postgres: Postgres, names: Names, known: Remembered[tuple[str, str], Installation]
    ) -> None:
        self._tenant_id = tenant_id
        self._postgres = postgres
        self._names = names
        self._known = known

    async def list(self) -> list[Installation]:
        """What the tenant has, by system, failed installations included."""
        async with Sql(self._postgres, "fleet", DATABASE, in_shared_tables(self._tenant_id)) as sql:
            rows = await sql.fetch(queries.installations)
        return [
            Installation(
                row["system_id"],
                row["type"],
                row["version"],
                row["status"],
                self._names.schema(self._tenant_id, row["type"]),
                row["installed_at"].replace(tzinfo=UTC),
                row["updated_at"].replace(tzinfo=UTC),
                row["error_message"],
                _declared(row).effective_configuration(_choices(row).configuration),
                _declared(row).effective_features(_choices(row).features),
            )
            for row in rows
        ]

    async def of_type(self, system_type: str) -> Installation:
        """The installed system of a type; what is told may be as old as a registry entry.

        Raises:
            NotFound: ``system.not_installed``.
        """
        key = (self._tenant_id, system_type)
        known = self._known.get(key)
        if known is not None:
            return known
        asked = time.monotonic()
        for item in await self.list():
            if item.type == system_type and item.status == INSTALLED:
                self._known.keep(key, item, asked)
                return item
        raise NotFound(
            "system.not_installed",
            f"{self._tenant_id} has no system of the type {system_type}",
            f"prismicx system install SYSTEM --tenant {self._tenant_id}",
        )

    async def install(
        self,
        system_id: str,
        version: str | None = None,
        *,
        configuration: Mapping[str, Any] | None = None,
        features: Mapping[str, bool] | None = None,
    ) -> Installation:
        """Install a version, the latest unless one is named.

        Args:
            configuration: values by top-level key, as the version declares them; its defaults count for the rest.
            features: on or off, by name.

        Raises:
            InvalidInput: ``system.configuration_invalid``, naming where in it which rule is broken.
            NotFound: ``system.unknown`` or ``system.version_unknown``.
            Conflict: ``system.installed``, ``system.type_taken``, ``system.deprecated``, ``system.dependency``,
                ``system.incompatible``, ``system.busy`` or ``system.migration_failed``; in the last case the tenant's
                row tells the error and the schema is as it was.
        """
        return await self._change(system_id, _Change(version, configuration, features), installing=True)

    async def migrate(
        self,
        system_id: str,
        version: str | None = None,
        *,
        configuration: Mapping[str, Any] | None = None,
        features: Mapping[str, bool] | None = None,
    ) -> Installation:
        """Bring an installed system to another version, forward or back; the latest unless one is named.

        What was set stays set, if the other version takes it; features it does not have wait for one that has them.

        Args:
            configuration, features: changes that are made with the step, as `configure` makes them.

        Raises:
            InvalidInput: ``system.configuration_invalid`` when the other version does not take what is set.
            NotFound: as `install`, or ``system.not_installed``.
            Conflict: as `install`, or ``system.irreversible``.
        """
        return await self._change(system_id, _Change(version, configuration, features), installing=False)

    async def configure(
        self,
        system_id: str,
        *,
        configuration: Mapping[str, Any] | None = None,
        features: Mapping[str, bool] | None = None,
    ) -> Installation:
        """Change what was chosen for an installed system; what is not named stays.

        Args:
            configuration: new values by top-level key; None takes one away, so that its default counts again.
            features: on or off, by name.

        Raises:
            InvalidInput: ``system.configuration_invalid`` when the installed version does not take it.
            NotFound: ``system.unknown`` or ``system.not_installed``.
            Conflict: ``system.busy``.
        """
        async with self._transaction() as connection:
            _, _, held = await self._held(connection, system_id)
            if held is None:
                raise self._not_installed(system_id)
            versions = await connection.fetch(queries.versions, system_id)
            declared = _declared(find_version(system_id, versions, held["version"]))
            chosen = declared.changed(_choices(held), configuration, features)
            await connection.execute(queries.set_choices, system_id, *_columns(chosen), utc_now())
        return await self._told(system_id)

    async def _change(self, system_id: str, change: _Change, *, installing: bool) -> Installation:
        try:
            async with self._transaction() as connection:
                await self._change_within(connection, system_id, change, installing)
        except asyncpg.PostgresError as error:
            failure = _failure(error)
            await self._record_failure(system_id, change.version, installing, failure)
            raise Conflict(
                "system.migration_failed",
                f"{system_id} for {self._tenant_id}: {failure}",
                "the schema is as it was; mend the data or publish a mended version, then try again",
            ) from error
        return await self._told(system_id)

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[PooledConnection]:
        """A transaction of the service, which sees this tenant's rows only."""
        async with (await self._pool()).acquire() as connection, connection.transaction():
            await connection.execute(f"SET LOCAL app.current_tenant_id = '{self._tenant_id}'")
            yield connection

    async def _told(self, system_id: str) -> Installation:
        changed = next(item for item in await self.list() if item.system_id == system_id)
        self._known.forget((self._tenant_id, changed.type))
        return changed

    async def _held(self, connection: PooledConnection, system_id: str) -> tuple[Any, str, Any]:
        """The system, the schema of its type, locked against other commands, and the row of its installation."""
        system = await connection.fetchrow(queries.system, system_id) if is_system_id(system_id) else None
        if system is None:
            raise unknown_system(system_id)
        schema = self._names.schema(self._tenant_id, system["type"])
        if not await connection.fetchval(queries.try_lock, schema):
            raise Conflict("system.busy", f"{schema} is being changed by another command", "try again later")
        held = await connection.fetchrow(queries.installation, system_id)
        return system, schema, held if held is not None and held["status"] == INSTALLED else None

    async def _change_within(
        self, connection: PooledConnection, system_id: str, change: _Change, installing: bool
    ) -> None:
        system, schema, held = await self._held(connection, system_id)
        target = find_version(system_id, await connection.fetch(queries.versions, system_id), change.version)
        if installing:
            await self._check_free(connection, system, held)
        elif held is None:
            raise self._not_installed(system_id)
        await self._check_needs(connection, system_id, target)
        chosen = _declared(target).changed(_choices(held), change.configuration, change.features)
        migrations = await connection.fetch(queries.migrations, system_id)
        steps = find_path(system_id, migrations, held["version"] if held else NOTHING, target["version"])
        await self._run(connection, schema, steps)
        await connection.execute(
            queries.set_installation, system_id, target["version_id"], INSTALLED, utc_now(), None, *_columns(chosen)
        )

    async def _check_needs(self, connection: PooledConnection, system_id: str, target: Any) -> None:
        """See that a version has what it needs, and that what needs the system takes this version."""
        version, needed = target["version"], json.loads(target["compatibility"] or "{}")
        server = connection.get_server_version()
        found = {"postgres": f"{server.major}.{server.minor}", "prismicx": RELEASE}
        check_compatible(system_id, version, needed, found)
        wanted = Held(system_id, version, json.loads(target["dependencies"] or "{}"))
        # What this version needs stays as it is until the end, and so does this system for what needs it.
        await connection.execute(queries.hold_versions, list(wanted.dependencies))
        installed = {
            row["system_id"]: Held(row["system_id"], row["version"], json.loads(row["dependencies"] or "{}"))
            for row in await connection.fetch(queries.installed_dependencies)
            if row["system_id"] != system_id
        }
        published: dict[str, list[str]] = {}
        for row in await connection.fetch(queries.versions_of, list(wanted.dependencies)):
            published.setdefault(row["system_id"], []).append(row["version"])
        check_dependencies(self._tenant_id, wanted, installed, published)

    def _not_installed(self, system_id: str) -> NotFound:
        return NotFound(
            "system.not_installed",
            f"{self._tenant_id} has no {system_id}",
            f"prismicx system install {system_id} --tenant {self._tenant_id}",
        )

    async def _check_free(self, connection: PooledConnection, system: Any, held: Any) -> None:
        if held is not None:
            raise Conflict(
                "system.installed",
                f"{self._tenant_id} has {system['system_id']} {held['version']} already",
                f"prismicx system upgrade {system['system_id']} --tenant {self._tenant_id}",
            )
        if system["status"] == DEPRECATED:
            raise Conflict(
                "system.deprecated",
                f"{system['system_id']} is deprecated, so it is not installed anew",
                f"choose another system, or prismicx system restore {system['system_id']}",
            )
        other = await connection.fetchval(queries.same_type, system["type"], system["system_id"])
        if other is not None:
            raise Conflict(
                "system.type_taken",
                f"{self._tenant_id} has {other}, which is of the type {system['type']} as well",
                "one system of a type has the schema: a tenant can have only one",
            )

    async def _run(self, connection: PooledConnection, schema: str, steps: Sequence[Step]) -> None:
        """Run the scripts as the role that owns the tenant's schemas and nothing else, then let the tenant in."""
        owner, role = self._names.tenant_owner(self._tenant_id), self._names.tenant_role(self._tenant_id)
        await connection.execute(f'CREATE SCHEMA IF NOT EXISTS "{schema}" AUTHORIZATION "{owner}"')
        await connection.execute(f'SET LOCAL search_path = "{schema}"; SET LOCAL ROLE "{owner}"')
        before = await connection.fetchval(queries.transaction_id)
        for step in steps:
            # With a statement at its end: the driver cannot tell how a script of comments only went.
            await connection.execute(f"{step.script}\n; SELECT 1")
            if await connection.fetchval(queries.transaction_id) != before:
                raise Conflict(
                    "system.left_transaction",
                    f"the migration to {step.version_to} left its transaction or its role",
                    "see what it did to the schema; publish a version without transaction control",
                )
        await connection.execute(
            f'GRANT USAGE ON SCHEMA "{schema}" TO "{role}"; '
            f'GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA "{schema}" TO "{role}"; '
            f'GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA "{schema}" TO "{role}"; '
            "SET LOCAL ROLE NONE; RESET search_path"
        )

    async def _record_failure(self, system_id: str, version: str | None, installing: bool, failure: str) -> None:
        async with Sql(self._postgres, "fleet", DATABASE, in_shared_tables(self._tenant_id)) as sql:
            if not installing:
                await sql.execute(queries.note_failure, system_id, failure, utc_now())
                return
            for row in await sql.fetch(queries.versions, system_id):
                if row["version"] == version or (version is None and row["is_latest"]):
                    key = row["version_id"]
                    await sql.execute(queries.set_installation, system_id, key, FAILED, utc_now(), failure, None, None)

    async def _pool(self) -> Pool:
        return await self._postgres.pool("fleet", DATABASE)


def _failure(error: asyncpg.PostgresError) -> str:
    parts = [f"{error.sqlstate}: {error}"]
    parts += [text for text in (getattr(error, "detail", None), getattr(error, "hint", None)) if text]
    return "; ".join(parts)[:2000]


def _declared(row: Any) -> Declaration:
    return stored_declaration(row["configuration"], row["features"])


def _choices(row: Any) -> Choices:
    return Choices() if row is None else stored_choices(row["configurations"], row["features_enabled"])


def _columns(chosen: Choices) -> tuple[str, str]:
    """What was set, as its two columns take it."""
    return json.dumps(chosen.configuration), json.dumps(chosen.features)
