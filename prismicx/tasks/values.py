"""What a task is, and the rules its values obey. Reference: `tasks` Collection."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from prismicx.checks import check_document, check_id, check_text
from prismicx.errors import InvalidInput, quoted
from prismicx.sealing.values import check_plain

Status = Literal["pending", "running", "completed", "failed", "cancelled"]
STATUSES: tuple[Status, ...] = ("pending", "running", "completed", "failed", "cancelled")

INVALID = "task.invalid"

SEALED_KEY = "secret"
"""What is under this key of a payload is sealed."""

PAYLOAD_LIMIT = 64 * 1024
PRIORITY_LIMIT = 1_000_000


@dataclass(frozen=True, slots=True)
class NewTask:
    """The values of a task to enqueue, checked.

    Attributes:
        service: the service that is to run it.
        payload: JSON of at most 64 KiB.
        priority: the higher, the earlier.
        secret: keys of the payload whose values are sealed where they are stored; ``secret`` always is.

    Raises:
        InvalidInput: ``task.invalid``.
    """

    service: str
    type: str
    payload: Mapping[str, Any] = field(default_factory=dict)
    priority: float = 0
    secret: Collection[str] = ()

    def __post_init__(self) -> None:
        check_text(INVALID, "service", self.service, 100)
        check_text(INVALID, "type", self.type, 100)
        check_document(INVALID, "payload", self.payload, PAYLOAD_LIMIT)
        if not isinstance(self.secret, (list, tuple, set, frozenset)):
            raise InvalidInput(INVALID, f"secret is {quoted(self.secret)}", "give a list of keys of the payload")
        for key in self.secret:
            if not isinstance(key, str) or key not in self.payload:
                raise InvalidInput(INVALID, f"secret names {quoted(key)}", "name keys that the payload has")
        for key, value in self.payload.items():
            check_plain(INVALID, f"{quoted(key)} of payload", value)
        plain = isinstance(self.priority, (int, float)) and not isinstance(self.priority, bool)
        if not plain or not abs(self.priority) <= PRIORITY_LIMIT:
            raise InvalidInput(
                INVALID, f"priority is {quoted(self.priority)}", f"give a number, -{PRIORITY_LIMIT} to {PRIORITY_LIMIT}"
            )

    @property
    def sealed_keys(self) -> set[str]:
        """The keys of the payload whose values are sealed."""
        return {*self.secret, SEALED_KEY} & self.payload.keys()


@dataclass(frozen=True, slots=True)
class Task:
    """A task; times are aware, UTC.

    Attributes:
        payload: where something secret in it cannot be opened, asking for that raises why.
        result: what it gave, when it is completed.
        error: what went wrong, when it failed.
    """

    task_id: str
    service: str
    type: str
    status: Status
    priority: float
    payload: Mapping[str, Any]
    created_at: datetime
    updated_at: datetime | None = None
    started_at: datetime | None = None
    completed_at: datetime | None = None
    result: Mapping[str, Any] | None = None
    error: Mapping[str, Any] | None = None

    @property
    def changed_at(self) -> datetime:
        """When it was changed last, or enqueued."""
        return self.updated_at or self.created_at


def check_task_id(value: object) -> str:
    """The id of a task.

    Raises:
        InvalidInput: ``task.id_invalid``.
    """
    return str(check_id("task.id_invalid", "the task's id", value))


def task_of(document: Mapping[str, Any]) -> Task:
    """The task of a document; what later versions keep beside it is left out."""
    return Task(
        document["task_id"],
        document["service_id"],
        document["type"],
        document["status"],
        document["priority"],
        document["payload"],
        document["created_at"],
        document.get("updated_at"),
        document.get("started_at"),
        document.get("completed_at"),
        document.get("result"),
        document.get("error"),
    )
