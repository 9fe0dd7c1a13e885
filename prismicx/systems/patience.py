"""Waiting for a lock without standing in anybody's way: give up soon, try again later."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

import asyncpg

T = TypeVar("T")

PASSING = (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError, asyncpg.SerializationError)
"""What another transaction causes and its end mends."""

FIRST, LONGEST = 0.03, 1.0
"""Seconds of the first pause before another try, and of the longest."""


async def patiently(work: Callable[[], Awaitable[T]], seconds: float) -> T:
    """Do the work; when another transaction is in its way, do the whole of it again after a while, each time a longer
    one, give or take a half, so that those who wait do not come back together.

    Raises:
        asyncpg.PostgresError: of the last attempt, when the time was not enough.
    """
    end, pause = time.monotonic() + seconds, FIRST
    while True:
        try:
            return await work()
        except PASSING:
            if time.monotonic() >= end:
                raise
        # Reason enough for a pseudo-random number: nobody gains by guessing it.
        await asyncio.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311
        pause = min(pause * 2, LONGEST)
