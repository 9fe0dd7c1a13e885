"""The time, as each engine keeps it."""

from __future__ import annotations

import asyncio
import random
from datetime import UTC, datetime


def utc_now() -> datetime:
    """As the reference's TIMESTAMP columns take it: UTC without a zone."""
    return datetime.now(UTC).replace(tzinfo=None)


def utc_milliseconds() -> datetime:
    """As MongoDB keeps it: aware, UTC, in whole milliseconds."""
    moment = datetime.now(UTC)
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


async def give_way(attempt: int) -> None:
    """Wait a little, longer with every attempt and not as long as the others do, before trying again what somebody
    else was faster with."""
    await asyncio.sleep(random.uniform(0, 0.003 * (attempt + 1)))  # noqa: S311
