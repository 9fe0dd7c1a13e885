"""`audit`: who did what to which tenant, and whether the trail is unbroken."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import Any

import click

from prismicx.audit.values import OUTCOMES
from prismicx.cli.door import Door, command, pairs, time_value
from prismicx.cli.files import progress
from prismicx.cli.scope import show_page
from prismicx.platform import open_platform

_COLUMNS = [
    "sequence",
    "recorded_at",
    "actor",
    "door",
    "operation",
    "tenant_id",
    "subject",
    "outcome",
    "code",
    "details",
]


@click.group()
def audit() -> None:
    """The audit trail: list, verify, head."""


@command(audit, "list")
@click.option("--tenant", metavar="ID", help="Only what concerns this tenant.")
@click.option("--operation", help="Only this operation, such as tenant.create.")
@click.option("--actor", help="Only what this one did.")
@click.option("--outcome", type=click.Choice(OUTCOMES), help="Only what ended so.")
@click.option("--since", help="Written down at this time or later, as 2026-01-31T12:00; UTC unless it has a zone.")
@click.option("--unfinished", is_flag=True, help="Only what began and has no outcome: it runs, or it was killed.")
@click.option("--after", help="The `next` of the page before.")
@click.option("--limit", type=int, default=100, show_default=True, help="At most so many.")
def list_command(door: Door, since: str | None, **filters: Any) -> None:
    """Events, the newest first."""
    moment = time_value("--since", since)

    async def work() -> Any:
        async with open_platform(door.settings) as px:
            return await px.audit.list(since=moment, **filters)

    show_page(door, "events", door.run(work()), asdict, _COLUMNS)


@command(audit, "head")
def head(door: Door) -> None:
    """The last row and its hash. Keep the hash elsewhere: `audit verify --expect` finds a trail that was cut since."""

    async def work() -> Any:
        async with open_platform(door.settings) as px:
            return asdict(await px.audit.head())

    door.show(door.run(work()), pairs)


@command(audit, "verify")
@click.option("--from", "start", type=int, default=1, show_default=True, help="The first row to look at.")
@click.option("--expect", metavar="HASH", help="The hash of a row, from `audit head`: there must be one with it.")
def verify(door: Door, start: int, expect: str | None) -> None:
    """Work out the whole chain of hashes anew and name the first row that is wrong. Exit code 1 if there is one."""

    async def work() -> Any:
        with progress("rows") as tell:
            async with open_platform(door.settings) as px:
                return await px.audit.verify(start=start, expect=expect, progress=lambda done, _: tell(done))

    found = door.run(work())
    held = {
        "ok": found.ok,
        "rows": found.rows,
        "sequence": found.head.sequence,
        "hash": found.head.hash,
        "unfinished": found.unfinished,
        "broken": None if found.broken is None else asdict(found.broken),
    }

    def text(_: Any) -> None:
        pairs({name: held[name] for name in ("rows", "sequence", "hash", "unfinished")})
        click.echo("✓ the chain is unbroken" if found.broken is None else f"✗ {found.broken.problem}")

    door.show(held, text)
    if not found.ok:
        sys.exit(1)
