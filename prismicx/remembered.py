"""Answers kept for a bounded time, so that not every operation asks an engine first."""

from __future__ import annotations

import time
from collections import OrderedDict
from typing import Generic, TypeVar

Key = TypeVar("Key")
Answer = TypeVar("Answer")


class Remembered(Generic[Key, Answer]):
    """Answers by key, each trusted for so many seconds from when it was asked for; the oldest go when they are many."""

    def __init__(self, seconds: float, limit: int = 10_000) -> None:
        self._seconds = seconds
        self._limit = limit
        self._held: OrderedDict[Key, tuple[float, Answer]] = OrderedDict()

    def get(self, key: Key) -> Answer | None:
        """The answer, or None when there is none that may still be trusted."""
        held = self._held.get(key)
        return held[1] if held is not None and held[0] > time.monotonic() else None

    def keep(self, key: Key, answer: Answer, asked: float) -> None:
        """Keep an answer to a question that was put at ``asked``, a `time.monotonic`."""
        self._held[key] = (asked + self._seconds, answer)
        self._held.move_to_end(key)
        if len(self._held) > self._limit:
            self._held.popitem(last=False)

    def forget(self, key: Key) -> None:
        """Ask anew next time."""
        self._held.pop(key, None)
