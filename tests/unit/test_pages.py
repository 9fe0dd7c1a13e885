"""Cursors come back as they went out, and nothing else is taken for one."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prismicx.errors import InvalidInput
from prismicx.pages import check_limit, cursor_of, key_of

plain = st.text(alphabet=st.characters(exclude_characters="\0", exclude_categories=["Cs"]))


@given(plain, st.integers())
def test_a_cursor_gives_its_key_back(text: str, number: int) -> None:
    assert key_of("users", cursor_of("users", text, number), str, int) == (text, number)


@given(st.one_of(st.text(), st.binary(), st.integers(), st.none()))
def test_nothing_else_is_a_cursor(value: Any) -> None:
    with pytest.raises(InvalidInput) as caught:
        key_of("users", value, str)
    assert caught.value.code == "page.cursor_invalid"


@pytest.mark.parametrize(
    "cursor",
    [
        cursor_of("tasks", "x"),
        cursor_of("users"),
        cursor_of("users", 1),
        cursor_of("users", "x", "y"),
        cursor_of("users", {"$ne": ""}),
        cursor_of("users", "a\0"),
    ],
)
def test_a_cursor_of_another_list_is_refused(cursor: str) -> None:
    with pytest.raises(InvalidInput):
        key_of("users", cursor, str)


@pytest.mark.parametrize("limit", [0, -1, 1001, True, "1", None, 1.0])
def test_limits(limit: Any) -> None:
    with pytest.raises(InvalidInput):
        check_limit(limit)


def test_a_cursor_holds_text_that_can_be_sent() -> None:
    for part in ("\ud800", "a\0b"):
        text = json.dumps(["users", part])
        cursor = base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")
        with pytest.raises(InvalidInput) as caught:
            key_of("users", cursor, str)
        assert caught.value.code == "page.cursor_invalid"
