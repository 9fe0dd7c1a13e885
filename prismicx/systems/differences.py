"""How a schema that was found differs from the shape that was expected of it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from prismicx.systems.shape import SCHEMA, Shape

Problem = Literal["missing", "extra", "changed"]

_FIRST_NAME = re.compile(r'"(?:[^"]|"")*"|[^."]+')
_DEFINING = ("definition", "type", "grants")
"""The aspects that tell, in this order, what an object that is missing or extra is."""


@dataclass(frozen=True, slots=True)
class Difference:
    """Something that is not as expected.

    Attributes:
        kind: what it is about: ``table``, ``column``, ``index``, …
        object: its name in the schema, such as ``contacts.email``; empty for the schema itself.
        problem: ``missing`` or ``extra`` when the whole object is, ``changed`` when an aspect of it is other.
        aspect: which one; empty when the whole object is meant.
        expected, found: in words; empty when there is nothing.
    """

    kind: str
    object: str
    problem: Problem
    aspect: str
    expected: str
    found: str

    def __str__(self) -> str:
        of = f" has another {self.aspect}" if self.aspect else f" is {self.problem}"
        name = f"{self.kind} {self.object}".strip()
        return f"{name}{of}: expected {self.expected or 'none'}, found {self.found or 'none'}"


def differences(expected: Shape, found: Shape) -> list[Difference]:
    """What is missing, extra or changed; nothing about the parts of a table that is missing or extra as a whole."""
    wanted, held = _objects(expected), _objects(found)
    result = []
    for key in sorted(wanted.keys() | held.keys()):
        here, there = wanted.get(key), held.get(key)
        if here is None or there is None:
            result += _whole(key, here, there, wanted if there is None else held, held if there is None else wanted)
        else:
            result += _aspects(key, here, there)
    return result


def table_of(name: str) -> str:
    """The table, or whatever comes first, in the name of what belongs to it: of ``"a.b".c`` it is ``"a.b"``."""
    match = _FIRST_NAME.match(name)
    return match[0] if match else name


Aspects = dict[str, str]
Objects = dict[tuple[str, str], Aspects]


def _objects(shape: Shape) -> Objects:
    objects: Objects = {}
    for fact in shape.facts:
        objects.setdefault((fact.kind, fact.object), {})[fact.aspect] = fact.value
    objects.setdefault(("schema", ""), {})
    return objects


def _whole(
    key: tuple[str, str], here: Aspects | None, there: Aspects | None, objects: Objects, others: Objects
) -> list[Difference]:
    """The difference for an object that only ``objects`` have, or that merely has nothing said of it in the others."""
    kind, name = key
    aspects = here if here is not None else there or {}
    if _belongs_to_absent(kind, name, aspects, objects, others):
        return []
    if "definition" not in aspects and "type" not in aspects and kind != "default privileges":
        # An index behind a constraint, or a column of a view, of which only a comment or grants are told.
        return _aspects(key, here or {}, there or {})
    words = words_of(aspects)
    if there is None:
        return [Difference(kind, name, "missing", "", words, "")]
    return [Difference(kind, name, "extra", "", "", words)]


def _belongs_to_absent(kind: str, name: str, aspects: Aspects, objects: Objects, others: Objects) -> bool:
    """Whether what it is a part of is only there as well."""
    owner = aspects.get("owned by", aspects.get("identity of", "")).replace(f"{SCHEMA}.", "")
    if owner:
        column = ("column", owner)
        return column in objects and column not in others
    parent = table_of(name)
    if parent == name or kind == "function":
        return False
    holders = [
        (holder, parent)
        for holder in ("table", "view", "materialised view", "type", "domain")
        if (holder, parent) in objects
    ]
    return bool(holders) and all(holder not in others for holder in holders)


def _aspects(key: tuple[str, str], here: Mapping[str, str], there: Mapping[str, str]) -> list[Difference]:
    kind, name = key
    result: list[Difference] = []
    for aspect in sorted(here.keys() | there.keys()):
        expected, found = here.get(aspect, ""), there.get(aspect, "")
        if aspect == "columns":
            expected, found = _order(expected, found)
        if expected != found:
            result.append(Difference(kind, name, "changed", aspect, expected, found))
    return result


def _order(expected: str, found: str) -> tuple[str, str]:
    """The orders of the columns that both have; which are missing is told of each of them."""
    here, there = _names(expected), _names(found)
    return ", ".join(name for name in here if name in there), ", ".join(name for name in there if name in here)


def _names(listed: str) -> list[str]:
    return re.findall(r'"(?:[^"]|"")*"|[^",\s]+', listed)


def words_of(aspects: Mapping[str, str]) -> str:
    """What is told of an object, in a line: ``text, required, default ''``."""
    first = [aspects[aspect] for aspect in _DEFINING if aspect in aspects][:1]
    rest = [
        aspect if value == "yes" else f"{aspect} {value}"
        for aspect, value in sorted(aspects.items())
        if aspect not in (*_DEFINING, "columns", "body", "comment", "cost")
    ]
    return ", ".join([*first, *rest])
