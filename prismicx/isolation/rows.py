"""Attacks on rows: every role that can log in, on every table and view that holds rows of tenants."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import asyncpg

from prismicx.engines.context import ContextKey
from prismicx.engines.postgres import Connection
from prismicx.isolation.catalogue import TENANT, Live, Relation, service_of, sql
from prismicx.isolation.flips import PLANS, Flip, flips
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


@dataclass(frozen=True, slots=True)
class Target:
    """A relation with a row of the attacker and one of the attacked, and values for a new one of each; None where the
    catalogue does not tell enough to make it."""

    relation: Relation
    mine: Row | None
    theirs: Row | None
    mine_fresh: Mapping[str, Any] | None
    theirs_fresh: Mapping[str, Any] | None


@dataclass(slots=True)
class RowAttacks:
    """The attacks on one database, in a transaction that is rolled back.

    Args:
        connection: an administrator's, in a transaction.
        key: of the platform's proofs.
        own, other: the tenant that attacks, and the one that is attacked.
        way: how the server is reached, where that is not by its own address; for what is told.
        only: the relation that is attacked; all unless given.
    """

    connection: Connection
    live: Live
    names: Names
    key: ContextKey
    tally: Tally
    own: str = OWN
    other: str = OTHER
    way: str = ""
    only: str = ""

    async def run(self) -> None:
        """Make rows of two tenants and attack those of the second."""
        maker = RowMaker(self.connection, self.live, self.tally)
        for tenant_id in (self.own, self.other):
            await self._become(self.names.service(OWNER), self._proven(tenant_id))
            for relation in self.live.of_tenants:
                if relation.is_table and not relation.is_part:
                    await maker.make(relation, tenant_id)
        fresh: dict[tuple[str, int], Mapping[str, Any] | None] = {}
        for tenant_id in (self.own, self.other):
            await self._become(self.names.service(OWNER), self._proven(tenant_id))
            for relation in self.live.of_tenants:
                made = await maker.values(relation, tenant_id) if relation.is_table else None
                fresh[tenant_id, relation.oid] = made
        await self.connection.execute("RESET ROLE")
        await self._analyse()
        roles = [row["name"] for row in self.live.roles]
        for rights in await self.connection.fetch(sql.some_column, roles, [item.oid for item in self.live.of_tenants]):
            wanted = self.only in ("", self.live.relations[rights["oid"]].name)
            if wanted and (rights["reads"] or rights["writes"]):
                oid = rights["oid"]
                target = Target(
                    self.live.relations[oid],
                    *(maker.made.get((tenant_id, oid)) for tenant_id in (self.own, self.other)),
                    *(fresh[tenant_id, oid] for tenant_id in (self.own, self.other)),
                )
                await self._relation(rights["role"], target)
        await self.connection.execute("RESET ROLE")

    async def _analyse(self) -> None:
        """Statistics of what was made, or there would be none to look for; they are gone with the transaction."""
        tables = [item.name for item in self.live.of_tenants if item.is_table and self.only in ("", item.name)]
        if tables:
            await self.connection.execute(f"SET LOCAL default_statistics_target = 1; ANALYZE {', '.join(tables)}")

    @property
    def backend(self) -> int:
        """The process of the server that runs the transaction."""
        return self.connection.get_server_pid()

    def _contexts(self) -> Sequence[Context]:
        backend, own_id, other_id = self.backend, self.own, self.other
        own = self.key.proof(own_id, backend)
        return (
            Context("no tenant", None, ""),
            Context("after a tenant", "", ""),
            self._proven(own_id),
            Context("its own, without proof", own_id, ""),
            Context("another's name, its own proof", other_id, own),
            Context("another's name, no proof", other_id, ""),
            Context("another's name, a proof of another backend", other_id, self.key.proof(other_id, backend + 1)),
            Context("another's name, a forged proof", other_id, "0" * 64),
        )

    def _proven(self, tenant_id: str) -> Context:
        return Context("its own", tenant_id, self.key.proof(tenant_id, self.backend), own=True)

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

    async def _relation(self, role: str, target: Target) -> None:
        service, relation = service_of(role, self.names), target.relation
        allowed = OVER_TENANTS.get((service, relation.name), "")
        for context in self._contexts():
            await self._become(role, context)
            if "read" not in allowed:
                await self._reads(service, relation, context, target.mine, target.theirs)
            if relation.is_table and "write" not in allowed and target.theirs is not None:
                await self._writes(service, relation, context, target)
            if context.name == "its own":
                await self._flips(service, target, allowed)
                if relation.is_table:
                    await self._goes_around(service, relation, target.theirs)

    async def _flips(self, service: str, target: Target, allowed: str) -> None:
        relation = target.relation
        mine, theirs, fresh = target.mine, target.theirs, None
        if not relation.is_table and relation.has_tenant:
            mine, theirs = {TENANT: self.own}, {TENANT: self.other}
        if mine is None or theirs is None:
            return
        if target.mine_fresh and target.theirs_fresh:
            fresh = (target.mine_fresh, target.theirs_fresh)
        for flip in flips(relation, self.other, mine, theirs, fresh):
            if ("write" if flip.writes else "read") not in allowed:
                found = await self._try(partial(self._flipped, flip))
                through = found > 0 if isinstance(found, int) else _in_the_way(found)
                check = WRITE if flip.writes else READ
                self._note(check, service, relation, flip.operation, f"{found}: it was reached" if through else "")

    async def _flipped(self, flip: Flip) -> Any:
        if flip.before is not None:
            await self.connection.execute(flip.before[0], *flip.before[1])
        await self.connection.execute(PLANS)
        return await self.connection.fetchval(flip.text, *flip.values)

    def _note(self, check: Check, service: str, relation: Relation, operation: str, how: str) -> None:
        self.tally.note(check, service, relation.name, f"{operation}{self.way}", how)

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
                self._note(OWN_ROWS, service, relation, "read own", how)
        elif relation.has_tenant:
            text = f"SELECT count(*) FROM {relation.name} WHERE {TENANT} = $1"
            await self._counts(READ, service, relation, f"read: {context.name}", text, [self.other])
        if not context.own:
            text = f"SELECT count(*) FROM (SELECT 1 FROM {relation.name} LIMIT 1) AS some"
            await self._counts(READ, service, relation, f"read anything: {context.name}", text, [])

    async def _writes(self, service: str, relation: Relation, context: Context, target: Target) -> None:
        mine, theirs, fresh = target.mine, target.theirs or {}, target.theirs_fresh
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
            move = f"UPDATE {relation.name} SET {TENANT} = '{self.other}' WHERE {where}"
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

        async def raw_statistics() -> Any:
            return await connection.fetchval("SELECT count(*) FROM pg_statistic WHERE starelid = $1", relation.oid)

        attempts = {
            "row_security = off": unfiltered,
            "COPY": copied,
            "TRUNCATE": emptied,
            "pg_stats": statistics,
            "pg_statistic": raw_statistics,
        }
        if theirs is None:
            del attempts["COPY"]
        for operation, attempt in attempts.items():
            if (allowed and operation in ("row_security = off", "pg_stats")) or (
                "write" in allowed and operation == "COPY"
            ):
                continue
            found = await self._try(attempt)
            through = isinstance(found, int) and found > 0
            self._note(BYPASS, service, relation, operation, "it was done" if through else "")

    async def _counts(
        self, check: Check, service: str, relation: Relation, operation: str, text: str, values: Sequence[Any]
    ) -> None:
        found = await self._try(lambda: self.connection.fetchval(text, *values))
        through = isinstance(found, int) and found > 0
        self._note(check, service, relation, operation, f"{found} rows were seen" if through else "")

    async def _touches(
        self, service: str, relation: Relation, operation: str, text: str, values: Sequence[Any]
    ) -> None:
        found = await self._try(lambda: self.connection.execute(text, *values))
        through = isinstance(found, str) and not found.endswith(" 0")
        self._note(WRITE, service, relation, operation, f"{found}" if through else "")

    async def _plants(self, service: str, relation: Relation, operation: str, text: str, values: Sequence[Any]) -> None:
        found = await self._try(lambda: self.connection.execute(text, *values))
        through = not found.endswith(" 0") if isinstance(found, str) else _in_the_way(found)
        self._note(WRITE, service, relation, operation, f"{found}" if through else "")

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


def _in_the_way(found: object) -> bool:
    """Whether a constraint refused it: then no policy has."""
    return isinstance(found, asyncpg.IntegrityConstraintViolationError)


def _row(relation: Relation, row: Row) -> tuple[str, list[Any]]:
    """The condition that names a row, and its values."""
    columns = relation.key or [column.name for column in relation.columns if column.required]
    return " AND ".join(f'"{name}" = ${number}' for number, name in enumerate(columns, 1)), [row[n] for n in columns]
