"""Which statements a tenant's transaction takes, read with PostgreSQL's own grammar: pure functions.

Policies and roles keep a tenant in, but both hang on settings of the session, and a session serves one tenant after
another. A statement that could change those, or look at what the server knows of others, is refused before it is
sent, also one that was smuggled into a value. What is looked for is a name, wherever the grammar has one: PostgreSQL
calls a function of one argument also as ``(x).f`` and ``q.f``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, NamedTuple

import postgast
from postgast import PgQueryError, walk

from prismicx.errors import BoundaryViolation, InvalidInput

_KINDS = frozenset(
    "select_stmt insert_stmt update_stmt delete_stmt merge_stmt constraints_set_stmt notify_stmt "
    "variable_show_stmt".split()
)

_MAY_SET = frozenset("datestyle intervalstyle jit lock_timeout statement_timeout timezone work_mem".split())
"""Settings that open nothing; for the transaction only."""

_REFUSED = frozenset(
    """
    set_config setseed lastval currtid2 txid_status current_query ts_stat ts_rewrite loread lowrite
    obj_description col_description shobj_description format_type oidvectortypes row_security_active
    array_in domain_in enum_in multirange_in range_in record_in satisfies_hash_partition gin_clean_pending_list
    """.split()
)
"""Functions that change the session, run a text as a statement, keep data outside the tables, or tell what exists."""

_TELLING = tuple("regclass regtype regrole regnamespace regproc regoper regcollation regdatabase aclitem".split())
"""How types begin that tell whether a thing of a name or number exists; their functions begin like them. Those of text
search do not tell: no tenant can make such things."""

_OPEN_TYPES = frozenset({"pg_lsn", "pg_snapshot"})
"""The other types that begin with ``pg_`` are rows of the server's catalogue, which have columns of those that tell."""

_REFUSED_BEGINNINGS = (
    *"lo_ to_reg dblink binary_upgrade_ brin_desummarize_ brin_summarize_".split(),
    *"aclcontains acldefault aclexplode aclinsert aclremove hash_aclitem makeaclitem".split(),
    *_TELLING,
)
_RIGHTS = re.compile(r"has_\w+_privilege")
_TENANT_OF_TRANSACTION = "app.current_tenant_id"
"""The one setting of ours that is no secret. The proof beside it is good on this connection for as long as it lives."""

_REFUSED_PART = "_to_xml"  # query_to_xml and its like run a text

_ALLOWED_PG = frozenset(
    """
    pg_catalog pg_sleep pg_column_size pg_size_pretty pg_size_bytes pg_notify
    pg_trigger_depth pg_get_serial_sequence
    """.split()
)
"""Of the names that begin with ``pg_``, which the server keeps for itself, those that open nothing. Advisory locks are
none of them: their numbers belong to all tenants and to the platform, and whoever guesses one makes the others wait."""

_NAMES = {"A_Expr": "name", "CollateClause": "collname", "FuncCall": "funcname", "TypeName": "names"}
"""Which field of a node is a name in parts, the schema before the last."""

_CATALOGUES = frozenset({"pg_catalog", "information_schema", "pg_toast"})
_SCHEMAS_OF_TENANTS = "tenant_"
_VIEW_OF_TENANT = re.compile(r"tenant_\w+(_extensions|__[0-9a-f]{16})")
_OWN_SCHEMAS = frozenset({"", "pg_catalog"})
ELSEWHERE = "PostgreSQL refused it to this tenant: what it names is not there, or is not this tenant's"
"""The same for what is another tenant's and for what is nowhere: the difference would tell who exists."""


class Reading(NamedTuple):
    """What was found in a statement.

    Attributes:
        refusal: why it may not be sent; empty when it may.
        invalid: why it is no statement; empty when it is one.
        schemas: those it names, for tables, types, functions and whatever else has one.
        views: names it has that could be those of tenants' views.
    """

    refusal: str = ""
    invalid: str = ""
    schemas: frozenset[str] = frozenset()
    views: frozenset[str] = frozenset()


def check(statement: str, *, schema: str = "", view: str = "") -> None:
    """See that a statement may be sent in a tenant's transaction.

    Args:
        schema: the one it may name, where the transaction is in a tenant's schema. On shared tables all but those of
            tenants: there an operator's own may be beside the reference's.
        view: the tenant's own, where it is on shared tables.

    Raises:
        InvalidInput: ``sql.invalid``.
        BoundaryViolation: ``boundary.statement``; ``boundary.refused`` when it names a schema or a view of others, also
            one that is nowhere.
    """
    # A subclass could be one text when it is read and another when it is sent.
    found = read(statement) if type(statement) is str else Reading(invalid=f"{statement!r:.80} is no text")
    if found.invalid:
        raise InvalidInput("sql.invalid", found.invalid, "give one statement, with $1, $2 … where values go")
    if found.refusal:
        raise BoundaryViolation(
            "boundary.statement",
            f"the statement {found.refusal}",
            "a tenant's transaction takes SELECT, INSERT, UPDATE, DELETE, MERGE, SHOW, NOTIFY, SET CONSTRAINTS, and "
            f"SET LOCAL of {', '.join(sorted(_MAY_SET))}, on the tenant's tables",
        )
    if found.schemas - {schema} if schema else found.views - {view} or any(map(is_of_tenant, found.schemas)):
        raise elsewhere()


def is_of_tenant(schema: str, name: str = "") -> bool:
    """Whether a schema is some tenant's, or a name is that of a tenant's view."""
    return schema.startswith(_SCHEMAS_OF_TENANTS) or _VIEW_OF_TENANT.fullmatch(name) is not None


def elsewhere() -> BoundaryViolation:
    """What is said of everything that is not the tenant's, whether it exists or not."""
    return BoundaryViolation("boundary.refused", ELSEWHERE, "reach a tenant's data through that tenant's own scope")


@lru_cache(maxsize=2048)
def read(statement: str) -> Reading:
    """What `check` needs to know; remembered, because to parse takes longer than to send."""
    if "\0" in statement:
        return Reading(invalid="the statement holds NUL")
    try:
        tree = postgast.parse(statement)
    except PgQueryError as error:
        return Reading(invalid=f"{error} at character {error.cursorpos}")
    except UnicodeEncodeError as error:
        return Reading(invalid=f"the statement is no text that PostgreSQL could read: {error.reason}")
    if len(tree.stmts) != 1:
        return Reading(invalid=f"there are {len(tree.stmts)} statements in one call")
    top = tree.stmts[0].stmt
    refusal = _refusal_of_kind(top) or next(refusals(top), "")
    named = [*_named(top)]
    views = {name for schema, name in named if schema != "pg_catalog" and _VIEW_OF_TENANT.fullmatch(name)}
    return Reading(refusal, "", frozenset(schema for schema, _ in named) - _OWN_SCHEMAS, frozenset(views))


def _named(top: Any) -> Iterator[tuple[str, str]]:
    """Schema and name of everything that a statement names and that can be in a schema."""
    for _, node in walk(top):
        kind = type(node).__name__
        if kind == "RangeVar":
            yield node.schemaname, node.relname
        elif kind in _NAMES:
            parts = [part.string.sval for part in getattr(node, _NAMES[kind])]
            if parts:
                yield ("" if len(parts) == 1 else parts[-2]), parts[-1]


def refusals(tree: Any, *, telling_types: bool = False) -> Iterator[str]:
    """Why parts of a statement may not be sent, one after another.

    Args:
        telling_types: let types through that tell whether a table or a role exists.
    """
    for _, node in walk(tree):
        kind = type(node).__name__
        if kind == "FuncCall":
            yield from _refused_names(node.funcname[-1:], "calls")
            if node.funcname[-1].string.sval == "current_setting" and not _is_open(_literal(node.args[:1])):
                yield "calls current_setting for a setting that is not named in it, or is the platform's"
        elif kind == "VariableShowStmt":
            if not _is_open(node.name):
                yield f"shows {node.name}, which is the platform's"
        elif kind == "ColumnRef":
            yield from _refused_names(node.fields[1:], "calls")
            yield from _settings_read(node.fields[1:])
        elif kind == "A_Indirection":
            yield from _refused_names(node.indirection, "calls")
            yield from _settings_read(node.indirection)
        elif kind == "RangeTableSample":
            yield from _refused_names(node.method[-1:], "calls")
        elif kind == "RangeVar":
            if node.schemaname in _CATALOGUES or (not node.schemaname and node.relname.startswith("pg_")):
                yield f"names {node.relname}, which is the server's and not the tenant's"
        elif kind == "TypeName":
            if not telling_types and node.names and _tells(node.names[-1].string.sval):
                yield f"names the type {node.names[-1].string.sval}, which tells what exists"
        elif kind == "IntoClause":
            yield "would create a table"


def is_refused(name: str) -> bool:
    """Whether a name is of a function that a tenant may not call; the name of a type is called to cast to it."""
    name = name.lstrip("_")  # before the name of a type it makes that of its arrays
    return (
        name in _REFUSED
        or (name.startswith("pg_") and name not in _ALLOWED_PG)
        or name.startswith(_REFUSED_BEGINNINGS)
        or _REFUSED_PART in name
        or _RIGHTS.fullmatch(name) is not None
    )


def _tells(kind: str) -> bool:
    """Whether a type tells what exists, alone, in arrays or in a column."""
    kind = kind.lstrip("_")
    return kind.startswith(_TELLING) or (kind.startswith("pg_") and kind not in _OPEN_TYPES)


def _is_open(setting: str) -> bool:
    """Whether a setting may be read; of ours only one, and none without a name."""
    name = setting.lower()
    return bool(name) and (not name.startswith("app.") or name == _TENANT_OF_TRANSACTION)


def _literal(arguments: Any) -> str:
    """The text that is the only argument looked at; empty when it is no text that stands there."""
    for argument in arguments:
        text: str = argument.a_const.sval.sval
        return text
    return ""


def _settings_read(parts: Any) -> Iterator[str]:
    if any(part.string.sval == "current_setting" for part in parts):
        yield "calls current_setting for a setting that is not named in it"


def _refused_names(parts: Any, verb: str) -> Iterator[str]:
    for part in parts:
        name = part.string.sval
        if name and is_refused(name):
            yield f"{verb} {name}, which reaches beyond the tenant's tables"


def _refusal_of_kind(top: Any) -> str:
    kind = top.WhichOneof("node")
    if kind in _KINDS:
        return ""
    if kind == "variable_set_stmt":
        node = top.variable_set_stmt
        if node.name.lower() in _MAY_SET and node.is_local:
            return ""
        return f"would set {node.name or 'everything anew'}"
    return f"is of a kind that is not taken: {kind.removesuffix('_stmt').replace('_', ' ')}"
