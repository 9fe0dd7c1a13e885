"""The catalogue of management systems, which belongs to the platform.

Reference: Management System Repository Database, `management_systems`, `system_versions`, `schema_migrations`.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from packaging.version import Version

from prismicx.audit.tracing import Trace, audited
from prismicx.checks import check_text
from prismicx.clock import utc_now
from prismicx.engines.postgres import Pool, PooledConnection, Postgres
from prismicx.errors import Conflict, InvalidInput, quoted
from prismicx.names import Names, check_system_type
from prismicx.systems.declarations import Feature, stored_declaration
from prismicx.systems.folders import Identity, read_folder
from prismicx.systems.linting import LintWarning, lint_if_possible, of_versions, refuse
from prismicx.systems.manifest import is_system_id
from prismicx.systems.package import NOTHING, Package, Release
from prismicx.systems.path import Step, find_path
from prismicx.systems.records import ACTIVE, DATABASE, DEPRECATED, STATUSES, queries, unknown_system, version_id
from prismicx.systems.requirements import Specifiers, check_published
from prismicx.systems.trial import Trial, locks_of, try_package


@dataclass(frozen=True, slots=True)
class System:
    """A management system, with its latest version and how many versions it has."""

    system_id: str
    name: str
    type: str
    vendor: str
    status: str
    description: str | None
    latest: str | None
    versions: int


@dataclass(frozen=True, slots=True)
class SystemVersion:
    """A version of a system.

    Attributes:
        reversible: whether its migration has a way back.
        dependencies: which versions of other systems it needs, by system.
        compatibility: which versions of ``postgres`` and ``prismicx`` it needs.
        configuration: the JSON Schema of its configuration; None takes none.
        features: what a tenant can switch, by name.
    """

    version: str
    schema_version: int
    is_latest: bool
    release_date: datetime
    release_notes: str | None
    reversible: bool
    dependencies: Specifiers
    compatibility: Specifiers
    configuration: Mapping[str, Any] | None
    features: Mapping[str, Feature]


@dataclass(frozen=True, slots=True)
class Published:
    """What a publication added; empty when everything was there.

    Attributes:
        warnings: what the added versions should be looked at for; None when squawk could not be run.
    """

    system_id: str
    added: tuple[str, ...]
    latest: str
    warnings: tuple[LintWarning, ...] | None = ()


def _told(found: Published) -> dict[str, Any]:
    return {"added": found.added, "latest": found.latest}


class Catalogue:
    """Publishes systems and tells what there is."""

    def __init__(self, postgres: Postgres, names: Names, trace: Trace) -> None:
        self._trace = trace
        self._postgres = postgres
        self._names = names

    @audited("catalogue.publish", subject="system_id", made=lambda found: found.system_id, told=_told)
    async def publish(
        self,
        folder: Path | str,
        *,
        format: str | None = None,
        system_id: str | None = None,
        type: str | None = None,
        vendor: str | None = None,
        name: str | None = None,
        strict: bool = False,
    ) -> Published:
        """Publish the versions of a folder that are not there yet, all in one transaction, after they were tried.

        Args:
            format: one of `prismicx.systems.folders.FORMATS`; recognised unless given.
            system_id, type, vendor, name: for a folder of another tool, which does not say them.
            strict: publish nothing when there are warnings for what would be added.

        Raises:
            InvalidInput: ``package.*``, see `prismicx.systems.folders.read_folder`; ``package.lint`` when strict;
                ``package.trial`` or ``package.rollback`` when a script fails, or its way back leaves another schema.
            Unavailable: ``lint.unavailable`` when strict and squawk cannot be run.
            Conflict: ``package.changed`` when a published version has other content now, ``package.type_changed``,
                or ``package.dependency`` when a new version needs what is not published, or systems need one another.
        """
        package = read_folder(folder, format, Identity(system_id, type, vendor, name))
        found = await asyncio.to_thread(lint_if_possible, package, strict)
        moment = utc_now()
        async with (await self._pool()).acquire() as connection, connection.transaction():
            # Publishers wait for one another, those of other systems too: dependencies are looked at between systems.
            await connection.execute(queries.lock_catalogue)
            kind = await connection.fetchval(
                queries.add_system,
                package.system_id,
                package.name,
                package.description,
                package.type,
                package.vendor,
                moment,
            )
            if kind != package.type:
                raise Conflict(
                    "package.type_changed",
                    f"{package.system_id} was published with the type {kind}, not {package.type}",
                    "the type names the schemas of tenants and cannot change: publish under another id",
                )
            rows = await connection.fetch(queries.versions, package.system_id)
            published = {row["version"]: row for row in rows}
            await _check_unchanged(connection, package, published)
            added = [release for release in package.releases if release.version not in published]
            warnings = of_versions(found, [release.version for release in added])
            if strict:
                refuse(warnings)
            for release in added:
                await _add(connection, package, release, moment)
            for trial in await self._tried(package, added):
                key, locks = version_id(package.system_id, trial.version), json.dumps(locks_of(trial))
                shape, found_hash = trial.definitions.to_json(), trial.definitions.shape.hash
                snapshot = None if trial.snapshot is None else trial.snapshot.script
                await connection.execute(
                    queries.add_trial, key, shape, found_hash, snapshot, locks, trial.milliseconds, moment
                )
            latest = max([*published, *(release.version for release in added)], key=Version)
            await connection.execute(queries.unmark_latest, package.system_id, version_id(package.system_id, latest))
            await connection.execute(queries.mark_latest, version_id(package.system_id, latest))
            await _check_dependencies(connection, package, added)
        return Published(package.system_id, tuple(release.version for release in added), latest, warnings)

    @audited("catalogue.deprecate", subject="system_id")
    async def deprecate(self, system_id: str) -> System:
        """Let a system be installed for nobody any more; who has it keeps it, and may migrate it.

        Raises:
            NotFound: ``system.unknown``.
        """
        return await self._set_status(system_id, DEPRECATED)

    @audited("catalogue.restore", subject="system_id")
    async def restore(self, system_id: str) -> System:
        """Let a deprecated system be installed again.

        Raises:
            NotFound: ``system.unknown``.
        """
        return await self._set_status(system_id, ACTIVE)

    async def get(self, system_id: str) -> System:
        """One system.

        Raises:
            NotFound: ``system.unknown``.
        """
        pool = await self._pool()
        row = await pool.fetchrow(queries.systems, None, None, None, system_id) if is_system_id(system_id) else None
        if row is None:
            raise unknown_system(system_id)
        return System(**dict(row))

    async def versions(self, system_id: str) -> list[SystemVersion]:
        """The versions of a system, oldest first.

        Raises:
            NotFound: ``system.unknown``.
        """
        await self.get(system_id)
        pool = await self._pool()
        back = {row["version_to"]: row["rollback_sql"] for row in await pool.fetch(queries.migrations, system_id)}
        return [
            SystemVersion(
                row["version"],
                row["schema_version"],
                row["is_latest"],
                row["release_date"].replace(tzinfo=UTC),
                row["release_notes"],
                back.get(row["version"]) is not None,
                json.loads(row["dependencies"] or "{}"),
                json.loads(row["compatibility"] or "{}"),
                declared.configuration,
                declared.features,
            )
            for row in sorted(await pool.fetch(queries.versions, system_id), key=lambda row: row["schema_version"])
            for declared in [stored_declaration(row["configuration"], row["features"])]
        ]

    async def path(self, system_id: str, from_version: str, to_version: str) -> Sequence[Step]:
        """The steps that lead from one version to another, forward or back; ``0`` is nothing installed.

        Raises:
            NotFound: ``system.unknown`` or ``system.version_unknown``.
            Conflict: ``system.irreversible``, naming the step that has no way back.
        """
        await self.get(system_id)
        rows = await (await self._pool()).fetch(queries.migrations, system_id)
        return find_path(system_id, rows, from_version, to_version)

    async def list(
        self, *, type: str | None = None, status: str | None = None, vendor: str | None = None
    ) -> list[System]:
        """Systems by id; only those of a type, in a state (``active`` or ``deprecated``), or by a vendor.

        Raises:
            InvalidInput: ``system.type_invalid``, ``system.status_invalid`` or ``system.vendor_invalid``.
        """
        if type is not None:
            check_system_type(type)
        if status is not None and status not in STATUSES:
            raise InvalidInput(
                "system.status_invalid", f"status is {quoted(status)}", f"use one of {', '.join(STATUSES)}"
            )
        if vendor is not None:
            check_text("system.vendor_invalid", "vendor", vendor, 100)
        rows = await (await self._pool()).fetch(queries.systems, type, status, vendor, None)
        return [System(**dict(row)) for row in rows]

    async def _set_status(self, system_id: str, status: str) -> System:
        await self.get(system_id)
        await (await self._pool()).execute(queries.set_status, system_id, status, utc_now())
        return await self.get(system_id)

    async def _tried(self, package: Package, added: Sequence[Release]) -> Sequence[Trial]:
        if not added:
            return []
        connection = await self._postgres.connection("fleet", DATABASE)
        try:
            return await try_package(connection, self._names, package, [release.version for release in added])
        finally:
            await connection.close()

    async def _pool(self) -> Pool:
        return await self._postgres.pool("catalogue", DATABASE)


async def _check_unchanged(connection: PooledConnection, package: Package, published: Mapping[str, Any]) -> None:
    rows = await connection.fetch(queries.migrations, package.system_id)
    migrations = {row["version_to"]: row for row in rows}
    for release in package.releases:
        row = migrations.get(release.version)
        if release.version not in published or row is None:
            continue
        if row["schema_version_to"] != release.schema_version:
            raise Conflict(
                "package.changed",
                f"{package.system_id} {release.version} is published as version {row['schema_version_to']} of the "
                f"schema, and would be version {release.schema_version}",
                "keep the published versions in the folder, and give new ones numbers above theirs",
            )
        same = (row["migration_sql"], row["rollback_sql"]) == (release.migration.up, release.migration.down)
        if not same or not await connection.fetchval(
            queries.same_declaration,
            version_id(package.system_id, release.version),
            _json(release.dependencies),
            _json(release.compatibility),
            release.declaration.configuration_json(),
            release.declaration.features_json(),
        ):
            raise Conflict(
                "package.changed",
                f"{package.system_id} {release.version} is published with other content",
                "what tenants may have installed does not change: publish it as the next version",
            )
    missing = sorted(set(published) - {release.version for release in package.releases}, key=Version)
    highest = max((row["schema_version"] for row in published.values()), default=0)
    for release in package.releases:
        if release.version not in published and release.schema_version <= highest:
            raise Conflict(
                "package.changed",
                f"{package.system_id} {release.version} takes the schema version {release.schema_version}, which is "
                f"published as another version",
                f"keep the published versions {', '.join(missing)} in the folder",
            )


async def _check_dependencies(connection: PooledConnection, package: Package, added: list[Release]) -> None:
    rows = await connection.fetch(queries.latest_dependencies)
    latest = {row["system_id"]: json.loads(row["dependencies"] or "{}") for row in rows}
    check_published(package.system_id, [(release.version, release.dependencies or {}) for release in added], latest)


async def _add(connection: PooledConnection, package: Package, release: Release, moment: datetime) -> None:
    await connection.execute(
        queries.add_version,
        version_id(package.system_id, release.version),
        package.system_id,
        release.version,
        release.release_notes,
        release.schema_version,
        release.release_date,
        moment,
        _json(release.dependencies),
        _json(release.compatibility),
    )
    declared = release.declaration.configuration_json(), release.declaration.features_json()
    if any(declared):
        await connection.execute(queries.add_declaration, version_id(package.system_id, release.version), *declared)
    number = release.schema_version
    before = package.releases[number - 2].version if number > 1 else NOTHING
    await connection.execute(
        queries.add_migration,
        f"{package.system_id}#{number}",
        package.system_id,
        before,
        release.version,
        number - 1,
        number,
        release.migration.up,
        release.migration.down,
        release.migration.title.replace("_", " "),
        moment,
    )


def _json(value: Mapping[str, Any] | None) -> str | None:
    return None if value is None else json.dumps(value)
