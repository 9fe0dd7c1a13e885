"""What squawk says, with the places of the files; and what is said when it cannot be run."""

from __future__ import annotations

from pathlib import Path

import pytest

from prismicx.errors import InvalidInput, Unavailable
from prismicx.systems import linting
from prismicx.systems.folders import Identity, read_folder
from prismicx.systems.package import Package, read
from tests.support import make_package

IDENTITY = Identity("linted", "linted", "T", "T")
GOOSE = """-- +goose Up
-- +goose StatementBegin
SELECT 1;
-- +goose StatementEnd
INSERT INTO ${schema}.a VALUES ('ä'); ALTER TABLE ${schema}.b RENAME TO c;

-- +goose Down
ALTER TABLE c RENAME TO b; DROP TABLE d;
ALTER TABLE b ALTER COLUMN d SET NOT NULL;
"""


def told(package: Package) -> list[tuple[str, str, int, int, str]]:
    return [(item.version, Path(item.file).name, item.line, item.column, item.rule) for item in linting.lint(package)]


def test_places_are_those_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "00001_begin.sql").write_text(GOOSE)
    assert told(read_folder(tmp_path, identity=IDENTITY)) == [
        ("1", "00001_begin.sql", 5, 63, "renaming-table"),
        ("1", "00001_begin.sql", 9, 30, "adding-not-nullable-field"),
    ]


def test_rules_that_do_not_apply_are_left_out(tmp_path: Path) -> None:
    up = "CREATE TABLE a (id bigint PRIMARY KEY);\nALTER TABLE b ADD COLUMN c text;\n"
    up += "CREATE INDEX CONCURRENTLY i ON b (c);\nDROP INDEX CONCURRENTLY j;\n"
    down = "ALTER TABLE b DROP COLUMN c;\nDROP TABLE a;\n"
    assert told(read(make_package(tmp_path, "quiet", (up, down)))) == []


def test_a_missing_way_back_is_a_warning(tmp_path: Path) -> None:
    package = read(make_package(tmp_path, "oneway", ("SELECT 1;", "SELECT 1;"), ("SELECT 2;", None)))
    assert told(package) == [("2.0", "0002_step.up.sql", 1, 1, "no-way-back")]


def test_a_statement_can_be_excused(tmp_path: Path) -> None:
    script = "-- squawk-ignore ban-drop-column\nALTER TABLE a DROP COLUMN b;\nALTER TABLE a DROP COLUMN c;\n"
    package = read(make_package(tmp_path, "excused", (script, "SELECT 1;")))
    assert told(package) == [("1.0", "0001_step.up.sql", 3, 15, "ban-drop-column")]


def test_refusing_lists_all(tmp_path: Path) -> None:
    found = linting.lint(read(make_package(tmp_path, "refused", ("ALTER TABLE a DROP COLUMN b;", None))))
    with pytest.raises(InvalidInput) as caught:
        linting.refuse(found)
    assert caught.value.code == "package.lint"
    assert all(str(item) in caught.value.message for item in found)
    linting.refuse([])
    linting.refuse(None)
    assert linting.of_versions(found, ["2.0"]) == ()
    assert linting.of_versions(None, ["1.0"]) is None


@pytest.mark.parametrize("program", [None, "#!/bin/sh\necho broken >&2\nexit 3\n", "no program"])
def test_squawk_that_cannot_be_run_is_said(
    program: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = read(make_package(tmp_path / "p", "unlinted", ("SELECT 1;", "SELECT 1;")))
    beside = tmp_path / "bin"
    beside.mkdir()
    if program is not None:
        (beside / "squawk").write_text(program)
        (beside / "squawk").chmod(0o755)
    monkeypatch.setattr(linting.sysconfig, "get_path", lambda _: str(beside))
    monkeypatch.setenv("PATH", str(beside))
    with pytest.raises(Unavailable) as caught:
        linting.lint(package)
    assert caught.value.code == "lint.unavailable"
    assert linting.lint_if_possible(package, strict=False) is None
    with pytest.raises(Unavailable):
        linting.lint_if_possible(package, strict=True)
