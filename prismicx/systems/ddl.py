"""Statements that make a shape in an empty schema, and those that mend a schema that differs from it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from prismicx.statements import Statements
from prismicx.systems.definitions import Definitions
from prismicx.systems.differences import Difference, table_of
from prismicx.systems.shape import OWNER, SCHEMA, USER, Fact

templates = Statements(__package__, "mend.sql")

_WHAT = {
    "schema": "SCHEMA",
    "table": "TABLE",
    "view": "VIEW",
    "materialised view": "MATERIALIZED VIEW",
    "sequence": "SEQUENCE",
    "index": "INDEX",
    "type": "TYPE",
    "domain": "DOMAIN",
    "function": "ROUTINE",
    "column": "COLUMN",
    "attribute": "COLUMN",
    "constraint": "CONSTRAINT",
    "domain constraint": "CONSTRAINT",
    "trigger": "TRIGGER",
    "policy": "POLICY",
    "rule": "RULE",
    "statistics": "STATISTICS",
}
_WITH_OPTIONS = ("table", "view", "materialised view", "index")
_ENABLING = {"no": "DISABLE", "REPLICA": "ENABLE REPLICA", "ALWAYS": "ENABLE ALWAYS"}
_ORDER = ("type", "domain", "sequence", "function", "table", "column")
"""Kinds that are mended first; the rest may need them."""

_INCLUDED = {
    "table": {"unlogged", "options"},
    "view": {"options"},
    "materialised view": {"options"},
    "column": {"type", "required", "default", "generated", "identity", "collation"},
    "domain": {"default", "required", "collation"},
    "sequence": {"definition"},
}
"""Aspects that the statement that makes an object sets already."""

_DATA = "it holds data"
_REASONS = {
    "table": _DATA,
    "column": _DATA,
    "materialised view": _DATA,
    "sequence": "what uses its numbers would fail",
    "type": "columns of the type would go with it",
    "domain": "columns of the domain would go with it",
    "attribute": _DATA,
}
"""Why somebody should look before an extra object is dropped."""

_CAREFUL = {
    ("column", "type"): "it rewrites the table and may lose data",
    ("column", "collation"): "it rebuilds indexes and may break unique ones",
    ("table", "unlogged"): "it rewrites the table",
    ("constraint", "triggers"): "only a superuser may, and rows may break the key meanwhile",
    ("column", "identity"): "its numbers must begin after those that are taken",
}
"""Changes that a statement makes, but somebody should look first."""


@dataclass(frozen=True, slots=True)
class Roles:
    """The schema and roles for which statements are written."""

    schema: str
    owner: str
    user: str


def ddl(definitions: Definitions, roles: Roles) -> list[str]:
    """Statements that make a shape in an empty schema through the search path, run as its owner.

    The usual grants are left to default privileges. What a migration cannot make, such as an operator, is not made.
    """
    made = [item for item in definitions.made if item.kind not in ("column", "domain constraint")]
    statements = [
        templates.bodies_unchecked,
        *(_with_roles(item.statement, item.kind, item.object, definitions, roles) for item in made),
    ]
    for fact in sorted(definitions.shape.facts, key=lambda fact: fact.kind not in _ORDER):
        if fact.aspect not in _INCLUDED.get(fact.kind, ()):
            statements += [text for text in _set(fact, definitions, roles, "") if not text.startswith("-- ")]
    return statements


def repair(differences: Sequence[Difference], definitions: Definitions, roles: Roles) -> list[str]:
    """Statements that mend differences, each complete in itself but for the first, which names the schema.

    What could lose data is a comment that begins with ``-- ``, with the statement and why somebody should look first.
    """
    if not differences:
        return []
    drops: list[str] = []
    makes: list[tuple[int, str]] = []
    places = {(item.kind, item.object): number for number, item in enumerate(definitions.made)}
    remade: set[tuple[str, str]] = set()
    for item in differences:
        key = (item.kind, item.object)
        place = places.get(key, len(places))
        if item.problem == "extra":
            drops.append(_dropped(item, roles))
        elif item.problem == "missing":
            makes += [(place, text) for text in _make(item.kind, item.object, definitions, roles)]
        elif any((other.kind, other.object) == key and _remakes(other) for other in differences):
            if key in remade:
                continue
            remade.add(key)
            if item.kind != "function":
                drops.append(_drop(item.kind, item.object))
            makes += [(place, text) for text in _make(item.kind, item.object, definitions, roles)]
        else:
            # A new owner takes over the former one's grants, so it comes before what is said of those.
            place = -1 if item.aspect == "owner" else len(places)
            makes += [(place, text) for text in _changed(item, definitions, roles)]
    schema = _fill(templates.in_schema, schema=_identifier(roles.schema))
    return [schema, *drops, *(text for _, text in sorted(makes, key=lambda made: made[0]))]


_REMAKING = {
    "index": {"definition"},
    "constraint": {"definition"},
    "domain constraint": {"definition"},
    "view": {"definition"},
    "rule": {"definition"},
    "trigger": {"definition"},
    "policy": {"definition", "roles", "condition", "check"},
    "statistics": {"definition"},
    "function": {
        "definition",
        "language",
        "body",
        "volatility",
        "security",
        "strict",
        "leakproof",
        "parallel",
        "cost",
        "support",
        "settings",
    },
}
"""Aspects of what is made anew as a whole when they differ."""


def _remakes(item: Difference) -> bool:
    return item.problem == "changed" and item.aspect in _REMAKING.get(item.kind, ())


def _make(kind: str, name: str, definitions: Definitions, roles: Roles) -> Iterator[str]:
    """An object with all that belongs to it; nothing of a table is there when the table is not."""
    mine = {(kind, name)}
    if kind in ("table", "view", "materialised view"):
        mine |= {(item.kind, item.object) for item in definitions.made if _is_part(item.kind, item.object, name)}
        mine |= {
            (fact.kind, fact.object)
            for fact in definitions.shape.facts
            if _is_part(fact.kind, fact.object, name)
            or (fact.aspect == "owned by" and table_of(_plain(fact.value)) == name)
        }
    made = [item for item in definitions.made if (item.kind, item.object) in mine]
    if (kind, name) not in {(item.kind, item.object) for item in made}:
        yield f"-- {kind} {name}: nothing here can make it; make it by hand"
        return
    for item in made:
        if item.kind != "column" or kind == "column":
            yield _with_roles(item.statement, item.kind, item.object, definitions, roles)
    for fact in definitions.shape.facts:
        if (fact.kind, fact.object) in mine and fact.aspect not in _INCLUDED.get(fact.kind, ()):
            yield from (text for text in _set(fact, definitions, roles, "") if not text.startswith("-- "))


def _is_part(kind: str, name: str, table: str) -> bool:
    """Whether it comes and goes with a table or view."""
    if kind in ("function", "type", "domain", "attribute", "domain constraint"):
        return False
    return table_of(name) == table and (name != table or kind == "partition")


def _set(fact: Fact, definitions: Definitions, roles: Roles, found: str) -> Iterator[str]:
    """What gives an object an aspect; nothing for what the statement that makes it gave."""
    if fact.aspect == "grants":
        yield from _grants(fact.kind, fact.object, fact.value, found, roles)
        return
    name = _template("set", fact.kind, fact.aspect)
    if found and _template("change", fact.kind, fact.aspect) in templates.names:
        name = _template("change", fact.kind, fact.aspect)
    if name in templates.names:
        yield _filled(getattr(templates, name), fact.kind, fact.object, fact.value, definitions, roles)
    elif fact.aspect not in _INCLUDED.get(fact.kind, ()) and fact.aspect not in ("definition", "columns"):
        yield f"-- {fact.kind} {fact.object}: {fact.aspect} should be {_plain(fact.value)}; no statement sets it safely"


def _changed(item: Difference, definitions: Definitions, roles: Roles) -> Iterator[str]:
    if item.aspect == "labels":
        yield from _labels(item)
        return
    if item.aspect == "grants":
        yield from _grants(item.kind, item.object, item.expected, item.found, roles)
        return
    verb = "set" if item.expected else "unset"
    careful = _CAREFUL.get((item.kind, item.aspect))
    if verb == "set":
        lines = list(_set(Fact(item.kind, item.object, item.aspect, item.expected), definitions, roles, item.found))
        if item.aspect == "options" and item.found:
            lines = [*_unset(item, definitions, roles), *lines]
    else:
        lines = list(_unset(item, definitions, roles))
    if not lines:
        lines = [
            f"-- {item.kind} {item.object}: {item.aspect} should be {_plain(item.expected) or 'none'}, is "
            f"{_plain(item.found) or 'none'}; no statement changes that safely"
        ]
    for line in lines:
        yield f"-- {_one_line(line)}; -- look first: {careful}" if careful and not line.startswith("-- ") else line


def _unset(item: Difference, definitions: Definitions, roles: Roles) -> Iterator[str]:
    name = _template("unset", item.kind, item.aspect)
    if name in templates.names:
        yield _filled(getattr(templates, name), item.kind, item.object, item.found, definitions, roles)


def _labels(item: Difference) -> Iterator[str]:
    expected, found = (re.findall(r"'(?:[^']|'')*'", text) for text in (item.expected, item.found))
    if [label for label in expected if label in found] != found:
        yield f"-- type {item.object}: labels should be {item.expected}, are {item.found}; a label cannot be taken away"
        return
    for number, label in enumerate(expected):
        if label not in found:
            after = f" AFTER {expected[number - 1]}" if number else f" BEFORE {found[0]}" if found else ""
            yield _fill(templates.add_label, object=item.object, value=f"{label}{after}")


def _grants(kind: str, name: str, expected: str, found: str, roles: Roles) -> Iterator[str]:
    """Take from everybody but the owner what they should not have, and give what they should; the usual by default."""
    if kind == "default privileges":
        yield from _default_grants(name, expected, found, roles)
        return
    usual = _USUAL.get(kind, "")
    named = _parsed(expected or usual)
    table, part = _parts(kind, name)
    what = {"column": "TABLE", "attribute": "TYPE", "view": "TABLE", "materialised view": "TABLE"}.get(
        kind, _WHAT[kind]
    )
    place = _identifier(roles.schema) if kind == "schema" else table if kind == "column" else name
    columns = f" ({part})" if kind == "column" else ""
    everybody = dict.fromkeys(who for who in [*_parsed(found), *_parsed(usual), *named] if who != OWNER)
    for who in everybody:
        if _parsed(found or usual).get(who) != named.get(who):
            yield _fill(templates.revoke, what=what, place=place, columns=columns, value=_role(who, roles))
    for who, privileges in named.items():
        if _parsed(found or usual).get(who) != privileges and who != OWNER:
            for text in _grant_lists(privileges, part if kind == "column" else ""):
                yield _fill(templates.grant, what=what, place=place, privileges=text, value=_role(who, roles))


_USUAL = {
    "schema": "{user}: USAGE",
    "table": "{user}: DELETE, INSERT, SELECT, UPDATE",
    "view": "{user}: DELETE, INSERT, SELECT, UPDATE",
    "materialised view": "{user}: DELETE, INSERT, SELECT, UPDATE",
    "sequence": "{user}: SELECT, USAGE",
    "function": "PUBLIC: EXECUTE",
    "type": "PUBLIC: USAGE",
    "domain": "PUBLIC: USAGE",
}
"""What others than the owner are given where nothing is said."""


def _default_grants(name: str, expected: str, found: str, roles: Roles) -> Iterator[str]:
    role, _, what = name.rpartition(" ")
    common = {"role": _role(role, roles), "schema": _identifier(roles.schema), "what": what.upper()}
    wanted, held = _parsed(expected), _parsed(found)
    for who in dict.fromkeys([*held, *wanted]):
        if who in held and held.get(who) != wanted.get(who):
            yield _fill(templates.default_revoke, value=_role(who, roles), **common)
        if who in wanted and held.get(who) != wanted[who]:
            for text in _grant_lists(wanted[who], ""):
                yield _fill(templates.default_grant, privileges=text, value=_role(who, roles), **common)


def _grant_lists(privileges: str, column: str) -> Iterator[str]:
    plain = [item for item in privileges.split(", ") if not item.endswith(" WITH GRANT OPTION")]
    if plain:
        yield ", ".join(f"{item} ({column})" if column else item for item in plain)


def _parsed(grants: str) -> dict[str, str]:
    return dict(item.split(": ", 1) for item in grants.split("; ") if ": " in item)


def _dropped(item: Difference, roles: Roles) -> str:
    if item.kind == "default privileges":
        return "; ".join(_default_grants(item.object, "", item.found, roles))
    statement = _drop(item.kind, item.object)
    reason = _REASONS.get(item.kind)
    return f"-- {statement}; -- look first: {reason}" if reason else statement


def _drop(kind: str, name: str) -> str:
    table, part = _parts(kind, name)
    text = {
        "constraint": templates.drop_constraint,
        "domain constraint": templates.drop_domain_constraint,
        "column": templates.drop_column,
        "attribute": templates.drop_attribute,
        "index": templates.drop_index,
        "trigger": templates.drop_part,
        "policy": templates.drop_part,
        "rule": templates.drop_part,
    }.get(kind, templates.drop_object)
    return _fill(text, what=_WHAT.get(kind, kind.upper()), table=table, name=part, object=_plain(name))


def _filled(text: str, kind: str, name: str, value: str, definitions: Definitions, roles: Roles) -> str:
    table, part = _parts(kind, name)
    of = {"trigger", "policy", "rule", "constraint"}
    place = (
        _identifier(roles.schema)
        if kind == "schema"
        else f"{part} ON {table}"
        if kind in of
        else f"{part} ON DOMAIN {table}"
        if kind == "domain constraint"
        else part
        if kind == "index"
        else _plain(name)
    )
    types = [fact.value for fact in definitions.shape.facts if fact[:3] == ("column", name, "type")]
    return _fill(
        text,
        what=_WHAT.get(kind, kind.upper()), table=table, name=part, place=place,
        object=part if kind == "index" else _plain(name),
        enabling=_ENABLING.get(value, "ENABLE"), keys=re.sub(r"=[^,]*", "", value),
        type=_plain(types[0]) if types else "", cycle="" if value.endswith(" CYCLE") else " NO CYCLE",
        owner=_identifier(roles.owner), literal="'" + value.replace("'", "''") + "'", value=_plain(value),
    )  # fmt: skip


def _with_roles(statement: str, kind: str, name: str, definitions: Definitions, roles: Roles) -> str:
    if kind != "policy":
        return statement
    value = next(fact.value for fact in definitions.shape.facts if fact[:3] == ("policy", name, "roles"))
    return statement.replace("{roles}", ", ".join(_role(who, roles) for who in value.split(", ")), 1)


def _template(verb: str, kind: str, aspect: str) -> str:
    if aspect in ("comment", "owner"):
        return f"{verb}_{aspect}"
    if aspect == "options" and kind in _WITH_OPTIONS:
        return f"{verb}_relation_options"
    return f"{verb}_{kind}_{aspect}".replace(" ", "_")


def _parts(kind: str, name: str) -> tuple[str, str]:
    """The table and the name within it of ``contacts.email``."""
    table = name if kind == "function" else table_of(name)
    return table, name[len(table) + 1 :]


def _role(who: str, roles: Roles) -> str:
    return {OWNER: _identifier(roles.owner), USER: _identifier(roles.user)}.get(who, who)


def _fill(text: str, **values: str) -> str:
    return re.sub(r"\{(\w+)\}", lambda match: values[match[1]], text)


def _plain(value: str) -> str:
    return value.replace(f"{SCHEMA}.", "")


def _one_line(statement: str) -> str:
    return " ".join(statement.split())


def _identifier(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
