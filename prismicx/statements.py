"""SQL files as named statements.

A file holds statements introduced by ``-- name: some_name``; they are read once, when a module loads.
"""

from __future__ import annotations

import re
from importlib.resources import files

_NAME = re.compile(r"^-- name: (\w+)\s*$", re.MULTILINE)


class Statements:
    """The statements of one file, as attributes named after them."""

    def __init__(self, package: str, file: str) -> None:
        self._source = f"{package}/{file}"
        parts = _NAME.split(files(package).joinpath(file).read_text(encoding="utf-8"))
        self._statements = {name: text.strip() for name, text in zip(parts[1::2], parts[2::2], strict=True)}

    @property
    def names(self) -> frozenset[str]:
        """What its statements are called."""
        return frozenset(self._statements)

    def __getattr__(self, name: str) -> str:
        try:
            return self._statements[name]
        except KeyError:
            raise AttributeError(f"no statement {name!r} in {self._source}") from None
