"""What was tried, how often, and what got through."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that must hold.

    Attributes:
        name: stands for it in JSON and in the self-test.
        area: ``PostgreSQL``, ``Pools``, ``MongoDB``, ``Transport`` or ``Keys``.
        title: what must hold, in words.
    """

    name: str
    area: str
    title: str


@dataclass(frozen=True, slots=True)
class Breach:
    """An attempt that got through."""

    check: str
    actor: str
    target: str
    operation: str
    how: str


@dataclass(slots=True)
class Tally:
    """What was tried: by check, actor, target and operation."""

    attempts: Counter[tuple[str, str, str, str]] = field(default_factory=Counter)
    breaches: list[Breach] = field(default_factory=list)
    untried: dict[str, str] = field(default_factory=dict)

    def note(self, check: Check, actor: str, target: str, operation: str, how: str = "") -> None:
        """Count an attempt; ``how`` it got through, empty where it was refused."""
        self.attempts[check.name, actor, target, operation] += 1
        if how:
            self.breaches.append(Breach(check.name, actor, target, operation, how))

    def leave(self, what: str, why: str) -> None:
        """Write down what could not be tried."""
        self.untried[what] = why


@dataclass(frozen=True, slots=True)
class Report:
    """The outcome of a verification.

    Attributes:
        untried: what could not be tried, and why; it was not shown to hold.
        seconds: how long it took.
    """

    checks: Sequence[Check]
    attempts: Mapping[tuple[str, str, str, str], int]
    breaches: Sequence[Breach]
    untried: Mapping[str, str]
    seconds: float

    @property
    def ok(self) -> bool:
        """Every check was tried, and nothing got through."""
        return not self.breaches and {key[0] for key in self.attempts} | {*self.untried} >= {
            check.name for check in self.checks
        }

    def of(self, check: Check) -> tuple[int, int]:
        """Attempts of a check, and how many got through."""
        tried = sum(count for key, count in self.attempts.items() if key[0] == check.name)
        return tried, sum(1 for breach in self.breaches if breach.check == check.name)

    def as_json(self) -> dict[str, Any]:
        """The form that scripts read."""
        rows = [(check, *self.of(check)) for check in self.checks]
        return {
            "ok": self.ok,
            "attempts": sum(self.attempts.values()),
            "through": len(self.breaches),
            "seconds": round(self.seconds, 2),
            "checks": [
                {"check": check.name, "area": check.area, "title": check.title, "attempts": tried, "through": through}
                for check, tried, through in rows
            ],
            "breaches": [
                {
                    "check": item.check,
                    "actor": item.actor,
                    "target": item.target,
                    "operation": item.operation,
                    "how": item.how,
                }
                for item in self.breaches
            ],
            "untried": dict(self.untried),
        }
