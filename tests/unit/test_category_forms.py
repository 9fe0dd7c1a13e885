"""Files of categories: what is read, and what is refused with its place."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prismicx.categories.forms import FORMATS, parse, write
from prismicx.categories.values import Category
from prismicx.errors import InvalidInput, PrismicXError


def shape(text: str, **options: Any) -> list[tuple[str | None, int | None, str]]:
    return [(node.key, node.parent, node.name) for node in parse(text, **options)]


EXPECTED = [("1", None, "Cars"), ("2", 0, "Vans"), ("3", None, "Food")]


@pytest.mark.parametrize(
    "text",
    [
        "id,parent,name\n2,1,Vans\n1,,Cars\n3,,Food\n",
        '[{"id": 1, "name": "Cars", "children": [{"id": "2", "name": "Vans"}]}, {"id": "3", "name": "Food"}]',
        '[{"id": "2", "parent": 1, "name": "Vans"}, {"id": "1", "name": "Cars"}, {"id": "3", "name": "Food"}]',
        "Unique ID\tParent\tName\tTier 1\tTier 2\n1\t\tCars\tCars\t\n2\t1\tVans\tCars\tVans\n3\t\tFood\tFood\t\n",
        "Relational ID System\t\t\tTiered\nUnique ID\tParent\tName\tTier 1\n1\t\tCars\tCars\n2\t1\tVans\n3\t\tFood\n",
        "\N{ZERO WIDTH NO-BREAK SPACE}Unique ID,Parent,Name\n1,,Cars\n2,1,Vans\n3,,Food\n\n",
        '[{"id": "1", "label": "Cars", "path": ["Cars"], "scd": false}, '
        '{"id": "2", "label": "Vans", "path": ["Cars", "Vans"]}, {"id": "3", "label": "Food", "path": ["Food"]}]',
    ],
)
def test_every_form_is_found_out_and_read(text: str) -> None:
    assert shape(text) == EXPECTED


def test_names_hold_anything() -> None:
    name = 'a,"b"\tc — ä\u2028d'
    assert shape(json.dumps([{"name": name}])) == [(None, None, name)]
    assert shape('name\n"a,""b""\tc — ä\u2028d"\n') == [(None, None, name)]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("id,name\n1,a\n1,b\n", "line 3 is called '1' as line 2 is"),
        ("id,parent,name\n1,2,a\n2,1,b\n", "below themselves"),
        ("id,parent,name\n1,9,a\n", "line 2 is below '9', which the file does not have"),
        ("name\na\na\n", "line 3 has the name 'a' beside line 2"),
        ("name\n a\n", "line 2: name is ' a'"),
        ("name,colour\na,b\n", "line 1 has the column 'colour'"),
        ("id\n1\n", "line 1 has no column name"),
        ("name,id\na\n", "line 2 has not as many fields"),
        ('name,attributes\na,"{"\n', "line 2 has attributes that are no JSON"),
        ('name\n"a\n', "line 2 is no CSV"),
        ("", "line 1 has no column name"),
        ("[{]", "no JSON"),
        ("[" * 100_000, "no JSON"),
        ('{"name": "a"}', "the file holds {'name': 'a'}"),
        ('[{"name": "a", "children": 5}]', "item 1 holds 5"),
        ('[{"name": "a", "colour": 5}]', "item 1 is"),
        ('[{"name": "a", "id": 1.5}]', "item 1 has the id 1.5"),
        ('[{"id": 1, "name": "a", "children": [{"name": "b", "parent": 1}]}]', "item 1.1 has a parent"),
        ('[{"name": "a", "children": [{"name": "\\u0000"}]}]', "item 1.1: name"),
        ('[{"label": "a", "path": ["b", "a"]}]', "item 1 is below ('b',), which the file does not have"),
        ("Unique ID\tName\n1\ta\n", "no column parent"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(text: str, words: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse(text)
    assert caught.value.code == "category.file_invalid"
    assert words in caught.value.message


def test_a_column_makes_the_form_not_a_word() -> None:
    assert shape("name,description\nUnique ideas,hi\nunique id cards,x\n") == [
        (None, None, "Unique ideas"), (None, None, "unique id cards"),
    ]  # fmt: skip


@pytest.mark.parametrize("form", FORMATS)
def test_what_is_written_is_read(form: Any) -> None:
    moment = datetime(2026, 1, 1, tzinfo=UTC)

    def category(key: str, parent: str | None, name: str, source: str | None, text: str | None = None) -> Category:
        above = () if parent is None else (parent,)
        return Category(key, name, text, parent, (), above, source, moment, None)

    # What one was called by an import is the id of another, and a value holds every kind of line's end.
    held = [
        category("a", None, "a\rb", "b"),
        category("b", "a", "c\nd", "x", "one\r\ntwo"),
        category("c", None, "e", "a"),
    ]
    found = parse(write(held, form), form)
    assert [(node.parent, node.name) for node in found] == [(None, "a\rb"), (0, "c\nd"), (None, "e")]
    assert form == "iab" or found[1].description == "one\r\ntwo"


@pytest.mark.parametrize(
    "text",
    ["name\n" + "\n".join(f"n{n}" for n in range(6_001)), f"[{','.join(['1'] * 1_000_000)}]"],
    ids=["csv", "json"],
)
def test_a_file_has_so_many_categories(text: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse(text)
    assert caught.value.code == "category.file_invalid"
    assert "more than 6,000" in caught.value.message


@given(text=st.text(), form=st.sampled_from([None, *FORMATS]))
def test_any_text_is_read_or_refused(text: str, form: Any) -> None:
    try:
        nodes = parse(text, form)
    except PrismicXError as error:
        assert error.code == "category.file_invalid"
        return
    assert all(node.parent is None or node.parent < place for place, node in enumerate(nodes))


fields = st.sampled_from(["id", "name", "children", "parent", "path", "label", "attributes"])
some_json = st.recursive(
    st.none() | st.booleans() | st.text() | st.integers(),
    lambda inner: st.lists(inner) | st.dictionaries(fields, inner),
)


@given(held=some_json)
def test_any_json_is_read_or_refused(held: Any) -> None:
    try:
        parse(json.dumps([held]))
    except PrismicXError as error:
        assert error.code == "category.file_invalid"
