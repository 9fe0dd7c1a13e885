"""What an event of the trail is, who acts through which door, and what may be written down of it."""

from __future__ import annotations

import json
import os
import pwd
import re
import socket
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

import asyncpg
from pymongo.errors import OperationFailure

from prismicx.audit.operations import OPERATIONS
from prismicx.checks import check_text
from prismicx.errors import Denied, InvalidInput, PrismicXError, quoted
from prismicx.names import check_tenant_id

Outcome = Literal["begun", "done", "failed", "denied"]
OUTCOMES: tuple[Outcome, ...] = ("begun", "done", "failed", "denied")

ACTOR_LIMIT = 200

_ID = re.compile(r"[a-z0-9][a-z0-9._-]{0,49}")
_MANY = 50

_door: ContextVar[str] = ContextVar("prismicx_door", default="library")
_actor: ContextVar[str | None] = ContextVar("prismicx_actor", default=None)


@dataclass(frozen=True, slots=True)
class Event:
    """One row of the trail as it is asked for; the database adds place, time and hashes."""

    door: str
    actor: str
    operation: str
    tenant_id: str | None
    subject: str | None
    outcome: Outcome
    code: str | None
    begun: int | None
    details: Mapping[str, Any]

    def as_json(self) -> dict[str, Any]:
        """As the database takes it."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """One row of the trail.

    Attributes:
        begun: the row that says it began; None where none does.
        details: ids, numbers and states, by name.
    """

    sequence: int
    recorded_at: datetime
    door: str
    actor: str
    operation: str
    tenant_id: str | None
    subject: str | None
    outcome: Outcome
    code: str | None
    begun: int | None
    details: Mapping[str, Any]
    hash: str


def event_of(row: Any) -> AuditEvent:
    """A row as the database gives it."""
    held = {name: row[name] for name in AuditEvent.__slots__}
    moment = held["recorded_at"].replace(tzinfo=UTC)
    return AuditEvent(**{**held, "recorded_at": moment, "details": json.loads(held["details"])})


@contextmanager
def acting(actor: str | None = None, *, door: str | None = None) -> Iterator[None]:
    """Who acts inside the block, and through which door; what is not given stays. For doors that serve many.

    Raises:
        InvalidInput: ``audit.actor_invalid``.
    """
    held_actor, held_door = _actor.get(), _door.get()
    named = held_actor if actor is None else check_actor(actor)
    entered = held_door if door is None else check_text("audit.door_invalid", "door", door, 20)
    of_actor, of_door = _actor.set(named), _door.set(entered)
    try:
        yield
    finally:
        _actor.reset(of_actor)
        _door.reset(of_door)


def current(default: str) -> tuple[str, str]:
    """The door, and who acts: who was named by `acting`, else the default."""
    return _door.get(), _actor.get() or default


def check_actor(value: object) -> str:
    """The value as the name of who acts: 1 to 200 characters without such that control a terminal.

    Raises:
        InvalidInput: ``audit.actor_invalid``.
    """
    text = check_text("audit.actor_invalid", "the actor", value, ACTOR_LIMIT)
    if text.isprintable():
        return text
    raise InvalidInput("audit.actor_invalid", f"the actor is {quoted(value)}", "give a name on one line")


def default_actor() -> str:
    """The user of the operating system and the machine: ``ada@host``. The number of the user, which cannot be set by
    a variable of the environment, leads to the name."""
    try:
        user = pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        user = str(os.geteuid())
    return f"{user}@{socket.gethostname()}"[:ACTOR_LIMIT]


def tenant_or_none(value: object) -> str | None:
    """A tenant's id; None for what cannot be one, since it may be anything, also a secret in the wrong place."""
    try:
        return check_tenant_id(value)
    except InvalidInput:
        return None


def subject_or_none(operation: str, value: object) -> str | None:
    """The id of what an operation touches: a UUID, or the id of a system; None for anything else that was given."""
    kind = OPERATIONS[operation].subject
    if kind == "system":
        return _word(value)
    if kind == "tenant":
        return tenant_or_none(value)
    try:
        return str(value if isinstance(value, uuid.UUID) else uuid.UUID(value if isinstance(value, str) else ""))
    except ValueError:
        return None


def allowed_details(operation: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """What may be written down: names that the operation declares, with numbers, yes and no, and ids."""
    names = OPERATIONS[operation].details
    return {name: _plain(given[name]) for name in names if name in given}


def outcome_of(error: BaseException) -> tuple[Outcome, str]:
    """How an operation ended that raised, and the code of it; never its message, which may quote what was given."""
    if isinstance(error, PrismicXError):
        return ("denied" if isinstance(error, Denied) else "failed"), error.code[:100]
    if isinstance(error, asyncpg.PostgresError):
        return "failed", f"postgres.{error.sqlstate}"
    if isinstance(error, OperationFailure):
        return "failed", f"mongo.{error.code}"
    return "failed", f"error.{type(error).__name__}"[:100]


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value[:_MANY]]
    return _word(value)


def _word(value: object) -> str | None:
    return value if type(value) is str and _ID.fullmatch(value) else None
