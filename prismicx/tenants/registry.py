"""The registry: who the tenants are, asked through a cache whose age is bounded. Reference: `tenants` Collection."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Literal, TypeVar

from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.asynchronous.collection import AsyncCollection

from prismicx.checks import check_object, check_text
from prismicx.clock import give_way, utc_milliseconds
from prismicx.engines.mongo import Mongo
from prismicx.errors import Conflict, Denied, InvalidInput, NotFound, quoted
from prismicx.names import Names, check_tenant_id
from prismicx.pages import PAGE_LIMIT
from prismicx.reference.definitions import REGISTRY
from prismicx.remembered import Remembered
from prismicx.tenants.values import (
    LABEL_LIMIT,
    NAME_LIMIT,
    STATUSES,
    Entry,
    Status,
    Tenant,
    TenantDatabase,
    database_of,
    entry_of,
)

T = TypeVar("T")

_TRIES = 30

Verb = Literal["suspend", "resume", "deactivate", "activate"]

_VERBS: dict[Verb, tuple[tuple[Status, ...], Status]] = {
    "suspend": (("active",), "suspended"),
    "resume": (("suspended",), "active"),
    "deactivate": (("active", "suspended"), "inactive"),
    "activate": (("inactive",), "active"),
}
"""From which states a verb leads to which; provisioning ends in `active` by itself."""

_WAY_IN: dict[Status, Verb] = {"suspended": "resume", "inactive": "activate"}
"""What lets a tenant in again."""


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

    async def entry(self, tenant_id: str) -> Entry:
        """As `get`, with what it takes to reach its data."""
        return await self._read(check_tenant_id(tenant_id))

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
        for label, text in (("after", after), ("region", region)):
            if text:
                check_text("tenant.invalid", label, text, LABEL_LIMIT)
        wanted: dict[str, Any] = {"tenant_id": {"$gt": after}}
        if status is not None:
            wanted["status"] = status
        if region is not None:
            wanted["region"] = str(region)
        tenants = await self.collection("tenants")
        cursor = tenants.find(wanted).sort("tenant_id").limit(limit)
        return [entry_of(document).tenant async for document in cursor]

    async def databases(self) -> Sequence[TenantDatabase]:
        """The MongoDB databases that hold tenants' documents, by name."""
        cursor = (await self.collection("tenant_databases")).find().sort("database_name")
        return [database_of(document) async for document in cursor]

    async def standings(
        self,
        tenants: Sequence[str] | None = None,
        *,
        tiers: Sequence[str] = (),
        regions: Sequence[str] = (),
        tags: Sequence[str] = (),
    ) -> dict[str, Status]:
        """States of tenants, by id: of those named that there are, or of all; only with one of the labels of each
        kind, if any are named. Tags are in the setting of that name."""
        labels = {"tier": tiers, "region": regions, "settings.tags": tags}
        wanted: dict[str, Any] = {field: {"$in": [*values]} for field, values in labels.items() if values}
        if tenants is not None:
            wanted["tenant_id"] = {"$in": [*tenants]}
        found = (await self.collection("tenants")).find(wanted, {"_id": 0, "tenant_id": 1, "status": 1})
        return {document["tenant_id"]: document["status"] async for document in found}

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
            f"prismicx tenant {_WAY_IN[status]} {tenant_id}",
        )

    async def update(
        self,
        tenant_id: str,
        *,
        name: str | None = None,
        tier: str | None = None,
        region: str | None = None,
        settings: Mapping[str, Any] | None = None,
    ) -> Tenant:
        """Change what is known of a tenant; what is not given stays.

        Args:
            settings: changes of the settings, by name; None takes a setting away.

        Raises:
            InvalidInput: ``tenant.id_invalid`` or ``tenant.invalid``.
            NotFound: ``tenant.unknown``.
            Conflict: ``tenant.changed`` when somebody else changes it all the time.
        """
        changes: dict[str, Any] = {}
        if name is not None:
            changes["name"] = check_text("tenant.invalid", "name", name, NAME_LIMIT)
        for label, value in (("tier", tier), ("region", region)):
            if value is not None:
                changes[label] = check_text("tenant.invalid", label, value, LABEL_LIMIT)
        if settings is not None:
            check_object("tenant.invalid", "settings", settings)
        tenants = await self.collection("tenants")
        for attempt in range(_TRIES):
            held = (await self._read(check_tenant_id(tenant_id))).tenant
            if settings is not None:
                merged = {**held.settings, **settings}
                changes["settings"] = {key: value for key, value in merged.items() if value is not None}
                check_object("tenant.invalid", "settings", changes["settings"])
            moment = utc_milliseconds(after=held.updated_at or held.created_at)
            done = await tenants.update_one(
                {"tenant_id": tenant_id, "updated_at": held.updated_at}, {"$set": {**changes, "updated_at": moment}}
            )
            self.forget(tenant_id)
            if done.matched_count:
                return await self.get(tenant_id)
            await give_way(attempt)
        raise Conflict("tenant.changed", f"the tenant {tenant_id} is being changed all the time", "try again")

    async def change_status(self, tenant_id: str, verb: Verb) -> Tenant:
        """Bring a tenant into the state a verb leads to.

        Raises:
            InvalidInput: ``tenant.id_invalid``.
            NotFound: ``tenant.unknown``.
            Conflict: ``tenant.transition`` when the verb does not lead there from its state.
        """
        check_tenant_id(tenant_id)
        sources, status = _VERBS[verb]
        tenants = await self.collection("tenants")
        done = await tenants.update_one(
            {"tenant_id": tenant_id, "status": {"$in": list(sources)}},
            {"$set": {"status": status, "updated_at": utc_milliseconds()}},
        )
        self.forget(tenant_id)
        tenant = await self.get(tenant_id)
        if done.matched_count == 0:
            raise Conflict(
                "tenant.transition",
                f"the tenant {tenant_id} is {tenant.status}; {verb} takes one that is {' or '.join(sources)}",
                _allowed(tenant.status),
            )
        return tenant

    def forget(self, tenant_id: str) -> None:
        """Ask anew next time."""
        self._entries.forget(tenant_id)

    async def collection(self, name: str) -> AsyncCollection[dict[str, Any]]:
        """A collection of the registry, as the service ``registry``."""
        client = await self._mongo.service("registry")
        return client[self._names.server_wide(REGISTRY)][name]

    async def in_transaction(self, work: Callable[[AsyncClientSession], Awaitable[T]]) -> T:
        """Do something to several documents of the registry, or to none.

        Args:
            work: passes the session to each of its operations. It is run again when another transaction was in the
                way; an error it raises undoes what it did.
        """
        client = await self._mongo.service("registry")
        async with client.start_session() as session:
            return await session.with_transaction(work)

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


def _allowed(status: Status) -> str:
    """What may become of a tenant in a state, in words."""
    if status == "provisioning":
        return "a tenant that is provisioning becomes active by itself: finish its `prismicx tenant create`"
    ways = [f"{target} ({verb})" for verb, (sources, target) in _VERBS.items() if status in sources]
    return f"from {status} it may become: {', '.join(ways)}"
