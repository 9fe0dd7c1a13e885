"""What the demo prints, and whether all of it held."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.table import Table


class Show:
    """Prints the story as it goes and remembers what did not hold."""

    def __init__(self) -> None:
        self.console = Console(highlight=False)
        self.failed: list[str] = []
        self.checked = 0
        self._steps = 0
        self._begun = time.monotonic()

    @property
    def seconds(self) -> float:
        """Since the beginning."""
        return time.monotonic() - self._begun

    @contextmanager
    def step(self, title: str) -> Iterator[None]:
        """A part of the story, with the time it took."""
        self._steps += 1
        self.console.print(f"\n[bold cyan]{self._steps}. {escape(title)}[/]")
        begun = time.monotonic()
        yield
        self.console.print(f"   [dim]{time.monotonic() - begun:.1f} s[/]")

    def say(self, text: str) -> None:
        """A line of the story."""
        self.console.print(f"   {escape(text)}", soft_wrap=True)

    def check(self, text: str, held: bool) -> None:
        """A line that must be true; the demo fails if one is not."""
        self.checked += 1
        if not held:
            self.failed.append(text)
        mark = "[green]✓[/]" if held else "[bold red]✗ not held:[/]"
        self.console.print(f"   {mark} {escape(text)}", soft_wrap=True)

    def table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        """Rows under a title."""
        grid = Table(title=title, title_justify="left", header_style="bold", box=None, pad_edge=False)
        for column in columns:
            grid.add_column(column, overflow="fold")
        for row in rows:
            grid.add_row(*(escape(str(cell)) for cell in row))
        self.console.print()
        self.console.print(grid)
