"""What an extension is, and the rules its values obey. Reference: `extensions` Table, `practicality_factors` Table."""

from __future__ import annotations

import json
import math
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from prismicx.checks import check_object, check_text
from prismicx.engines.scoped_sql import Record
from prismicx.errors import InvalidInput, quoted
from prismicx.versions import version_of

INVALID = "extension.invalid"

DESCRIPTION_LIMIT = 10_000
_INTEGER = 2**31 - 1

Order = Literal["practicality", "use", "feedback"]
ORDERS: tuple[Order, ...] = ("practicality", "use", "feedback")


@dataclass(frozen=True, slots=True)
class Extension:
    """An extension of a user, with its metrics.

    Attributes:
        priority: the lower, the earlier among the extensions of its user.
        created_at, updated_at, last_used_at: aware, UTC.
        feedback_score: 0 to 10, the last that was given.
    """

    id: uuid.UUID
    user_id: uuid.UUID
    type: str
    name: str
    description: str | None
    enabled: bool
    priority: int
    created_at: datetime
    updated_at: datetime
    metadata: Mapping[str, Any]
    usage_count: int
    last_used_at: datetime | None
    feedback_score: float | None

    @property
    def version(self) -> str:
        """Changes with every change of the extension, its metrics and factors aside."""
        return version_of(self.updated_at)


@dataclass(frozen=True, slots=True)
class ExtensionValues:
    """The values of an extension that may be given, checked.

    Raises:
        InvalidInput: ``extension.invalid``.
    """

    type: str
    name: str
    description: str | None = None
    enabled: bool = True
    priority: int = 0
    metadata: Mapping[str, Any] = field(default_factory=dict)
    metadata_text: str = field(init=False)

    def __post_init__(self) -> None:
        check_text(INVALID, "type", self.type, 50)
        check_text(INVALID, "name", self.name, 100)
        if self.description is not None:
            check_text(INVALID, "description", self.description, DESCRIPTION_LIMIT)
        if not isinstance(self.enabled, bool):
            raise InvalidInput(INVALID, f"enabled is {quoted(self.enabled)}", "give True or False")
        check_integer("priority", self.priority, -_INTEGER, _INTEGER)
        object.__setattr__(self, "metadata_text", check_object(INVALID, "metadata", self.metadata))


@dataclass(frozen=True, slots=True)
class Factor:
    """A rated factor, checked.

    Attributes:
        value: 1 to 10.
        weight: of the value in the mean; 0 leaves it out.

    Raises:
        InvalidInput: ``extension.invalid``.
    """

    name: str
    value: int
    weight: float = 1.0

    def __post_init__(self) -> None:
        check_text(INVALID, "the factor's name", self.name, 100)
        check_integer("the factor's value", self.value, 1, 10)
        check_number("the factor's weight", self.weight, 0, 1e6)


@dataclass(frozen=True, slots=True)
class Practicality:
    """How practical an extension is.

    Attributes:
        score: the weighted mean of its factors, 1 to 10; None without factors or with a total weight of 0.
    """

    score: float | None
    factors: int
    total_weight: float


@dataclass(frozen=True, slots=True)
class Ranked:
    """An extension's place in a ranking, and what it is ranked by."""

    place: int
    extension_id: uuid.UUID
    user_id: uuid.UUID
    name: str
    practicality: float | None
    usage_count: int
    feedback_score: float | None


def practicality_of(factors: list[Factor]) -> Practicality:
    """What the view `extension_practicality` says of these factors."""
    weight = math.fsum(factor.weight for factor in factors)
    total = math.fsum(factor.value * factor.weight for factor in factors)
    return Practicality(total / weight if weight else None, len(factors), weight)


def check_integer(label: str, value: object, least: int, most: int) -> int:
    """The value as an integer between two others.

    Raises:
        InvalidInput: ``extension.invalid``.
    """
    if isinstance(value, int) and not isinstance(value, bool) and least <= value <= most:
        return value
    raise InvalidInput(INVALID, f"{label} is {quoted(value)}", f"give a whole number, {least} to {most}")


def check_number(label: str, value: object, least: float, most: float) -> float:
    """The value as a number between two others.

    Raises:
        InvalidInput: ``extension.invalid``.
    """
    if isinstance(value, (int, float)) and not isinstance(value, bool) and least <= value <= most:
        return float(value)
    raise InvalidInput(INVALID, f"{label} is {quoted(value)}", f"give a number, {least:g} to {most:g}")


def extension_of(row: Record) -> Extension:
    """The extension of a row of `queries.sql`."""
    return Extension(
        row["id"],
        row["user_id"],
        row["extension_type"],
        row["name"],
        row["description"],
        row["enabled"],
        row["priority"],
        row["created_at"].replace(tzinfo=UTC),
        row["updated_at"].replace(tzinfo=UTC),
        json.loads(row["metadata"]) if row["metadata"] else {},
        row["usage_count"],
        row["last_used_at"].replace(tzinfo=UTC) if row["last_used_at"] else None,
        row["feedback_score"],
    )
