"""The tasks of the tenant whose scope gave this out. Reference: `tasks` Collection.

What is here works on the documents. Who runs tasks, in which turn, is the matter of workers.
"""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import datetime
from itertools import islice
from typing import Any

from prismicx.checks import check_moment, check_text
from prismicx.clock import utc_milliseconds
from prismicx.engines.scoped_documents import ScopedCollection
from prismicx.errors import Conflict, InvalidInput, NotFound, quoted
from prismicx.pages import Page, check_limit, cursor_of, key_of, milliseconds_of, moment_at
from prismicx.tasks.values import INVALID, STATUSES, NewTask, Status, Task, task_of

_BATCH = 1_000

_SOURCES: dict[Status, tuple[Status, ...]] = {
    "cancelled": ("pending", "running"),
    "pending": ("failed", "cancelled"),
}
"""From which states a task may be brought to another from outside: by `cancel` and by `retry`."""


class Tasks:
    """Enqueues, finds, cancels and retries tasks.

    Args:
        open_collection: finds the tenant's part of the collection.
    """

    def __init__(self, open_collection: Callable[[], Awaitable[ScopedCollection]]) -> None:
        self._open_collection = open_collection

    async def enqueue(
        self, *, service: str, type: str, payload: Mapping[str, Any] | None = None, priority: float = 0
    ) -> Task:
        """Put a task where its service will find it.

        Raises:
            InvalidInput: ``task.invalid``.
        """
        (task,) = await self.enqueue_many([NewTask(service, type, payload or {}, priority)])
        return task

    async def enqueue_many(self, tasks: Iterable[NewTask]) -> Sequence[Task]:
        """Enqueue tasks, in batches of a thousand. What was checked before any is written are the tasks themselves,
        so only a lost connection can leave some of them out.

        Raises:
            InvalidInput: ``task.invalid``.
        """
        collection = await self._open_collection()
        moment = utc_milliseconds()
        documents = [
            {
                "task_id": str(uuid.uuid4()),
                "service_id": task.service,
                "type": task.type,
                "status": "pending",
                "priority": task.priority,
                "payload": dict(task.payload),
                "created_at": moment,
                "updated_at": moment,
            }
            for task in tasks
        ]
        remaining = iter(documents)
        while batch := list(islice(remaining, _BATCH)):
            await collection.insert_many(batch)
        return [task_of(document) for document in documents]

    async def get(self, task_id: str) -> Task:
        """A task by its id.

        Raises:
            InvalidInput: ``task.id_invalid``.
            NotFound: ``task.unknown``, also when it is another tenant's.
        """
        key = _key(task_id)
        found = await (await self._open_collection()).find_one({"task_id": key})
        if found is None:
            raise _unknown(key)
        return task_of(found)

    async def list(
        self,
        *,
        status: Status | None = None,
        type: str | None = None,
        service: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        after: str | None = None,
        limit: int = 100,
    ) -> Page[Task]:
        """Tasks in the order they were enqueued.

        Args:
            since, until: of ``created_at``, aware; from the first on, before the second.

        Raises:
            InvalidInput: ``task.invalid``, ``page.cursor_invalid`` or ``page.limit_invalid``.
        """
        size = check_limit(limit)
        wanted = _filter(status, type, service, since, until)
        if after is not None:
            begin, key = key_of("tasks", after, int, str)
            moment = moment_at(begin)
            beyond = [{"created_at": {"$gt": moment}}, {"created_at": moment, "task_id": {"$gt": key}}]
            wanted = {"$and": [wanted, {"$or": beyond}]}
        order = [("created_at", 1), ("task_id", 1)]
        rows = await (await self._open_collection()).find(wanted, sort=order, limit=size + 1).to_list()
        items = [task_of(row) for row in rows[:size]]
        if len(rows) <= size:
            return Page(items, None)
        return Page(items, cursor_of("tasks", milliseconds_of(items[-1].created_at), items[-1].task_id))

    async def cancel(self, task_id: str) -> Task:
        """Cancel a task that waits or runs. Whoever runs it finds out when it reports.

        Raises:
            InvalidInput: ``task.id_invalid``.
            NotFound: ``task.unknown``.
            Conflict: ``task.transition`` when it has ended.
        """
        return await self._bring(task_id, "cancelled", {"$set": {"completed_at": utc_milliseconds()}})

    async def retry(self, task_id: str) -> Task:
        """Let a task that failed or was cancelled wait again; what came of it before is forgotten.

        Raises:
            InvalidInput: ``task.id_invalid``.
            NotFound: ``task.unknown``.
            Conflict: ``task.transition`` when it did not fail.
        """
        gone = dict.fromkeys(("started_at", "completed_at", "result", "error"), "")
        return await self._bring(task_id, "pending", {"$unset": gone})

    async def counts(self) -> dict[str, dict[str, int]]:
        """How many tasks there are, by type and status."""
        grouped = [{"$group": {"_id": {"type": "$type", "status": "$status"}, "n": {"$sum": 1}}}]
        counted: dict[str, dict[str, int]] = {}
        async for row in await (await self._open_collection()).aggregate(grouped):
            counted.setdefault(row["_id"]["type"], {})[row["_id"]["status"]] = row["n"]
        return {name: counted[name] for name in sorted(counted)}

    async def _bring(self, task_id: str, status: Status, update: dict[str, dict[str, Any]]) -> Task:
        key = _key(task_id)
        change = {**update, "$set": {**update.get("$set", {}), "status": status, "updated_at": utc_milliseconds()}}
        collection = await self._open_collection()
        done = await collection.update_one({"task_id": key, "status": {"$in": list(_SOURCES[status])}}, change)
        task = await self.get(key)
        if not done.matched_count:
            raise Conflict(
                "task.transition",
                f"the task {key} is {task.status}, which does not lead to {status}",
                f"only tasks that are {' or '.join(_SOURCES[status])} become {status}",
            )
        return task


def _filter(
    status: str | None, type: str | None, service: str | None, since: datetime | None, until: datetime | None
) -> dict[str, Any]:
    wanted: dict[str, Any] = {}
    if status is not None:
        if status not in STATUSES:
            raise InvalidInput(INVALID, f"status is {quoted(status)}", f"use one of {', '.join(STATUSES)}")
        wanted["status"] = status
    if type is not None:
        wanted["type"] = check_text(INVALID, "type", type, 100)
    if service is not None:
        wanted["service_id"] = check_text(INVALID, "service", service, 100)
    for label, operator, moment in (("since", "$gte", since), ("until", "$lt", until)):
        if moment is not None:
            wanted.setdefault("created_at", {})[operator] = check_moment(INVALID, label, moment)
    return wanted


def _key(value: object) -> str:
    try:
        return str(uuid.UUID(value if isinstance(value, str) else ""))
    except ValueError:
        raise InvalidInput("task.id_invalid", f"the task's id is {quoted(value)}", "give a UUID") from None


def _unknown(key: str) -> NotFound:
    return NotFound("task.unknown", f"there is no task {key}", "prismicx task list shows those there are")
