"""What commands that read or write files have: the file, opened, and a word on how far they are."""

from __future__ import annotations

import io
import os
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from rich.console import Console
from rich.progress import Progress, TextColumn, TimeElapsedColumn


def opened(file: Path) -> TextIO:
    """A text file to read; ``-`` is standard input."""
    # With a byte order mark or without: spreadsheets write one.
    if str(file) != "-":
        return file.open(encoding="utf-8-sig", newline="")
    if isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(encoding="utf-8-sig", newline="")
    return sys.stdin


@contextmanager
def written(file: Path) -> Iterator[TextIO]:
    """A text file to write; ``-`` is standard output. What was there stays until everything is written, and so does
    who may read it; what is new only its owner reads. Pipes and devices are written to as they are."""
    if str(file) == "-":
        yield sys.stdout
        return
    if file.exists() and not file.is_file():
        with file.open("w", encoding="utf-8", newline="") as target:
            yield target
        return
    part = file.with_name(f".{file.name}.part")
    part.unlink(missing_ok=True)  # one that a kill left may be somebody else's to read
    try:
        with open(part, "x", encoding="utf-8", newline="", opener=_private) as target:
            yield target
        if file.exists():
            part.chmod(stat.S_IMODE(file.stat().st_mode))
        part.replace(file)
    finally:
        part.unlink(missing_ok=True)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


class progress:
    """Tells at a terminal how many things were read."""

    def __init__(self, noun: str) -> None:
        self._bar = Progress(
            TextColumn("{task.completed:,.0f} " + noun),
            TimeElapsedColumn(),
            console=Console(stderr=True),
            transient=True,
            disable=not sys.stderr.isatty(),
        )
        self._task = self._bar.add_task(noun, total=None)

    def __enter__(self) -> Callable[[int], None]:
        self._bar.start()
        return lambda count: self._bar.update(self._task, completed=count)

    def __exit__(self, *_: object) -> None:
        self._bar.stop()
