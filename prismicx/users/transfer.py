"""Many users at once, from and to CSV or JSON lines, a batch at a time. Reference: `users` Table."""

from __future__ import annotations

import asyncio
import csv
import json
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Iterator
from contextlib import aclosing
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal, NamedTuple, TextIO

import asyncpg

from prismicx.audit.tracing import Trace, audited
from prismicx.clock import utc_now
from prismicx.engines.scoped_sql import Sql
from prismicx.errors import Conflict, InvalidInput, PrismicXError, quoted, several
from prismicx.sealing.sealer import Sealer, Writer
from prismicx.users import passwords
from prismicx.users.private import PRIVATE_KEY, with_private
from prismicx.users.repository import Users, queries
from prismicx.users.values import User, UserValues

Format = Literal["csv", "jsonl"]
FORMATS: tuple[Format, ...] = ("csv", "jsonl")

FIELDS = ("username", "email", "first_name", "last_name", "role", "status", "metadata")
"""What is read. More is written: ``id``, the times; what is written can be read again."""

_WRITTEN = ("id", *FIELDS, "created_at", "updated_at", "last_login_at")
_READ_SET, _WRITTEN_SET = frozenset(FIELDS), frozenset(_WRITTEN)
_BATCH, _BATCH_TEXT = 2_000, 1024 * 1024
"""Users that are added at a time, and the characters they may have in the file. The next ones are read meanwhile, so
twice that is held in memory at once."""
_TURN = 100
"""Users that are read without a pause, in which the server's answer is taken and more is sent."""
_ROW_TEXT = 256 * 1024
"""Characters one user may have in a file: several times the most that its values can need."""
_PAGE = 200
"""Users that are read at a time to be written: each may have 16 KiB of metadata."""


class _Row(NamedTuple):
    """A user of a file: its line, what is given or why it cannot be read, and the characters it took."""

    line: int
    held: dict[str, Any] | str
    size: int


@dataclass(frozen=True, slots=True)
class Imported:
    """What came of an import."""

    added: int
    skipped: int


@dataclass(frozen=True, slots=True)
class Exported:
    """What an export wrote.

    Attributes:
        users: how many.
        private_left_out: of how many what is private was left out.
    """

    users: int
    private_left_out: int


class Transfer:
    """Reads and writes the users of one tenant."""

    def __init__(self, tenant_id: str, users: Users, open_sql: Callable[[], Sql], sealer: Sealer, trace: Trace) -> None:
        self._trace = trace
        self._tenant_id = tenant_id
        self._users = users
        self._open_sql = open_sql
        self._sealer = sealer

    @audited("user.import", told=lambda found: {"added": found.added, "skipped": found.skipped})
    async def read(
        self,
        source: TextIO,
        format: Format,
        *,
        skip_known: bool = False,
        progress: Callable[[int], None] = lambda _: None,
    ) -> Imported:
        """Add users, all or none. They have no password until one is set. What is ``private`` in their metadata is
        given opened, and sealed where it is stored.

        Args:
            skip_known: leave out whose address the tenant has, or the file had, already.
            progress: told how many users were read so far.

        Raises:
            InvalidInput: ``import.invalid`` with the lines that are wrong; ``import.format_unknown``.
            Conflict: ``import.known`` with the lines whose addresses are taken.
            Unavailable, Conflict: ``keys.*`` when there is something ``private`` and it cannot be sealed.
        """
        _check_format(format)
        added = read = 0
        first: Writer | None = None
        async with aclosing(_batches(_rows(source, format))) as batches, self._open_sql() as sql:
            values: list[tuple[int, UserValues]] = await anext(batches, [])
            while values:
                writer = None
                if any(PRIVATE_KEY in user.metadata for _, user in values):
                    writer = await self._sealer.writer()
                    first = first or writer
                # The next ones are read while the server works; what is wrong with these is told first.
                done, following = await asyncio.gather(
                    self._add(sql, values, skip_known, writer), anext(batches, []), return_exceptions=True
                )
                if isinstance(done, BaseException):
                    raise done
                added += done
                read += len(values)
                progress(read)
                if isinstance(following, BaseException):
                    raise following
                values = following
            if first is not None:
                # This may have taken longer than a key that was rotated meanwhile is kept.
                await self._sealer.check_still_kept(first)
        return Imported(added, read - added)

    @audited("user.export", given=("private",), told=lambda exported: {"count": exported.users})
    async def write(self, target: TextIO, format: Format, *, private: bool = False) -> Exported:
        """Write every user but its password, in the order of addresses.

        Args:
            private: also write, opened, what is ``private`` in their metadata; else it is left out.

        Raises:
            InvalidInput: ``import.format_unknown``.
            Unavailable, Conflict, Denied: ``keys.*`` when it is to be written and cannot be opened.
        """
        _check_format(format)
        count = left_out = 0
        # Lines end as RFC 4180 has it: so the writer quotes a value with either character.
        writer = csv.DictWriter(target, _WRITTEN, lineterminator="\r\n")
        if format == "csv":
            writer.writeheader()
        async for user in self._all():
            metadata = {key: user.metadata[key] for key in user.metadata if private or key != PRIVATE_KEY}
            left_out += len(user.metadata) - len(metadata)
            held = {**asdict(user), "metadata": metadata}
            plain = {name: _text(held[name]) if name != "metadata" else held[name] for name in _WRITTEN}
            if format == "csv":
                writer.writerow({**plain, "metadata": json.dumps(plain["metadata"], ensure_ascii=False)})
            else:
                target.write(json.dumps(plain, ensure_ascii=False) + "\n")
            count += 1
        return Exported(count, left_out)

    async def _all(self) -> AsyncIterator[User]:
        after: str | None = None
        while True:
            page = await self._users.list(after=after, limit=_PAGE)
            for user in page.items:
                yield user
            after = page.next
            if after is None:
                return

    async def _add(
        self, sql: Sql, values: list[tuple[int, UserValues]], skip_known: bool, writer: Writer | None
    ) -> int:
        lines: dict[str, int] = {}
        for line, user in values:
            if user.email in lines and not skip_known:
                raise _known([(line, user.email)], f"as line {lines[user.email]} does")
            lines.setdefault(user.email, line)
        users = [user for _, user in values]
        keys = [uuid.uuid4() for _ in users]
        columns = [
            keys,
            [user.username for user in users],
            [user.email for user in users],
            [user.first_name for user in users],
            [user.last_name for user in users],
            [user.role for user in users],
            [user.status for user in users],
            [
                with_private(writer, key, user)
                if writer is not None and PRIVATE_KEY in user.metadata
                else user.metadata_text
                for key, user in zip(keys, users, strict=True)
            ],
        ]
        moment = utc_now()
        statement = queries.add_new if skip_known else queries.add_many
        try:
            async with sql.savepoint():
                return await sql.execute(statement, self._tenant_id, passwords.UNUSABLE, moment, *columns)
        except asyncpg.UniqueViolationError as error:
            taken = await sql.fetch(queries.known, self._tenant_id, list(lines))
            raise _known([(lines[row["email"]], row["email"]) for row in taken]) from error


class _Lines:
    """The lines of a file, one after another. What one user takes is bounded: of CSV it may be several lines."""

    def __init__(self, source: TextIO) -> None:
        self._source = source
        self._taken = 0
        self.number = 0

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        self.number += 1
        text = self._source.readline(_ROW_TEXT - self._taken + 1)
        if not text:
            raise StopIteration
        self._taken += len(text)
        if self._taken > _ROW_TEXT:
            raise InvalidInput(
                "import.invalid",
                f"line {self.number}: it has more than {_ROW_TEXT:,} characters",
                "give each user a line, and no metadata beyond 16 KiB",
            )
        return text

    def taken(self) -> int:
        """The characters since this was asked last."""
        count, self._taken = self._taken, 0
        return count


def _check_format(format: object) -> None:
    if format not in FORMATS:
        raise InvalidInput(
            "import.format_unknown", f"the format is {quoted(format)}", f"use one of {', '.join(FORMATS)}"
        )


def _rows(source: TextIO, format: Format) -> Iterator[_Row]:
    lines = _Lines(source)
    for line, held in _csv_rows(lines) if format == "csv" else _json_rows(lines):
        yield _Row(line, held, lines.taken())


def _json_rows(lines: _Lines) -> Iterator[tuple[int, dict[str, Any] | str]]:
    for text in lines:
        if not text.strip():
            lines.taken()
            continue
        try:
            held = json.loads(text)
            yield lines.number, held if isinstance(held, dict) else "is no JSON object"
        except (ValueError, RecursionError) as error:
            yield lines.number, f"is no JSON: {error}"


def _csv_rows(lines: _Lines) -> Iterator[tuple[int, dict[str, Any] | str]]:
    reader = csv.DictReader(lines, strict=True)
    try:
        names = reader.fieldnames or []
    except csv.Error as error:
        raise InvalidInput("import.invalid", f"line 1 is no CSV: {error}", "mend the line") from error
    wrong = [f"has the column {quoted(name)}" for name in names if name not in _WRITTEN_SET]
    wrong += [f"has no column {name}" for name in ("username", "email") if name not in names]
    wrong += [f"has the column {name} twice" for name in _WRITTEN if names.count(name) > 1]
    if wrong:
        raise InvalidInput("import.invalid", f"line 1 {wrong[0]}", f"columns are {', '.join(_WRITTEN)}")
    while True:
        try:
            row = next(reader, None)
        except csv.Error as error:
            yield lines.number, f"is no CSV: {error}"
            return
        if row is None:
            return
        if None in row or None in row.values():
            yield lines.number, "has not as many fields as the first"
            continue
        held: dict[str, Any] = {name: value for name, value in row.items() if value != ""}
        try:
            yield lines.number, {**held, "metadata": json.loads(held.get("metadata", "{}"))}
        except (ValueError, RecursionError) as error:
            yield lines.number, f"has metadata that is no JSON: {error}"


async def _batches(rows: Iterable[_Row]) -> AsyncGenerator[list[tuple[int, UserValues]]]:
    """The rows checked, as many at a time as are added at a time; in between others have their turn."""
    batch: list[tuple[int, UserValues]] = []
    problems: list[str] = []
    count = size = 0
    for line, held, taken in rows:
        try:
            batch.append((line, _values(held)))
        except PrismicXError as error:
            problems.append(f"line {line}: {error.message}")
        count += 1
        size += taken
        if count == _BATCH or size >= _BATCH_TEXT:
            yield _without(problems, batch)
            batch, count, size = [], 0, 0
        elif count % _TURN == 0:
            await asyncio.sleep(0)
    yield _without(problems, batch)


def _without(problems: list[str], batch: list[tuple[int, UserValues]]) -> list[tuple[int, UserValues]]:
    if problems:
        raise InvalidInput("import.invalid", several(problems), "mend the lines and import the whole file again")
    return batch


def _values(row: dict[str, Any] | str) -> UserValues:
    if isinstance(row, str):
        raise InvalidInput("import.invalid", f"it {row}")
    if not row.keys() <= _WRITTEN_SET:
        raise InvalidInput("import.invalid", f"it has the field {quoted(min(row.keys() - _WRITTEN_SET))}")
    # None is what an export writes for what is not there.
    given = {name: value for name, value in row.items() if value is not None and name in _READ_SET}
    if "username" not in given or "email" not in given:
        raise InvalidInput("import.invalid", f"it has no {'email' if 'username' in given else 'username'}")
    return UserValues(**given)


def _known(taken: list[tuple[int, str]], how: str = "that the tenant, or the file further up, has already") -> Conflict:
    lines = [f"line {line} ({quoted(email)})" for line, email in sorted(taken)]
    return Conflict(
        "import.known",
        f"these have an address {how}: {several(lines, ', ')}",
        "remove the lines, or import with --skip-known",
    )


def _text(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    return str(value) if isinstance(value, uuid.UUID) else value
