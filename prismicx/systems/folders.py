"""Folders of migrations as packages: our own format, and those of other tools, which carry no names.

Each numbered migration of another tool becomes a version that is named by its number.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

from packaging.version import Version

from prismicx.checks import check_text
from prismicx.clock import utc_now
from prismicx.errors import InvalidInput, quoted
from prismicx.names import check_system_type
from prismicx.systems.conventions import DOWN, READERS, UP, File, Script, convention_of
from prismicx.systems.declarations import Declaration
from prismicx.systems.inspection import inspect, raise_all
from prismicx.systems.manifest import ID_RULE, is_system_id
from prismicx.systems.package import NOTHING, VERSION_LIMIT, Migration, Package, Release, read, read_script

AUTO, OWN = "auto", "prismicx"
FORMATS = (AUTO, OWN, *READERS)
"""What ``--format`` takes."""

_FILES_LIMIT = 20_000
_TIMESTAMP_DIGITS = 8
"""Numbers of at least so many digits are times, and need not follow one another."""

_IDENTITY = {"system_id": "--id", "type": "--type", "vendor": "--vendor", "name": "--name"}
_PROGRAM = re.compile(r"(?:V?[0-9]+[._-].*)\.(?:go|java|class|kt|js|ts|py|rb|php|sh|bat)")
_LEFT_ALONE = {"dbmate": {"schema.sql"}}
"""Files of SQL that are no migrations: what dbmate writes of the database as it is."""

_WRITES_BOTH = {"golang-migrate", "sqlx"}
"""Tools that make both files of a migration under one title."""

_MIXED = {
    frozenset({"golang-migrate", "sqlx"}): "sqlx",
    frozenset({"golang-migrate", "numbered"}): "numbered",
    frozenset({"numbered", "sqlx"}): "sqlx",  # where some titles have the word "up"
    frozenset({"goose", "sqlx"}): "goose",
    frozenset({"dbmate", "sqlx"}): "dbmate",
}
"""Which convention it is where files by themselves speak of two."""


@dataclass(frozen=True, slots=True)
class Identity:
    """What a folder of another tool does not say of the system; None is what was not given."""

    system_id: str | None = None
    type: str | None = None
    vendor: str | None = None
    name: str | None = None


def read_folder(folder: Path | str, format: str | None = None, identity: Identity = Identity()) -> Package:
    """Read and check a folder of any convention.

    Args:
        format: one of `FORMATS`; recognised unless given.
        identity: all of it for a folder of another tool, nothing for our own format, which has it in its file.

    Raises:
        InvalidInput: ``package.format`` when the convention is unknown, ``package.identity`` when names lack, break a
            rule or are too many, and what `prismicx.systems.package.read` raises.
    """
    if format not in (None, *FORMATS):
        raise InvalidInput("package.format", f"format is {quoted(format)}", f"use one of {', '.join(FORMATS)}")
    if not isinstance(folder, (Path, str)) or not _is_folder(Path(folder)):
        told = str(folder) if isinstance(folder, Path) else folder
        raise InvalidInput("package.unreadable", f"{quoted(told, 200)} is no folder", "name a folder of migrations")
    folder = Path(folder)
    own = (folder / "system.toml").exists() if format in (None, AUTO) else format == OWN
    if own:
        _check_not_given(folder, identity)
        return read(folder)
    files = _files(folder)
    convention = _recognised(folder, files) if format is None or format == AUTO else format
    system_id, system_type, vendor, name = _checked(folder, convention, identity)
    ignored = _LEFT_ALONE.get(convention, set())
    scripts = [script for file in files if file.inner.as_posix() not in ignored for script in READERS[convention](file)]
    refused = []
    for script in scripts:
        try:
            inspect(script.text, script.source.file, script.source.line)
        except InvalidInput as error:
            refused.append(error)
    raise_all(refused)
    return Package(system_id, system_type, name, vendor, None, _releases(folder, convention, scripts))


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # such as for a name no file can have
        return False


def _files(folder: Path) -> list[File]:
    """The files of SQL in a folder and below, hidden ones left out."""
    inner = [path.relative_to(folder) for path in islice(folder.rglob("*"), _FILES_LIMIT + 1)]
    if len(inner) > _FILES_LIMIT:
        raise InvalidInput(
            "package.migrations", f"{folder} holds more than {_FILES_LIMIT} files", "name the folder of the migrations"
        )
    found = []
    for path in sorted(path for path in inner if not any(part.startswith(".") for part in path.parts)):
        if _PROGRAM.fullmatch(path.name):
            raise InvalidInput(
                "package.migrations", f"{folder / path} is a migration that is a program", "write it as SQL"
            )
        if path.suffix.lower() == ".sql" and (folder / path).is_file():
            found.append(File(folder / path, path, read_script(folder / path)))
    return found


def _recognised(folder: Path, files: Sequence[File]) -> str:
    seen: dict[str, list[str]] = {}
    for file in files:
        seen.setdefault(convention_of(file) or "", []).append(file.inner.as_posix())
    unknown = seen.pop("", [])
    spoken = frozenset(seen)
    if len(spoken) == 1:
        return next(iter(spoken))
    if spoken in _MIXED:
        return _MIXED[spoken]
    told = [f"{_listed(names)} as {convention} has it" for convention, names in sorted(seen.items())]
    told += [f"{_listed(unknown)}, which no format has"] if unknown else []
    raise InvalidInput(
        "package.format",
        f"{folder} holds " + ("; ".join(told) or "no system.toml and no file of SQL"),
        f"name the format with --format: {', '.join(FORMATS[1:])}",
    )


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _check_not_given(folder: Path, identity: Identity) -> None:
    given = [option for field, option in _IDENTITY.items() if getattr(identity, field) is not None]
    if given:
        raise InvalidInput(
            "package.identity",
            f"{', '.join(given)} given for {folder}, whose system.toml says it",
            "leave them out, or change the file",
        )


def _checked(folder: Path, convention: str, identity: Identity) -> tuple[str, str, str, str]:
    missing = [option for field, option in _IDENTITY.items() if getattr(identity, field) is None]
    if missing:
        raise InvalidInput(
            "package.identity",
            f"{folder} is a folder of {convention}, which carries no names: {', '.join(missing)} not given",
            "give --id ID --type TYPE --vendor VENDOR --name NAME",
        )
    if not is_system_id(identity.system_id):
        raise InvalidInput("package.identity", f"--id is {quoted(identity.system_id)}", ID_RULE)
    return (
        str(identity.system_id),
        check_system_type(identity.type),
        check_text("package.identity", "--vendor", identity.vendor, 100),
        check_text("package.identity", "--name", identity.name, 100),
    )


def _releases(folder: Path, convention: str, scripts: Sequence[Script]) -> tuple[Release, ...]:
    ups, downs = _by_number(scripts, UP), _by_number(scripts, DOWN)
    if not ups:
        raise InvalidInput("package.migrations", f"{folder} holds no migration of {convention}", "add the first one")
    for number, script in downs.items():
        if number not in ups:
            raise InvalidInput(
                "package.migrations", f"{script.source.file} leads back, but nothing leads there", "add the way forward"
            )
        if convention in _WRITES_BOTH and script.title != ups[number].title:
            raise _two_heads(ups[number], script)
    numbers = sorted(ups)
    _check_gaps(folder, [ups[number] for number in numbers])
    moment = utc_now()
    return tuple(_release(ordinal, ups[number], downs.get(number), moment) for ordinal, number in enumerate(numbers, 1))


def _by_number(scripts: Iterable[Script], way: str) -> dict[Version, Script]:
    found: dict[Version, Script] = {}
    for script in scripts:
        if script.way == way:
            number = Version(script.number)
            if number == Version(NOTHING):
                raise InvalidInput(
                    "package.migrations",
                    f"{script.source.file} has the number 0, which says that nothing is installed",
                    "number migrations from 1",
                )
            if len(script.number) > VERSION_LIMIT:
                raise InvalidInput(
                    "package.migrations",
                    f"{script.source.file} has a number of {len(script.number)} characters",
                    f"use at most {VERSION_LIMIT}",
                )
            if number in found:
                raise _two_heads(found[number], script)
            found[number] = script
    return found


def _two_heads(first: Script, second: Script) -> InvalidInput:
    return InvalidInput(
        "package.migrations",
        f"{first.source.file} and {second.source.file} have the same number {first.number}",
        "give one of them, and its way back, the next number",
    )


def _check_gaps(folder: Path, scripts: Sequence[Script]) -> None:
    """See that numbers which count follow one another from 1, those with dots by what stands before the first one;
    times need not, nor do numbers with dots themselves."""
    before = 0
    for script in scripts:
        first = script.number.partition(".")[0]
        if len(first) >= _TIMESTAMP_DIGITS:
            continue
        number = int(first)
        if script.number.isdigit() and number > before + 1:
            raise InvalidInput(
                "package.migrations",
                f"{folder}: the number {before + 1} is missing before {number}",
                "add the migration, or number them 1, 2, 3 … without a gap",
            )
        before = max(before, number)


def _release(ordinal: int, up: Script, down: Script | None, moment: datetime) -> Release:
    return Release(
        up.number,
        ordinal,
        _time_of(up.number) or moment,
        None,
        None,
        None,
        Declaration(),
        Migration(
            ordinal,
            up.title,
            up.text,
            down.text if down else None,
            up.source,
            down.source if down else None,
        ),
    )


def _time_of(number: str) -> datetime | None:
    """The time that a number tells: a date, a date with the time of day, or seconds since 1970; None for none."""
    try:
        if len(number) == 10:
            return datetime.fromtimestamp(int(number), UTC).replace(tzinfo=None)
        # As ISO 8601 writes both.
        text = f"{number[:8]}T{number[8:]}" if len(number) == 14 else number
        return datetime.fromisoformat(text) if len(number) in (8, 14) else None
    except ValueError:
        return None
