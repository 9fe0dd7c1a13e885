"""Tasks through the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.conftest import Prismicx

TENANT = ("--tenant", "busy")
KIND = ("--service", "mailer", "--type", "welcome")
NOBODY = "00000000-0000-0000-0000-000000000000"


@pytest.fixture(scope="module", autouse=True)
def tenant(prismicx: Prismicx) -> None:
    prismicx("tenant", "create", "busy", "--name", "Busy", "--isolation", "shared")


def test_a_task_from_the_queue_and_back(prismicx: Prismicx) -> None:
    def task(verb: str, *words: str) -> Any:
        return prismicx.json("task", verb, *words, *TENANT)

    made = task("enqueue", *KIND, "--payload", '{"to": "ada"}', "--priority", "5")
    assert (made["status"], made["priority"], made["payload"]) == ("pending", 5, {"to": "ada"})
    assert task("show", made["task_id"]) == made
    assert task("cancel", made["task_id"])["status"] == "cancelled"
    assert prismicx.error("task", "cancel", made["task_id"], *TENANT, code=4)["code"] == "task.transition"
    assert task("retry", made["task_id"])["status"] == "pending"
    assert task("enqueue", "--service", "cleaner", "--type", "sweep")["payload"] == {}
    page = task("list", "--limit", "1")
    assert [item["task_id"] for item in page["tasks"]] == [made["task_id"]]
    rest = task("list", "--after", page["next"])
    assert [item["service"] for item in rest["tasks"]] == ["cleaner"]
    assert rest["next"] is None
    assert task("stats") == {"sweep": {"pending": 1}, "welcome": {"pending": 1}}


def test_what_is_sealed_is_found_by_its_value(prismicx: Prismicx) -> None:
    payload = '{"iban": "DE02120300000000202051", "n": 1}'
    made = prismicx.json("task", "enqueue", *KIND, "--payload", payload, "--secret", "iban", *TENANT)
    for iban, found in (("DE02120300000000202051", [made["task_id"]]), ("DE0", [])):
        page = prismicx.json("task", "list", "--secret", json.dumps({"iban": iban}), *TENANT)
        assert [item["task_id"] for item in page["tasks"]] == found


def test_many_are_read_from_a_file(prismicx: Prismicx, tmp_path: Path) -> None:
    file = tmp_path / "many.jsonl"
    file.write_bytes('\ufeff{"n": 1}\r\n\r\n{"n": 2}\r\n'.encode())
    many = ("task", "enqueue", "--service", "s", "--type", "many", *TENANT, "--many")
    assert prismicx.json(*many, str(file)) == {"enqueued": 2}
    assert json.loads(prismicx(*many, "-", "--json", typed='\ufeff{"n": 3}\n').stdout) == {"enqueued": 1}
    file.write_text('{"n": 4}\n{"n": 99999999999999999999}\n')
    error = prismicx.error(*many, str(file), code=2)
    assert error["code"] == "task.file_invalid"
    assert "line 2" in error["message"]
    done = prismicx(*many, str(file), "--payload", "{}", check=2)
    assert "--payload" in done.stderr
    assert prismicx.json("task", "stats", *TENANT)["many"] == {"pending": 3}


@pytest.mark.parametrize(
    ("words", "exit_code", "code"),
    [
        (("show", NOBODY), 3, "task.unknown"),
        (("show", "x"), 2, "task.id_invalid"),
        (("retry", NOBODY), 3, "task.unknown"),
        (("enqueue", *KIND, "--payload", "{"), 2, "usage.json"),
        (("enqueue", *KIND, "--payload", "[]"), 2, "usage.json"),
        (("enqueue", *KIND, "--payload", '{"$a": 1}'), 2, "task.invalid"),
        (("enqueue", *KIND, "--secret", "key"), 2, "task.invalid"),
        (("enqueue", *KIND, "--priority", "nan"), 2, "task.invalid"),
        (("enqueue", "--service", "", "--type", "t"), 2, "task.invalid"),
        (("list", "--secret", "[1]"), 2, "usage.json"),
        (("list", "--since", "soon"), 2, "usage.time"),
        (("list", "--after", "x"), 2, "page.cursor_invalid"),
        (("list", "--limit", "0"), 2, "page.limit_invalid"),
    ],
)
def test_wrong_words(prismicx: Prismicx, words: tuple[str, ...], exit_code: int, code: str) -> None:
    error = prismicx.error("task", *words, *TENANT, code=exit_code)
    assert error["code"] == code
    assert error["message"] and error["remedy"]
