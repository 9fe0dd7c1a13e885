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
"""What is raised when the connection was lost, by statements that are our own: for others the driver's InterfaceError
may also say that they were called wrongly."""

F = TypeVar("F", bound=Callable[..., Awaitable[Any]])


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
        except ValueError:
            raise  # the driver's word for values of a wrong kind is an InterfaceError, too
        except LOST as error:
            raise lost(error) from error

    return cast("F", asked)
