"""Versions of what is kept: the time of its last change, so that a change made to what it was is noticed."""

from __future__ import annotations

from datetime import datetime

from prismicx.errors import quoted

_FORM = "%Y%m%dT%H%M%S%f"


def version_of(moment: datetime) -> str:
    """The version of what was changed last at a time; every change has a later one, see `prismicx.clock`."""
    return moment.strftime(_FORM)


def moment_of(version: object) -> datetime | None:
    """The time of a version; None when it is none, which nothing has."""
    if not isinstance(version, str):
        return None
    try:
        return datetime.strptime(version + "+0000", f"{_FORM}%z")
    except ValueError:
        return None


def stale(what: str, held: str, expected: object) -> tuple[str, str]:
    """What is said, and advised, of something that has another version than the one changes were made to."""
    return (
        f"{what} has the version {held}, not {quoted(expected)}",
        "read it again, and make the changes to what it is now",
    )
