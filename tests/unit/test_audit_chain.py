"""The chain of hashes: whatever is done to a row is found, and the first broken row is named."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from prismicx.audit.chain import COLUMNS, START, Walk, first_broken, hash_of

Row = dict[str, Any]

WORDS = st.one_of(st.none(), st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8))
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8)
MOMENTS = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1))
CONTENTS = st.fixed_dictionaries(
    {
        "recorded_at": MOMENTS, "door": TEXTS, "actor": TEXTS, "operation": TEXTS, "tenant_id": WORDS, "subject": WORDS,
        "outcome": TEXTS, "code": WORDS, "begun": st.one_of(st.none(), st.integers(1, 99)), "details": TEXTS,
    }
)  # fmt: skip
CHAINS = st.lists(CONTENTS, min_size=1, max_size=8).map(lambda contents: chained(contents))


def chained(contents: list[Row]) -> list[Row]:
    rows, before = [], START
    for sequence, content in enumerate(contents, 1):
        row = {"sequence": sequence, **content, "previous_hash": before}
        before = row["hash"] = hash_of(row)
        rows.append(row)
    return rows


def other_than(value: Any) -> Any:
    if value is None:
        return "x"
    if isinstance(value, datetime):
        return value + timedelta(microseconds=1)
    return value + 1 if isinstance(value, int) else value + "x"


@given(CHAINS)
def test_a_chain_as_it_was_written_is_unbroken(rows: list[Row]) -> None:
    walk = Walk()
    assert [walk.take(row) for row in rows] == [None] * len(rows)
    assert walk.end(len(rows), rows[-1]["hash"]) is None
    assert walk.rows == len(rows)


@given(CHAINS, st.data())
def test_any_column_of_any_row_that_changes_is_found_at_that_row(rows: list[Row], data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(rows) - 1))
    column = data.draw(st.sampled_from([name for name in (*COLUMNS, "hash") if name != "sequence"]))
    rows[place] = {**rows[place], column: other_than(rows[place][column])}
    broken = first_broken(rows)
    assert broken is not None
    assert (broken.sequence, broken.kind) == (place + 1, "changed")


@given(CHAINS, st.data())
def test_a_null_is_not_an_empty_text_nor_a_dash(rows: list[Row], data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(rows) - 1))
    column = data.draw(st.sampled_from(["tenant_id", "subject", "code"]))
    for value in {None, "", "-"} - {rows[place][column]}:
        broken = first_broken([*rows[:place], {**rows[place], column: value}, *rows[place + 1 :]])
        assert broken is not None
        assert broken.sequence == place + 1


@given(CHAINS, st.data())
def test_what_moves_from_one_column_to_the_next_is_found(rows: list[Row], data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(rows) - 1))
    row = rows[place]
    if row["door"]:
        moved = {**row, "door": row["door"][:-1], "actor": row["door"][-1] + row["actor"]}
        broken = first_broken([*rows[:place], moved, *rows[place + 1 :]])
        assert broken is not None
        assert broken.sequence == place + 1


@given(CHAINS, st.data())
def test_a_row_exchanged_with_its_hash_is_found_at_the_link_after_it(rows: list[Row], data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(rows) - 1))
    forged = {**rows[place], "actor": rows[place]["actor"] + "x"}
    forged["hash"] = hash_of(forged)
    walk = Walk()
    found = [walk.take(row) for row in [*rows[:place], forged, *rows[place + 1 :]][: place + 2]]
    broken = found[-1] or walk.end(len(rows), rows[-1]["hash"])
    assert broken is not None
    assert broken.kind == ("unlinked" if place + 1 < len(rows) else "head")
    assert broken.sequence == min(place + 2, len(rows))


@given(CHAINS, st.data())
def test_rows_that_are_missing_are_named(rows: list[Row], data: st.DataObject) -> None:
    begin = data.draw(st.integers(0, len(rows) - 1))
    end = data.draw(st.integers(begin + 1, len(rows)))
    walk = Walk()
    found = [walk.take(row) for row in [*rows[:begin], *rows[end : end + 1]]]
    broken = (found[-1] if found else None) or walk.end(len(rows), rows[-1]["hash"])
    assert broken is not None
    assert broken.sequence == begin + 1
    assert broken.kind == ("missing" if end < len(rows) else "head")


@given(CHAINS, st.data())
def test_rows_that_are_written_in_another_order_are_found(rows: list[Row], data: st.DataObject) -> None:
    if len(rows) > 1:
        first = data.draw(st.integers(0, len(rows) - 2))
        second = data.draw(st.integers(first + 1, len(rows) - 1))
        rows[first], rows[second] = rows[second], rows[first]
        broken = first_broken(rows)
        assert broken is not None
        assert broken.sequence == first + 1
        # With places of the other, too, as an UPDATE of both would leave them.
        for place in (first, second):
            rows[place] = {**rows[place], "sequence": place + 1}
        broken = first_broken(rows)
        assert broken is not None
        assert (broken.sequence, broken.kind) == (first + 1, "changed")


@given(CHAINS, CONTENTS, st.data())
def test_a_row_put_between_is_found(rows: list[Row], content: Row, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(rows) - 1))
    before = rows[place - 1]["hash"] if place else START
    planted = {"sequence": place + 1, **content, "previous_hash": before}
    planted["hash"] = hash_of(planted)
    shifted = [{**row, "sequence": row["sequence"] + 1} for row in rows[place:]]
    broken = first_broken([*rows[:place], planted, *shifted])
    assert broken is not None
    assert broken.sequence == place + 2
    doubled = first_broken([*rows[:place], planted, *rows[place:]])
    assert doubled is not None
    assert (doubled.sequence, doubled.kind) == (place + 1, "order")


@given(CHAINS)
def test_rows_added_beyond_the_end_are_found(rows: list[Row]) -> None:
    walk = Walk()
    for row in rows:
        walk.take(row)
    broken = walk.end(len(rows) - 1, rows[-1]["previous_hash"])
    assert broken is not None
    assert (broken.sequence, broken.kind) == (len(rows), "head")


@given(CONTENTS, CONTENTS)
def test_rows_that_differ_have_hashes_that_differ(one: Row, other: Row) -> None:
    fixed = {"sequence": 1, "previous_hash": START}
    assert (hash_of({**one, **fixed}) == hash_of({**other, **fixed})) == (one == other)
