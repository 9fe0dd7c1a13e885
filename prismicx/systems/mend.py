"""The statements of `mend.sql`, and what is filled into them."""

from __future__ import annotations

import re
from dataclasses import dataclass

from prismicx.statements import Statements
from prismicx.systems.differences import table_of
from prismicx.systems.shape import OWNER, SCHEMA, USER

templates = Statements(__package__, "mend.sql")

WHAT = {
    "schema": "SCHEMA",
    "table": "TABLE",
    "view": "VIEW",
    "materialised view": "MATERIALIZED VIEW",
    "sequence": "SEQUENCE",
    "index": "INDEX",
    "type": "TYPE",
    "domain": "DOMAIN",
    "function": "ROUTINE",
    "column": "COLUMN",
    "attribute": "COLUMN",
    "constraint": "CONSTRAINT",
    "domain constraint": "CONSTRAINT",
    "trigger": "TRIGGER",
    "policy": "POLICY",
    "rule": "RULE",
    "statistics": "STATISTICS",
}
"""What statements call a kind of object."""


@dataclass(frozen=True, slots=True)
class Roles:
    """The schema and roles for which statements are written."""

    schema: str
    owner: str
    user: str


def fill(text: str, **values: str) -> str:
    """A statement of `mend.sql` with what stands for its marks."""
    return re.sub(r"\{(\w+)\}", lambda match: values[match[1]], text)


def parts_of(kind: str, name: str) -> tuple[str, str]:
    """The table and the name within it of ``contacts.email``."""
    table = name if kind == "function" else table_of(name)
    return table, name[len(table) + 1 :]


def role_of(who: str, roles: Roles) -> str:
    """A role of a fact, as statements name it."""
    return {OWNER: identifier(roles.owner), USER: identifier(roles.user)}.get(who, who)


def plain(value: str) -> str:
    """A value of a fact, found through the search path."""
    return value.replace(f"{SCHEMA}.", "")


def identifier(name: str) -> str:
    """A name in quotes."""
    return '"' + name.replace('"', '""') + '"'
