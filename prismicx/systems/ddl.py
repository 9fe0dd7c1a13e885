"""Statements that make a shape in an empty schema, and those that mend a schema that differs from it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from prismicx.systems.definitions import Definitions
from prismicx.systems.differences import Difference, table_of
from prismicx.systems.grants import default_grants, grants
from prismicx.systems.mend import WHAT, Roles, fill, identifier, parts_of, plain, role_of, templates
from prismicx.systems.shape import Fact

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
    ("index", "partition of"): "its table has to be a partition before",
    ("constraint", "triggers"): "only a superuser may, and rows may break the key meanwhile",
    ("column", "identity"): "its numbers must begin after those that are taken",
}
"""Changes that a statement makes, but somebody should look first."""


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
    """Statements that mend differences in a transaction, for a login that is a member of the schema's owner; where
    something belongs to another role it has to be a superuser.

    What could lose data is a comment that begins with ``-- ``, with the statement and why somebody should look first.
    """
    if not differences:
        return []
    owners: list[str] = []
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
        elif item.aspect == "owner":
            owners += _changed(item, definitions, roles)
        else:
            makes += [(len(places), text) for text in _changed(item, definitions, roles)]
    lines = [
        templates.begin,
        fill(templates.in_schema, schema=identifier(roles.schema)),
        *owners,  # by the login itself; the new owner takes over the former one's rights
        fill(templates.as_owner, owner=identifier(roles.owner)),
        templates.bodies_unchecked,
        *drops,
        *(text for _, text in sorted(makes, key=lambda made: made[0])),
        templates.commit,
    ]
    # Names and expressions may hold line breaks, and what follows one would be run.
    return [_one_line(line) if line.startswith("--") else line for line in lines]


def remake(definitions: Definitions, opened: Sequence[str], roles: Roles) -> list[str]:
    """Statements that make a schema again that is not there; the rows that were in it are gone.

    Args:
        opened: statements that make it and leave it empty.
    """
    return [
        templates.begin,
        *opened,
        fill(templates.as_owner, owner=identifier(roles.owner)),
        fill(templates.in_schema, schema=identifier(roles.schema)),
        *ddl(definitions, roles),  # holds no comments
        "-- the rows that were in it are gone, those that its migrations put in among them",
        templates.commit,
    ]


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
            or (fact.aspect == "owned by" and table_of(plain(fact.value)) == name)
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
        yield from grants(fact.kind, fact.object, fact.value, found, roles)
        return
    name = _template("set", fact.kind, fact.aspect)
    if found and _template("change", fact.kind, fact.aspect) in templates.names:
        name = _template("change", fact.kind, fact.aspect)
    if name in templates.names:
        yield _filled(getattr(templates, name), fact.kind, fact.object, fact.value, definitions, roles)
    elif fact.aspect not in _INCLUDED.get(fact.kind, ()) and fact.aspect not in ("definition", "columns"):
        yield f"-- {fact.kind} {fact.object}: {fact.aspect} should be {plain(fact.value)}; no statement sets it safely"


def _changed(item: Difference, definitions: Definitions, roles: Roles) -> Iterator[str]:
    if item.aspect == "labels":
        yield from _labels(item)
        return
    if item.aspect == "grants":
        yield from grants(item.kind, item.object, item.expected, item.found, roles)
        if item.kind in ("table", "view", "materialised view"):
            # What is taken away from a role on a table is taken away on its columns.
            for fact in definitions.shape.facts:
                if (fact.kind, fact.aspect) == ("column", "grants") and table_of(fact.object) == item.object:
                    yield from grants(fact.kind, fact.object, fact.value, "", roles)
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
            f"-- {item.kind} {item.object}: {item.aspect} should be {plain(item.expected) or 'none'}, is "
            f"{plain(item.found) or 'none'}; no statement changes that safely"
        ]
    for line in lines:
        yield f"-- {line}; -- look first: {careful}" if careful and not line.startswith("-- ") else line


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
            yield fill(templates.add_label, object=item.object, value=f"{label}{after}")


def _dropped(item: Difference, roles: Roles) -> str:
    if item.kind == "default privileges":
        return "; ".join(default_grants(item.object, "", item.found, roles))
    statement = _drop(item.kind, item.object)
    reason = _REASONS.get(item.kind)
    return f"-- {statement}; -- look first: {reason}" if reason else statement


def _drop(kind: str, name: str) -> str:
    table, part = parts_of(kind, name)
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
    return fill(text, what=WHAT.get(kind, kind.upper()), table=table, name=part, object=plain(name))


def _filled(text: str, kind: str, name: str, value: str, definitions: Definitions, roles: Roles) -> str:
    table, part = parts_of(kind, name)
    of = {"trigger", "policy", "rule", "constraint"}
    place = (
        identifier(roles.schema)
        if kind == "schema"
        else f"{part} ON {table}"
        if kind in of
        else f"{part} ON DOMAIN {table}"
        if kind == "domain constraint"
        else part
        if kind == "index"
        else plain(name)
    )
    types = [fact.value for fact in definitions.shape.facts if fact[:3] == ("column", name, "type")]
    return fill(
        text,
        what=WHAT.get(kind, kind.upper()), table=table, name=part, place=place,
        object=part if kind == "index" else plain(name),
        enabling=_ENABLING.get(value, "ENABLE"), keys=re.sub(r"=[^,]*", "", value),
        type=plain(types[0]) if types else "", cycle="" if value.endswith(" CYCLE") else " NO CYCLE",
        owner=identifier(roles.owner), literal="'" + value.replace("'", "''") + "'", value=plain(value),
    )  # fmt: skip


def _with_roles(statement: str, kind: str, name: str, definitions: Definitions, roles: Roles) -> str:
    if kind != "policy":
        return statement
    value = next(fact.value for fact in definitions.shape.facts if fact[:3] == ("policy", name, "roles"))
    return statement.replace("{roles}", ", ".join(role_of(who, roles) for who in value.split(", ")), 1)


def _template(verb: str, kind: str, aspect: str) -> str:
    if aspect in ("comment", "owner"):
        return f"{verb}_{aspect}"
    if aspect == "options" and kind in _WITH_OPTIONS:
        return f"{verb}_relation_options"
    return f"{verb}_{kind}_{aspect}".replace(" ", "_")


def _one_line(statement: str) -> str:
    return " ".join(statement.split())
