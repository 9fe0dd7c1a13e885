"""What a category is, and the rules its values obey. Reference: `categories` Collection."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Literal, get_args

from prismicx.checks import check_id, check_text
from prismicx.errors import Conflict, InvalidInput, NotFound, quoted
from prismicx.versions import version_of

INVALID = "category.invalid"

NAME_LIMIT = 200
DESCRIPTION_LIMIT = 2_000
ATTRIBUTE_LIMIT = 50
TEXT_LIMIT = 1_000
DEPTH_LIMIT = 30
"""Levels a tree may have."""

AttributeType = Literal["text", "number", "boolean", "date"]
ATTRIBUTE_TYPES: tuple[AttributeType, ...] = get_args(AttributeType)

_LARGEST = 2**63


@dataclass(frozen=True, slots=True)
class Attribute:
    """A named, typed value of a category, checked.

    Attributes:
        value: a text of at most 1,000 characters, a number, a boolean, or for ``date`` a text such as 2026-01-31;
            None declares the attribute without giving it a value.

    Raises:
        InvalidInput: ``category.invalid``.
    """

    name: str
    type: AttributeType = "text"
    value: str | float | bool | None = None

    def __post_init__(self) -> None:
        check_text(INVALID, "the attribute's name", self.name, 100)
        if self.type not in ATTRIBUTE_TYPES:
            raise InvalidInput(
                INVALID, f"the type of {quoted(self.name)} is {quoted(self.type)}", f"types are {_listed()}"
            )
        if self.value is not None and not _fits(self.type, self.value):
            raise InvalidInput(
                INVALID, f"the attribute {quoted(self.name)} is {quoted(self.value)}", f"give a {_RULES[self.type]}"
            )

    def stored(self) -> dict[str, Any]:
        """As the collection keeps it."""
        value = {} if self.value is None else {"value": self.value}
        return {"name": self.name, "type": self.type, **value}


_RULES: dict[AttributeType, str] = {
    "text": f"text of 1 to {TEXT_LIMIT} characters, without NUL and without blanks at its ends",
    "number": "finite number below 2^63",
    "boolean": "true or false",
    "date": "date as 2026-01-31",
}


@dataclass(frozen=True, slots=True)
class CategoryValues:
    """The values of a category that may be given, checked.

    Raises:
        InvalidInput: ``category.invalid``.
    """

    name: str
    description: str | None = None
    attributes: tuple[Attribute, ...] = ()

    def __post_init__(self) -> None:
        check_text(INVALID, "name", self.name, NAME_LIMIT)
        if self.description is not None:
            check_text(INVALID, "description", self.description, DESCRIPTION_LIMIT)
        if len(self.attributes) > ATTRIBUTE_LIMIT:
            raise InvalidInput(
                INVALID, f"the category has {len(self.attributes)} attributes", f"give at most {ATTRIBUTE_LIMIT}"
            )
        names = [attribute.name for attribute in self.attributes]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise InvalidInput(INVALID, f"the attribute {quoted(twice)} is there twice", "name each attribute once")

    def stored(self) -> dict[str, Any]:
        """As the collection keeps it; what is not given is absent."""
        held: dict[str, Any] = {"name": self.name}
        if self.description is not None:
            held["description"] = self.description
        if self.attributes:
            held["attributes"] = [item.stored() for item in self.attributes]
        return held


@dataclass(frozen=True, slots=True)
class Category:
    """A category and its place in the tree.

    Attributes:
        parent_id: the category above; None at the root.
        ancestors: ids of the categories above, the root first.
        source_id: what an import called it; None for one that was made by hand.
        created_at, updated_at: aware, UTC.
    """

    category_id: str
    name: str
    description: str | None
    parent_id: str | None
    attributes: tuple[Attribute, ...]
    ancestors: tuple[str, ...]
    source_id: str | None
    created_at: datetime
    updated_at: datetime | None

    @property
    def version(self) -> str:
        """Changes with every change of the category itself; not when one above it moves."""
        return version_of(self.changed_at)

    @property
    def changed_at(self) -> datetime:
        """When it was changed last, or made."""
        return self.updated_at or self.created_at


def category_of(document: Mapping[str, Any]) -> Category:
    """The category of a document; one that others wrote may have fewer fields."""
    return Category(
        document["category_id"],
        document["name"],
        document.get("description"),
        document.get("parent_id"),
        tuple(attribute for item in document.get("attributes", ()) if (attribute := _attribute_of(item))),
        tuple(document.get("ancestors", ())),
        document.get("source_id"),
        document["created_at"],
        document.get("updated_at"),
    )


def attributes_of(given: object) -> tuple[Attribute, ...]:
    """Attributes as JSON gives them: a list of objects with ``name`` and perhaps ``type`` and ``value``.

    Raises:
        InvalidInput: ``category.invalid``.
    """
    if not isinstance(given, Sequence) or isinstance(given, (str, bytes)):
        raise InvalidInput(INVALID, f"attributes are {quoted(given)}", "give a list of objects with name, type, value")
    found = []
    for item in given:
        if isinstance(item, Attribute):
            found.append(item)
            continue
        if not isinstance(item, Mapping) or not {"name"} <= item.keys() <= {"name", "type", "value"}:
            raise InvalidInput(INVALID, f"an attribute is {quoted(item)}", "give an object with name, type, value")
        value = item.get("value")
        found.append(Attribute(item["name"], item["type"] if "type" in item else _type_of(value), value))
    return tuple(found)


def check_category_id(value: object) -> str:
    """The id of a category.

    Raises:
        InvalidInput: ``category.id_invalid``.
    """
    return str(check_id("category.id_invalid", "the category's id", value))


def unknown_category(category_id: object) -> NotFound:
    """What is said of a category that is not there, or another tenant's: the same."""
    return NotFound(
        "category.unknown", f"there is no category {category_id}", "prismicx category tree shows those there are"
    )


def name_taken(name: str, parent_id: str | None) -> Conflict:
    """What is said when a sibling has the name."""
    where = f"below {parent_id}" if parent_id else "at the root"
    return Conflict(
        "category.name_taken", f"there is a category {quoted(name)} {where} already", "choose another name, or merge"
    )


def too_deep(name: str) -> InvalidInput:
    """What is said when a tree would get too many levels."""
    return InvalidInput(
        "category.too_deep", f"{quoted(name)} would be below level {DEPTH_LIMIT}", "keep the tree flatter"
    )


def _attribute_of(item: Mapping[str, Any]) -> Attribute | None:
    """None for what others wrote in another form: the reference asks for objects only. It stays in the document."""
    value = item.get("value")
    try:
        return Attribute(item.get("name", ""), item.get("type") or _type_of(value), value)
    except InvalidInput:
        return None


def _type_of(value: object) -> AttributeType:
    if isinstance(value, bool):
        return "boolean"
    return "number" if isinstance(value, (int, float)) else "text"


def _fits(kind: AttributeType, value: object) -> bool:
    if kind == "boolean":
        return isinstance(value, bool)
    if kind == "number":
        plain = isinstance(value, (int, float)) and not isinstance(value, bool)
        return plain and abs(value) < _LARGEST  # type: ignore[arg-type]
    try:
        text = check_text(INVALID, "the value", value, TEXT_LIMIT)
        return kind == "text" or date.fromisoformat(text).isoformat() == text
    except (InvalidInput, ValueError):
        return False


def _listed() -> str:
    return ", ".join(ATTRIBUTE_TYPES)
