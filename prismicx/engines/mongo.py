"""Connections to MongoDB: the administrator's, one client for each service, one for each tenant in use."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from pymongo import AsyncMongoClient
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import ConfigurationError, OperationFailure, PyMongoError
from pymongo.server_description import ServerDescription

from prismicx.credentials import Credentials
from prismicx.engines import handshake
from prismicx.engines.endpoints import Endpoint
from prismicx.engines.transport import Host, Transport, like, of_mongo
from prismicx.errors import Denied, Unavailable, quoted
from prismicx.names import Names
from prismicx.secret import Secret, without_frames
from prismicx.settings import Settings

Client = AsyncMongoClient[dict[str, Any]]
Database = AsyncDatabase[dict[str, Any]]

USERS = "admin"
"""The database in which the users of services are kept; tenants' users are in their own databases."""

_OLDEST_WIRE = 21
"""Wire version of MongoDB 7.0."""
_AUTHENTICATION_FAILED = 18
LOOKS_EVERY = 2.0
"""Seconds between two looks at the credentials file, which a rotation writes."""
_IDLE = 120.0
"""Seconds after which a connection that nobody uses is closed by us: servers and what stands between close it after
some minutes, the driver learns of it when it writes, and not every write may be sent a second time."""
_KEPT = 60.0
"""Seconds for which a client goes on, whose login was passed from and ended, for whoever still waits for an answer."""


@asynccontextmanager
async def connect(url: str, timeout: float) -> AsyncIterator[Client]:  # noqa: ASYNC109
    """One client outside any cache, checked to answer.

    Raises:
        Unavailable: ``mongo.unreachable``, ``mongo.tls_refused``, ``mongo.url_invalid``, ``mongo.standalone`` or
            ``mongo.too_old``.
        Denied: ``mongo.login_refused``.
    """
    url = Secret(url)
    await _trust(url, timeout)
    client = open_client(url, timeout)
    try:
        await check(client, Endpoint(url, "").host)
        yield client
    finally:
        await client.close()


def open_client(url: str, timeout: float) -> Client:
    """A client with the options all of them share; connects on first use.

    Raises:
        Unavailable: ``mongo.url_invalid``.
    """
    tls = of_mongo(url)
    secured: dict[str, Any] = {}
    if tls.asked is None and tls.encrypted:
        secured["tls"] = True
    elif not tls.encrypted and not tls.remote:
        # A replica set answers with its members' names: they are asked nothing without TLS.
        secured["server_selector"] = _on_this_machine
    try:
        return AsyncMongoClient(
            url,
            **secured,
            tz_aware=True,
            # What was acknowledged is on the journal of a majority, so that it outlives the death of a server.
            w="majority",
            journal=True,
            serverSelectionTimeoutMS=int(timeout * 1000),
            connectTimeoutMS=int(timeout * 1000),
            maxIdleTimeMS=int(_IDLE * 1000),
            appname="prismicx",
        )
    except (PyMongoError, ValueError):
        # What the driver says may quote a part of the URL, which may be a part of the password.
        raise Unavailable(
            "mongo.url_invalid", "the MongoDB URL is not one", "mend --mongo-url: see the form in MongoDB's manual"
        ) from None


def _on_this_machine(servers: list[ServerDescription]) -> list[ServerDescription]:
    return [server for server in servers if Host(*server.address).local]


async def _trust(url: str, timeout: float) -> None:  # noqa: ASYNC109
    """See that one of the hosts speaks TLS as the URL demands. The driver would try until the time runs out, and not
    say why.

    Raises:
        Unavailable: ``mongo.tls_refused``.
    """
    tls = of_mongo(url)
    refused: Unavailable | None = None
    for host in tls.hosts if tls.encrypted else ():
        if host.name.startswith("/") or host.port is None:
            continue
        try:
            await handshake.shake(host, tls, postgres=False, timeout=timeout)
            return
        except handshake.Refused as error:
            where = f"MongoDB at {host.name}:{host.port}"
            refused = Unavailable("mongo.tls_refused", f"{where}: {error.reason}", error.remedy)
        except OSError:
            continue  # the driver tells of hosts that are not there
    if refused is not None:
        raise refused


async def check(client: Client, host: str) -> dict[str, Any]:
    """See that the server answers, takes the login, is new enough and has transactions; gives its ``hello``.

    Raises:
        Unavailable, Denied: as `connect`.
    """
    try:
        hello: dict[str, Any] = await client.admin.command("hello")
        await client.admin.command("ping")
    except OperationFailure as error:
        if error.code == _AUTHENTICATION_FAILED:
            raise Denied(
                "mongo.login_refused",
                f"MongoDB at {host} refused the login",
                "check user, password and authSource of --mongo-url, or the credentials file",
            ) from without_frames(error)
        raise Unavailable(
            "mongo.unreachable", f"MongoDB at {host}: {error}", "see the server's log"
        ) from without_frames(error)
    except (PyMongoError, ConfigurationError) as error:
        _check_members(client, host)
        reason = str(error).split(", Timeout:")[0]
        if "CERTIFICATE_VERIFY_FAILED" in reason:  # of hosts that are looked up, which `_trust` cannot try
            raise Unavailable("mongo.tls_refused", f"MongoDB at {host}: {reason}", handshake.TRUST) from error
        raise Unavailable(
            "mongo.unreachable",
            f"MongoDB at {host}: {reason}",
            "check that the server runs and that --mongo-url names it; "
            "one that wants a client's certificate hangs up without tls_cert",
        ) from without_frames(error)
    if hello.get("maxWireVersion", 0) < _OLDEST_WIRE:
        raise Unavailable(
            "mongo.too_old",
            f"MongoDB at {host} speaks wire version {hello.get('maxWireVersion')}; 7.0 or newer is needed",
            "upgrade the server, or name another one with --mongo-url",
        )
    if "setName" not in hello and hello.get("msg") != "isdbgrid":
        raise Unavailable(
            "mongo.standalone",
            f"MongoDB at {host} is a standalone server, which has no transactions",
            "start it with --replSet NAME and run rs.initiate() once: a replica set of one is enough",
        )
    return hello


def _check_members(client: Client, host: str) -> None:
    """Tell of members that are asked nothing, see `open_client`."""
    known = client.topology_description.server_descriptions().values()
    elsewhere = [server.address[0] for server in known if not _on_this_machine([server])]
    if elsewhere and client.options.server_selector is _on_this_machine:
        raise Unavailable(
            "mongo.tls_refused",
            f"MongoDB at {host} is a member of a replica set whose members are {', '.join(map(quoted, elsewhere))}: "
            "off loopback nothing is sent without TLS",
            "say tls=true, or directConnection=true where this one member is meant",
        )


@dataclass(slots=True)
class _Held:
    client: Client
    users: int = 0


@dataclass(frozen=True, slots=True)
class _LoggedIn:
    client: Client
    login: str
    password: str


class Mongo:
    """The clients of one platform, opened on first use.

    Logging in costs milliseconds on purpose (SCRAM), so the client of a tenant stays open after use; beyond
    ``tenant_clients`` of them the longest unused is closed.
    """

    def __init__(self, endpoint: Endpoint, names: Names, credentials: Credentials, settings: Settings) -> None:
        self._endpoint = endpoint
        self._names = names
        self._credentials = credentials
        self._settings = settings
        self._transport = Transport.of(settings)
        self._services: dict[str, _LoggedIn] = {}
        self._tenants: OrderedDict[str, _Held] = OrderedDict()
        self._checking = asyncio.Lock()
        self._passed: list[tuple[float, _LoggedIn]] = []
        self._closing: set[asyncio.Future[None]] = set()
        self._stamp, self._look_at = credentials.stamp, time.monotonic() + LOOKS_EVERY

    async def service(self, service: str) -> Client:
        """The client that is logged in as a service.

        Raises:
            Unavailable, Denied: as `connect`, or ``credentials.missing``.
        """
        if time.monotonic() >= self._look_at:
            self._look()
        held = self._services.get(service)
        if held is None:
            async with self._checking:
                held = self._services.get(service)
                if held is None:
                    held = self._services[service] = await self._logged_in(self._names.service(service))
        return held.client

    async def _logged_in(self, role: str) -> _LoggedIn:
        login, password = self._credentials.require_login("mongo", role)
        url = self._endpoint.mongo(USERS, login, password)
        await _trust(url, self._settings.connect_timeout)
        client = open_client(url, self._settings.connect_timeout)
        try:
            await check(client, self._endpoint.host)
        except BaseException:
            await client.close()
            raise
        return _LoggedIn(client, login, password)

    def _look(self) -> None:
        """See whether the credentials were rotated; then services get new clients, and who uses an old one ends."""
        now = time.monotonic()
        self._look_at = now + LOOKS_EVERY
        self._stamp = self._credentials.follow(self._stamp)
        for service, held in list(self._services.items()):
            if (held.login, held.password) != self._credentials.login("mongo", self._names.service(service)):
                self._passed.append((now, self._services.pop(service)))
        # One whose login still works may be in use for long, as by a change stream.
        over = [each for each in self._passed if now >= each[0] + _KEPT and not self._works(each[1])]
        for each in over:
            self._passed.remove(each)
            closing = asyncio.ensure_future(each[1].client.close())
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)

    def _works(self, held: _LoggedIn) -> bool:
        """Whether the login has its password still: those that were ended are dropped from the file."""
        return self._credentials.get("mongo", held.login) == held.password

    def hold(self, url: str) -> Client:
        """The client of a tenant's own login; `release` it after use.

        Raises:
            InvalidInput: ``transport.insecure`` when the URL, which is the registry's, asks for less than it must.
        """
        held = self._tenants.get(url)
        if held is None:
            secured = self._transport.mongo(like(url, self._endpoint.url), "the connection string of the tenant")
            held = self._tenants[url] = _Held(open_client(secured, self._settings.connect_timeout))
        self._tenants.move_to_end(url)
        held.users += 1
        return held.client

    async def release(self, url: str) -> None:
        """Give a tenant's client back; closes those that are too many and unused."""
        held = self._tenants.get(url)
        if held is not None:
            held.users -= 1
        surplus = len(self._tenants) - self._settings.tenant_clients
        if surplus > 0:
            idle = [key for key, other in self._tenants.items() if other.users == 0][:surplus]
            for client in [self._tenants.pop(key).client for key in idle]:
                await client.close()

    async def forget(self, url: str) -> None:
        """Close a tenant's client now, whoever uses it."""
        held = self._tenants.pop(url, None)
        if held is not None:
            await held.client.close()

    async def close(self) -> None:
        """Close every client."""
        clients = [held.client for held in (*self._services.values(), *(held for _, held in self._passed))]
        clients += [held.client for held in self._tenants.values()]
        self._services.clear()
        self._passed.clear()
        self._tenants.clear()
        for client in clients:
            await client.close()
        await asyncio.gather(*self._closing)


async def is_user(client: Client, login: str) -> bool:
    """Whether the server knows a user of services. Asked by name: in a list of all one may be missing while others are
    made and dropped.

    Raises:
        OperationFailure: the client may not ask.
    """
    found = await client[USERS].command("usersInfo", {"user": login, "db": USERS})
    return bool(found["users"])


def update_of(fields: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """An update that sets fields; those that are None are taken away."""
    update = {"$set": {name: value for name, value in fields.items() if value is not None}}
    gone = {name: "" for name, value in fields.items() if value is None}
    return {**update, **({"$unset": gone} if gone else {})}
