"""Categories through the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.conftest import Prismicx

TENANT = ("--tenant", "sorted")
NOBODY = "00000000-0000-0000-0000-000000000000"


@pytest.fixture(scope="module", autouse=True)
def tenant(prismicx: Prismicx) -> None:
    prismicx("tenant", "create", "sorted", "--name", "Sorted", "--isolation", "shared")


def test_a_tree_from_its_root_to_its_end(prismicx: Prismicx) -> None:
    def category(verb: str, *words: str) -> Any:
        return prismicx.json("category", verb, *words, *TENANT)

    cars = category("create", "Cars", "--description", "With wheels")["category_id"]
    made = category("create", "Vans", "--parent", cars, "--attributes", '[{"name": "doors", "type": "number"}]')
    vans = made["category_id"]
    # The type that was declared stays, unless another is given.
    assert category("set-attribute", vans, "doors", "5")["attributes"] == [
        {"name": "doors", "type": "number", "value": 5}
    ]
    assert category("set-attribute", vans, "doors", "five", "--type", "text")["attributes"][0]["type"] == "text"
    assert category("set-attribute", vans, "made", "2026-01-31", "--type", "date")["attributes"][1]["type"] == "date"
    assert category("set-attribute", vans, "made", "2026-02-01")["attributes"][1] == {
        "name": "made", "type": "date", "value": "2026-02-01",
    }  # fmt: skip
    assert [item["name"] for item in category("remove-attribute", vans, "doors")["attributes"]] == ["made"]
    renamed = category("rename", vans, "Transporters")
    stale = prismicx.error("category", "rename", vans, "x", "--version", made["version"], *TENANT, code=4)
    assert stale["code"] == "category.changed"
    assert renamed["version"] in stale["message"]
    assert [item["name"] for item in category("path", vans)] == ["Cars", "Transporters"]
    assert [item["name"] for item in category("search", "trans")["categories"]] == ["Transporters"]
    assert prismicx("category", "tree", *TENANT).stdout == "Cars\n  Transporters\n"
    trucks = category("create", "Trucks")["category_id"]
    assert category("move", vans, "--to", trucks)["parent_id"] == trucks
    assert category("move", vans, "--to-root")["parent_id"] is None
    assert category("merge", vans, "--into", trucks)["attributes"][0]["name"] == "made"
    assert category("delete", trucks) == {"deleted": 1}
    assert category("children") == {"categories": category("tree"), "next": None}
    assert category("check") == []


def test_trees_go_in_and_out(prismicx: Prismicx, tmp_path: Path) -> None:
    top = prismicx.json("category", "create", "Files", *TENANT)["category_id"]
    there = (*TENANT, "--under", top)
    text = "\ufeffname,id,parent\nA,a,\nB,b,a\n"
    words = ("category", "import", "-", *there, "--json")
    assert json.loads(prismicx(*words, "--dry-run", typed=text).stdout)["added"] == 2
    assert json.loads(prismicx(*words, typed=text).stdout)["added"] == 2
    assert json.loads(prismicx(*words, typed=text).stdout)["unchanged"] == 2
    file = tmp_path / "out.json"
    assert prismicx.json("category", "export", str(file), "--format", "json", *there) == {"exported": 3}
    (held,) = json.loads(file.read_text())
    assert [item["name"] for item in held["children"]] == ["A"]
    file.write_text("name,parent\nC,nobody\n")
    error = prismicx.error("category", "import", str(file), *there, code=2)
    assert error["code"] == "category.file_invalid"
    assert "line 2" in error["message"]
    file.write_text("name\n" + "x" * (16 * 1024 * 1024))
    error = prismicx.error("category", "import", str(file), *there, code=2)
    assert error["code"] == "category.file_invalid"
    assert "16,777,216 bytes" in error["message"]


@pytest.mark.parametrize(
    ("words", "exit_code", "code"),
    [
        (("show", NOBODY), 3, "category.unknown"),
        (("show", "x"), 2, "category.id_invalid"),
        (("create", ""), 2, "category.invalid"),
        (("create", "x", "--parent", NOBODY), 3, "category.unknown"),
        (("create", "x", "--attributes", "{"), 2, "usage.json"),
        (("create", "x", "--attributes", '[{"name": "a", "type": "b"}]'), 2, "category.invalid"),
        (("create", "Taken"), 4, "category.name_taken"),
        (("set-attribute", NOBODY, "a", "b"), 3, "category.unknown"),
        (("tree", "--levels", "0"), 2, "category.invalid"),
        (("search", ""), 2, "category.invalid"),
        (("children", "--after", "x"), 2, "page.cursor_invalid"),
        (("delete", NOBODY), 3, "category.unknown"),
        (("merge", NOBODY, "--into", NOBODY), 3, "category.unknown"),
    ],
)
def test_wrong_words(prismicx: Prismicx, words: tuple[str, ...], exit_code: int, code: str) -> None:
    if words == ("create", "Taken"):
        prismicx("category", "create", "Taken", *TENANT)
    error = prismicx.error("category", *words, *TENANT, code=exit_code)
    assert error["code"] == code
    assert error["message"] and error["remedy"]
