"""`isolation verify --self-test`: every protection is broken in a scratch platform, and the checks must notice."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from typing import Any

import asyncpg

from prismicx.engines import mongo, postgres
from prismicx.engines.endpoints import Endpoints, locate
from prismicx.engines.postgres import Connection
from prismicx.engines.transport import of_mongo, of_postgres
from prismicx.errors import Conflict
from prismicx.isolation import catalogue
from prismicx.isolation.document_breaks import BREAKS
from prismicx.isolation.documents import attack_documents, attack_names
from prismicx.isolation.login_breaks import login_breaks
from prismicx.isolation.logins import attack_logins
from prismicx.isolation.mutations import mutations
from prismicx.isolation.platform_breaks import POOLS, TRANSPORT, Breaks, stored, undestroyed, values
from prismicx.isolation.pools import attack_pools, make_users
from prismicx.isolation.role_mutations import role_mutations, tenant_mutations
from prismicx.isolation.scratch import scratch
from prismicx.isolation.sealed import attack_destroyed, attack_stored, attack_values
from prismicx.isolation.tenants import Made, throw_away
from prismicx.isolation.transport import attack_connections, attack_urls
from prismicx.isolation.values import Tally
from prismicx.isolation.verify import AREAS, TENANT_SCHEMAS, attack_database
from prismicx.names import Names
from prismicx.platform import Platform
from prismicx.reference.definitions import POSTGRES_DATABASES
from prismicx.settings import Settings

Attack = Callable[[], Awaitable[Tally]]


@dataclass(frozen=True, slots=True)
class SelfTest:
    """The outcome.

    Attributes:
        mutations: every one with the checks that noticed it; none where it survived.
        tried: the checks that were green before anything was broken.
        untried: what could not be broken, and why.
    """

    mutations: Sequence[tuple[str, Sequence[str]]]
    tried: Collection[str]
    untried: Mapping[str, str]
    seconds: float

    @property
    def survivors(self) -> Sequence[str]:
        """Mutations that no check noticed."""
        return [name for name, noticed in self.mutations if not noticed]

    @property
    def idle(self) -> Sequence[str]:
        """Checks that noticed none: they were not shown to be able to fail."""
        return sorted({*self.tried} - {check for _, noticed in self.mutations for check in noticed})

    @property
    def ok(self) -> bool:
        """Every mutation was noticed, and every check noticed one."""
        return bool(self.mutations) and not self.survivors and not self.idle

    def as_json(self) -> dict[str, Any]:
        """The form that scripts read."""
        return {
            "ok": self.ok,
            "made": len(self.mutations),
            "survivors": list(self.survivors),
            "idle": list(self.idle),
            "untried": dict(self.untried),
            "seconds": round(self.seconds, 2),
            "mutations": [{"mutation": name, "noticed_by": list(noticed)} for name, noticed in self.mutations],
        }


@dataclass(slots=True)
class _Bench:
    """What was broken so far."""

    settings: Settings
    found: list[tuple[str, Sequence[str]]] = field(default_factory=list)
    tried: set[str] = field(default_factory=set)
    untried: dict[str, str] = field(default_factory=dict)

    def green(self, tally: Tally, what: str) -> None:
        """See that nothing gets through before anything is broken.

        Raises:
            Conflict: ``isolation.self_test``.
        """
        self.tried |= {key[0] for key in tally.attempts}
        if tally.breaches:
            item = tally.breaches[0]
            raise Conflict(
                "isolation.self_test",
                f"{what} is red before anything is broken: {item.check}: {item.actor}: {item.operation} on "
                f"{item.target}: {item.how}",
                "mend that first, see `prismicx isolation verify`",
            )

    def note(self, name: str, tally: Tally, lacking: Collection[str] = ()) -> None:
        """Write down what noticed a break: checks that turned red, else those that could not be tried any more."""
        noticed = sorted({breach.check for breach in tally.breaches})
        self.found.append((name, noticed or [f"{check}, which cannot be tried" for check in sorted(lacking)]))

    async def each(self, what: str, attack: Attack, breaks: Breaks, *, green: bool = True) -> None:
        """Try an attack as it is, and then once in each context."""
        if green:
            self.green(await attack(), what)
        for name, broken in breaks.items():
            async with AsyncExitStack() as stack:
                context = broken()
                if hasattr(context, "__aenter__"):
                    await stack.enter_async_context(context)
                else:
                    stack.enter_context(context)
                self.note(f"{what}: {name}", await attack())


async def self_test(
    settings: Settings, endpoints: Endpoints, *, progress: Callable[[str], None] = lambda _: None
) -> SelfTest:
    """Break each protection in a scratch platform on the same servers.

    Raises:
        Unavailable, Denied: an engine cannot be used.
        Conflict: ``isolation.self_test`` when checks are red before anything is broken.
    """
    begun = time.monotonic()
    progress("making a scratch platform")
    async with scratch(settings, endpoints) as mine:
        bench = _Bench(mine)
        for database in POSTGRES_DATABASES:
            progress(f"breaking {database}")
            await _in_postgres(bench, database)
        async with throw_away(mine, locate(mine)) as (px, made):
            progress("breaking pools")
            await _in_pools(bench, px, made)
            progress("breaking logins")
            await _in_logins(bench, px, made)
            progress("breaking shared collections")
            await _in_documents(bench, px, made)
            progress("breaking sealed values")
            await _in_sealed(bench, px, made)
            progress("breaking the transport")
            await _in_transport(bench)
    return SelfTest(bench.found, bench.tried, bench.untried, time.monotonic() - begun)


async def _in_postgres(bench: _Bench, database: str) -> None:
    names = Names(bench.settings.namespace)
    url = locate(bench.settings).postgres.postgres(names.server_wide(database))
    async with postgres.connect(url, bench.settings.connect_timeout) as connection:
        live = await catalogue.read(connection, names)
        tried: dict[str, set[str]] = {}
        for area in AREAS:
            whole = await _attacked(connection, bench.settings, database, "", (area,))
            bench.green(whole, database)
            tried[area] = {key[0] for key in whole.attempts}
        broken = [*mutations(live), *role_mutations(live, names)]
        if database == TENANT_SCHEMAS:
            broken += tenant_mutations(live, names)
        for mutation in broken:
            statement, areas, only = mutation.statement, mutation.areas, mutation.only
            tally = await _attacked(connection, bench.settings, database, statement, areas, only)
            before = set[str]() if only else set[str]().union(*(tried[area] for area in areas))
            bench.note(f"{database}: {mutation.name}", tally, before - {key[0] for key in tally.attempts})


async def _attacked(
    connection: Connection,
    settings: Settings,
    database: str,
    statement: str,
    areas: Collection[str],
    only: str = "",
) -> Tally:
    async def nobody() -> Collection[str]:
        """The tenants of a scratch platform, before any is made."""
        return ()

    tally, undo = Tally(), connection.transaction()
    await undo.start()
    try:
        if statement:
            await connection.execute(statement)
        await attack_database(connection, settings, database, nobody, tally, areas, only)
    except asyncpg.PostgresError as error:
        # An attack that could not even begin has noticed; a break that could not be made has not.
        raise Conflict(
            "isolation.self_test", f"{statement}: {error}", "report it: the self-test itself is wrong"
        ) from error
    finally:
        await undo.rollback()
    return tally


async def _in_pools(bench: _Bench, px: Platform, made: Made) -> None:
    async def attacked() -> Tally:
        tally = Tally()
        await attack_pools(px, made, 1, tally)
        # What a break left on connections is not to be seen after the next one.
        await (await px._postgres.pool("users", "system_users")).expire_connections()
        return tally

    await make_users(px, made)
    await bench.each("pools", attacked, POOLS)


async def _in_logins(bench: _Bench, px: Platform, made: Made) -> None:
    settings = bench.settings
    endpoints, names = locate(settings), Names(settings.namespace)

    async def attacked() -> Tally:
        tally = Tally()
        await attack_logins(px, made, settings, endpoints, tally)
        return tally

    own, other = [(await px._registry.routable(one)).tenant.database for one in (made.own, made.other)]
    async with mongo.connect(endpoints.mongo.url, settings.connect_timeout) as admin:
        await bench.each("MongoDB", attacked, login_breaks(admin, names, names.tenant_role(made.own), own, other))


async def _in_documents(bench: _Bench, px: Platform, made: Made) -> None:
    async def attacked() -> Tally:
        tally = Tally()
        endpoints = locate(bench.settings)
        await attack_documents(px, made, bench.settings, endpoints, 1, 20, tally, until_breach=True)
        await attack_names(px, made, bench.settings, endpoints, tally)
        return tally

    await bench.each("documents", attacked, BREAKS)


async def _in_sealed(bench: _Bench, px: Platform, made: Made) -> None:
    def attack(of: Callable[[Tally], Awaitable[None]]) -> Attack:
        async def attacked() -> Tally:
            tally = Tally()
            await of(tally)
            return tally

        return attacked

    await bench.each("sealed", attack(lambda tally: attack_values(px, made, tally)), values())
    await bench.each("sealed", attack(lambda tally: attack_stored(px, made, tally)), stored(px, made.own))
    destroyed = attack(lambda tally: attack_destroyed(px, made, bench.settings, tally))
    # Last, as it is: keys can be destroyed once.
    await bench.each("sealed", destroyed, {"keys are not destroyed": lambda: undestroyed(px)}, green=False)
    bench.green(await destroyed(), "sealed")


async def _in_transport(bench: _Bench) -> None:
    endpoints = locate(bench.settings)

    async def connected() -> Tally:
        tally = Tally()
        await attack_connections(bench.settings, endpoints, tally)
        return tally

    asked, loose = Tally(), Tally()
    attack_urls(bench.settings, asked)
    bench.green(asked, "transport")
    attack_urls(replace(bench.settings, transport="insecure"), loose)
    bench.note("transport: everything is let through", loose)
    plain = not (of_postgres(endpoints.postgres.url).encrypted or of_mongo(endpoints.mongo.url).encrypted)
    if plain:
        bench.untried["transport: connections without TLS"] = "not applicable: loopback"
    else:
        await bench.each("transport", connected, TRANSPORT)
