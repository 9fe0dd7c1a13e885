"""Scripts as they are run: ``${schema}`` filled in, cut where a statement cannot run in a transaction; pure functions.

Most scripts are one phase. A statement that says CONCURRENTLY is a phase by itself, since PostgreSQL refuses it in a
transaction; what stands before and after it are phases, too.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import count, groupby
from typing import Any

import postgast

_WORD = "concurrently"
# A name in quotes is quoted already.
_MARK = re.compile(r'"\$\{schema\}"|\$\{schema\}')
_REINDEXED = ("REINDEX_OBJECT_INDEX", "REINDEX_OBJECT_TABLE")


@dataclass(frozen=True, slots=True)
class Phase:
    """A part of a script.

    Attributes:
        concurrent: whether it is one statement that cannot run in a transaction; else it runs in one as a whole.
    """

    concurrent: bool
    sql: str


def phases_of(script: str) -> list[Phase]:
    """The phases of a script in their order; together they are the script, to the letter.

    Args:
        script: one that was published, with its ``${schema}`` filled in.
    """
    if _WORD not in script.lower():
        return [Phase(False, script)]
    data = script.encode()
    statements = postgast.parse(script).stmts
    # A statement reaches to its semicolon; what follows the last one are comments and blanks.
    ends = [raw.stmt_location + raw.stmt_len + 1 for raw in statements[:-1]] + [len(data)]
    begins = [0, *ends[:-1]]
    pieces = [
        (is_concurrent(raw.stmt), data[begin:end].decode())
        for raw, begin, end in zip(statements, begins, ends, strict=False)
    ]
    phases: list[Phase] = []
    for concurrent, run in groupby(pieces, key=lambda piece: piece[0]):
        texts = [text for _, text in run]
        phases += [Phase(True, text) for text in texts] if concurrent else [Phase(False, "".join(texts))]
    return phases or [Phase(False, script)]


def is_concurrent(statement: Any) -> bool:
    """Whether a statement of the grammar is one that may be a phase by itself."""
    kind = statement.WhichOneof("node")
    node = getattr(statement, kind)
    if kind in ("index_stmt", "drop_stmt"):
        return bool(node.concurrent)
    if kind == "reindex_stmt":
        return _reindexes_concurrently(node)
    if kind == "alter_table_stmt":
        return any(getattr(command.alter_table_cmd, "def").partition_cmd.concurrent for command in node.cmds)
    return False


def locked_alone(script: str) -> str:
    """The name of the table or index that a statement which cannot run in a transaction is about."""
    statement = postgast.parse(with_placeholder(script)[0]).stmts[0].stmt
    if statement.WhichOneof("node") == "drop_stmt":
        return str(statement.drop_stmt.objects[0].list.items[-1].string.sval)
    return str(getattr(statement, statement.WhichOneof("node")).relation.relname)


def with_schema(script: str, schema: str) -> str:
    """The script with the quoted name of a schema where it says ``${schema}``."""
    quoted = '"' + schema.replace('"', '""') + '"'
    return _MARK.sub(lambda _: quoted, script)


def with_placeholder(script: str) -> tuple[str, str]:
    """The script with a name that it does not hold where it says ``${schema}``, every place kept, and that name."""
    name = next(name for name in (f"s{number:06}" for number in count()) if name not in script)
    # As long as what it stands for, so that an error is where the file has it.
    return _MARK.sub(lambda mark: f'"{name}"'.ljust(len(mark[0])), script), name


def _reindexes_concurrently(node: Any) -> bool:
    kind = postgast.pg_query_pb2.ReindexObjectType.Name(node.kind)
    return kind in _REINDEXED and any(item.def_elem.defname == _WORD for item in node.params)
