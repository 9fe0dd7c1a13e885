"""Which statements a tenant's transaction takes, read with PostgreSQL's own grammar: pure functions.

Policies and roles keep a tenant in, but both hang on settings of the session. A statement that could change those,
also one that was smuggled into a value, is refused before it is sent.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import postgast
from postgast import PgQueryError, walk

from prismicx.errors import BoundaryViolation, InvalidInput

_DATA = frozenset("select_stmt insert_stmt update_stmt delete_stmt merge_stmt".split())
_ALSO = frozenset("constraints_set_stmt lock_stmt notify_stmt variable_show_stmt".split())

_MAY_SET = frozenset("datestyle intervalstyle jit lock_timeout statement_timeout timezone work_mem".split())
"""Settings that open nothing; for the transaction only."""

CHANGES_SESSION = frozenset({"set_config"})
_RUNS_TEXT = frozenset(
    "query_to_xml query_to_xmlschema query_to_xml_and_xmlschema cursor_to_xml cursor_to_xmlschema ts_rewrite "
    "ts_stat".split()
)
_STOPS_OTHERS = frozenset("pg_cancel_backend pg_terminate_backend".split())


class Reading(NamedTuple):
    """What was found in a statement.

    Attributes:
        refusal: why it may not be sent; empty when it may.
        invalid: why it is no statement; empty when it is one.
        lingers: it may leave a lock in the session beyond its transaction.
    """

    refusal: str = ""
    invalid: str = ""
    lingers: bool = False


def check(statement: str) -> bool:
    """See that a statement may be sent in a tenant's transaction.

    Returns:
        Whether it may leave something in the session, so that the session must be reset thoroughly.

    Raises:
        InvalidInput: ``sql.invalid``.
        BoundaryViolation: ``boundary.statement``.
    """
    found = read(statement)
    if found.invalid:
        raise InvalidInput("sql.invalid", found.invalid, "give one statement, with $1, $2 … where values go")
    if found.refusal:
        raise BoundaryViolation(
            "boundary.statement",
            f"the statement {found.refusal}",
            "a tenant's transaction takes SELECT, INSERT, UPDATE, DELETE, MERGE, EXPLAIN, SHOW, LOCK, NOTIFY, "
            f"SET CONSTRAINTS, and SET LOCAL of {', '.join(sorted(_MAY_SET))}",
        )
    return found.lingers


@lru_cache(maxsize=2048)
def read(statement: str) -> Reading:
    """What `check` needs to know; remembered, because to parse takes longer than to send."""
    if not isinstance(statement, str) or "\0" in statement:
        return Reading(invalid=f"{statement!r:.80} is no text that PostgreSQL could read")
    try:
        tree = postgast.parse(statement)
    except PgQueryError as error:
        return Reading(invalid=f"{error} at character {error.cursorpos}")
    if len(tree.stmts) != 1:
        return Reading(invalid=f"there are {len(tree.stmts)} statements in one call")
    top = tree.stmts[0].stmt
    refusal = _refusal_of_kind(top)
    lingers = False
    for _, node in walk(top):
        if type(node).__name__ == "FuncCall":
            name = node.funcname[-1].string.sval
            refusal = refusal or _refusal_of_function(name)
            lingers = lingers or ("advisory" in name and "_xact_" not in name)
        elif type(node).__name__ == "IntoClause":
            refusal = refusal or "would create a table"
    return Reading(refusal=refusal, lingers=lingers)


def _refusal_of_kind(top: object) -> str:
    kind = top.WhichOneof("node")  # type: ignore[attr-defined]
    if kind in _DATA or kind in _ALSO:
        return ""
    node = getattr(top, kind)
    if kind == "explain_stmt":
        return _refusal_of_kind(node.query)
    if kind == "variable_set_stmt":
        if node.name.lower() in _MAY_SET and node.is_local:
            return ""
        return f"would set {node.name or 'everything anew'}"
    return f"is of a kind that is not taken: {kind.removesuffix('_stmt').replace('_', ' ')}"


def _refusal_of_function(name: str) -> str:
    if name in CHANGES_SESSION:
        return f"calls {name}, which changes the session"
    if name in _RUNS_TEXT:
        return f"calls {name}, which runs a text as a statement"
    if name in _STOPS_OTHERS:
        return f"calls {name}, which stops sessions of others"
    return ""
