"""A sealed value as it is stored: a text with a prefix of its own, which no caller may store as plain data.

``pxsealed:1:<data class>:<hash>:<key id>:<ciphertext>``: the hash is ``-`` where the field is not searchable, else
``<id of the search key>.<hash>``; the ciphertext is AES-256-GCM of the value's JSON, in base64.
Everything before the ciphertext, and where the value belongs, is bound into it.
"""

from __future__ import annotations

import binascii
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from prismicx.errors import InvalidInput, PrismicXError
from prismicx.sealing.fields import DataClass, Field

MARK = "pxsealed:"
"""What begins like this is sealed, or is refused."""

_SHORTEST = 33
"""Bytes of a ciphertext: Tink's 5 that name the key, a nonce of 12, a tag of 16."""


@dataclass(frozen=True, slots=True)
class Sealed:
    """The parts of a sealed value.

    Attributes:
        head: all but the ciphertext, as it was written: it is bound into the ciphertext.
        digest: the keyed hash with the id of its key, or ``-``.
        key_id: of the key that sealed it.
    """

    head: str
    data_class: str
    digest: str
    key_id: int
    ciphertext: bytes

    @property
    def search_key_id(self) -> int | None:
        """The id of the key that made the hash."""
        number = self.digest.partition(".")[0]
        return int(number) if number.isascii() and number.isdigit() else None


def head_of(data_class: str, digest: str, key_id: int) -> str:
    """What a sealed value begins with."""
    return f"{beginning_of(data_class, digest)}{key_id}:"


def beginning_of(data_class: str, digest: str) -> str:
    """What all values with a hash begin with, whichever key sealed them."""
    return f"{MARK}1:{data_class}:{digest}:"


@dataclass(frozen=True, slots=True)
class Spot:
    """Where a value belongs: sealed for one spot, it opens at no other.

    Attributes:
        name: the name of the field, where the caller chose it.
        row: what names the row.
    """

    tenant_id: str
    field: Field
    row: str
    name: str = ""

    def associated(self, head: str) -> bytes:
        """What is bound into the ciphertext: every part with its length before it, so that none runs into another."""
        return _field_of(self.tenant_id, self.field, self.name) + _part(self.row) + _part(head)


def is_sealed(value: object) -> bool:
    """Whether a stored value is sealed, or pretends to be."""
    return isinstance(value, str) and value.startswith(MARK)


def check_plain(code: str, label: str, value: object) -> None:
    """See that a value from outside does not look sealed.

    Raises:
        InvalidInput: with the code.
    """
    if is_sealed(value):
        raise InvalidInput(code, f"{label} begins with {MARK}, as sealed values do", "give another text")


def parse(text: object) -> Sealed | None:
    """The parts of a sealed value in its one form; None for anything else. What the head says is not checked here: it
    is bound into the ciphertext."""
    if not isinstance(text, str) or not text.startswith(MARK):
        return None
    head, _, tail = text.rpartition(":")
    parts = head.split(":")
    if len(parts) != 5 or parts[1] != "1" or not (parts[4].isascii() and parts[4].isdigit()) or len(parts[4]) > 10:
        return None
    try:
        ciphertext = binascii.a2b_base64(tail, strict_mode=True)
    except ValueError:
        return None
    key_id = int(parts[4])
    named = ciphertext[:1] == b"\x01" and ciphertext[1:5] == (key_id & 0xFFFFFFFF).to_bytes(4, "big")
    # The last sign may hold bits that mean nothing; two texts must not mean the same bytes.
    if len(ciphertext) < _SHORTEST or not named or encode(ciphertext[-(len(ciphertext) % 3 or 3) :]) != tail[-4:]:
        return None
    return Sealed(f"{head}:", parts[2], parts[3], key_id, ciphertext)


def keyset_associated(tenant_id: str, data_class: DataClass) -> bytes:
    """What a keyset is bound to when it is wrapped."""
    return joined("keyset", tenant_id, data_class)


def joined(*parts: str) -> bytes:
    """Texts as bytes, each with its length in four bytes before it."""
    return b"".join(map(_part, ("prismicx", *parts)))


def encode(data: bytes) -> str:
    """Base64."""
    return binascii.b2a_base64(data, newline=False).decode()


class PartlyOpened(Mapping[str, Any]):
    """Values of which some could not be opened: asking for one of those raises why, everything else is there."""

    def __init__(self, values: Mapping[str, Any], errors: Mapping[str, PrismicXError]) -> None:
        self._values = dict(values)
        self.errors = dict(errors)

    def __getitem__(self, key: str) -> Any:
        if key in self.errors:
            raise self.errors[key]
        return self._values[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __contains__(self, key: object) -> bool:
        return key in self._values

    def __repr__(self) -> str:
        return f"PartlyOpened({', '.join(self.errors)} not opened, of {', '.join(self._values)})"

    def shown(self) -> dict[str, Any]:
        """For people: the code of the error in the place of what was not opened."""
        return {**self._values, **{key: f"({error.code})" for key, error in self.errors.items()}}


def shown(values: Mapping[str, Any]) -> dict[str, Any]:
    """Values as they may be printed, whether all of them could be opened or not."""
    return values.shown() if isinstance(values, PartlyOpened) else dict(values)


def _part(text: str) -> bytes:
    data = text.encode()
    return len(data).to_bytes(4, "big") + data


@lru_cache(maxsize=4096)
def _field_of(tenant_id: str, field: Field, name: str) -> bytes:
    """What is the same for all rows."""
    return joined("sealed", tenant_id, field.place, field.field, name)
