"""Values nobody should give, for the tests that give them everywhere."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

from hypothesis import strategies as st

from prismicx import PrismicXError

REFUSED = object()
"""What `tried` gives for an operation that was refused."""


class _Deep(dict[str, Any]):
    """A document with so many levels below it; Hypothesis could not show a plain one, and would hide what failed."""

    def __init__(self, levels: int) -> None:
        held: Any = 1
        for _ in range(levels - 1):
            held = {"a": [held]}
        super().__init__(a=[held])
        self._levels = levels

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(f"_Deep({self._levels})")


_SPECIAL = (
    "", " padded ", "a\0b", "\udcff", "a\ud800", "x" * 300, "x" * 20_000, "x" * 70_000, "$set", "a.b", "‮",
    "' OR 1=1 --", "pxsealed:1:x", 2**31, 2**63, -(2**64), 10**400, 10**5_000, -(10**4_300), 1e308, float("nan"),
    float("inf"), b"\xff", uuid.uuid4(), datetime(2026, 1, 1), datetime.max.replace(tzinfo=UTC), {1, 2}, object(), [],
    {}, [None], [[1]], (1, 2), {5: 1}, {"$set": 1}, {"$ne": "a"}, {"": 1}, {"a.b": 1}, {"a\0": 1}, {"\udcff": 1},
    {"a": "\udcff"}, {"a": "\0"}, {"a": b"x"}, {"a": 2**64}, {"a": 10**5_000}, {"a": float("nan")}, {"a": object()},
    {"a": {"$ne": 1}}, {"a": "x" * 70_000}, {"private": "a"}, {"private": "pxsealed:x"}, _Deep(12), _Deep(200),
    _Deep(2_000), [{"name": "a", "value": 10**400}], ["x"] * 2_000,
)  # fmt: skip

odd = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20), st.binary(max_size=3),
    st.sampled_from(_SPECIAL),
    st.lists(st.one_of(st.none(), st.integers(), st.text(max_size=3)), max_size=2),
    st.dictionaries(st.text(max_size=3), st.one_of(st.none(), st.booleans(), st.text(max_size=3)), max_size=2),
)  # fmt: skip


def some(**fields: Any) -> Any:
    """Any of the fields, each odd unless it is given a strategy."""
    strategies = {name: odd if strategy is None else strategy for name, strategy in fields.items()}
    return st.fixed_dictionaries({}, optional=strategies)


async def tried(call: Callable[[], Awaitable[Any]]) -> Any:
    """What an operation gives, or `REFUSED`: then by an error of the tree with words that can be shown."""
    try:
        return await call()
    except PrismicXError as error:
        assert error.code.count(".") == 1
        assert error.message
        assert str(error).isprintable() or "\n" in str(error)
        str(error).encode()
        return REFUSED


async def refused(work: Awaitable[object]) -> bool:
    """Whether it was refused; see `tried`."""

    async def call() -> object:
        return await work

    return await tried(call) is REFUSED
