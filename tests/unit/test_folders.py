"""Folders of other tools as packages: what is read, what is recognised, what is refused and where."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

import pytest

from prismicx.errors import InvalidInput
from prismicx.systems.folders import FORMATS, Identity, read_folder
from prismicx.systems.package import FILE_LIMIT, Package
from tests.support import make_package

IDENTITY = Identity("shop", "shop", "Example", "Shop")
DATA = Path(__file__).parents[1] / "data/folders"
A, B, NOT_A = "CREATE TABLE a (id int);", "CREATE TABLE b (id int);", "DROP TABLE a;"
DBMATE = f"-- migrate:up\n{A}\n\n-- migrate:down\n{NOT_A}\n"
GOOSE = f"-- +goose Up\n{A}\n\n-- +goose Down\n{NOT_A}\n"


def make(folder: Path, files: Mapping[str, str | bytes]) -> Path:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


def steps(package: Package) -> list[tuple[str, int, str, str, str | None]]:
    return [
        (item.version, item.schema_version, item.migration.title, item.migration.up.strip(), item.migration.down)
        for item in package.releases
    ]


@pytest.mark.parametrize("format", FORMATS[2:])
def test_each_format_is_recognised(format: str) -> None:
    recognised = read_folder(DATA / format, identity=IDENTITY)
    named = read_folder(DATA / format, format, IDENTITY)
    assert steps(recognised) == steps(named)
    assert (named.system_id, named.type, named.vendor, named.name) == ("shop", "shop", "Example", "Shop")
    assert [item.schema_version for item in named.releases] == [1, 2, 3]


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (
            {"000001_a.up.sql": A, "000001_a.down.sql": NOT_A, "000002_b_c.up.sql": B},
            [("1", 1, "a", A, NOT_A), ("2", 2, "b_c", B, None)],
        ),
        (
            {"20260102030405_a.up.sql": A, "20260102030405_a.down.sql": NOT_A, "20260301000000_b.up.sql": B},
            [("20260102030405", 1, "a", A, NOT_A), ("20260301000000", 2, "b", B, None)],
        ),
        ({"1_a.sql": DBMATE}, [("1", 1, "a", A, NOT_A + "\n")]),
        ({"1_a.sql": f"-- migrate:up transaction:false\n{A}\n-- migrate:down\n-- ;\n"}, [("1", 1, "a", A, None)]),
        ({"1_a.sql": DBMATE, "schema.sql": "SET x = 1;"}, [("1", 1, "a", A, NOT_A + "\n")]),
        ({"00001_a.sql": GOOSE}, [("1", 1, "a", A, NOT_A + "\n")]),
        ({"00001_a.sql": f"-- +goose NO TRANSACTION\n-- +goose UP\n{A}"}, [("1", 1, "a", A, None)]),
        ({"00001_a.sql": GOOSE.replace("\n", "\r\n")}, [("1", 1, "a", A, NOT_A + "\n")]),
        (
            {"V1__a.sql": A, "V1.1__b.sql": B, "U1__undo_a.sql": NOT_A, "V1_2__c.sql": "SELECT 1;"},
            [("1", 1, "a", A, NOT_A), ("1.1", 2, "b", B, None), ("1.2", 3, "c", "SELECT 1;", None)],
        ),
        ({"V1.1__a.sql": A, "V2__b.sql": B}, [("1.1", 1, "a", A, None), ("2", 2, "b", B, None)]),
        ({"V001.002__a.sql": A, "more/V001.010__b.sql": B}, [("1.2", 1, "a", A, None), ("1.10", 2, "b", B, None)]),
        ({"1_a.sql": A, "2_b.sql": B}, [("1", 1, "a", A, None), ("2", 2, "b", B, None)]),
        (
            {"1_a.up.sql": A, "1_a.down.sql": NOT_A, "2_b.sql": B},
            [("1", 1, "a", A, NOT_A), ("2", 2, "b", B, None)],
        ),
        (
            {"1_a.sql": A, "2_set_up_b.sql": B, "3_tear_down.sql": NOT_A},
            [("1", 1, "a", A, None), ("2", 2, "set_up_b", B, None), ("3", 3, "tear_down", NOT_A, None)],
        ),
        (
            {"1_a.up.sql": A, "1-a-down.sql": NOT_A, "down/2.sql": NOT_A, "up/2.sql": B},
            [("1", 1, "a", A, NOT_A), ("2", 2, "", B, NOT_A)],
        ),
        ({"1.up.sql": A, "1.down.sql": NOT_A}, [("1", 1, "", A, NOT_A)]),
        ({"001-create-up.sql": A, "down_001.sql": NOT_A}, [("1", 1, "create", A, NOT_A)]),
        ({"up/001.sql": A, "down/001.sql": NOT_A}, [("1", 1, "", A, NOT_A)]),
        ({"001_scale_up_down.sql": NOT_A, "001_scale_up_up.sql": A}, [("1", 1, "scale", A, NOT_A)]),
        ({"UP1.SQL": A, "Down1.sql": NOT_A}, [("1", 1, "", A, NOT_A)]),
        ({"1_a.up.sql": b"\xef\xbb\xbf" + A.encode()}, [("1", 1, "a", A, None)]),
        (
            {f"{n}_x.up.sql": A for n in range(1, 12)},
            [(str(n), n, "x", A, None) for n in range(1, 12)],
        ),
    ],
)
def test_migrations_are_read(tmp_path: Path, files: Mapping[str, str | bytes], expected: object) -> None:
    harmless = {"README.md": "x", ".gitkeep": "", "main.go": "package x", ".hidden/1.sql": "SELEC", "a.toml": "x"}
    assert steps(read_folder(make(tmp_path, {**files, **harmless}), identity=IDENTITY)) == expected


def test_a_time_in_the_number_is_the_release(tmp_path: Path) -> None:
    names = ["1_a", "20260102_b", "1767323045_c", "20260102030405_d", "99999999999999_e"]
    package = read_folder(make(tmp_path, {f"{name}.up.sql": A for name in names}), identity=IDENTITY)
    found = {item.version: item.release_date for item in package.releases}
    assert found["20260102"] == datetime(2026, 1, 2)
    assert found["20260102030405"] == found["1767323045"] == datetime(2026, 1, 2, 3, 4, 5)
    assert found["1"] == found["99999999999999"] > datetime(2026, 1, 3)


@pytest.mark.parametrize(
    ("files", "code", "words"),
    [
        ({}, "package.format", ["no system.toml", "golang-migrate"]),
        ({"a.sql": A, "b.sql": A}, "package.format", ["a.sql, b.sql, which no format has"]),
        ({"1_a.sql": DBMATE, "V1__a.sql": A}, "package.format", ["1_a.sql as dbmate", "V1__a.sql as flyway"]),
        ({"1_a.sql": DBMATE, "2_b.sql": GOOSE}, "package.format", ["1_a.sql as dbmate", "2_b.sql as goose"]),
        ({"migrations/0001_a.up.sql": A}, "package.format", ["migrations/0001_a.up.sql, which no format has"]),
        ({"1_a.up.sql": A, "extra.sql": A}, "package.migrations", ["extra.sql", "golang-migrate"]),
        ({"1_a.up.sql": A, "x/2_b.up.sql": A}, "package.migrations", ["2_b.up.sql"]),
        ({"1_a.up.sql": A, "3_b.up.sql": B}, "package.migrations", ["number 2 is missing"]),
        ({"2_a.up.sql": A, "3_b.up.sql": B}, "package.migrations", ["number 1 is missing"]),
        ({"V1__a.sql": A, "V1.1__b.sql": A, "V4__c.sql": A}, "package.migrations", ["number 2 is missing"]),
        ({"1_a.up.sql": A, "01_b.up.sql": B}, "package.migrations", ["1_a.up.sql", "01_b.up.sql", "same number 1"]),
        ({"1_a.sql": A, "1_a_down.sql": B}, "package.migrations", ["1_a.sql", "1_a_down.sql"]),
        ({"1_a.up.sql": A, "1_b.down.sql": B}, "package.migrations", ["1_a.up.sql", "1_b.down.sql"]),
        ({"V1.1__a.sql": A, "V1_1__b.sql": B}, "package.migrations", ["V1.1__a.sql", "V1_1__b.sql"]),
        ({"V1__a.sql": A, "V1.0__b.sql": B}, "package.migrations", ["V1__a.sql", "V1.0__b.sql"]),
        ({"1_a.up.sql": A, "2_b.down.sql": B}, "package.migrations", ["2_b.down.sql", "nothing leads there"]),
        ({"1_a.down.sql": A}, "package.migrations", ["no migration of golang-migrate"]),
        ({"000_a.up.sql": A}, "package.migrations", ["000_a.up.sql", "from 1"]),
        ({f"{'1' * 21}_a.up.sql": A}, "package.migrations", ["21 characters"]),
        ({"1_a.sql": GOOSE, "00002_b.go": "package x"}, "package.migrations", ["00002_b.go", "a program"]),
        ({"V1__a.sql": A, "V2__b.java": "x"}, "package.migrations", ["V2__b.java", "a program"]),
        ({"V1__a.sql": A, "R__b.sql": B}, "package.migrations", ["R__b.sql", "repeatable"]),
        ({"V1__a.sql": A, "B2__b.sql": B}, "package.migrations", ["B2__b.sql", "baseline"]),
        ({"V1__a.sql": A, "beforeMigrate.sql": B}, "package.migrations", ["beforeMigrate.sql", "callback"]),
        ({"V1__a.sql": A, "V2_b.sql": B}, "package.migrations", ["V2_b.sql"]),
        ({"1_a.sql": DBMATE, "2_b.sql": A}, "package.migrations", ["2_b.sql:1:1", "-- migrate:up"]),
        ({"1_a.sql": "-- migrate:down\n-- migrate:up\n"}, "package.migrations", ["1_a.sql:2:1", "down, up"]),
        ({"1_a.sql": DBMATE + "-- migrate:up\n"}, "package.migrations", ["1_a.sql:6:1"]),
        ({"1_a.sql": "SELECT 1;\n" + DBMATE}, "package.migrations", ["1_a.sql:1:1", "before the line"]),
        ({"1_a.sql": "-- migrate:up env:X\n"}, "package.migrations", ["1_a.sql:1:1", "env:X"]),
        ({"1_a.sql": GOOSE, "2_b.sql": A}, "package.migrations", ["2_b.sql:1:1", "-- +goose Up"]),
        ({"1_a.sql": "-- +goose ENVSUB ON\n" + GOOSE}, "package.migrations", ["1_a.sql:1:1", "ENVSUB ON"]),
        (
            {"1_a.sql": "-- +goose Up\n-- +goose StatementBegin\nSELECT 1;\n-- +goose Down\n"},
            "package.migrations",
            ["1_a.sql:2:1", "without its StatementEnd"],
        ),
        ({"1_a.sql": "-- +goose Up\n-- +goose StatementBegin\n"}, "package.migrations", ["1_a.sql:2:1"]),
        ({"1_a.sql": "-- +goose Up\n-- +goose StatementEnd\n"}, "package.migrations", ["1_a.sql:2:1"]),
        ({"1_a.up.sql": b"\xff\xfe\x00"}, "package.migrations", ["1_a.up.sql", "UTF-8"]),
        ({"1_a.up.sql": b"x" * (FILE_LIMIT + 1)}, "package.migrations", ["1_a.up.sql", "bytes"]),
        ({"1_a.up.sql": "SELECT 1;\0"}, "package.sql", ["1_a.up.sql:1:10", "NUL"]),
        (
            {"1_a.up.sql": "DROP ROLE x;\nSELECT 1;\nCREATE TABLE other.a ();", "2_b.up.sql": "RESET ROLE;"},
            "package.sql",
            ["1_a.up.sql:1:1: ", "1_a.up.sql:3:1: it names the schema other", "2_b.up.sql:1:1: "],
        ),
        ({"1_a.up.sql": "SELECT 1;\nSELEC 2;"}, "package.sql", ["1_a.up.sql:2:1", "syntax error"]),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, files: Mapping[str, str | bytes], code: str, words: list[str]) -> None:
    with pytest.raises(InvalidInput) as caught:
        read_folder(make(tmp_path, files), identity=IDENTITY)
    assert caught.value.code == code
    assert [word for word in words if word not in str(caught.value)] == []


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM other.a",
        "CREATE ROLE r",
        "CREATE EXTENSION dblink",
        "CREATE DATABASE d",
        "COMMIT",
        "SET search_path = other",
        "SET work_mem = '1GB'",
        "COPY a FROM PROGRAM 'id'",
        "DO $$ BEGIN EXECUTE 'SET ROLE x'; END $$",
        "SELECT (",
    ],
)
@pytest.mark.parametrize(
    ("name", "text", "line"),
    [
        ("1_a.sql", "-- migrate:up\nSELECT 1;\n\n{};\n-- migrate:down\n", 4),
        ("1_a.sql", "-- migrate:up\nSELECT 1;\n\n-- migrate:down\n\n  {};\n", 6),
        (
            "1_a.sql",
            "-- x\n\n-- +goose Up\nSELECT 1;\n-- +goose Down\n-- +goose StatementBegin\n{};\n-- +goose StatementEnd",
            7,
        ),
        ("V1__a.sql", "\n{};", 2),
        ("1.up.sql", "{};", 1),
    ],
)
def test_what_leaves_the_schema_is_refused_with_its_line(
    tmp_path: Path, name: str, text: str, line: int, statement: str
) -> None:
    with pytest.raises(InvalidInput) as caught:
        read_folder(make(tmp_path, {name: text.format(statement)}), identity=IDENTITY)
    assert caught.value.code == "package.sql"
    # An open bracket is found where it should be closed.
    assert f"{name}:{line}:" in caught.value.message or statement == "SELECT ("


def test_names_are_asked_for_where_a_folder_has_none(tmp_path: Path) -> None:
    foreign = make(tmp_path / "foreign", {"1_a.up.sql": A})
    for identity, word in (
        (Identity(), "--id, --type, --vendor, --name"),
        (Identity("shop", "shop"), "--vendor, --name"),
        (Identity("Shop!", "shop", "V", "N"), "--id"),
        (Identity("shop", "shop", "", "N"), "--vendor"),
        (Identity("shop", "shop", "V", "n" * 101), "--name"),
    ):
        with pytest.raises(InvalidInput) as caught:
            read_folder(foreign, identity=identity)
        assert (caught.value.code, word in caught.value.message) == ("package.identity", True)
    with pytest.raises(InvalidInput) as caught:
        read_folder(foreign, identity=Identity("shop", "my-shop", "V", "N"))
    assert caught.value.code == "system.type_invalid"


def test_our_own_format_has_its_names_itself(tmp_path: Path) -> None:
    own = make_package(tmp_path / "own", "owned", (A, None))
    for format in (None, "auto", "prismicx"):
        assert read_folder(own, format).system_id == "owned"
        with pytest.raises(InvalidInput) as caught:
            read_folder(own, format, Identity(vendor="V"))
        assert (caught.value.code, "--vendor" in caught.value.message) == ("package.identity", True)


def test_a_format_that_is_named_counts(tmp_path: Path) -> None:
    folder = make(tmp_path, {"1_a.up.sql": A, "1_a.down.sql": NOT_A})
    for format in ("golang-migrate", "sqlx", "numbered"):
        assert steps(read_folder(folder, format, IDENTITY)) == [("1", 1, "a", A, NOT_A)]
    for format, code in (
        ("flyway", "package.migrations"),
        ("goose", "package.migrations"),
        ("dbmate", "package.migrations"),
        ("prismicx", "package.identity"),
        ("rails", "package.format"),
    ):
        with pytest.raises(InvalidInput) as caught:
            read_folder(folder, format, IDENTITY)
        assert caught.value.code == code
    with pytest.raises(InvalidInput) as caught:
        read_folder(folder, "prismicx")
    assert caught.value.code == "package.unreadable"
    with pytest.raises(InvalidInput) as caught:
        read_folder(folder / "nowhere", identity=IDENTITY)
    assert caught.value.code == "package.unreadable"
