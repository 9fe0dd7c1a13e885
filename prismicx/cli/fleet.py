"""`system install`, `upgrade`, `rollback`, `uninstall` for one tenant or many, and what they came to."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from prismicx.cli.door import Door, command, pairs, shown, table
from prismicx.cli.system import change, choices, chosen, system
from prismicx.errors import Conflict
from prismicx.fleet.fleet import Fleet
from prismicx.fleet.runner import Progress
from prismicx.fleet.values import ACTIONS, Action, Blocked, Failures, Options, Plan, Rollout, Selection
from prismicx.platform import open_platform
from prismicx.systems.installation import Installations
from prismicx.systems.installed import Installation
from prismicx.systems.step import Limits

__all__ = ["system"]

_SELECTION = (
    click.option("--tenant", "tenants", multiple=True, metavar="ID", help="This tenant; can be repeated."),
    click.option("--all-tenants", is_flag=True, help="Every tenant."),
    click.option("--tag", "tags", multiple=True, help="Tenants whose setting `tags` holds it; can be repeated."),
    click.option("--tier", "tiers", multiple=True, help="Tenants of this tier; can be repeated."),
    click.option("--region", "regions", multiple=True, help="Tenants of this region; can be repeated."),
)
_OPTIONS = (
    click.option("--canary", "canaries", multiple=True, metavar="ID", help="In a wave before all others; repeatable."),
    click.option("--wave", "waves", multiple=True, metavar="N|N%",
                 help="How many are done after this wave; can be repeated. 1% and 10% for all tenants."),
    click.option("--concurrency", type=int, default=4, show_default=True, help="Tenants at once."),
    click.option("--max-failures", metavar="N|N%", default="1%", show_default=True,
                 help="It pauses when more tenants failed."),
    click.option("--lock-timeout", "lock_milliseconds", type=int, default=300, show_default=True,
                 help="Milliseconds a statement waits for a lock; then the step is undone and tried again."),
    click.option("--statement-timeout", "statement_milliseconds", type=int, default=0, show_default=True,
                 help="Milliseconds a statement may run; 0 is without a limit."),
    click.option("--patience", type=float, default=30, show_default=True, help="Seconds a step is tried again."),
    click.option("--force", is_flag=True, help="Also tenants whose schemas are not what their versions make."),
)  # fmt: skip
_RUN = (
    click.option("--dry-run", is_flag=True, help="Only show the plan."),
    click.option("--expect", metavar="DIGEST", help="Only if the plan still has this digest."),
)


def _with(*groups: Sequence[Any]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    def decorate(function: Callable[..., None]) -> Callable[..., None]:
        for option in reversed([option for group in groups for option in group]):
            function = option(function)
        return function

    return decorate


@command(system, "install")
@click.argument("system_id", metavar="SYSTEM")
@click.option("--version", help="The latest unless given.")
@choices
@_with(_SELECTION, _OPTIONS, _RUN)
def install(door: Door, system_id: str, version: str | None, **words: Any) -> None:
    """Install a system for a tenant, or for many."""
    _bring(door, system_id, "install", version, words)


@command(system, "upgrade")
@click.argument("system_id", metavar="SYSTEM")
@click.option("--to", "version", help="The latest unless given.")
@choices
@_with(_SELECTION, _OPTIONS, _RUN)
def upgrade(door: Door, system_id: str, version: str | None, **words: Any) -> None:
    """Bring a system of a tenant, or of many, to a later version."""
    _bring(door, system_id, "upgrade", version, words)


@command(system, "rollback")
@click.argument("system_id", metavar="SYSTEM")
@click.option("--to", "version", required=True, help="The version to go back to.")
@choices
@_with(_SELECTION, _OPTIONS, _RUN)
def rollback(door: Door, system_id: str, version: str, **words: Any) -> None:
    """Bring a system of a tenant, or of many, back to an earlier version."""
    _bring(door, system_id, "rollback", version, words)


@command(system, "uninstall")
@click.argument("system_id", metavar="SYSTEM")
@_with(_SELECTION, _OPTIONS, _RUN)
@click.option("--yes", is_flag=True, help="Yes, remove the schemas and everything in them.")
def uninstall(door: Door, system_id: str, yes: bool, **words: Any) -> None:
    """Remove a system, with its schema and everything in it, from a tenant or from many."""
    if not yes and not words["dry_run"]:
        raise click.UsageError(f"this removes all data of {system_id}: say --yes, or look with --dry-run")
    _roll(door, system_id, "uninstall", None, words)


@command(system, "plan")
@click.argument("system_id", metavar="SYSTEM")
@click.option("--to", "version", help="The latest unless given.")
@click.option("--action", type=click.Choice(ACTIONS), default="upgrade", show_default=True, help="What is planned.")
@_with(_SELECTION, _OPTIONS)
def plan(door: Door, system_id: str, version: str | None, action: Action, **words: Any) -> None:
    """Who would take which way, who is left out and why. It changes nothing."""
    _show_plan(door, _run(door, lambda fleet: _planned(fleet, system_id, action, version, words)))


@command(system, "status")
@click.argument("system_id", metavar="[SYSTEM]", required=False)
def status(door: Door, system_id: str | None) -> None:
    """The fleet: how many tenants have which version in which state, and what went wrong, by cause."""

    async def work(fleet: Fleet) -> tuple[Any, Any, Any]:
        return await fleet.status(system_id), await fleet.errors(system_id), await fleet.list(system_id, limit=5)

    standings, errors, rollouts = _run(door, work)
    data = {
        "versions": [asdict(item) for item in standings],
        "errors": {name: [asdict(item) for item in items] for name, items in errors.items()},
        "rollouts": [_described(item) for item in rollouts],
    }

    def text(_: Any) -> None:
        table(data["versions"], ["system_id", "version", "status", "tenants", "with_error"])
        for name, items in errors.items():
            click.echo(f"\n{name}: what went wrong")
            _show_failures(items)
        unended = [item for item in rollouts if item.is_open]
        if unended:
            click.echo()
            table([_described(item) for item in unended], _ROLLOUT)
        for item in unended:
            if item.status != "running":
                door.tell(f"go on with: prismicx system resume {item.rollout_id} --retry-failed")

    door.show(data, text)


@command(system, "drift")
@click.argument("system_id", metavar="[SYSTEM]", required=False)
@click.option("--tenant", "tenants", multiple=True, metavar="ID", help="This tenant; can be repeated.")
@click.option("--all", "everybody", is_flag=True, help="All tenants, as without --tenant.")
@click.option("--repair-sql", is_flag=True, help="Print statements that would mend the differences.")
def drift(door: Door, system_id: str | None, tenants: tuple[str, ...], everybody: bool, repair_sql: bool) -> None:
    """Tenants whose schemas are not what their versions make, and in what they differ. Exit code 1 if there are any."""
    found = _run(door, lambda fleet: fleet.drift(system_id, tenants=None if everybody or not tenants else tenants))

    def text(_: Any) -> None:
        if repair_sql and found.drifted:
            click.echo("-- for an administrator, such as: prismicx system drift --repair-sql | psql -v ON_ERROR_STOP=1")
        for item in found.drifted:
            click.echo(f"{'-- ' if repair_sql else ''}{item.tenant_id}  {item.system_id} {item.version}  {item.schema}")
            for line in item.repair if repair_sql else map(str, item.differences):
                click.echo(line if line.startswith("--") else f"{line};" if repair_sql else f"  {line}")
        door.tell(f"{found.checked} schemas looked at, {len(found.drifted)} differ")
        if found.untried:
            door.tell(f"{len(found.untried)} have versions that were published before trials were kept")
        if found.between:
            door.tell(f"between two versions: {', '.join(found.between)}")

    data = asdict(found)
    if not repair_sql:
        data["drifted"] = [{key: value for key, value in item.items() if key != "repair"} for item in data["drifted"]]
    door.show(data, text)
    if found.drifted:
        click.get_current_context().exit(1)


@command(system, "rollouts")
@click.argument("system_id", metavar="[SYSTEM]", required=False)
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True, help="At most so many.")
def rollouts(door: Door, system_id: str | None, limit: int) -> None:
    """The latest rollouts, the newest first."""
    found = [_described(item) for item in _run(door, lambda fleet: fleet.list(system_id, limit=limit))]
    door.show(found, lambda rows: table(rows, _ROLLOUT))


@command(system, "rollout")
@click.argument("rollout_id", metavar="ID")
def rollout(door: Door, rollout_id: str) -> None:
    """How far a rollout is, and who failed, by cause."""

    async def work(fleet: Fleet) -> tuple[Rollout, Sequence[Failures]]:
        return await fleet.get(rollout_id), await fleet.failures(rollout_id)

    _show_rollout(door, *_run(door, work))


@command(system, "pause")
@click.argument("rollout_id", metavar="ID")
def pause(door: Door, rollout_id: str) -> None:
    """Let a rollout stop after the tenants it is at, wherever it runs."""
    door.show(_described(_run(door, lambda fleet: fleet.pause(rollout_id))), pairs)


@command(system, "abort")
@click.argument("rollout_id", metavar="ID")
def abort(door: Door, rollout_id: str) -> None:
    """Let a rollout stop for good; tenants that are done stay where they are."""
    door.show(_described(_run(door, lambda fleet: fleet.abort(rollout_id))), pairs)


@command(system, "resume")
@click.argument("rollout_id", metavar="ID")
@click.option("--retry-failed", is_flag=True, help="Try those again that failed.")
def resume(door: Door, rollout_id: str, retry_failed: bool) -> None:
    """Go on with a rollout that was paused, or whose process is no more."""

    async def work(fleet: Fleet) -> tuple[Rollout, Sequence[Failures]]:
        with _Told() as told:
            done = await fleet.resume(rollout_id, retry_failed=retry_failed, progress=told)
        return done, await fleet.failures(done.rollout_id)

    _ended(door, *_run(door, work))


_STOPS = {"AccessExclusiveLock": "stops readers and writers", "ShareUpdateExclusiveLock": "stops nobody"}
"""Whom a lock on a table keeps from it; the others keep writers."""

_ROLLOUT = ["rollout_id", "system_id", "action", "version", "status", "tenants", "done", "failed", "reason"]


def _run(door: Door, work: Callable[[Fleet], Coroutine[Any, Any, Any]]) -> Any:
    async def run() -> Any:
        async with open_platform(door.settings) as px:
            return await work(px.fleet)

    return door.run(run())


def _bring(door: Door, system_id: str, action: Action, version: str | None, words: dict[str, Any]) -> None:
    """Bring one tenant to a version in its scope, or many by a rollout."""
    given = chosen(**{name: words.pop(name) for name in ("configuration", "enable", "disable")})
    options = _options(words)
    limits = Limits(options.lock_milliseconds, options.statement_milliseconds)

    def operation(systems: Installations) -> Coroutine[Any, Any, Installation]:
        common = {**given, "limits": limits, "patience": options.patience}
        if action == "install":
            return systems.install(system_id, version, **common)
        direction: Any = action
        return systems.migrate(system_id, version, force=words["force"], direction=direction, **common)

    if _one(words):
        change(door, words["tenants"][0], operation)
    elif any(given.values()):
        raise click.UsageError("a configuration and features are for one tenant: configure the others one by one")
    else:
        _roll(door, system_id, action, version, words)


def _one(words: Mapping[str, Any]) -> bool:
    """Whether one tenant is named and nothing that only many have."""
    many = ("all_tenants", "tags", "tiers", "regions", "canaries", "waves", "dry_run", "expect")
    return len(words["tenants"]) == 1 and not any(words[name] for name in many)


async def _planned(fleet: Fleet, system_id: str, action: Action, version: str | None, words: dict[str, Any]) -> Plan:
    selection = Selection(**{name: words[name] for name in Selection.__slots__})
    return await fleet.plan(system_id, action, selection=selection, version=version, options=_options(words))


def _options(words: Mapping[str, Any]) -> Options:
    given = {name: words[name] for name in Options.__slots__}
    return Options(**{**given, "waves": given["waves"] or None})


def _roll(door: Door, system_id: str, action: Action, version: str | None, words: dict[str, Any]) -> None:
    async def work(fleet: Fleet) -> tuple[Plan, Rollout | None, Sequence[Failures]]:
        made = await _planned(fleet, system_id, action, version, words)
        if words["expect"] not in (None, made.digest):
            raise Conflict(
                "rollout.plan_changed", f"the plan is {made.digest} now, not {words['expect']}", "look at it again"
            )
        if words["dry_run"]:
            return made, None, ()
        with _Told() as told:
            done = await fleet.start(made, progress=told)
        return made, done, await fleet.failures(done.rollout_id)

    made, done, failures = _run(door, work)
    if done is None:
        _show_plan(door, made)
        return
    for item in made.blocked[:10]:
        door.tell(f"left out: {item.tenant_id}: {item.reason} [{item.code}]")
    if len(made.blocked) > 10:
        door.tell(f"left out: {len(made.blocked) - 10} more; prismicx system plan shows them")
    _ended(door, done, failures, made)


def _ended(door: Door, done: Rollout, failures: Sequence[Failures], made: Plan | None = None) -> None:
    """Show what a rollout came to. The exit code is 1 when it is not whole, and that of the tenant by itself when one
    that was named is left out, or nothing could be done for anybody."""
    blocked = made.blocked if made else ()
    _show_rollout(door, done, failures, blocked)
    if done.status != "finished" or done.failed:
        click.get_current_context().exit(1)
    if blocked and made and (made.is_named or not made.tenants):
        click.get_current_context().exit(blocked[0].exit_code)


def _show_rollout(
    door: Door, done: Rollout, failures: Sequence[Failures], blocked: Sequence[Blocked] | None = None
) -> None:
    data: dict[str, Any] = {**_described(done), "failures": [asdict(item) for item in failures]}
    if blocked is not None:
        data["blocked"] = [asdict(item) for item in blocked]

    def text(_: Any) -> None:
        pairs({name: value for name, value in data.items() if name not in ("failures", "options", "blocked")})
        if failures:
            click.echo()
            _show_failures(failures)
            door.tell(f"mend the cause, then: prismicx system resume {done.rollout_id} --retry-failed")

    door.show(data, text)


def _show_failures(failures: Sequence[Failures]) -> None:
    for item in failures:
        names = ", ".join(item.tenants[:5]) + (f" and {len(item.tenants) - 5} more" if len(item.tenants) > 5 else "")
        click.echo(f"{len(item.tenants)} × {click.style(item.code, bold=True)}  {shown(item.message)}\n    {names}")


def _described(found: Rollout) -> dict[str, Any]:
    return {**asdict(found), "rollout_id": str(found.rollout_id)}


def _show_plan(door: Door, made: Plan) -> None:
    data = {**asdict(made), "tenants": made.tenants, "digest": made.digest}

    def text(_: Any) -> None:
        rows = [
            {
                "tenants": len(group.tenants), "from": group.version_from, "way": " → ".join(group.path) or "removed",
                "snapshot": group.from_snapshot, "seconds_each": f"{group.seconds:.3f}",
            }
            for group in made.groups
        ]  # fmt: skip
        table(rows, ["tenants", "from", "way", "snapshot", "seconds_each"])
        for group in made.groups:
            for version, held in group.locks.items():
                for lock in held.get("locks", ()):
                    stops = _STOPS.get(lock["mode"], "stops writers")
                    rewrites = ", writes it anew" if lock["rewrites"] else ""
                    click.echo(f"  {version}: {lock['mode']} on {lock['table']}, {stops}{rewrites}")
        if made.blocked:
            click.echo("\nleft out")
            table([asdict(item) for item in made.blocked], ["tenant_id", "version", "code", "reason"])
        waves = ", ".join(str(len(wave)) for wave in made.waves) or "-"
        click.echo()
        pairs({"to_change": made.tenants, "there_already": made.done, "waves": waves,
               "seconds_at_least": f"{made.seconds:.1f}", "digest": made.digest})  # fmt: skip

    door.show(data, text)


class _Told:
    """Tells how far a rollout is: a bar at a terminal, a JSON line a second elsewhere; on standard error."""

    def __init__(self) -> None:
        self._bar = Bar(
            TextColumn("wave {task.fields[wave]}"), BarColumn(), TextColumn("{task.completed:,.0f}/{task.total:,.0f}"),
            TextColumn("{task.fields[rate]:,.0f}/s"), TextColumn("{task.fields[failed]} failed"), TimeElapsedColumn(),
            TimeRemainingColumn(), console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty(),
        )  # fmt: skip
        self._task = self._bar.add_task("rollout", total=1, wave="-", rate=0.0, failed=0)
        self._begun = self._last = time.monotonic()
        self._first = -1

    def __enter__(self) -> Callable[[Progress], None]:
        self._bar.start()
        return self._tell

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def _tell(self, told: Progress) -> None:
        now = time.monotonic()
        if self._first < 0:
            self._first = told.done + told.failed - 1
        rate = (told.done + told.failed - self._first) / max(now - self._begun, 0.001)
        if not self._bar.disable:
            wave = f"{told.wave}/{told.waves}"
            self._bar.update(self._task, total=told.tenants, completed=told.done + told.failed, wave=wave, rate=rate,
                             failed=told.failed)  # fmt: skip
        elif now - self._last >= 1 or told.done + told.failed >= told.tenants:
            self._last = now
            click.echo(json.dumps({**asdict(told), "rate": round(rate, 1)}), err=True)
