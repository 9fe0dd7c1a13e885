"""The root key: where it comes from, and how it opens a store."""

from __future__ import annotations

import base64
import binascii
import os
import secrets
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from prismicx.errors import InvalidInput, Unavailable
from prismicx.keys import files

VARIABLE = "PRISMICX_ROOT_KEY"
"""The variable of the environment that may hold the root key."""

_BYTES = 32
_SHORTEST_PASSPHRASE = 12
_ARGON2 = {"time": 3, "memory": 64 * 1024, "lanes": 4}
"""RFC 9106, the second recommended choice: three passes over 64 MiB."""
_HEAVIEST = {"time": 20, "memory": 4 * 1024 * 1024, "lanes": 64}


@dataclass(frozen=True, slots=True)
class RootKey:
    """What opens a store.

    Attributes:
        kind: ``key`` for 32 random bytes, ``passphrase`` for words of a person.
    """

    kind: str
    secret: bytes = field(repr=False)

    def parameters(self) -> dict[str, Any]:
        """How a new store derives its key from this one; kept in clear in its header."""
        salt = base64.b64encode(secrets.token_bytes(16)).decode()
        return {"kind": self.kind, "salt": salt, **(_ARGON2 if self.kind == "passphrase" else {})}

    def derive(self, parameters: Mapping[str, Any]) -> bytes:
        """The key, 32 bytes, that the header of a store is sealed with.

        Raises:
            Unavailable: ``keys.root_wrong`` when the store was sealed with a root key of the other kind.
            ValueError: the parameters are none.
        """
        if parameters["kind"] != self.kind:
            raise Unavailable(
                "keys.root_wrong",
                f"the key store is sealed with a {parameters['kind']}, and a {self.kind} was given",
                "give --passphrase-file for a passphrase; --root-key-file or the environment for a key",
            )
        salt = base64.b64decode(parameters["salt"], validate=True)
        if self.kind == "passphrase":
            if any(not 1 <= parameters[name] <= most for name, most in _HEAVIEST.items()):
                raise ValueError("parameters of argon2id out of range")
            from argon2.low_level import Type, hash_secret_raw

            return hash_secret_raw(
                self.secret, salt, parameters["time"], parameters["memory"], parameters["lanes"], _BYTES, Type.ID
            )
        from cryptography.hazmat.primitives.hashes import SHA256
        from cryptography.hazmat.primitives.kdf.hkdf import HKDF

        return HKDF(SHA256(), _BYTES, salt, b"prismicx key store").derive(self.secret)


def generate() -> str:
    """A root key as it is written in a file: 32 random bytes in base64."""
    return base64.b64encode(secrets.token_bytes(_BYTES)).decode() + "\n"


def choose(file: Path | None = None, passphrase_file: Path | None = None, fallback: Path | None = None) -> RootKey:
    """The root key of what is named; of ``PRISMICX_ROOT_KEY`` where nothing is; else of the fallback, if it is there.

    Raises:
        InvalidInput: ``keys.root_ambiguous``.
        Unavailable: ``keys.root_missing``, ``keys.root_invalid`` or ``keys.exposed``.
    """
    if file and passphrase_file:
        raise InvalidInput("keys.root_ambiguous", "a root key and a passphrase are named", "name one of them")
    if passphrase_file:
        return from_passphrase_file(passphrase_file)
    if file is None and VARIABLE not in os.environ and fallback is not None and fallback.exists():
        file = fallback
    return from_file(file) if file else from_environment(os.environ)


def make_file(path: Path) -> None:
    """Write a fresh root key into a new file of mode 0600.

    Raises:
        Unavailable: ``keys.unwritable``.
    """
    try:
        files.write_new(path, generate().encode())
    except OSError as error:
        raise Unavailable("keys.unwritable", f"{path}: {error.strerror}", "choose another file") from error


def from_file(path: Path) -> RootKey:
    """The root key of a file that only its owner may read.

    Raises:
        Unavailable: ``keys.root_missing``, ``keys.root_invalid`` or ``keys.exposed``.
    """
    return _key(str(path), _content(path))


def from_passphrase_file(path: Path) -> RootKey:
    """The passphrase in the first line of a file that only its owner may read.

    Raises:
        Unavailable: ``keys.root_missing``, ``keys.root_invalid`` or ``keys.exposed``.
    """
    content = _content(path)
    return from_passphrase(content.splitlines()[0] if content else b"")


def from_passphrase(words: bytes) -> RootKey:
    """A passphrase of at least 12 bytes.

    Raises:
        Unavailable: ``keys.root_invalid``.
    """
    if len(words) < _SHORTEST_PASSPHRASE:
        raise Unavailable(
            "keys.root_invalid",
            f"the passphrase has {len(words)} bytes",
            f"choose one of at least {_SHORTEST_PASSPHRASE}, such as six random words",
        )
    return RootKey("passphrase", words)


def from_environment(environ: MutableMapping[str, str]) -> RootKey:
    """The root key of ``PRISMICX_ROOT_KEY``, which is taken out, so that no process started later inherits it.

    Raises:
        Unavailable: ``keys.root_missing`` or ``keys.root_invalid``.
    """
    if VARIABLE not in environ:
        raise Unavailable(
            "keys.root_missing",
            "no root key was named",
            f"give --root-key-file, --passphrase-file or the variable {VARIABLE}",
        )
    return _key(VARIABLE, environ.pop(VARIABLE).encode())


def _content(path: Path) -> bytes:
    try:
        return files.read(path)
    except FileNotFoundError as error:
        raise Unavailable(
            "keys.root_missing", f"there is no {path}", "name the file of the root key, or bring it from its backup"
        ) from error


def _key(label: str, text: bytes) -> RootKey:
    try:
        secret = base64.b64decode(text.strip(), validate=True)
    except binascii.Error:
        secret = b""
    if len(secret) != _BYTES:
        raise Unavailable(
            "keys.root_invalid", f"{label} does not hold a root key", f"it is {_BYTES} bytes in base64, one line"
        )
    return RootKey("key", secret)
