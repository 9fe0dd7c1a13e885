"""`prismicx isolation verify`: everything that must hold is attacked, and what got through is told."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Collection

from prismicx.audit.once import recorded_apart
from prismicx.credentials import CONTEXT, Credentials
from prismicx.engines import mongo, postgres
from prismicx.engines.context import ContextKey
from prismicx.engines.endpoints import Endpoints, locate_pooler
from prismicx.engines.postgres import Connection
from prismicx.isolation import (
    accounts,
    catalogue,
    documents,
    functions,
    grants,
    logins,
    pools,
    roles,
    rows,
    schemas,
    sealed,
    shared_keys,
    structure,
    trail,
    transport,
)
from prismicx.isolation.documents import attack_documents, attack_names
from prismicx.isolation.functions import check_functions
from prismicx.isolation.grants import check_grants
from prismicx.isolation.logins import attack_logins
from prismicx.isolation.pooled_rows import attack_pooled_rows
from prismicx.isolation.pools import attack_pools, make_users
from prismicx.isolation.roles import check_roles
from prismicx.isolation.rows import RowAttacks
from prismicx.isolation.schemas import SchemaAttacks
from prismicx.isolation.sealed import attack_sealed
from prismicx.isolation.shared_keys import check_keys
from prismicx.isolation.structure import check_structure
from prismicx.isolation.tenants import throw_away
from prismicx.isolation.trail import attack_trail
from prismicx.isolation.transport import attack_connections, attack_urls
from prismicx.isolation.values import Check, Report, Tally
from prismicx.names import Names
from prismicx.reference.definitions import POSTGRES_DATABASES, REGISTRY, services
from prismicx.settings import Settings

TENANT_SCHEMAS = "management_system_repository"
"""The database that holds the schemas of tenants."""

RANDOM = 300
"""Random attempts on each shared collection, beside those that are known to be worth making."""

CHECKS: tuple[Check, ...] = (
    *structure.CHECKS,
    *functions.CHECKS,
    *shared_keys.CHECKS,
    *roles.CHECKS,
    *grants.CHECKS,
    *trail.CHECKS,
    *rows.CHECKS,
    *schemas.CHECKS,
    *pools.CHECKS,
    *logins.CHECKS,
    *accounts.CHECKS,
    *documents.CHECKS,
    *transport.CHECKS,
    *sealed.CHECKS,
)


def _told(report: Report) -> dict[str, int]:
    return {"attempts": sum(report.attempts.values()), "through": len(report.breaches)}


@recorded_apart("isolation.verify", told=_told)
async def verify(
    settings: Settings, endpoints: Endpoints, *, seed: int = 0, progress: Callable[[str], None] = lambda _: None
) -> Report:
    """Attack the live platform.

    Args:
        seed: of what is tried at random.

    Raises:
        Unavailable, Denied: an engine cannot be used, or the reference is not applied.
    """
    begun, tally = time.monotonic(), Tally()
    for database in POSTGRES_DATABASES:
        progress(f"PostgreSQL: {database}")
        name = Names(settings.namespace).server_wide(database)
        async with postgres.connect(endpoints.postgres.postgres(name), settings.connect_timeout) as connection:
            undo = connection.transaction()
            await undo.start()
            try:
                await attack_database(connection, settings, database, lambda: all_tenants(settings, endpoints), tally)
            finally:
                await undo.rollback()
    progress("transport")
    attack_urls(settings, tally)
    await attack_connections(settings, endpoints, tally)
    progress("making four tenants")
    async with throw_away(settings, endpoints) as (px, made):
        progress("pools")
        await make_users(px, made)
        await attack_pools(px, made, seed, tally)
        pooler = locate_pooler(settings)
        if pooler is not None:
            progress("rows behind the pooler")
            await attack_pooled_rows(px, made, settings, endpoints, pooler, tally)
        progress("logins of MongoDB")
        await attack_logins(px, made, settings, endpoints, tally)
        progress("shared collections")
        await attack_documents(px, made, settings, endpoints, seed, RANDOM, tally)
        await attack_names(px, made, settings, endpoints, tally)
        progress("sealed values")
        await attack_sealed(px, made, settings, tally)
        progress("removing them")
    return Report(CHECKS, tally.attempts, tally.breaches, tally.untried, time.monotonic() - begun)


AREAS = ("catalogue", "rows", "schemas")
"""What `attack_database` tries: what the catalogue says, rows of tables, schemas of tenants."""


async def attack_database(
    connection: Connection,
    settings: Settings,
    database: str,
    tenants: Callable[[], Awaitable[Collection[str]]],
    tally: Tally,
    areas: Collection[str] = AREAS,
    only: str = "",
) -> None:
    """Everything about one PostgreSQL database, on an administrator's connection in a transaction.

    Args:
        tenants: gives the ids of all tenants, as the registry has them.
        areas: some of `AREAS`.
        only: the relation whose rows are attacked; all unless given.
    """
    names = Names(settings.namespace)
    key = ContextKey(Credentials(settings.credentials_file).require(CONTEXT, names.service(CONTEXT)))
    live = await catalogue.read(connection, names)
    if "catalogue" in areas:
        hidden = frozenset(service.name for service in services() if service.hidden)
        await check_structure(connection, live, names, database, hidden, tally)
        await check_functions(connection, live, names, database, tally)
        await check_keys(connection, live, tally)
        await check_roles(connection, names, tally)
        await check_grants(connection, names, database, tally)
        await attack_trail(connection, live, names, tally)
    if "rows" in areas:
        await RowAttacks(connection, live, names, key, tally, only=only).run()
    if "schemas" in areas and database == TENANT_SCHEMAS:
        await SchemaAttacks(connection, live, names, tenants, tally).run()


async def all_tenants(settings: Settings, endpoints: Endpoints) -> list[str]:
    """The ids of all tenants that the registry has.

    Raises:
        Unavailable, Denied: MongoDB cannot be used.
    """
    async with mongo.connect(endpoints.mongo.url, settings.connect_timeout) as client:
        registry = client[Names(settings.namespace).server_wide(REGISTRY)]["tenants"]
        return [row["tenant_id"] async for row in registry.find({}, {"tenant_id": 1})]
