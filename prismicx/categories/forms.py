"""Trees of categories as files: JSON, CSV, and the two forms of the IAB's content taxonomies.

json  a list of objects with ``name`` and perhaps ``id``, ``description``, ``attributes`` and ``children``; or with
      ``parent``, the id of another
csv   columns ``name`` and perhaps ``id``, ``parent``, ``description``, ``attributes`` (JSON)
iab   as published, lines with ``Unique ID``, ``Parent``, ``Name``, tab or comma between; or as JSON, a list of
      objects with ``id``, ``label`` and ``path``
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Literal, get_args

from prismicx.categories.values import Attribute, Category, CategoryValues, attributes_of, too_deep
from prismicx.checks import check_text
from prismicx.errors import InvalidInput, PrismicXError, quoted, several

Format = Literal["json", "csv", "iab"]
FORMATS: tuple[Format, ...] = get_args(Format)

INVALID = "category.file_invalid"

IMPORT_LIMIT = 6_000
"""Categories that one file may hold."""
FILE_LIMIT = 16 * 1024 * 1024
"""Bytes that a file may have."""

_TIERS = 4
_CSV = ("id", "parent", "name", "description", "attributes")
_JSON = {"id", "parent", "name", "description", "attributes", "children"}
_HEAD = 5
"""Lines among which the heading of an IAB file is looked for."""


@dataclass(frozen=True, slots=True)
class Node:
    """A category that a file tells of.

    Attributes:
        where: its place in the file, for messages.
        key: what the file calls it; None when it has no name of its own there.
        parent: index of the node above in the list, which comes before it; None at the top.
        description, attributes: None where the file says nothing of them.
    """

    where: str
    key: str | None
    parent: int | None
    name: str
    description: str | None = None
    attributes: tuple[Attribute, ...] | None = None


Name = tuple[str, Hashable]
"""What a row is called by others: how, and the name."""


@dataclass(frozen=True, slots=True)
class _Row:
    where: str
    held: Mapping[str, Any]
    own: tuple[Name, ...]
    above: Name | None


def parse(text: str, format: Format | None = None) -> list[Node]:
    """The nodes of a file, each after the one above it.

    Args:
        format: found out by looking unless given.

    Raises:
        InvalidInput: ``category.file_invalid`` with the places that are wrong.
    """
    text = text.removeprefix("\N{ZERO WIDTH NO-BREAK SPACE}")
    format = format or _format_of(text)
    if format not in FORMATS:
        raise _wrong(f"the format is {quoted(format)}", f"use one of {', '.join(FORMATS)}")
    like_json = text.lstrip()[:1] in ("[", "{")
    if format == "json":
        rows = _json_rows(_json(text))
    elif format == "csv":
        rows = _csv_rows(text)
    else:
        rows = _iab_json_rows(_json(text)) if like_json else _iab_rows(text)
    # No more is read of a file than tells that it holds too many.
    return _in_order(list(islice(rows, IMPORT_LIMIT + 1)))


def write(categories: Sequence[Category], format: Format) -> str:
    """Categories, each after the one above it, as a file that `parse` reads.

    Raises:
        InvalidInput: ``category.too_deep`` when the IAB form has no tier for one, ``category.file_invalid``.
    """
    # A key names one category only: neither another's source nor another's id may be the same.
    used = Counter([key for item in categories for key in (item.source_id, item.category_id) if key])
    keys = {
        item.category_id: item.source_id if item.source_id and used[item.source_id] == 1 else item.category_id
        for item in categories
    }
    rows = [
        {
            "id": keys[item.category_id],
            "parent": keys.get(item.parent_id or ""),
            "name": item.name,
            "description": item.description,
            "attributes": [attribute.stored() for attribute in item.attributes],
        }
        for item in categories
    ]
    if format == "json":
        return json.dumps(_nested(rows), indent=1, ensure_ascii=False) + "\n"
    if format == "csv":
        return _lines(_CSV, ([*map(_cell, row.values())] for row in rows), ",")
    if format != "iab":
        raise _wrong(f"the format is {quoted(format)}", f"use one of {', '.join(FORMATS)}")
    paths: dict[Any, list[Any]] = {}
    for row in rows:
        paths[row["id"]] = [*paths.get(row["parent"], []), row["name"]]
        if len(paths[row["id"]]) > _TIERS:
            raise too_deep(str(row["name"]))
    tiers = [f"Tier {number}" for number in range(1, _TIERS + 1)]
    lines = ([row["id"], row["parent"] or "", row["name"], *paths[row["id"]]] for row in rows)
    return _lines(["Unique ID", "Parent", "Name", *tiers], lines, "\t")


def _format_of(text: str) -> Format:
    if text.lstrip()[:1] in ("[", "{"):
        held = _json(text)
        first = held[0] if isinstance(held, list) and held else None
        return "iab" if isinstance(first, dict) and "path" in first else "json"
    return "csv" if _heading(text.splitlines()[:_HEAD]) is None else "iab"


def _heading(lines: Sequence[str]) -> int | None:
    """Which of the lines has a column ``Unique ID``, as files of the IAB do; before it may stand a title."""
    for number, line in enumerate(lines):
        if any(cell.strip(' "').lower() == "unique id" for cell in re.split("[\t,]", line)):
            return number
    return None


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _wrong(f"the file is no JSON: {error}", "mend it, or name its form with --format") from error


def _json_rows(held: Any) -> Iterator[_Row]:
    pending: list[tuple[str, Any, Name | None]] = _items("", held, None)
    while pending:
        where, item, above = pending.pop()
        if not isinstance(item, dict) or not item.keys() <= _JSON:
            raise _wrong(f"{where} is {quoted(item)}", f"give objects with {', '.join(sorted(_JSON))}")
        if above is not None and item.get("parent") is not None:
            raise _wrong(f"{where} has a parent and is among the children of another", "say it in one way")
        key = _key(where, item.get("id"))
        parent = _key(where, item.get("parent"))
        own = (("place", where), *([("id", key)] if key is not None else []))
        yield _Row(where, {**item, "id": key}, own, above or (("id", parent) if parent is not None else None))
        pending += _items(where, item.get("children") or [], ("place", where))


def _items(where: str, held: Any, above: Name | None) -> list[tuple[str, Any, Name | None]]:
    """The items of a list with their places, the last first; ``where`` is the item that holds them, if one does."""
    if not isinstance(held, list):
        raise _wrong(f"{where or 'the file'} holds {quoted(held)}", "give a list of categories")
    if len(held) > IMPORT_LIMIT:
        raise _too_many()
    before = f"{where}." if where else "item "
    return [(f"{before}{number}", item, above) for number, item in enumerate(held, 1)][::-1]


def _csv_rows(text: str) -> Iterator[_Row]:
    reader, names = _reader(text, ",")
    unknown = next((name for name in names if name not in _CSV), None)
    if unknown is not None or "name" not in names:
        reason = "has no column name" if unknown is None else f"has the column {quoted(unknown)}"
        raise _wrong(f"line 1 {reason}", f"columns are {', '.join(_CSV)}")
    for where, row in _records(reader):
        held: dict[str, Any] = {name: value for name, value in row.items() if value}
        if "attributes" in held:
            held["attributes"] = _json_cell(where, held["attributes"])
        own = [("id", held["id"])] if "id" in held else []
        yield _Row(where, held, (*own,), ("id", held["parent"]) if "parent" in held else None)


def _iab_rows(text: str) -> Iterator[_Row]:
    lines = text.splitlines(keepends=True)
    head = _heading(lines[:_HEAD])
    if head is None:
        raise _wrong("the file has no line with Unique ID, Parent and Name", "name its form with --format")
    delimiter = "\t" if "\t" in lines[head] else ","
    reader, names = _reader("".join(lines[head:]), delimiter)
    columns = {name.strip().lower(): name for name in names}
    missing = next((name for name in ("unique id", "parent", "name") if name not in columns), None)
    if missing is not None:
        raise _wrong(f"line {head + 1} has no column {missing}", "columns are Unique ID, Parent, Name and tiers")
    for where, row in _records(reader, head, whole=False):
        key, parent, name = ((row[columns[field]] or "").strip() for field in ("unique id", "parent", "name"))
        if key or name:
            own = (("id", key),) if key else ()
            yield _Row(where, {"id": key or None, "name": name}, own, ("id", parent) if parent else None)


def _iab_json_rows(held: Any) -> Iterator[_Row]:
    for where, item, _ in reversed(_items("", held, None)):
        path = item.get("path") if isinstance(item, dict) else None
        if not isinstance(path, list) or not path or not all(isinstance(part, str) for part in path):
            raise _wrong(f"{where} is {quoted(item)}", "give objects with id, label and path")
        name, above = item.get("label", path[-1]), tuple(path[:-1])
        # The taxonomy's mark of sensitive content.
        more = {"attributes": [{"name": "scd", "value": True}]} if item.get("scd") is True else {}
        named = {"id": _key(where, item.get("id")), "name": name, **more}
        yield _Row(where, named, (("path", tuple(path)),), ("path", above) if above else None)


def _reader(text: str, delimiter: str) -> tuple[Any, list[str]]:
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        return reader, list(reader.fieldnames or [])
    except csv.Error as error:
        raise _wrong(f"the heading is no CSV: {error}", "mend the line") from error


def _records(reader: Any, before: int = 0, *, whole: bool = True) -> Iterator[tuple[str, dict[str, Any]]]:
    while True:
        where = f"line {before + reader.line_num + 1}"
        try:
            row = next(reader, None)
        except csv.Error as error:
            raise _wrong(f"{where} is no CSV: {error}", "mend the line") from error
        if row is None:
            return
        if whole and (None in row or None in row.values()):
            raise _wrong(f"{where} has not as many fields as the first", "mend the line")
        yield where, row


def _in_order(rows: list[_Row]) -> list[Node]:
    """The nodes, each after its parent, or what is wrong with them."""
    if len(rows) > IMPORT_LIMIT:
        raise _too_many()
    places: dict[Name, int] = {}
    problems: list[str] = []
    for index, row in enumerate(rows):
        for own in row.own:
            if own in places:
                problems.append(f"{row.where} is called {quoted(own[1])} as {rows[places[own]].where} is")
            places.setdefault(own, index)
    below: dict[int | None, list[int]] = {}
    for index, row in enumerate(rows):
        if row.above is not None and row.above not in places:
            problems.append(f"{row.where} is below {quoted(row.above[1])}, which the file does not have")
        else:
            below.setdefault(None if row.above is None else places[row.above], []).append(index)
    nodes: list[Node] = []
    pending: list[tuple[int, int | None]] = [(index, None) for index in reversed(below.get(None, []))]
    while pending:
        index, parent = pending.pop()
        try:
            nodes.append(_node(rows[index], parent))
        except PrismicXError as error:
            problems.append(f"{rows[index].where}: {error.message}")
            continue
        pending += [(child, len(nodes) - 1) for child in reversed(below.get(index, []))]
    problems += _twice(nodes)
    if not problems and len(nodes) < len(rows):
        problems.append("some categories of the file are below themselves")
    if problems:
        raise _wrong(several(problems), "mend the file and import it again; nothing was changed")
    return nodes


def _node(row: _Row, parent: int | None) -> Node:
    held = row.held
    attributes = None if held.get("attributes") is None else attributes_of(held["attributes"])
    values = CategoryValues(held.get("name"), held.get("description"), attributes or ())  # type: ignore[arg-type]
    key = held.get("id")
    if key is not None:
        check_text("category.invalid", "id", key, 100)
    return Node(row.where, key, parent, values.name, values.description, attributes)


def _twice(nodes: list[Node]) -> Iterator[str]:
    seen: dict[tuple[int | None, str], Node] = {}
    for node in nodes:
        other = seen.setdefault((node.parent, node.name), node)
        if other is not node:
            yield f"{node.where} has the name {quoted(node.name)} beside {other.where}"


def _key(where: str, value: object) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise _wrong(f"{where} has the id {quoted(value)}", "give a text or a whole number")


def _json_cell(where: str, text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _wrong(f"{where} has attributes that are no JSON: {error}", "mend the line") from error


def _nested(rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    top: list[dict[str, Any]] = []
    made: dict[Any, dict[str, Any]] = {}
    for row in rows:
        item = {name: value for name, value in row.items() if name != "parent" and value}
        made[row["id"]] = item
        (top if row["parent"] is None else made[row["parent"]].setdefault("children", [])).append(item)
    return top


def _lines(head: Sequence[str], rows: Iterable[Sequence[Any]], delimiter: str) -> str:
    # Lines end as RFC 4180 has it: so the writer quotes a value with either character.
    target = io.StringIO(newline="")
    writer = csv.writer(target, delimiter=delimiter, lineterminator="\r\n")
    writer.writerow(head)
    writer.writerows(rows)
    return target.getvalue()


def _cell(value: Any) -> str:
    if isinstance(value, list):
        return json.dumps(value, ensure_ascii=False) if value else ""
    return "" if value is None else str(value)


def _too_many() -> InvalidInput:
    return _wrong(f"the file has more than {IMPORT_LIMIT:,} categories", f"import at most {IMPORT_LIMIT:,} at once")


def _wrong(message: str, remedy: str) -> InvalidInput:
    return InvalidInput(INVALID, message, remedy)
