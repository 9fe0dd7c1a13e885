"""What an import would change: the tree of a file beside the tree that is there. No engine."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from prismicx.categories.forms import Node
from prismicx.categories.tree import children_of, depth_first
from prismicx.categories.values import DEPTH_LIMIT, Category, name_taken, too_deep

Kind = Literal["added", "renamed", "moved", "changed", "missing", "removed"]


@dataclass(frozen=True, slots=True)
class Change:
    """One difference.

    Attributes:
        kind: ``missing`` is there and not in the file, ``removed`` as well, and is removed for that.
        path: names from the root down, as they are after the import.
        detail: what was before, or what changes.
    """

    kind: Kind
    category_id: str
    path: tuple[str, ...]
    detail: str = ""


@dataclass(slots=True)
class Comparison:
    """What leads from the tree that is there to that of the file.

    Attributes:
        changes: in the order of the file, then what the file does not have.
        unchanged: how many categories are as the file says.
        inserts: new categories: id, node and ancestors.
        updates: fields by id; None takes a field away.
        deletes: ids.
    """

    changes: list[Change] = field(default_factory=list)
    unchanged: int = 0
    inserts: list[tuple[str, Node, tuple[str, ...]]] = field(default_factory=list)
    updates: dict[str, dict[str, Any]] = field(default_factory=dict)
    deletes: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Place:
    parent_id: str | None
    ancestors: tuple[str, ...]
    path: tuple[str, ...]


def compare(
    existing: Iterable[Category], nodes: Sequence[Node], top: Category | None, names_above: tuple[str, ...], prune: bool
) -> Comparison:
    """Compare what is below ``top`` (or the whole forest) with the nodes of a file.

    A node is a category that is there when that one's ``source_id`` or id is the node's key, else when it has the
    same name at the same place.

    Args:
        names_above: names from the root down to ``top``.
        prune: remove what the file does not have.

    Raises:
        InvalidInput: ``category.too_deep``.
        Conflict: ``category.name_taken`` when a category that stays has the name of one of the file beside it.
    """
    above = None if top is None else top.category_id
    below = children_of(existing)
    held = {item.category_id: item for item in depth_first(below, below.get(above, []))}
    claimed = _claims(held, nodes, above)
    found = Comparison()
    start = _Place(None, (), ()) if top is None else _Place(above, (*top.ancestors, top.category_id), names_above)
    keys: list[str] = []
    places: dict[str, _Place] = {}
    for node, category in zip(nodes, claimed, strict=True):
        place = start if node.parent is None else _below(keys[node.parent], places)
        key = str(uuid.uuid4()) if category is None else category.category_id
        keys.append(key)
        places[key] = _Place(place.parent_id, place.ancestors, (*place.path, node.name))
        if category is None:
            found.inserts.append((key, node, place.ancestors))
            found.changes.append(Change("added", key, places[key].path))
        else:
            _compare_one(found, node, category, places[key])
    _compare_rest(found, held, set(keys), places, start, prune)
    _check(found, held, nodes, keys, places)
    return found


def _claims(held: Mapping[str, Category], nodes: Sequence[Node], above: str | None) -> list[Category | None]:
    """For each node the category that it is, if it is there."""
    by_key = {item.source_id: item for item in held.values() if item.source_id is not None} | dict(held)
    by_place = {(item.parent_id, item.name): item for item in held.values()}
    claimed = [by_key.get(node.key) if node.key is not None else None for node in nodes]
    # A key may be the id of one category and what an import called another: who comes first has it.
    taken: set[str] = set()
    for index, category in enumerate(claimed):
        if category is not None and category.category_id in taken:
            claimed[index] = None
        elif category is not None:
            taken.add(category.category_id)
    for index, node in enumerate(nodes):
        parent = None if node.parent is None else claimed[node.parent]
        if claimed[index] is not None or (node.parent is not None and parent is None):
            continue
        candidate = by_place.get((above if parent is None else parent.category_id, node.name))
        if candidate is None or candidate.category_id in taken:
            continue
        if node.key is None or candidate.source_id is None:
            claimed[index] = candidate
            taken.add(candidate.category_id)
    return claimed


def _below(parent: str, places: Mapping[str, _Place]) -> _Place:
    place = places[parent]
    return _Place(parent, (*place.ancestors, parent), place.path)


def _compare_one(found: Comparison, node: Node, category: Category, place: _Place) -> None:
    fields: dict[str, Any] = {}
    before = len(found.changes)
    key, path = category.category_id, place.path
    if node.name != category.name:
        found.changes.append(Change("renamed", key, path, f"was {category.name}"))
    if place.parent_id != category.parent_id:
        found.changes.append(Change("moved", key, path))
    if node.name != category.name or place.parent_id != category.parent_id:
        fields |= {"name": node.name, "parent_id": place.parent_id}
    said: dict[str, Any] = {}
    if node.description is not None and node.description != category.description:
        said["description"] = node.description
    if node.attributes is not None and node.attributes != category.attributes:
        said["attributes"] = [attribute.stored() for attribute in node.attributes] or None
    if node.key is not None and node.key not in (category.source_id, key):
        said["source_id"] = node.key
    if said:
        found.changes.append(Change("changed", key, path, ", ".join(said)))
    _update(found, category, {**fields, **said}, place.ancestors)
    if len(found.changes) == before:
        found.unchanged += 1


def _compare_rest(
    found: Comparison, held: Mapping[str, Category], seen: set[str], places: dict[str, _Place], start: _Place,
    prune: bool,
) -> None:  # fmt: skip
    """What the file does not have: it goes, or stays where it is, also when that has moved."""
    for key, category in held.items():
        if key in seen:
            continue
        # Its parent comes before it, as in the file or as one that the file does not have either.
        inner = category.parent_id is not None and category.parent_id in places
        place = _below(str(category.parent_id), places) if inner else start
        places[key] = _Place(place.parent_id, place.ancestors, (*place.path, category.name))
        found.changes.append(Change("removed" if prune else "missing", key, places[key].path))
        if prune:
            found.deletes.append(key)
        else:
            _update(found, category, {}, place.ancestors)


def _update(found: Comparison, category: Category, fields: dict[str, Any], ancestors: tuple[str, ...]) -> None:
    if ancestors != category.ancestors:
        fields["ancestors"] = list(ancestors)
    if fields:
        found.updates[category.category_id] = fields


def _check(
    found: Comparison, held: Mapping[str, Category], nodes: Sequence[Node], keys: Sequence[str],
    places: Mapping[str, _Place],
) -> None:  # fmt: skip
    gone = set(found.deletes)
    names = {key: category.name for key, category in held.items() if key not in gone}
    names |= {key: node.name for key, node in zip(keys, nodes, strict=True)}
    final: dict[tuple[str | None, str], str] = {}
    for key, name in names.items():
        place = places[key]
        if len(place.ancestors) >= DEPTH_LIMIT:
            raise too_deep(name)
        if final.setdefault((place.parent_id, name), key) != key:
            raise name_taken(name, place.parent_id)
