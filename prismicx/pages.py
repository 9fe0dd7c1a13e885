"""Pages of long lists: each says where the next one begins, by the key of its last item."""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar

from prismicx.errors import InvalidInput, quoted

Item = TypeVar("Item")

PAGE_LIMIT = 1000


@dataclass(frozen=True, slots=True)
class Page(Generic[Item]):
    """Some items, in order.

    Attributes:
        next: give it as ``after`` for the page that follows; None on the last page.
    """

    items: list[Item]
    next: str | None


def check_limit(limit: object) -> int:
    """How many items a page may have: 1 to 1000.

    Raises:
        InvalidInput: ``page.limit_invalid``.
    """
    if isinstance(limit, int) and not isinstance(limit, bool) and 1 <= limit <= PAGE_LIMIT:
        return limit
    raise InvalidInput("page.limit_invalid", f"limit is {quoted(limit)}", f"use 1 to {PAGE_LIMIT}")


def cursor_of(kind: str, *key: Any) -> str:
    """The cursor that stands after an item: what is listed, and the item's key."""
    text = json.dumps([kind, *key], ensure_ascii=False, separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def key_of(kind: str, cursor: object, *types: type) -> tuple[Any, ...]:
    """The key a cursor stands after.

    Args:
        kind: what is being listed; a cursor of another list is refused.
        types: of the parts of the key.

    Raises:
        InvalidInput: ``page.cursor_invalid``.
    """
    try:
        if not isinstance(cursor, str):
            raise ValueError
        padded = cursor + "=" * (-len(cursor) % 4)
        held = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
        if not isinstance(held, list) or held[:1] != [kind] or [type(part) for part in held[1:]] != list(types):
            raise ValueError
        for part in held:
            if isinstance(part, str) and b"\0" in part.encode():  # half a surrogate pair cannot be encoded
                raise ValueError
    except (ValueError, binascii.Error, RecursionError):
        raise InvalidInput(
            "page.cursor_invalid", f"after is {quoted(cursor)}", "give the `next` of the page before, unchanged"
        ) from None
    return tuple(held[1:])


def milliseconds_of(moment: datetime) -> int:
    """A time as a part of a key: what MongoDB keeps of it."""
    return round(moment.timestamp() * 1000)


def moment_at(milliseconds: int) -> datetime:
    """The time of a part of a key.

    Raises:
        InvalidInput: ``page.cursor_invalid``.
    """
    try:
        return datetime.fromtimestamp(milliseconds / 1000, UTC)
    except (OverflowError, ValueError, OSError):
        raise InvalidInput("page.cursor_invalid", "after holds no time", "give the `next` of the page before") from None
