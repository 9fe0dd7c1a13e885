"""Statements that cannot run in a transaction, cut off anywhere: what is still to be done for them.

The server goes on with such a statement when its client is gone, and what it did stays when it fails. So whoever comes
again looks at what is there: done already, half done, or not begun.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import postgast

from prismicx.statements import Statements

queries = Statements(__package__, "repeatable.sql")

Ask = Callable[..., Awaitable[Any]]
"""Asks for the first value of the answer to a statement with arguments."""


async def still_to_do(ask: Ask, schema: str, statement: str) -> list[str]:
    """The statements that end what one began; none where it is done.

    Args:
        schema: where its names are.
        statement: one that may be a phase of its own, see `prismicx.systems.phases.is_concurrent`.
    """
    parsed = postgast.parse(statement).stmts[0].stmt
    kind = parsed.WhichOneof("node")
    return await _WAYS[kind](ask, schema, getattr(parsed, kind), statement)


async def _create(ask: Ask, schema: str, node: Any, statement: str) -> list[str]:
    index = _named(schema, node.idxname)
    valid = await ask(queries.index_is_valid, index)
    if valid:
        return []
    return [statement] if valid is None else [f"DROP INDEX CONCURRENTLY {index}", statement]


async def _drop(ask: Ask, schema: str, node: Any, statement: str) -> list[str]:
    index = _named(schema, node.objects[0].list.items[-1].string.sval)
    return [statement] if await ask(queries.is_there, index) else []


async def _reindex(ask: Ask, schema: str, node: Any, statement: str) -> list[str]:
    left = await ask(queries.half_built, _named(schema, node.relation.relname))
    return [*(f"DROP INDEX CONCURRENTLY {index}" for index in left), statement]


async def _detach(ask: Ask, schema: str, node: Any, statement: str) -> list[str]:
    partition = getattr(node.cmds[0].alter_table_cmd, "def").partition_cmd.name
    table, name = _named(schema, node.relation.relname), _named(schema, partition.relname)
    pending = await ask(queries.detaching, table, name)
    if pending is None:
        return []
    return [f"ALTER TABLE {table} DETACH PARTITION {name} FINALIZE"] if pending else [statement]


_WAYS = {"index_stmt": _create, "drop_stmt": _drop, "reindex_stmt": _reindex, "alter_table_stmt": _detach}


def _named(schema: str, name: str) -> str:
    return ".".join('"' + part.replace('"', '""') + '"' for part in (schema, name))
