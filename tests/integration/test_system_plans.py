"""Statements on what tenants have installed reach it by the tenant, or for one that asks of all by the system.

With 200 tenants that have 1,000 systems each. Policies are for the login, so each statement is planned as the login
that runs it, with the plan for its values and with the one for any.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from datetime import datetime
from typing import Any

import asyncpg
import pytest

from prismicx.credentials import Credentials
from prismicx.engines.endpoints import locate
from prismicx.fleet.plan import queries as fleet
from prismicx.reference.apply import apply
from prismicx.settings import Settings
from prismicx.statements import Statements
from prismicx.systems.records import DATABASE
from prismicx.systems.records import queries as systems
from prismicx.systems.secrets import queries as secrets
from tests.integration.test_plans import nodes_of
from tests.support import administrator, context_of

FILL = """
SET session_replication_role = replica;  -- what is written fits, the foreign keys need not look
INSERT INTO public.management_systems (system_id, name, type, vendor, status, created_at, updated_at)
    SELECT 's' || n, 'S', 't' || n, 'V', 'active', now(), now() FROM generate_series(1, 1000) n;
INSERT INTO public.system_versions
    (version_id, system_id, version, schema_version, is_latest, release_date, created_at)
    SELECT 's' || n || ':1.0', 's' || n, '1.0', 1, true, now(), now() FROM generate_series(1, 1000) n;
INSERT INTO public.tenant_systems (tenant_id, system_id, version_id, status, installed_at, updated_at)
    SELECT 'tenant-' || t, 's' || n, 's' || n || ':1.0', 'installed', now(), now()
    FROM generate_series(1, 200) t, generate_series(1, 1000) n;
INSERT INTO prismicx.unfinished_steps (tenant_id, system_id, version_to, phases_done, updated_at)
    SELECT 'tenant-' || t, 's' || n, 's' || n || ':1.0', 1, now()
    FROM generate_series(1, 200) t, generate_series(1, 100) n;
ANALYZE;
"""

INDEXES = """
SELECT i.indexrelid::regclass::text AS name, a.attname AS leads_with
FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
WHERE i.indrelid IN ('public.tenant_systems'::regclass, 'prismicx.unfinished_steps'::regclass)
"""

TENANT, MOMENT = "tenant-3", datetime(2026, 1, 1)
OF_TENANTS = ("tenant_systems", "unfinished_steps")

STATEMENTS: dict[str, tuple[str, Statements, dict[str, list[Any]]]] = {
    "systems": ("fleet", systems, {
        "installations": [],
        "installation": ["s7"],
        "hold_versions": [["s7", "s8"]],
        "installed_dependencies": [],
        "same_type": ["t7", "s8"],
        "note_failed_installation": ["s7", "s7:1.0", MOMENT, "wrong"],
        "set_choices": ["s7", "{}", "{}", MOMENT],
        "note_failure": ["s7", "wrong", MOMENT],
        "unfinished": ["s7"],
    }),
    "secrets": ("fleet", secrets, {
        "configurations": [],
        "configurations_for_update": [],
        "set_configuration": ["s7", "{}"],
    }),
    "fleet": ("reporting", fleet, {
        "holding": ["s7", ["tenant-3", "tenant-4"]],
        "not_at": ["s7", "s7:1.0"],
        "count_at": ["s7", "s7:1.0"],
        "holders": ["s7"],
        "unfinished": ["s7"],
    }),
}  # fmt: skip
"""Every statement of systems on the two tables, and those of the fleet that ask for one system. What else the fleet
asks, it asks of all tenants and all systems, or of all steps that are half done, and reads them whole."""

CASES = [(room, name) for room, (_, _, values) in STATEMENTS.items() for name in values]


@pytest.fixture(scope="module")
async def filled(new_namespace: Callable[[], Settings]) -> AsyncIterator[Settings]:
    """A platform of its own with the tables filled."""
    settings = new_namespace()
    await apply(settings, locate(settings))
    admin = await administrator(settings, DATABASE)
    await admin.execute(FILL)
    await admin.close()
    yield settings


@pytest.fixture(scope="module")
async def logins(filled: Settings) -> AsyncIterator[dict[str, asyncpg.Connection]]:
    """A connection as each service has it, in the scope of one of the tenants."""
    opened = {}
    for service in ("fleet", "reporting"):
        login = f"{filled.namespace}__prismicx_{service}"
        password = Credentials(filled.credentials_file).require("postgres", login)
        url = locate(filled).postgres.postgres(f"{filled.namespace}__{DATABASE}", login, password)
        opened[service] = await asyncpg.connect(url)
        scope = context_of(filled, opened[service], TENANT).replace("SET LOCAL", "SET")
        await opened[service].execute(scope)
    yield opened
    for connection in opened.values():
        await connection.close()


@pytest.mark.parametrize("room", ["systems", "secrets"])
def test_no_statement_is_left_out(room: str) -> None:
    _, statements, values = STATEMENTS[room]
    asking = {name for name in statements.names if any(table in getattr(statements, name) for table in OF_TENANTS)}
    assert values.keys() == asking


@pytest.mark.parametrize("kind", ["force_custom_plan", "force_generic_plan"])
@pytest.mark.parametrize(("room", "name"), CASES)
async def test_a_statement_reaches_what_tenants_have_by_an_index(
    logins: dict[str, asyncpg.Connection], room: str, name: str, kind: str
) -> None:
    service, statements, values = STATEMENTS[room]
    connection, text, given = logins[service], getattr(statements, name), values[name]
    leads = {row["name"].split(".")[-1]: row["leads_with"] for row in await connection.fetch(INDEXES)}
    allowed = ("tenant_id", "system_id") if service == "reporting" else ("tenant_id",)
    await connection.execute(f"SET plan_cache_mode = {kind}")
    if kind == "force_generic_plan":
        # The server's own prepared statement; what it is given does not matter to such a plan.
        await connection.execute(f"PREPARE asked AS {text}")
        nothing = f"({', '.join(['NULL'] * len(given))})" if given else ""
        found = await connection.fetchval(f"EXPLAIN (FORMAT JSON) EXECUTE asked{nothing}")
        await connection.execute("DEALLOCATE asked")
    else:
        found = await connection.fetchval(f"EXPLAIN (FORMAT JSON) {text}", *given)
    (held,) = json.loads(found)
    for node in nodes_of(held["Plan"]):
        if node["Node Type"] == "Seq Scan":
            assert node["Relation Name"] not in OF_TENANTS, f"{node['Relation Name']} is read whole: {found}"
        elif node.get("Index Name") in leads:
            assert leads[node["Index Name"]] in allowed, f"{node['Index Name']} is used: {found}"
            assert "Index Cond" in node, f"{node['Index Name']} is read whole: {found}"
