"""What a key or a token may be called."""

from __future__ import annotations

import re

from prismicx.errors import InvalidInput, quoted

_NAME = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,126}[A-Za-z0-9_])?")
"""As Vault has it, and at most 128 characters."""


def check_name(name: str) -> str:
    """The value as the name of a key.

    Raises:
        InvalidInput: ``keys.name_invalid``.
    """
    if _NAME.fullmatch(name):
        return name
    raise InvalidInput(
        "keys.name_invalid",
        f"{quoted(name)} is not the name of a key or a token",
        "use letters, digits and _, inside it also . and -, at most 128 in all",
    )
