"""`prismicx db verify`: every fact of the reference, held or missing in the live databases."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from prismicx.credentials import SECOND
from prismicx.engines import mongo, postgres
from prismicx.engines.endpoints import Endpoints
from prismicx.engines.mongo import Client, Database
from prismicx.names import Names
from prismicx.reference import catalogue, facts
from prismicx.reference.apply import privileges, privileges_text, shared_databases
from prismicx.reference.definitions import (
    INSIGHTS,
    POSTGRES_DATABASES,
    REGISTRY,
    Collection,
    collection,
    fixed_collections,
    services,
)
from prismicx.reference.facts import Fact, Key
from prismicx.settings import Settings

INSIGHTS_COLLECTION = collection(f"{INSIGHTS}.user_insights")
_AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class Finding:
    """A fact and what is there instead; ``found`` is None where nothing is."""

    fact: Fact
    found: str | None

    @property
    def held(self) -> bool:
        return self.found == self.fact.value


@dataclass(frozen=True, slots=True)
class Beyond:
    """Something live that the reference does not have; ``dangerous`` where it may open the boundary."""

    database: str
    kind: str
    subject: str
    value: str
    dangerous: bool


@dataclass(slots=True)
class Report:
    """What was found, fact by fact."""

    findings: list[Finding] = field(default_factory=list)
    beyond: list[Beyond] = field(default_factory=list)

    @property
    def missing(self) -> list[Finding]:
        return [finding for finding in self.findings if not finding.held]

    @property
    def ok(self) -> bool:
        """Every fact is held and nothing dangerous is there beyond them."""
        return bool(self.findings) and not self.missing and not any(item.dangerous for item in self.beyond)

    def compare(self, expected: Iterable[Fact], found: Mapping[Key, str], database: str) -> None:
        """Add what was expected of a database and what it has."""
        keys = set()
        for fact in expected:
            keys.add(fact.key)
            self.findings.append(Finding(fact, found.get(fact.key)))
        for (kind, subject), value in found.items():
            if (kind, subject) not in keys:
                dangerous = kind in facts.DANGEROUS
                self.beyond.append(Beyond(database, kind, subject, value, dangerous))

    def as_json(self) -> dict[str, Any]:
        """The form that scripts read."""
        return {
            "ok": self.ok,
            "facts": len(self.findings),
            "held": len(self.findings) - len(self.missing),
            "missing": [
                {
                    "database": item.fact.database,
                    "kind": item.fact.kind,
                    "subject": item.fact.subject,
                    "origin": item.fact.origin,
                    "section": item.fact.section,
                    "expected": item.fact.value,
                    "found": item.found,
                }
                for item in self.missing
            ],
            "beyond": [
                {
                    "database": item.database,
                    "kind": item.kind,
                    "subject": item.subject,
                    "value": item.value,
                    "dangerous": item.dangerous,
                }
                for item in self.beyond
            ],
        }


async def verify(settings: Settings, endpoints: Endpoints) -> Report:
    """Read the live catalogues with the administrator's login and compare them with the reference.

    Raises:
        Unavailable, Denied: an engine or a database cannot be read.
    """
    names = Names(settings.namespace)
    report = Report()
    timeout = settings.connect_timeout
    async with mongo.connect(endpoints.mongo.url, timeout) as client:
        registry = client[names.server_wide(REGISTRY)]
        tenants = [item async for item in registry["tenants"].find({"status": {"$ne": "provisioning"}})]
        for database in POSTGRES_DATABASES:
            url = endpoints.postgres.postgres(names.server_wide(database))
            async with (
                postgres.connect(url, timeout) as connection,
                connection.transaction(isolation="repeatable_read", readonly=True),
            ):
                live = await catalogue.read(connection, database, names)
                report.compare(facts.of_postgres(database), facts.in_postgres(live), database)
                if database == "system_users":
                    await _check_views(report, connection, names, tenants)
                else:
                    await _check_roles(report, connection, names)
                    await _check_tenant_roles(report, connection, names, tenants)
        await _check_fixed_collections(report, client, names)
        await _check_tenant_databases(report, client, names, tenants)
        await _check_users(report, client, names)
    return report


async def _check_roles(report: Report, connection: postgres.Connection, names: Names) -> None:
    prefix = names.server_wide("")
    rows = await connection.fetch(catalogue.sql.roles, f"^{prefix}prismicx_", f"^{prefix}(tenant|owner)_")
    plain = catalogue.without_namespace(names)
    report.compare(facts.of_roles(), facts.in_roles(rows, plain), "postgres")


async def _check_tenant_roles(
    report: Report, connection: postgres.Connection, names: Names, tenants: list[dict[str, Any]]
) -> None:
    expected = {}
    for tenant in tenants:
        expected[names.tenant_role(tenant["tenant_id"])] = names.service("systems")
        expected[names.tenant_owner(tenant["tenant_id"])] = names.service("fleet")
    owner = names.service("owner")
    found = {}
    for row in await connection.fetch(catalogue.sql.tenant_roles, list(expected)):
        # Since PostgreSQL 16 the one who makes a role is its administrator, which shows as a member.
        members = [member for member in row["members"] if member != owner]
        rights = "too much" if row["too_much"] else "no rights of its own"
        found["tenant role", row["name"]] = f"{rights}; used by {', '.join(members)}"
    report.compare(
        (
            _tenant_fact("postgres", "tenant role", role, f"no rights of its own; used by {user}")
            for role, user in expected.items()
        ),
        found,
        "postgres",
    )


async def _check_views(
    report: Report, connection: postgres.Connection, names: Names, tenants: list[dict[str, Any]]
) -> None:
    rows = await connection.fetch(catalogue.sql.tenant_views, names.service("extensions"))
    found = {}
    for row in rows:
        definition = catalogue.one_line(row["definition"]).replace("extensions.", "")
        condition = definition.rpartition(" WHERE ")[2]
        rights = "of the invoker" if row["security_invoker"] else "of the owner"
        readable = "readable" if row["readable"] else "not readable"
        found["tenant view", row["name"]] = f"rights {rights}; {readable}; {condition}"
    expected = [
        _tenant_fact(
            "system_users",
            "tenant view",
            names.extensions_view(tenant["tenant_id"]),
            f"rights of the invoker; readable; ((tenant_id)::text = '{tenant['tenant_id']}'::text)",
        )
        for tenant in tenants
    ]
    report.compare(expected, found, "system_users")


async def _check_fixed_collections(report: Report, client: Client, names: Names) -> None:
    for database in {item.database for item in fixed_collections()}:
        items = [item for item in fixed_collections() if item.database == database]
        await _check_collections(report, client[names.server_wide(database)], database, items, shared=True)


async def _check_tenant_databases(report: Report, client: Client, names: Names, tenants: list[dict[str, Any]]) -> None:
    registry = client[names.server_wide(REGISTRY)]
    rows = [row async for row in registry["tenant_databases"].find({"status": "active"})]
    gate = asyncio.Semaphore(_AT_ONCE)
    parts = [Report() for _ in rows]

    async def one(row: dict[str, Any], part: Report) -> None:
        async with gate:
            name = row["database_name"]
            await _check_collections(part, client[name], name, [INSIGHTS_COLLECTION], row["type"] == "shared")

    await asyncio.gather(*(one(row, part) for row, part in zip(rows, parts, strict=True)))
    for part in parts:
        report.findings += part.findings
        report.beyond += part.beyond
    held_by = {tenant: row["database_name"] for row in rows for tenant in row.get("tenants", ())}
    expected = [
        _tenant_fact(REGISTRY, "placement", item["tenant_id"], item["database_config"].get("database_name", ""))
        for item in tenants
    ]
    report.compare(expected, {("placement", tenant): name for tenant, name in held_by.items()}, REGISTRY)


async def _check_collections(
    report: Report, database: Database, label: str, items: list[Collection], shared: bool
) -> None:
    live = {found["name"]: found async for found in await database.list_collections()}
    for item in items:
        options = live.pop(item.name, None)
        expected = facts.of_collection(item, shared)
        if item.database == INSIGHTS:
            expected = tuple(
                Fact(label, fact.kind, fact.subject, fact.value, fact.origin, fact.section) for fact in expected
            )
        found: dict[Key, str] = {}
        if options is not None:
            indexes = [index async for index in await database[item.name].list_indexes()]
            found = facts.in_collection(options.get("options", {}), list(indexes), item.name)
        report.compare(expected, found, label)
    for name in live:
        if not name.startswith("system."):
            report.beyond.append(Beyond(label, "collection", name, "present", False))


async def _check_users(report: Report, client: Client, names: Names) -> None:
    admin = client[mongo.USERS]
    plain = catalogue.without_namespace(names)
    shared = await shared_databases(client, names)
    expected: list[Fact] = []
    found: dict[Key, str] = {}
    for service in services():
        if not service.mongo:
            continue
        login = names.service(service.name)
        subject = f"prismicx_{service.name}"
        granted = ", ".join(sorted(f"admin.{role}" for role in (login, *service.mongo_roles)))
        expected += [
            _tenant_fact("mongo", "user", subject, plain(granted)),
            _tenant_fact("mongo", "user role", subject, plain(privileges_text(privileges(service, names, shared)))),
        ]
        # By name: in a list of all one may be missing while others are made and dropped.
        for login_now in (login, login + SECOND):  # a rotation passes from one to the other
            for user in (await admin.command("usersInfo", {"user": login_now, "db": mongo.USERS}))["users"]:
                held = sorted(f"{role['db']}.{role['role']}" for role in user["roles"])
                found["user", subject] = plain(", ".join(held))
        for role in (await admin.command("rolesInfo", login, showPrivileges=True))["roles"]:
            found["user role", subject] = plain(privileges_text(role.get("privileges")))
    report.compare(expected, found, "mongo")


def _tenant_fact(database: str, kind: str, subject: str, value: str) -> Fact:
    return Fact(database, kind, subject, value, "boundary", "Multi-Tenancy Implementation")
