"""Systems of one tenant: installed, upgraded and rolled back in one transaction with their ledger row.

Reference: `tenant_systems` Table, Tenant-Specific Schemas.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import asyncpg

from prismicx.clock import utc_now
from prismicx.engines.postgres import Pool, PooledConnection, Postgres
from prismicx.engines.scoped_sql import Sql, in_shared_tables
from prismicx.errors import Conflict, NotFound, quoted
from prismicx.names import Names
from prismicx.remembered import Remembered
from prismicx.systems.catalogue import DATABASE, queries, unknown_system, version_id
from prismicx.systems.package import NOTHING

INSTALLED, FAILED = "installed", "failed"


@dataclass(frozen=True, slots=True)
class Installation:
    """A system of a tenant and the schema that holds its tables; times are aware, UTC."""

    system_id: str
    type: str
    version: str
    status: str
    schema: str
    installed_at: datetime
    updated_at: datetime
    error_message: str | None


@dataclass(frozen=True, slots=True)
class _Step:
    version: str
    schema_version: int
    script: str


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

    async def install(self, system_id: str, version: str | None = None) -> Installation:
        """Install a version, the latest unless one is named.

        Raises:
            NotFound: ``system.unknown`` or ``system.version_unknown``.
            Conflict: ``system.installed``, ``system.type_taken``, ``system.busy`` or ``system.migration_failed``; in
                the last case the tenant's row tells the error and the schema is as it was.
        """
        return await self._change(system_id, version, installing=True)

    async def migrate(self, system_id: str, version: str | None = None) -> Installation:
        """Bring an installed system to another version, forward or back; the latest unless one is named.

        Raises:
            NotFound: as `install`, or ``system.not_installed``.
            Conflict: as `install`, or ``system.irreversible``.
        """
        return await self._change(system_id, version, installing=False)

    async def _change(self, system_id: str, version: str | None, *, installing: bool) -> Installation:
        pool = await self._pool()
        try:
            async with pool.acquire() as connection, connection.transaction():
                await connection.execute(f"SET LOCAL app.current_tenant_id = '{self._tenant_id}'")
                await self._change_within(connection, system_id, version, installing)
        except asyncpg.PostgresError as error:
            failure = _failure(error)
            await self._record_failure(system_id, version, installing, failure)
            raise Conflict(
                "system.migration_failed",
                f"{system_id} for {self._tenant_id}: {failure}",
                "the schema is as it was; mend the data or publish a mended version, then try again",
            ) from error
        changed = next(item for item in await self.list() if item.system_id == system_id)
        self._known.forget((self._tenant_id, changed.type))
        return changed

    async def _change_within(
        self, connection: PooledConnection, system_id: str, version: str | None, installing: bool
    ) -> None:
        system = await connection.fetchrow(queries.system, system_id)
        if system is None:
            raise unknown_system(system_id)
        schema = self._names.schema(self._tenant_id, system["type"])
        if not await connection.fetchval(queries.try_lock, schema):
            raise Conflict("system.busy", f"{schema} is being changed by another command", "try again later")
        target = await _target(connection, system_id, version)
        held = await connection.fetchrow(queries.installation, system_id)
        current = held["version"] if held is not None and held["status"] == INSTALLED else None
        if installing:
            await self._check_free(connection, system, current)
        elif current is None:
            raise NotFound(
                "system.not_installed",
                f"{self._tenant_id} has no {system_id}",
                f"prismicx system install {system_id} --tenant {self._tenant_id}",
            )
        steps = await _path(connection, system_id, current or NOTHING, target)
        await self._run(connection, schema, steps)
        await connection.execute(
            queries.set_installation, system_id, version_id(system_id, target), INSTALLED, utc_now(), None
        )

    async def _check_free(self, connection: PooledConnection, system: Any, current: str | None) -> None:
        if current is not None:
            raise Conflict(
                "system.installed",
                f"{self._tenant_id} has {system['system_id']} {current} already",
                f"prismicx system upgrade {system['system_id']} --tenant {self._tenant_id}",
            )
        other = await connection.fetchval(queries.same_type, system["type"], system["system_id"])
        if other is not None:
            raise Conflict(
                "system.type_taken",
                f"{self._tenant_id} has {other}, which is of the type {system['type']} as well",
                "one system of a type has the schema: a tenant can have only one",
            )

    async def _run(self, connection: PooledConnection, schema: str, steps: Sequence[_Step]) -> None:
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
                    f"the migration to {step.version} left its transaction or its role",
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
                    await sql.execute(queries.set_installation, system_id, key, FAILED, utc_now(), failure)

    async def _pool(self) -> Pool:
        return await self._postgres.pool("fleet", DATABASE)


async def _target(connection: PooledConnection, system_id: str, version: str | None) -> str:
    rows = await connection.fetch(queries.versions, system_id)
    for row in rows:
        if row["version"] == version or (version is None and row["is_latest"]):
            return str(row["version"])
    known = ", ".join(row["version"] for row in sorted(rows, key=lambda row: row["schema_version"]))
    raise NotFound("system.version_unknown", f"{system_id} has no version {quoted(version)}", f"versions are {known}")


async def _path(connection: PooledConnection, system_id: str, current: str, target: str) -> list[_Step]:
    """The scripts that lead from one version to another, in the order they are run.

    Raises:
        Conflict: ``system.irreversible``.
    """
    rows = await connection.fetch(queries.migrations, system_id)
    numbers = {NOTHING: 0, **{row["version_to"]: row["schema_version_to"] for row in rows}}
    here, there = numbers[current], numbers[target]
    if here <= there:
        return [
            _Step(row["version_to"], row["schema_version_to"], row["migration_sql"])
            for row in rows
            if here < row["schema_version_to"] <= there
        ]
    back = [row for row in reversed(rows) if there < row["schema_version_to"] <= here]
    for row in back:
        if row["rollback_sql"] is None:
            raise Conflict(
                "system.irreversible",
                f"the step from {row['version_from']} to {row['version_to']} of {system_id} has no way back",
                "roll back no further than that version",
            )
    return [_Step(row["version_from"], row["schema_version_from"], row["rollback_sql"]) for row in back]


def _failure(error: asyncpg.PostgresError) -> str:
    parts = [f"{error.sqlstate}: {error}"]
    parts += [text for text in (getattr(error, "detail", None), getattr(error, "hint", None)) if text]
    return "; ".join(parts)[:2000]
