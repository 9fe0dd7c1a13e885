"""Attacks on rows: every role that can log in, on every table and view that holds rows of tenants."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import asyncpg

from prismicx.engines.context import ContextKey
from prismicx.engines.postgres import Connection
from prismicx.isolation.catalogue import TENANT, Live, Relation, service_of, sql
from prismicx.isolation.made_rows import Row, RowMaker, insert
from prismicx.isolation.values import Check, Tally
from prismicx.names import Names
from prismicx.reference.definitions import OWNER

OWN, OTHER = "prismicx-check-own", "prismicx-check-other"
"""Tenants that exist inside the transaction of the attacks only."""

READ = Check("rows.read", "PostgreSQL", "Without a tenant, or with another's name, no row of a tenant is read")
WRITE = Check("rows.write", "PostgreSQL", "Rows of another tenant are neither made, changed, taken over nor deleted")
BYPASS = Check(
    "rows.bypass", "PostgreSQL", "row_security = off, COPY, TRUNCATE and statistics do not go around policies"
)
OWN_ROWS = Check("rows.own", "PostgreSQL", "A tenant reads its own rows: the boundary is not a closed door")
CHECKS = (READ, WRITE, BYPASS, OWN_ROWS)

OVER_TENANTS: Mapping[tuple[str, str], str] = {
    ("reporting", "public.tenant_systems"): "read",
    ("reporting", "prismicx.unfinished_steps"): "read",
    ("reporting", "prismicx.rollout_tenants"): "read",
    ("fleet", "prismicx.rollout_tenants"): "read, write",
    ("audit", "prismicx.audit_events"): "read",
}
"""What a service does over all tenants by its nature; anything else is an attack."""


@dataclass(frozen=True, slots=True)
class Context:
    """What a transaction says of itself.

    Attributes:
        tenant_id: whose it says to be; None says nothing.
        proof: what it shows for that.
        own: whether rows of `OWN` may be seen in it.
    """

    name: str
    tenant_id: str | None
    proof: str
    own: bool = False


@dataclass(slots=True)
class RowAttacks:
    """The attacks on one database, in a transaction that is rolled back.

    Args:
        connection: an administrator's, in a transaction.
        key: of the platform's proofs.
    """

    connection: Connection
    live: Live
    names: Names
    key: ContextKey
    tally: Tally

    async def run(self) -> None:
        """Make rows of two tenants and attack those of the second."""
        maker = RowMaker(self.connection, self.live, self.tally)
        for tenant_id in (OWN, OTHER):
            await self._become(self.names.service(OWNER), self._proven(tenant_id))
            for relation in self.live.of_tenants:
                if relation.is_table and not relation.is_part:
                    await maker.make(relation, tenant_id)
        fresh = {}
        await self._become(self.names.service(OWNER), self._proven(OTHER))
        for relation in self.live.of_tenants:
            fresh[relation.oid] = await maker.values(relation, OTHER) if relation.is_table else None
        for row in self.live.roles:
            for relation in self.live.of_tenants:
                rights = await self.connection.fetchrow(sql.some_column, row["name"], relation.oid)
                if rights is None or not (rights["reads"] or rights["writes"]):
                    continue
                mine, theirs = (maker.made.get((tenant_id, relation.oid)) for tenant_id in (OWN, OTHER))
                await self._relation(row["name"], relation, mine, theirs, fresh[relation.oid])
        await self.connection.execute("RESET ROLE")

    def _contexts(self) -> Sequence[Context]:
        backend = self.connection.get_server_pid()
        own = self.key.proof(OWN, backend)
        return (
            Context("no tenant", None, ""),
            Context("after a tenant", "", ""),
            self._proven(OWN),
            Context("its own, without proof", OWN, ""),
            Context("another's name, its own proof", OTHER, own),
            Context("another's name, no proof", OTHER, ""),
            Context("another's name, a proof of another backend", OTHER, self.key.proof(OTHER, backend + 1)),
            Context("another's name, a forged proof", OTHER, "0" * 64),
        )

    def _proven(self, tenant_id: str) -> Context:
        return Context("its own", tenant_id, self.key.proof(tenant_id, self.connection.get_server_pid()), own=True)

    async def _become(self, role: str, context: Context) -> None:
        await self.connection.execute(
            "RESET ROLE; RESET app.current_tenant_id; RESET app.tenant_proof; "
            + (
                ""
                if context.tenant_id is None
                else f"SET LOCAL app.current_tenant_id = '{context.tenant_id}'; "
                f"SET LOCAL app.tenant_proof = '{context.proof}'; "
            )
            + f'SET LOCAL ROLE "{role}"'
        )

    async def _relation(
        self, role: str, relation: Relation, mine: Row | None, theirs: Row | None, fresh: Mapping[str, Any] | None
    ) -> None:
        service = service_of(role, self.names)
        allowed = OVER_TENANTS.get((service, relation.name), "")
        for context in self._contexts():
            await self._become(role, context)
            if "read" not in allowed:
                await self._reads(service, relation, context, mine, theirs)
            if relation.is_table and "write" not in allowed and theirs is not None:
                await self._writes(service, relation, context, mine, theirs, fresh or {})
            if relation.is_table and context.name == "its own":
                await self._goes_around(service, relation, theirs)

    async def _reads(
        self, service: str, relation: Relation, context: Context, mine: Row | None, theirs: Row | None
    ) -> None:
        if relation.is_table and theirs is not None:
            where, values = _row(relation, theirs)
            text = f"SELECT count(*) FROM {relation.name} WHERE {where}"
            await self._counts(READ, service, relation, f"read: {context.name}", text, values)
            if context.own and mine is not None:
                where, values = _row(relation, mine)
                text = f"SELECT count(*) FROM {relation.name} WHERE {where}"
                found = await self._try(lambda: self.connection.fetchval(text, *values))
                closed = isinstance(found, int) and found == 0
                how = "its own row is not seen" if closed else ""
                self.tally.note(OWN_ROWS, service, relation.name, "read own", how)
        elif relation.has_tenant:
            text = f"SELECT count(*) FROM {relation.name} WHERE {TENANT} = $1"
            await self._counts(READ, service, relation, f"read: {context.name}", text, [OTHER])
        if not context.own:
            text = f"SELECT count(*) FROM (SELECT 1 FROM {relation.name} LIMIT 1) AS some"
            await self._counts(READ, service, relation, f"read anything: {context.name}", text, [])

    async def _writes(
        self,
        service: str,
        relation: Relation,
        context: Context,
        mine: Row | None,
        theirs: Row,
        fresh: Mapping[str, Any],
    ) -> None:
        where, values = _row(relation, theirs)
        column = next(iter(relation.key), relation.columns[0].name)
        change = f'UPDATE {relation.name} SET "{column}" = "{column}" WHERE {where}'
        await self._touches(service, relation, f"update: {context.name}", change, values)
        await self._touches(
            service, relation, f"delete: {context.name}", f"DELETE FROM {relation.name} WHERE {where}", values
        )  # fmt: skip
        if fresh:
            await self._plants(service, relation, f"insert: {context.name}", insert(relation, fresh), [*fresh.values()])
            upsert = f'{insert(relation, theirs)} ON CONFLICT DO NOTHING RETURNING "{column}"'
            await self._touches(service, relation, f"upsert: {context.name}", upsert, [*theirs.values()])
        if context.own and mine is not None and relation.has_tenant:
            where, values = _row(relation, mine)
            move = f"UPDATE {relation.name} SET {TENANT} = '{OTHER}' WHERE {where}"
            await self._plants(service, relation, "move to another", move, values)

    async def _goes_around(self, service: str, relation: Relation, theirs: Row | None) -> None:
        connection, name = self.connection, relation.name

        async def unfiltered() -> Any:
            await connection.execute("SET LOCAL row_security = off")
            return await connection.fetchval(f"SELECT count(*) FROM {name}")

        async def copied() -> Any:
            schema, _, table = name.partition(".")
            values = {key: value for key, value in (theirs or {}).items() if value is not None}
            await connection.copy_records_to_table(
                table, schema_name=schema, columns=[*values], records=[tuple(values.values())]
            )
            return 1

        async def emptied() -> Any:
            await connection.execute(f"TRUNCATE {name} CASCADE")
            return 1

        async def statistics() -> Any:
            schema, _, table = name.partition(".")
            return await connection.fetchval(
                "SELECT count(*) FROM pg_stats WHERE schemaname = $1 AND tablename = $2", schema, table
            )

        allowed = OVER_TENANTS.get((service, name), "")
        attempts = {"row_security = off": unfiltered, "COPY": copied, "TRUNCATE": emptied, "pg_stats": statistics}
        if theirs is None:
            del attempts["COPY"]
        for operation, attempt in attempts.items():
            if (allowed and operation in ("row_security = off", "pg_stats")) or (
                "write" in allowed and operation == "COPY"
            ):
                continue
            found = await self._try(attempt)
            through = isinstance(found, int) and found > 0
            self.tally.note(BYPASS, service, name, operation, "it was done" if through else "")

    async def _counts(
        self, check: Check, service: str, relation: Relation, operation: str, text: str, values: Sequence[Any]
    ) -> None:
        found = await self._try(lambda: self.connection.fetchval(text, *values))
        through = isinstance(found, int) and found > 0
        self.tally.note(check, service, relation.name, operation, f"{found} rows were seen" if through else "")

    async def _touches(
        self, service: str, relation: Relation, operation: str, text: str, values: Sequence[Any]
    ) -> None:
        found = await self._try(lambda: self.connection.execute(text, *values))
        through = isinstance(found, str) and not found.endswith(" 0")
        self.tally.note(WRITE, service, relation.name, operation, f"{found}" if through else "")

    async def _plants(self, service: str, relation: Relation, operation: str, text: str, values: Sequence[Any]) -> None:
        found = await self._try(lambda: self.connection.execute(text, *values))
        # What a constraint refuses, no policy has refused.
        through = (isinstance(found, str) and not found.endswith(" 0")) or isinstance(
            found, asyncpg.IntegrityConstraintViolationError
        )
        self.tally.note(WRITE, service, relation.name, operation, f"{found}" if through else "")

    async def _try(self, attempt: Callable[[], Awaitable[Any]]) -> Any:
        """What an attempt gives, or the error it meets; undone in either case."""
        undo = self.connection.transaction()
        await undo.start()
        try:
            return await attempt()
        except asyncpg.PostgresError as error:
            return error
        finally:
            await undo.rollback()


def _row(relation: Relation, row: Row) -> tuple[str, list[Any]]:
    """The condition that names a row, and its values."""
    columns = relation.key or [column.name for column in relation.columns if column.required]
    return " AND ".join(f'"{name}" = ${number}' for number, name in enumerate(columns, 1)), [row[n] for n in columns]
