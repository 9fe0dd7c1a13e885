"""A tree of categories in memory: its order, what is wrong with it, how two of its parts become one. No engine."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise

from prismicx.categories.values import Category

Children = Mapping[str | None, list[Category]]


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that is wrong with a category's place.

    Attributes:
        kind: ``orphan`` (its parent is not there), ``cycle`` (it is below itself), ``path`` (the ancestors that are
            kept for reading are not those its parents give), ``name`` (a sibling has the same).
    """

    category_id: str
    name: str
    kind: str


@dataclass(slots=True)
class Merge:
    """What makes one category of two.

    Attributes:
        moves: the new parent of siblings, and them; with each its subtree moves.
        deletes: ids of the categories that are no more.
        gains: pairs of a category that is no more and the one that takes its place.
    """

    moves: list[tuple[str, list[Category]]] = field(default_factory=list)
    deletes: list[str] = field(default_factory=list)
    gains: list[tuple[Category, Category]] = field(default_factory=list)


def children_of(categories: Iterable[Category]) -> dict[str | None, list[Category]]:
    """The categories by their parents, each list in the order of names."""
    found: dict[str | None, list[Category]] = {}
    for category in categories:
        found.setdefault(category.parent_id, []).append(category)
    for siblings in found.values():
        siblings.sort(key=lambda category: (category.name, category.category_id))
    return found


def depth_first(children: Children, top: Iterable[Category]) -> list[Category]:
    """The categories and all that is below them, each before its children."""
    found: list[Category] = []
    pending = list(top)[::-1]
    while pending:
        category = pending.pop()
        found.append(category)
        pending += children.get(category.category_id, [])[::-1]
    return found


def true_ancestors(categories: Iterable[Category]) -> dict[str, tuple[str, ...] | None]:
    """The ancestors that the parents give, by category; None for one in a cycle or below one."""
    held = {category.category_id: category for category in categories}
    found: dict[str, tuple[str, ...] | None] = {}
    for start in held.values():
        trail: list[Category] = []
        node: Category | None = start
        while node is not None and node.category_id not in found and node not in trail:
            trail.append(node)
            node = held.get(node.parent_id) if node.parent_id else None
        circular = node is not None and node.category_id not in found
        for category in reversed(trail):
            above = found.get(category.parent_id) if category.parent_id in held else ()
            found[category.category_id] = (
                None if circular or above is None else (*above, category.parent_id) if category.parent_id else ()
            )
    return found


def problems_of(categories: Iterable[Category]) -> list[Problem]:
    """What is wrong with the places of all categories of a tenant."""
    held = {category.category_id: category for category in categories}
    ancestors = true_ancestors(held.values())
    found = []
    for key, category in held.items():
        if category.parent_id is not None and category.parent_id not in held:
            found.append(Problem(key, category.name, "orphan"))
        elif ancestors[key] is None:
            found.append(Problem(key, category.name, "cycle"))
        elif ancestors[key] != category.ancestors:
            found.append(Problem(key, category.name, "path"))
    for siblings in children_of(held.values()).values():
        for one, other in pairwise(siblings):
            if one.name == other.name:
                found.append(Problem(other.category_id, other.name, "name"))
    return found


def merged(children: Children, source: Category, target: Category) -> Merge:
    """How the source becomes part of the target: its children move there, and those whose names the target has
    among its children become one with them in the same way."""
    plan = Merge()
    pending = [(source, target)]
    while pending:
        old, new = pending.pop()
        plan.deletes.append(old.category_id)
        plan.gains.append((old, new))
        names = {child.name: child for child in children.get(new.category_id, []) if child != source}
        moved = []
        for child in children.get(old.category_id, []):
            if child.name in names:
                pending.append((child, names[child.name]))
            else:
                moved.append(child)
        if moved:
            plan.moves.append((new.category_id, moved))
    return plan
