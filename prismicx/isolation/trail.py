"""Attacks on the audit trail: its owner, and administrators, try to change what was written."""

from __future__ import annotations

import asyncpg

from prismicx.engines.postgres import Connection
from prismicx.isolation.catalogue import Live, sql
from prismicx.isolation.values import Check, Tally
from prismicx.names import Names
from prismicx.reference.definitions import OWNER

KEPT = Check("audit.kept", "PostgreSQL", "The audit trail is only ever added to, by its owner and administrators, too")
CHECKS = (KEPT,)

_OPERATIONS = {
    "prismicx.audit_events": ("update", "delete", "truncate"),
    "prismicx.audit_head": ("delete", "truncate"),  # appending changes its row
}


async def attack_trail(connection: Connection, live: Live, names: Names, tally: Tally) -> None:
    """Try each change as the owner, and as an administrator whose session calls itself a replica: then only triggers
    that are always enabled fire. It touches no row: what keeps the trail fires for statements."""
    owner = f'SET LOCAL ROLE "{names.service(OWNER)}"'
    actors = {"owner": owner}
    if await connection.fetchval(sql.is_superuser):
        actors["an administrator"] = "SET LOCAL session_replication_role = replica"
    for relation in live.relations.values():
        for operation in _OPERATIONS.get(relation.name, ()):
            column = relation.columns[0].name
            text = {
                "update": f'UPDATE {relation.name} SET "{column}" = "{column}" WHERE false',
                "delete": f"DELETE FROM {relation.name} WHERE false",
                "truncate": f"TRUNCATE {relation.name}",
            }[operation]
            for actor, become in actors.items():
                try:
                    how = await _tried(connection, become, text)
                except asyncpg.LockNotAvailableError:
                    tally.leave(f"{operation} of {relation.name}", "somebody holds the table")
                else:
                    tally.note(KEPT, actor, relation.name, operation, how)


async def _tried(connection: Connection, become: str, text: str) -> str:
    """How it got through; empty where it was refused."""
    undo = connection.transaction()
    await undo.start()
    try:
        # Who reads the trail now is not to be waited for, nor to wait.
        await connection.execute(f"SET LOCAL lock_timeout = '500ms'; {become}")
        try:
            await connection.execute(text)
        except asyncpg.LockNotAvailableError:
            raise
        except asyncpg.PostgresError:
            return ""
    finally:
        await undo.rollback()
    return "it was done"
