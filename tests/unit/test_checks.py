"""What comes from outside is stored as it was given, or refused with its name."""

from __future__ import annotations

import io
import json
import uuid
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prismicx.checks import (
    check_changes,
    check_document,
    check_file,
    check_id,
    check_json,
    check_moment,
    check_object,
    check_text,
)
from prismicx.errors import InvalidInput, quoted, several

anything = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.binary(max_size=3), st.dates()),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.one_of(st.text(max_size=3), st.integers()), inner, max_size=3),
        st.sets(st.integers(), max_size=2),
    ),
    max_leaves=10,
)


@given(anything)
def test_json_is_what_was_given_or_refused(value: Any) -> None:
    try:
        text = check_json("a.b", "it", value)
    except InvalidInput as error:
        assert error.code == "a.b"
        assert error.message.startswith("it ")
        return
    assert json.loads(text) == value
    assert "\0" not in text
    assert "\\u0000" not in text
    assert len(text.encode()) <= 16 * 1024


@pytest.mark.parametrize(
    ("value", "word"),
    [
        ("a\0b", "NUL"),
        ({"\0": 1}, "NUL"),
        ("\ud800", "surrogate"),
        (float("nan"), "nan"),
        ([float("inf")], "inf"),
        ({1: 2}, "no text"),
        ({"a": b"x"}, "bytes"),
        ([10**4_300], "4,300 digits"),
        ([-(10**5_000)], "4,300 digits"),
        ("x" * 20_000, "20,002 bytes"),
        ("ä" * 9_000, "18,002 bytes"),
    ],
)
def test_json_that_would_not_come_back_is_refused(value: Any, word: str) -> None:
    with pytest.raises(InvalidInput, match=word):
        check_json("a.b", "it", value)


def test_depth_is_bounded() -> None:
    deep: Any = 1
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(InvalidInput, match="deep"):
        check_json("a.b", "it", deep)


@pytest.mark.parametrize("value", [None, 1, "x", [1], {1}])
def test_an_object_is_a_mapping(value: Any) -> None:
    with pytest.raises(InvalidInput):
        check_object("a.b", "it", value)


@given(st.one_of(st.text(max_size=12), st.integers(), st.none(), st.binary(max_size=3)))
def test_text_is_kept_as_it_is(value: Any) -> None:
    try:
        kept = check_text("a.b", "it", value, 10)
    except InvalidInput:
        assert (
            not isinstance(value, str)
            or not 0 < len(value) <= 10
            or "\0" in value
            or value != value.strip()
            or any(0xD800 <= ord(c) < 0xE000 for c in value)
        )
        return
    assert kept == value


def test_ids() -> None:
    key = uuid.uuid4()
    assert check_id("a.b", "it", key) == check_id("a.b", "it", str(key)) == key
    for wrong in ("", "x", 1, None, b"0" * 16, {"$ne": ""}, str(key) + "0"):
        with pytest.raises(InvalidInput):
            check_id("a.b", "it", wrong)


def test_a_moment_is_aware_and_comes_in_utc() -> None:
    east = timezone(timedelta(hours=5))
    assert check_moment("x.y", "since", datetime(2026, 1, 1, 5, tzinfo=east)) == datetime(2026, 1, 1, tzinfo=UTC)
    for wrong in (datetime(2026, 1, 1), datetime(1, 1, 1, tzinfo=east), "2026-01-01", 5, None):
        with pytest.raises(InvalidInput) as caught:
            check_moment("x.y", "since", wrong)
        assert caught.value.code == "x.y"


def test_what_is_nested_too_deep_to_be_shown_is_refused_all_the_same() -> None:
    deep: list[object] = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(InvalidInput) as caught:
        check_text("x.y", "name", deep, 10)
    assert "list" in caught.value.message


@given(st.text(max_size=8), st.integers(1, 12))
def test_a_file_is_read_as_far_as_it_may_be(text: str, limit: int) -> None:
    source = io.StringIO(text, newline="")
    try:
        assert check_file("a.b", source, limit) == text
    except InvalidInput as error:
        assert str(limit) in error.message
        assert len(text.encode(errors="surrogatepass")) > limit
        assert source.tell() <= limit + 1
    else:
        assert len(text.encode(errors="surrogatepass")) <= limit


def test_the_longest_number_comes_back() -> None:
    for value in (10**4_300 - 1, -(10**4_300) + 1):
        assert json.loads(check_json("a.b", "it", value)) == value


@pytest.mark.parametrize("value", [[10**5_000], {"a": -(10**5_000)}, (1, [10**5_000])])
def test_a_number_too_long_to_be_shown_is_refused_all_the_same(value: Any) -> None:
    assert "too long to be shown" in quoted(value)
    for check in (check_id, check_moment, check_object):
        with pytest.raises(InvalidInput):
            check("x.y", "it", value)


def test_a_number_that_mongodb_does_not_store_is_refused_and_not_told() -> None:
    check_document("x.y", "it", {"pin": 2**63 - 1})
    for pin in (2**63, -(2**63) - 1):
        with pytest.raises(InvalidInput, match="more than 64 bits") as caught:
            check_document("x.y", "it", {"a": [{"pin": pin}]})
        assert str(pin) not in str(caught.value)


@pytest.mark.parametrize(("name", "word"), [("", "an empty name"), ("$ne", "without \\$ before them")])
def test_a_name_that_mongodb_does_not_take_is_told_as_what_it_is(name: str, word: str) -> None:
    with pytest.raises(InvalidInput, match=word):
        check_document("x.y", "it", {"a": [{name: 1}]})


def test_several_are_told_and_how_many_more() -> None:
    assert several([]) == ""
    assert several(["a", "b"]) == "a; b"
    assert several([str(n) for n in range(10)], ", ") == "0, 1, 2, 3, 4, 5, 6, 7, 8, 9"
    assert several([str(n) for n in range(12)]) == "0; 1; 2; 3; 4; 5; 6; 7; 8; 9; and 2 more"


def test_a_change_of_what_cannot_be_changed_is_named() -> None:
    check_changes("x.y", {"name": 1}, {"name", "role"})
    with pytest.raises(InvalidInput, match="'id' cannot be changed"):
        check_changes("x.y", {"name": 1, "id": 2}, {"name", "role"})
