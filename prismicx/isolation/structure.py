"""What the catalogue of a PostgreSQL database must say, so that nothing steps around the policies."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from prismicx.engines.postgres import Connection
from prismicx.isolation.catalogue import Live, Relation, service_of, sql
from prismicx.isolation.rows import OVER_TENANTS
from prismicx.isolation.values import Check, Tally
from prismicx.names import Names
from prismicx.reference import facts

SECURED = Check(
    "structure.secured", "PostgreSQL", "Tables of tenants have row security, forced, with a proof asked for"
)
POLICIES = Check("structure.policies", "PostgreSQL", "No permissive policy beyond those that name the tenant")
LOGINS = Check(
    "structure.logins", "PostgreSQL", "No login is superuser, owner or a member of one, or steps over policies"
)
RIGHTS = Check(
    "structure.rights", "PostgreSQL", "No login may TRUNCATE, REFERENCE, TRIGGER or create where it should not"
)
VIEWS = Check(
    "structure.views", "PostgreSQL", "Views have the rights of the one who asks; materialised ones nobody reads"
)
DEFINERS = Check("structure.definers", "PostgreSQL", "Functions with other rights are those that were approved")
KEYS = Check(
    "structure.keys", "PostgreSQL", "Unique keys and foreign keys do not join tenants, but for those of the reference"
)
HIDDEN = Check("structure.hidden", "PostgreSQL", "What runs for one tenant is not shown to others in pg_stat_activity")
CHECKS = (SECURED, POLICIES, LOGINS, RIGHTS, VIEWS, DEFINERS, KEYS, HIDDEN)

APPROVED_KEYS = frozenset(
    {
        ("user_data.users", "PRIMARY KEY (id)"),
        ("user_extensions.extensions", "PRIMARY KEY (id)"),
        ("user_data.users", "UNIQUE (email)"),
        ("prismicx.audit_events", "PRIMARY KEY (sequence)"),
    }
)
"""Keys without the tenant that the reference has: a clash tells that such a value exists somewhere."""

_FORBIDDEN = ["TRUNCATE", "REFERENCES", "TRIGGER"]
_MAY_CREATE = {("fleet", "runners")}
"""Who may create where: what runs the migrations of a tenant is made by the login that runs them."""
_MAY_HAVE = re.compile(r"current_setting\('app\.current_tenant_id'")


async def check_structure(
    connection: Connection, live: Live, names: Names, database: str, hidden: frozenset[str], tally: Tally
) -> None:
    """Look at everything the catalogue knows.

    Args:
        hidden: services whose sessions tenants share.
    """
    readers: dict[int, list[str]] = {relation.oid: [] for relation in live.of_tenants}
    for role in live.roles:
        for oid, services in readers.items():
            rights: Any = await connection.fetchrow(sql.some_column, role["name"], oid)
            if rights["reads"] or rights["writes"]:
                services.append(service_of(role["name"], names))
    for relation in live.of_tenants:
        services = [name for name in readers[relation.oid] if (name, relation.name) not in OVER_TENANTS]
        if relation.is_table:
            _secured(relation, services, tally)
            _policies(relation, names, tally)
    await _views(connection, live, names, tally)
    for role in live.roles:
        await _role(connection, live, role, names, database, hidden, tally)
    await _definers(connection, live, names, database, tally)
    for row in await connection.fetch(sql.shared_keys):
        known = (row["name"], row["key"]) in APPROVED_KEYS
        tally.note(KEYS, "everybody", row["name"], row["key"], "" if known else "it has no tenant in it")


def _secured(relation: Relation, services: list[str], tally: Tally) -> None:
    if not services:
        return
    demands = {
        "row security": relation.secured,
        "forced": relation.forced,
        "a policy that asks for a proof": any(
            not policy["permissive"] and "proven_tenant()" in policy["condition"] and policy["command"] == "*"
            and policy["roles"] == ["public"]
            for policy in relation.policies
        ),
    }  # fmt: skip
    for demand, held in demands.items():
        for service in services:
            tally.note(SECURED, service, relation.name, demand, "" if held else "it has none")


def _policies(relation: Relation, names: Names, tally: Tally) -> None:
    for policy in relation.policies:
        if not policy["permissive"]:
            continue
        overview = policy["command"] == "r" and policy["roles"] == [names.service("reporting")]
        held = overview or (
            _MAY_HAVE.search(policy["condition"]) is not None
            and (not policy["checked"] or _MAY_HAVE.search(policy["checked"]) is not None)
        )
        tally.note(
            POLICIES, "everybody", relation.name, policy["name"], "" if held else policy["condition"] or "it is open"
        )


async def _views(connection: Connection, live: Live, names: Names, tally: Tally) -> None:
    """Also those without a tenant column: what they are made of may have one."""
    for relation in live.relations.values():
        if relation.is_table:
            continue
        for role in live.roles:
            if await connection.fetchval(sql.some_column, role["name"], relation.oid):
                how = "" if relation.as_invoker else "it has the rights of its owner"
                how = "it holds the rows of every tenant" if relation.kind == "m" else how
                tally.note(VIEWS, service_of(role["name"], names), relation.name, "read", how)


async def _role(
    connection: Connection, live: Live, role: Any, names: Names, database: str, hidden: frozenset[str],
    tally: Tally,
) -> None:  # fmt: skip
    service = service_of(role["name"], names)
    for attribute in ("superuser", "bypassrls", "creates", "owner"):
        tally.note(LOGINS, service, database, attribute, "it is" if role[attribute] else "")
    for relation in live.relations.values():
        held = [row["privilege"] for row in await connection.fetch(sql.rights, role["name"], relation.oid, _FORBIDDEN)]
        if relation.owner == role["name"]:
            held.append("OWNER")
        for privilege in (*_FORBIDDEN, "OWNER"):
            tally.note(RIGHTS, service, relation.name, privilege, "it has it" if privilege in held else "")
    if service in hidden:
        tally.note(HIDDEN, service, database, "pg_stat_activity", "" if role["hidden"] else "its statements are shown")


async def _definers(connection: Connection, live: Live, names: Names, database: str, tally: Tally) -> None:
    roles = [row["name"] for row in live.roles]
    approved = set(_approved(database))
    for row in await connection.fetch(sql.definers, roles):
        known = row["name"] in approved and "search_path=pg_catalog, pg_temp" in row["settings"]
        how = "" if known else f"it runs with other rights: {row['settings'] or 'no search_path'}"
        tally.note(DEFINERS, service_of(row["role"], names), row["name"], "execute", how)
    for row in await connection.fetch(sql.creators, roles):
        service = service_of(row["role"], names)
        how = "" if (service, row["schema"]) in _MAY_CREATE else "it may create there"
        tally.note(RIGHTS, service, row["schema"], "CREATE", how)


def _approved(database: str) -> Iterator[str]:
    for fact in facts.of_postgres(database):
        if fact.kind == "function" and fact.value.startswith("security definer"):
            yield fact.subject.partition("(")[0]
