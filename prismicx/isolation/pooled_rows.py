"""Attacks on rows through a pooler: with the logins of services themselves, on rows of tenants that are there."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import asyncpg

from prismicx.credentials import CONTEXT, Credentials
from prismicx.engines import postgres
from prismicx.engines.context import ContextKey
from prismicx.engines.endpoints import Endpoint, Endpoints
from prismicx.engines.postgres import Connection
from prismicx.isolation import catalogue
from prismicx.isolation.catalogue import TENANT, Live, Relation, service_of, sql
from prismicx.isolation.rows import Context, RowAttacks, Target
from prismicx.isolation.tenants import Made
from prismicx.isolation.values import Tally
from prismicx.names import Names
from prismicx.platform import Platform
from prismicx.reference.definitions import POSTGRES_DATABASES
from prismicx.settings import Settings


@dataclass(slots=True)
class PooledRows(RowAttacks):
    """The attacks on one database as the service whose login the connection has: it becomes nobody else.

    Attributes:
        process: of the server, which runs the transaction; the pooler tells another one.
    """

    process: int = 0

    @property
    def backend(self) -> int:
        return self.process

    async def _become(self, role: str, context: Context) -> None:
        said = ("", "") if context.tenant_id is None else (context.tenant_id, context.proof)
        await self.connection.execute(
            f"SET LOCAL app.current_tenant_id = '{said[0]}'; SET LOCAL app.tenant_proof = '{said[1]}'"
        )

    async def attack(self, role: str, targets: list[Target]) -> None:
        """Attack rows that are there."""
        for target in targets:
            await self._relation(role, target)


async def attack_pooled_rows(
    px: Platform, made: Made, settings: Settings, endpoints: Endpoints, pooler: Endpoint, tally: Tally
) -> None:
    """Attack rows of one tenant from another's transaction behind the pooler, as every service that goes there."""
    names, credentials = Names(settings.namespace), Credentials(settings.credentials_file)
    key = ContextKey(credentials.require(CONTEXT, names.service(CONTEXT)))
    await _fill(px, made)
    for database in POSTGRES_DATABASES:
        name = names.server_wide(database)
        async with postgres.connect(endpoints.postgres.postgres(name), settings.connect_timeout) as admin:
            live = await catalogue.read(admin, names)
            rows = {relation.oid: await _rows(admin, live, relation, made) for relation in live.of_tenants}
            logins = [row["name"] for row in live.roles]
            rights = await admin.fetch(sql.some_column, logins, list(rows))
        for role in logins:
            service = service_of(role, names)
            login, password = credentials.login("postgres", names.service(service))
            if login != role or password is None or service in postgres._DIRECT:
                continue
            mine = [row["oid"] for row in rights if row["role"] == role and (row["reads"] or row["writes"])]
            targets = [Target(live.relations[oid], *rows[oid], None, None) for oid in mine]
            async with _transaction(pooler.postgres(name, login, password), settings) as connection:
                process = await connection.fetchval("SELECT pg_catalog.pg_backend_pid()")
                way = " behind the pooler"
                found = PooledRows(connection, live, names, key, tally, made.own, made.other, way, process=process)
                await found.attack(role, targets)


@asynccontextmanager
async def _transaction(url: str, settings: Settings) -> AsyncIterator[Connection]:
    # A statement that was prepared on one backend is not there on the next one a pooler gives.
    async with postgres.connect(url, settings.connect_timeout, statement_cache_size=0) as connection:
        undo = connection.transaction()
        await undo.start()
        try:
            yield connection
        finally:
            await undo.rollback()


async def _fill(px: Platform, made: Made) -> None:
    for tenant_id in (made.own, made.other):
        async with px.tenant(tenant_id) as tenant:
            user = (await tenant.users.list()).items[0]
            await tenant.preferences.set(user.id, {"check": 1})
            await tenant.extensions.create(user.id, type="check", name="check")


async def _rows(
    admin: Connection, live: Live, relation: Relation, made: Made
) -> tuple[Mapping[str, Any] | None, Mapping[str, Any] | None]:
    """A row of each of the two tenants, where they have one."""
    path = live.tenant_path(relation)
    if not relation.is_table or path is False:
        return None, None
    if path is True:
        text = f"SELECT * FROM {relation.name} WHERE {TENANT} = $1 LIMIT 1"
    else:
        parent = live.relations[path.parent]
        text = (
            f"SELECT child.* FROM {relation.name} AS child JOIN {parent.name} AS parent "
            f'ON parent."{path.parent_column}" = child."{path.column}" WHERE parent.{TENANT} = $1 LIMIT 1'
        )
    try:
        found = [await admin.fetchrow(text, tenant_id) for tenant_id in (made.own, made.other)]
    except asyncpg.UndefinedColumnError:  # a parent that has its tenant from its own parent
        return None, None
    mine, theirs = (None if row is None else dict(row) for row in found)
    return mine, theirs
