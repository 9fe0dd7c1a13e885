"""What is known of tenants, through the command line."""

from __future__ import annotations

import pytest

from tests.acceptance.conftest import Prismicx

ME = "shop"


@pytest.fixture(scope="module", autouse=True)
def tenant(prismicx: Prismicx) -> None:
    words = ("--isolation", "shared", "--tier", "pro", "--region", "eu")
    prismicx("tenant", "create", ME, "--name", "Shop", *words)


def test_what_is_known_changes_and_goes(prismicx: Prismicx) -> None:
    before = prismicx.json("tenant", "show", ME)
    after = prismicx.json(
        "tenant", "update", ME, "--version", before["version"], "--tier", "", "--settings", '{"a": 1}'
    )
    assert (after["tier"], after["region"], after["settings"]) == (None, "eu", {"a": 1})
    stale = prismicx.error("tenant", "update", ME, "--version", before["version"], "--name", "x", code=4)
    assert stale["code"] == "tenant.changed"
    assert after["version"] in stale["message"]
    assert prismicx.json("tenant", "update", ME, "--settings", '{"a": null}')["settings"] == {}
    assert prismicx.json("tenant", "show", ME)["name"] == "Shop"


def test_lists_go_on_from_page_to_page(prismicx: Prismicx) -> None:
    prismicx("tenant", "create", "shop-2", "--name", "Shop 2", "--isolation", "shared")
    page = prismicx.json("tenant", "list", "--limit", "1")
    assert [item["tenant_id"] for item in page["tenants"]] == [ME]
    rest = prismicx.json("tenant", "list", "--after", page["next"])
    assert ([item["tenant_id"] for item in rest["tenants"]], rest["next"]) == (["shop-2"], None)
    assert f"--after {page['next']}" in prismicx("tenant", "list", "--limit", "1").stderr


@pytest.mark.parametrize(
    ("words", "exit_code", "code"),
    [
        (("update", ME, "--settings", '{"a": 99999999999999999999}'), 2, "tenant.invalid"),
        (("update", ME, "--settings", '{"$set": 1}'), 2, "tenant.invalid"),
        (("update", ME, "--settings", "[1]"), 2, "usage.json"),
        (("update", ME, "--name", ""), 2, "tenant.invalid"),
        (("update", "nobody", "--name", "x"), 3, "tenant.unknown"),
        (("list", "--after", ME), 2, "page.cursor_invalid"),
        (("resume", ME), 4, "tenant.transition"),
    ],
)
def test_wrong_words(prismicx: Prismicx, words: tuple[str, ...], exit_code: int, code: str) -> None:
    error = prismicx.error("tenant", *words, code=exit_code)
    assert error["code"] == code
    assert error["message"] and error["remedy"]
