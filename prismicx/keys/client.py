"""The client of a key service: ours, OpenBao or Vault, whichever the URL names."""

from __future__ import annotations

import asyncio
import base64
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from prismicx.errors import Conflict, InvalidInput, NotFound, PrismicXError, Unavailable
from prismicx.keys.endpoint import KeyEndpoint
from prismicx.keys.names import check_name
from prismicx.secret import Secret

if TYPE_CHECKING:
    from prismicx.keys.connection import Connection

T = TypeVar("T")

_BATCH = 100
"""Items of one request: OpenBao takes no JSON of more than about a thousand strings."""
_THREADS = 8
_NO_ASSOCIATED_DATA = "message authentication failed"


@dataclass(frozen=True, slots=True)
class KeyInfo:
    """What is known of a wrapping key.

    Attributes:
        latest_version: the version that seals.
        min_decryption_version: what older versions sealed is not opened.
    """

    name: str
    latest_version: int
    min_decryption_version: int
    min_encryption_version: int
    deletion_allowed: bool


@dataclass(frozen=True, slots=True)
class Sealed:
    """A ciphertext ``vault:v<n>:…`` with the associated data it was sealed with."""

    ciphertext: str
    associated_data: bytes = b""

    @property
    def version(self) -> int:
        """The version of the key that sealed it."""
        return version_of(self.ciphertext)


class Keys:
    """The wrapping keys of a key service. Connections are opened on first use and kept.

    Every method may raise:
        InvalidInput: ``keys.name_invalid``.
        Unavailable: ``keys.unavailable`` when the service does not answer or is sealed, ``keys.certificate`` when its
            certificate is not trusted or has expired, ``keys.failed`` when it says that it failed.
        Denied: ``keys.denied``, the token is unknown or may not do this. From OpenBao and Vault a missing key may look
            the same.
        NotFound: ``keys.unknown``, no such key. OpenBao and Vault say so of destroyed ones, too.
        Conflict: ``keys.destroyed``, the key was destroyed.
    """

    def __init__(self, endpoint: KeyEndpoint, timeout: float = 10.0) -> None:
        self.endpoint = endpoint
        self._timeout = timeout
        self._connection: Connection | None = None
        self._making = threading.Lock()
        # Of its own: a service that does not answer must not keep those waiting who need the loop's threads.
        self._threads = ThreadPoolExecutor(_THREADS, "keys")

    async def create(self, name: str, *, again: bool = False) -> KeyInfo:
        """A new key, or the one that is there.

        Args:
            again: give the name of a destroyed key to a new one; needs the right ``recreate``. OpenBao and Vault do not
                remember destroyed keys, and so always do.
        """
        more = {"again": True} if again else {}
        return _info(await self._ask("post", "keys", name, {"type": "aes256-gcm96", **more}, admin=again))

    async def read(self, name: str) -> KeyInfo:
        """What is known of a key."""
        return _info(await self._ask("get", "keys", name))

    async def names(self) -> list[str]:
        """The names of all keys."""
        try:
            found = (await self._ask("list", "keys", admin=True)).get("keys")
        except NotFound:  # OpenBao and Vault say so when there is none
            return []
        if not isinstance(found, list):
            raise _nonsense()
        return found

    async def encrypt(self, name: str, plaintext: bytes, associated_data: bytes = b"") -> str:
        """Seal a text; gives ``vault:v<n>:…``."""
        body = {"plaintext": _text(plaintext), **_associated(associated_data)}
        del plaintext  # reports of errors show what the frames hold
        return _held(await self._ask("post", "encrypt", name, body), "ciphertext")

    async def decrypt(self, name: str, ciphertext: str, associated_data: bytes = b"") -> bytes:
        """Open a ciphertext.

        Raises:
            InvalidInput: ``keys.refused``, this key did not seal it with this associated data, or its version is old.
        """
        body = {"ciphertext": ciphertext, **_associated(associated_data)}
        return _bytes(_held(await self._ask("post", "decrypt", name, body), "plaintext"))

    async def encrypt_many(self, name: str, items: Sequence[tuple[bytes, bytes]]) -> list[str]:
        """Seal many texts, each with its associated data, in one request."""
        batch = [{"plaintext": _text(text), **_associated(associated)} for text, associated in items]
        del items  # as above
        found = await self._batch("encrypt", name, batch)
        return [_held(_whole(result), "ciphertext") for result in found]

    async def decrypt_many(self, name: str, items: Sequence[Sealed]) -> list[bytes | PrismicXError]:
        """Open many ciphertexts in one request; an error in the place of one that was refused."""
        batch = [{"ciphertext": item.ciphertext, **_associated(item.associated_data)} for item in items]
        found = await self._batch("decrypt", name, batch)
        return [_refusal(result) or _bytes(_held(result, "plaintext")) for result in found]

    async def rewrap(self, name: str, ciphertext: str, associated_data: bytes = b"") -> str:
        """The same text sealed by the latest version; it does not leave the service.

        OpenBao and Vault cannot rewrap with associated data: there the text is opened and sealed by this process, with
        the token for sealing.
        """
        body = {"ciphertext": ciphertext, **_associated(associated_data)}
        try:
            return _held(await self._ask("post", "rewrap", name, body, admin=True), "ciphertext")
        except InvalidInput as error:
            if not associated_data or _NO_ASSOCIATED_DATA not in error.message:
                raise
        return await self.encrypt(name, await self.decrypt(name, ciphertext, associated_data), associated_data)

    async def rotate(self, name: str) -> KeyInfo:
        """Give a key another version, which seals from now on."""
        await self._ask("post", "keys", name, {}, "rotate", admin=True, repeat=False)
        return _info(await self._ask("get", "keys", name, admin=True))

    async def configure(
        self, name: str, *, min_decryption_version: int | None = None, min_encryption_version: int | None = None
    ) -> KeyInfo:
        """Refuse to open what versions older than this sealed, or to seal with them.

        Raises:
            InvalidInput: ``keys.refused``, there is no such version.
        """
        given = {
            "min_decryption_version": min_decryption_version,
            "min_encryption_version": min_encryption_version,
        }
        body = {option: value for option, value in given.items() if value is not None}
        await self._ask("post", "keys", name, body, "config", admin=True)
        return _info(await self._ask("get", "keys", name, admin=True))

    async def destroy(self, name: str) -> bool:
        """Destroy a key: what it sealed can never be read again. False where there is none any more."""
        try:
            await self._ask("post", "keys", name, {"deletion_allowed": True}, "config", admin=True)
            await self._ask("delete", "keys", name, admin=True)
        except NotFound:
            return False
        except Conflict as error:
            if error.code != "keys.destroyed":
                raise
            return False
        return True

    async def health(self) -> str:
        """The version of a service that answers and is unsealed; needs no token."""
        return await self._apart(lambda: self._connected().health())

    async def check(self) -> None:
        """See that the service answers and knows the tokens."""
        for admin in (False, True):
            await self._apart(partial(self._check, admin))

    def close(self) -> None:
        """Close the connections."""
        with self._making:
            if self._connection is not None:
                self._connection.close()
            self._connection = None
        self._threads.shutdown(wait=False)

    async def _batch(self, what: str, name: str, batch: list[dict[str, str]]) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        for start in range(0, len(batch), _BATCH):
            body = {"batch_input": batch[start : start + _BATCH]}
            answer = await self._ask("post", what, name, body)
            results = answer.get("batch_results")
            if not isinstance(results, list) or len(results) != len(body["batch_input"]):
                raise _nonsense()
            found += results
        return found

    async def _ask(
        self,
        method: str,
        what: str,
        key: str | None = None,
        body: dict[str, Any] | None = None,
        then: str = "",
        *,
        admin: bool = False,
        repeat: bool = True,
    ) -> dict[str, Any]:
        # A name such as .. would ask for something else.
        parts = [self.endpoint.mount, what, *([] if key is None else [check_name(key)]), *([then] if then else [])]
        url = "/v1/" + "/".join(parts)
        found = await self._apart(lambda: self._connected().ask(method, url, body, admin, repeat))
        data: dict[str, Any] = found["data"] if isinstance(found, dict) and found.get("data") else {}
        return data

    async def _apart(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    def _check(self, admin: bool) -> None:
        self._connected().check(admin)

    def _connected(self) -> Connection:
        # Imported when it is first needed: most commands ask for no key, and the libraries take their time.
        from prismicx.keys.connection import Connection

        with self._making:
            if self._connection is None:
                self._connection = Connection(self.endpoint, self._timeout)
            return self._connection


def version_of(ciphertext: str) -> int:
    """The version of the key that sealed a ciphertext; 0 for what is none."""
    parts = ciphertext.split(":", 2)
    digits = parts[1][1:] if len(parts) == 3 and parts[0] == "vault" and parts[1].startswith("v") else ""
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 10 else 0


def _info(data: Mapping[str, Any]) -> KeyInfo:
    try:
        return KeyInfo(**{part.name: data[part.name] for part in fields(KeyInfo)})
    except KeyError as error:
        raise _nonsense() from error


def _held(data: Mapping[str, Any], name: str) -> str:
    text = data.get(name)
    if not isinstance(text, str):
        raise _nonsense()
    return text


def _nonsense() -> Unavailable:
    return Unavailable("keys.failed", "what key_url names does not answer as a key service does", "see key_url")


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError as error:
        raise _nonsense() from error


def _text(data: bytes) -> Secret:
    return Secret(base64.b64encode(data).decode())


def _associated(data: bytes) -> dict[str, str]:
    return {"associated_data": _text(data)} if data else {}


def _refusal(result: Mapping[str, Any]) -> PrismicXError | None:
    if not result.get("error"):
        return None
    return InvalidInput("keys.refused", f"the key service refuses this: {result['error']}", "see the input")


def _whole(result: Mapping[str, Any]) -> Mapping[str, Any]:
    refusal = _refusal(result)
    if refusal is not None:
        raise refusal
    return result
