"""An edit of one user's insights, as one statement that checks what it needs and leaves everything else alone.

A document holds lists: of topics; in a topic, of subtopics; in a subtopic, of key points and of resources. An edit is
of one list. What it needs of the document is in the filter of the statement, so nothing can come between the check
and the change; what becomes of the list is worked out by the server from the list that is there then, so edits of
several at once do not undo one another. When the statement found nothing to change, `Edit.refusal` reads the reason
from the document.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bson import encode

from prismicx.errors import Conflict, InvalidInput, NotFound, PrismicXError, quoted
from prismicx.insights.scores import SCORES, Expression, listed
from prismicx.insights.values import (
    INVALID,
    LINES_LIMIT,
    PROFILE_LIMIT,
    SUBTOPICS_LIMIT,
    TOPICS_LIMIT,
)
from prismicx.versions import moment_of, stale, version_of

Document = dict[str, Any]

_MOMENT = "$updated_at"
"""The moment of the edit, once the first stage has set it."""


@dataclass(frozen=True, slots=True)
class Kind:
    """What a list holds.

    Attributes:
        fields: where the list is in what holds it.
        key: the field by which an item is named; empty for texts, which name themselves.
        most: how many there may be.
    """

    noun: str
    fields: tuple[str, ...]
    key: str
    most: int

    @property
    def path(self) -> str:
        return ".".join(self.fields)

    def key_of(self, item: Any) -> Any:
        """What names an item."""
        return item[self.key] if self.key else item

    def name_of(self, item: Any) -> Any:
        """What no other item of the list may have: its name, or the text itself."""
        return item["name"] if self.key else item


TOPIC = Kind("topic", ("topics",), "topic_id", TOPICS_LIMIT)
SUBTOPIC = Kind("subtopic", ("subtopics",), "subtopic_id", SUBTOPICS_LIMIT)
KEY_POINT = Kind("key point", ("content", "key_points"), "", LINES_LIMIT)
RESOURCE = Kind("resource", ("content", "resources"), "", LINES_LIMIT)

_HOLDERS = (TOPIC, SUBTOPIC)


@dataclass(frozen=True, slots=True)
class Place:
    """A list in a document.

    Attributes:
        kind: what it holds.
        holders: the ids of the topic, and of the subtopic, that it is in.
    """

    kind: Kind
    holders: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """An edit of one list, made by `adding`, `changing`, `removing` or `reordering`.

    Attributes:
        becomes: what the list becomes, as an expression of it (``$$list``).
        key: of the item that must be there.
        version: that this item must have.
        name: that no other item may have.
        adds: whether the list gets longer.
        order: the keys the list must have, these and no others.
        growth: bytes by which the document grows at most.
    """

    place: Place
    becomes: Expression
    key: str | None = None
    version: str | None = None
    name: str | None = None
    adds: bool = False
    order: Sequence[str] = ()
    growth: int = 0

    def filter(self, user_id: str) -> Document:
        """The document of a user, if the edit may be made to it."""
        wanted = self._wanted()
        for kind, key in reversed([*zip(_HOLDERS, self.place.holders, strict=False)]):
            wanted = {kind.path: {"$elemMatch": {kind.key: key, **wanted}}}
        if self.growth:
            wanted["$expr"] = {"$lte": [{"$bsonSize": "$$ROOT"}, PROFILE_LIMIT - self.growth]}
        return {"user_id": user_id, **wanted}

    def update(self) -> list[Document]:
        """The statement: the moment, the change, the scores that follow from it."""
        # Later than any moment in the document, also where several edits come in one millisecond: so a moment is a
        # version, of the document as of each topic and subtopic in it. As numbers, because SecantusDB does not order
        # $$NOW among stored dates.
        later = {"$max": [{"$toLong": "$$NOW"}, {"$add": [{"$toLong": "$updated_at"}, 1]}]}
        return [
            {"$set": {"updated_at": {"$toDate": later}}},
            {"$set": {"created_at": {"$ifNull": ["$created_at", _MOMENT]}, **self._changes("$", 0)}},
            {"$set": {"metadata": {"$mergeObjects": ["$metadata", SCORES]}}},
        ]

    def refusal(self, user_id: str, document: Document | None) -> PrismicXError | None:
        """Why the edit cannot be made to the document; None when it could."""
        if document is None:
            return unknown(user_id)
        holder = document
        for kind, key in zip(_HOLDERS, self.place.holders, strict=False):
            found = _find(kind, _list(kind, holder), key)
            if found is None:
                return _unknown_item(kind, key)
            holder = found
        return self._refusal_of(_list(self.place.kind, holder)) or self._too_large(document)

    def _wanted(self) -> Document:
        kind = self.place.kind
        own: Document = {}
        wanted: Document = {kind.path: own}
        if self.key is not None:
            own["$elemMatch"] = {kind.key: self.key} if kind.key else {"$eq": self.key}
            if self.version is not None:
                own["$elemMatch"]["updated_at"] = moment_of(self.version)
        if self.name is not None and (kind.key or self.name != self.key):
            other: Document = {"name": self.name} if kind.key else {"$eq": self.name}
            if kind.key and self.key is not None:
                other[kind.key] = {"$ne": self.key}
            own["$not"] = {"$elemMatch": other}
        if self.adds:
            wanted[f"{kind.path}.{kind.most - 1}"] = {"$exists": False}
        if self.order:
            own["$size"] = len(self.order)
            field = f"{kind.path}.{kind.key}" if kind.key else kind.path
            wanted["$and"] = [{field: key} for key in self.order]
        return wanted

    def _changes(self, holder: str, depth: int) -> Expression:
        """The fields that change in what is reached by the path ``holder``."""
        if depth == len(self.place.holders):
            return _put(holder, self.place.kind.fields, self.becomes)
        kind = _HOLDERS[depth]
        inner = f"$${kind.noun}"
        changed = {"$mergeObjects": [inner, self._changes(f"{inner}.", depth + 1), {"updated_at": _MOMENT}]}
        items = _each(kind, f"{holder}{kind.path}", self.place.holders[depth], changed)
        return {kind.path: items}

    def _refusal_of(self, items: Sequence[Any]) -> PrismicXError | None:
        kind = self.place.kind
        if self.key is not None:
            found = _find(kind, items, self.key)
            if found is None:
                return _unknown_item(kind, self.key)
            if self.version is not None and (held := version_of(found["updated_at"])) != self.version:
                return Conflict("insight.changed", *stale(f"the {kind.noun}", held, self.version))
        others = [item for item in items if self.key is None or kind.key_of(item) != self.key]
        if self.name is not None and self.name in [kind.name_of(item) for item in others]:
            return Conflict(
                "insight.duplicate",
                f"there is a {kind.noun} {quoted(self.name)} already",
                f"give another one, or change the {kind.noun} that is there",
            )
        if self.adds and len(items) >= kind.most:
            return Conflict(
                "insight.full",
                f"there are {len(items)} {kind.noun}s already, and there may be {kind.most}",
                "remove some first",
            )
        keys = [kind.key_of(item) for item in items]
        wrong = [key for key in self.order if key not in keys] + [key for key in keys if key not in self.order]
        if self.order and wrong:
            return InvalidInput(
                INVALID, f"the order is not of the {kind.noun}s there are: {quoted(wrong[0])}", "name each of them once"
            )
        return None

    def _too_large(self, document: Document) -> PrismicXError | None:
        held = len(encode(document))
        if not self.growth or held + self.growth <= PROFILE_LIMIT:
            return None
        return Conflict(
            "insight.full",
            f"what is known of the user has {held:,} bytes, {self.growth:,} more would be above {PROFILE_LIMIT:,}",
            "remove something first, or give less",
        )


def adding(place: Place, item: Mapping[str, Any] | str) -> Edit:
    """An item at the end of a list."""
    new: Expression = {"$literal": item}
    if place.kind.key:
        new = {"$mergeObjects": [new, {"created_at": _MOMENT, "updated_at": _MOMENT}]}
    return Edit(
        place=place,
        becomes={"$concatArrays": ["$$list", [new]]},
        name=place.kind.name_of(item),
        adds=True,
        growth=_size_of(item),
    )


def changing(place: Place, key: str, changes: Mapping[str, Any] | str, *, version: str | None = None) -> Edit:
    """Other values for fields of an item, where None takes one away; or another text in the place of one."""
    if isinstance(changes, str):
        changed: Expression = {"$literal": changes}
        name: str | None = changes
    else:
        given = {field: {"$literal": value} for field, value in changes.items() if value is not None}
        changed = {"$mergeObjects": ["$$item", given, {"updated_at": _MOMENT}]}
        for field in changes.keys() - given.keys():
            fields = {"$filter": {"input": {"$objectToArray": changed}, "cond": {"$ne": ["$$this.k", field]}}}
            changed = {"$arrayToObject": fields}
        name = changes.get("name")
    return Edit(
        place=place,
        becomes=_each(place.kind, "$$list", key, changed, "item"),
        key=key,
        version=version,
        name=name,
        growth=_size_of(changes),
    )


def removing(place: Place, key: str, *, version: str | None = None) -> Edit:
    """A list without an item."""
    kept = {"$ne": [_key_in(place.kind, "$$item"), {"$literal": key}]}
    becomes = {"$filter": {"input": "$$list", "as": "item", "cond": kept}}
    return Edit(place=place, becomes=becomes, key=key, version=version)


def reordering(place: Place, order: Sequence[str]) -> Edit:
    """The same items in another order."""
    wanted = {"$eq": [_key_in(place.kind, "$$item"), "$$key"]}
    item = {"$arrayElemAt": [{"$filter": {"input": "$$list", "as": "item", "cond": wanted}}, 0]}
    becomes = {"$map": {"input": {"$literal": [*order]}, "as": "key", "in": item}}
    return Edit(place=place, becomes=becomes, order=order)


def unknown(user_id: str) -> NotFound:
    """What is said of a user of whom nothing is known, or who is another tenant's: the same."""
    return NotFound(
        "insight.unknown", f"nothing is known of the user {user_id}", "prismicx insight list shows of whom there is"
    )


def _unknown_item(kind: Kind, key: str) -> NotFound:
    remedy = "prismicx insight show tells what there is"
    if kind is TOPIC:
        return NotFound("insight.topic_unknown", f"there is no topic {key}", remedy)
    if kind is SUBTOPIC:
        return NotFound("insight.subtopic_unknown", f"the topic has no subtopic {key}", remedy)
    return NotFound("insight.text_unknown", f"the subtopic has no {kind.noun} {quoted(key)}", remedy)


def _each(kind: Kind, items: str, key: str, changed: Expression, name: str = "") -> Expression:
    """A list with one of its items changed."""
    item = f"$${name or kind.noun}"
    wanted = {"$eq": [_key_in(kind, item), {"$literal": key}]}
    return {
        "$map": {"input": listed(items), "as": item[2:], "in": {"$cond": [wanted, changed, item]}},
    }


def _put(holder: str, fields: tuple[str, ...], becomes: Expression) -> Expression:
    """What a list becomes, at its place in what holds it."""
    first, *rest = fields
    if rest:
        inner = _put(f"{holder}{first}.", tuple(rest), becomes)
        return {first: {"$mergeObjects": [f"{holder}{first}", inner]}}
    return {first: {"$let": {"vars": {"list": listed(f"{holder}{first}")}, "in": becomes}}}


def _key_in(kind: Kind, path: str) -> str:
    return f"{path}.{kind.key}" if kind.key else path


def _list(kind: Kind, holder: Mapping[str, Any]) -> Sequence[Any]:
    found: Any = holder
    for field in kind.fields:
        found = found.get(field, {})
    return found or ()


def _find(kind: Kind, items: Sequence[Any], key: str) -> Any:
    return next((item for item in items if kind.key_of(item) == key), None)


def _size_of(added: Any) -> int:
    """Bytes that something adds, with room for its times and its place in a list."""
    return len(encode({"": added})) + 64
