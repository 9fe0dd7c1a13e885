"""The registry: who the tenants are, asked through a cache whose age is bounded. Reference: `tenants` Collection."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Literal, TypeVar

from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.asynchronous.collection import AsyncCollection

from prismicx.checks import check_document, check_object, check_text
from prismicx.clock import give_way, utc_milliseconds
from prismicx.engines.lost import told_when_lost
from prismicx.engines.mongo import Mongo, update_of
from prismicx.engines.transactions import transact
from prismicx.errors import Conflict, Denied, InvalidInput, NotFound, quoted
from prismicx.names import Names, check_tenant_id
from prismicx.pages import Page, check_limit, cursor_of, key_of
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
from prismicx.versions import stale

T = TypeVar("T")

_TRIES = 30
_FEW = 50
"""So many tenants are looked up one by one; of more, all that there are are read and these picked. A list is compared
with each document by servers that have no better way, so that a long one takes as long as its square."""
_CHANGEABLE = {"name", "tier", "region", "settings"}

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

    @told_when_lost
    async def list(
        self, *, status: Status | None = None, region: str | None = None, after: str | None = None, limit: int = 100
    ) -> Page[Tenant]:
        """Tenants in the order of their ids.

        Raises:
            InvalidInput: ``tenant.status_invalid``, ``tenant.invalid``, ``page.cursor_invalid`` or
                ``page.limit_invalid``.
        """
        size = check_limit(limit)
        if status is not None and status not in STATUSES:
            raise InvalidInput(
                "tenant.status_invalid", f"status is {quoted(status)}", f"use one of {', '.join(STATUSES)}"
            )
        wanted: dict[str, Any] = {} if status is None else {"status": status}
        if region is not None:
            wanted["region"] = check_text("tenant.invalid", "region", region, LABEL_LIMIT)
        if after is not None:
            wanted["tenant_id"] = {"$gt": key_of("tenants", after, str)[0]}
        found = (await self.collection("tenants")).find(wanted).sort("tenant_id").limit(size + 1)
        rows = [entry_of(document).tenant async for document in found]
        items = rows[:size]
        return Page(items, cursor_of("tenants", items[-1].tenant_id) if len(rows) > size else None)

    @told_when_lost
    async def databases(self) -> Sequence[TenantDatabase]:
        """The MongoDB databases that hold tenants' documents, by name."""
        cursor = (await self.collection("tenant_databases")).find().sort("database_name")
        return [database_of(document) async for document in cursor]

    @told_when_lost
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
        if tenants is not None and len(tenants) <= _FEW:
            wanted["tenant_id"] = {"$in": [*tenants]}
        found = (await self.collection("tenants")).find(wanted, {"_id": 0, "tenant_id": 1, "status": 1})
        states = {document["tenant_id"]: document["status"] async for document in found}
        return states if tenants is None else {name: states[name] for name in tenants if name in states}

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
            raise _half_made(tenant_id)
        raise Denied(
            f"tenant.{status}",
            f"the tenant {tenant_id} is {status}",
            f"prismicx tenant {_WAY_IN[status]} {tenant_id}",
        )

    async def update(self, tenant_id: str, *, version: str | None = None, **changes: Any) -> Tenant:
        """Change ``name``, ``tier``, ``region`` (None takes one of the last two away) or ``settings``: values by
        name, where None takes one away and what is not named stays.

        Args:
            version: of the tenant the changes were made to; without it the last writer wins.

        Raises:
            InvalidInput: ``tenant.id_invalid`` or ``tenant.invalid``.
            NotFound: ``tenant.unknown``.
            Conflict: ``tenant.changed`` when it has another version now, or somebody else changes it all the time;
                ``tenant.provisioning``.
        """
        given = _checked(changes)

        def changed(held: Tenant) -> dict[str, Any]:
            if held.status == "provisioning":
                raise _half_made(tenant_id)  # the call that finishes it is known by these values
            if "settings" not in given:
                return given
            merged = {**held.settings, **given["settings"]}
            settings = {name: value for name, value in merged.items() if value is not None}
            check_document("tenant.invalid", "settings", settings)
            return {**given, "settings": settings}

        return await self._change(tenant_id, version, changed)

    async def change_status(self, tenant_id: str, verb: Verb) -> Tenant:
        """Bring a tenant into the state a verb leads to.

        Raises:
            InvalidInput: ``tenant.id_invalid``.
            NotFound: ``tenant.unknown``.
            Conflict: ``tenant.transition`` when the verb does not lead there from its state, ``tenant.changed`` when
                somebody else changes it all the time.
        """
        sources, status = _VERBS[verb]

        def changed(held: Tenant) -> dict[str, Any]:
            if held.status not in sources:
                raise Conflict(
                    "tenant.transition",
                    f"the tenant {tenant_id} is {held.status}; {verb} takes one that is {' or '.join(sources)}",
                    _allowed(held.status),
                )
            return {"status": status}

        return await self._change(tenant_id, None, changed)

    @told_when_lost
    async def _change(self, tenant_id: str, version: str | None, changed: Callable[[Tenant], dict[str, Any]]) -> Tenant:
        """Write what `changed` makes of the tenant as it is; None takes a field away."""
        tenants = await self.collection("tenants")
        for attempt in range(_TRIES):
            held = (await self._read(check_tenant_id(tenant_id))).tenant
            if version not in (None, held.version):
                raise Conflict("tenant.changed", *stale(f"the tenant {tenant_id}", held.version, version))
            update = update_of({**changed(held), "updated_at": utc_milliseconds(after=held.changed_at)})
            done = await tenants.update_one({"tenant_id": tenant_id, "updated_at": held.updated_at}, update)
            self.forget(tenant_id)
            if done.matched_count:
                return await self.get(tenant_id)
            await give_way(attempt)
        raise Conflict("tenant.changed", f"the tenant {tenant_id} is being changed all the time", "try again")

    def forget(self, tenant_id: str) -> None:
        """Ask anew next time."""
        self._entries.forget(tenant_id)

    async def collection(self, name: str) -> AsyncCollection[dict[str, Any]]:
        """A collection of the registry, as the service ``registry``."""
        client = await self._mongo.service("registry")
        return client[self._names.server_wide(REGISTRY)][name]

    @told_when_lost
    async def in_transaction(self, work: Callable[[AsyncClientSession], Awaitable[T]]) -> T:
        """Do something to several documents of the registry, or to none.

        Args:
            work: passes the session to each of its operations. It is run again when another transaction was in the
                way or the connection was lost; an error it raises undoes what it did.
        """
        return await transact(await self._mongo.service("registry"), work)

    @told_when_lost
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


def _checked(changes: Mapping[str, Any]) -> dict[str, Any]:
    """Changes of a tenant; what its settings become is checked with those it has."""
    unknown = sorted(changes.keys() - _CHANGEABLE)
    if unknown:
        raise InvalidInput(
            "tenant.invalid",
            f"{quoted(unknown[0])} cannot be changed",
            f"changes are of {', '.join(sorted(_CHANGEABLE))}",
        )
    given = {**changes}
    if "name" in given:
        check_text("tenant.invalid", "name", given["name"], NAME_LIMIT)
    for label in ("tier", "region"):
        if given.get(label) is not None:
            check_text("tenant.invalid", label, given[label], LABEL_LIMIT)
    if "settings" in given:
        check_object("tenant.invalid", "settings", given["settings"])
    return given


def _half_made(tenant_id: str) -> Conflict:
    return Conflict(
        "tenant.provisioning",
        f"the tenant {tenant_id} is not fully provisioned",
        f"run the `prismicx tenant create {tenant_id} …` that was begun once more",
    )


def _allowed(status: Status) -> str:
    """What may become of a tenant in a state, in words."""
    if status == "provisioning":
        return "a tenant that is provisioning becomes active by itself: finish its `prismicx tenant create`"
    ways = [f"{target} ({verb})" for verb, (sources, target) in _VERBS.items() if status in sources]
    return f"from {status} it may become: {', '.join(ways)}"
