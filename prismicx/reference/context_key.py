"""The key of tenants' proofs as a database holds it: the one that proofs are made with, and the one before it while a
rotation is not over."""

from __future__ import annotations

from prismicx.engines.context import ContextKey
from prismicx.engines.postgres import Connection
from prismicx.names import Names
from prismicx.reference.definitions import OWNER
from prismicx.statements import Statements

_sql = Statements(__package__, "context_key.sql")


async def knows_proofs(connection: Connection) -> bool:
    """Whether the database has a place for the key; one of an older release may not."""
    found: bool = await connection.fetchval(_sql.exists)
    return found


async def has_context_key(connection: Connection) -> bool:
    """Whether the database has a key."""
    return await connection.fetchval(_sql.pads) is not None


async def set_context_key(connection: Connection, names: Names, secret: str) -> bool:
    """Let a database take proofs that are made with the secret, and those of the secret before it; True if it is new.

    Args:
        connection: an administrator's, to a database that knows proofs.
    """
    pads, found = [*ContextKey(secret).pads()], await connection.fetchval(_sql.pads)
    if found is not None and found[:2] == pads:
        return False
    await _put(connection, names, [*pads, *(pads if found is None else found[:2])])
    return True


async def retire_context_keys(connection: Connection, names: Names, secret: str) -> bool:
    """Let a database take no proofs but those made with the secret; True if it took others. One that does not know the
    secret is left as it is.

    Args:
        connection: an administrator's, to a database that knows proofs.
    """
    pads, found = [*ContextKey(secret).pads()], await connection.fetchval(_sql.pads)
    if found is None or found == pads or pads not in (found[:2], found[2:]):
        return False
    await _put(connection, names, pads)
    return True


async def _put(connection: Connection, names: Names, pads: list[bytes]) -> None:
    async with connection.transaction():
        await connection.execute(f'SET LOCAL ROLE "{names.service(OWNER)}"')
        await connection.execute(_sql.put, pads)
        await connection.execute(_sql.touch)
