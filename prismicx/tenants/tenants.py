"""The tenants of a platform, as its users have them. Reference: Tenant Registry Database."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from prismicx.audit.tracing import Trace, audited
from prismicx.pages import Page
from prismicx.tenants.provisioning import Provisioning
from prismicx.tenants.registry import Registry
from prismicx.tenants.values import NewTenant, Placement, Status, Tenant, TenantDatabase


class Tenants:
    """The tenants of a platform.

    Args:
        check_preferences: sees what a tenant's users are to prefer by default, and raises what is wrong with it.
    """

    def __init__(
        self,
        registry: Registry,
        provisioning: Provisioning,
        check_preferences: Callable[[object], Awaitable[None]],
        trace: Trace,
    ) -> None:
        self._check_preferences = check_preferences
        self._trace = trace
        self._registry = registry
        self._provisioning = provisioning

    @audited("tenant.create", tenant="tenant_id", given=("isolation",))
    async def create(
        self,
        tenant_id: str,
        *,
        name: str,
        tier: str | None = None,
        region: str | None = None,
        isolation: Placement = "dedicated",
    ) -> Tenant:
        """Provision a tenant in both engines; after a call that was cut off, the same call finishes it.

        Args:
            isolation: ``dedicated`` gives it a MongoDB database of its own, ``shared`` a place in one of many.

        Raises:
            InvalidInput: ``tenant.id_invalid`` or ``tenant.invalid``.
            Conflict: ``tenant.exists`` or ``tenant.provisioning_differs``.
            Unavailable: an engine cannot be used.
        """
        return await self._provisioning.create(NewTenant(tenant_id, name, isolation, tier, region))

    async def get(self, tenant_id: str) -> Tenant:
        """See `Registry.get`."""
        return await self._registry.get(tenant_id)

    async def list(
        self, *, status: Status | None = None, region: str | None = None, after: str | None = None, limit: int = 100
    ) -> Page[Tenant]:
        """See `Registry.list`."""
        return await self._registry.list(status=status, region=region, after=after, limit=limit)

    async def databases(self) -> Sequence[TenantDatabase]:
        """The MongoDB databases that hold tenants' documents, by name, and whose they are."""
        return await self._registry.databases()

    @audited("tenant.update", tenant="tenant_id")
    async def update(self, tenant_id: str, *, version: str | None = None, **changes: Any) -> Tenant:
        """See `Registry.update`. The setting ``preferences`` holds what its users prefer by default, by key.

        Raises:
            InvalidInput: ``preference.invalid`` when a default is not what was registered of its key.
        """
        settings = changes.get("settings")
        if isinstance(settings, Mapping) and settings.get("preferences") is not None:
            await self._check_preferences(settings["preferences"])
        return await self._registry.update(tenant_id, version=version, **changes)

    @audited("tenant.suspend", tenant="tenant_id")
    async def suspend(self, tenant_id: str) -> Tenant:
        """Refuse new scopes of an active tenant for a while; its data stays.

        Raises:
            NotFound: ``tenant.unknown``.
            Conflict: ``tenant.transition`` when it is not active.
        """
        return await self._registry.change_status(tenant_id, "suspend")

    @audited("tenant.resume", tenant="tenant_id")
    async def resume(self, tenant_id: str) -> Tenant:
        """Let a suspended tenant in again; an inactive one takes `activate`.

        Raises:
            NotFound: ``tenant.unknown``.
            Conflict: ``tenant.transition`` when it is not suspended.
        """
        return await self._registry.change_status(tenant_id, "resume")

    @audited("tenant.deactivate", tenant="tenant_id")
    async def deactivate(self, tenant_id: str) -> Tenant:
        """Close an active or suspended tenant, such as one that left: new scopes are refused, its data stays.

        Raises:
            NotFound: ``tenant.unknown``.
            Conflict: ``tenant.transition`` when it is inactive, or not fully provisioned.
        """
        return await self._registry.change_status(tenant_id, "deactivate")

    @audited("tenant.activate", tenant="tenant_id")
    async def activate(self, tenant_id: str) -> Tenant:
        """Let an inactive tenant in again; a suspended one takes `resume`.

        Raises:
            NotFound: ``tenant.unknown``.
            Conflict: ``tenant.transition`` when it is not inactive.
        """
        return await self._registry.change_status(tenant_id, "activate")
