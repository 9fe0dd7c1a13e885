"""The report of a verification as a page to look at: one HTML file that needs nothing else."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime
from html import escape

from prismicx.isolation.values import Check, Report

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #1c2733; background: #f6f8fa; margin: 0 auto;
       max-width: 76rem; padding: 2rem }
h1 { font-size: 1.6rem; margin: 0 0 .3rem }
h2 { font-size: 1.15rem; margin: 2.4rem 0 .4rem }
h3 { font-size: 1rem; margin: 1.6rem 0 .2rem }
p { margin: .2rem 0 .8rem; color: #4a5a6a }
table { border-collapse: collapse; background: #fff; font-size: .87rem }
th, td { border: 1px solid #d4dce4; padding: .25rem .55rem; text-align: left; vertical-align: top }
th { background: #eef2f6; font-weight: 600 }
td.n { text-align: right; font-variant-numeric: tabular-nums }
.held { background: #e3f4e6 }
.through { background: #f9d6d5; font-weight: 600 }
.none { color: #a3b1c2; text-align: center }
.wide { overflow-x: auto; padding-bottom: .3rem }
.verdict { display: inline-block; padding: .35rem .9rem; border-radius: .4rem; font-weight: 600; margin: .5rem 0 }
nav { margin: .6rem 0 }
nav a { margin-right: 1rem; color: #1f5f99 }
"""


def page(report: Report, platform: str, moment: datetime) -> str:
    """The page.

    Args:
        platform: where it was tried, in words.
        moment: when, UTC.
    """
    return "\n".join(_lines(report, platform, moment)) + "\n"


def verdict(report: Report) -> str:
    """The outcome in words."""
    if report.breaches:
        return f"✗ {len(report.breaches)} attempts got through"
    return "✓ nothing got through" if report.ok else "✗ some checks were not tried"


def _lines(report: Report, platform: str, moment: datetime) -> Iterator[str]:
    tried = sum(report.attempts.values())
    yield '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Isolation</title>'
    yield f"<style>{_STYLE}</style></head><body>"
    yield "<h1>Isolation of tenants</h1>"
    yield f"<p>{escape(platform)}, {moment:%Y-%m-%d %H:%M} UTC, {report.seconds:.1f} s</p>"
    yield f'<p class="verdict {"held" if report.ok else "through"}">{tried:,} attempts: {verdict(report)}</p>'
    areas = list(dict.fromkeys(check.area for check in report.checks))
    yield f"<nav>{''.join(f'<a href=#{escape(area)}>{escape(area)}</a>' for area in areas)}</nav>"
    if report.breaches:
        yield "<h2>What got through</h2><table><tr><th>check<th>who<th>what<th>operation<th>how</tr>"
        for item in report.breaches:
            cells = (item.check, item.actor, item.target, item.operation, item.how)
            yield f'<tr class="through">{"".join(f"<td>{escape(cell)}" for cell in cells)}</tr>'
        yield "</table>"
    for area in areas:
        yield f'<h2 id="{escape(area)}">{escape(area)}</h2>'
        yield "<table><tr><th>must hold<th>attempts<th>through</tr>"
        for check in report.checks:
            if check.area == area:
                count, passed = report.of(check)
                kind = "through" if passed else "held" if count else "none"
                yield f'<tr><td>{escape(check.title)}<td class="n">{count:,}<td class="n {kind}">{passed}</tr>'
        yield "</table>"
        for check in report.checks:
            if check.area == area:
                yield from _matrix(report, check)
    if report.untried:
        yield "<h2>What could not be tried</h2><table><tr><th>what<th>why</tr>"
        for what, why in report.untried.items():
            yield f"<tr><td>{escape(what)}<td>{escape(why)}</tr>"
        yield "</table>"
    yield "</body></html>"


def _matrix(report: Report, check: Check) -> Iterator[str]:
    """Who tried what: a row an actor, a column a target, the attempts in the cell, its operations as a hint."""
    cells: dict[tuple[str, str], list[tuple[str, int]]] = defaultdict(list)
    for (name, actor, target, operation), count in report.attempts.items():
        if name == check.name:
            cells[actor, target].append((operation, count))
    if not cells:
        return
    open_ones = {(item.actor, item.target) for item in report.breaches if item.check == check.name}
    actors, targets = (list(dict.fromkeys(key[place] for key in cells)) for place in (0, 1))
    yield f"<h3>{escape(check.title)}</h3>"
    yield f'<div class="wide"><table><tr><th>{"".join(f"<th>{escape(target)}" for target in targets)}</tr>'
    for actor in actors:
        yield f"<tr><th>{escape(actor)}"
        for target in targets:
            held = cells.get((actor, target))
            if held is None:
                yield '<td class="none">·'
                continue
            hint = escape("\n".join(f"{operation}: {count}" for operation, count in held), quote=True)
            kind = "through" if (actor, target) in open_ones else "held"
            yield f'<td class="n {kind}" title="{hint}">{sum(count for _, count in held):,}'
        yield "</tr>"
    yield "</table></div>"
