"""The key store: a directory of sealed files, one for each wrapping key."""

from __future__ import annotations

import base64
import fcntl
import hashlib
import json
import os
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from prismicx.errors import Conflict, InvalidInput, NotFound, Unavailable
from prismicx.keys import files, sealing
from prismicx.keys.names import check_name
from prismicx.keys.root import RootKey
from prismicx.keys.sealing import Sealer
from prismicx.keys.wrapping import WrappingKey, new_version

_HEADER = "store.json"
_TOKENS = "tokens.json"
_KEYS = "keys"
_SUFFIX = ".key"


class Store:
    """The wrapping keys of one key service.

    ``store.json`` holds the store's own key, sealed by the root key; every other file is sealed by the store's key,
    bound to its name. A write replaces a whole file, so a killed process leaves the old state or the new one.
    """

    def __init__(self, path: Path, sealer: Sealer) -> None:
        self.path = path
        self._sealer = sealer
        self._keys: dict[str, WrappingKey] = {}
        self._writing = threading.Lock()

    @classmethod
    def create(cls, path: Path, root: RootKey) -> Store:
        """Make a store where there is none.

        Raises:
            Conflict: ``keys.store_exists``.
            Unavailable: ``keys.unwritable``.
        """
        check_free(path)
        # Made under another name: a process killed meanwhile leaves no half a store in the place of one.
        part = path.with_name(f".{path.name}-{secrets.token_hex(8)}")
        sealer = Sealer(secrets.token_hex(16), secrets.token_bytes(sealing.KEY))
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            files.make_directory(part)
            files.make_directory(part / _KEYS)
            files.write(part / _HEADER, _header(sealer, root))
            files.write(part / _TOKENS, sealer.seal(_TOKENS, {"tokens": []}))
            part.rename(path)
        except OSError as error:
            check_free(path)
            raise Unavailable(
                "keys.unwritable", f"{path}: {error.strerror}", "choose a directory you may write in"
            ) from error
        return cls(path, sealer)

    @classmethod
    def open(cls, path: Path, root: RootKey) -> Store:
        """Open a store.

        Raises:
            Unavailable: ``keys.store_missing``, ``keys.store_damaged``, ``keys.root_wrong`` or ``keys.exposed``.
        """
        if not path.is_dir():
            raise Unavailable("keys.store_missing", f"there is no store {path}", f"prismicx key init --store {path}")
        files.check_directory(path)
        try:
            sealer = _unseal_header(files.read(path / _HEADER), root)
            files.check_directory(path / _KEYS)
        except (FileNotFoundError, ValueError, KeyError, TypeError) as error:
            raise _damaged(path / _HEADER, error) from error
        store = cls(path, sealer)
        store.tokens()
        return store

    @contextmanager
    def serving(self) -> Iterator[None]:
        """Hold the store for one service. The kernel frees the lock of a killed process.

        Raises:
            Unavailable: ``keys.store_locked``.
        """
        with _locked(self.path / "lock", fcntl.LOCK_EX | fcntl.LOCK_NB, self.path):
            files.sweep(self.path / _KEYS)
            yield

    def reseal(self, root: RootKey) -> None:
        """Put the store under another root key; the old one opens it no longer."""
        files.write(self.path / _HEADER, _header(self._sealer, root))

    def names(self) -> list[str]:
        """The names of all keys that were not destroyed; those of damaged files are among them."""
        found = sorted(entry.name.removesuffix(_SUFFIX) for entry in (self.path / _KEYS).glob(f"*{_SUFFIX}"))
        return [name for name in found if not self._is_destroyed(name)]

    def damage(self) -> list[str]:
        """Read every file anew; what is wrong with each that cannot be used."""
        found = []
        for entry in sorted((self.path / _KEYS).glob(f"*{_SUFFIX}")):
            try:
                self._read(entry.name.removesuffix(_SUFFIX))
            except (Unavailable, InvalidInput) as error:
                found.append(error.message)
        return found

    def key(self, name: str) -> WrappingKey:
        """A key.

        Raises:
            InvalidInput: ``keys.name_invalid``.
            NotFound: ``keys.unknown``.
            Conflict: ``keys.destroyed``.
            Unavailable: ``keys.store_damaged``.
        """
        found = self._held(name)
        if found.destroyed is not None:
            raise Conflict("keys.destroyed", f"the key {name} was destroyed", "what it sealed can never be read again")
        return found

    def create_key(self, name: str, *, again: bool = False) -> WrappingKey:
        """A new key, or the one that is there.

        Args:
            again: give the name of a destroyed key to a new one.

        Raises:
            Conflict: ``keys.destroyed``.
        """
        with self._writing:
            try:
                return self.key(name)
            except NotFound:
                pass
            except Conflict:
                if not again:
                    raise
            return self._put(WrappingKey(name, (new_version(time.time()),)))

    def rotate(self, name: str) -> WrappingKey:
        """Give a key another version, which seals from now on."""
        return self._change(name, lambda key: key.rotated(time.time()))

    def configure(
        self,
        name: str,
        min_decryption_version: int | None = None,
        min_encryption_version: int | None = None,
        deletion_allowed: bool | None = None,
    ) -> WrappingKey:
        """Set what is given, see `WrappingKey.configured`."""
        return self._change(
            name, lambda key: key.configured(min_decryption_version, min_encryption_version, deletion_allowed)
        )

    def destroy(self, name: str) -> None:
        """Destroy all versions of a key; its name stays taken.

        Raises:
            Conflict: ``keys.deletion_forbidden`` unless the key was configured for it.
        """

        def destroyed(key: WrappingKey) -> WrappingKey:
            if not key.deletion_allowed:
                raise Conflict(
                    "keys.deletion_forbidden",
                    f"error deleting policy {name}: deletion is not allowed for this key",
                    "set deletion_allowed first",
                )
            return replace(key, versions=(), destroyed=time.time())

        self._change(name, destroyed)

    def tokens(self) -> list[dict[str, Any]]:
        """The tokens of the services as they are on disk now.

        Raises:
            Unavailable: ``keys.store_damaged``.
        """
        path = self.path / _TOKENS
        try:
            name, document = self._sealer.unseal(_TOKENS, files.read(path))
            if name != _TOKENS:
                raise ValueError("another document")
            return list(document["tokens"])
        except (FileNotFoundError, ValueError, KeyError, TypeError) as error:
            raise _damaged(path, error) from error

    def tokens_stamp(self) -> tuple[int, int, int]:
        """Another value whenever the tokens may have changed."""
        try:
            found = (self.path / _TOKENS).stat()
        except FileNotFoundError as error:
            raise _damaged(self.path / _TOKENS, error) from error
        return found.st_ino, found.st_mtime_ns, found.st_size

    @contextmanager
    def changing_tokens(self) -> Iterator[list[dict[str, Any]]]:
        """The tokens, to be changed in place; written at the end, unless it fails."""
        with _locked(self.path / "tokens.lock", fcntl.LOCK_EX, self.path):
            tokens = self.tokens()
            yield tokens
            files.write(self.path / _TOKENS, self._sealer.seal(_TOKENS, {"tokens": tokens}))

    def _change(self, name: str, change: Callable[[WrappingKey], WrappingKey]) -> WrappingKey:
        with self._writing:
            return self._put(change(self.key(name)))

    def _put(self, key: WrappingKey) -> WrappingKey:
        content = self._sealer.seal(f"key/{key.name}/{key.latest}", key.as_document())
        files.write(self._file(key.name), content, scrub=key.destroyed is not None)
        self._keys[key.name] = key
        return key

    def _is_destroyed(self, name: str) -> bool:
        try:
            return self._held(name).destroyed is not None
        except Unavailable:
            return False

    def _held(self, name: str) -> WrappingKey:
        found = self._keys.get(check_name(name))
        if found is None:
            # What another thread put there while this one read is newer.
            found = self._keys.setdefault(name, self._read(name))
        return found

    def _read(self, name: str) -> WrappingKey:
        path = self._file(check_name(name))
        try:
            sealed, document = self._sealer.unseal(f"key/{name}/", files.read(path))
            key = WrappingKey.from_document(name, document)
            if sealed != f"key/{name}/{key.latest}":
                raise ValueError("another key or version")
        except FileNotFoundError:
            raise NotFound("keys.unknown", f"encryption key not found: {name}", "create it first") from None
        except (ValueError, KeyError, TypeError) as error:
            raise _damaged(path, error) from error
        return key

    def _file(self, name: str) -> Path:
        return self.path / _KEYS / f"{name}{_SUFFIX}"


def check_free(path: Path) -> None:
    """See that a store can be made here.

    Raises:
        Conflict: ``keys.store_exists``.
    """
    if path.exists():
        raise Conflict("keys.store_exists", f"{path} is there already", "choose another directory, or use that store")


def _header(sealer: Sealer, root: RootKey) -> bytes:
    parameters = root.parameters()
    held: dict[str, Any] = {"format": 1, "store": sealer.store, "root": parameters}
    held["sealed"] = base64.b64encode(sealing.seal(root.derive(parameters), sealer.key, _canonical(held))).decode()
    # Not for secrecy: it tells a file that was cut or changed from a wrong root key.
    held["digest"] = hashlib.sha256(_canonical(held)).hexdigest()
    return json.dumps(held, indent=1).encode() + b"\n"


def _unseal_header(content: bytes, root: RootKey) -> Sealer:
    held = json.loads(content)
    if held.pop("digest") != hashlib.sha256(_canonical(held)).hexdigest():
        raise ValueError("its digest does not fit")
    if held["format"] != 1:
        raise Unavailable(
            "keys.store_version", f"the key store has the format {held['format']}", "use the release that made it"
        )
    sealed = base64.b64decode(held.pop("sealed"), validate=True)
    derived = root.derive(held["root"])
    try:
        return Sealer(held["store"], sealing.unseal(derived, sealed, _canonical(held)))
    except ValueError:
        raise Unavailable(
            "keys.root_wrong", "the root key does not open the key store", "give the root key it was sealed with"
        ) from None


def _canonical(held: dict[str, Any]) -> bytes:
    return json.dumps(held, sort_keys=True, separators=(",", ":")).encode()


def _damaged(path: Path, error: Exception) -> Unavailable:
    return Unavailable(
        "keys.store_damaged",
        f"{path} is cut or changed: {type(error).__name__}: {error}",
        "restore this file from a backup of the key store",
    )


@contextmanager
def _locked(path: Path, how: int, store: Path) -> Iterator[None]:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, how)
        except BlockingIOError as error:
            raise Unavailable(
                "keys.store_locked", f"another key service serves {store}", "use that one, or end it first"
            ) from error
        yield
    finally:
        os.close(descriptor)
