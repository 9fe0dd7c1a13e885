"""What is known of a tenant, and the rules its values obey. Reference: Tenant Registry Database."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from prismicx.checks import check_text
from prismicx.errors import InvalidInput, quoted
from prismicx.names import check_tenant_id
from prismicx.secret import Secret
from prismicx.versions import version_of

Placement = Literal["dedicated", "shared"]
Status = Literal["active", "inactive", "suspended", "provisioning"]
DatabaseStatus = Literal["active", "provisioning", "decommissioning", "archived"]

PLACEMENTS: tuple[Placement, ...] = ("dedicated", "shared")
STATUSES: tuple[Status, ...] = ("active", "inactive", "suspended", "provisioning")

NAME_LIMIT = 200
LABEL_LIMIT = 50


@dataclass(frozen=True, slots=True)
class Tenant:
    """A tenant as everybody may see it: without the connection string.

    Attributes:
        placement: ``dedicated`` (a database of its own) or ``shared``.
        database: the MongoDB database that holds its insights.
        created_at, updated_at: aware, UTC.
    """

    tenant_id: str
    name: str
    status: Status
    placement: Placement
    database: str
    created_at: datetime
    updated_at: datetime | None = None
    tier: str | None = None
    region: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def version(self) -> str:
        """Changes with every change of the tenant; for `Tenants.update`."""
        return version_of(self.changed_at)

    @property
    def changed_at(self) -> datetime:
        """When it was changed last, or made."""
        return self.updated_at or self.created_at


@dataclass(frozen=True, slots=True)
class TenantDatabase:
    """A MongoDB database that holds tenants' documents, and whose they are.

    Attributes:
        type: ``dedicated`` (of one tenant) or ``shared``.
        status: ``provisioning`` until the first tenant in it is active.
        server: the host it was made on; no login is told.
        created_at: aware, UTC.
    """

    name: str
    type: Placement
    status: DatabaseStatus
    tenants: tuple[str, ...]
    server: str | None
    region: str | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class NewTenant:
    """The values a tenant is made of, checked.

    Raises:
        InvalidInput: ``tenant.id_invalid`` or ``tenant.invalid``.
    """

    tenant_id: str
    name: str
    placement: Placement = "dedicated"
    tier: str | None = None
    region: str | None = None

    def __post_init__(self) -> None:
        check_tenant_id(self.tenant_id)
        check_text("tenant.invalid", "name", self.name, NAME_LIMIT)
        if self.placement not in PLACEMENTS:
            raise InvalidInput(
                "tenant.invalid",
                f"isolation is {quoted(self.placement)}",
                f"use one of {', '.join(PLACEMENTS)}",
            )
        for label in ("tier", "region"):
            if getattr(self, label) is not None:
                check_text("tenant.invalid", label, getattr(self, label), LABEL_LIMIT)


@dataclass(frozen=True, slots=True)
class Entry:
    """A tenant with what a scope needs to reach it; it is kept inside the library.

    Attributes:
        connection_string: as it is stored: sealed, unless an earlier release wrote it.
    """

    tenant: Tenant
    connection_string: Secret


def entry_of(document: Mapping[str, Any]) -> Entry:
    """The entry of a document of the registry."""
    config = document["database_config"]
    tenant = Tenant(
        document["tenant_id"],
        document["name"],
        document["status"],
        config["type"],
        config.get("database_name", ""),
        document["created_at"],
        document.get("updated_at"),
        document.get("tier"),
        document.get("region"),
        document.get("settings", {}),
    )
    return Entry(tenant, Secret(config["connection_string"]))


def database_of(document: Mapping[str, Any]) -> TenantDatabase:
    """What a document of ``tenant_databases`` says."""
    return TenantDatabase(
        document["database_name"],
        document["type"],
        document["status"],
        tuple(document.get("tenants", ())),
        document.get("server"),
        document.get("region"),
        document["created_at"],
    )
