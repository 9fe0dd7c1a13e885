"""What values from outside must be before an engine sees them. Each error names the input, the rule and the remedy."""

from __future__ import annotations

import json
import math
import uuid
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import Any, TextIO

from prismicx.errors import InvalidInput, quoted

JSON_LIMIT = 16 * 1024
"""Bytes a JSON value may have, as UTF-8 text."""

_DEPTH = 16
_DIGITS = 4_300
"""Digits a whole number may have: those Python reads and writes, unless it is told otherwise."""
_TOO_LONG = 10**_DIGITS

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def check_text(code: str, label: str, value: object, limit: int) -> str:
    """The value as a text of 1 to ``limit`` characters without NUL and without blank ends.

    Raises:
        InvalidInput: with the code.
    """
    if isinstance(value, str) and 0 < len(value) <= limit and is_storable(value) and value == value.strip():
        return value
    raise InvalidInput(
        code,
        f"{label} is {quoted(value)}",
        f"give a text of 1 to {limit} characters, without NUL and without blanks at its ends",
    )


def check_id(code: str, label: str, value: object) -> uuid.UUID:
    """The value as a UUID: one, or its text.

    Raises:
        InvalidInput: with the code.
    """
    if isinstance(value, uuid.UUID):
        return value
    try:
        return uuid.UUID(value if isinstance(value, str) else "")
    except ValueError:
        raise InvalidInput(
            code, f"{label} is {quoted(value)}", "give a UUID, such as 6f1c0b1e-3c0a-4a53-9d52-1d3c1c1f0a11"
        ) from None


def check_moment(code: str, label: str, value: object) -> datetime:
    """The value as a time in UTC: an aware one.

    Raises:
        InvalidInput: with the code.
    """
    wrong = InvalidInput(code, f"{label} is {quoted(value)}", "give a time with its zone, of the years 1 to 9999")
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise wrong
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise wrong from None


def check_json(code: str, label: str, value: Any, limit: int = JSON_LIMIT) -> str:
    """The value as JSON text that PostgreSQL stores: no NUL, no infinite numbers, not too deep, not too long.

    Raises:
        InvalidInput: with the code.
    """
    problem = _problem_of(value, _DEPTH)
    if problem:
        raise InvalidInput(code, f"{label} {problem}", f"give JSON of at most {_DEPTH} levels")
    text = _encode(value)
    size = len(text) if text.isascii() else len(text.encode())
    if size > limit:
        raise InvalidInput(code, f"{label} has {size:,} bytes as JSON", f"give at most {limit:,} bytes")
    return text


def check_object(code: str, label: str, value: Any, limit: int = JSON_LIMIT) -> str:
    """As `check_json`, of a JSON object.

    Raises:
        InvalidInput: with the code.
    """
    if not isinstance(value, Mapping):
        raise InvalidInput(code, f"{label} is {quoted(value)}", "give a JSON object")
    return check_json(code, label, value if isinstance(value, dict) else dict(value), limit)


def check_document(code: str, label: str, value: Any, limit: int = JSON_LIMIT) -> None:
    """See that a value is a JSON object that MongoDB stores as it is: no whole number beyond 64 bits, no name that
    is empty or begins with ``$``.

    Raises:
        InvalidInput: with the code.
    """
    check_object(code, label, value, limit)
    pending: list[Any] = [value]
    while pending:
        part = pending.pop()
        if isinstance(part, Mapping):
            if "" in part:
                raise InvalidInput(code, f"{label} has an empty name", "give every value a name")
            wrong = [name for name in part if name.startswith("$")]
            if wrong:
                raise InvalidInput(code, f"{label} has the name {quoted(wrong[0])}", "give names without $ before them")
            pending += part.values()
        elif isinstance(part, (list, tuple)):
            pending += part
        elif isinstance(part, int) and not -(2**63) <= part < 2**63:
            # Not the number itself: it may be secret.
            raise InvalidInput(
                code, f"{label} holds a number of more than 64 bits", "give whole numbers of at most 64 bits, or texts"
            )


def check_file(code: str, source: TextIO, limit: int) -> str:
    """The text of a file of at most ``limit`` bytes, as UTF-8. Of a longer one no more is read.

    Raises:
        InvalidInput: with the code.
    """
    text = source.read(limit + 1)
    if len(text) > limit or not (text.isascii() or len(text.encode(errors="surrogatepass")) <= limit):
        raise InvalidInput(code, f"the file has more than {limit:,} bytes", "give what it holds in several files")
    return text


def is_encodable(text: str) -> bool:
    """Whether a text can be written as UTF-8: it holds no half of a surrogate pair."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def is_storable(text: str) -> bool:
    """Whether PostgreSQL stores a text: it is UTF-8, without NUL."""
    return "\0" not in text and (text.isascii() or is_encodable(text))


def check_changes(code: str, changes: Mapping[str, Any], known: Collection[str]) -> None:
    """See that changes are of what can be changed, by name.

    Raises:
        InvalidInput: with the code.
    """
    unknown = sorted(changes.keys() - known)
    if unknown:
        raise InvalidInput(
            code, f"{quoted(unknown[0])} cannot be changed", f"changes are of {', '.join(sorted(known))}"
        )


def _problem_of(value: Any, depth: int) -> str:
    if isinstance(value, str):
        return "" if is_storable(value) else "holds NUL or half a surrogate pair"
    if depth < 0:
        return "is nested too deep"
    if value is None:
        return ""
    if isinstance(value, int):
        if value.bit_length() < 64 or abs(value) < _TOO_LONG:  # nearly all are small, and the limit is a long number
            return ""
        return f"holds a number of more than {_DIGITS:,} digits"
    if isinstance(value, float):
        return "" if math.isfinite(value) else f"holds {value}, which JSON does not know"
    if isinstance(value, dict):
        for key, inner in value.items():
            if not isinstance(key, str):
                return f"has the key {quoted(key)}, which is no text"
            problem = _problem_of(key, depth) or _problem_of(inner, depth - 1)
            if problem:
                return problem
        return ""
    if isinstance(value, (list, tuple)):
        return next((problem for inner in value if (problem := _problem_of(inner, depth - 1))), "")
    return f"holds a {type(value).__name__}, which JSON does not know"
