"""A server that went away, told in our words, whichever driver tells it in its own."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, cast

import asyncpg
from pymongo.errors import ConnectionFailure

from prismicx.errors import Unavailable

LOST = (
    asyncpg.PostgresConnectionError, asyncpg.AdminShutdownError, asyncpg.CrashShutdownError,
    asyncpg.CannotConnectNowError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError, ConnectionFailure,
)  # fmt: skip
"""What is raised when the connection was lost; see `is_lost`."""

DRIVER_ERRORS = (asyncpg.PostgresError, asyncpg.InterfaceError, OSError)
"""What PostgreSQL's driver raises."""

F = TypeVar("F", bound=Callable[..., Awaitable[Any]])


def is_lost(error: BaseException) -> bool:
    """Whether the connection was lost. The driver's InterfaceError may also say that something was called wrongly."""
    return isinstance(error, LOST) and (not isinstance(error, asyncpg.InterfaceError) or "is closed" in str(error))


def lost(error: BaseException, remedy: str = "try again") -> Unavailable:
    """The error for a connection that is no more."""
    if isinstance(error, ConnectionFailure):
        return Unavailable("mongo.lost", f"the connection to MongoDB was lost: {error}", remedy)
    return Unavailable("postgres.lost", f"the connection to PostgreSQL was lost: {error}", remedy)


def told_when_lost(method: F) -> F:
    """Have a method, which does nothing but ask the engines, raise Unavailable ``postgres.lost`` or ``mongo.lost``."""

    @functools.wraps(method)
    async def asked(*given: Any, **named: Any) -> Any:
        try:
            return await method(*given, **named)
        except LOST as error:
            if not is_lost(error):
                raise
            raise lost(error) from error

    return cast("F", asked)
