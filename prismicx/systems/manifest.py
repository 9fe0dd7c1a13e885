"""What every reader of ``system.toml`` needs: values of the right kind, or an error that names file, field and rule."""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path
from typing import Any

from prismicx.checks import check_object
from prismicx.errors import InvalidInput, quoted

_ID = re.compile(r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*")
_ID_LIMIT = 29
ID_RULE = f"use at most {_ID_LIMIT} letters a-z, digits and single '-', a letter first"


def is_system_id(value: object) -> bool:
    """Whether a system can have this id."""
    return isinstance(value, str) and len(value) <= _ID_LIMIT and _ID.fullmatch(value) is not None


class Checker:
    """Checks values of one file."""

    def __init__(self, manifest: Path) -> None:
        self._manifest = manifest

    def wrong(self, label: str, value: object, remedy: str) -> InvalidInput:
        """The error for a value that breaks a rule, which the remedy tells."""
        return InvalidInput("package.invalid", f"{self._manifest}: {label} is {quoted(value)}", remedy)

    def fields(self, held: Any, known: Collection[str], where: str) -> None:
        """See that something is a table and has known fields only."""
        if not isinstance(held, dict):
            raise self.wrong(where, held, f"write a table with {', '.join(sorted(known))}")
        for field in held:
            if field not in known:
                raise self.wrong(f"a field of {where}", field, f"known are {', '.join(sorted(known))}")

    def text(self, held: dict[str, Any], field: str, limit: int, where: str = "") -> str:
        """A text of 1 to ``limit`` characters."""
        value = held.get(field)
        if isinstance(value, str) and 0 < len(value) <= limit and "\0" not in value:
            return value
        raise self.wrong(f"{field}{where}", value, f"give a text of 1 to {limit} characters")

    def table(self, held: dict[str, Any], field: str, where: str, limit: int) -> dict[str, Any] | None:
        """A table that can be kept as JSON; None where there is none, or an empty one."""
        value = held.get(field, {})
        if not isinstance(value, dict):
            raise self.wrong(f"{field}{where}", value, "write a table")
        check_object("package.invalid", f"{self._manifest}: {field}{where}", value, limit)
        return value or None
