"""New keys on both levels, and everything that is sealed brought under them, while it is read and written.

A wrapping key gets a new version, the keysets are rewrapped by it, and older versions open nothing any more. A keyset
gets a new key that seals from now on; values are sealed anew when they are written and by `Rotation.seal`; a key that
sealed none of them any more is retired.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from prismicx.clock import give_way
from prismicx.errors import Conflict, NotFound, Unavailable
from prismicx.keys.client import version_of
from prismicx.sealing.fields import SEARCH, Field
from prismicx.sealing.keysets import Document, Keysets
from prismicx.sealing.places import Place, Tally
from prismicx.sealing.values import keyset_associated

Progress = Callable[[Field, int], None]

GRACE = 60.0
"""Seconds beyond the time for which keysets are held that a write may take which began with the key before."""

_TRIES = 50


@dataclass(frozen=True, slots=True)
class WrappingKey:
    """A tenant's key in the key service.

    Attributes:
        version: the one that wraps; 0 when the tenant has no key yet.
        oldest_version: older ones open nothing.
    """

    name: str
    version: int
    oldest_version: int


@dataclass(frozen=True, slots=True)
class KeysetStatus:
    """A keyset of a tenant.

    Attributes:
        primary: the id of the key that seals.
        older: ids of the keys that only open any more.
        wrapped_by: the version of the wrapping key.
        values: how many values each key sealed, or hashed; keys without any are left out.
        plain: values that are to be sealed and are not yet.
        damaged: values that look sealed and have not the form.
        retires_after: when older keys may be retired, once no value is under them.
    """

    data_class: str
    primary: int
    older: tuple[int, ...]
    wrapped_by: int
    values: dict[int, int]
    plain: int
    damaged: int
    retires_after: datetime | None
    destroyed_at: datetime | None


@dataclass(frozen=True, slots=True)
class Sealing:
    """What a pass over the values did.

    Attributes:
        sealed: values sealed anew, by the place.
        retired: ids of keys that were retired.
        waiting: until when keys that seal nothing any more are kept, because processes may still hold them, by the
            clock of MongoDB's server.
        wait_seconds: how long that is from now.
        left: values that are still under older keys, or plain.
    """

    sealed: dict[str, int]
    retired: tuple[int, ...]
    waiting: datetime | None
    wait_seconds: float
    left: int


class Rotation:
    """Rotates the keys of tenants.

    Args:
        places: where a tenant's sealed values are.
        grace: see `GRACE`.
    """

    def __init__(self, keysets: Keysets, places: Callable[[str], Sequence[Place]], grace: float = GRACE) -> None:
        self._keysets = keysets
        self._places = places
        self._grace = timedelta(seconds=grace)

    async def wrapping_key(self, tenant_id: str) -> WrappingKey:
        """What the key service knows of a tenant's key. Raises as `Keysets.open`."""
        name = self._keysets.key_name(tenant_id)
        try:
            info = await self._keysets.keys.read(name)
        except NotFound:
            return WrappingKey(name, 0, 0)
        return WrappingKey(name, info.latest_version, info.min_decryption_version)

    async def rotate_wrapping_key(self, tenant_id: str) -> WrappingKey:
        """Give a tenant's wrapping key another version and rewrap the keysets; older versions open nothing then.

        Raises:
            PrismicXError: as `Keysets.open`.
            Conflict: ``keys.busy`` when keysets are being changed all the time.
        """
        if not await self._live(tenant_id):
            return await self.wrapping_key(tenant_id)
        keys, name = self._keysets.keys, self._keysets.key_name(tenant_id)
        version = await self._new_version(name)
        await self._rewrap(tenant_id, version)
        for _ in range(_TRIES):
            if (await keys.read(name)).min_decryption_version < version:  # another rotation may be further already
                await keys.configure(name, min_decryption_version=version)
            # A keyset that was made meanwhile may have been wrapped by the version before.
            late = [version_of(document["wrapped"]) for document in await self._live(tenant_id)]
            oldest = min(late, default=version)
            if oldest == version:
                return await self.wrapping_key(tenant_id)
            if oldest < version:
                await keys.configure(name, min_decryption_version=oldest)
                await self._rewrap(tenant_id, version)
            else:  # another rotation came further, and its bound may have been lowered here
                version = oldest
        raise _busy(tenant_id)

    async def add_data_keys(self, tenant_id: str) -> int:
        """Give each keyset of a tenant another key, which seals from now on; how many keysets there are.

        Raises:
            PrismicXError: as `Keysets.open`.
            Conflict: ``keys.busy``.
        """
        documents = await self._live(tenant_id)
        for document in documents:
            held = document
            for attempt in range(_TRIES):
                keyset = (await self._keysets.unwrap(held)).with_new_key()
                changes = {
                    "wrapped": await self._keysets.wrap(keyset),
                    "key_ids": list(keyset.key_ids),
                    "rotated_at": await self._keysets.server_time(),
                }
                if await self._keysets.replace(held, changes):
                    break
                await give_way(attempt)
                held = await self._keysets.document(tenant_id, document["data_class"]) or held
            else:
                raise _busy(tenant_id)
        return len(documents)

    async def seal(self, tenant_id: str, progress: Progress = lambda _field, _count: None) -> Sealing:
        """Bring every value of a tenant under the keys that seal now, and retire keys that sealed none any more.

        Cut off, it is called once more and goes on.

        Raises:
            PrismicXError: as `Keysets.open`, and as the places' engines do.
        """
        for document in await self._live(tenant_id):
            self._keysets.forget(tenant_id, document["data_class"])  # another process may have rotated it
        sealed = {}
        for place in self._places(tenant_id):
            field = place.field
            sealed[field.path] = await place.reseal(lambda count, field=field: progress(field, count))  # type: ignore[misc]
        began = await self._keysets.server_time()
        tallies = await self._tallies(tenant_id)
        retired: list[int] = []
        waiting: datetime | None = None
        for document in await self._live(tenant_id):
            unused = set(document["key_ids"][1:]) - _used(document["data_class"], tallies).keys()
            if not unused:
                continue
            ready = self._retires_after(document)
            if began < ready:
                waiting = max(waiting or ready, ready)
            elif await self._retire(document, unused):
                retired += sorted(unused)
        left = sum(tally.plain for _, tally in tallies)
        for document in await self._live(tenant_id):
            used = _used(document["data_class"], tallies)
            left += sum(count for key_id, count in used.items() if key_id != document["key_ids"][0])
        seconds = (waiting - began).total_seconds() if waiting is not None else 0.0
        return Sealing(sealed, tuple(retired), waiting, seconds, left)

    async def status(self, tenant_id: str) -> list[KeysetStatus]:
        """The keysets of a tenant, and how many values each key sealed. It reads all of them."""
        tallies = await self._tallies(tenant_id)
        found = []
        for document in await self._keysets.documents(tenant_id):
            data_class, key_ids = document["data_class"], document["key_ids"]
            mine = [tally for field, tally in tallies if field.data_class == data_class]
            used = _used(data_class, tallies)
            found.append(
                KeysetStatus(
                    data_class,
                    key_ids[0] if key_ids else 0,
                    tuple(key_ids[1:]),
                    version_of(document.get("wrapped", "")),
                    {key_id: count for key_id, count in used.items() if key_id is not None},
                    sum(tally.plain for tally in mine),
                    sum(tally.keys[None] for tally in mine),
                    self._retires_after(document) if key_ids[1:] else None,
                    document.get("destroyed_at"),
                )
            )
        return found

    async def _new_version(self, name: str) -> int:
        for attempt in range(_TRIES):
            try:
                return (await self._keysets.keys.rotate(name)).latest_version
            except Unavailable as error:
                # OpenBao lets one of two fail who rotate a key at the same moment. A version too many does no harm.
                if error.code != "keys.failed" or attempt == _TRIES - 1:
                    raise
                await give_way(attempt)
        raise AssertionError("no attempt was made")

    async def _live(self, tenant_id: str) -> list[Document]:
        """The documents of keysets that were not destroyed."""
        return [item for item in await self._keysets.documents(tenant_id) if item.get("destroyed_at") is None]

    async def _tallies(self, tenant_id: str) -> list[tuple[Field, Tally]]:
        return [(place.field, await place.tally()) for place in self._places(tenant_id)]

    def _retires_after(self, document: Document) -> datetime:
        """When nobody seals with the keys before any more."""
        since: datetime = document.get("rotated_at") or document["created_at"]
        return since + timedelta(seconds=document.get("cache_seconds", 0.0)) + self._grace

    async def _rewrap(self, tenant_id: str, version: int) -> None:
        for attempt in range(_TRIES):
            older = [item for item in await self._live(tenant_id) if version_of(item["wrapped"]) < version]
            if not older:
                return
            for document in older:
                associated = keyset_associated(tenant_id, document["data_class"])
                name = self._keysets.key_name(tenant_id)
                wrapped = await self._keysets.keys.rewrap(name, document["wrapped"], associated)
                await self._keysets.replace(document, {"wrapped": wrapped})
            await give_way(attempt)
        raise _busy(tenant_id)

    async def _retire(self, document: Document, unused: set[int]) -> bool:
        keyset = (await self._keysets.unwrap(document)).without(unused)
        changes = {"wrapped": await self._keysets.wrap(keyset), "key_ids": list(keyset.key_ids)}
        return await self._keysets.replace(document, changes)


def _used(data_class: str, tallies: Sequence[tuple[Field, Tally]]) -> Counter[int | None]:
    """How many values are under each key of a class."""
    used: Counter[int | None] = Counter()
    for field, tally in tallies:
        if data_class == SEARCH:
            used.update(tally.search)
        elif field.data_class == data_class:
            used.update({key_id: count for key_id, count in tally.keys.items() if key_id is not None})
    return used


def _busy(tenant_id: str) -> Conflict:
    return Conflict("keys.busy", f"the keysets of {tenant_id} are being changed all the time", "try again")
