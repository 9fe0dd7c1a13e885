"""The registry: who the tenants are, asked through a cache whose age is bounded. Reference: `tenants` Collection."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

from pymongo.asynchronous.collection import AsyncCollection

from prismicx.engines.mongo import Mongo
from prismicx.errors import Conflict, Denied, InvalidInput, NotFound, quoted
from prismicx.names import Names, check_tenant_id
from prismicx.reference.definitions import REGISTRY
from prismicx.remembered import Remembered
from prismicx.tenants.values import STATUSES, Entry, Status, Tenant, entry_of

PAGE_LIMIT = 1000

_ALLOWED: dict[Status, tuple[Status, ...]] = {
    "active": ("suspended",),
    "suspended": ("active",),
}
"""Which state may follow which, so far; provisioning ends in `active` by itself."""


class Registry:
    """Reads and changes the registry.

    Args:
        cache_seconds: how long an entry is trusted without asking: a change made by another process is seen after
            at most this time. Changes made here are seen at once.
    """

    def __init__(self, mongo: Mongo, names: Names, cache_seconds: float) -> None:
        self._mongo = mongo
        self._names = names
        self._entries: Remembered[str, Entry] = Remembered(cache_seconds)

    async def get(self, tenant_id: str) -> Tenant:
        """A tenant, whatever its state.

        Raises:
            InvalidInput: ``tenant.id_invalid``.
            NotFound: ``tenant.unknown``.
        """
        return (await self._read(check_tenant_id(tenant_id))).tenant

    async def list(
        self, *, status: Status | None = None, region: str | None = None, after: str = "", limit: int = 100
    ) -> list[Tenant]:
        """Tenants in the order of their ids.

        Args:
            after: the last id of the page before; empty for the first page.
            limit: at most so many, 1 to 1000.

        Raises:
            InvalidInput: ``tenant.status_invalid``, ``tenant.limit_invalid``.
        """
        if status is not None and status not in STATUSES:
            raise InvalidInput(
                "tenant.status_invalid", f"status is {quoted(status)}", f"use one of {', '.join(STATUSES)}"
            )
        if not isinstance(limit, int) or not 1 <= limit <= PAGE_LIMIT:
            raise InvalidInput("tenant.limit_invalid", f"limit is {quoted(limit)}", f"use 1 to {PAGE_LIMIT}")
        wanted: dict[str, Any] = {"tenant_id": {"$gt": str(after)}}
        if status is not None:
            wanted["status"] = status
        if region is not None:
            wanted["region"] = str(region)
        tenants = await self.collection("tenants")
        cursor = tenants.find(wanted).sort("tenant_id").limit(limit)
        return [entry_of(document).tenant async for document in cursor]

    def known(self, tenant_id: str) -> Entry | None:
        """The entry of an active tenant, if it is known without asking; None says nothing."""
        entry = self._entries.get(tenant_id) if isinstance(tenant_id, str) else None
        return entry if entry is not None and entry.tenant.status == "active" else None

    async def routable(self, tenant_id: str) -> Entry:
        """The entry of a tenant whose data may be reached now.

        Raises:
            InvalidInput: ``tenant.id_invalid``.
            NotFound: ``tenant.unknown``.
            Denied: ``tenant.suspended`` or ``tenant.inactive``.
            Conflict: ``tenant.provisioning`` when its provisioning has not ended.
        """
        entry = self._entries.get(check_tenant_id(tenant_id)) or await self._read(tenant_id)
        status = entry.tenant.status
        if status == "active":
            return entry
        if status == "provisioning":
            raise Conflict(
                "tenant.provisioning",
                f"the tenant {tenant_id} is not fully provisioned",
                f"run the `prismicx tenant create {tenant_id} …` that was begun once more",
            )
        raise Denied(
            f"tenant.{status}",
            f"the tenant {tenant_id} is {status}",
            f"prismicx tenant resume {tenant_id}" if status == "suspended" else "",
        )

    async def change_status(self, tenant_id: str, status: Status) -> Tenant:
        """Suspend an active tenant (``suspended``) or resume a suspended one (``active``).

        Raises:
            NotFound: ``tenant.unknown``.
            Conflict: ``tenant.transition`` when its state does not lead there.
        """
        check_tenant_id(tenant_id)
        sources = [source for source, targets in _ALLOWED.items() if status in targets]
        tenants = await self.collection("tenants")
        done = await tenants.update_one(
            {"tenant_id": tenant_id, "status": {"$in": sources}},
            {"$set": {"status": status, "updated_at": now()}},
        )
        self.forget(tenant_id)
        tenant = await self.get(tenant_id)
        if done.matched_count == 0:
            allowed = ", ".join(_ALLOWED.get(tenant.status, ())) or "nothing"
            raise Conflict(
                "tenant.transition",
                f"the tenant {tenant_id} is {tenant.status}, which does not lead to {status}",
                f"from {tenant.status} it may become: {allowed}",
            )
        return tenant

    def forget(self, tenant_id: str) -> None:
        """Ask anew next time."""
        self._entries.forget(tenant_id)

    async def collection(self, name: str) -> AsyncCollection[dict[str, Any]]:
        """A collection of the registry, as the service ``registry``."""
        client = await self._mongo.service("registry")
        return client[self._names.server_wide(REGISTRY)][name]

    async def _read(self, tenant_id: str) -> Entry:
        asked = time.monotonic()
        document = await (await self.collection("tenants")).find_one({"tenant_id": tenant_id})
        if document is None:
            self.forget(tenant_id)
            raise NotFound(
                "tenant.unknown", f"there is no tenant {tenant_id}", "prismicx tenant list shows those there are"
            )
        entry = entry_of(document)
        self._entries.keep(tenant_id, entry, asked)
        return entry


def now() -> datetime:
    """The time, UTC, in the milliseconds that MongoDB keeps."""
    moment = datetime.now(UTC)
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)
