"""The tasks of the tenant whose scope gave this out. Reference: `tasks` Collection.

What is here works on the documents. Who runs tasks, in which turn, is the matter of workers.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from pymongo.errors import PyMongoError

from prismicx.checks import check_document, check_moment, check_text
from prismicx.clock import give_way, utc_milliseconds
from prismicx.engines.mongo import update_of
from prismicx.engines.scoped_documents import ScopedCollection
from prismicx.errors import Conflict, InvalidInput, NotFound, PrismicXError, Unavailable, quoted
from prismicx.pages import Page, check_limit, cursor_of, key_of, milliseconds_of, moment_at
from prismicx.sealing.sealer import Sealer, Writer
from prismicx.tasks.values import (
    INVALID,
    PAYLOAD_LIMIT,
    STATUSES,
    NewTask,
    Status,
    Task,
    check_task_id,
    task_of,
)

_BATCH = 1_000
_TRIES = 30

_SOURCES: dict[Status, tuple[Status, ...]] = {
    "cancelled": ("pending", "running"),
    "pending": ("failed", "cancelled"),
}
"""From which states a task may be brought to another from outside: by `cancel` and by `retry`."""

_NOTHING_YET = dict.fromkeys(("started_at", "completed_at", "result", "error"))
"""What a task has not that waits."""


class Tasks:
    """Enqueues, finds, cancels and retries tasks.

    Args:
        open_collection: finds the tenant's part of the collection.
        sealer: of what is secret in payloads.
    """

    def __init__(self, open_collection: Callable[[], Awaitable[ScopedCollection]], sealer: Sealer) -> None:
        self._open_collection = open_collection
        self._sealer = sealer

    async def enqueue(
        self,
        *,
        service: str,
        type: str,
        payload: Mapping[str, Any] | None = None,
        priority: float = 0,
        secret: Collection[str] = (),
    ) -> Task:
        """Put a task where its service will find it.

        Args:
            secret: keys of the payload whose values are sealed where they are stored; ``secret`` always is.

        Raises:
            InvalidInput: ``task.invalid``.
            Unavailable, Conflict: ``keys.*`` when something secret cannot be sealed.
        """
        (task,) = await self.enqueue_many(
            [NewTask(service, type, {} if payload is None else payload, priority, secret)]
        )
        return task

    async def enqueue_many(self, tasks: Iterable[NewTask]) -> Sequence[Task]:
        """Enqueue tasks, in the order they are given and in batches of a thousand. All of them are checked before any
        is written; a lost connection, and keys that are gone meanwhile, leave out those that come later.

        Raises:
            InvalidInput: ``task.invalid``; none was enqueued.
            Unavailable: ``task.partly_enqueued``, which says how many of the first ones were enqueued.
            Unavailable, Conflict: ``keys.*`` when something secret cannot be sealed; none was enqueued.
        """
        given = _given(tasks)
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
            for task in given
        ]
        secret = [task.sealed_keys for task in given]
        # Before any is written: without keys none is.
        writer = await self._sealer.writer() if any(secret) else None
        for begin in range(0, len(documents), _BATCH):
            end = begin + _BATCH
            batch = zip(documents[begin:end], secret[begin:end], strict=True)
            try:
                if writer is not None:
                    writer = await self._sealer.writer()  # many batches may take longer than a rotated key is kept
                await collection.insert_many([_sealed(document, keys, writer) for document, keys in batch])
            except (PrismicXError, PyMongoError) as error:
                told = await _partly(collection, documents, begin, error)
                if told is None:
                    raise
                raise told from error
        return [task_of(document) for document in documents]

    async def get(self, task_id: uuid.UUID | str) -> Task:
        """A task by its id.

        Raises:
            InvalidInput: ``task.id_invalid``.
            NotFound: ``task.unknown``, also when it is another tenant's.
        """
        key = check_task_id(task_id)
        found = await (await self._open_collection()).find_one({"task_id": key})
        if found is None:
            raise _unknown(key)
        return await self._task(found)

    async def list(
        self,
        *,
        status: Status | None = None,
        type: str | None = None,
        service: str | None = None,
        secret: Mapping[str, Any] | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        after: str | None = None,
        limit: int = 100,
    ) -> Page[Task]:
        """Tasks in the order they were enqueued.

        Args:
            secret: values that sealed keys of the payload have, by key; they are looked for by their keyed hash.
            since, until: of ``created_at``, aware; from the first on, before the second.

        Raises:
            InvalidInput: ``task.invalid``, ``page.cursor_invalid`` or ``page.limit_invalid``.
        """
        size = check_limit(limit)
        wanted = _filter(status, type, service, since, until)
        if secret is not None and not isinstance(secret, Mapping):
            raise InvalidInput(INVALID, f"secret is {quoted(secret)}", "give values by keys of the payload")
        for name, value in (secret or {}).items():
            wanted[f"payload.{_plain_key(name)}"] = await self._sought(name, value)
        if after is not None:
            begin, key = key_of("tasks", after, int, str)
            moment = moment_at(begin)
            beyond = [{"created_at": {"$gt": moment}}, {"created_at": moment, "task_id": {"$gt": key}}]
            wanted = {"$and": [wanted, {"$or": beyond}]}
        order = [("created_at", 1), ("task_id", 1)]
        rows = await (await self._open_collection()).find(wanted, sort=order, limit=size + 1).to_list()
        items = [await self._task(row) for row in rows[:size]]
        if len(rows) <= size:
            return Page(items, None)
        return Page(items, cursor_of("tasks", milliseconds_of(items[-1].created_at), items[-1].task_id))

    async def cancel(self, task_id: uuid.UUID | str) -> Task:
        """Cancel a task that waits or runs. Whoever runs it finds out when it reports.

        Raises:
            InvalidInput: ``task.id_invalid``.
            NotFound: ``task.unknown``.
            Conflict: ``task.transition`` when it has ended.
        """
        return await self._bring(task_id, "cancelled")

    async def retry(self, task_id: uuid.UUID | str) -> Task:
        """Let a task that failed or was cancelled wait again; what came of it before is forgotten.

        Raises:
            InvalidInput: ``task.id_invalid``.
            NotFound: ``task.unknown``.
            Conflict: ``task.transition`` when it did not fail.
        """
        return await self._bring(task_id, "pending")

    async def counts(self) -> dict[str, dict[str, int]]:
        """How many tasks there are, by type and status."""
        grouped = [{"$group": {"_id": {"type": "$type", "status": "$status"}, "n": {"$sum": 1}}}]
        counted: dict[str, dict[str, int]] = {}
        async for row in await (await self._open_collection()).aggregate(grouped):
            counted.setdefault(row["_id"]["type"], {})[row["_id"]["status"]] = row["n"]
        return {name: counted[name] for name in sorted(counted)}

    async def _task(self, document: Mapping[str, Any]) -> Task:
        payload = await self._sealer.opened(document["task_id"], document["payload"])
        return task_of(document if payload is document["payload"] else {**document, "payload": payload})

    async def _sought(self, name: str, value: Any) -> dict[str, Any]:
        """What finds a sealed value in a payload."""
        check_document(INVALID, "secret", {name: value}, PAYLOAD_LIMIT)
        beginnings = await self._sealer.beginnings(name, value)
        return {"$regex": f"^(?:{'|'.join(map(re.escape, beginnings))})"} if beginnings else {"$in": []}

    async def _bring(self, task_id: uuid.UUID | str, status: Status) -> Task:
        key = check_task_id(task_id)
        collection = await self._open_collection()
        for attempt in range(_TRIES):
            document = await collection.find_one({"task_id": key})
            if document is None:
                raise _unknown(key)
            held = task_of(document)
            if held.status not in _SOURCES[status]:
                raise Conflict(
                    "task.transition",
                    f"the task {key} is {held.status}, which does not lead to {status}",
                    f"only tasks that are {' or '.join(_SOURCES[status])} become {status}",
                )
            moment = utc_milliseconds(after=held.changed_at)
            ended = {"completed_at": moment} if status == "cancelled" else _NOTHING_YET
            fields = {"status": status, "updated_at": moment, **ended}
            unchanged = {"task_id": key, "status": held.status, "updated_at": held.updated_at}
            if (await collection.update_one(unchanged, update_of(fields))).matched_count:
                return await self.get(key)
            await give_way(attempt)
        raise Conflict("task.changed", f"the task {key} is being changed by others all the time", "try again")


def _given(tasks: object) -> list[NewTask]:
    if not isinstance(tasks, Iterable):
        raise InvalidInput(INVALID, f"tasks are {quoted(tasks)}", "give a list of NewTask")
    given = list(tasks)
    wrong = [task for task in given if not isinstance(task, NewTask)]
    if wrong:
        raise InvalidInput(INVALID, f"a task is {quoted(wrong[0])}", "give a list of NewTask")
    return given


async def _partly(
    collection: ScopedCollection, documents: Sequence[Mapping[str, Any]], done: int, error: Exception
) -> Unavailable | None:
    """The error that tells how far enqueuing came, where the batch after those that are done failed with another; None
    where nothing was enqueued."""
    count, least = len(documents), ""
    if count == 1:
        return None
    moment = documents[0]["created_at"].isoformat().replace("+00:00", "Z")
    try:
        # One after another they are written, so those of the batch that are there are its first ones.
        doubted = [document["task_id"] for document in documents[done : done + _BATCH]]
        done += await collection.count_documents({"task_id": {"$in": doubted}})
        remedy = f"the first {done:,} of those given are there: enqueue the others only; blank lines do not count"
    except (PrismicXError, PyMongoError):
        least = "at least "
        remedy = (
            f"when MongoDB is there again, count those of {moment} by prismicx task list --since: so many of the first "
            "ones given are there; enqueue the others only; blank lines do not count"
        )
    if not done:
        return None
    words = error.message if isinstance(error, PrismicXError) else str(error)
    return Unavailable("task.partly_enqueued", f"{least}{done:,} of {count:,} tasks were enqueued: {words}", remedy)


def _sealed(document: dict[str, Any], keys: set[str], writer: Writer | None) -> dict[str, Any]:
    """The document as it is stored."""
    if not keys or writer is None:
        return document
    sealed = {key: writer.seal(document["task_id"], key, document["payload"][key]) for key in keys}
    return {**document, "payload": {**document["payload"], **sealed}}


def _plain_key(name: object) -> str:
    if isinstance(name, str) and name and "." not in name and not name.startswith("$"):
        return name
    raise InvalidInput(INVALID, f"secret names {quoted(name)}", "name a key without dots, and without $ before it")


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


def _unknown(key: str) -> NotFound:
    return NotFound("task.unknown", f"there is no task {key}", "prismicx task list shows those there are")
