"""What a tenant has beside a system, and whether it is what a version of that system needs."""

from __future__ import annotations

import json
from typing import Any

from prismicx.engines.postgres import PooledConnection
from prismicx.systems import requirements
from prismicx.systems.guard import guard_of, related_versions
from prismicx.systems.records import queries


async def check_needs(connection: PooledConnection, tenant_id: str, system_id: str, target: Any) -> str | None:
    """See that a version has what it needs, and that what needs the system takes this version; how that is seen again
    where a step is a transaction of its own.

    Args:
        target: the row of the version.

    Raises:
        Conflict: ``system.incompatible`` or ``system.dependency``.
    """
    needed, found = (
        json.loads(target["compatibility"] or "{}"),
        requirements.platform_parts(connection.get_server_version()),
    )
    requirements.check_compatible(system_id, target["version"], needed, found)
    wanted = requirements.held_of(system_id, target)
    # What this version needs stays as it is until the end, and so does this system for what needs it.
    await connection.execute(queries.hold_versions, list(wanted.dependencies))
    installed = await installed_beside(connection)
    installed.pop(system_id, None)
    related = await related_versions(connection, system_id, wanted)
    requirements.check_dependencies(tenant_id, wanted, installed, requirements.by_system(related))
    return guard_of(system_id, wanted, related)


async def installed_beside(connection: PooledConnection) -> dict[str, requirements.Held]:
    """What the tenant of the transaction has, by system."""
    return {
        row["system_id"]: requirements.held_of(row["system_id"], row)
        for row in await connection.fetch(queries.installed_dependencies)
    }
