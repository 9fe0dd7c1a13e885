"""Reading a migration with PostgreSQL's own grammar, to refuse early what would leave its schema.

A courtesy to the author: he learns file, line and reason when he publishes. What holds the boundary is the role a
migration runs as, which owns one tenant's schema and nothing else.
"""

from __future__ import annotations

import postgast
from postgast import PgQueryError, walk

from prismicx.engines.statement_rules import CHANGES_SESSION
from prismicx.errors import InvalidInput

_ALLOWED = frozenset(
    """
    alter_domain_stmt alter_enum_stmt alter_function_stmt alter_policy_stmt alter_seq_stmt alter_stats_stmt
    alter_table_stmt alter_type_stmt call_stmt comment_stmt composite_type_stmt constraints_set_stmt
    create_domain_stmt create_enum_stmt create_function_stmt create_policy_stmt create_range_stmt create_seq_stmt
    create_stats_stmt create_stmt create_table_as_stmt create_trig_stmt define_stmt delete_stmt do_stmt drop_stmt
    index_stmt insert_stmt merge_stmt refresh_mat_view_stmt rename_stmt rule_stmt select_stmt truncate_stmt
    update_stmt view_stmt
    """.split()
)
_OWN = frozenset({"", "pg_catalog"})


def inspect(text: str, source: str) -> None:
    """See that every statement parses and stays within the schema it will run in.

    Args:
        source: the file's name, for messages.

    Raises:
        InvalidInput: ``package.sql``.
    """
    try:
        tree = postgast.parse(text)
    except PgQueryError as error:
        # The grammar counts bytes from 1.
        raise _refused(text, source, max(error.cursorpos - 1, 0), str(error)) from error
    for raw in tree.stmts:
        kind = raw.stmt.WhichOneof("node")
        if kind not in _ALLOWED:
            word = kind.removesuffix("_stmt").replace("_", " ")
            raise _refused(text, source, raw.stmt_location, f"a migration may not hold: {word}")
        statement = getattr(raw.stmt, kind)
        if kind == "index_stmt" and statement.concurrent:
            raise _refused(
                text, source, raw.stmt_location, "CREATE INDEX CONCURRENTLY cannot run in the migration's transaction"
            )
        for _, node in walk(statement):
            problem = _problem(node)
            if problem:
                raise _refused(text, source, raw.stmt_location, problem)


def _problem(node: object) -> str:
    name = type(node).__name__
    if name == "RangeVar":
        schema = node.schemaname  # type: ignore[attr-defined]
        return "" if schema in _OWN else f"it names the schema {schema}; names stand alone in a migration"
    if name == "FuncCall":
        parts = [part.string.sval for part in node.funcname]  # type: ignore[attr-defined]
        if parts[-1] in CHANGES_SESSION:
            return f"it calls {parts[-1]}, which changes the session"
        if len(parts) > 1 and parts[0] not in _OWN:
            return f"it calls {'.'.join(parts)}; names stand alone in a migration"
    return ""


def _refused(text: str, source: str, offset: int, reason: str) -> InvalidInput:
    before = text.encode()[:offset].decode(errors="replace")
    rest = text[len(before) :]
    before += rest[: len(rest) - len(rest.lstrip())]  # a statement's place includes the blanks before it
    line = before.count("\n") + 1
    column = len(before) - (before.rfind("\n") + 1) + 1
    return InvalidInput("package.sql", f"{source}:{line}:{column}: {reason}", "mend the file and publish again")
