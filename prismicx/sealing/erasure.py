"""The end of a tenant's keys: nothing that was sealed for it opens any more, and a receipt says how that was seen."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from pymongo.errors import DuplicateKeyError

from prismicx.clock import give_way
from prismicx.engines.lost import told_when_lost
from prismicx.errors import Conflict, InvalidInput, NotFound, PrismicXError
from prismicx.keys.client import KeyInfo, version_of
from prismicx.sealing.fields import DATA_CLASSES
from prismicx.sealing.keysets import Document, Keysets
from prismicx.sealing.values import keyset_associated

_TRIES = 20


@dataclass(frozen=True, slots=True)
class Receipt:
    """What was proven when the keys of a tenant were destroyed.

    Attributes:
        number: 1 for the first receipt of the platform.
        text: the receipt as JSON: exactly this is hashed.
        digest: SHA-256 of the text; the next receipt names it.
    """

    number: int
    text: str
    digest: str

    @property
    def content(self) -> dict[str, Any]:
        """The receipt."""
        found: dict[str, Any] = json.loads(self.text)
        return found


class Erasure:
    """Destroys the keys of tenants.

    Args:
        flush: ends what this process holds open for a tenant.
    """

    def __init__(self, keysets: Keysets, flush: Callable[[str], Awaitable[None]]) -> None:
        self._keysets = keysets
        self._flush = flush

    async def destroy(self, tenant_id: str, status: str) -> Receipt:
        """Destroy a tenant's wrapping key, prove that nothing opens, and leave a receipt.

        This process opens nothing of it at once, every other one after the time it may hold keysets. Cut off, it is
        called once more and goes on. When it is done, it gives the receipt of the first time, for as long as the key is
        not there: a key that came back is destroyed again, with a receipt of its own.

        Args:
            status: of the tenant, for the receipt.

        Raises:
            PrismicXError: as the key service does; nothing is destroyed then, or the same call finishes it.
            NotFound: ``keys.unknown`` when keysets are wrapped by a key that the service does not know, and nothing
                says that it was destroyed there: another service is asked than the one that has it.
            Conflict: ``keys.not_destroyed`` when something still opens; ``keys.another`` when the service has another
                key of this name.
        """
        keyring, name = self._keysets.keys, self._keysets.key_name(tenant_id)
        held, service = await self.receipt(tenant_id), keyring.endpoint.url
        state = await self._state(name)
        before = await self._keysets.documents(tenant_id)
        if isinstance(state, KeyInfo):
            await self._check_wraps(tenant_id, state, before)
        elif state == "keys.unknown":
            _check_begun(tenant_id, name, service, before, held)
        await self._flush(tenant_id)
        if isinstance(state, KeyInfo):
            # So that who goes on after this was cut off knows why the key is not there, and where it was.
            collection = await self._keysets.collection()
            await collection.update_many({"tenant_id": tenant_id}, {"$set": {"destroying": service}})
        was_there = await keyring.destroy(name)
        moment = await self._keysets.server_time()
        documents = await self._mark(tenant_id, moment)
        self._keysets.forget(tenant_id)
        if held is not None and not was_there and not _is_unfinished(documents, service, held):
            await self._unwrap(tenant_id)  # a backup that was restored has them again
            return await self.receipt(tenant_id) or held
        proof = [await self._proof(tenant_id, document) for document in documents if "wrapped" in document]
        # Who begins to open a keyset now is refused; who opened one until now may hold it for so long.
        bound = max((document.get("cache_seconds", 0.0) for document in documents), default=0.0)
        effective = await self._keysets.server_time() + timedelta(seconds=bound)
        receipt = await self._write(
            tenant_id,
            held,
            {
                "kind": "prismicx.keys_destroyed",
                "tenant_id": tenant_id,
                "tenant_status": status,
                "key": name,
                "key_service": service,
                "key_was_there": was_there,
                "key_is_now": await self._refusal(keyring.read(name)),
                "destroyed_at": _text(moment),
                "held_for_at_most_seconds": bound,
                "opens_nowhere_after": _text(effective),
                "proof": proof,
            },
        )
        await self._unwrap(tenant_id)
        return receipt

    @told_when_lost
    async def receipt(self, tenant_id: str) -> Receipt | None:
        """The receipt of a tenant whose keys were destroyed; the last, where they were destroyed more than once."""
        found = await (await self._keysets.collection("key_receipts")).find_one(
            {"tenant_id": tenant_id}, sort=[("number", -1)]
        )
        return None if found is None else _receipt(found)

    async def _state(self, name: str) -> KeyInfo | str:
        """A key as the key service has it, or why it does not."""
        try:
            return await self._keysets.keys.read(name)
        except (Conflict, NotFound) as error:
            if error.code not in ("keys.destroyed", "keys.unknown"):
                raise
            return error.code

    async def _check_wraps(self, tenant_id: str, key: KeyInfo, documents: list[Document]) -> None:
        """See that a key is the one that keysets are wrapped by, where they can tell: those of a backup may be older
        than what the key still opens."""
        refused = False
        for document in documents:
            wrapped = document.get("wrapped")
            if wrapped is None or version_of(wrapped) < key.min_decryption_version:
                continue
            try:
                await self._keysets.keys.decrypt(
                    key.name, wrapped, keyset_associated(tenant_id, document["data_class"])
                )
            except InvalidInput:
                refused = True
            except (Conflict, NotFound):
                return  # another one destroys it at the same time
            else:
                return
        if refused:
            raise Conflict(
                "keys.another",
                f"the key {key.name} of {self._keysets.keys.endpoint.url} opens none of the keysets of {tenant_id}",
                "name the key service that has the key they are wrapped by: see key_url and key_mount. Nothing was "
                "destroyed",
            )

    async def _unwrap(self, tenant_id: str) -> None:
        await (await self._keysets.collection()).update_many({"tenant_id": tenant_id}, {"$unset": {"wrapped": ""}})

    @told_when_lost
    async def _mark(self, tenant_id: str, moment: datetime) -> list[Document]:
        """Mark every class as destroyed, those without a keyset as well, so that none is made."""
        collection = await self._keysets.collection()
        for data_class in DATA_CLASSES:
            key = {"tenant_id": tenant_id, "data_class": data_class}
            fresh = {"key_ids": [], "revision": 0, "created_at": moment}
            for attempt in range(_TRIES):
                try:
                    await collection.update_one(key, {"$setOnInsert": fresh}, upsert=True)
                    break
                except DuplicateKeyError:  # it was made at the same moment
                    await give_way(attempt)
            await collection.update_one({**key, "destroyed_at": None}, {"$set": {"destroyed_at": moment}})
        return await self._keysets.documents(tenant_id)

    async def _proof(self, tenant_id: str, document: Document) -> dict[str, Any]:
        """What the key service says when it is asked for a keyset once more."""
        wrapped, data_class = document["wrapped"], document["data_class"]
        name = self._keysets.key_name(tenant_id)
        asking = self._keysets.keys.decrypt(name, wrapped, keyset_associated(tenant_id, data_class))
        return {
            "data_class": data_class,
            "key_ids": [int(key_id) for key_id in document["key_ids"]],
            "wrapped_by_version": version_of(wrapped),
            "wrapped_sha256": hashlib.sha256(wrapped.encode()).hexdigest(),
            "opening": await self._refusal(asking),
        }

    async def _refusal(self, asking: Awaitable[object]) -> str:
        """The code with which the key service refuses; it must not be that it could not be asked."""
        try:
            await asking
        except (Conflict, NotFound, InvalidInput) as error:
            return error.code
        raise Conflict(
            "keys.not_destroyed",
            "the key service still opens what it was told to destroy",
            "see its log, and whether deletion is allowed; then run the command again",
        )

    @told_when_lost
    async def _write(self, tenant_id: str, earlier: Receipt | None, content: dict[str, Any]) -> Receipt:
        """Keep a receipt beside those that the tenant has: the service may add receipts and change none."""
        collection = await self._keysets.collection("key_receipts")
        for attempt in range(_TRIES):
            last = await collection.find_one(sort=[("number", -1)])
            # After the last one was read: whoever writes one from now on takes its number.
            held = await self.receipt(tenant_id)
            if held is not None and held != earlier:  # another one did it at the same time
                return held
            number, previous = (int(last["number"]) + 1, last["digest"]) if last else (1, "")
            text = json.dumps({"number": number, "previous": previous, **content}, sort_keys=True)
            digest = hashlib.sha256(text.encode()).hexdigest()
            document = {"number": number, "tenant_id": tenant_id, "receipt": text, "digest": digest}
            try:
                await collection.insert_one(document)
            except DuplicateKeyError:
                await give_way(attempt)
                continue
            return _receipt(document)
        raise PrismicXError(
            "keys.receipt_unwritten",
            f"the receipt for {tenant_id} was not written",
            "run it again; if key_receipts of prismicx_platform has the index tenant_id_1, of an earlier release, drop "
            "that first",
        )


def _check_begun(tenant_id: str, name: str, service: str, documents: list[Document], held: Receipt | None) -> None:
    """See that a key which the service does not know is one that was destroyed there: a service that never had it says
    the same, and what it says of the key proves nothing."""
    wrapped = [document for document in documents if "wrapped" in document]
    begun = any(document.get("destroying") == service for document in documents)
    if begun or (held is not None and held.content["key_service"] == service) or not (wrapped or held):
        return
    where = f"; its receipt is of {held.content['key_service']}" if held is not None else ""
    raise NotFound(
        "keys.unknown",
        f"the key service {service} has no key {name}, which wraps the keys of {tenant_id}{where}",
        "name the key service that has it: see key_url and key_mount. Nothing was destroyed",
    )


def _is_unfinished(documents: list[Document], service: str, held: Receipt) -> bool:
    """Whether a key that came back was destroyed again and its receipt not written: what a backup brought back alone
    is not marked as being destroyed."""
    return any(
        "wrapped" in document
        and document.get("destroying") == service
        and _text(document["destroyed_at"]) != held.content["destroyed_at"]
        for document in documents
    )


def _receipt(document: Document) -> Receipt:
    return Receipt(int(document["number"]), document["receipt"], document["digest"])


def _text(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
