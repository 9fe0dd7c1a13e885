"""`db`: the seven databases of the reference."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from prismicx.cli.door import Door, command, table
from prismicx.engines.endpoints import locate
from prismicx.reference import diagrams, document
from prismicx.reference.apply import apply as apply_reference
from prismicx.reference.verify import Report
from prismicx.reference.verify import verify as verify_reference


@click.group()
def db() -> None:
    """The seven databases of the reference: apply, verify, draw, describe."""


@command(db, "apply")
@click.option("--reset-credentials", is_flag=True, help="New passwords for services whose password is not held here.")
def apply(door: Door, reset_credentials: bool) -> None:
    """Create or complete roles, databases, tables and collections. Safe to run twice, and twice at once."""
    settings = door.settings
    applied = door.run(
        apply_reference(settings, locate(settings), progress=door.tell, reset_credentials=reset_credentials)
    )
    door.show(
        {"changes": applied.changes},
        lambda _: click.echo(f"{len(applied.changes)} changes" if applied.changes else "everything was in place"),
    )


@command(db, "verify")
@click.option("--all", "every", is_flag=True, help="List the facts that are held, too.")
def verify(door: Door, every: bool) -> None:
    """Compare the live catalogues with the reference, fact by fact. Exit code 1 unless every fact is held."""
    settings = door.settings
    report = door.run(verify_reference(settings, locate(settings)))
    held = report.as_json()
    if every:
        held["findings"] = [
            {"database": f.fact.database, "kind": f.fact.kind, "subject": f.fact.subject, "held": f.held}
            for f in report.findings
        ]
    door.show(held, lambda _: _show(report, every))
    if not report.ok:
        sys.exit(1)


@command(db, "diagram")
@click.option("--out", required=True, type=click.Path(path_type=Path, file_okay=False), help="Directory to write to.")
def diagram(door: Door, out: Path) -> None:
    """Draw the live databases and the architecture, as Mermaid (.mmd) and SVG."""
    settings = door.settings
    written = door.run(diagrams.write(settings, locate(settings), out))
    door.show({"files": written}, lambda _: click.echo("\n".join(written)))


@command(db, "reference")
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), help="File to write; standard output unless given."
)
def reference(door: Door, out: Path | None) -> None:
    """The reference document, generated from the live databases."""
    settings = door.settings
    text = door.run(document.generate(settings, locate(settings)))
    if door.json:
        door.show({"document": text})
    elif out is None:
        click.echo(text, nl=False)
    else:
        out.write_text(text, encoding="utf-8")
        door.tell(f"wrote {out}")


def _show(report: Report, every: bool) -> None:
    counts: dict[str, list[int]] = {}
    for finding in report.findings:
        counted = counts.setdefault(finding.fact.database, [0, 0])
        counted[0] += 1
        counted[1] += finding.held
    rows: list[dict[str, Any]] = [
        {"database": name, "facts": total, "held": held, "missing": total - held}
        for name, (total, held) in counts.items()
    ]
    table(rows, ["database", "facts", "held", "missing"])
    if every:
        click.echo()
        for finding in report.findings:
            mark = "✓" if finding.held else "✗"
            click.echo(f"{mark} {finding.fact.database}: {finding.fact.kind} {finding.fact.subject}")
    for finding in report.missing:
        fact = finding.fact
        click.echo(f"\n✗ {fact.database}: {fact.kind} {fact.subject} ({fact.section})")
        click.echo(f"    expected  {fact.value}\n    found     {finding.found or 'nothing'}")
    for item in report.beyond:
        mark = "✗ beyond the reference, and it opens something" if item.dangerous else "· beyond the reference"
        click.echo(f"{mark}: {item.database}: {item.kind} {item.subject} ({item.value})")
    click.echo(f"\n{'✓ every fact is held' if report.ok else '✗ the live databases differ from the reference'}")
