"""What is sent is a plain copy of what was checked, whatever it was made of."""

from __future__ import annotations

import re
import uuid
from collections import UserDict, UserList, deque
from datetime import UTC, datetime
from enum import Enum, IntEnum
from typing import Any

import pytest
from bson import SON, Code, Decimal128, Int64, MaxKey, MinKey, ObjectId, Timestamp, decode, encode
from bson.binary import Binary
from bson.codec_options import CodecOptions
from bson.dbref import DBRef
from bson.raw_bson import RawBSONDocument
from bson.regex import Regex
from hypothesis import given
from hypothesis import strategies as st

from prismicx.engines.plain_values import DEPTH, plain
from prismicx.errors import BoundaryViolation, InvalidInput
from prismicx.isolation.attacks_documents import Text, TwoFaced, Written

NOW = datetime(2026, 1, 1, 12, 30, 15, 250000, tzinfo=UTC)


class Colour(str, Enum):  # noqa: UP042
    RED = "red"


class Number(IntEnum):
    ONE = 1


class Moment(datetime):
    """As libraries that hold the time still have."""


leaves = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False), st.text(), st.binary(),
    st.sampled_from([NOW, ObjectId(), Int64(7), Decimal128("1.5"), Timestamp(1, 2), Regex("x"), MinKey(), MaxKey(),
                     Binary(b"x", 4)]),
)  # fmt: skip
names = st.text(st.characters(blacklist_characters="\0$", codec="utf-8"), max_size=4)
documents = st.dictionaries(
    names,
    st.recursive(leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3)),
    max_size=4,
)


@given(documents)
def test_what_mongodb_keeps_stays_as_it_is(document: dict[str, Any]) -> None:
    copy = plain(document, data=True)
    assert encode(copy) == encode(document)
    assert encode(plain(RawBSONDocument(encode(document)), data=True)) == encode(document)


@given(documents)
def test_nothing_of_the_copy_is_the_callers(document: dict[str, Any]) -> None:
    def containers(value: Any) -> set[int]:
        inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        own = {id(value)} if isinstance(value, (dict, list)) else set()
        return own.union(*map(containers, inner))

    assert not containers(plain(document, data=True)) & containers(document)


@pytest.mark.parametrize(
    ("given_value", "expected"),
    [
        (Colour.RED, "red"), (Number.ONE, 1), (Text("x"), "x"), (type("F", (float,), {})(1.5), 1.5),
        (Moment(2026, 1, 1, 12, 30, 15, 250000, tzinfo=UTC), NOW), (type("B", (bytes,), {})(b"x"), b"x"),
        (("a", ("b",)), ["a", ["b"]]), (UserList([UserDict(a=1)]), [{"a": 1}]), (deque([1]), [1]), (range(2), [0, 1]),
        (SON([("b", 1), ("a", 2)]), {"b": 1, "a": 2}), (TwoFaced(a=1), {"a": 1}),
        (DBRef("c", 1, "d"), {"$ref": "c", "$id": 1, "$db": "d"}), ({Text("k"): 1}, {"k": 1}),
    ],
)  # fmt: skip
def test_what_derives_from_a_plain_type_becomes_it(given_value: Any, expected: Any) -> None:
    made = plain(given_value)
    assert made == expected
    assert type(made) is type(expected)
    assert encode({"x": made}) == encode({"x": expected})


def test_something_hung_on_a_value_is_left_behind() -> None:
    hung = Binary(b"x", 0)
    hung._type_marker, hung.raw = 101, encode({"$where": "true"})  # type: ignore[attr-defined, misc]
    assert decode(encode({"x": hung})) == {"x": {"$where": "true"}}, "so the driver writes it"
    assert decode(encode({"x": plain(hung)})) == {"x": b"x"}


@pytest.mark.parametrize(
    "bad", [{1, 2}, object(), bytearray(b"x"), memoryview(b"x"), Written({}), iter([]), 1j, NOW.date(), lambda: 1]
)
def test_what_mongodb_does_not_keep_is_named(bad: Any) -> None:
    with pytest.raises(InvalidInput) as caught:
        plain({"x": [bad]}, data=True)
    assert caught.value.code == "documents.value_invalid"


@pytest.mark.parametrize("bad", [1, None, b"x", "a\0b", ("a",), 1.5])
def test_a_name_is_a_text_without_nul(bad: Any) -> None:
    with pytest.raises(InvalidInput) as caught:
        plain({"x": {bad: 1}}, data=True)
    assert caught.value.code == "documents.key_invalid"


@pytest.mark.parametrize("wrap", [lambda inner: {"a": inner}, lambda inner: [inner], lambda inner: (inner,)])
def test_depth_has_an_end(wrap: Any) -> None:
    deep: Any = 1
    for _ in range(DEPTH):
        deep = wrap(deep)
    plain(deep)
    for more in (1, 5000):
        for _ in range(more):
            deep = wrap(deep)
        with pytest.raises(InvalidInput) as caught:
            plain(deep)
        assert caught.value.code == "documents.too_deep"


@pytest.mark.parametrize("data", [False, True])
def test_javascript_is_refused_as_a_value_too(data: bool) -> None:
    for script in (Code("function() {}"), Code("function() {}", {"x": 1})):
        with pytest.raises(BoundaryViolation):
            plain({"x": script}, data=data)


def test_names_of_operators_are_names_in_data() -> None:
    for name in ("$where", "$function", "$accumulator", "$_internalJsEmit"):
        assert plain({"x": {name: 1}}, data=True) == {"x": {name: 1}}
        with pytest.raises(BoundaryViolation):
            plain({"x": [{name: 1}]})
    assert plain({"x": "$$USER_ROLES"}, data=True) == {"x": "$$USER_ROLES"}
    for variable in ("$$USER_ROLES", "$$USER_ROLES.role", Text("$$USER_ROLES")):
        with pytest.raises(BoundaryViolation):
            plain({"$expr": {"$ne": [variable, 1]}})


def test_expressions_keep_their_form() -> None:
    pattern = re.compile("^x", re.IGNORECASE)
    given_filter = {"$expr": {"$eq": ["$$NOW", "$$ROOT.a"]}, "a": pattern, "b": {"$in": [pattern]}}
    assert plain(given_filter) == given_filter
    native = uuid.uuid4()
    options: CodecOptions[Any] = CodecOptions(uuid_representation=4)
    assert encode({"x": plain(native)}, codec_options=options) == encode({"x": native}, codec_options=options)
