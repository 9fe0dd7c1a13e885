"""Tokens of the services: which keys each may use, and for what. Only their hashes are kept."""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from fnmatch import fnmatchcase

from prismicx.errors import Conflict, Denied, InvalidInput, NotFound, quoted
from prismicx.keys.names import check_name
from prismicx.keys.store import Store
from prismicx.secret import Secret

OPERATIONS = ("create", "read", "list", "encrypt", "decrypt", "rewrap", "rotate", "config", "delete", "recreate")
"""What a token may be allowed. ``recreate`` gives the name of a destroyed key to a new one."""

ROLES = {
    "sealing": ("create", "read", "encrypt", "decrypt"),
    "keyadmin": ("create", "read", "list", "rewrap", "rotate", "config", "delete"),
    "monitor": ("read", "list"),
}
"""Sets of operations with a name."""


@dataclass(frozen=True, slots=True)
class Token:
    """What is known of a token.

    Attributes:
        keys: patterns of names, as ``tenant_*``.
        digest: SHA-256 of the token, which has 256 random bits.
        created: seconds since the epoch, for people; a token has no end but its revocation.
        revoked: when it was revoked; it is kept, so that the log can name it when it is used again.
    """

    name: str
    operations: tuple[str, ...]
    keys: tuple[str, ...]
    digest: str
    created: float
    revoked: float | None = None

    def permits(self, operation: str, key: str) -> bool:
        """Whether it may do this with the key; the key is empty for what concerns none."""
        named = not key or any(fnmatchcase(key, pattern) for pattern in self.keys)
        return self.revoked is None and operation in self.operations and named


class Tokens:
    """The tokens of a store, read again whenever another process changed them."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._stamp: tuple[int, int, int] | None = None
        self._held: dict[str, Token] = {}

    def known(self, secret: str) -> Token | None:
        """Whose token this is, a revoked one included; None for nobody's."""
        stamp = self._store.tokens_stamp()
        if stamp != self._stamp:
            self._held = {token.digest: token for token in self.list()}
            self._stamp = stamp
        return self._held.get(_digest(secret))

    def list(self) -> list[Token]:
        """All tokens, those revoked included."""
        return [_from(held) for held in self._store.tokens()]

    def create(self, name: str, operations: Iterable[str], keys: Iterable[str] = ("*",)) -> Secret:
        """Make a token; it is shown once and kept nowhere.

        Raises:
            InvalidInput: ``keys.name_invalid``, ``keys.operation_unknown`` or ``keys.pattern_invalid``.
            Conflict: ``keys.token_exists``.
        """
        check_name(name)
        allowed, patterns = tuple(sorted(set(operations))), tuple(keys)
        unknown = [item for item in allowed if item not in OPERATIONS]
        if unknown or not allowed:
            raise InvalidInput(
                "keys.operation_unknown",
                f"the token {name} asks for {quoted(', '.join(unknown)) if unknown else 'nothing'}",
                f"operations are {', '.join(OPERATIONS)}",
            )
        for pattern in patterns:
            if not pattern or any(not (sign.isalnum() and sign.isascii()) and sign not in "_.-*?" for sign in pattern):
                raise InvalidInput(
                    "keys.pattern_invalid", f"the pattern is {quoted(pattern)}", "give one such as tenant_*"
                )
        secret = Secret(f"pxk.{secrets.token_urlsafe(32)}")
        with self._store.changing_tokens() as held:
            if any(token["name"] == name and token["revoked"] is None for token in held):
                raise Conflict("keys.token_exists", f"there is a token {name}", "revoke it, or choose another name")
            held.append(asdict(Token(name, allowed, patterns, _digest(secret), time.time())))
        return secret

    def revoke(self, name: str) -> None:
        """Let a token be used no more, at once.

        Raises:
            NotFound: ``keys.token_unknown``.
        """
        with self._store.changing_tokens() as held:
            found = [index for index, token in enumerate(held) if token["name"] == name and token["revoked"] is None]
            if not found:
                raise NotFound("keys.token_unknown", f"there is no token {quoted(name)}", "prismicx key token list")
            for index in found:
                held[index] = asdict(replace(_from(held[index]), revoked=time.time()))


def check(token: Token | None, operation: str, key: str) -> None:
    """See that a token may do this.

    Raises:
        Denied: ``keys.denied``; the message does not say why.
    """
    if token is None or not token.permits(operation, key):
        raise Denied("keys.denied", "permission denied", "use a token that may do this; the service's log says why")


def _from(held: dict[str, object]) -> Token:
    token = Token(**held)  # type: ignore[arg-type]
    return replace(token, operations=tuple(token.operations), keys=tuple(token.keys))


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()
