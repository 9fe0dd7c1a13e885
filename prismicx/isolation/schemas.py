"""Attacks on the schemas of tenants: as another tenant's roles, and as every login, on schemas made for it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass

import asyncpg

from prismicx.engines.postgres import Connection
from prismicx.isolation.catalogue import Live, service_of, sql
from prismicx.isolation.values import Check, Tally
from prismicx.names import TRIAL, Names
from prismicx.systems.step import Place, opening

REACHED = Check("schemas.reached", "PostgreSQL", "A tenant's roles reach their own schemas and no other tenant's")
STRANGERS = Check("schemas.strangers", "PostgreSQL", "Nobody but a tenant's own roles has a right in a tenant's schema")
KNOWN = Check(
    "schemas.known", "PostgreSQL", "Every schema that is named as a tenant's is one of a tenant that is there"
)
CHECKS = (REACHED, STRANGERS, KNOWN)

_BECOMES = {("tenant's role", "systems"), ("owner", "fleet")}
"""Which services become a tenant's roles, for that tenant's transactions and migrations."""

_OWN, _OTHER = "check-own", "check-other"


@dataclass(slots=True)
class SchemaAttacks:
    """The attacks, in a transaction of an administrator that is rolled back.

    Attributes:
        tenants: gives the ids of all tenants, as the registry has them.
    """

    connection: Connection
    live: Live
    names: Names
    tenants: Callable[[], Awaitable[Collection[str]]]
    tally: Tally

    async def run(self) -> None:
        """Make two tenants' schemas with a table and a row each, and attack the second."""
        users = {self.names.tenant_owner(one): self.names.tenant_role(one) for one in await self._known()}
        own, other = (self._place(tenant_id) for tenant_id in (_OWN, _OTHER))
        for place in (own, other):
            await self.connection.execute("SELECT prismicx.create_tenant_roles($1, $2)", place.user, place.owner)
            await self.connection.execute(
                f'{opening(place)} SET LOCAL ROLE "{place.owner}"; '
                f'CREATE TABLE "{place.schema}".items AS SELECT 1 AS id; RESET ROLE'
            )
        for row in await self.connection.fetch(sql.strangers):
            roles = (row["owner"], users.get(row["owner"]))
            how = "" if row["role"] in roles else f"{row['role']} has it on {row['name']}"
            self.tally.note(STRANGERS, "everybody", "schemas of tenants", row["privilege"], how)
        attacks = self._attacks(other)
        services = [row["name"] for row in self.live.roles]
        for role in (own.user, own.owner, *services):
            shown = "another tenant" if role == own.user else "its owner" if role == own.owner else role
            for operation, text in attacks.items():
                how = await self._tried(role, text)
                self.tally.note(REACHED, service_of(shown, self.names), "a tenant's schema", operation, how)
            for kind, theirs in (("tenant's role", other.user), ("owner", other.owner)):
                may = (kind, service_of(role, self.names)) in _BECOMES
                member = await self.connection.fetchval("SELECT pg_has_role($1, $2::text, 'MEMBER')", role, theirs)
                how = "it may" if member and not may else ""
                self.tally.note(REACHED, service_of(shown, self.names), "another tenant", f"become its {kind}", how)
        seen = await self._tried(own.user, f'SELECT * FROM "{own.schema}".items')
        self.tally.note(REACHED, "a tenant", "its own schema", "read", "" if seen else "it cannot read it")

    async def _known(self) -> list[str]:
        """All tenants, those of the check too. Schemas are read first: a tenant is registered before it has one."""
        found = await self.connection.fetch(sql.tenant_schemas)
        types = [row["type"] for row in await self.connection.fetch(sql.system_types)]
        tenants = [TRIAL, *(await self.tenants())]
        known = {(self.names.schema(one, kind), self.names.tenant_owner(one)) for one in tenants for kind in types}
        self.tally.note(KNOWN, "everybody", "schemas of tenants", "be of no tenant")
        for row in found:
            how = "" if (row["name"], row["owner"]) in known else f"{row['name']}, owned by {row['owner']}"
            self.tally.note(KNOWN, "everybody", "schemas of tenants", "be of no tenant", how)
        return [*tenants, _OWN, _OTHER]

    def _place(self, tenant_id: str) -> Place:
        return Place(
            tenant_id, "check", self.names.schema(tenant_id, "check"),
            self.names.tenant_owner(tenant_id), self.names.tenant_role(tenant_id),
        )  # fmt: skip

    @staticmethod
    def _attacks(other: Place) -> dict[str, str]:
        items = f'"{other.schema}".items'
        return {
            "read": f"SELECT * FROM {items}",
            "write": f"INSERT INTO {items} VALUES (2)",
            "change": f"UPDATE {items} SET id = 3",
            "delete": f"DELETE FROM {items}",
            "truncate": f"TRUNCATE {items}",
            "drop": f"DROP TABLE {items}",
            "create": f'CREATE TABLE "{other.schema}".planted (id INTEGER)',
            "grant": f"GRANT ALL ON {items} TO PUBLIC",
            "take over": f'ALTER SCHEMA "{other.schema}" OWNER TO CURRENT_USER',
            "look": f"SELECT '\"{other.schema}\".items'::regclass",
        }

    async def _tried(self, role: str, text: str) -> str:
        """How it got through; empty where it was refused."""
        undo = self.connection.transaction()
        await undo.start()
        try:
            await self.connection.execute(f'SET LOCAL ROLE "{role}"')
            return f"{await self.connection.execute(text)}"
        except asyncpg.PostgresError:
            return ""
        finally:
            await undo.rollback()
