"""How claims are measured: the contenders take turns, several times, and medians are compared."""

from __future__ import annotations

import asyncio
import os
import platform
import statistics
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Work = Callable[[], Awaitable[object]]


@dataclass(frozen=True)
class Figure:
    """What one contender did.

    Attributes:
        rates: operations a second in each turn.
    """

    name: str
    rates: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.rates)

    @property
    def spread(self) -> float:
        """Largest deviation from the median, as a part of it."""
        return max(abs(rate - self.median) for rate in self.rates) / self.median


@dataclass(frozen=True)
class Bound:
    """What is to stay below a limit.

    Attributes:
        found: what was measured, in the limit's unit.
    """

    title: str
    found: float
    limit: float
    unit: str

    @property
    def held(self) -> bool:
        return self.found < self.limit

    def line(self) -> str:
        """The bound as a sentence."""
        return (
            f"{self.title}: {self.found:,.0f} {self.unit} "
            f"(aim: below {self.limit:,.0f} {self.unit}, {'held' if self.held else 'MISSED'})."
        )


@dataclass
class Claim:
    """A claim and its figures.

    Attributes:
        base: the contender that the ratios are of.
        aims: the ratio each contender is to reach, where there is one.
        bounds: what is to stay below a limit besides.
    """

    title: str
    base: str
    figures: list[Figure] = field(default_factory=list)
    aims: Mapping[str, float] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    bounds: list[Bound] = field(default_factory=list)

    def ratio(self, name: str) -> float:
        """Median over the turns of rate against the base's rate in the same turn."""
        rates = {figure.name: figure.rates for figure in self.figures}
        return statistics.median(mine / base for mine, base in zip(rates[name], rates[self.base], strict=True))

    @property
    def held(self) -> bool:
        return all(self.ratio(name) >= aim for name, aim in self.aims.items()) and all(
            bound.held for bound in self.bounds
        )

    def lines(self) -> list[str]:
        """The claim as Markdown."""
        found = [
            f"## {self.title}",
            "",
            "| contender | ratio | aim | a second | spread |",
            "| --- | --- | --- | --- | --- |",
        ]
        for figure in self.figures:
            aim = self.aims.get(figure.name)
            goal = "" if aim is None else f"≥ {aim:.2f} {'held' if self.ratio(figure.name) >= aim else 'MISSED'}"
            row = (
                figure.name,
                f"{self.ratio(figure.name):.2f}",
                goal,
                f"{figure.median:,.0f}" if figure.median >= 10 else f"{figure.median:.2f}",
                f"±{figure.spread:.0%}",
            )
            found.append(f"| {' | '.join(row)} |")
        return [*found, "", *self.notes, *(bound.line() for bound in self.bounds), ""]


async def _nothing() -> None:
    pass


async def in_turns(
    contenders: Mapping[str, Work], *, operations: int, tasks: int, turns: int, before: Work = _nothing
) -> list[Figure]:
    """Let each contender do its operations with so many tasks, one contender after another, so many times.

    The order changes from turn to turn, so that what the machine does meanwhile hits all alike; that lasts for seconds,
    so of what is quick many short turns tell more than a few long ones. ``before`` is done
    before each contender's turn and not counted.
    """
    rates: dict[str, list[float]] = {name: [] for name in contenders}
    for work in contenders.values():
        await before()
        await _run(work, max(operations // 10, tasks), tasks)
    for turn in range(turns):
        names = list(contenders)
        shift = turn % len(names)
        for name in (*names[shift:], *names[:shift]):
            await before()
            seconds = await _run(contenders[name], operations, tasks)
            rates[name].append(operations // tasks * tasks / seconds)
    return [Figure(name, tuple(found)) for name, found in rates.items()]


async def _run(work: Work, operations: int, tasks: int) -> float:
    async def one() -> None:
        for _ in range(operations // tasks):
            await work()

    begun = time.perf_counter()
    await asyncio.gather(*(one() for _ in range(tasks)))
    return time.perf_counter() - begun


def machine() -> str:
    """The machine, in a line."""
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.processor(),
    )
    pages: Any = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    memory = pages / 1024**3
    return (
        f"{os.cpu_count()} cores ({model}), {memory:.0f} GiB, {platform.system()}, Python {platform.python_version()}"
    )
