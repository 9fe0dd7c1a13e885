"""A management system as a folder: ``system.toml`` and numbered migrations.

system.toml                       id, type, name, vendor, description and [[versions]]
migrations/0001_initial.up.sql    leads to the version with schema_version 1
migrations/0001_initial.down.sql  leads back; without it the step is irreversible
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from datetime import UTC, date, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

from packaging.version import InvalidVersion, Version

from prismicx.errors import InvalidInput
from prismicx.names import check_system_type
from prismicx.systems.declarations import Declaration, read_declaration
from prismicx.systems.inspection import inspect, raise_all
from prismicx.systems.manifest import ID_RULE, Checker, is_system_id
from prismicx.systems.requirements import Specifiers, read_compatibility, read_dependencies

NOTHING = "0"
"""What ``version_from`` says of the first migration: nothing was installed before."""
FILE_LIMIT = 5 * 1024 * 1024
"""Bytes of one migration file."""

VERSION_LIMIT = 20
"""Characters of a version (VARCHAR(20) in the reference)."""

_NOTES_LIMIT = 100_000

_FILE = re.compile(r"(\d+)_([A-Za-z0-9_-]+)\.(up|down)\.sql")
_FIELDS = {"id", "type", "name", "vendor", "description", "versions"}
_VERSION_FIELDS = {
    "version",
    "schema_version",
    "release_date",
    "release_notes",
    "dependencies",
    "compatibility",
    "configuration",
    "features",
}


@dataclass(frozen=True, slots=True)
class Source:
    """Where a script was read: a file, and the line of it at which the script begins."""

    file: str
    line: int = 1


@dataclass(frozen=True, slots=True)
class Migration:
    """The step to one schema version and, where there is one, the way back."""

    number: int
    title: str
    up: str
    down: str | None
    up_source: Source
    down_source: Source | None


@dataclass(frozen=True, slots=True)
class Release:
    """A version, what it needs and lets one choose, and the migration that reaches it from the one before."""

    version: str
    schema_version: int
    release_date: datetime
    release_notes: str | None
    dependencies: Specifiers | None
    compatibility: Specifiers | None
    declaration: Declaration
    migration: Migration


@dataclass(frozen=True, slots=True)
class Package:
    """A system with its releases, oldest first; at least one."""

    system_id: str
    type: str
    name: str
    vendor: str
    description: str | None
    releases: tuple[Release, ...]


def read(folder: Path) -> Package:
    """Read and check a folder.

    Raises:
        InvalidInput: ``package.unreadable``, ``package.invalid``, ``package.migrations`` or ``package.sql``, naming
            the file and, for SQL, line and column.
    """
    manifest = folder / "system.toml"
    try:
        held = tomllib.loads(manifest.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InvalidInput(
            "package.unreadable", f"{manifest}: {error}", "a package is a folder with a system.toml"
        ) from error
    check = Checker(manifest)
    check.fields(held, _FIELDS, "the file")
    system_id = check.text(held, "id", 50)
    if not is_system_id(system_id):
        raise check.wrong("id", system_id, ID_RULE)
    versions = held.get("versions")
    if not isinstance(versions, list) or not versions:
        raise check.wrong("versions", versions, "declare at least one [[versions]]")
    migrations = _migrations(folder / "migrations")
    releases = tuple(_release(check, item, migrations) for item in versions)
    _check_order(check, releases, migrations)
    return Package(
        system_id,
        check_system_type(held.get("type")),
        check.text(held, "name", 100),
        check.text(held, "vendor", 100),
        check.text(held, "description", 10_000) if "description" in held else None,
        releases,
    )


def _release(check: Checker, item: Any, migrations: dict[int, Migration]) -> Release:
    check.fields(item, _VERSION_FIELDS, "[[versions]]")
    version = check.text(item, "version", VERSION_LIMIT)
    try:
        Version(version)
    except InvalidVersion as error:
        raise check.wrong("version", version, "use a version such as 1.2.0") from error
    if version == NOTHING:
        raise check.wrong("version", version, "use one such as 0.1: 0 means that nothing is installed")
    number = item.get("schema_version")
    if not isinstance(number, int) or isinstance(number, bool):
        raise check.wrong(f"schema_version of {version}", number, "use the number of its migration")
    if number not in migrations:
        raise check.wrong(f"schema_version of {version}", number, f"there is no migrations/{number:04d}_….up.sql")
    where = f" of {version}"
    return Release(
        version,
        number,
        _released(check, item, where),
        check.text(item, "release_notes", _NOTES_LIMIT, where) if "release_notes" in item else None,
        read_dependencies(check, item, where),
        read_compatibility(check, item, where),
        read_declaration(check, item, where),
        migrations[number],
    )


def _released(check: Checker, item: dict[str, Any], where: str) -> datetime:
    """When a version was released, in UTC as the reference keeps it; a time without an offset is one of UTC."""
    released = item.get("release_date")
    if not isinstance(released, date):
        raise check.wrong(f"release_date{where}", released, "give a date such as 2026-02-03")
    if not isinstance(released, datetime):
        return datetime(released.year, released.month, released.day)
    if released.tzinfo is None:
        return released
    try:
        return released.astimezone(UTC).replace(tzinfo=None)
    except OverflowError as error:
        raise check.wrong(
            f"release_date{where}", str(released), "give a time from the year 1 to 9999 in UTC"
        ) from error


def _migrations(folder: Path) -> dict[int, Migration]:
    found: dict[tuple[int, str], tuple[str, Path, str]] = {}
    refused: list[InvalidInput] = []
    try:
        paths = sorted(folder.iterdir())
    except OSError as error:
        raise InvalidInput("package.migrations", f"{folder}: {error.strerror}", "make it") from error
    for path in paths:
        match = _FILE.fullmatch(path.name)
        if match is None:
            raise InvalidInput(
                "package.migrations", f"{path} has no name of a migration", "use 0001_title.up.sql and .down.sql"
            )
        key = int(match[1]), match[3]
        if key in found:
            raise InvalidInput(
                "package.migrations",
                f"{path}: number {key[0]} is there twice, also as {found[key][1]}",
                "number them anew",
            )
        script = read_script(path)
        try:
            inspect(script, str(path))
        except InvalidInput as error:
            refused.append(error)
        found[key] = match[2], path, script
    raise_all(refused)
    numbers = sorted(number for number, way in found if way == "up")
    if numbers != list(range(1, len(numbers) + 1)):
        raise InvalidInput(
            "package.migrations", f"{folder} has the numbers {numbers}", "number them 1, 2, 3 … without a gap"
        )
    orphans = sorted(number for number, way in found if way == "down" and (number, "up") not in found)
    if orphans:
        raise InvalidInput("package.migrations", f"{folder}: only a way back for {orphans}", "add the .up.sql of each")
    return {number: _migration(number, found[number, "up"], found.get((number, "down"))) for number in numbers}


def _migration(number: int, up: tuple[str, Path, str], down: tuple[str, Path, str] | None) -> Migration:
    title, path, script = up
    back, source = (down[2], Source(str(down[1]))) if down else (None, None)
    return Migration(number, title, script, back, Source(str(path)), source)


def read_script(path: Path) -> str:
    """The text of a file of SQL.

    Raises:
        InvalidInput: ``package.migrations`` when it is too big, or no text in UTF-8.
    """
    try:
        if path.stat().st_size > FILE_LIMIT:
            raise InvalidInput(
                "package.migrations",
                f"{path} has {path.stat().st_size} bytes",
                f"a migration has at most {FILE_LIMIT} bytes; load data in another way",
            )
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput("package.migrations", f"{path}: {error}", "write SQL in UTF-8") from error


def _check_order(check: Checker, releases: tuple[Release, ...], migrations: dict[int, Migration]) -> None:
    numbers = [release.schema_version for release in releases]
    if numbers != list(range(1, len(releases) + 1)) or len(numbers) != len(migrations):
        raise check.wrong(
            "the order of schema_version", numbers, f"one version for each of {len(migrations)} migrations, in order"
        )
    for before, after in pairwise(releases):
        if Version(after.version) <= Version(before.version):
            raise check.wrong(
                "the order of versions", f"{before.version}, {after.version}", "each must be higher than the last"
            )
