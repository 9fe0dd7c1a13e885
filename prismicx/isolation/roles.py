"""Who is what, and a member of whom: every role of the server, and every membership that touches the platform's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from prismicx.credentials import SECOND
from prismicx.engines.postgres import Connection
from prismicx.isolation.catalogue import sql
from prismicx.isolation.values import Check, Tally
from prismicx.names import Names
from prismicx.reference.definitions import OWNER, services

ATTRIBUTES = Check(
    "roles.attributes", "PostgreSQL", "Only administrators step over policies, and roles of tenants log nobody in"
)
MEMBERS = Check(
    "roles.members", "PostgreSQL", "Roles of the platform are members as it made them, and of none of the server's"
)
CHECKS = (ATTRIBUTES, MEMBERS)

READS_ALL = frozenset(
    {
        "pg_read_all_data",
        "pg_write_all_data",
        "pg_read_server_files",
        "pg_write_server_files",
        "pg_execute_server_program",
    }
)
"""Roles of the server that nobody but an administrator is to have; what else it has, no role of the platform."""


@dataclass(frozen=True, slots=True)
class Kinds:
    """Tells roles of the platform by their names, as the live server has them."""

    names: Names

    def of(self, role: str) -> str:
        """``owner``, a service's name, ``a tenant``, ``a tenant's owner``, or empty for a stranger."""
        if role == self.names.service(OWNER):
            return OWNER
        for service in services():
            if role in (self.names.service(service.name), self.names.service(service.name) + SECOND):
                return service.name
        if role.startswith(self.names.server_wide("tenant_")):
            return "a tenant"
        return "a tenant's owner" if role.startswith(self.names.server_wide("owner_")) else ""


async def check_roles(connection: Connection, names: Names, tally: Tally) -> None:
    """Look at every role and membership of the server."""
    kinds = Kinds(names)
    for role in await connection.fetch(sql.everybody):
        kind = kinds.of(role["name"])
        if not role["administrator"]:
            _attributes(role, kind, tally)
        if kind:
            tally.note(MEMBERS, kind, "other roles", "be a member")
    for row in await connection.fetch(sql.memberships):
        of, member = kinds.of(row["role"]), kinds.of(row["member"])
        if row["administrator"] or not (of or member or row["role"] in READS_ALL):
            continue
        how = "" if _made_so(of, member, row) else f"{row['member']} is a member of {row['role']}"
        tally.note(MEMBERS, member or "a stranger", of or row["role"], "be a member", how)


def _attributes(role: Any, kind: str, tally: Tally) -> None:
    name = role["name"]
    demands = {
        "superuser": role["superuser"],
        "step over policies": role["bypassrls"],
        "become one who may": bool(role["powers"]) and not role["superuser"],
    }
    if kind.startswith("a tenant") or kind == OWNER:
        demands["log in"] = role["login"]
    if kind and kind != OWNER:
        demands["make roles or databases"] = role["creates"]
    for operation, held in demands.items():
        become = f": {', '.join(role['powers'])}" if operation.startswith("become") else ""
        tally.note(ATTRIBUTES, kind or "a stranger", "the server", operation, f"{name} may{become}" if held else "")


def _made_so(role: str, member: str, row: Any) -> bool:
    """Whether `db apply`, a rotation or the provisioning of a tenant makes this membership."""
    if role == "a tenant":
        # Who makes a role administers it, from PostgreSQL 16 on.
        return member in ("systems", OWNER)
    if role == "a tenant's owner":
        return member in ("fleet", OWNER)
    return role == member and str(row["member"]) == f"{row['role']}{SECOND}"
