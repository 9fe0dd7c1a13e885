"""`isolation`: attack the live platform, and show that the attacks would notice."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from prismicx.cli.door import Door, command, table
from prismicx.clock import utc_now
from prismicx.engines.endpoints import locate
from prismicx.isolation.page import page, verdict
from prismicx.isolation.selftest import SelfTest, self_test
from prismicx.isolation.values import Report
from prismicx.isolation.verify import verify as verify_isolation


@click.group()
def isolation() -> None:
    """Attack the live platform and see that no tenant reaches another."""


@command(isolation, "verify")
@click.option("--html", type=click.Path(path_type=Path, dir_okay=False), help="Write the report as a page, too.")
@click.option("--self-test", "broken", is_flag=True, help="Break each protection in a scratch platform instead.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of what is tried at random.")
def verify(door: Door, html: Path | None, broken: bool, seed: int) -> None:
    """Attack every table, view, collection, pool and login that is there, with tenants made for it and removed after.
    Exit code 1 when anything got through."""
    settings = door.settings
    endpoints = locate(settings)
    if broken:
        _tested(door, door.run(self_test(settings, endpoints, progress=door.tell)))
        return
    report = door.run(verify_isolation(settings, endpoints, seed=seed, progress=door.tell))
    if html is not None:
        html.write_text(
            page(report, f"{endpoints.postgres.host} and {endpoints.mongo.host}", utc_now()), encoding="utf-8"
        )
        door.tell(f"wrote {html}")
    door.show(report.as_json(), lambda _: _show(report))
    if not report.ok:
        sys.exit(1)


def _tested(door: Door, found: SelfTest) -> None:
    def text(_: object) -> None:
        rows = [{"mutation": name, "noticed by": ", ".join(noticed) or "NOBODY"} for name, noticed in found.mutations]
        table(rows, ["mutation", "noticed by"])
        for name in found.idle:
            click.echo(f"✗ {name} noticed nothing")
        for what, why in found.untried.items():
            click.echo(f"· not tried: {what}: {why}")
        mark = "✓" if found.ok else "✗"
        click.echo(
            f"\n{mark} {len(found.mutations)} mutations, {len(found.survivors)} survivors, {found.seconds:.1f} s"
        )

    door.show(found.as_json(), text)
    if not found.ok:
        sys.exit(1)


def _show(report: Report) -> None:
    rows = [
        {"area": check.area, "must hold": check.title, "attempts": tried, "through": through}
        for check, (tried, through) in ((check, report.of(check)) for check in report.checks)
    ]
    table(rows, ["area", "must hold", "attempts", "through"])
    for item in report.breaches:
        click.echo(f"✗ {item.check}: {item.actor}: {item.operation} on {item.target}: {item.how}")
    for what, why in report.untried.items():
        click.echo(f"· not tried: {what}: {why}")
    mark = verdict(report)
    click.echo(f"\n{mark}: {sum(report.attempts.values()):,} attempts in {report.seconds:.1f} s")
