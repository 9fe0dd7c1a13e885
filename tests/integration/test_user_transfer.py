"""Importing and exporting users: all or none, and back again."""

from __future__ import annotations

import csv
import io
import itertools
import json
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from prismicx import Conflict, InvalidInput, Platform
from prismicx.users.transfer import Imported

Id = Callable[[], str]


def lines(count: int, begin: int = 0) -> str:
    rows = [
        {"username": f"u{n}", "email": f"U{n}@acme.test", "last_name": "Müller, \"jr\"\n", "metadata": {"n": n}}
        for n in range(begin, begin + count)
    ]  # fmt: skip
    for row in rows:
        row["last_name"] = str(row["last_name"]).strip()
    return "\n".join(json.dumps(row) for row in rows) + "\n"


@pytest.fixture
async def tenant(px: Platform, new_id: Id) -> str:
    name = new_id()
    await px.tenants.create(name, name="T", isolation="shared")
    return name


@pytest.mark.parametrize("form", ["csv", "jsonl"])
async def test_what_is_written_is_read_again(px: Platform, tenant: str, new_id: Id, form: Any) -> None:
    told: list[int] = []
    async with px.tenant(tenant) as scope:
        source = io.StringIO(lines(4_500))
        assert await scope.user_transfer.read(source, "jsonl", progress=told.append) == Imported(4_500, 0)
        assert told == [2_000, 4_000, 4_500]
        text = io.StringIO()
        assert (await scope.user_transfer.write(text, form)).users == 4_500
    assert "password" not in text.getvalue()
    other = new_id()
    await px.tenants.create(other, name="O", isolation="shared")
    async with px.tenant(tenant) as scope, px.tenant(other) as second:
        assert await second.user_transfer.read(io.StringIO(text.getvalue()), form) == Imported(4_500, 0)
        mine, theirs = await scope.users.by_email("u7@acme.test"), await second.users.by_email("u7@acme.test")
        assert theirs.id != mine.id
        assert (theirs.last_name, theirs.metadata) == (mine.last_name, mine.metadata) == ('Müller, "jr"', {"n": 7})


async def test_a_wrong_line_is_named_and_nothing_is_added(px: Platform, tenant: str) -> None:
    wrong = lines(2_100) + '{"username": "x"}\nno json\n{"username": "a", "email": "b", "extra": 1}\n[1]\n'
    async with px.tenant(tenant) as scope:
        with pytest.raises(InvalidInput) as caught:
            await scope.user_transfer.read(io.StringIO(wrong), "jsonl")
        for number in (2101, 2102, 2103, 2104):
            assert f"line {number}:" in caught.value.message
        assert (await scope.users.list()).items == []


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("name,email\na,b@c.d\n", "'name'"),
        ("username\nada\n", "no column email"),
        ("username,email\nada\n", "line 2"),
        ("username,email\nada,a@b.c,more\n", "line 2"),
        ("username,email,metadata\nada,a@b.c,{\n", "metadata that is no JSON"),
        ("username,email,status\nada,a@b.c,dead\n", "status"),
        ('username,email\n"ada,a@b.c\n', "CSV"),
        ('"username\n', "line 1 is no CSV"),
        ("", "no column username"),
        ("username,username,email\na,b,c@d.e\n", "the column username twice"),
        ("username,email\nada," + "x" * 300_000, "line 2: it has more than 262,144 characters"),
        ("username,email\nada," + '"' + "x,\n" * 100_000, "field larger than"),
        ("username,email\nada" + ',"x\n"' * 70_000, "it has more than 262,144 characters"),
    ],
)
async def test_wrong_csv_is_named(px: Platform, tenant: str, text: str, word: str) -> None:
    async with px.tenant(tenant) as scope:
        with pytest.raises(InvalidInput) as caught:
            await scope.user_transfer.read(io.StringIO(text), "csv")
        assert word in caught.value.message


async def test_known_addresses_are_named_or_left_out(px: Platform, tenant: str) -> None:
    async with px.tenant(tenant) as scope:
        await scope.user_transfer.read(io.StringIO(lines(10)), "jsonl")
        with pytest.raises(Conflict) as caught:
            await scope.user_transfer.read(io.StringIO(lines(5, begin=7)), "jsonl")
        assert caught.value.code == "import.known"
        assert "line 1 ('u7@acme.test'), line 2 ('u8@acme.test'), line 3" in caught.value.message
        with pytest.raises(Conflict) as caught:
            await scope.user_transfer.read(io.StringIO(lines(1, begin=50) + lines(1, begin=50)), "jsonl")
        assert "line 2" in caught.value.message
        done = await scope.user_transfer.read(io.StringIO(lines(5, begin=7) * 2), "jsonl", skip_known=True)
        assert done == Imported(2, 8)
        assert len((await scope.users.list()).items) == 12


async def test_an_address_that_the_file_has_twice_far_apart_is_told_as_that(px: Platform, tenant: str) -> None:
    async with px.tenant(tenant) as scope:
        with pytest.raises(Conflict) as caught:
            await scope.user_transfer.read(io.StringIO(lines(2_100) + lines(1, begin=7)), "jsonl")
        assert caught.value.code == "import.known"
        assert "line 2101 ('u7@acme.test')" in caught.value.message
        assert "or the file further up" in caught.value.message
        assert (await scope.users.list()).items == []


@pytest.mark.parametrize("form", ["csv", "jsonl"])
@pytest.mark.parametrize("name", ["A\rB", "A\nB", "A\r\nB", 'A"\r"B', "A,B", "A\u2028B"])
async def test_lines_within_names_come_back(px: Platform, tenant: str, tmp_path: Path, form: Any, name: str) -> None:
    file = tmp_path / "users"
    async with px.tenant(tenant) as scope:
        await scope.users.create(username=name, email="ada@acme.test", last_name=name)
        with file.open("w", newline="", encoding="utf-8") as target:
            await scope.user_transfer.write(target, form)
        await scope.users.delete((await scope.users.by_email("ada@acme.test")).id)
        with file.open(newline="", encoding="utf-8") as source:
            assert await scope.user_transfer.read(source, form) == Imported(1, 0)
        found = await scope.users.by_email("ada@acme.test")
        assert (found.username, found.last_name) == (name, name)


async def test_a_line_is_read_as_far_as_a_user_can_be(px: Platform, tenant: str) -> None:
    class Endless(io.StringIO):
        asked = 0

        def readline(self, size: int | None = -1, /) -> str:  # type: ignore[override]
            assert size is not None
            assert size >= 0
            self.asked += size
            return "x" * size

    source = Endless()
    async with px.tenant(tenant) as scope:
        with pytest.raises(InvalidInput) as caught:
            await scope.user_transfer.read(source, "jsonl")
    assert caught.value.code == "import.invalid"
    assert "line 1: it has more than 262,144 characters" in caught.value.message
    assert source.asked < 300_000


@pytest.mark.parametrize("form", ["xml", "", None, 5, "CSV"])
async def test_a_format_there_is_not_is_named(px: Platform, tenant: str, form: Any) -> None:
    async with px.tenant(tenant) as scope:
        for work in (
            scope.user_transfer.read(io.StringIO(lines(1)), form),
            scope.user_transfer.write(io.StringIO(), form),
        ):
            with pytest.raises(InvalidInput) as caught:
                await work
            assert caught.value.code == "import.format_unknown"
        assert (await scope.users.list()).items == []


@pytest.mark.parametrize("form", ["csv", "jsonl"])
async def test_wide_users_are_held_a_few_at_a_time(px: Platform, tenant: str, form: Any, tmp_path: Path) -> None:
    """1,500 users of 15 KB each, 22 MB: neither way needs them all, nor a batch of two thousand."""
    count, wide = 1_500, {"note": "x" * 15_000}
    file = tmp_path / "users"
    with file.open("w") as target:
        rows = csv.writer(target)
        if form == "csv":
            rows.writerow(["username", "email", "metadata"])
        for n in range(count):
            if form == "csv":
                rows.writerow([f"u{n}", f"u{n}@acme.test", json.dumps(wide)])
            else:
                target.write(json.dumps({"username": f"u{n}", "email": f"u{n}@acme.test", "metadata": wide}) + "\n")
    told: list[int] = []
    with file.open() as text, (tmp_path / "again").open("w") as again:
        async with px.tenant(tenant) as scope:
            await scope.users.list(limit=1)  # the connection is there
            tracemalloc.start()
            try:
                assert await scope.user_transfer.read(text, form, progress=told.append) == Imported(count, 0)
                read = tracemalloc.get_traced_memory()[1]
                tracemalloc.reset_peak()
                assert (await scope.user_transfer.write(again, form)).users == count
                written = tracemalloc.get_traced_memory()[1]
            finally:
                tracemalloc.stop()
    assert max(later - sooner for sooner, later in itertools.pairwise([0, *told])) <= 1024 * 1024 // 15_000 + 1
    assert read < 16_000_000
    assert written < 24_000_000


async def test_a_spreadsheet_finds_its_columns(px: Platform, tenant: str) -> None:
    async with px.tenant(tenant) as scope:
        await scope.users.create(username="ada", email="ada@acme.test")
        text = io.StringIO()
        await scope.user_transfer.write(text, "csv")
    (row,) = csv.DictReader(io.StringIO(text.getvalue()))
    assert (row["username"], row["email"], row["first_name"], row["metadata"]) == ("ada", "ada@acme.test", "", "{}")
