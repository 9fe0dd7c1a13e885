"""The time, as each engine keeps it."""

from __future__ import annotations

import asyncio
import random
from datetime import UTC, datetime, timedelta


def utc_now(*, after: datetime | None = None) -> datetime:
    """As the reference's TIMESTAMP columns take it: UTC without a zone.

    Args:
        after: an aware time; what is given is at least a microsecond later, however the clock was set.
    """
    moment = datetime.now(UTC)
    if after is not None:
        moment = max(moment, after + timedelta(microseconds=1))
    return moment.replace(tzinfo=None)


def utc_milliseconds(*, after: datetime | None = None) -> datetime:
    """As MongoDB keeps it: aware, UTC, in whole milliseconds.

    Args:
        after: such a time; what is given is at least a millisecond later, however the clock was set.
    """
    moment = datetime.now(UTC)
    moment = moment.replace(microsecond=moment.microsecond // 1000 * 1000)
    return moment if after is None else max(moment, after + timedelta(milliseconds=1))


async def give_way(attempt: int) -> None:
    """Wait a little, longer with every attempt and not as long as the others do, before trying again what somebody
    else was faster with."""
    await asyncio.sleep(random.uniform(0, 0.003 * (attempt + 1)))  # noqa: S311
