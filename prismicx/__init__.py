"""PrismicX: one tenant boundary over PostgreSQL and MongoDB.

async with prismicx.connect() as px:
    await px.tenants.create("acme", name="Acme Ltd")
    async with px.tenant("acme") as tenant:
        async with tenant.sql("system_users") as sql:
            await sql.fetch("SELECT id, email FROM user_data.users")
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from prismicx.audit.values import AuditEvent, acting
    from prismicx.engines.scoped_documents import ScopedCollection, ScopedCursor
    from prismicx.engines.scoped_sql import Sql
    from prismicx.errors import (
        BoundaryViolation,
        Conflict,
        Denied,
        InvalidInput,
        NotFound,
        PrismicXError,
        Unavailable,
    )
    from prismicx.fleet.values import Options as RolloutOptions
    from prismicx.fleet.values import Selection
    from prismicx.platform import Platform, connect
    from prismicx.scopes import SystemScope, TenantScope
    from prismicx.systems.installed import Installation
    from prismicx.tenants.tenants import Tenants
    from prismicx.tenants.values import Tenant, TenantDatabase

__all__ = [
    "AuditEvent",
    "BoundaryViolation",
    "Conflict",
    "Denied",
    "Installation",
    "InvalidInput",
    "NotFound",
    "Platform",
    "PrismicXError",
    "RolloutOptions",
    "ScopedCollection",
    "ScopedCursor",
    "Selection",
    "Sql",
    "SystemScope",
    "Tenant",
    "TenantDatabase",
    "TenantScope",
    "Tenants",
    "Unavailable",
    "acting",
    "connect",
]

_HOMES = {
    "prismicx.audit.values": ("AuditEvent", "acting"),
    "prismicx.engines.scoped_documents": ("ScopedCollection", "ScopedCursor"),
    "prismicx.engines.scoped_sql": ("Sql",),
    "prismicx.errors": (
        "BoundaryViolation", "Conflict", "Denied", "InvalidInput", "NotFound", "PrismicXError", "Unavailable",
    ),
    "prismicx.fleet.values": ("RolloutOptions", "Selection"),
    "prismicx.platform": ("Platform", "connect"),
    "prismicx.scopes": ("SystemScope", "TenantScope"),
    "prismicx.systems.installed": ("Installation",),
    "prismicx.tenants.tenants": ("Tenants",),
    "prismicx.tenants.values": ("Tenant", "TenantDatabase"),
}  # fmt: skip


def __getattr__(name: str) -> object:
    """Imported when it is first asked for: the key service, which is in this package, holds no driver of an engine."""
    for home, names in _HOMES.items():
        if name in names:
            found = getattr(import_module(home), "Options" if name == "RolloutOptions" else name)
            globals()[name] = found
            return found
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
