"""Insights through the command line."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from tests.acceptance.conftest import Prismicx

USER = str(uuid.uuid4())
NOBODY = "00000000-0000-0000-0000-000000000000"


@pytest.fixture(scope="module")
def tenant(prismicx: Prismicx) -> tuple[str, str]:
    """The option that names a tenant."""
    prismicx("tenant", "create", "curious", "--name", "Curious", "--isolation", "shared")
    return "--tenant", "curious"


def test_insights_from_the_first_topic_to_the_last_word(prismicx: Prismicx, tenant: tuple[str, str]) -> None:
    def insight(verb: str, *words: str) -> dict[str, Any]:
        found: dict[str, Any] = prismicx.json("insight", verb, *words, *tenant)
        return found

    sea = insight("add-topic", USER, "Sea", "--description", "Salt water")
    hills = insight("add-topic", USER, "Hills")
    at = (USER, sea["topic_id"])
    tides = insight("add-subtopic", *at, "Tides", "--key-point", "b", "--key-point", "a", "--resource", "http://a.test")
    assert (tides["key_points"], tides["resources"]) == (["b", "a"], ["http://a.test"])
    waves = insight("add-subtopic", *at, "Waves")
    part = (*at, tides["subtopic_id"])
    assert insight("add-key-point", *part, "c")["key_points"] == ["b", "a", "c"]
    assert insight("change-key-point", *part, "c", "d")["key_points"] == ["b", "a", "d"]
    assert insight("reorder-key-points", *part, "d", "a", "b")["key_points"] == ["d", "a", "b"]
    assert insight("remove-key-point", *part, "a")["key_points"] == ["d", "b"]
    insight("add-resource", *part, "http://b.test")
    insight("change-resource", *part, "http://b.test", "http://c.test")
    insight("reorder-resources", *part, "http://c.test", "http://a.test")
    assert insight("remove-resource", *part, "http://a.test")["resources"] == ["http://c.test"]
    assert insight("update-subtopic", *part, "--name", "Ebb")["name"] == "Ebb"
    insight("reorder-subtopics", *at, waves["subtopic_id"], part[2])
    assert insight("update-topic", *at, "--description", "")["description"] is None
    insight("reorder-topics", USER, hills["topic_id"], at[1])
    shown = prismicx("insight", "show", USER, *tenant).stdout
    assert shown.index("Hills") < shown.index("Sea") < shown.index("Waves") < shown.index("Ebb") < shown.index("- d\n")
    stale = prismicx.error("insight", "update-topic", *at, "--name", "x", "--version", sea["version"], *tenant,
                           code=4)  # fmt: skip
    assert stale["code"] == "insight.changed"
    assert [item["user_id"] for item in insight("users", "--topic", "Sea")["insights"]] == [USER]
    assert len(insight("changed", "--since", "2026-01-01")["insights"]) == 1
    assert [item["name"] for item in insight("remove-subtopic", *part)["subtopics"]] == ["Waves"]
    assert insight("remove-topic", *at) == {"removed": at[1]}
    assert insight("delete", USER) == {"deleted": USER}
    assert insight("list") == {"insights": [], "next": None}


@pytest.mark.parametrize(
    ("words", "exit_code", "code"),
    [
        (("show", USER), 3, "insight.unknown"),
        (("show", "ada"), 2, "user.id_invalid"),
        (("add-topic", USER, ""), 2, "insight.invalid"),
        (("update-topic", USER, "x", "--name", "x"), 2, "insight.id_invalid"),
        (("add-resource", USER, NOBODY, NOBODY, "ftp://a.test"), 2, "insight.invalid"),
        (("add-resource", USER, NOBODY, NOBODY, "http://a.test"), 3, "insight.unknown"),
        (("changed", "--since", "soon"), 2, "usage.time"),
        (("users", "--topic", "x", "--limit", "0"), 2, "page.limit_invalid"),
    ],
)
def test_wrong_words(
    prismicx: Prismicx, tenant: tuple[str, str], words: tuple[str, ...], exit_code: int, code: str
) -> None:
    assert prismicx.error("insight", *words, *tenant, code=exit_code)["code"] == code
