"""What is kept of systems, for all who read it: the database, its statements, and how its rows are named."""

from __future__ import annotations

from prismicx.errors import NotFound, quoted
from prismicx.statements import Statements

DATABASE = "management_system_repository"
ACTIVE, DEPRECATED = "active", "deprecated"
STATUSES = (ACTIVE, DEPRECATED)
queries = Statements(__package__, "queries.sql")


def version_id(system_id: str, version: str) -> str:
    """The key of a version."""
    return f"{system_id}:{version}"


def unknown_system(system_id: object) -> NotFound:
    """The error for a system that is not published."""
    return NotFound(
        "system.unknown", f"there is no system {quoted(system_id)}", "prismicx system list shows those there are"
    )
