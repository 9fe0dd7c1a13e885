"""Differences of shapes, by object and aspect, without those that follow from a greater one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prismicx.systems.differences import Difference, differences, table_of
from prismicx.systems.shape import Fact, Shape

TABLE = [
    Fact("table", "contacts", "definition", "table"),
    Fact("table", "contacts", "columns", 'id, "E,mail"'),
    Fact("column", "contacts.id", "type", "uuid"),
    Fact("column", "contacts.id", "required", "yes"),
    Fact("column", 'contacts."E,mail"', "type", "text"),
    Fact("index", "contacts.by_mail", "definition", "CREATE INDEX by_mail"),
]


def shape(*facts: Fact) -> Shape:
    return Shape("", tuple(sorted(facts)))


def test_a_missing_table_is_one_difference() -> None:
    assert differences(shape(*TABLE), shape()) == [Difference("table", "contacts", "missing", "", "table", "")]
    assert differences(shape(), shape(*TABLE)) == [Difference("table", "contacts", "extra", "", "", "table")]


def test_a_column_is_told_in_words() -> None:
    rest = [fact for fact in TABLE if fact.object != "contacts.id" and fact.aspect != "columns"]
    found = shape(*rest, Fact("table", "contacts", "columns", '"E,mail"'))
    assert differences(shape(*TABLE), found) == [
        Difference("column", "contacts.id", "missing", "", "uuid, required", "")
    ]


def test_an_aspect_is_told_of_both_sides() -> None:
    found = shape(*[fact._replace(value="integer") if fact.value == "uuid" else fact for fact in TABLE])
    (difference,) = differences(shape(*TABLE), found)
    assert difference == Difference("column", "contacts.id", "changed", "type", "uuid", "integer")
    assert str(difference) == "column contacts.id has another type: expected uuid, found integer"


def test_the_order_is_that_of_common_columns() -> None:
    found = shape(*[fact._replace(value='"E,mail", id') if fact.aspect == "columns" else fact for fact in TABLE])
    (difference,) = differences(shape(*TABLE), found)
    assert (difference.aspect, difference.expected, difference.found) == ("columns", 'id, "E,mail"', '"E,mail", id')


@pytest.mark.parametrize(
    ("name", "table"), [("a.b", "a"), ('"a.b".c', '"a.b"'), ('"a"".b"."c.d"', '"a"".b"'), ("alone", "alone")]
)
def test_the_table_of_a_name(name: str, table: str) -> None:
    assert table_of(name) == table


facts = st.builds(
    Fact, st.sampled_from(["table", "column", "index"]), st.sampled_from(["a", "a.b", "c.d"]),
    st.sampled_from(["definition", "type", "comment"]), st.text(min_size=1, max_size=3),
)  # fmt: skip


@given(st.lists(facts, unique_by=lambda fact: fact[:3]))
def test_a_shape_does_not_differ_from_itself(held: list[Fact]) -> None:
    assert differences(shape(*held), shape(*held)) == []
