"""Connections to PostgreSQL: the administrator's, and one pool for each service and database."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from prismicx.credentials import CONTEXT, Credentials
from prismicx.engines import handshake
from prismicx.engines.context import ContextKey
from prismicx.engines.endpoints import Endpoint, locate_pooler
from prismicx.engines.lost import told_when_lost
from prismicx.engines.transport import of_postgres
from prismicx.errors import Denied, Unavailable
from prismicx.names import Names
from prismicx.secret import Secret, without_frames
from prismicx.settings import Settings

OLDEST = 15
"""The oldest major version the platform runs on: views with ``security_invoker`` came with it."""

_LOOKS_EVERY = 2.0
"""Seconds between two looks at the credentials file, which a rotation writes."""

_DIRECT = frozenset({"fleet", "audit"})
"""Services that do not run transactions of tenants, or hold locks of their session: they go to the server itself."""

_BECOMES = frozenset({"systems"})
"""Services whose transactions become a tenant's own role."""

if TYPE_CHECKING:  # the driver's classes are generic for type checkers only
    Connection = asyncpg.Connection[asyncpg.Record]
    Pool = asyncpg.Pool[asyncpg.Record]
    PooledConnection = PoolConnectionProxy[asyncpg.Record]
else:
    Connection = asyncpg.Connection
    Pool = asyncpg.Pool
    PooledConnection = PoolConnectionProxy

_UNREACHABLE = (
    OSError,
    TimeoutError,
    asyncpg.CannotConnectNowError,
    asyncpg.TooManyConnectionsError,
    asyncpg.ConnectionDoesNotExistError,  # it hung up, as after a handshake without the client's certificate it wants
)


@asynccontextmanager
async def connect(url: str, timeout: float, **options: Any) -> AsyncIterator[Connection]:  # noqa: ASYNC109
    """One connection outside any pool.

    Raises:
        Unavailable: ``postgres.unreachable``, ``postgres.tls_refused``, ``postgres.url_invalid`` or
            ``postgres.too_old``.
        Denied: ``postgres.login_refused``.
    """
    url = Secret(url)
    opening = asyncpg.connect(url, timeout=timeout, ssl=_ssl(url), **options)
    connection = await _opened(opening, Endpoint(url, ""))
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
    """The pools of one platform, opened on first use.

    Where there is a pooler, transactions of tenants go through it; the service ``fleet``, which holds locks of its
    session, and the administrator go to the server.
    """

    def __init__(self, endpoint: Endpoint, names: Names, credentials: Credentials, settings: Settings) -> None:
        self._endpoint = endpoint
        self._pooler = locate_pooler(settings)
        self._key: ContextKey | None = None
        self._renewing: set[asyncio.Future[None]] = set()
        self._names = names
        self._credentials = credentials
        self._settings = settings
        self._pools: dict[tuple[str, str], Pool] = {}
        self._opening = asyncio.Lock()
        self._stamp, self._look_at = credentials.stamp, time.monotonic() + _LOOKS_EVERY

    def opened(self, service: str, database: str) -> Pool | None:
        """The pool of a service on a database, if it was opened already."""
        if time.monotonic() >= self._look_at:
            self._look()
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

    async def begin(self, connection: PooledConnection, service: str, tenant_id: str, then: str = "") -> None:
        """Begin a transaction that is a tenant's until it ends.

        Args:
            then: further statements to send with it.

        Raises:
            Unavailable: ``credentials.missing``.
        """
        if self._pooler is None or service in _DIRECT:
            await connection.execute(f"BEGIN; {self.context(connection, tenant_id)}{then}")
            return
        # Which backend the pooler gives to a transaction is known when it has begun.
        await connection.execute("BEGIN")
        backend = await connection.fetchval("SELECT pg_catalog.pg_backend_pid()")
        await connection.execute(f"{self._context_key().settings(tenant_id, backend)}{then}")

    def context(self, connection: Connection | PooledConnection, tenant_id: str) -> str:
        """The statements that make a transaction on a connection to the server the tenant's; raises as `begin`."""
        key = self._key or self._context_key()
        return key.settings(tenant_id, connection.get_server_pid())

    async def connection(self, service: str, database: str) -> Connection:
        """A connection of a service outside its pool, for work that keeps it long; close it after use.

        Raises:
            Unavailable, Denied: as `pool`.
        """
        url = self._url(self._endpoint, service, database)
        opening = asyncpg.connect(
            url, timeout=self._settings.connect_timeout, ssl=_ssl(url), server_settings=_session(service)
        )
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

    def _look(self) -> None:
        """See whether the credentials were rotated; then connections are replaced as they come back."""
        self._look_at = time.monotonic() + _LOOKS_EVERY
        stamp = self._credentials.follow(self._stamp)
        if stamp == self._stamp:
            return
        self._stamp = stamp
        self._key = None
        for pool in self._pools.values():
            renewing = asyncio.ensure_future(pool.expire_connections())
            self._renewing.add(renewing)
            renewing.add_done_callback(self._renewing.discard)

    def _context_key(self) -> ContextKey:
        if self._key is None:
            self._key = ContextKey(self._credentials.require(CONTEXT, self._names.service(CONTEXT)))
        return self._key

    async def _open(self, service: str, database: str) -> Pool:
        endpoint = self._way(service)

        async def connect(*_: Any, **given: Any) -> Connection:
            # The login is looked up for each connection: it may be another one since the pool was opened.
            url = self._url(endpoint, service, database)
            # Long after the pool was opened, too: whoever waits for a connection is told in our words.
            opened: ScopedConnection = await _opened(asyncpg.connect(url, ssl=_ssl(url), **given), endpoint)
            if service in _BECOMES:
                opened.leave_jit()
            return opened

        # A statement that was prepared on one backend is not there on the next one a pooler gives.
        options: dict[str, Any] = {} if endpoint is self._endpoint else {"statement_cache_size": 0}
        pool: Pool = _Pool(
            connect=connect,
            min_size=1,
            max_size=self._settings.pool_size,
            max_queries=50_000,
            loop=None,
            setup=None,
            init=None,
            reset=None,
            record_class=asyncpg.Record,
            timeout=self._settings.connect_timeout,
            # What was opened stays open: the pool is small, and a timer for each use costs 3 % of a point read.
            max_inactive_connection_lifetime=0,
            connection_class=ScopedConnection,
            server_settings=_session(service),
            **options,
        )
        await _opened(pool, endpoint)
        try:
            async with pool.acquire() as connection:
                check_version(connection)
                backend = await connection.fetchval("SELECT pg_catalog.pg_backend_pid()")
                if endpoint is self._endpoint and backend != connection.get_server_pid():
                    raise Unavailable(
                        "postgres.pooler",
                        f"{endpoint.host} is a pooler, not the server",
                        "name the server by --postgres-url, and the pooler by --postgres-pooler-url",
                    )
        except BaseException:
            pool.terminate()  # nobody else knows of it, and it would go on keeping a connection
            raise
        return pool

    def _way(self, service: str) -> Endpoint:
        return self._endpoint if self._pooler is None or service in _DIRECT else self._pooler

    def _url(self, endpoint: Endpoint, service: str, database: str) -> str:
        login, password = self._credentials.require_login("postgres", self._names.service(service))
        return endpoint.postgres(self._names.server_wide(database), login, password)


def _ssl(url: str) -> Any:
    """What the driver does about TLS; said always, since it would go without by itself where a server has none."""
    return handshake.for_postgres(of_postgres(url))


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

    def leave_jit(self) -> None:
        """Let the driver not switch jit off while it asks for types: it does so by set_config."""
        self._server_caps: Any = self._server_caps._replace(jit=False)

    def get_reset_query(self) -> str:
        """What makes the session as it was; the role as well, which the driver does not think of."""
        return f"RESET ROLE; {super().get_reset_query()}"

    async def reset(self, *, timeout: float | None = None) -> None:  # noqa: ASYNC109
        if getattr(self, "_session_is_reset", False):
            self._session_is_reset = False
            return
        ending = "ROLLBACK; " if self.is_in_transaction() else ""
        await self.execute(ending + self.get_reset_query(), timeout=timeout)


class _Pool(Pool):
    """A pool whose own statements, which are the library's, say in our words that the server went away."""

    fetch = told_when_lost(Pool.fetch)
    fetchrow = told_when_lost(Pool.fetchrow)
    fetchval = told_when_lost(Pool.fetchval)
    execute = told_when_lost(Pool.execute)


async def _opened(opening: Any, endpoint: Endpoint) -> Any:
    try:
        return await opening
    except (asyncpg.InvalidPasswordError, asyncpg.InvalidAuthorizationSpecificationError) as error:
        remedy = "check user and password of --postgres-url, or the credentials file"
        if not of_postgres(endpoint.url).encrypted:
            remedy += "; a server that takes TLS only needs sslmode=verify-full in the URL"
        raise Denied(
            "postgres.login_refused", f"PostgreSQL at {endpoint.host} refused the login: {error}", remedy
        ) from without_frames(error)
    except asyncpg.InvalidCatalogNameError as error:
        raise Unavailable(
            "postgres.not_applied", f"at {endpoint.host}: {error}", "run `prismicx db apply`"
        ) from without_frames(error)
    except _UNREACHABLE as error:
        refused = handshake.refusal(error)
        if refused is not None:
            raise Unavailable(
                "postgres.tls_refused", f"PostgreSQL at {endpoint.host}: {refused.reason}", refused.remedy
            ) from without_frames(error)
        reason = str(error) or "it did not answer in time"
        raise Unavailable(
            "postgres.unreachable",
            f"PostgreSQL at {endpoint.host}: {reason}",
            "check that the server runs and that --postgres-url names it; "
            "one that wants a client's certificate hangs up without tls_cert",
        ) from without_frames(error)
