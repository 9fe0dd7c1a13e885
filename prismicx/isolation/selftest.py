"""`isolation verify --self-test`: every protection is broken in a scratch platform, and the checks must notice."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from typing import Any
from unittest.mock import patch

import asyncpg

from prismicx.engines import mongo, postgres, scoped_sql
from prismicx.engines.context import ContextKey
from prismicx.engines.endpoints import Endpoints, locate
from prismicx.engines.postgres import Connection, ScopedConnection
from prismicx.errors import Conflict
from prismicx.isolation import catalogue
from prismicx.isolation.document_breaks import BREAKS
from prismicx.isolation.documents import attack_documents
from prismicx.isolation.logins import attack_logins
from prismicx.isolation.mutations import mutations
from prismicx.isolation.pools import attack_pools, make_users
from prismicx.isolation.scratch import scratch
from prismicx.isolation.tenants import Made, throw_away
from prismicx.isolation.transport import attack_transport
from prismicx.isolation.values import Tally
from prismicx.isolation.verify import attack_database
from prismicx.names import Names
from prismicx.platform import Platform
from prismicx.reference.definitions import POSTGRES_DATABASES
from prismicx.settings import Settings


@dataclass(frozen=True, slots=True)
class SelfTest:
    """The outcome: every mutation with the check that noticed it, None where it survived."""

    mutations: Sequence[tuple[str, str | None]]
    seconds: float

    @property
    def survivors(self) -> Sequence[str]:
        """Mutations that no check noticed."""
        return [name for name, noticed in self.mutations if noticed is None]

    def as_json(self) -> dict[str, Any]:
        """The form that scripts read."""
        return {
            "ok": bool(self.mutations) and not self.survivors,
            "made": len(self.mutations),
            "survivors": list(self.survivors),
            "seconds": round(self.seconds, 2),
            "mutations": [{"mutation": name, "noticed_by": noticed} for name, noticed in self.mutations],
        }


async def self_test(
    settings: Settings, endpoints: Endpoints, *, progress: Callable[[str], None] = lambda _: None
) -> SelfTest:
    """Break each protection in a scratch platform on the same servers.

    Raises:
        Unavailable, Denied: an engine cannot be used.
        Conflict: ``isolation.self_test`` when checks are red before anything is broken.
    """
    begun, found = time.monotonic(), list[tuple[str, str | None]]()
    progress("making a scratch platform")
    async with scratch(settings, endpoints) as mine:
        for database in POSTGRES_DATABASES:
            progress(f"breaking {database}")
            found += [(f"{database}: {name}", noticed) async for name, noticed in _in_postgres(mine, database)]
        async with throw_away(mine, locate(mine)) as (px, made):
            progress("breaking pools")
            found += [("pools: " + name, noticed) async for name, noticed in _in_pools(px, made)]
            progress("breaking logins")
            found += [("MongoDB: " + name, noticed) async for name, noticed in _in_logins(px, made, mine)]
            progress("breaking shared collections")
            found += [("documents: " + name, noticed) async for name, noticed in _in_documents(px, made, mine)]
            progress("breaking the transport")
            found.append(("transport: everything is let through", _in_transport(mine)))
    return SelfTest(found, time.monotonic() - begun)


async def _in_postgres(settings: Settings, database: str) -> AsyncIterator[tuple[str, str | None]]:
    names = Names(settings.namespace)
    url = locate(settings).postgres.postgres(names.server_wide(database))
    async with postgres.connect(url, settings.connect_timeout) as connection:
        live = await catalogue.read(connection, names)
        whole = await _attacked(connection, settings, database, "")
        _green(whole, database)
        tried = {key[0] for key in whole.attempts}
        for mutation in mutations(live, names, database):
            tally = await _attacked(connection, settings, database, mutation.statement)
            lacking = sorted(tried - {key[0] for key in tally.attempts})
            yield mutation.name, _noticed(tally) or (f"{lacking[0]}, which cannot be tried" if lacking else None)


async def _attacked(connection: Connection, settings: Settings, database: str, statement: str) -> Tally:
    tally, undo = Tally(), connection.transaction()
    await undo.start()
    try:
        if statement:
            await connection.execute(statement)
        await attack_database(connection, settings, database, tally)
    except asyncpg.PostgresError as error:
        # An attack that could not even begin has noticed; a break that could not be made has not.
        raise Conflict(
            "isolation.self_test", f"{statement}: {error}", "report it: the self-test itself is wrong"
        ) from error
    finally:
        await undo.rollback()
    return tally


async def _in_pools(px: Platform, made: Made) -> AsyncIterator[tuple[str, str | None]]:
    async def attacked() -> Tally:
        tally = Tally()
        await attack_pools(px, made, 1, tally)
        return tally

    await make_users(px, made)
    _green(await attacked(), "pools")
    for name, broken in _POOL_BREAKS.items():
        with broken():
            yield name, _noticed(await attacked())
        pool = await px._postgres.pool("users", "system_users")
        await pool.expire_connections()


@contextmanager
def _outliving() -> Iterator[None]:
    """Settings of the session instead of the transaction's, and pools that do not reset."""

    def settings(self: ContextKey, tenant_id: str, backend: int) -> str:
        return f"SET app.current_tenant_id = '{tenant_id}'; SET app.tenant_proof = '{self.proof(tenant_id, backend)}'"

    async def reset(self: ScopedConnection, *, timeout: float | None = None) -> None:  # noqa: ASYNC109
        if self.is_in_transaction():
            await self.execute("COMMIT", timeout=timeout)

    with ExitStack() as stack:
        stack.enter_context(patch.object(ContextKey, "settings", settings))
        stack.enter_context(patch.object(ScopedConnection, "reset", reset))
        yield


@contextmanager
def _unchecked() -> Iterator[None]:
    """Statements are sent unread."""
    with patch.object(scoped_sql, "check", lambda _, **__: None):
        yield


@contextmanager
def _shared_context() -> Iterator[None]:
    """Whoever opens a transaction gets the tenant of the one before."""
    last: list[str] = []
    right = ContextKey.settings

    def settings(self: ContextKey, tenant_id: str, backend: int) -> str:
        last.append(tenant_id)
        return right(self, last[-2] if len(last) > 1 else tenant_id, backend)

    with patch.object(ContextKey, "settings", settings):
        yield


_POOL_BREAKS: dict[str, Callable[[], Any]] = {
    "what is set outlives the transaction": _outliving,
    "statements are not read": _unchecked,
    "a transaction has the tenant of another": _shared_context,
}


async def _in_logins(px: Platform, made: Made, settings: Settings) -> AsyncIterator[tuple[str, str | None]]:
    endpoints, names = locate(settings), Names(settings.namespace)

    async def attacked() -> Tally:
        tally = Tally()
        await attack_logins(px, made, settings, endpoints, tally)
        return tally

    _green(await attacked(), "MongoDB")
    entry = await px._registry.routable(made.own)
    other = await px._registry.routable(made.other)
    async with mongo.connect(endpoints.mongo.url, settings.connect_timeout) as admin:
        login = names.tenant_role(made.own)
        breaks: dict[str, Callable[[], Any]] = {
            "a tenant's login reads another's database": lambda: _granted(
                admin[entry.tenant.database], login, {"role": "read", "db": other.tenant.database}
            ),
            "a tenant's login reads shared collections": lambda: _granted(
                admin[entry.tenant.database], login, {"role": "read", "db": names.server_wide("task_repository")}
            ),
            "a service's login writes beyond its collections": lambda: _granted(
                admin[mongo.USERS], names.service("tasks"),
                {"role": "readWrite", "db": names.server_wide("category_repository")},
            ),
            "a unique index does not begin with the tenant": lambda: _indexed(
                admin[names.server_wide("task_repository")]["tasks"]
            ),
        }  # fmt: skip
        for name, broken in breaks.items():
            async with broken():
                yield name, _noticed(await attacked())


async def _in_documents(px: Platform, made: Made, settings: Settings) -> AsyncIterator[tuple[str, str | None]]:
    async def attacked() -> Tally:
        tally = Tally()
        await attack_documents(px, made, settings, locate(settings), 1, 20, tally, until_breach=True)
        return tally

    _green(await attacked(), "documents")
    for name, broken in BREAKS.items():
        with broken():
            yield name, _noticed(await attacked())


def _in_transport(settings: Settings) -> str | None:
    tally = Tally()
    attack_transport(replace(settings, transport="insecure"), locate(settings), tally)
    return _noticed(tally)


@asynccontextmanager
async def _granted(database: mongo.Database, login: str, role: dict[str, str]) -> AsyncIterator[None]:
    await database.command("grantRolesToUser", login, roles=[role])
    try:
        yield
    finally:
        await database.command("revokeRolesFromUser", login, roles=[role])


@asynccontextmanager
async def _indexed(collection: Any) -> AsyncIterator[None]:
    name = await collection.create_index([("task_id", 1), ("tenant_id", 1), ("type", 1)], unique=True)
    try:
        yield
    finally:
        await collection.drop_index(name)


def _noticed(tally: Tally) -> str | None:
    return tally.breaches[0].check if tally.breaches else None


def _green(tally: Tally, what: str) -> None:
    if tally.breaches:
        item = tally.breaches[0]
        raise Conflict(
            "isolation.self_test",
            f"{what} is red before anything is broken: {item.check}: {item.actor}: {item.operation} on {item.target}",
            "mend that first, see `prismicx isolation verify`",
        )
