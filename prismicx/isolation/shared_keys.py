"""Keys that join tenants: unique ones that tell of another's value, foreign ones that take another's row."""

from __future__ import annotations

from prismicx.engines.postgres import Connection
from prismicx.isolation.catalogue import TENANT, Live, Relation, sql
from prismicx.isolation.values import Check, Tally

KEYS = Check(
    "structure.keys", "PostgreSQL", "Unique keys and foreign keys do not join tenants, but for those of the reference"
)
CHECKS = (KEYS,)

APPROVED = frozenset(
    {
        ("user_data.users", "PRIMARY KEY (id)"),
        ("user_extensions.extensions", "PRIMARY KEY (id)"),
        ("user_extensions.extension_metrics", "PRIMARY KEY (id)"),
        ("user_extensions.practicality_factors", "PRIMARY KEY (id)"),
        ("user_data.users", "UNIQUE (email)"),
        ("prismicx.audit_events", "PRIMARY KEY (sequence)"),
    }
)
"""Unique keys without the tenant that the reference has: a clash tells that such a value exists somewhere."""


async def check_keys(connection: Connection, live: Live, tally: Tally) -> None:
    """Look at every unique index, of a constraint or not, and at every foreign key between tables of tenants."""
    for row in await connection.fetch(sql.unique_keys):
        relation = live.relations.get(row["oid"])
        if relation is not None and relation.is_table and (by := _by(live, relation)) and by not in row["columns"]:
            known = (relation.name, row["key"]) in APPROVED
            tally.note(KEYS, "everybody", relation.name, row["key"], "" if known else f"{by} is not in it")
    keys = await connection.fetch(sql.foreign_key_columns)
    for row in keys:
        child, parent = live.relations.get(row["oid"]), live.relations.get(row["parent"])
        if child is None or parent is None or not _by(live, parent):
            continue
        # A foreign key is checked without policies. It is kept in bounds by the tenant in it, by another one over the
        # same columns that has the tenant, or by being what makes the row a tenant's: its policy looks at the parent.
        bounds = [
            item["columns"] for item in keys
            if (item["oid"], item["parent"]) == (row["oid"], row["parent"]) and TENANT in item["columns"]
        ]  # fmt: skip
        held = any(set(row["columns"]) <= {*columns} for columns in bounds) or [_by(live, child)] == row["columns"] != [
            TENANT
        ]
        tally.note(KEYS, "everybody", child.name, row["key"], "" if held else "it takes a row of another tenant")


def _by(live: Live, relation: Relation) -> str:
    """The column that makes a row of a table a tenant's; empty where none does."""
    path = live.tenant_path(relation)
    return TENANT if path is True else "" if path is False else path.column
