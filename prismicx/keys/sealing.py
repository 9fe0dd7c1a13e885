"""Sealing: AES-256-GCM with a random nonce, as transit does it."""

from __future__ import annotations

import base64
import json
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

NONCE = 12
TAG = 16
KEY = 32


def seal(key: bytes, data: bytes, associated: bytes) -> bytes:
    """Nonce, ciphertext and tag."""
    nonce = secrets.token_bytes(NONCE)
    return nonce + _cipher(key).encrypt(nonce, data, associated)


def unseal(key: bytes, sealed: bytes, associated: bytes) -> bytes:
    """What was sealed.

    Raises:
        ValueError: another key, other associated data, or not what `seal` made.
    """
    if len(sealed) < NONCE + TAG:
        raise ValueError("too short")
    from cryptography.exceptions import InvalidTag

    try:
        return _cipher(key).decrypt(sealed[:NONCE], sealed[NONCE:], associated)
    except InvalidTag:
        raise ValueError("message authentication failed") from None


def _cipher(key: bytes) -> AESGCM:
    # Imported when it is first needed: commands that only know this module need not wait for it.
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    return AESGCM(key)


@dataclass(frozen=True, slots=True)
class Sealer:
    """Seals the documents of one store, each under its name, so that none can take another's place."""

    store: str
    key: bytes = field(repr=False)

    def seal(self, name: str, document: dict[str, Any]) -> bytes:
        """The document as it is written to disk."""
        sealed = seal(self.key, json.dumps(document).encode(), self._associated(name))
        held = {"format": 1, "name": name, "sealed": base64.b64encode(sealed).decode()}
        return (json.dumps(held) + "\n").encode()

    def unseal(self, prefix: str, content: bytes) -> tuple[str, dict[str, Any]]:
        """The document and its name, which begins with the prefix.

        Raises:
            ValueError: cut, changed, another document, or of another store.
        """
        held = json.loads(content)
        if not isinstance(held, dict) or held.get("format") != 1:
            raise ValueError("not a document of this format")
        name, text = held.get("name"), held.get("sealed")
        if not isinstance(name, str) or not isinstance(text, str) or not name.startswith(prefix):
            raise ValueError("another document")
        document = json.loads(unseal(self.key, base64.b64decode(text, validate=True), self._associated(name)))
        return name, document

    def _associated(self, name: str) -> bytes:
        return f"prismicx key store {self.store}\n{name}".encode()
