"""How the files of other migration tools are named and marked: which tool a file speaks of, and the scripts it holds.

golang-migrate   000001_title.up.sql, 000001_title.down.sql
dbmate           20260102030405_title.sql with the lines ``-- migrate:up`` and ``-- migrate:down``
goose            00001_title.sql with the lines ``-- +goose Up`` and ``-- +goose Down``
flyway           V1__title.sql, V1.1__title.sql; U1__title.sql leads back
sqlx             20260102030405_title.up.sql and .down.sql, or 20260102030405_title.sql
numbered         any .sql file whose name, or folder, has a number and says up or down
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import postgast
from postgast import PgQueryError

from prismicx.errors import InvalidInput
from prismicx.systems.package import Source

UP, DOWN = "up", "down"

_PAIR = re.compile(r"([0-9]+)_(.*)\.(up|down)\.sql")
_SINGLE = re.compile(r"([0-9]+)(?:[_-](.+))?\.sql")
_FLYWAY = re.compile(r"([VU])([0-9]+(?:[._][0-9]+)*)__(.+)\.sql")
_FLYWAY_OTHERS = (
    (re.compile(r"R__.*\.sql"), "is repeatable: it would change what a published version is"),
    (re.compile(r"B[0-9][0-9._]*__.*\.sql"), "is a baseline: a version is reached from the one before it"),
    (re.compile(r"(?:before|after|create)[A-Z].*\.sql"), "is a callback, which no version has"),
)
_DBMATE = re.compile(r"--\s*migrate:(up|down)\b[ \t]*(.*?)\s*")
_GOOSE = re.compile(r"\s*--\s*\+goose\s+(.*?)\s*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class File:
    """A file of SQL.

    Attributes:
        path: where it is.
        inner: its path from the folder on.
    """

    path: Path
    inner: Path
    text: str


@dataclass(frozen=True, slots=True)
class Script:
    """What leads to a version, or back from it.

    Attributes:
        number: as it is written, without leading zeros.
        way: ``up`` or ``down``.
    """

    number: str
    title: str
    way: str
    text: str
    source: Source


def convention_of(file: File) -> str | None:
    """The convention that a file by itself speaks of; None for no migration."""
    name = file.path.name
    if _FLYWAY.fullmatch(name) or any(pattern.fullmatch(name) for pattern, _ in _FLYWAY_OTHERS):
        return "flyway"
    if _has_line(_GOOSE, file.text):
        return "goose"
    if _has_line(_DBMATE, file.text):
        return "dbmate"
    if len(file.inner.parts) == 1 and _PAIR.fullmatch(name):
        return "golang-migrate"
    if _numbered_name(file) is not None:
        return "numbered"
    return "sqlx" if len(file.inner.parts) == 1 and _SINGLE.fullmatch(name) else None


def _golang_migrate(file: File) -> list[Script]:
    match = _PAIR.fullmatch(file.inner.as_posix())
    if match is None:
        raise _unknown(file, "golang-migrate", "000001_title.up.sql and 000001_title.down.sql")
    return [_whole(file, match[1], match[2], match[3])]


def _sqlx(file: File) -> list[Script]:
    match = _PAIR.fullmatch(file.inner.as_posix())
    if match is not None:
        return [_whole(file, match[1], match[2], match[3])]
    match = _SINGLE.fullmatch(file.inner.as_posix())
    if match is None:
        raise _unknown(file, "sqlx", "20260102030405_title.sql, or .up.sql and .down.sql")
    return [_whole(file, match[1], match[2] or "", UP)]


def _flyway(file: File) -> list[Script]:
    for pattern, reason in _FLYWAY_OTHERS:
        if pattern.fullmatch(file.path.name):
            raise InvalidInput(
                "package.migrations",
                f"{file.path} {reason}",
                "make it a V migration with a number of its own, or take it out",
            )
    match = _FLYWAY.fullmatch(file.path.name)
    if match is None:
        raise _unknown(file, "flyway", "V1__title.sql and U1__title.sql, with two '_' before the title")
    return [_whole(file, match[2], match[3], UP if match[1] == "V" else DOWN)]


def _numbered(file: File) -> list[Script]:
    found = _numbered_name(file)
    if found is None:
        raise _unknown(file, "numbered", "1.up.sql, 001-title-up.sql, down_001.sql or up/001.sql")
    return [_whole(file, *found)]


def _dbmate(file: File) -> list[Script]:
    begins: list[tuple[str, int]] = []
    for number, line in enumerate(file.text.split("\n"), 1):
        match = _DBMATE.fullmatch(line)
        if match is None:
            continue
        # Whether there is a transaction is decided statement by statement, see `prismicx.systems.phases`.
        if match[2] not in ("", "transaction:true", "transaction:false"):
            raise _wrong(file, number, f"the option {match[2]} is not known", "known is transaction:false")
        begins.append((match[1], number))
    return _sections(file, "dbmate", begins, "-- migrate:up")


def _goose(file: File) -> list[Script]:
    begins: list[tuple[str, int]] = []
    opened = 0
    for number, line in enumerate(file.text.split("\n"), 1):
        match = _GOOSE.fullmatch(line)
        if match is None:
            continue
        word = match[1].lower()
        if opened and word != "statementend":
            raise _wrong(file, opened, "StatementBegin without its StatementEnd", "add -- +goose StatementEnd")
        if word in (UP, DOWN):
            begins.append((word, number))
        elif word == "statementbegin":
            opened = number
        elif word == "statementend":
            if not opened:
                raise _wrong(file, number, "StatementEnd without its StatementBegin", "add it, or take this out")
            opened = 0
        # Whether there is a transaction is decided statement by statement, see `prismicx.systems.phases`.
        elif word != "no transaction":
            raise _wrong(
                file,
                number,
                f"+goose {match[1]} is not taken",
                "write the SQL as it is to run; Up, Down, StatementBegin, StatementEnd and NO TRANSACTION are taken",
            )
    if opened:
        raise _wrong(file, opened, "StatementBegin without its StatementEnd", "add -- +goose StatementEnd")
    return _sections(file, "goose", begins, "-- +goose Up")


READERS: Mapping[str, Callable[[File], list[Script]]] = {
    "golang-migrate": _golang_migrate,
    "dbmate": _dbmate,
    "goose": _goose,
    "flyway": _flyway,
    "sqlx": _sqlx,
    "numbered": _numbered,
}
"""What reads a file as a convention has it; each raises InvalidInput, ``package.migrations``."""


def _whole(file: File, number: str, title: str, way: str) -> Script:
    return Script(_plain_number(number), title, way, file.text, Source(str(file.path)))


def _plain_number(text: str) -> str:
    return ".".join(str(int(part)) for part in re.split("[._]", text))


def _numbered_name(file: File) -> tuple[str, str, str] | None:
    """Number, title and way of a file that says all in its name, or the way by the folder it is in."""
    *folders, _ = file.inner.parts
    words = re.findall(r"[A-Za-z]+|[0-9]+", file.path.name[: -len(".sql")])
    number = next((word for word in words if word.isdigit()), None)
    if number is None or len(folders) > 1:
        return None
    if folders:
        way = folders[0].lower()
        return (number, "_".join(word for word in words if word != number), way) if way in (UP, DOWN) else None
    ways = {word.lower() for word in words} & {UP, DOWN}
    # Where both words are there, one is of the title: the way stands at an end.
    for word in (words[-1], words[0], *ways):
        way = word.lower()
        if way in ways:
            title = "_".join(item for item in words if item.lower() != way and item != number)
            return number, title, way
    return None


def _sections(file: File, tool: str, begins: list[tuple[str, int]], marker: str) -> list[Script]:
    """The scripts of a file that holds both ways; a way back without a statement is none."""
    match = _SINGLE.fullmatch(file.inner.as_posix())
    if match is None:
        raise _unknown(file, tool, "20260102030405_title.sql")
    if not begins:
        raise _wrong(file, 1, f"there is no line {marker}", "say where the migration begins")
    if [way for way, _ in begins] not in ([UP], [UP, DOWN]):
        raise _wrong(file, begins[-1][1], f"the parts are {', '.join(way for way, _ in begins)}", "write up, then down")
    lines = file.text.split("\n")
    if not _says_nothing("\n".join(lines[: begins[0][1] - 1])):
        raise _wrong(file, 1, f"there is SQL before the line {marker}", "move it below")
    scripts = []
    for index, (way, line) in enumerate(begins):
        end = begins[index + 1][1] - 1 if index + 1 < len(begins) else len(lines)
        text = "\n".join(lines[line:end])
        if way == UP or not _says_nothing(text):
            source = Source(str(file.path), line + 1)
            scripts.append(Script(_plain_number(match[1]), match[2] or "", way, text, source))
    return scripts


def _says_nothing(text: str) -> bool:
    try:
        tokens = postgast.scan(text).tokens
    except PgQueryError:
        return False
    kinds = {postgast.pg_query_pb2.Token.Name(token.token) for token in tokens}
    return kinds <= {"SQL_COMMENT", "C_COMMENT", "ASCII_59"}


def _has_line(pattern: re.Pattern[str], text: str) -> bool:
    return any(pattern.fullmatch(line) for line in text.split("\n"))


def _unknown(file: File, tool: str, pattern: str) -> InvalidInput:
    return InvalidInput(
        "package.migrations", f"{file.path} has no name of a migration of {tool}", f"name it {pattern}, or take it out"
    )


def _wrong(file: File, line: int, problem: str, remedy: str) -> InvalidInput:
    return InvalidInput("package.migrations", f"{file.path}:{line}:1: {problem}", remedy)
