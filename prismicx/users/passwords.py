"""Passwords: hashed with Argon2id, checked in the same time whether there is a hash or not."""

from __future__ import annotations

import asyncio
import secrets
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerifyMismatchError

from prismicx.errors import InvalidInput

SHORTEST, LONGEST = 8, 1024

UNUSABLE = "!"
"""The hash of a user without a password: no password leads to it."""

_hasher = PasswordHasher()


def check_password(value: object) -> str:
    """The value, if it may be a password; it is in no message.

    Raises:
        InvalidInput: ``user.password_invalid``.
    """
    if isinstance(value, str) and SHORTEST <= len(value) <= LONGEST:
        return value
    raise InvalidInput(
        "user.password_invalid", "the password is too short or too long", f"give {SHORTEST} to {LONGEST} characters"
    )


async def hashed(password: str) -> str:
    """The hash to keep. Takes tens of milliseconds, in a thread."""
    return await asyncio.to_thread(_hasher.hash, password)


async def matches(kept: str | None, password: object) -> bool:
    """Whether the password leads to the hash. Without a hash, and with one nothing leads to, it takes as long."""
    usable = kept is not None and kept.startswith("$argon2")
    given = password if isinstance(password, str) and len(password) <= LONGEST else ""
    found = await asyncio.to_thread(_verify, kept if usable and kept else _decoy(), given)
    return found and usable


def rehash_wanted(kept: str) -> bool:
    """Whether the hash was made with weaker parameters than are used now."""
    return _hasher.check_needs_rehash(kept)


def _verify(kept: str, password: str) -> bool:
    try:
        return _hasher.verify(kept, password)
    except (VerifyMismatchError, InvalidHashError):
        return False


@cache
def _decoy() -> str:
    return _hasher.hash(secrets.token_urlsafe())
