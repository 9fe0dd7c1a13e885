"""Reading a migration with PostgreSQL's own grammar, to refuse what would leave its schema, with file and line.

A migration runs as the role that owns one tenant's schemas, and so do, as the role that uses them, the functions it
makes. The login behind both may become any tenant's role, so nothing that could change the role may get in: statements
are looked at by grammar, and bodies of functions, which the grammar takes as texts, token by token.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import postgast
from postgast import PgQueryError, walk

from prismicx.engines.statement_rules import is_refused, refusals
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
_LANGUAGES = frozenset({"sql", "plpgsql"})

_BEGINS = frozenset({"", ";", "begin", "then", "else", "loop", ">>"})
"""After these a statement begins in the body of a function."""

_REFUSED_STATEMENTS = frozenset("set reset discard listen prepare grant revoke create alter drop copy do load".split())
_REFUSED_WORDS = frozenset({"execute", "language"})


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
        for problem in _problems(kind, statement):
            raise _refused(text, source, raw.stmt_location, problem)


def _problems(kind: str, statement: Any) -> Iterator[str]:
    creates = kind in ("create_table_as_stmt", "refresh_mat_view_stmt")
    for problem in refusals(statement, telling_types=True):
        if not (creates and problem == "would create a table"):
            yield f"it {problem}"
    for _, node in walk(statement):
        name = type(node).__name__
        if name == "RangeVar" and node.schemaname not in _OWN:
            yield f"it names the schema {node.schemaname}; names stand alone in a migration"
        elif name == "FuncCall":
            parts = [part.string.sval for part in node.funcname]
            if len(parts) > 1 and parts[0] not in _OWN:
                yield f"it calls {'.'.join(parts)}; names stand alone in a migration"
        elif name == "VariableSetStmt":
            yield f"it sets {node.name} for a function"
        elif name == "DefElem" and node.defname == "language" and node.arg.string.sval.lower() not in _LANGUAGES:
            yield f"it is in the language {node.arg.string.sval}; sql and plpgsql are taken"
        elif name == "DefElem" and node.defname == "as":
            for text in [node.arg.string.sval, *(item.string.sval for item in node.arg.list.items)]:
                yield from _problems_of_body(text)


def _problems_of_body(body: str) -> Iterator[str]:
    try:
        tokens = postgast.scan(body).tokens
    except PgQueryError as error:
        yield f"the body of a function cannot be read: {error}"
        return
    text, before = body.encode(), ""
    for token in tokens:
        kind = postgast.pg_query_pb2.Token.Name(token.token)
        if kind in ("SQL_COMMENT", "C_COMMENT"):
            continue
        word = text[token.start : token.end].decode()
        plain = word[1:-1].replace('""', '"') if word.startswith('"') else word.lower()
        if kind == "UIDENT":
            yield f"the body of a function holds {word}: names are written plainly"
        elif plain in _REFUSED_WORDS or (before in _BEGINS and plain in _REFUSED_STATEMENTS):
            yield f"the body of a function may not hold {word.upper()}"
        elif kind != "SCONST" and is_refused(plain):
            yield f"the body of a function names {plain}, which reaches beyond the tenant's tables"
        before = plain


def _refused(text: str, source: str, offset: int, reason: str) -> InvalidInput:
    before = text.encode()[:offset].decode(errors="replace")
    rest = text[len(before) :]
    before += rest[: len(rest) - len(rest.lstrip())]  # a statement's place includes the blanks before it
    line = before.count("\n") + 1
    column = len(before) - (before.rfind("\n") + 1) + 1
    return InvalidInput("package.sql", f"{source}:{line}:{column}: {reason}", "mend the file and publish again")
