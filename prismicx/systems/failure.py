"""What PostgreSQL said of a script, in words for an operator."""

from __future__ import annotations

import re

import asyncpg

_STATEMENT = re.compile(r'^SQL statement "(.*?)"$', re.DOTALL | re.MULTILINE)


def failure_of(error: asyncpg.PostgresError) -> str:
    """What an operator needs to know of an error: SQLSTATE, message, detail, hint and the statement."""
    parts = [f"{error.sqlstate}: {error}"]
    parts += [text for name in ("detail", "hint") if (text := getattr(error, name, None)) and text not in str(error)]
    statement = statement_of(error)
    if statement:
        parts.append(f"in: {' '.join(statement.split())[:500]}")
    return "; ".join(parts)[:2000]


def statement_of(error: asyncpg.PostgresError) -> str:
    """The statement of the script that failed; empty where the server does not tell."""
    found = _STATEMENT.findall(getattr(error, "context", None) or "")
    # The innermost comes first: what a trigger did is within what the script said.
    return str(found[-1]) if found else ""
