"""What the body of a function or a DO block runs, read with the grammar of its language, and by tokens besides."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any, NamedTuple

import postgast
from postgast import PgQueryError

from prismicx.engines.statement_rules import is_refused

_BEGINS = frozenset({"", ";", "begin", "then", "else", "loop", ">>"})
"""After these a statement begins in the body of a function."""

_REFUSED_STATEMENTS = frozenset("set reset discard listen prepare grant revoke copy do load".split())

_DYNAMIC = {
    "PLpgSQL_stmt_dynexecute": "query",
    "PLpgSQL_stmt_dynfors": "query",
    "PLpgSQL_stmt_return_query": "dynquery",
    "PLpgSQL_stmt_open": "dynquery",
}
"""Which field of a statement is the text that it executes."""

_ENDS = {"PLpgSQL_stmt_commit": "COMMIT", "PLpgSQL_stmt_rollback": "ROLLBACK"}
_STATEMENT, _EXPRESSION = 0, 2
"""How PL/pgSQL has a text parsed; above are assignments."""

_ASSIGNED = "UPDATE x SET x{} = NULL"

_OPTIONS = frozenset({"use_column", "use_variable", "error"})
"""Last words of ``#variable_conflict``, which may stand before a block."""

_TYPE_ENDS = frozenset({":=", "=", "default", "not"})
_KEPT_TYPES = frozenset({"record", "refcursor"})
_KEPT_RESULTS = frozenset({"trigger", "event_trigger", "void"})
_SURPLUS = re.compile(r"(?:\{\}\},)+")


class _Token(NamedTuple):
    kind: str
    word: str
    start: int
    end: int

    @property
    def plain(self) -> str:
        """The word as the grammar takes it."""
        return self.word[1:-1].replace('""', '"') if self.word.startswith('"') else self.word.lower()


def problems_of_body(body: str, holder: Any, look: Callable[[str], Iterator[str]]) -> Iterator[str]:
    """Why a body is refused.

    Args:
        holder: the statement of the grammar that holds it.
        look: why a text of SQL is refused.
    """
    try:
        tokens = _scanned(body)
        block = _block(holder, body, tokens) if _is_plpgsql(holder) else None
    except (PgQueryError, ValueError) as error:
        yield f"the body of a function cannot be read: {error}"
        return
    before, executes = "", 0
    for token in tokens:
        # A trigger executes a function, which is looked at with the statement that makes it.
        executes += before == "execute" and token.plain not in ("function", "procedure")
        if token.kind == "UIDENT":
            yield f"the body of a function holds {token.word}: names are written plainly"
        elif before in _BEGINS and token.plain in _REFUSED_STATEMENTS:
            yield f"the body of a function may not hold {token.word.upper()}"
        elif token.kind != "SCONST" and is_refused(token.plain):
            yield f"the body of a function names {token.plain}, which reaches beyond the tenant's tables"
        before = token.plain
    if block is None:
        yield from look(body)
        return
    dynamic = [*_dynamic(block)]
    if executes != len(dynamic):
        yield "the body of a function may not hold this EXECUTE: it cannot be read"
    for expression in dynamic:
        constant = _constant(expression)
        if constant is None:
            yield "the body of a function may not EXECUTE a text that is put together"
        else:
            yield from look(constant)
    types = [_text_of_type(body.encode()[start:end].decode()) for _, start, end in _declared(tokens)]
    for text in dict.fromkeys([*types, *_texts(block)]):
        yield from look(text)


def _scanned(text: str) -> list[_Token]:
    """The tokens of a text but for comments; places are in bytes."""
    data = text.encode()
    found = [
        _Token(postgast.pg_query_pb2.Token.Name(item.token), data[item.start : item.end].decode(), item.start, item.end)
        for item in postgast.scan(text).tokens
    ]
    return [token for token in found if token.kind not in ("SQL_COMMENT", "C_COMMENT")]


def _is_plpgsql(holder: Any) -> bool:
    """Whether a body is in PL/pgSQL; else it is SQL, as no other language is taken."""
    is_block = type(holder).__name__ == "DoStmt"
    options = holder.args if is_block else getattr(holder, "options", ())
    languages = [item.def_elem.arg.string.sval for item in options if item.def_elem.defname == "language"]
    return is_block or any(language.lower() == "plpgsql" for language in languages)


def _block(holder: Any, body: str, tokens: list[_Token]) -> Any:
    """What PL/pgSQL's grammar says of a body."""
    dotted = {token.plain for token, after in pairwise(tokens) if after.word == "."}
    head = _head(holder, dotted)
    try:
        return _parsed(head, body)
    except PgQueryError:
        # The grammar's library takes a type it does not know for that of a row, or not at all.
        return _parsed(head, _plainly_typed(body, tokens, dotted))


def _parsed(head: str, body: str) -> Any:
    text = body.replace("'", "''")
    try:
        return postgast.parse_plpgsql(f"{head} '{text}'")
    except json.JSONDecodeError as error:
        # The library closes each variable of a trigger that it leaves out once too often.
        return json.loads(_SURPLUS.sub(lambda found: found[0].replace("}}", "}"), error.doc, count=1))


def _head(holder: Any, dotted: set[str]) -> str:
    """What stands before a body, with types that the grammar's library knows."""
    if type(holder).__name__ == "DoStmt":
        return "DO"
    given, results = [], []
    for item in holder.parameters:
        parameter = item.function_parameter
        mode = postgast.pg_query_pb2.FunctionParameterMode.Name(parameter.mode).removeprefix("FUNC_PARAM_")
        way = {"OUT": "OUT", "TABLE": "OUT", "INOUT": "INOUT"}.get(mode, "IN")
        written = _plain_type(parameter.name, _last(parameter.arg_type), dotted)
        name = '"' + parameter.name.replace('"', '""') + '"' if parameter.name else ""
        given.append(f"{way} {name} {written}")
        results += [written] if way != "IN" else []
    what = "PROCEDURE" if holder.is_procedure else "FUNCTION"
    result = _last(holder.return_type)
    if result and result not in _KEPT_RESULTS:
        result = results[0] if len(results) == 1 else "record"
    returns = f"RETURNS {'SETOF ' if holder.return_type.setof else ''}{result} " if result else ""
    return f"CREATE {what} f({', '.join(given)}) {returns}LANGUAGE plpgsql AS"


def _plainly_typed(body: str, tokens: list[_Token], dotted: set[str]) -> str:
    """The same body, with variables of types that the grammar's library knows."""
    data = body.encode()
    for name, start, end in reversed([*_declared(tokens)]):
        plain = _plain_type(name, data[start:end].decode().lower(), dotted)
        data = data[:start] + plain.encode() + data[end:]
    return data.decode()


def _last(of: Any) -> str:
    """The name of a type without that of its schema; empty where there is no type."""
    return "".join(part.string.sval for part in of.names[-1:])


def _plain_type(name: str, given: str, dotted: set[str]) -> str:
    """A type of the server's that a variable could have, as far as PL/pgSQL's grammar tells types apart."""
    return given if given in _KEPT_TYPES else "record" if name in dotted else "text"


def _declared(tokens: list[_Token]) -> Iterator[tuple[str, int, int]]:
    """The variables that blocks declare, and where their types begin and end; not cursors and other names."""
    before, declaring, at = "", False, 0
    while at < len(tokens):
        word = tokens[at].plain
        if word in ("declare", "begin"):
            declaring = word == "declare" and (declaring or before in _BEGINS | _OPTIONS)
        elif declaring:
            end = _first(tokens, at, frozenset({";"}))
            start = at + 2 if at + 1 < end and tokens[at + 1].plain == "constant" else at + 1
            last = min(_first(tokens, start, _TYPE_ENDS), end)
            if start < last and tokens[start].plain not in ("alias", "cursor", "no", "scroll"):
                yield word, tokens[start].start, tokens[last - 1].end
            at = min(end, len(tokens) - 1)
        before = tokens[at].plain
        at += 1


def _first(tokens: list[_Token], at: int, words: frozenset[str]) -> int:
    """The place of the first of some words from a place on that stands in no brackets; the end where there is none."""
    depth = 0
    for place in range(at, len(tokens)):
        word = tokens[place].word.lower()
        depth += (word in ("(", "[")) - (word in (")", "]"))
        if not depth and word in words:
            return place
    return len(tokens)


def _dynamic(node: Any) -> Iterator[str]:
    """The expressions whose values are executed."""
    for key, value in _walk(node):
        if key in _DYNAMIC and _DYNAMIC[key] in value:
            yield value[_DYNAMIC[key]]["PLpgSQL_expr"]["query"]


def _texts(node: Any) -> Iterator[str]:
    """All that a body runs, each as a statement of SQL: PL/pgSQL takes statements, expressions and assignments."""
    for key, value in _walk(node):
        if key in _ENDS:
            yield _ENDS[key]
        elif key == "PLpgSQL_expr":
            text, mode = value["query"], value["parseMode"]
            if mode <= _EXPRESSION:
                yield text if mode == _STATEMENT else f"SELECT {text}"
                continue
            tokens, data = _scanned(text), text.encode()
            sign = tokens[_first(tokens, 1, frozenset({":=", "="}))]
            # What is assigned to need not be a name that stands alone in SQL; its subscripts are expressions.
            yield _ASSIGNED.format(data[tokens[0].end : sign.start].decode())
            yield f"SELECT {data[sign.end :].decode()}"


def _walk(node: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(node, list):
        for item in node:
            yield from _walk(item)
    elif isinstance(node, dict):
        for key, value in node.items():
            yield key, value
            yield from _walk(value)


def _text_of_type(written: str) -> str:
    """A statement that names what a type names."""
    name, percent, what = written.partition("%")
    if not percent:
        return f"SELECT NULL::{written}"
    table = name if what.strip().lower().startswith("rowtype") else name.rpartition(".")[0]
    return f"TABLE {table}" if table else "SELECT"  # of another variable


def _constant(expression: str) -> str | None:
    """The text that an expression always is; None where it is put together."""
    try:
        target = postgast.parse(f"SELECT {expression}").stmts[0].stmt.select_stmt.target_list
    except PgQueryError:
        return None
    constant = target[0].res_target.val.a_const if len(target) == 1 else None
    return str(constant.sval.sval) if constant is not None and constant.HasField("sval") else None
