"""What the catalogue of a PostgreSQL database must say, so that nothing steps around the policies."""

from __future__ import annotations

import re
from typing import Any

from prismicx.engines.postgres import Connection
from prismicx.isolation.catalogue import Live, Relation, service_of, sql
from prismicx.isolation.rows import OVER_TENANTS
from prismicx.isolation.values import Check, Tally
from prismicx.names import Names

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
HIDDEN = Check("structure.hidden", "PostgreSQL", "What runs for one tenant is not shown to others in pg_stat_activity")
CHECKS = (SECURED, POLICIES, LOGINS, RIGHTS, VIEWS, HIDDEN)

_FORBIDDEN = ("TRUNCATE", "REFERENCES", "TRIGGER")
_MAINTAIN = 17
"""The version of PostgreSQL whose right MAINTAIN lets one lock a table, and read it while it is refreshed."""
_MAY_CREATE = {("fleet", "runners")}
"""Who may create where: what runs the migrations of a tenant is made by the login that runs them."""

_PROOF = re.compile(r"prismicx\.proven\w*\(\)")
_MAY_HAVE = re.compile(r"current_setting\('app\.current_tenant_id'|prismicx\.proven_tenant\(\)")


async def check_structure(
    connection: Connection, live: Live, names: Names, database: str, hidden: frozenset[str], tally: Tally
) -> None:
    """Look at everything the catalogue knows.

    Args:
        hidden: services whose sessions tenants share.
    """
    roles, oids = [role["name"] for role in live.roles], [*live.relations]
    readers: dict[int, list[str]] = {oid: [] for oid in oids}
    for row in await connection.fetch(sql.some_column, roles, oids):
        if row["reads"] or row["writes"]:
            readers[row["oid"]].append(service_of(row["role"], names))
    for relation in live.of_tenants:
        services = [name for name in readers[relation.oid] if (name, relation.name) not in OVER_TENANTS]
        if relation.is_table:
            _secured(relation, services, tally)
            _policies(relation, names, tally)
    _views(live, readers, tally)
    forbidden = forbidden_rights(live.version)
    held = {
        (row["role"], row["oid"], row["privilege"])
        for row in await connection.fetch(sql.rights, roles, oids, forbidden)
    }
    for role in live.roles:
        _role(live, role, names, database, hidden, tally)
        for relation in live.relations.values():
            for privilege in forbidden:
                how = "it has it" if (role["name"], relation.oid, privilege) in held else ""
                tally.note(RIGHTS, service_of(role["name"], names), relation.name, privilege, how)
    for row in await connection.fetch(sql.creators, roles):
        service = service_of(row["role"], names)
        how = "" if (service, row["schema"]) in _MAY_CREATE else "it may create there"
        tally.note(RIGHTS, service, row["schema"], "CREATE", how)


def forbidden_rights(version: int) -> list[str]:
    """The rights on tables that no login is to have, as far as a server of this version knows them."""
    return [*_FORBIDDEN, *(("MAINTAIN",) if version >= _MAINTAIN else ())]


def _secured(relation: Relation, services: list[str], tally: Tally) -> None:
    if not services:
        return
    demands = {
        "row security": relation.secured,
        "forced": relation.forced,
        "a policy that asks for a proof": any(
            not policy["permissive"] and _PROOF.search(policy["condition"]) and policy["command"] == "*"
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


def _views(live: Live, readers: dict[int, list[str]], tally: Tally) -> None:
    """Also those without a tenant column: what they are made of may have one."""
    for relation in live.relations.values():
        if relation.is_table:
            continue
        for service in readers[relation.oid]:
            how = "" if relation.as_invoker else "it has the rights of its owner"
            how = "it holds the rows of every tenant" if relation.kind == "m" else how
            tally.note(VIEWS, service, relation.name, "read", how)


def _role(live: Live, role: Any, names: Names, database: str, hidden: frozenset[str], tally: Tally) -> None:
    service = service_of(role["name"], names)
    for attribute in ("superuser", "bypassrls", "creates", "owner"):
        tally.note(LOGINS, service, database, attribute, "it is" if role[attribute] else "")
    for relation in live.relations.values():
        how = "it has it" if relation.owner == role["name"] else ""
        tally.note(RIGHTS, service, relation.name, "OWNER", how)
    if service in hidden:
        tally.note(HIDDEN, service, database, "pg_stat_activity", "" if role["hidden"] else "its statements are shown")
