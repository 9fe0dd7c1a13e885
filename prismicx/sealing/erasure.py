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
from prismicx.errors import Conflict, InvalidInput, NotFound, PrismicXError
from prismicx.keys.client import version_of
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
        called once more and goes on; when it is done, it gives the receipt of the first time.

        Args:
            status: of the tenant, for the receipt.

        Raises:
            PrismicXError: as the key service does; nothing is destroyed then, or the same call finishes it.
            Conflict: ``keys.not_destroyed`` when something still opens.
        """
        held = await self.receipt(tenant_id)
        if held is not None:
            return held
        await self._flush(tenant_id)
        keyring, name = self._keysets.keys, self._keysets.key_name(tenant_id)
        was_there = await keyring.destroy(name)
        moment = await self._keysets.server_time()
        documents = await self._mark(tenant_id, moment)
        self._keysets.forget(tenant_id)
        proof = [await self._proof(tenant_id, document) for document in documents if "wrapped" in document]
        # Who begins to open a keyset now is refused; who opened one until now may hold it for so long.
        bound = max((document.get("cache_seconds", 0.0) for document in documents), default=0.0)
        effective = await self._keysets.server_time() + timedelta(seconds=bound)
        receipt = await self._write(
            tenant_id,
            {
                "kind": "prismicx.keys_destroyed",
                "tenant_id": tenant_id,
                "tenant_status": status,
                "key": name,
                "key_service": keyring.endpoint.url,
                "key_was_there": was_there,
                "key_is_now": await self._refusal(keyring.read(name)),
                "destroyed_at": _text(moment),
                "held_for_at_most_seconds": bound,
                "opens_nowhere_after": _text(effective),
                "proof": proof,
            },
        )
        collection = await self._keysets.collection()
        await collection.update_many({"tenant_id": tenant_id}, {"$unset": {"wrapped": ""}})
        return receipt

    async def receipt(self, tenant_id: str) -> Receipt | None:
        """The receipt of a tenant whose keys were destroyed."""
        found = await (await self._keysets.collection("key_receipts")).find_one({"tenant_id": tenant_id})
        return None if found is None else _receipt(found)

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

    async def _write(self, tenant_id: str, content: dict[str, Any]) -> Receipt:
        collection = await self._keysets.collection("key_receipts")
        for attempt in range(_TRIES):
            last = await collection.find_one(sort=[("number", -1)])
            number, previous = (int(last["number"]) + 1, last["digest"]) if last else (1, "")
            text = json.dumps({"number": number, "previous": previous, **content}, sort_keys=True)
            digest = hashlib.sha256(text.encode()).hexdigest()
            document = {"number": number, "tenant_id": tenant_id, "receipt": text, "digest": digest}
            try:
                await collection.insert_one(document)
            except DuplicateKeyError:
                held = await self.receipt(tenant_id)
                if held is not None:
                    return held
                await give_way(attempt)
                continue
            return _receipt(document)
        raise PrismicXError("keys.receipt_unwritten", f"the receipt for {tenant_id} was not written", "run it again")


def _receipt(document: Document) -> Receipt:
    return Receipt(int(document["number"]), document["receipt"], document["digest"])


def _text(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
