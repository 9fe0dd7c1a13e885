"""A sealed value as it is stored: a text with a prefix of its own, which no caller may store as plain data.

``pxsealed:1:<data class>:<hash>:<key id>:<ciphertext>``: the hash is ``-`` where the field is not searchable, else
``<id of the search key>.<hash>``; the ciphertext is AES-256-GCM of the value's JSON, in base64 without padding.
Everything before the ciphertext, and where the value belongs, is bound into it.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from prismicx.errors import InvalidInput, PrismicXError
from prismicx.sealing.fields import DataClass, Field

MARK = "pxsealed:"
"""What begins like this is sealed, or is refused."""

_FORM = re.compile(
    r"pxsealed:1:([a-z]{1,20}):(-|[1-9][0-9]{0,9}\.[A-Za-z0-9_-]{22}):([1-9][0-9]{0,9}):([A-Za-z0-9_-]+)"
)
_LARGEST = 2**32


@dataclass(frozen=True, slots=True)
class Sealed:
    """The parts of a sealed value.

    Attributes:
        digest: the keyed hash with the id of its key, or ``-``.
        key_id: of the key that sealed it.
    """

    data_class: str
    digest: str
    key_id: int
    ciphertext: bytes

    def text(self) -> str:
        """As it is stored."""
        return f"{self.head}{encode(self.ciphertext)}"

    @property
    def head(self) -> str:
        """All but the ciphertext."""
        return f"{MARK}1:{self.data_class}:{self.digest}:{self.key_id}:"

    @property
    def search_key_id(self) -> int | None:
        """The id of the key that made the hash."""
        return None if self.digest == "-" else int(self.digest.partition(".")[0])


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
        return joined("sealed", self.tenant_id, self.field.place, self.field.field, self.name, self.row, head)


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
    """The parts of a sealed value in its one form; None for anything else."""
    found = _FORM.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        return None
    try:
        ciphertext = _decode(found[4])
    except ValueError:
        return None
    key_id = int(found[3])
    # Tink puts the id into the ciphertext as well; AES-GCM adds a nonce of 12 bytes and a tag of 16.
    if key_id >= _LARGEST or len(ciphertext) < 33 or ciphertext[:5] != b"\x01" + key_id.to_bytes(4, "big"):
        return None
    return Sealed(found[1], found[2], key_id, ciphertext)


def keyset_associated(tenant_id: str, data_class: DataClass) -> bytes:
    """What a keyset is bound to when it is wrapped."""
    return joined("keyset", tenant_id, data_class)


def joined(*parts: str) -> bytes:
    """Texts as bytes, each with its length in four bytes before it."""
    encoded = [part.encode() for part in ("prismicx", *parts)]
    return b"".join(len(part).to_bytes(4, "big") + part for part in encoded)


def encode(data: bytes) -> str:
    """Base64 for URLs, without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


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


def _decode(text: str) -> bytes:
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except binascii.Error as error:
        raise ValueError(str(error)) from None
    if encode(data) != text:
        raise ValueError("not canonical")
    return data
