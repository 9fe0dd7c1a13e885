"""The keysets of all tenants: kept wrapped in MongoDB, opened through the key service, held open for a bounded time."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from pymongo.asynchronous.collection import AsyncCollection
from pymongo.errors import DuplicateKeyError

from prismicx.clock import give_way, utc_milliseconds
from prismicx.engines.lost import told_when_lost
from prismicx.engines.mongo import Mongo
from prismicx.errors import Conflict, Denied, InvalidInput, NotFound, PrismicXError, Unavailable
from prismicx.keys.client import Keys
from prismicx.keys.endpoint import KeyEndpoint
from prismicx.names import Names
from prismicx.reference.definitions import PLATFORM
from prismicx.sealing.fields import DATA_CLASSES, DataClass
from prismicx.sealing.keyset import Keyset, generate, restored
from prismicx.sealing.values import keyset_associated

Document = dict[str, Any]
Known = tuple[str, DataClass]

LOG = logging.getLogger("prismicx.sealing")

_TRIES = 20
_OUTAGE = 1.0
"""Seconds for which the key service is not asked again after it did not answer."""


class Keysets:
    """Opens, makes and changes keysets.

    Args:
        locate: finds the key service, when it is first needed.
        seconds: how long an opened keyset is held; a destroyed one opens nothing in this process after that time.
        limit: how many are held at most; the longest unused goes first.
    """

    def __init__(
        self, mongo: Mongo, names: Names, locate: Callable[[], KeyEndpoint], seconds: float, limit: int = 10_000
    ) -> None:
        self._mongo = mongo
        self._names = names
        self._locate = locate
        self._seconds = seconds
        self._limit = limit
        self._held: OrderedDict[Known, tuple[float, Keyset]] = OrderedDict()
        self._opening: dict[Known, asyncio.Lock] = {}
        self._outage: tuple[float, PrismicXError] | None = None
        self._client: Keys | None = None

    @property
    def keys(self) -> Keys:
        """The key service.

        Raises:
            Unavailable: ``engine.not_running`` or ``credentials.missing``.
        """
        if self._client is None:
            self._client = Keys(self._locate())
        return self._client

    def key_name(self, tenant_id: str) -> str:
        """The name of a tenant's wrapping key."""
        return self._names.wrapping_key(tenant_id)

    def known(self, tenant_id: str, data_class: DataClass) -> Keyset | None:
        """A keyset that is open."""
        held = self._held.get((tenant_id, data_class))
        return held[1] if held is not None and held[0] > time.monotonic() else None

    async def open(self, tenant_id: str, data_class: DataClass) -> Keyset | None:
        """The keyset, opened; None when there is none.

        Raises:
            Unavailable: ``keys.unavailable``, ``engine.not_running`` and others of the key service.
            Conflict: ``keys.destroyed``.
            NotFound: ``keys.unknown``: the wrapping key is not in the key service.
            Denied: ``keys.cannot_open`` when the wrapped keyset was changed; ``keys.denied``.
        """
        return self.known(tenant_id, data_class) or await self._opened(tenant_id, data_class, make=False)

    async def make(self, tenant_id: str, data_class: DataClass) -> Keyset:
        """The keyset, opened; made when there is none. Raises as `open`."""
        found = self.known(tenant_id, data_class) or await self._opened(tenant_id, data_class, make=True)
        if found is None:
            raise AssertionError("a keyset that was made is not there")
        return found

    async def with_key(self, tenant_id: str, data_class: DataClass, key_id: int) -> Keyset | None:
        """The keyset as it is now, if it has a key that the one held does not have; another process may have rotated
        it. The key service is asked only when the document says that it has. Raises as `open`."""
        document = await self.document(tenant_id, data_class)
        if document is None or key_id not in document["key_ids"]:
            return None
        self.forget(tenant_id, data_class)
        return await self.open(tenant_id, data_class)

    async def current(self, tenant_id: str, data_class: DataClass) -> Keyset | None:
        """The keyset with every key it has now: one that is held may lack what another process added. Raises as
        `open`."""
        held, document = self.known(tenant_id, data_class), await self.document(tenant_id, data_class)
        if held is not None and document is not None and set(held.key_ids) != set(document["key_ids"]):
            self.forget(tenant_id, data_class)
        return await self.open(tenant_id, data_class)

    def forget(self, tenant_id: str, data_class: DataClass | None = None) -> None:
        """Hold a tenant's opened keysets no longer."""
        for one in [data_class] if data_class else DATA_CLASSES:
            self._held.pop((tenant_id, one), None)

    @told_when_lost
    async def document(self, tenant_id: str, data_class: DataClass) -> Document | None:
        """What is kept of a keyset."""
        return await (await self.collection()).find_one({"tenant_id": tenant_id, "data_class": data_class})

    @told_when_lost
    async def documents(self, tenant_id: str) -> list[Document]:
        """What is kept of all keysets of a tenant."""
        cursor = (await self.collection()).find({"tenant_id": tenant_id}).sort("data_class")
        return [document async for document in cursor]

    async def collection(self, name: str = "keysets") -> AsyncCollection[Document]:
        """A collection of the platform, as the service ``keys``."""
        client = await self._mongo.service("keys")
        return client[self._names.server_wide(PLATFORM)][name]

    @told_when_lost
    async def server_time(self) -> datetime:
        """The time as the MongoDB server has it: one clock for all processes."""
        hello = await (await self._mongo.service("keys")).admin.command("hello")
        found: datetime = hello["localTime"]
        return found if found.tzinfo else found.replace(tzinfo=UTC)  # replies to commands are read without a zone

    @told_when_lost
    async def replace(self, document: Document, changes: Mapping[str, Any]) -> bool:
        """Change what is kept of a keyset, unless somebody else has changed it since it was read."""
        same = {key: document[key] for key in ("tenant_id", "data_class", "revision")}
        update = {"$set": dict(changes), "$inc": {"revision": 1}}
        done = await (await self.collection()).update_one({**same, "destroyed_at": None}, update)
        self.forget(document["tenant_id"], document["data_class"])
        return bool(done.matched_count)

    async def wrap(self, keyset: Keyset) -> str:
        """A keyset as the key service seals it."""
        associated = keyset_associated(keyset.tenant_id, keyset.data_class)
        return await self.keys.encrypt(self.key_name(keyset.tenant_id), keyset.plain, associated)

    async def unwrap(self, document: Document) -> Keyset:
        """The keyset of a document, opened by the key service now.

        Raises:
            PrismicXError: as `open`; InvalidInput ``keys.refused`` when the key service refuses what is wrapped.
        """
        tenant_id, data_class = document["tenant_id"], document["data_class"]
        if document.get("destroyed_at") is not None:
            raise destroyed(tenant_id)
        associated = keyset_associated(tenant_id, data_class)
        try:
            plain = await self.keys.decrypt(self.key_name(tenant_id), document["wrapped"], associated)
            return restored(tenant_id, data_class, plain)
        except Conflict as error:
            raise destroyed(tenant_id) from error
        except NotFound as error:
            raise NotFound(
                "keys.unknown",
                f"the key service has no key {self.key_name(tenant_id)}, which wraps the keys of {tenant_id}",
                "it was destroyed, or another key service is named: see key_url and key_mount",
            ) from error

    def close(self) -> None:
        """Hold nothing any more."""
        self._held.clear()
        if self._client is not None:
            self._client.close()

    async def _opened(self, tenant_id: str, data_class: DataClass, *, make: bool) -> Keyset | None:
        key = (tenant_id, data_class)
        # One asks, the others wait for what it is told.
        lock = self._opening.setdefault(key, asyncio.Lock())
        try:
            async with lock:
                known = self.known(tenant_id, data_class)
                if known is not None:
                    return known
                if self._outage is not None and self._outage[0] > time.monotonic():
                    raise self._outage[1]
                asked = time.monotonic()
                try:
                    found = await self._asked(tenant_id, data_class, make)
                except Unavailable as error:
                    self._outage = (time.monotonic() + _OUTAGE, error)
                    raise
                if found is not None:
                    self._keep(key, found, asked)
                return found
        finally:
            if not lock.locked():
                self._opening.pop(key, None)

    async def _asked(self, tenant_id: str, data_class: DataClass, make: bool) -> Keyset | None:
        for attempt in range(_TRIES):
            document = await self.document(tenant_id, data_class)
            if document is not None:
                try:
                    keyset = await self.unwrap(document)
                except InvalidInput:
                    # Its wrapping key was rotated meanwhile, and what was just read is of the version before.
                    await give_way(attempt)
                    continue
                except ValueError:
                    break
                await self._note_holding(document)
                return keyset
            if not make:
                return None
            made = await self._made(tenant_id, data_class)
            if made is not None:
                return made
        LOG.warning("the wrapped keyset %s of %s does not open", data_class, tenant_id)
        raise Denied(
            "keys.cannot_open",
            f"the keyset {data_class} of {tenant_id} does not open with its wrapping key",
            "it was changed or cut: restore the document of prismicx_platform.keysets",
        )

    @told_when_lost
    async def _made(self, tenant_id: str, data_class: DataClass) -> Keyset | None:
        """A new keyset; None when another process was faster."""
        keyset = generate(tenant_id, data_class)
        try:
            await self.keys.create(self.key_name(tenant_id))
        except Conflict as error:
            raise destroyed(tenant_id) from error
        document = {
            "tenant_id": tenant_id,
            "data_class": data_class,
            "wrapped": await self.wrap(keyset),
            "key_ids": list(keyset.key_ids),
            "revision": 1,
            "cache_seconds": self._seconds,
            "created_at": utc_milliseconds(),
        }
        try:
            await (await self.collection()).insert_one(document)
        except DuplicateKeyError:
            return None
        return keyset

    @told_when_lost
    async def _note_holding(self, document: Document) -> None:
        """Keep down for how long a process may hold the keyset: rotation waits so long before it retires a key."""
        if document.get("cache_seconds", -1.0) < self._seconds:
            same = {key: document[key] for key in ("tenant_id", "data_class")}
            await (await self.collection()).update_one(same, {"$max": {"cache_seconds": self._seconds}})

    def _keep(self, key: Known, keyset: Keyset, asked: float) -> None:
        deadline = asked + self._seconds
        self._held[key] = (deadline, keyset)
        self._held.move_to_end(key)
        if len(self._held) > self._limit:
            self._held.popitem(last=False)
        # Not only is it not used after its time: it is not in memory any more.
        asyncio.get_running_loop().call_later(max(deadline - time.monotonic(), 0), self._drop, key, deadline)

    def _drop(self, key: Known, deadline: float) -> None:
        held = self._held.get(key)
        if held is not None and held[0] <= deadline:
            del self._held[key]


def destroyed(tenant_id: str) -> Conflict:
    """What is said of everything that is sealed for a tenant whose keys were destroyed."""
    return Conflict(
        "keys.destroyed",
        f"the keys of {tenant_id} were destroyed",
        "what was sealed for it can never be read again, and nothing more is sealed for it",
    )
