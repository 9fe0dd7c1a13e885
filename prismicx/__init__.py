"""PrismicX: one tenant boundary over PostgreSQL and MongoDB.

async with prismicx.connect() as px:
    await px.tenants.create("acme", name="Acme Ltd")
    async with px.tenant("acme") as tenant:
        async with tenant.sql("system_users") as sql:
            await sql.fetch("SELECT id, email FROM user_data.users")
"""

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
from prismicx.platform import Platform, SystemScope, TenantScope, connect
from prismicx.systems.installation import Installation
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
