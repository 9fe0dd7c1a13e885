"""Reading a migration with PostgreSQL's own grammar, to refuse what would leave its schema, with file and line.

A migration runs as the role that owns one tenant's schemas, and so do, as the role that uses them, the functions it
makes. The login behind both may become any tenant's role, so nothing that could change the role may get in: statements
are looked at by grammar, and bodies of functions, which the grammar takes as texts, by that of their language.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Set
from typing import Any

import postgast
from postgast import PgQueryError, walk

from prismicx.engines.statement_rules import is_refused, refusals
from prismicx.errors import InvalidInput
from prismicx.systems.bodies import problems_of_body
from prismicx.systems.phases import is_concurrent, with_placeholder

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
_ALLOWED_WITHIN = _ALLOWED | {"lock_stmt", "notify_stmt"}
"""What the body of a function may run: of use where data changes, not where tables do."""

_SHOWN = 50
"""At most so many refusals are told at once."""

_OWN = frozenset({"", "pg_catalog"})
_LANGUAGES = frozenset({"sql", "plpgsql"})

_REASONS = {
    "transaction_stmt": "the platform begins and ends the transaction",
    "variable_set_stmt": "settings, search_path and the role among them, are the platform's",
    "vacuum_stmt": "the server does so by itself",
}

_NAMES = {
    "A_Expr": "name",
    "AlterDomainStmt": "type_name",
    "AlterEnumStmt": "type_name",
    "AlterStatsStmt": "defnames",
    "AlterTypeStmt": "type_name",
    "CollateClause": "collname",
    "CreateDomainStmt": "domainname",
    "CreateEnumStmt": "type_name",
    "CreateFunctionStmt": "funcname",
    "CreateRangeStmt": "type_name",
    "CreateStatsStmt": "defnames",
    "CreateTrigStmt": "funcname",
    "DefineStmt": "defnames",
    "IndexElem": "opclass",
    "ObjectWithArgs": "objname",
    "TypeName": "names",
}
"""Which field of a node is a name in parts, the schema first."""

_TABLESPACES = {"CreateStmt": "tablespacename", "IndexStmt": "table_space", "IntoClause": "table_space_name",
                "Constraint": "indexspace"}  # fmt: skip
_SET_TABLESPACE = postgast.pg_query_pb2.AlterTableType.Value("AT_SetTableSpace")
_OF_SEQUENCES = frozenset({"nextval", "currval", "setval"})

_BEYOND_SCHEMAS = frozenset(
    """
    OBJECT_ACCESS_METHOD OBJECT_CAST OBJECT_DATABASE OBJECT_EVENT_TRIGGER OBJECT_EXTENSION OBJECT_FDW
    OBJECT_FOREIGN_SERVER OBJECT_LANGUAGE OBJECT_LARGEOBJECT OBJECT_PUBLICATION OBJECT_ROLE OBJECT_SCHEMA
    OBJECT_SUBSCRIPTION OBJECT_TABLESPACE OBJECT_TRANSFORM
    """.split()
)
"""Objects that are in no schema, or are one."""

_MAY_DEFINE = frozenset({"OBJECT_AGGREGATE", "OBJECT_COLLATION"})
"""What a statement of definitions may make. Operators, base types and what belongs to text search are functions of the
server by another name, and no system has needed one."""

_REFUSED_OPTIONS = frozenset({"support", "transform"})
"""Options of functions that name others, which the planner or a language would call."""

_KIND_OF_OBJECT = {"drop_stmt": "remove_type", "comment_stmt": "objtype", "rename_stmt": "rename_type"}
_PARTS_OF_TABLES = frozenset("OBJECT_COLUMN OBJECT_POLICY OBJECT_RULE OBJECT_TABCONSTRAINT OBJECT_TRIGGER".split())


def inspect(text: str, source: str, first_line: int = 1) -> None:
    """See that every statement parses and stays within the schema it will run in; all that does not is told.

    Args:
        source: the file's name, for messages.
        first_line: the line of the file at which the text begins.

    Raises:
        InvalidInput: ``package.sql``.
    """
    place = _Place(text, source, first_line)
    # The grammar's library would read up to there, and not see what follows.
    if "\0" in text:
        raise place.refused(len(text[: text.index("\0")].encode()), "a migration may not hold the character NUL")
    parsed, schema = with_placeholder(text)
    own = _OWN | {schema}
    try:
        tree = postgast.parse(parsed)
    except PgQueryError as error:
        # The grammar counts bytes from 1.
        raise place.refused(max(error.cursorpos - 1, 0), str(error)) from error
    refused = []
    for raw in tree.stmts:
        kind = raw.stmt.WhichOneof("node")
        problem = _problem_of_kind(raw.stmt)
        problems = [problem] if problem else dict.fromkeys(_problems(kind, getattr(raw.stmt, kind), own))
        refused += [place.refused(raw.stmt_location, problem) for problem in problems]
    raise_all(refused)


def raise_all(refused: Sequence[InvalidInput]) -> None:
    """Raise one error that tells all, one a line; nothing where there is none.

    Raises:
        InvalidInput: ``package.sql``.
    """
    if refused:
        told = [error.message for error in refused[:_SHOWN]]
        more = [f"and {len(refused) - _SHOWN} more"] if len(refused) > _SHOWN else []
        raise InvalidInput(refused[0].code, "\n".join([*told, *more]), refused[0].remedy)


class _Place:
    """Where in a file something is."""

    def __init__(self, text: str, source: str, first_line: int) -> None:
        self._text = text
        self._source = source
        self._first_line = first_line

    def refused(self, offset: int, reason: str) -> InvalidInput:
        """The error for what begins at so many bytes."""
        before = self._text.encode()[:offset].decode(errors="replace")
        rest = self._text[len(before) :]
        before += rest[: len(rest) - len(rest.lstrip())]  # a statement's place includes the blanks before it
        line = before.count("\n") + self._first_line
        column = len(before) - (before.rfind("\n") + 1) + 1
        return InvalidInput(
            "package.sql", f"{self._source}:{line}:{column}: {reason}", "mend the file and publish again"
        )


def _problem_of_kind(statement: Any, allowed: Set[str] = _ALLOWED) -> str:
    """Why no statement of this kind is taken; empty when it may be."""
    kind = statement.WhichOneof("node")
    node = getattr(statement, kind)
    if is_concurrent(statement):
        if kind == "index_stmt" and not node.idxname:
            return "CREATE INDEX CONCURRENTLY without a name: a build that failed could not be found again"
        return ""
    if kind == "reindex_stmt":
        return "a migration may not hold: reindex (except REINDEX INDEX or TABLE CONCURRENTLY name)"
    if kind in _KIND_OF_OBJECT:
        thing = postgast.pg_query_pb2.ObjectType.Name(getattr(node, _KIND_OF_OBJECT[kind]))
        if thing in _BEYOND_SCHEMAS:
            what = thing.removeprefix("OBJECT_").replace("_", " ").lower()
            return f"a migration may not {kind.removesuffix('_stmt')} a thing of this kind: {what}"
    if kind == "define_stmt":
        thing = postgast.pg_query_pb2.ObjectType.Name(node.kind)
        if thing not in _MAY_DEFINE:
            what = thing.removeprefix("OBJECT_").replace("_", " ").lower()
            return f"a migration may not define a thing of this kind: {what}"
    if kind in allowed:
        return ""
    reason = _reason_of_copy(node) if kind == "copy_stmt" else _REASONS.get(kind, "")
    word = kind.removesuffix("_stmt").replace("_", " ")
    return f"a migration may not hold: {word}{reason and f' ({reason})'}"


def _reason_of_copy(node: Any) -> str:
    if node.is_program:
        return "COPY … PROGRAM runs a program on the server"
    if node.filename:
        return "COPY reads and writes files of the server"
    return "COPY from STDIN or to STDOUT needs a client at the other end: write INSERT"


def _problems(kind: str, statement: Any, own: Set[str]) -> Iterator[str]:
    creates = kind in ("create_table_as_stmt", "refresh_mat_view_stmt")
    for problem in refusals(statement, telling_types=True):
        if not (creates and problem == "would create a table"):
            yield f"it {problem}"
    for _, node in walk(statement):
        name = type(node).__name__
        for schema in _schemas_named(name, node):
            if schema not in own:
                yield f"it names the schema {schema}; names stand alone in a migration, or after ${{schema}}."
        for function in _functions_named(name, node):
            if is_refused(function):
                yield f"it names the function {function}, which reaches beyond the tenant's tables"
        if name == "FuncCall":
            parts = [part.string.sval for part in node.funcname]
            if len(parts) > 1 and parts[0] not in own:
                yield f"it calls {'.'.join(parts)}; names stand alone in a migration, or after ${{schema}}."
            if parts[-1] in _OF_SEQUENCES and node.args:
                yield from _other_schema(node.args[0], own)
        elif name == "VariableSetStmt":
            yield f"it sets {node.name} for a function"
        elif name == "ExecuteStmt":
            yield "it runs a prepared statement"
        elif name == "DefElem" and node.defname in _REFUSED_OPTIONS:
            yield f"it has the option {node.defname.upper()}"
        elif name == "DefElem" and node.defname == "language" and node.arg.string.sval.lower() not in _LANGUAGES:
            yield f"it is in the language {node.arg.string.sval}; sql and plpgsql are taken"
        elif name == "DefElem" and node.defname == "as":
            for text in filter(None, [node.arg.string.sval, *(item.string.sval for item in node.arg.list.items)]):
                yield from problems_of_body(text, statement, lambda text: _problems_within(text, own))
        elif name == "RoleSpec" and node.rolename:
            yield f"it names the role {node.rolename}: which roles there are differs from tenant to tenant"
        elif name in _TABLESPACES and getattr(node, _TABLESPACES[name]):
            yield f"it names the tablespace {getattr(node, _TABLESPACES[name])}, which is the server's"
        elif name == "AlterTableCmd" and node.subtype == _SET_TABLESPACE:
            yield f"it names the tablespace {node.name}, which is the server's"


def _problems_within(text: str, own: Set[str]) -> Iterator[str]:
    """Why a text that a body runs is refused."""
    try:
        statements = postgast.parse(text).stmts
    except PgQueryError as error:
        yield f"the body of a function runs what cannot be read: {error}"
        return
    for raw in statements:
        kind = raw.stmt.WhichOneof("node")
        concurrent = "a statement that cannot run in a transaction" if is_concurrent(raw.stmt) else ""
        problem = concurrent or _problem_of_kind(raw.stmt, _ALLOWED_WITHIN)
        if problem:
            yield f"the body of a function holds: {problem}"
        else:
            yield from _problems(kind, getattr(raw.stmt, kind), own)


def _other_schema(argument: Any, own: Set[str]) -> Iterator[str]:
    """The schema in the name of a sequence that is given as a text."""
    value = argument.type_cast.arg if argument.HasField("type_cast") else argument
    parts = value.a_const.sval.sval.split(".") if value.HasField("a_const") else []
    schema = parts[0].strip('"') if len(parts) > 1 else ""
    if schema not in own:
        yield f"it names the schema {schema}; names stand alone in a migration, or after ${{schema}}."


def _schemas_named(name: str, node: Any) -> Iterator[str]:
    """The schemas that a node of the grammar names itself, not those within it."""
    if name == "RangeVar":
        yield node.schemaname
    elif name == "TypeName" and node.pct_type:
        yield from _first_of(node.names[:-1])  # table.column%TYPE
    elif name in _NAMES:
        yield from _first_of(getattr(node, _NAMES[name]))
    elif name == "DropStmt":
        for item in node.objects:
            yield from _first_of(_object_name(node.remove_type, item.list.items))
    elif name == "CommentStmt":
        yield from _first_of(_object_name(node.objtype, node.object.list.items))
    elif name == "RenameStmt":
        yield from _first_of(node.object.list.items)


def _functions_named(name: str, node: Any) -> Iterator[str]:
    """The names in a node that may be those of functions, where the grammar has no call: what an aggregate or a range
    is made of, what a trigger runs, what is altered. In options the grammar takes functions, types and words alike."""
    if name == "CreateTrigStmt":
        yield from _last_of(node.funcname)
    elif name == "ObjectWithArgs":
        yield from _last_of(node.objname)
    elif name == "DefElem" and node.defname != "as":
        yield node.arg.string.sval
        yield from _last_of(node.arg.type_name.names)
        yield from (item.string.sval for item in node.arg.list.items)


def _last_of(parts: Any) -> Iterator[str]:
    for part in parts[-1:]:
        yield part.string.sval


def _first_of(parts: Any) -> Iterator[str]:
    if len(parts) > 1:
        yield parts[0].string.sval


def _object_name(kind: int, parts: Any) -> Any:
    """The name of an object, or of the table it is a part of: parts are named after their table."""
    return parts[:-1] if postgast.pg_query_pb2.ObjectType.Name(kind) in _PARTS_OF_TABLES else parts
