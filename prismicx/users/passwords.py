"""Passwords: hashed with Argon2id, checked in the same time whether there is a hash or not."""

from __future__ import annotations

import asyncio

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError, VerifyMismatchError

from prismicx.checks import is_encodable
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
    if not isinstance(value, str) or not SHORTEST <= len(value) <= LONGEST:
        problem = "too short or too long"
    elif not is_encodable(value):
        problem = "no text that can be written as UTF-8"
    else:
        return value
    raise InvalidInput(
        "user.password_invalid", f"the password is {problem}", f"give {SHORTEST} to {LONGEST} characters"
    )


async def hashed(password: str) -> str:
    """The hash to keep. Takes tens of milliseconds, in a thread."""
    return await asyncio.to_thread(_hasher.hash, password)


async def matches(kept: str | None, password: object) -> bool:
    """Whether the password leads to the hash. Without a hash, and with one nothing leads to, it takes as long."""
    given = password if isinstance(password, str) and len(password) <= LONGEST and is_encodable(password) else ""
    if kept is None or not kept.startswith("$argon2"):
        await asyncio.to_thread(_hasher.hash, given)  # the work of a check, without anything to be made beforehand
        return False
    return await asyncio.to_thread(_verify, kept, given)


async def rehashed(kept: str | None, password: str) -> str | None:
    """The hash to keep instead, where the one that the password led to was made with weaker parameters than are used
    now."""
    return await hashed(password) if kept is not None and _hasher.check_needs_rehash(kept) else None


def _verify(kept: str, password: str) -> bool:
    try:
        return _hasher.verify(kept, password)
    except VerifyMismatchError:
        return False
    except (VerificationError, InvalidHashError, UnicodeEncodeError):
        _hasher.hash(password)  # the hash is damaged and made no work: its user is not told by the time either
        return False
