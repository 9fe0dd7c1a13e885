"""Files that commands write: who may read them, and what is no file."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from prismicx.cli.files import written


def mode_of(file: Path) -> int:
    return stat.S_IMODE(file.stat().st_mode)


@pytest.fixture(autouse=True)
def open_umask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


def test_what_is_new_only_its_owner_reads(tmp_path: Path) -> None:
    file, part = tmp_path / "users.csv", tmp_path / ".users.csv.part"
    part.touch(mode=0o644)  # a kill left it
    with written(file) as target:
        target.write("ada")
        assert mode_of(part) == 0o600
    assert (file.read_text(), mode_of(file)) == ("ada", 0o600)
    assert not part.exists()


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o644, 0o666])
def test_who_read_the_file_before_reads_it_still(tmp_path: Path, mode: int) -> None:
    file = tmp_path / "users.csv"
    file.write_text("bob")
    file.chmod(mode)
    with written(file) as target:
        target.write("ada")
        assert file.read_text() == "bob"
    assert (file.read_text(), mode_of(file)) == ("ada", mode)


def test_what_went_wrong_leaves_the_file_and_nothing_else(tmp_path: Path) -> None:
    file = tmp_path / "users.csv"
    file.write_text("bob")
    with pytest.raises(ZeroDivisionError), written(file) as target:
        target.write(str(1 // 0))
    assert [item.name for item in tmp_path.iterdir()] == ["users.csv"]
    assert file.read_text() == "bob"


def test_a_pipe_stays_a_pipe(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with ThreadPoolExecutor(1) as thread:
        read = thread.submit(pipe.read_text)
        with written(pipe) as target:
            target.write("ada")
        assert read.result(10) == "ada"
    assert pipe.is_fifo()
    assert [item.name for item in tmp_path.iterdir()] == ["pipe"]


def test_a_directory_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError), written(tmp_path):
        pass
