from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest

from prismicx.errors import InvalidInput
from prismicx.systems import package
from prismicx.systems.declarations import Declaration
from tests.support import make_package

MANIFEST = """
id = "notes"
type = "notes"
name = "Notes"
vendor = "Example"

[[versions]]
version = "1.0.0"
schema_version = 1
release_date = 2026-01-02

[[versions]]
version = "1.10.0"
schema_version = 2
release_date = 2026-02-03
release_notes = "More"
dependencies = { crm = ">=1.0" }
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "system.toml").write_text(MANIFEST)
    migrations = tmp_path / "migrations"
    migrations.mkdir()
    (migrations / "0001_begin.up.sql").write_text("CREATE TABLE notes (id int);")
    (migrations / "0001_begin.down.sql").write_text("DROP TABLE notes;")
    (migrations / "0002_more.up.sql").write_text("ALTER TABLE notes ADD COLUMN text text;")
    return tmp_path


def test_a_folder_is_read(folder: Path) -> None:
    found = package.read(folder)
    assert (found.system_id, found.type, found.vendor) == ("notes", "notes", "Example")
    assert [release.version for release in found.releases] == ["1.0.0", "1.10.0"]
    assert found.releases[0].migration.down == "DROP TABLE notes;"
    assert found.releases[1].migration.down is None
    assert found.releases[1].dependencies == {"crm": ">=1.0"}
    assert found.releases[0].dependencies is None
    assert found.releases[0].declaration == Declaration()


def break_manifest(old: str, new: str) -> object:
    def change(folder: Path) -> None:
        text = (folder / "system.toml").read_text()
        assert old in text
        (folder / "system.toml").write_text(text.replace(old, new, 1))

    return change


def more(line: str) -> object:
    return lambda folder: (folder / "system.toml").write_text(f"{MANIFEST}{line}\n")


def write(name: str, content: str | bytes) -> object:
    def change(folder: Path) -> None:
        data = content if isinstance(content, bytes) else content.encode()
        (folder / "migrations" / name).write_bytes(data)

    return change


def remove(name: str) -> object:
    return lambda folder: (folder / name).unlink()


@pytest.mark.parametrize(
    ("change", "code", "word"),
    [
        (remove("system.toml"), "package.unreadable", "system.toml"),
        (break_manifest("id =", "id = ="), "package.unreadable", "system.toml"),
        (break_manifest('"notes"', '"Notes!"'), "package.invalid", "Notes!"),
        (break_manifest('id = "notes"', f'id = "{"n" * 30}"'), "package.invalid", "id"),
        (break_manifest('type = "notes"', 'type = "my-notes"'), "system.type_invalid", "my-notes"),
        (break_manifest('vendor = "Example"', ""), "package.invalid", "vendor"),
        (break_manifest('vendor = "Example"', 'vendr = "x"'), "package.invalid", "vendr"),
        (break_manifest('"1.0.0"', '"one"'), "package.invalid", "one"),
        (break_manifest('"1.0.0"', '"2.0.0"'), "package.invalid", "2.0.0"),
        (break_manifest('"1.10.0"', '"1.0.0"'), "package.invalid", "1.0.0"),
        (break_manifest("schema_version = 2", "schema_version = 3"), "package.invalid", "3"),
        (break_manifest("schema_version = 1", 'schema_version = "1"'), "package.invalid", "schema_version"),
        (break_manifest("2026-01-02", '"soon"'), "package.invalid", "soon"),
        (break_manifest("2026-01-02", "0001-01-01T00:00:00+05:00"), "package.invalid", "release_date of 1.0.0"),
        (break_manifest('"More"', "5"), "package.invalid", "release_notes of 1.10.0"),
        (break_manifest('"More"', '"a\\u0000b"'), "package.invalid", "release_notes of 1.10.0"),
        (break_manifest('{ crm = ">=1.0" }', '"crm"'), "package.invalid", "dependencies"),
        (break_manifest('{ crm = ">=1.0" }', '{ crm = ">>1" }'), "package.invalid", "crm in dependencies of 1.10.0"),
        (break_manifest('{ crm = ">=1.0" }', '{ crm = " " }'), "package.invalid", "version specifiers"),
        (break_manifest('{ crm = ">=1.0" }', "{ crm = 1.0 }"), "package.invalid", "crm in dependencies"),
        (break_manifest('{ crm = ">=1.0" }', '{ "CRM!" = ">=1.0" }'), "package.invalid", "a system in dependencies"),
        (more('compatibility = ">=15"'), "package.invalid", "compatibility of 1.10.0"),
        (more('compatibility = { mysql = ">=8" }'), "package.invalid", "postgres, prismicx"),
        (more('compatibility = { postgres = "15 or so" }'), "package.invalid", "postgres in compatibility"),
        (more("configuration = 5"), "package.invalid", "configuration of 1.10.0"),
        (more('configuration = { type = "array" }'), "package.invalid", 'write type = "object"'),
        (more('configuration = { type = "object", required = "a" }'), "package.invalid", "$.required of configuration"),
        (more('configuration = { type = "object", at = 2026-01-01 }'), "package.invalid", "holds a date"),
        (more('configuration = { type = "object", "$schema" = "x" }'), "package.invalid", "$schema"),
        (more("features = { Big = { description = 'x', default = true } }"), "package.invalid", "name of a feature"),
        (more("features = { big = true }"), "package.invalid", "features.big of 1.10.0"),
        (more("features = { big = { description = 'x' } }"), "package.invalid", "default of features.big"),
        (more("features = { big = { default = true } }"), "package.invalid", "description of features.big"),
        (more("features = { big = { default = 1, description = 'x' } }"), "package.invalid", "true or false"),
        (more("features = { big = { default = true, description = 'x', on = 1 } }"), "package.invalid", "'on'"),
        (remove("migrations/0001_begin.up.sql"), "package.migrations", "gap"),
        (write("0004_gap.up.sql", "SELECT 1;"), "package.migrations", "gap"),
        (write("0003_only_down.down.sql", "SELECT 1;"), "package.migrations", "way back"),
        (write("02_twice.up.sql", "SELECT 1;"), "package.migrations", "twice"),
        (write("0003_extra.up.sql", "SELECT 1;"), "package.invalid", "schema_version"),
        (write("readme.txt", "hello"), "package.migrations", "readme.txt"),
        (write("0002_more.up.sql", b"\xff\xfe\x00binary"), "package.migrations", "0002_more.up.sql"),
        (write("0002_more.up.sql", b"x" * (package.FILE_LIMIT + 1)), "package.migrations", "bytes"),
        (write("0002_more.up.sql", "SELEC 1;"), "package.sql", "0002_more.up.sql:1:1"),
        (write("0001_begin.down.sql", "DROP DATABASE x;"), "package.sql", "0001_begin.down.sql:1:1"),
    ],
)
def test_what_is_wrong_is_named(folder: Path, change: object, code: str, word: str) -> None:
    change(folder)  # type: ignore[operator]
    with pytest.raises(InvalidInput) as caught:
        package.read(folder)
    assert caught.value.code == code
    assert word in str(caught.value)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("2026-01-02", datetime(2026, 1, 2)),
        ("2026-01-02T03:04:05", datetime(2026, 1, 2, 3, 4, 5)),
        ("2026-01-02T00:00:00Z", datetime(2026, 1, 2)),
        ("2026-01-02T00:00:00+05:00", datetime(2026, 1, 1, 19)),
    ],
)
def test_the_time_of_a_release_is_kept_in_utc(folder: Path, written: str, expected: datetime) -> None:
    (folder / "system.toml").write_text(MANIFEST.replace("2026-01-02", written))
    assert package.read(folder).releases[0].release_date == expected


def test_the_folder_must_have_migrations(tmp_path: Path) -> None:
    (tmp_path / "system.toml").write_text(MANIFEST)
    with pytest.raises(InvalidInput):
        package.read(tmp_path)


def test_nothing_is_no_version(tmp_path: Path) -> None:
    folder = make_package(tmp_path, "zero", ("CREATE TABLE a (b int);", None))
    manifest = folder / "system.toml"
    manifest.write_text(manifest.read_text().replace('version = "1.0"', 'version = "0"'))
    with pytest.raises(InvalidInput) as caught:
        package.read(folder)
    assert "0 means that nothing is installed" in caught.value.remedy
