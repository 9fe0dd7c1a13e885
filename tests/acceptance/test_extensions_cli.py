"""Extensions through the command line."""

from __future__ import annotations

import json

import pytest

from tests.acceptance.conftest import Prismicx

NOBODY = "00000000-0000-0000-0000-000000000000"
AT = ("--tenant", "people")


@pytest.fixture(scope="module")
def ada(prismicx: Prismicx) -> str:
    """A user of the tenant ``people``."""
    prismicx("tenant", "create", "people", "--name", "People", "--isolation", "shared")
    made = prismicx.json("user", "create", *AT, "--username", "ada", "--email", "ada@people.test")
    return str(made["id"])


@pytest.fixture(scope="module")
def clock(prismicx: Prismicx, ada: str) -> str:
    """An extension of the user."""
    words = ("--type", "widget", "--name", "Clock", "--description", "Tells time", "--metadata", '{"zone": "UTC"}')
    made = prismicx.json("extension", "create", ada, *AT, *words)
    assert (made["enabled"], made["priority"], made["metadata"]) == (True, 0, {"zone": "UTC"})
    return str(made["id"])


def test_an_extension_is_changed_and_shown(prismicx: Prismicx, clock: str) -> None:
    before = prismicx.json("extension", "show", clock, *AT)
    words = ("extension", "update", clock, *AT, "--version", before["version"], "--name", "Clocks")
    after = prismicx.json(*words, "--description", "")
    assert (after["name"], after["description"], after["type"]) == ("Clocks", None, "widget")
    assert prismicx.error(*words, code=4)["code"] == "extension.changed"
    assert prismicx.error("extension", "update", clock, *AT, "--name", "", code=2)["code"] == "extension.invalid"
    assert prismicx.json("extension", "disable", clock, *AT)["enabled"] is False
    assert prismicx.json("extension", "list", *AT, "--enabled")["extensions"] == []
    assert prismicx.json("extension", "enable", clock, *AT)["enabled"] is True


def test_an_extension_is_used_rated_and_ranked(prismicx: Prismicx, clock: str) -> None:
    assert prismicx.json("extension", "use", clock, *AT, "--times", "3")["usage_count"] == 3
    assert prismicx.json("extension", "feedback", clock, "7.5", *AT)["feedback_score"] == 7.5
    assert prismicx.json("extension", "rate", clock, "speed", "8", *AT)["score"] == 8
    assert prismicx.json("extension", "rate", clock, "size", "2", *AT, "--weight", "2")["score"] == 4
    assert prismicx.json("extension", "what-if", clock, "size=0", *AT)["score"] == 8
    (first,) = prismicx.json("extension", "ranking", *AT, "--by", "use")
    assert (first["place"], first["usage_count"], first["practicality"]) == (1, 3, 4)
    assert prismicx.json("extension", "unrate", clock, "size", *AT)["factors"] == 1
    shown = prismicx.json("extension", "show", clock, *AT)
    assert [factor["name"] for factor in shown["factors"]] == ["speed"]


def test_extensions_are_ordered_and_removed(prismicx: Prismicx, ada: str, clock: str) -> None:
    other = prismicx.json("extension", "create", ada, *AT, "--type", "tool", "--name", "Scanner", "--disabled")["id"]
    assert prismicx.json("extension", "reorder", ada, other, clock, *AT) == {"reordered": 2}
    listed = prismicx.json("extension", "list", *AT, "--user", ada)["extensions"]
    assert [item["id"] for item in listed] == [other, clock]
    assert prismicx.error("extension", "reorder", ada, other, *AT, code=2)["code"] == "extension.invalid"
    assert prismicx.error("user", "delete", ada, *AT, code=4)["code"] == "user.has_extensions"
    assert prismicx.json("extension", "delete", other, *AT) == {"deleted": other}
    assert prismicx.error("extension", "show", other, *AT, code=3)["code"] == "extension.unknown"


@pytest.mark.parametrize(
    ("words", "exit_code", "code"),
    [
        (("create", NOBODY, "--type", "widget", "--name", "Clock"), 3, "user.unknown"),
        (("create", "x", "--type", "widget", "--name", "Clock"), 2, "user.id_invalid"),
        (("create", NOBODY, "--type", "", "--name", "Clock"), 2, "extension.invalid"),
        (("create", NOBODY, "--type", "widget", "--name", "Clock", "--metadata", "{"), 2, "usage.json"),
        (("create", NOBODY, "--type", "widget", "--name", "Clock", "--metadata", "[]"), 2, "usage.json"),
        (("show", NOBODY), 3, "extension.unknown"),
        (("show", "x"), 2, "extension.id_invalid"),
        (("update", NOBODY, "--name", "x"), 3, "extension.unknown"),
        (("delete", NOBODY), 3, "extension.unknown"),
        (("reorder", NOBODY, NOBODY), 3, "user.unknown"),
        (("use", NOBODY), 3, "extension.unknown"),
        (("use", NOBODY, "--times", "0"), 2, "extension.invalid"),
        (("feedback", NOBODY, "11"), 2, "extension.invalid"),
        (("rate", NOBODY, "speed", "11"), 2, "extension.invalid"),
        (("rate", NOBODY, "speed", "1"), 3, "extension.unknown"),
        (("unrate", NOBODY, "speed"), 3, "extension.unknown"),
        (("what-if", NOBODY, "speed"), 2, "usage.number"),
        (("what-if", NOBODY, "speed=1"), 3, "extension.unknown"),
        (("ranking", "--limit", "0"), 2, "page.limit_invalid"),
        (("list", "--after", "x"), 2, "page.cursor_invalid"),
    ],
)
def test_wrong_words(prismicx: Prismicx, ada: str, words: tuple[str, ...], exit_code: int, code: str) -> None:
    error = prismicx.error("extension", *words, *AT, code=exit_code)
    assert error["code"] == code
    assert error["message"]


def test_what_is_no_text_is_refused(prismicx: Prismicx, clock: str) -> None:
    """As a terminal with another encoding sends it."""
    assert prismicx.error("extension", "unrate", clock, "\udcff", *AT, code=3)["code"] == "factor.unknown"
    done = prismicx("extension", "ranking", *AT, "--by", "beauty", "--json", check=2)
    assert "beauty" in done.stderr
    assert json.loads(prismicx("extension", "ranking", *AT, "--json").stdout)
