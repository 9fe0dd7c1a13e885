"""Names of everything a tenant owns in both engines: pure, injective, checked for length.

Reference: "Tenant-Specific Schemas", "Views" of the user extensions, "User Insights Database".

A tenant id has no ``_`` and no double ``-``, so replacing ``-`` by ``_`` loses nothing and no plain name
ever holds ``__``. That keeps ``__`` free for two marks: after a namespace, and before the hash of a name
that had to be shortened.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from hashlib import sha256

from prismicx.errors import InvalidInput, quoted

POSTGRES_LIMIT = 63
"""Bytes of a PostgreSQL identifier (NAMEDATALEN - 1)."""
MONGO_DATABASE_LIMIT = 63
"""Bytes of a MongoDB database name."""
TRIAL = "prismicx-trial"
"""Named as a tenant, so that its schemas and roles are named as a tenant's: where publications are tried."""
TENANT_ID_LIMIT = 50
"""Characters of a tenant id (VARCHAR(50) in the reference)."""
SYSTEM_TYPE_LIMIT = 50

_TENANT_ID = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
_SYSTEM_TYPE = re.compile(r"[a-z][a-z0-9]*")
_NAMESPACE = re.compile(r"[a-z][a-z0-9]{0,11}")
_HASH_DIGITS = 16


def check_tenant_id(value: object) -> str:
    """The value as a tenant id.

    Raises:
        InvalidInput: ``tenant.id_invalid`` unless it is a string of 1 to 50 characters ``a-z 0-9`` with
            single ``-`` inside.
    """
    if isinstance(value, str) and len(value) <= TENANT_ID_LIMIT and _TENANT_ID.fullmatch(value) and value != TRIAL:
        return value
    raise InvalidInput(
        "tenant.id_invalid",
        f"{quoted(value)} is not a tenant id" + (", it is kept for trials" if value == TRIAL else ""),
        f"use 1 to {TENANT_ID_LIMIT} characters a-z and 0-9, with single '-' inside, such as acme-north",
    )


def check_system_type(value: object) -> str:
    """The value as the type of a management system, the last segment of its tenants' schema names.

    Raises:
        InvalidInput: ``system.type_invalid``.
    """
    if isinstance(value, str) and len(value) <= SYSTEM_TYPE_LIMIT and _SYSTEM_TYPE.fullmatch(value):
        return value
    raise InvalidInput(
        "system.type_invalid",
        f"{quoted(value)} is not a type of management system",
        f"use a letter a-z, then letters and digits, at most {SYSTEM_TYPE_LIMIT} in all, such as crm",
    )


def check_namespace(value: object) -> str:
    """The value as a namespace; empty for the one platform that owns its servers.

    Raises:
        InvalidInput: ``settings.namespace_invalid``.
    """
    if value == "" or (isinstance(value, str) and _NAMESPACE.fullmatch(value)):
        return str(value)
    raise InvalidInput(
        "settings.namespace_invalid",
        f"{quoted(value)} is not a namespace",
        "use a letter a-z, then at most 11 letters and digits, or leave it empty",
    )


def shorten(name: str, limit: int) -> str:
    """The name itself if it fits, else its beginning, ``__`` and a hash of the whole (64 bits)."""
    if len(name.encode()) <= limit:
        return name
    digest = sha256(name.encode()).hexdigest()[:_HASH_DIGITS]
    return f"{name[: limit - _HASH_DIGITS - 2]}__{digest}"


@dataclass(frozen=True, slots=True)
class Names:
    """The names one platform uses.

    The namespace goes before what belongs to a whole server (databases, roles, users), so that several
    platforms can share one; schemas, tables and views live inside a database and keep the plain names of
    the reference. It is empty by default.
    """

    namespace: str = ""

    def __post_init__(self) -> None:
        check_namespace(self.namespace)

    def server_wide(self, name: str, limit: int = POSTGRES_LIMIT) -> str:
        """``system_users`` or ``prismicx_users`` as the server knows it."""
        return shorten(f"{self.namespace}__{name}" if self.namespace else name, limit)

    def service(self, service: str) -> str:
        """The PostgreSQL role or MongoDB user of a service: ``users`` gives ``prismicx_users``."""
        return self.server_wide(f"prismicx_{service}")

    def tenant_role(self, tenant_id: str) -> str:
        """The role that reads and writes the tenant's schemas."""
        return self.server_wide(f"tenant_{_snake(tenant_id)}")

    def tenant_owner(self, tenant_id: str) -> str:
        """The role that owns the tenant's schemas and runs their migrations."""
        return self.server_wide(f"owner_{_snake(tenant_id)}")

    def tenant_database(self, tenant_id: str) -> str:
        """The tenant's own MongoDB database: ``001`` gives ``tenant_001_db``."""
        return self.server_wide(f"tenant_{_snake(tenant_id)}_db", MONGO_DATABASE_LIMIT)

    def shared_database(self, number: int) -> str:
        """The n-th MongoDB database that holds the insights of many tenants."""
        return self.server_wide(f"shared_insights_{number}", MONGO_DATABASE_LIMIT)

    def wrapping_key(self, tenant_id: str) -> str:
        """The tenant's key in the key service: ``acme`` gives ``tenant_acme``."""
        return self.tenant_role(tenant_id)

    def schema(self, tenant_id: str, system_type: str) -> str:
        """``tenant-001`` and ``crm`` give ``tenant_tenant_001_crm``."""
        name = f"tenant_{_snake(tenant_id)}_{check_system_type(system_type)}"
        return shorten(name, POSTGRES_LIMIT)

    def extensions_view(self, tenant_id: str) -> str:
        """``acme`` gives ``tenant_acme_extensions``, in the schema ``user_extensions``."""
        return shorten(f"tenant_{_snake(tenant_id)}_extensions", POSTGRES_LIMIT)


def _snake(tenant_id: str) -> str:
    return (tenant_id if tenant_id == TRIAL else check_tenant_id(tenant_id)).replace("-", "_")
