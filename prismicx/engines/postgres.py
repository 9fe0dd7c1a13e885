"""Connections to PostgreSQL: the administrator's, and one pool for each service and database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from prismicx.credentials import Credentials
from prismicx.engines.endpoints import Endpoint
from prismicx.errors import Denied, Unavailable
from prismicx.names import Names
from prismicx.settings import Settings

OLDEST = 15
"""The oldest major version the platform runs on: views with ``security_invoker`` came with it."""

if TYPE_CHECKING:  # the driver's classes are generic for type checkers only
    Connection = asyncpg.Connection[asyncpg.Record]
    Pool = asyncpg.Pool[asyncpg.Record]
    PooledConnection = PoolConnectionProxy[asyncpg.Record]
else:
    Connection = asyncpg.Connection
    Pool = asyncpg.Pool
    PooledConnection = PoolConnectionProxy

_UNREACHABLE = (OSError, TimeoutError, asyncpg.CannotConnectNowError, asyncpg.TooManyConnectionsError)


@asynccontextmanager
async def connect(url: str, timeout: float, **options: Any) -> AsyncIterator[Connection]:  # noqa: ASYNC109
    """One connection outside any pool.

    Raises:
        Unavailable: ``postgres.unreachable`` or ``postgres.too_old``.
        Denied: ``postgres.login_refused``.
    """
    connection = await _opened(asyncpg.connect(url, timeout=timeout, **options), Endpoint(url, ""))
    try:
        yield connection
    finally:
        await connection.close(timeout=timeout)


def check_version(connection: Connection | PooledConnection) -> None:
    """See that the server is new enough.

    Raises:
        Unavailable: ``postgres.too_old``.
    """
    version = connection.get_server_version()
    if version.major < OLDEST:
        raise Unavailable(
            "postgres.too_old",
            f"the server is PostgreSQL {version.major}.{version.minor}; {OLDEST} or newer is needed",
            "upgrade the server, or name another one with --postgres-url",
        )


class Postgres:
    """The pools of one platform, opened on first use."""

    def __init__(self, endpoint: Endpoint, names: Names, credentials: Credentials, settings: Settings) -> None:
        self._endpoint = endpoint
        self._names = names
        self._credentials = credentials
        self._settings = settings
        self._pools: dict[tuple[str, str], Pool] = {}
        self._opening = asyncio.Lock()

    def opened(self, service: str, database: str) -> Pool | None:
        """The pool of a service on a database, if it was opened already."""
        return self._pools.get((service, database))

    async def pool(self, service: str, database: str) -> Pool:
        """The pool of a service on a database of the reference.

        Raises:
            Unavailable, Denied: as for `connect`, or ``credentials.missing``.
        """
        async with self._opening:
            pool = self.opened(service, database)
            if pool is None:
                pool = self._pools[service, database] = await self._open(service, database)
            return pool

    async def connection(self, service: str, database: str) -> Connection:
        """A connection of a service outside its pool, for work that keeps it long; close it after use.

        Raises:
            Unavailable, Denied: as `pool`.
        """
        url = self._url(service, database)
        opening = asyncpg.connect(url, timeout=self._settings.connect_timeout, server_settings=_session(service))
        opened: Connection = await _opened(opening, self._endpoint)
        return opened

    async def close(self) -> None:
        """Close every pool; connections in use get the connect time-out to finish."""
        pools, self._pools = list(self._pools.values()), {}
        for pool in pools:
            try:
                await asyncio.wait_for(pool.close(), self._settings.connect_timeout)
            except TimeoutError:
                pool.terminate()

    async def _open(self, service: str, database: str) -> Pool:
        pool = asyncpg.create_pool(
            self._url(service, database),
            min_size=1,
            max_size=self._settings.pool_size,
            timeout=self._settings.connect_timeout,
            # What was opened stays open: the pool is small, and a timer for each use costs 3 % of a point read.
            max_inactive_connection_lifetime=0,
            connection_class=ScopedConnection,
            server_settings=_session(service),
        )
        await _opened(pool, self._endpoint)
        async with pool.acquire() as connection:
            check_version(connection)
        return pool

    def _url(self, service: str, database: str) -> str:
        login = self._names.service(service)
        password = self._credentials.require("postgres", login)
        return self._endpoint.postgres(self._names.server_wide(database), login, password)


def _session(service: str) -> dict[str, str]:
    return {
        "application_name": f"prismicx {service}",
        # As the grammar reads statements, whatever the server's default is.
        "standard_conforming_strings": "on",
    }


class ScopedConnection(Connection):
    """A pooled connection that knows when its last transaction has reset the session already, in the message that
    ended it: that spares the pool a round trip. Anything else is rolled back and reset on return."""

    __slots__ = ("_session_is_reset",)

    def note_reset(self) -> None:
        """The session was just reset; nothing more will be sent before the connection returns."""
        self._session_is_reset = True

    async def reset(self, *, timeout: float | None = None) -> None:  # noqa: ASYNC109
        if getattr(self, "_session_is_reset", False):
            self._session_is_reset = False
            return
        ending = "ROLLBACK; " if self.is_in_transaction() else ""
        await self.execute(ending + self.get_reset_query(), timeout=timeout)


async def _opened(opening: Any, endpoint: Endpoint) -> Any:
    try:
        return await opening
    except (asyncpg.InvalidPasswordError, asyncpg.InvalidAuthorizationSpecificationError) as error:
        raise Denied(
            "postgres.login_refused",
            f"PostgreSQL at {endpoint.host} refused the login: {error}",
            "check user and password of --postgres-url, or the credentials file",
        ) from error
    except asyncpg.InvalidCatalogNameError as error:
        raise Unavailable("postgres.not_applied", f"at {endpoint.host}: {error}", "run `prismicx db apply`") from error
    except _UNREACHABLE as error:
        reason = str(error) or "it did not answer in time"
        raise Unavailable(
            "postgres.unreachable",
            f"PostgreSQL at {endpoint.host}: {reason}",
            "check that the server runs and that --postgres-url names it",
        ) from error
