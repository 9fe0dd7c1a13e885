"""What the body of a function or a DO block runs, read with PL/pgSQL's own grammar where it is that, and by tokens."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import postgast
from postgast import PgQueryError

from prismicx.engines.statement_rules import is_refused

_BEGINS = frozenset({"", ";", "begin", "then", "else", "loop", ">>"})
"""After these a statement begins in the body of a function."""

_READ = frozenset("create alter drop".split())
"""Statements that are looked at themselves where the grammar of the language gives them."""

_REFUSED_STATEMENTS = frozenset("set reset discard listen prepare grant revoke copy do load".split()) | _READ
_READ_WORDS = frozenset({"execute", "language"})

_DYNAMIC = {
    "PLpgSQL_stmt_dynexecute": "query",
    "PLpgSQL_stmt_dynfors": "query",
    "PLpgSQL_stmt_return_query": "dynquery",
    "PLpgSQL_stmt_open": "dynquery",
}
"""Which field of a statement is the text that it executes."""


def problems_of_body(body: str, statement: str, look: Callable[[str], Iterator[str]]) -> Iterator[str]:
    """Why a body is refused.

    Args:
        statement: the whole of what holds it.
        look: why a text of SQL is refused.
    """
    texts = _texts(statement)
    try:
        tokens = postgast.scan(body).tokens
    except PgQueryError as error:
        yield f"the body of a function cannot be read: {error}"
        return
    data, before, executes = body.encode(), "", 0
    for token in tokens:
        kind = postgast.pg_query_pb2.Token.Name(token.token)
        if kind in ("SQL_COMMENT", "C_COMMENT"):
            continue
        word = data[token.start : token.end].decode()
        plain = word[1:-1].replace('""', '"') if word.startswith('"') else word.lower()
        refused = plain in _READ_WORDS or (before in _BEGINS and plain in _REFUSED_STATEMENTS)
        is_read = texts is not None and (plain in _READ_WORDS or plain in _READ)
        # A trigger executes a function, which is looked at with the statement that makes it.
        executes += before == "execute" and plain not in ("function", "procedure")
        if kind == "UIDENT":
            yield f"the body of a function holds {word}: names are written plainly"
        elif refused and not is_read:
            yield f"the body of a function may not hold {word.upper()}"
        elif kind != "SCONST" and is_refused(plain):
            yield f"the body of a function names {plain}, which reaches beyond the tenant's tables"
        before = plain
    if texts is None:
        return
    dynamic = [text for text, is_dynamic in texts if is_dynamic]
    if executes != len(dynamic):
        yield "the body of a function may not hold this EXECUTE: it cannot be read"
    for text, is_dynamic in texts:
        constant = _constant(text) if is_dynamic else text
        if constant is None:
            yield "the body of a function may not EXECUTE a text that is put together"
        elif is_dynamic or text.split(None, 1)[0].lower() in _READ:
            yield from look(constant)


def _texts(statement: str) -> list[tuple[str, bool]] | None:
    """The statements of a body, and whether each is a text that is executed; None where it is no PL/pgSQL."""
    try:
        found = postgast.parse_plpgsql(statement)
    except (PgQueryError, ValueError):
        return None  # what the grammar's library says of a trigger's function is not always JSON
    return [*_walk(found)] if found else None


def _walk(node: Any) -> Iterator[tuple[str, bool]]:
    if isinstance(node, list):
        for item in node:
            yield from _walk(item)
    elif isinstance(node, dict):
        for key, value in node.items():
            if key == "PLpgSQL_stmt_execsql":
                yield value["sqlstmt"]["PLpgSQL_expr"]["query"], False
            elif key in _DYNAMIC and _DYNAMIC[key] in value:
                yield value[_DYNAMIC[key]]["PLpgSQL_expr"]["query"], True
            yield from _walk(value)


def _constant(expression: str) -> str | None:
    """The text that an expression always is; None where it is put together."""
    try:
        target = postgast.parse(f"SELECT {expression}").stmts[0].stmt.select_stmt.target_list
    except PgQueryError:
        return None
    constant = target[0].res_target.val.a_const if len(target) == 1 else None
    return str(constant.sval.sval) if constant is not None and constant.HasField("sval") else None
