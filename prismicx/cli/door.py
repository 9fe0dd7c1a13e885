"""What every command has: its common options, its output, and its errors as exit codes."""

from __future__ import annotations

import asyncio
import functools
import json
import re
import sys
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import click
from pymongo.errors import PyMongoError

from prismicx.audit.values import acting
from prismicx.engines.lost import DRIVER_ERRORS
from prismicx.errors import InvalidInput, PrismicXError
from prismicx.sealing.values import PartlyOpened
from prismicx.settings import Loaded, Settings, load

T = TypeVar("T")

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
"""Characters that move the cursor, colour what follows, begin a line or turn its direction."""

_COMMON: dict[str, dict[str, Any]] = {
    "--data": {"type": click.Path(path_type=Path), "help": "Data directory of the embedded servers."},
    "--postgres-url": {"help": "PostgreSQL to use, with an administrator's login."},
    "--mongo-url": {"help": "MongoDB to use, with an administrator's login."},
    "--key-url": {"help": "Key service to use: ours, OpenBao or Vault."},
    "--namespace": {"help": "Put before the names of databases, roles and users."},
    "--config": {"type": click.Path(path_type=Path, dir_okay=False), "help": "Settings file."},
}


@dataclass(frozen=True, slots=True)
class Door:
    """What a command was called with."""

    loaded: Loaded
    json: bool

    @property
    def settings(self) -> Settings:
        return self.loaded.settings

    def show(self, data: Any, text: Callable[[Any], object] | None = None) -> None:
        """Data on standard output: as JSON, or as ``text`` makes it."""
        if self.json or text is None:
            click.echo(json.dumps(data, indent=2, default=_plain, ensure_ascii=False))
        else:
            text(data)

    def tell(self, text: str) -> None:
        """A word on what is going on, on standard error."""
        click.echo(text, err=True)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run an operation of the library."""
        return asyncio.run(work)


def table(rows: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> None:
    """Rows as a table, on standard output; folded to the width of a terminal, whole elsewhere."""
    from rich.console import Console  # half of the commands print none
    from rich.markup import escape
    from rich.table import Table

    out = Console(highlight=False, width=None if sys.stdout.isatty() else 10_000)
    grid = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        grid.add_column(column.replace("_", " "), overflow="fold")
    for row in rows:
        grid.add_row(*(escape(_cell(row.get(column))) for column in columns))
    out.print(grid)


def shown(text: str) -> str:
    """A text as it may be sent to a terminal: what would control it is written out."""
    return _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def pairs(data: Mapping[str, Any]) -> None:
    """A mapping, one line a key."""
    held = data.shown() if isinstance(data, PartlyOpened) else data
    width = max((len(key) for key in held), default=0)
    for key, value in held.items():
        click.echo(f"{key.replace('_', ' '):<{width}}  {_cell(value)}")


def json_value(label: str, text: str) -> Any:
    """What a word says as JSON.

    Raises:
        InvalidInput: ``usage.json``.
    """
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidInput(
            "usage.json", f"{label} is no JSON: {error}", "put texts in double quotes inside single ones"
        ) from error


def json_object(label: str, text: str) -> dict[str, Any]:
    """What a word says as a JSON object.

    Raises:
        InvalidInput: ``usage.json``.
    """
    held = json_value(label, text)
    if not isinstance(held, dict):
        raise InvalidInput("usage.json", f"{label} is no JSON object", 'give one such as {"a": 1}')
    return held


def time_value(label: str, text: str | None) -> datetime | None:
    """What a word says as a time, in UTC unless it has a zone.

    Raises:
        InvalidInput: ``usage.time``.
    """
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise InvalidInput("usage.time", f"{label} is {text!r:.60}", "give a time as 2026-01-31T12:00") from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def command(
    group: click.Group | None = None, name: str | None = None
) -> Callable[[Callable[..., None]], click.Command]:
    """A command that is given a `Door` first and has the common options.

    Options named ``set_<setting>`` set that setting and are not passed on.
    """

    def decorate(function: Callable[..., None]) -> click.Command:
        @functools.wraps(function)
        def called(**given: Any) -> None:
            config, as_json = given.pop("config"), given.pop("as_json")
            flags = {name: given.pop(name) for name in ("data", "postgres_url", "mongo_url", "key_url", "namespace")}
            flags.update({key.removeprefix("set_"): given.pop(key) for key in list(given) if key.startswith("set_")})
            function(Door(load(flags, file=config), as_json), **given)

        made = click.command(name)(called)
        made.params += [click.Option([option], **options) for option, options in _COMMON.items()]
        made.params.append(click.Option(["--json", "as_json"], is_flag=True, help="Data as JSON."))
        if group is not None:
            group.add_command(made)
        return made

    return decorate


class PrismicXGroup(click.Group):
    """Turns the library's errors into messages and exit codes."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """As click's; errors of the library end with their exit code and say code and remedy."""
        arguments = list(kwargs.get("args") or (args[0] if args and args[0] is not None else sys.argv[1:]))
        try:
            with acting(door="cli"):
                return super().main(*args, **kwargs)
        except (PrismicXError, *DRIVER_ERRORS, PyMongoError, UnicodeDecodeError) as raised:
            error = _as_ours(raised)
            if "--json" in arguments:
                held = {"code": error.code, "message": error.message, "remedy": error.remedy}
                click.echo(json.dumps({"error": held}, ensure_ascii=False), err=True)
            else:
                click.echo(f"{click.style('error', fg='red')}: {error}", err=True)
            sys.exit(error.exit_code)

    def invoke(self, ctx: click.Context) -> Any:
        """As click's; Ctrl-C ends with the exit code it has everywhere, also where click makes it an Abort."""
        try:
            return super().invoke(ctx)
        except (KeyboardInterrupt, click.Abort) as stopped:
            if isinstance(stopped, click.Abort) and not isinstance(stopped.__context__, KeyboardInterrupt):
                raise
            click.echo("\nstopped", err=True)
            sys.exit(130)


def _as_ours(error: Exception) -> PrismicXError:
    """The error itself, or what an engine or the system said as an error of the tree."""
    if isinstance(error, PrismicXError):
        return error
    if isinstance(error, UnicodeDecodeError):
        return InvalidInput("usage.encoding", f"the text is not UTF-8: {error}", "save the file as UTF-8")
    return PrismicXError("engine.failed", f"{type(error).__name__}: {error}", "prismicx doctor tells what is wrong")


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M:%S")
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, PartlyOpened):
        return _cell(value.shown())
    if isinstance(value, Mapping):
        return ", ".join(f"{key}: {_cell(item)}" for key, item in value.items()) or "-"
    if isinstance(value, (list, tuple)):
        return ", ".join(_cell(item) for item in value) or "-"
    return shown(str(value))


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    return value.shown() if isinstance(value, PartlyOpened) else str(value)
