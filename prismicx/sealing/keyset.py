"""An opened keyset: seals, opens and hashes. No engine, no key service."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from prismicx.errors import Denied
from prismicx.sealing.fields import SEARCH, DataClass
from prismicx.sealing.values import Sealed, Spot, encode, head_of, joined, parse

_DIGEST = 16
"""Bytes of a hash: 128 bits, so that two values never share one by chance."""

_encode_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


@dataclass(frozen=True, slots=True)
class Keyset:
    """Keys of one tenant for one class of data: the first seals, all of them open.

    Attributes:
        key_ids: of all keys; the primary one first.
        plain: the keyset as Tink serializes it; it never leaves the process but wrapped.
    """

    tenant_id: str
    data_class: DataClass
    key_ids: tuple[int, ...]
    plain: bytes = field(repr=False)
    _primitive: Any = field(repr=False, compare=False)

    @property
    def primary(self) -> int:
        """The id of the key that seals."""
        return self.key_ids[0]

    def seal(self, spot: Spot, value: Any, digest: str = "-") -> str:
        """A JSON value, sealed for its spot."""
        head = head_of(self.data_class, digest, self.primary)
        data = _encode_json(value).encode()
        return head + encode(self._primitive.encrypt(data, spot.associated(head)))

    def open(self, spot: Spot, text: object) -> Any:
        """The value of a sealed text.

        Raises:
            Denied: ``keys.cannot_open`` for whatever was not sealed for this spot by one of these keys.
        """
        return self.open_parsed(spot, parse(text))

    def open_parsed(self, spot: Spot, sealed: Sealed | None) -> Any:
        """As `open`, of what `parse` gave."""
        if sealed is None or sealed.data_class != self.data_class or sealed.key_id not in self.key_ids:
            raise cannot_open(spot)
        try:
            return json.loads(self._primitive.decrypt(sealed.ciphertext, spot.associated(sealed.head)))
        except _tink().TinkError:
            raise cannot_open(spot) from None

    def digests(self, spot: Spot, value: Any) -> tuple[str, ...]:
        """The keyed hashes of a value, the primary key's first. Rows count not at all: equal values hash alike."""
        data = (
            joined(spot.tenant_id, spot.field.path, spot.name)
            + json.dumps(value, sort_keys=True, separators=(",", ":")).encode()
        )
        # Hashed first: what Tink's Python hands over to its core is then of one size.
        fixed = hashlib.sha256(data).digest()
        made = self._primitive.all()
        return tuple(f"{key_id}.{_short(made[key_id].compute(fixed, _DIGEST))}" for key_id in self.key_ids)

    def with_new_key(self) -> Keyset:
        """With one key more, which seals from now on."""
        return _merged(self, generate(self.tenant_id, self.data_class))

    def without(self, key_ids: Iterable[int]) -> Keyset:
        """Without some keys; what they sealed opens no more."""
        gone = set(key_ids) - {self.primary}
        proto = _proto(self.plain)
        kept = [key for key in proto.key if key.key_id not in gone]
        del proto.key[:]
        proto.key.extend(kept)
        return restored(self.tenant_id, self.data_class, proto.SerializeToString())


def generate(tenant_id: str, data_class: DataClass) -> Keyset:
    """A keyset with one new key."""
    tink = _tink()
    from tink import aead, prf, secret_key_access

    template = prf.prf_key_templates.HMAC_SHA256 if data_class == SEARCH else aead.aead_key_templates.AES256_GCM
    handle = tink.new_keyset_handle(template)
    return restored(tenant_id, data_class, tink.proto_keyset_format.serialize(handle, secret_key_access.TOKEN))


def restored(tenant_id: str, data_class: DataClass, plain: bytes) -> Keyset:
    """The keyset that Tink serialized.

    Raises:
        ValueError: it is none of this class.
    """
    tink = _tink()
    from tink import aead, prf, secret_key_access

    try:
        handle = tink.proto_keyset_format.parse(plain, secret_key_access.TOKEN)
        primitive = handle.primitive(prf.PrfSet if data_class == SEARCH else aead.Aead)
        info = handle.keyset_info()
    except tink.TinkError as error:
        raise ValueError(str(error)) from None
    others = [item.key_id for item in info.key_info if item.key_id != info.primary_key_id]
    return Keyset(tenant_id, data_class, (info.primary_key_id, *others), plain, primitive)


def cannot_open(spot: Spot) -> Denied:
    """What is said of a sealed value that does not open: not why, which nobody can tell."""
    name = f" {spot.name}" if spot.name else ""
    return Denied(
        "keys.cannot_open",
        f"{spot.field.path}{name} of {spot.row} does not open with the keys of {spot.tenant_id}",
        "it was changed, cut, or brought from another tenant, field or row: restore the value",
    )


def _short(digest: bytes) -> str:
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def _merged(held: Keyset, fresh: Keyset) -> Keyset:
    if set(held.key_ids) & set(fresh.key_ids):  # ids are 32 random bits
        return held.with_new_key()
    proto = _proto(held.plain)
    proto.key.extend(_proto(fresh.plain).key)
    proto.primary_key_id = fresh.primary
    return restored(held.tenant_id, held.data_class, proto.SerializeToString())


def _proto(plain: bytes) -> Any:
    from tink.proto import tink_pb2

    return tink_pb2.Keyset.FromString(plain)


@cache
def _tink() -> Any:
    """Imported on first use: who seals nothing waits for nothing."""
    import tink
    from tink import aead, prf

    aead.register()
    prf.register()
    return tink
