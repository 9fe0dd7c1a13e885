"""The one tree of errors.

Every error carries a stable ``code`` that scripts may rely on, a message that names the input and the
rule, and a ``remedy`` that says what to do. Doors translate the branch of the tree, never the text:

    PrismicXError                      exit 1   something failed
    ├── InvalidInput                   exit 2   the caller's words break a rule
    ├── NotFound                       exit 3   no such thing, or not for this tenant
    ├── Conflict                       exit 4   the thing exists, changed, or is in another state
    ├── Denied                         exit 5   known, but not allowed
    │   └── BoundaryViolation          exit 5   an attempt to leave the scope of a tenant
    └── Unavailable                    exit 6   an engine or a file cannot be used now
"""

from __future__ import annotations

from collections.abc import Sequence

_SHOWN = 10


class PrismicXError(Exception):
    """Something failed.

    Attributes:
        code: stable identifier in the form ``noun.problem``.
        message: what was given and which rule it breaks.
        remedy: what the reader can do about it; may be empty.
    """

    exit_code = 1

    def __init__(self, code: str, message: str, remedy: str = "") -> None:
        super().__init__(code, message, remedy)
        self.code = code
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        text = f"{self.message} [{self.code}]"
        return f"{text}\n  remedy: {self.remedy}" if self.remedy else text


class InvalidInput(PrismicXError):
    """The caller's words break a rule; nothing was changed."""

    exit_code = 2


class NotFound(PrismicXError):
    """There is no such thing, or not within this tenant."""

    exit_code = 3


class Conflict(PrismicXError):
    """The thing exists already, changed meanwhile, or is in a state that forbids this."""

    exit_code = 4


class Denied(PrismicXError):
    """The thing is known and the caller may not have it."""

    exit_code = 5


class BoundaryViolation(Denied):
    """An operation tried to name, reach or change what is outside the tenant's scope."""


class Unavailable(PrismicXError):
    """An engine, a file or a port cannot be used now."""

    exit_code = 6


def quoted(value: object, limit: int = 60) -> str:
    """The caller's value as it may be shown in a message: ASCII-safe, on one line, shortened."""
    try:
        text = ascii(value)
    except RecursionError:
        text = f"a {type(value).__name__} that is nested too deep to be shown"
    except ValueError:  # Python writes no whole number of more than 4,300 digits
        text = f"a {type(value).__name__} with a number too long to be shown"
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def several(texts: Sequence[str], joint: str = "; ") -> str:
    """Some of many texts in one message, and how many more there are."""
    more = len(texts) - _SHOWN
    return joint.join(texts[:_SHOWN]) + (f"{joint}and {more} more" if more > 0 else "")
