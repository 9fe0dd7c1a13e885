"""JSON Schemas that others give: draft 2020-12, complete in themselves; what they say of a value.

The library that knows them is read when the first schema is: most commands meet none, and wait for it in vain.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_ELSEWHERE = ("$id", "$anchor", "$dynamicRef", "$dynamicAnchor")
"""Words of a schema that would let a reference mean something beyond the schema itself."""


@dataclass(frozen=True, slots=True)
class Flaw:
    """What is wrong with a schema: where, what stands there, and what to do about it."""

    where: str
    found: object
    remedy: str


def flaw_of(schema: Any) -> Flaw | None:
    """What keeps a value from being a schema that needs nothing but itself; None where nothing does."""
    from jsonschema import Draft202012Validator, SchemaError

    if isinstance(schema, dict) and schema.get("$schema", _DIALECT) != _DIALECT:
        return Flaw("$schema", schema["$schema"], f"leave it out, or write {_DIALECT}")
    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        return Flaw(error.json_path, error.instance, f"write a JSON Schema, draft 2020-12: {error.message[:200]}")
    for word, target in _references(schema):
        if word != "$ref" or not _is_there(schema, target):
            return Flaw(word, target, "use $ref only, to a place in the schema such as #/$defs/name")
    return None


def problem_of(
    schema: Any, value: Any, secrets: Collection[str] = (), unread: Collection[str] = (), part: Any = None
) -> str:
    """What breaks which rule where, in words; empty where nothing does.

    Args:
        secrets: keys whose values are not told.
        unread: keys of which nothing is said.
        part: the part of the schema that the value is to fit; the whole without it.
    """
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import best_match

    whole = Draft202012Validator(schema)
    validator = whole if part is None else whole.evolve(schema=part)
    try:
        found = [error for error in validator.iter_errors(value) if not ({*error.absolute_path} & {*unread})]
        error = best_match(iter(found))
    except RecursionError:
        return "at $: the schema refers to itself without an end"
    except OverflowError:  # such as an integer of 400 digits that is to be a multiple of 0.5
        return "at $: a number is too great to be compared"
    if error is None:
        return ""
    # At the top the message may hold everything.
    telling = not secrets or (error.absolute_path and error.absolute_path[0] not in secrets)
    return f"at {error.json_path}: {error.message[:300] if telling else f'it breaks {error.validator}'}"


def _references(schema: Any) -> Iterator[tuple[str, str]]:
    """Every word of a schema that refers to somewhere, or makes a name to refer to."""
    pending = [schema]
    while pending:
        part = pending.pop()
        if isinstance(part, dict):
            yield from ((word, part[word]) for word in ("$ref", *_ELSEWHERE) if isinstance(part.get(word), str))
            pending += part.values()
        elif isinstance(part, list):
            pending += part


def _is_there(schema: Any, target: str) -> bool:
    """Whether a reference such as ``#/$defs/name`` names a schema within the schema."""
    from jsonschema import Draft202012Validator

    if not target.startswith("#/"):
        return False
    part = schema
    for name in target[2:].split("/"):
        key = name.replace("~1", "/").replace("~0", "~")
        if isinstance(part, list) and key.isascii() and key.isdigit() and int(key) < len(part):
            part = part[int(key)]
        elif isinstance(part, dict) and key in part:
            part = part[key]
        else:
            return False
    return bool(Draft202012Validator(Draft202012Validator.META_SCHEMA).is_valid(part))
