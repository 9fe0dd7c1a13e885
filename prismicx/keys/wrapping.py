"""A wrapping key: its versions, what may be done with them, and the ciphertext `vault:v1:…` it makes and opens."""

from __future__ import annotations

import base64
import binascii
import re
import secrets
from dataclasses import dataclass, field, replace
from typing import Any

from prismicx.errors import InvalidInput
from prismicx.keys import sealing

_CIPHERTEXT = re.compile(r"vault:v([0-9]+):(.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Version:
    """One version of a key.

    Attributes:
        created: seconds since the epoch, for people; nothing depends on it.
    """

    material: bytes = field(repr=False)
    created: float


@dataclass(frozen=True, slots=True)
class WrappingKey:
    """A key of the type aes256-gcm96.

    Attributes:
        versions: the first is version 1.
        min_decryption_version: what older versions sealed is not opened.
        min_encryption_version: no older version seals; 0 for the latest only by default.
        destroyed: when the key was destroyed, seconds since the epoch; it has no versions then.
    """

    name: str
    versions: tuple[Version, ...]
    min_decryption_version: int = 1
    min_encryption_version: int = 0
    deletion_allowed: bool = False
    destroyed: float | None = None

    @property
    def latest(self) -> int:
        return len(self.versions)

    def rotated(self, moment: float) -> WrappingKey:
        """With one version more."""
        return replace(self, versions=(*self.versions, new_version(moment)))

    def configured(
        self, min_decryption: int | None, min_encryption: int | None, deletion_allowed: bool | None
    ) -> WrappingKey:
        """With what is given set.

        Raises:
            InvalidInput: ``keys.version_invalid``.
        """
        decryption = self.min_decryption_version if min_decryption is None else max(min_decryption, 1)
        encryption = self.min_encryption_version if min_encryption is None else min_encryption
        for what, asked in (("decryption", min_decryption), ("encryption", min_encryption)):
            if asked is not None and asked < 0:
                raise InvalidInput("keys.version_invalid", f"min {what} version cannot be negative")
            if asked is not None and asked > self.latest:
                raise InvalidInput(
                    "keys.version_invalid",
                    f"cannot set min {what} version of {asked}, latest key version is {self.latest}",
                )
        if 0 < encryption < decryption:
            raise InvalidInput(
                "keys.version_invalid",
                f"cannot set min encryption/decryption values; min encryption version of {encryption} must be greater "
                f"than or equal to min decryption version of {decryption}",
            )
        allowed = self.deletion_allowed if deletion_allowed is None else deletion_allowed
        return replace(
            self, min_decryption_version=decryption, min_encryption_version=encryption, deletion_allowed=allowed
        )

    def encrypt(self, plaintext: bytes, associated: bytes = b"", version: int = 0) -> tuple[str, int]:
        """The ciphertext and the version that sealed it; 0 takes the latest.

        Raises:
            InvalidInput: ``keys.version_invalid``.
        """
        if version < 0:
            raise InvalidInput("keys.version_invalid", "requested version for encryption is negative")
        if version > self.latest:
            raise InvalidInput(
                "keys.version_invalid", "requested version for encryption is higher than the latest key version"
            )
        if version and version < max(self.min_encryption_version, self.min_decryption_version):
            raise InvalidInput(
                "keys.version_invalid", "requested version for encryption is less than the minimum encryption version"
            )
        chosen = version or self.latest
        sealed = sealing.seal(self.versions[chosen - 1].material, plaintext, associated)
        return f"vault:v{chosen}:{base64.b64encode(sealed).decode()}", chosen

    def decrypt(self, ciphertext: str, associated: bytes = b"") -> bytes:
        """The plaintext.

        Raises:
            InvalidInput: ``keys.refused`` for whatever this key did not seal with this associated data.
        """
        found = _CIPHERTEXT.fullmatch(ciphertext)
        if found is None:
            raise _refused("invalid ciphertext: no prefix")
        if len(found[1]) > 9 or str(int(found[1])) != found[1] or found[1] == "0":
            raise _refused("invalid ciphertext: version number could not be decoded")
        version = int(found[1])
        if version > self.latest:
            raise _refused("invalid ciphertext: version is too new")
        if version < self.min_decryption_version:
            raise _refused("ciphertext or signature version is disallowed by policy (too old)")
        try:
            sealed = decode(found[2])
        except ValueError:
            raise _refused("invalid ciphertext: could not decode base64") from None
        if len(sealed) < sealing.NONCE + sealing.TAG:
            raise _refused("invalid ciphertext length")
        try:
            return sealing.unseal(self.versions[version - 1].material, sealed, associated)
        except ValueError:
            raise _refused("cipher: message authentication failed") from None

    def as_document(self) -> dict[str, Any]:
        """As the store keeps it."""
        return {
            "versions": [[base64.b64encode(held.material).decode(), held.created] for held in self.versions],
            "min_decryption_version": self.min_decryption_version,
            "min_encryption_version": self.min_encryption_version,
            "deletion_allowed": self.deletion_allowed,
            "destroyed": self.destroyed,
        }

    @classmethod
    def from_document(cls, name: str, document: dict[str, Any]) -> WrappingKey:
        """As `as_document` made it."""
        versions = tuple(Version(base64.b64decode(text), created) for text, created in document.pop("versions"))
        return cls(name, versions, **document)


def new_version(moment: float) -> Version:
    """A version with fresh random bytes."""
    return Version(secrets.token_bytes(sealing.KEY), moment)


def decode(text: str) -> bytes:
    """What base64 says, in its one canonical form: two texts never mean the same bytes.

    Raises:
        ValueError: it is none.
    """
    try:
        data = base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError(str(error)) from None
    if base64.b64encode(data).decode() != text:
        raise ValueError("not canonical")
    return data


def _refused(why: str) -> InvalidInput:
    return InvalidInput("keys.refused", why, "give what this key sealed, whole, with the same associated data")
