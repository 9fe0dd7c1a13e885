"""Functions that run with other rights than those of the one who calls them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from prismicx.engines.postgres import Connection
from prismicx.isolation.catalogue import Live, service_of, sql
from prismicx.isolation.values import Check, Tally
from prismicx.names import Names
from prismicx.reference import facts

DEFINERS = Check("structure.definers", "PostgreSQL", "Functions with other rights are those that were approved")
RUNNERS = Check(
    "structure.runners", "PostgreSQL", "What runs migrations does that alone, as the owner of one tenant's schemas"
)
CHECKS = (DEFINERS, RUNNERS)

_PINNED = "search_path=pg_catalog, pg_temp"
_BODY = re.compile(r"BEGIN ATOMIC\s+SELECT runners\.perform\((?:\w+\.)?statements\)(?: AS perform)?;\s+END")
"""What `prismicx.make_runner` writes, as the server shows it; bound to the function it names when it was made."""


async def check_functions(connection: Connection, live: Live, names: Names, database: str, tally: Tally) -> None:
    """Look at every function with other rights: those a login may call, and all that tenants have."""
    roles = [row["name"] for row in live.roles]
    approved = set(_approved(database))
    for row in await connection.fetch(sql.definers, roles):
        if row["name"].startswith("runners."):
            continue  # these are looked at one by one below
        known = row["name"] in approved and _PINNED in row["settings"]
        how = "" if known else f"it runs with other rights: {row['settings'] or 'no search_path'}"
        tally.note(DEFINERS, service_of(row["role"], names), row["name"], "execute", how)
    for row in await connection.fetch(sql.tenant_definers):
        how = f"{row['name']} runs with the rights of {row['owner']}"
        tally.note(DEFINERS, "a tenant", "schemas of tenants", "have a function with other rights", how)
    if database == "management_system_repository":
        tally.note(DEFINERS, "a tenant", "schemas of tenants", "have a function with other rights")
        await _runners(connection, names, tally)


async def _runners(connection: Connection, names: Names, tally: Tally) -> None:
    begin, fleet = names.server_wide("owner_"), names.service("fleet")
    for row in await connection.fetch(sql.runners):
        wrong = _perform(row) if row["name"] == "perform" else _runner(row, begin, fleet)
        what = "runners.perform" if row["name"] == "perform" else "a tenant's runner"
        tally.note(RUNNERS, "fleet", what, "execute", f"runners.{row['name']} has {', '.join(wrong)}" if wrong else "")


def _perform(row: Any) -> Sequence[str]:
    demands = {
        "rights of its owner": not row["definer"],
        "no search_path of its own": row["settings"] == [_PINNED],
    }
    return [what for what, held in demands.items() if not held]


def _runner(row: Any, begin: str, fleet: str) -> Sequence[str]:
    """What of a function in this schema is not as `prismicx.make_runner` makes it."""
    name = row["name"]
    demands = {
        "another name than an owner's": name.startswith(begin),
        f"the owner {row['owner']}": row["owner"] == name,
        "the rights of the one who calls": row["definer"],
        "settings": not row["settings"],
        "other arguments": row["arguments"] == "text[]" and row["result"] == "void",
        "another body": row["language"] == "sql" and _BODY.fullmatch(row["body"] or "") is not None,
        "callers beside fleet": sorted(row["callers"]) == sorted({name, fleet}),
    }
    return [what for what, held in demands.items() if not held]


def _approved(database: str) -> Iterator[str]:
    for fact in facts.of_postgres(database):
        if fact.kind == "function" and fact.value.startswith("security definer"):
            yield fact.subject.partition("(")[0]
