"""Folders of other tools, linted and published through the command line."""

from __future__ import annotations

from pathlib import Path

from tests.acceptance.conftest import Prismicx

DATA = Path(__file__).parents[1] / "data/folders"
NAMES = ("--type", "items", "--vendor", "T", "--name", "Items")


def test_a_folder_is_linted_without_a_server(tmp_path: Path) -> None:
    alone = Prismicx(tmp_path / "data")
    warnings = alone.json("system", "lint", str(DATA / "sqlx"), "--id", "items", *NAMES)
    assert {item["rule"] for item in warnings} == {"no-way-back", "require-concurrent-index-creation"}
    assert {item["version"] for item in warnings} == {"20260103120000"}
    assert all(item["file"].endswith("20260103120000_prices.sql") for item in warnings)
    lost = alone.error("system", "lint", str(DATA / "sqlx"), "--id", "items", code=2)
    assert lost["code"] == "package.identity"
    assert "--type, --vendor, --name" in lost["message"]
    wrong = alone.error("system", "lint", str(DATA / "sqlx"), "--format", "goose", "--id", "items", *NAMES, code=2)
    assert wrong["code"] == "package.migrations"
    assert not (tmp_path / "data").exists()


def test_a_folder_is_published_with_warnings(prismicx: Prismicx) -> None:
    folder = str(DATA / "goose")
    refused = prismicx.error("system", "publish", folder, "--id", "items", *NAMES, "--strict", code=2)
    assert refused["code"] == "package.lint"
    assert "00003_prices.sql:3:1: require-concurrent-index-creation" in refused["message"]
    done = prismicx("system", "publish", folder, "--id", "items", *NAMES)
    assert "00003_prices.sql:3:1: require-concurrent-index-creation" in done.stderr
    assert f"warnings: 1; prismicx system lint {folder} shows all" in done.stderr
    assert "warning" not in done.stdout
    again = prismicx.json("system", "publish", folder, "--format", "goose", "--id", "items", *NAMES, "--strict")
    assert (again["added"], again["latest"], again["warnings"]) == ([], "3", [])
    assert prismicx.error("system", "publish", folder, code=2)["code"] == "package.identity"
