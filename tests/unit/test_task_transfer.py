"""Files of tasks: each payload, or the line that is wrong."""

from __future__ import annotations

import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prismicx import InvalidInput
from prismicx.tasks import transfer
from prismicx.tasks.transfer import read_tasks
from prismicx.tasks.values import NewTask


def read(text: str, **more: object) -> list[NewTask]:
    return read_tasks(io.StringIO(text, newline=""), **{"service": "s", "type": "t", **more})  # type: ignore[arg-type]


payload = st.dictionaries(
    st.sampled_from(["a", "b", "\u2028"]), st.none() | st.integers(0, 9) | st.sampled_from(["\u2028"])
)


@given(st.lists(st.tuples(payload, st.sampled_from(["\n", "\r\n", "\n\n", "\n \n"]))))
def test_a_line_is_a_payload(lines: list[tuple[dict[str, object], str]]) -> None:
    text = "".join(json.dumps(held, ensure_ascii=False) + end for held, end in lines)
    assert [task.payload for task in read(text)] == [held for held, _ in lines]


@pytest.mark.parametrize(
    "wrong", ["{", "[1]", "5", '{"a": NaN}', '{"$a": 1}', '{"a": 99999999999999999999}', "[" * 99_999]
)
def test_the_line_that_is_wrong_is_named(wrong: str) -> None:
    with pytest.raises(InvalidInput, match="line 3") as caught:
        read(f'{{"a": 1}}\n\n{wrong}\n{{"a": 2}}\n')
    assert caught.value.code == "task.file_invalid"


def test_what_all_have_is_no_matter_of_a_line() -> None:
    for more in ({"service": ""}, {"type": 5}, {"priority": "high"}):
        with pytest.raises(InvalidInput) as caught:
            read("{}\n", **more)
        assert caught.value.code == "task.invalid"
    with pytest.raises(InvalidInput, match=r"line 2.*secret"):
        read('{"key": 1}\n{}\n', secret=["key"])


def test_a_file_has_so_many_bytes_and_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer, "TASKS_LIMIT", 3)
    assert len(read("{}\n" * 3 + "\n\n")) == 3
    with pytest.raises(InvalidInput, match="more than 3 tasks"):
        read("{}\n" * 4)
    monkeypatch.setattr(transfer, "FILE_LIMIT", 8)
    with pytest.raises(InvalidInput, match="more than 8 bytes"):
        read("{}\n" * 3)
