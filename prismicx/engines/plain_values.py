"""A copy of what a caller gave, in dictionaries, lists and BSON's own types only: what was checked is what is sent."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from bson import DatetimeMS, Decimal128, Int64, MaxKey, MinKey, ObjectId, Timestamp
from bson.binary import Binary
from bson.code import Code
from bson.dbref import DBRef
from bson.regex import Regex

from prismicx.errors import BoundaryViolation, InvalidInput, quoted

DEPTH = 100
"""How deep an argument may be nested; MongoDB takes no more in a document."""

SCRIPTS = frozenset({"$where", "$function", "$accumulator"})
"""Run JavaScript on the server, which cannot be checked from outside."""

_INTERNAL = "$_internal"
"""Begins the operators that servers use among themselves; two of them run JavaScript."""

_ROLES = "$$USER_ROLES"
"""A variable that tells the roles of the login, which in shared collections is the platform's."""

_LEAVES = frozenset(
    {
        *(type(None), bool, int, float, str, bytes, datetime, UUID, re.Pattern),
        *(ObjectId, Int64, Decimal128, DatetimeMS, Timestamp, Regex, MinKey, MaxKey),
    }
)
"""Taken as they are: they hold no other values, and nothing can be hung on them."""


def plain(given: Any, *, data: bool = False) -> Any:
    """A copy that nobody else can change between the check and the sending.

    A value of another class could show the driver something else than it showed the check: the driver writes whatever
    carries a certain attribute as a document. So such values become those of the class they derive from, or are
    refused.

    Args:
        data: it is a document, where the name of an operator is a name like any other.

    Raises:
        InvalidInput: ``documents.value_invalid``, ``documents.key_invalid`` or ``documents.too_deep``.
        BoundaryViolation: ``boundary.script``, ``boundary.operator`` or ``boundary.variable``.
    """
    return _copied(given, data, DEPTH)


def _copied(given: Any, data: bool, depth: int) -> Any:
    kind = type(given)
    if kind in _LEAVES:
        if kind is str and not data and given.startswith(_ROLES):
            raise BoundaryViolation(
                "boundary.variable", f"{_ROLES} tells the roles of the platform's login", "leave it out"
            )
        return given
    if depth == 0:
        raise InvalidInput(
            "documents.too_deep", f"the argument is nested more than {DEPTH} levels deep", "make it flatter"
        )
    if kind is Binary:  # a new one, since something could be hung on it
        return Binary(bytes.__getitem__(given, slice(None)), given.subtype)
    if kind is DBRef:
        given = given.as_doc()
    if isinstance(given, Mapping):
        # Read once, and by one way only: a mapping may tell something else by another.
        return {_key(key, data): _copied(value, data, depth - 1) for key, value in given.items()}
    if kind is list or (isinstance(given, Sequence) and not isinstance(given, (str, bytes, bytearray, memoryview))):
        return [_copied(value, data, depth - 1) for value in given]
    return _copied(_leaf(given), data, depth)


def _key(key: Any, data: bool) -> str:
    if not isinstance(key, str) or "\0" in (key := str.__str__(key)):
        raise InvalidInput("documents.key_invalid", f"{quoted(key)} names no field", "use text without NUL")
    if key.startswith("$") and not data:
        if key in SCRIPTS:
            raise BoundaryViolation("boundary.script", f"{key} runs JavaScript on the server", "say it with operators")
        if key.startswith(_INTERNAL):
            raise BoundaryViolation(
                "boundary.operator", f"{quoted(key)} is for servers among themselves", "use a documented operator"
            )
    return key


def _leaf(given: Any) -> Any:
    """The value of a class that derives from one of BSON's, as that class."""
    if isinstance(given, Code):
        raise BoundaryViolation("boundary.script", f"{quoted(given)} is JavaScript", "say it with operators")
    if isinstance(given, str):
        return str.__str__(given)
    if isinstance(given, bytes):
        return bytes.__getitem__(given, slice(None))
    if isinstance(given, int):
        return int.__int__(given)
    if isinstance(given, float):
        return float.__float__(given)
    if isinstance(given, datetime):
        clock = (given.hour, given.minute, given.second, given.microsecond, given.tzinfo)
        return datetime(given.year, given.month, given.day, *clock, fold=given.fold)
    raise InvalidInput(
        "documents.value_invalid",
        f"{quoted(given)} is a {type(given).__name__}, which MongoDB does not keep",
        "use dictionaries, lists and the types of BSON",
    )
