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


def _deep(levels: int) -> Any:
    held: Any = 1
    for _ in range(levels):
        held = {"a": [held]}
    return held


_SPECIAL = (
    "", " padded ", "a\0b", "\udcff", "x" * 300, "x" * 70_000, "$set", "a.b", "‮", 2**63, -(2**64), 10**400,
    float("nan"), float("inf"), b"\xff", uuid.uuid4(), datetime(2026, 1, 1), datetime.max.replace(tzinfo=UTC), {1, 2},
    object(), [], {}, [None], [[1]], (1, 2), {5: 1}, {"$set": 1}, {"": 1}, {"a.b": 1}, {"a\0": 1}, {"\udcff": 1},
    {"a": "\udcff"}, {"a": 2**64}, {"a": float("nan")}, {"a": object()}, {"a": {"$ne": 1}}, {"a": "x" * 70_000},
    _deep(12), _deep(200), [{"name": "a", "value": 10**400}], ["x"] * 2_000,
)  # fmt: skip

odd = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=12), st.sampled_from(_SPECIAL),
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
        str(error).encode()
        return REFUSED
