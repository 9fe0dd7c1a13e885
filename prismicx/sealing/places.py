"""Where sealed values are: what each place tells of them, and how it brings them under the keys that seal now."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from prismicx.sealing.fields import Field
from prismicx.sealing.values import parse


@dataclass(slots=True)
class Tally:
    """How many values there are, by the key that sealed them.

    Attributes:
        keys: sealed values by the id of their key; None for what looks sealed and is not.
        search: hashes by the id of their key.
        plain: values that are to be sealed and were stored before they were.
    """

    keys: Counter[int | None] = field(default_factory=Counter)
    search: Counter[int] = field(default_factory=Counter)
    plain: int = 0

    def add(self, text: str) -> None:
        """Count a sealed value."""
        sealed = parse(text)
        self.keys[sealed.key_id if sealed is not None else None] += 1
        if sealed is not None and sealed.search_key_id is not None:
            self.search[sealed.search_key_id] += 1


class Place(Protocol):
    """The values of one field of one tenant."""

    @property
    def field(self) -> Field:
        """What is declared of it."""

    async def tally(self) -> Tally:
        """Count the values."""

    async def reseal(self, progress: Callable[[int], None]) -> int:
        """Seal what is plain and what older keys sealed with the keys that seal now; how many values there were.

        It works a batch at a time and skips what is done, so that one that was cut off goes on where it was. A value
        that does not open is left as it is.
        """
