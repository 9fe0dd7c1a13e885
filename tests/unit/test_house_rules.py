"""Rules of the code that no linter checks."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MODULES = sorted((ROOT / "prismicx").rglob("*.py"))
TEXTS = sorted(
    path
    for folder in ("prismicx", "tests", "docs", "systems", "benchmarks", "demo")
    for path in (ROOT / folder).rglob("*")
    if path.suffix in {".py", ".sql", ".md", ".toml", ".json"}
)


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_is_one_noun_of_at_most_400_lines(module: Path) -> None:
    assert len(module.read_text(encoding="utf-8").splitlines()) <= 400


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_tables_and_collections_are_defined_in_the_reference_only(module: Path) -> None:
    if module.parent.name == "isolation":
        return  # what it makes, it makes to be attacked, in transactions that are rolled back
    text = module.read_text(encoding="utf-8")
    assert not re.search(r"CREATE\s+(TABLE|POLICY|VIEW|COLLECTION)\b", text)


def test_every_module_says_what_it_is() -> None:
    silent = [
        path for path in MODULES if path.read_text(encoding="utf-8").strip() and '"""' not in path.read_text()[:400]
    ]
    assert silent == []


def test_no_path_of_a_machine() -> None:
    pattern = re.compile(r"(?<![\w.])/(?:work|root|home)/\w")
    found = [path for path in TEXTS if pattern.search(path.read_text(encoding="utf-8"))]
    assert found == []
