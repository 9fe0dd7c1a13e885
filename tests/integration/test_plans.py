"""Plans of the statements, on tables with 200 tenants of 1,000 rows each: under row-level security every table is
reached by an index that leads with the tenant, or with the primary key of the table or of its parent.

Each statement is planned twice: for the values it is given, and for any, as the server keeps it once it was prepared.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import datetime
from hashlib import md5
from typing import Any

import asyncpg
import pytest

from prismicx.credentials import Credentials
from prismicx.engines.endpoints import locate
from prismicx.extensions.repository import queries as extensions
from prismicx.reference.apply import apply
from prismicx.settings import Settings
from prismicx.statements import Statements
from prismicx.users.preferences import queries as preferences
from prismicx.users.private import queries as private
from prismicx.users.repository import queries as users
from prismicx.users.secret_preferences import queries as secret_preferences
from tests.support import administrator, context_of

FILL = """
SET session_replication_role = replica;  -- what is written fits, the foreign keys need not look
INSERT INTO user_data.users (id, tenant_id, username, email, password_hash, role, status, created_at, updated_at)
    SELECT md5('user' || t || '-' || n)::uuid, 'tenant-' || t, 'user' || n, 'user' || n || '@x.example', '!', 'user',
           'active', now(), now()
    FROM generate_series(1, 200) t, generate_series(1, 1000) n;
INSERT INTO user_preferences.preferences (user_id, preference_key, preference_value, created_at, updated_at)
    SELECT id, 'theme', '1', now(), now() FROM user_data.users;
INSERT INTO user_extensions.extensions (id, user_id, tenant_id, extension_type, name, created_at, updated_at)
    SELECT md5('extension' || id)::uuid, id, tenant_id, 'widget', 'clock', now(), now() FROM user_data.users;
INSERT INTO user_extensions.extension_metrics (id, extension_id, created_at, updated_at)
    SELECT gen_random_uuid(), id, now(), now() FROM user_extensions.extensions;
INSERT INTO user_extensions.practicality_factors
    (id, extension_id, factor_name, factor_value, created_at, updated_at)
    SELECT gen_random_uuid(), id, 'speed', 5, now(), now() FROM user_extensions.extensions;
ANALYZE;
"""

INDEXES = """
SELECT i.indexrelid::regclass::text AS name, a.attname AS leads_with, i.indisprimary AS is_primary
FROM pg_index i JOIN pg_class t ON t.oid = i.indrelid
JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = i.indkey[0]
WHERE t.relnamespace IN ('user_data'::regnamespace, 'user_preferences'::regnamespace, 'user_extensions'::regnamespace)
"""

TENANT, MOMENT = "tenant-3", datetime(2026, 1, 1)
USER = uuid.UUID(hex=md5(b"user3-7", usedforsecurity=False).hexdigest())
EXTENSION = uuid.UUID(hex=md5(f"extension{USER}".encode(), usedforsecurity=False).hexdigest())
NEW = uuid.uuid4()

_COLUMNS = [[NEW], ["n"], ["n@x.example"], ["n"], ["n"], ["user"], ["active"], ["{}"]]

STATEMENTS: dict[str, tuple[Statements, dict[str, list[Any]]]] = {
    "users": (users, {
        "add": [NEW, TENANT, "n", "n@x.example", "!", None, None, "user", "active", MOMENT, "{}"],
        "add_many": [TENANT, "!", MOMENT, *_COLUMNS],
        "add_new": [TENANT, "!", MOMENT, *_COLUMNS],
        "get": [USER],
        "get_for_update": [USER],
        "by_email": [TENANT, "user7@x.example"],
        "by_username": [TENANT, "user7"],
        "list": [TENANT, "user5", "active", "user", "%ser7%", 101],
        "update": [USER, "n", "n@x.example", None, None, "user", "active", "{}", MOMENT],
        "lock": [USER],
        "delete_preferences": [USER],
        "delete": [USER],
        "secret": [USER],
        "secret_of_email": [TENANT, "user7@x.example"],
        "set_password": [USER, "!", MOMENT],
        "rehash": [USER, "!", "!!"],
        "logged_in": [USER, "!", MOMENT, None],
        "known": [TENANT, ["user7@x.example", "user8@x.example"]],
    }),
    "private": (private, {
        "private": [TENANT, USER, 500],
        "private_for_update": [TENANT, USER, 500],
        "set_private": [USER, '"pxsealed:"'],
    }),
    "secret preferences": (secret_preferences, {
        "secret": [TENANT, USER, "theme", ["token"], 500],
        "secret_for_update": [TENANT, USER, "theme", ["token"], 500],
        "set_secret": [USER, "theme", "2"],
    }),
    "preferences": (preferences, {
        "all": [USER],
        "some": [USER, ["theme", "other"]],
        "some_for_update": [USER, ["theme", "other"]],
        "lock_user": [USER],
        "set": [USER, MOMENT, ["theme"], ["2"]],
        "unset": [USER, ["theme"]],
        "user_exists": [USER],
        "secrets": [USER, ["theme", "other"]],
        "find": ["theme", ['"pxsealed:']],
    }),
    "extensions": (extensions, {
        "add": [NEW, USER, TENANT, "widget", "n", None, True, 0, MOMENT, "{}"],
        "get": [EXTENSION],
        "lock": [EXTENSION],
        "list": [TENANT, 0, uuid.UUID(int=0), USER, "widget", True, 101],
        "update": [EXTENSION, "widget", "n", None, True, 0, "{}", MOMENT],
        "of_user": [USER],
        "user_exists": [USER],
        "reorder": [[EXTENSION], MOMENT],
        "delete_metrics": [EXTENSION],
        "delete_factors": [EXTENSION],
        "delete": [EXTENSION],
        "count_use": [EXTENSION, 1, MOMENT],
        "set_feedback": [EXTENSION, 5.0, MOMENT],
        "add_metrics": [NEW, EXTENSION, 1, MOMENT, None, MOMENT],
        "factors": [EXTENSION],
        "set_factor": [NEW, EXTENSION, "size", 5, 1.0, MOMENT],
        "remove_factor": [EXTENSION, "speed"],
        "practicality": [EXTENSION],
        "ranking": ["practicality", 100],
    }),
}  # fmt: skip
"""Every statement of these rooms, with values as they come; `test_no_statement_is_left_out` sees to it."""

CASES = [(room, name) for room, (_, values) in STATEMENTS.items() for name in values]


@pytest.fixture(scope="module")
async def filled(new_namespace: Callable[[], Settings]) -> AsyncIterator[Settings]:
    """A platform of its own with the tables filled."""
    settings = new_namespace()
    await apply(settings, locate(settings))
    admin = await administrator(settings, "system_users")
    await admin.execute(FILL)
    await admin.close()
    yield settings


@pytest.fixture
async def logins(filled: Settings) -> AsyncIterator[Callable[[str], Any]]:
    """A connection as a service has it, in the scope of one of the tenants."""
    opened: list[asyncpg.Connection] = []

    async def connect(service: str) -> asyncpg.Connection:
        login = f"{filled.namespace}__prismicx_{service}"
        password = Credentials(filled.credentials_file).require("postgres", login)
        url = locate(filled).postgres.postgres(f"{filled.namespace}__system_users", login, password)
        connection = await asyncpg.connect(url)
        opened.append(connection)
        await connection.execute(context_of(filled, connection, TENANT).replace("SET LOCAL", "SET"))
        return connection

    yield connect
    for connection in opened:
        await connection.close()


HASHES = ("secret", "secret_of_email", "rehash", "logged_in")
"""Statements that read the hash of a password."""


def nodes_of(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for part in plan.get("Plans", ()):
        yield from nodes_of(part)


def test_no_statement_is_left_out() -> None:
    for statements, values in STATEMENTS.values():
        assert values.keys() == statements.names


@pytest.mark.parametrize("kind", ["force_custom_plan", "force_generic_plan"])
@pytest.mark.parametrize(("room", "name"), CASES)
async def test_a_statement_reaches_its_tables_by_the_tenant_or_a_key(
    logins: Callable[[str], Any], room: str, name: str, kind: str
) -> None:
    statements, values = STATEMENTS[room]
    service = "passwords" if room == "users" and name in HASHES else "users"
    connection = await logins("extensions" if room == "extensions" else service)
    known = {row["name"].split(".")[-1]: row for row in await connection.fetch(INDEXES)}
    await connection.execute(f"SET plan_cache_mode = {kind}")
    text, given = getattr(statements, name), values[name]
    if kind == "force_generic_plan":
        # The server's own prepared statement; what it is given does not matter to such a plan.
        await connection.execute(f"PREPARE asked AS {text}")
        nothing = f"({', '.join(['NULL'] * len(given))})"
        found = await connection.fetchval(f"EXPLAIN (FORMAT JSON) EXECUTE asked{nothing}")
    else:
        found = await connection.fetchval(f"EXPLAIN (FORMAT JSON) {text}", *given)
    (held,) = json.loads(found)
    for node in nodes_of(held["Plan"]):
        kind_of_node = node["Node Type"]
        assert kind_of_node != "Seq Scan", f"{node['Relation Name']} is read whole: {found}"
        if kind_of_node in ("Index Scan", "Index Only Scan", "Bitmap Index Scan"):
            index = known[node["Index Name"]]
            leads = index["is_primary"] or index["leads_with"] in ("tenant_id", "user_id", "extension_id")
            assert leads, f"{node['Index Name']} is used: {found}"
            assert "Index Cond" in node, f"{node['Index Name']} is read whole: {found}"
