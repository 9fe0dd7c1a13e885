"""What an attempt on a scoped collection came to."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bson.errors import BSONError
from pymongo.errors import PyMongoError
from pymongo.results import BulkWriteResult, DeleteResult, InsertManyResult, InsertOneResult, UpdateResult

from prismicx.errors import PrismicXError
from prismicx.isolation.attacks_documents import Attack

STREAM_SECONDS = 0.3
"""How long a change stream is listened to."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an attempt ended.

    Attributes:
        shown: everything that came back: documents, values, counts.
        refused: whether the scope itself refused it, before anything was sent.
        error: the error's code, or its class where it has none; empty if there was none.
    """

    shown: tuple[Any, ...]
    refused: bool = False
    error: str = ""


async def outcome_of(collection: Any, attack: Attack) -> Outcome:
    """Carry an attempt out on a `prismicx.ScopedCollection`, or on a collection of pymongo's to compare.

    Errors of the scope, of the driver and of the server are outcomes.
    """
    try:
        if attack.operation == "watch":
            return Outcome(tuple(await _listened(collection, attack.arguments)))
        answer = getattr(collection, attack.operation)(**attack.arguments)
        if inspect.isawaitable(answer):
            answer = await answer
        if hasattr(answer, "to_list"):
            answer = await answer.to_list()
    except PrismicXError as error:
        return Outcome((), refused=error.code.startswith(("boundary.", "documents.")), error=error.code)
    except (PyMongoError, BSONError) as error:
        return Outcome((), error=str(getattr(error, "code", None) or type(error).__name__))
    return Outcome(tuple(_told(answer)))


async def _listened(collection: Any, arguments: Mapping[str, Any]) -> list[Any]:
    events: list[Any] = []
    try:
        async with asyncio.timeout(STREAM_SECONDS):
            async for event in collection.watch(**arguments, max_await_time_ms=50):
                events.append(event)
    except TimeoutError:
        pass  # as meant: a stream has no end of its own
    return events


def _told(answer: Any) -> list[Any]:
    if isinstance(answer, InsertOneResult):
        return [answer.inserted_id]
    if isinstance(answer, InsertManyResult):
        return list(answer.inserted_ids)
    if isinstance(answer, DeleteResult):
        return [answer.deleted_count]
    if isinstance(answer, UpdateResult):
        return [answer.matched_count, answer.modified_count, answer.upserted_id]
    if isinstance(answer, BulkWriteResult):
        return [answer.bulk_api_result]
    return answer if isinstance(answer, list) else [answer]
