"""The time, as each engine keeps it."""

from __future__ import annotations

from datetime import UTC, datetime


def utc_now() -> datetime:
    """As the reference's TIMESTAMP columns take it: UTC without a zone."""
    return datetime.now(UTC).replace(tzinfo=None)


def utc_milliseconds() -> datetime:
    """As MongoDB keeps it: aware, UTC, in whole milliseconds."""
    moment = datetime.now(UTC)
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)
