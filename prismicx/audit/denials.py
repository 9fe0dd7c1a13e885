"""Refusals, which may come as fast as somebody tries: the first is written at once, the next like it are counted."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from prismicx.audit.values import Event

WINDOW = 10.0
"""Seconds in which refusals of the same kind are counted together."""

_KINDS = 1_000
"""How many kinds are told apart at once; of more, each is written by itself."""

Kind = tuple[str, str, str | None, str, str]


@dataclass(slots=True)
class _Counted:
    event: Event
    more: int = 0


class Denials:
    """Turns refusals into events, one for each kind and window, and one with the number of those that followed.

    A kind is operation, code, tenant, door and actor. So a caller that is refused a thousand times a second costs two
    rows in ten seconds, and no refusal waits for the trail.
    """

    def __init__(self, event: Callable[..., Event], enqueue: Callable[[Event], Any]) -> None:
        self._event = event
        self._enqueue = enqueue
        self._open: dict[Kind, _Counted] = {}

    def note(self, operation: str, code: str, tenant_id: str | None, subject: str | None) -> None:
        """One refusal. Of many subjects the first is named: whoever tries them all fills no trail."""
        event = self._event(operation, "denied", tenant_id=tenant_id, subject=subject, code=code)
        kind = (operation, code, event.tenant_id, event.door, event.actor)
        counted = self._open.get(kind)
        if counted is not None:
            counted.more += 1
            return
        if len(self._open) < _KINDS:
            self._open[kind] = _Counted(event)
            asyncio.get_running_loop().call_later(WINDOW, self._end, kind)
        self._enqueue(event)

    def flush(self) -> None:
        """End all windows now."""
        for kind in list(self._open):
            self._end(kind)

    def _end(self, kind: Kind) -> None:
        counted = self._open.pop(kind, None)
        if counted is not None and counted.more:
            event = counted.event
            details = {"times": counted.more}
            self._enqueue(
                Event(
                    event.door, event.actor, event.operation, event.tenant_id, event.subject, event.outcome,
                    event.code, event.begun, details,
                )
            )  # fmt: skip
