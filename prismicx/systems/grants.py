"""Statements that give everybody the rights they should have, and take away the others."""

from __future__ import annotations

import re
from collections.abc import Iterator

from prismicx.systems.mend import WHAT, Roles, fill, identifier, parts_of, role_of, templates
from prismicx.systems.shape import OWNER

_OPTION = " WITH GRANT OPTION"
_GIVEN_ON = re.compile(r"(.+?): ([A-Z, ]+) by (.+)")


def grants(kind: str, name: str, expected: str, found: str, roles: Roles) -> Iterator[str]:
    """Take from everybody but the owner what they should not have, and give what they should; the usual by default."""
    if kind == "default privileges":
        yield from default_grants(name, expected, found, roles)
        return
    usual = _USUAL.get(kind, "")
    named = _parsed(expected or usual)
    table, part = parts_of(kind, name)
    what = {"column": "TABLE", "attribute": "TYPE", "view": "TABLE", "materialised view": "TABLE"}.get(kind, WHAT[kind])
    place = identifier(roles.schema) if kind == "schema" else table if kind == "column" else name
    columns = f" ({part})" if kind == "column" else ""
    common = {"what": what, "place": place}
    held = _parsed(found or usual)
    everybody = [who for who in dict.fromkeys([*held, *_parsed(usual), *named]) if who != OWNER]
    others = [who for who in everybody if held.get(who) != named.get(who)]
    for who in others:
        yield fill(templates.revoke, columns=columns, value=role_of(who, roles), **common)
    for who in others:
        for text, option in _grant_lists(named.get(who, ""), part if kind == "column" else ""):
            yield fill(templates.grant, privileges=text, option=option, value=role_of(who, roles), **common)
    if found and kind != "column" and held.get(OWNER) != named.get(OWNER):
        # What an owner has by default is said of nobody, so it is all there is.
        for text, option in _grant_lists(named.get(OWNER, "ALL"), ""):
            yield fill(templates.grant, privileges=text, option=option, value=role_of(OWNER, roles), **common)
    for who, privileges, giver in _given_on(found):
        if giver not in others:
            yield f"-- {kind} {name}: {role_of(giver, roles)} gave {privileges} to {who}; only that role takes it back"


_USUAL = {
    "schema": "{user}: USAGE",
    "table": "{user}: DELETE, INSERT, SELECT, UPDATE",
    "view": "{user}: DELETE, INSERT, SELECT, UPDATE",
    "materialised view": "{user}: DELETE, INSERT, SELECT, UPDATE",
    "sequence": "{user}: SELECT, USAGE",
    "function": "PUBLIC: EXECUTE",
    "type": "PUBLIC: USAGE",
    "domain": "PUBLIC: USAGE",
}
"""What others than the owner are given where nothing is said."""


def default_grants(name: str, expected: str, found: str, roles: Roles) -> Iterator[str]:
    """As `grants`, for what will be made in the schema."""
    role, _, what = name.rpartition(" ")
    common = {"role": role_of(role, roles), "schema": identifier(roles.schema), "what": what.upper()}
    wanted, held = _parsed(expected), _parsed(found)
    for who in dict.fromkeys([*held, *wanted]):
        if who in held and held.get(who) != wanted.get(who):
            yield fill(templates.default_revoke, value=role_of(who, roles), **common)
        if who in wanted and held.get(who) != wanted[who]:
            for text, option in _grant_lists(wanted[who], ""):
                yield fill(templates.default_grant, privileges=text, option=option, value=role_of(who, roles), **common)


def _grant_lists(privileges: str, column: str) -> Iterator[tuple[str, str]]:
    """What is given plainly, and what may be given on."""
    lists: dict[str, list[str]] = {"": [], _OPTION: []}
    for item in filter(None, privileges.split(", ")):
        text = item.removesuffix(_OPTION)
        lists[_OPTION if text != item else ""].append(f"{text} ({column})" if column else text)
    for option, items in lists.items():
        if items:
            yield ", ".join(items), option


def _parsed(said: str) -> dict[str, str]:
    """Who has what from the owner, as facts say it."""
    return dict(item.split(": ", 1) for item in said.split("; ") if ": " in item and not _GIVEN_ON.fullmatch(item))


def _given_on(said: str) -> Iterator[tuple[str, str, str]]:
    """Who has what from somebody else than the owner, and from whom."""
    for item in said.split("; "):
        match = _GIVEN_ON.fullmatch(item)
        if match:
            yield match[1], match[2], match[3]
