"""Texts that must not be shown, and errors without what drivers keep in their frames."""

from __future__ import annotations

from typing import TypeVar

MASK = "********"

E = TypeVar("E", bound=BaseException)


class Secret(str):
    """A text that shows itself masked where objects are shown: in reprs, dumps of local variables, and messages that
    quote with ``repr``. Written out by ``str`` and in URLs it is the text itself."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"'{MASK if self else ''}'"


def without_frames(error: E) -> E:
    """The error of a driver, and those that led to it, without tracebacks: reports that hold local variables would
    print the logins that the driver's functions were called with."""
    seen: set[int] = set()
    pending: list[BaseException | None] = [error]
    while pending:
        one = pending.pop()
        if one is not None and id(one) not in seen:
            seen.add(id(one))
            one.__traceback__ = None
            pending += [one.__cause__, one.__context__]
    return error
