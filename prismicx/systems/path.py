"""The way from one version of a system to another: the scripts of the catalogue, in the order they are run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from prismicx.engines.scoped_sql import Record
from prismicx.errors import Conflict, NotFound, quoted
from prismicx.systems.package import NOTHING


@dataclass(frozen=True, slots=True)
class Step:
    """One script of a way.

    Attributes:
        version_from, version_to: ``0`` where nothing is installed.
        reversible: whether there is a step the other way.
        script: the SQL.
    """

    version_from: str
    version_to: str
    schema_version_from: int
    schema_version_to: int
    direction: Literal["up", "down"]
    reversible: bool
    script: str = field(repr=False)


def find_path(system_id: str, migrations: Sequence[Record], here: str, there: str) -> list[Step]:
    """The steps from one version to another, none where they are the same.

    Args:
        migrations: rows of ``schema_migrations`` of the system.
        here, there: versions; ``0`` is nothing installed.

    Raises:
        NotFound: ``system.version_unknown``.
        Conflict: ``system.irreversible``, naming the first step on the way that has no way back.
    """
    rows = sorted(migrations, key=lambda row: row["schema_version_to"])
    numbers = {NOTHING: 0, **{row["version_to"]: row["schema_version_to"] for row in rows}}
    for version in (here, there):
        if not isinstance(version, str) or version not in numbers:
            raise unknown_version(system_id, version, list(numbers))
    begin, end = numbers[here], numbers[there]
    if begin <= end:
        return [_up(row) for row in rows if begin < row["schema_version_to"] <= end]
    back = [row for row in reversed(rows) if end < row["schema_version_to"] <= begin]
    for row in back:
        if row["rollback_sql"] is None:
            raise Conflict(
                "system.irreversible",
                f"the step from {row['version_from']} to {row['version_to']} of {system_id} has no way back",
                "roll back no further than that version",
            )
    return [_down(row) for row in back]


def find_version(system_id: str, versions: Sequence[Record], version: str | None) -> Record:
    """The row of a version, of the latest unless one is named.

    Raises:
        NotFound: ``system.version_unknown``.
    """
    for row in versions:
        if row["version"] == version or (version is None and row["is_latest"]):
            return row
    known = [row["version"] for row in sorted(versions, key=lambda row: row["schema_version"])]
    raise unknown_version(system_id, version, known)


def unknown_version(system_id: str, version: object, known: Sequence[str]) -> NotFound:
    """The error for a version that a system has not."""
    return NotFound(
        "system.version_unknown", f"{system_id} has no version {quoted(version)}", f"versions are {', '.join(known)}"
    )


def check_unfinished(
    tenant_id: str, system_id: str, version: str | None, begun: Record | None, way: Sequence[Step]
) -> None:
    """See that a way goes on with the step that a tenant is in the middle of, if it is in one.

    Args:
        version: the tenant has; None where it has none.
        begun: the row of the step, with the keys of the versions it leads from and to.

    Raises:
        Conflict: ``system.unfinished``.
    """
    if begun is None:
        return
    back = begun["version_from"] and begun["version_from"].rpartition(":")[2]
    target = begun["version_to"].rpartition(":")[2]
    if not way or way[0].version_to != target or back != version:
        raise Conflict(
            "system.unfinished",
            f"{tenant_id} is between {version or 'nothing'} and {target}: bring it to {target} first, "
            "or uninstall it with --force",
        )


def _up(row: Record) -> Step:
    return Step(
        row["version_from"],
        row["version_to"],
        row["schema_version_from"],
        row["schema_version_to"],
        "up",
        row["rollback_sql"] is not None,
        row["migration_sql"],
    )


def _down(row: Record) -> Step:
    return Step(
        row["version_to"],
        row["version_from"],
        row["schema_version_to"],
        row["schema_version_from"],
        "down",
        True,
        row["rollback_sql"],
    )
