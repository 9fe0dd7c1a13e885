"""Change streams show a tenant the changes of its own documents, whatever the others do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from pymongo.errors import OperationFailure

from prismicx.engines import mongo
from prismicx.engines import scoped_documents as documents
from prismicx.engines.document_rules import watched_pipeline
from prismicx.engines.endpoints import Endpoints
from prismicx.engines.plain_values import plain
from prismicx.engines.scoped_documents import ScopedCollection
from prismicx.errors import InvalidInput
from prismicx.settings import Settings
from tests.arena import KNOWN_ID, MARK, OTHERS, OWN, Arena

END = {"label": "the end"}


@pytest.fixture(params=[False, True], ids=["bare", "with images"])
async def arena(request: pytest.FixtureRequest, settings: Settings, endpoints: Endpoints) -> AsyncIterator[Arena]:
    async with mongo.connect(endpoints.mongo.url, settings.connect_timeout) as client:
        made = await Arena(client, settings.namespace).build()
        kept = {"enabled": request.param}
        await made.shared.database.command("collMod", made.name, changeStreamPreAndPostImages=kept)
        made.keeps_images = request.param
        yield made


async def seen(scoped: ScopedCollection, arena: Arena, work: Any, **arguments: Any) -> list[dict[str, Any]]:
    """The events between now and the end of the work."""
    events: list[dict[str, Any]] = []

    async def listen() -> None:
        async for event in scoped.watch(**arguments, max_await_time_ms=50):
            events.append(event)
            if END["label"] in repr(event):
                return

    listening = asyncio.create_task(listen())
    await asyncio.sleep(0.3)  # until it listens
    await work
    for _ in range(100):  # the end is told again until it is heard: a stream that opens late misses the first
        if listening.done():
            break
        await scoped.update_one({}, {"$set": END, "$inc": {"amount": 1}})
        await asyncio.sleep(0.05)
    await asyncio.wait_for(listening, 20)
    return [event for event in events if END["label"] not in repr(event)]


async def turmoil(arena: Arena) -> None:
    """Changes of every kind, of the own and of others' documents."""
    other = {"tenant_id": OTHERS[0]}
    await arena.scoped.update_one({"_id": "own-1"}, {"$set": {"label": "changed"}})
    await arena.shared.update_many(other, {"$set": {"secret": MARK, "label": "changed"}})
    await arena.scoped.insert_one({**arena._document(OWN, "new", 1), "category_id": f"new-{arena._round}"})
    theirs = arena._document(OTHERS[0], "their-new", 1)
    await arena.shared.insert_one({**theirs, "category_id": f"their-new-{arena._round}"})
    await arena.shared.replace_one({"_id": "their-new"}, {**theirs, "label": MARK})
    await arena.shared.delete_many(other)
    await arena.scoped.delete_one({"_id": "own-2"})


def told(events: list[dict[str, Any]]) -> list[tuple[str, Any]]:
    return [(event["operationType"], event["documentKey"]["_id"]) for event in events]


async def test_own_changes_are_told_and_no_others(arena: Arena) -> None:
    events = await seen(arena.scoped, arena, turmoil(arena))
    deleted = [("delete", "own-2")] if arena.keeps_images else []
    assert told(events) == [("update", "own-1"), ("insert", "new"), *deleted]
    assert MARK not in repr(events)
    for event in events:
        whose = event.get("fullDocument") or event["fullDocumentBeforeChange"]
        assert whose["tenant_id"] == OWN
        assert "updateDescription" not in event


@pytest.mark.parametrize(
    "pipeline",
    [
        [{"$match": {"$or": [{"fullDocument.tenant_id": OTHERS[0]}, {"operationType": {"$exists": True}}]}}],
        [{"$match": {"fullDocument.tenant_id": {"$ne": OWN}}}],
        [{"$set": {"fullDocument.tenant_id": OTHERS[0]}}, {"$match": {"fullDocument.tenant_id": OTHERS[0]}}],
        [{"$project": {"fullDocument": 0}}],
        [{"$redact": "$$KEEP"}],
        [{"$set": {"whole": "$$ROOT"}}],
    ],
)
async def test_what_a_caller_adds_shows_nothing_of_others(arena: Arena, pipeline: list[Any]) -> None:
    # To hear the end, which the caller's stages may hide, the stream is closed by time here.
    events: list[dict[str, Any]] = []

    async def listen() -> None:
        async for event in arena.scoped.watch(pipeline, max_await_time_ms=50):
            events.append(event)

    listening = asyncio.create_task(listen())
    await asyncio.sleep(0.3)
    await turmoil(arena)
    await asyncio.sleep(0.4)
    listening.cancel()
    await asyncio.gather(listening, return_exceptions=True)
    assert MARK not in repr(events)
    assert {event["documentKey"]["_id"] for event in events} <= {"own-1", "new", "own-2"}


async def test_anothers_resume_token_shows_own_changes_at_most(arena: Arena) -> None:
    theirs = ScopedCollection(arena.shared, OTHERS[0], [arena.name])
    tokens: list[Any] = []

    async def listen() -> None:
        async for event in theirs.watch(max_await_time_ms=50):
            tokens.append(event["_id"])
            return

    listening = asyncio.create_task(listen())
    while not listening.done():
        await arena.shared.update_one({"_id": KNOWN_ID}, {"$inc": {"amount": 1}})
        await asyncio.sleep(0.05)
    await listening
    await turmoil(arena)
    try:
        events = await seen(arena.scoped, arena, asyncio.sleep(0), resume_after=tokens[0])
    except OperationFailure as error:
        assert error.has_error_label("NonResumableChangeStreamError")  # a server may look for the event itself
        assert MARK not in repr(error)
        return
    assert {key for _, key in told(events)} <= {"own-1", "new", "own-2"}
    assert MARK not in repr(events)


async def test_an_id_that_changed_hands_tells_nothing_of_before(arena: Arena) -> None:
    async def work() -> None:
        await arena.shared.update_one({"_id": KNOWN_ID}, {"$set": {"label": MARK}})
        await arena.shared.delete_one({"_id": KNOWN_ID})
        document = {**arena._document(OWN, KNOWN_ID, 1), "category_id": f"taken-{arena._round}"}
        await arena.scoped.insert_one(document)

    begin: list[Any] = []

    async def listen() -> None:
        async for event in arena.scoped.watch(max_await_time_ms=50):
            begin.append(event["_id"])
            return

    listening = asyncio.create_task(listen())
    while not listening.done():
        await arena.scoped.update_one({}, {"$inc": {"amount": 1}})
        await asyncio.sleep(0.05)
    await work()
    # Read after all of it happened: the update of the other's document finds the own one under its `_id`.
    events = await seen(arena.scoped, arena, asyncio.sleep(0), resume_after=begin[0])
    assert ("insert", KNOWN_ID) in told(events)
    assert MARK not in repr(events)
    if arena.keeps_images:
        assert ("update", KNOWN_ID) not in told(events)
        assert ("delete", KNOWN_ID) not in told(events)


async def test_the_end_of_the_collection_is_no_event(arena: Arena) -> None:
    events: list[dict[str, Any]] = []

    async def listen() -> None:
        async for event in arena.scoped.watch(max_await_time_ms=50):
            events.append(event)

    listening = asyncio.create_task(listen())
    await asyncio.sleep(0.3)
    await arena.shared.delete_many({"tenant_id": {"$ne": OWN}})
    await arena.shared.drop()
    await asyncio.sleep(0.4)
    listening.cancel()
    await asyncio.gather(listening, return_exceptions=True)
    assert [event for event in events if event["operationType"] != "delete"] == []
    assert MARK not in repr(events)


@pytest.mark.parametrize("broken", ["nothing", "the second half"])
async def test_without_the_filter_others_are_shown(arena: Arena, monkeypatch: pytest.MonkeyPatch, broken: str) -> None:
    def passed_on(tenant: str, given: Any) -> list[Any]:
        made = watched_pipeline(tenant, given)
        if broken == "nothing":
            return list(plain(given))
        return [{"$match": {"operationType": {"$exists": True}}}, *made[1:]]

    monkeypatch.setattr(documents, "watched_pipeline", passed_on)
    with pytest.raises(AssertionError):
        await test_own_changes_are_told_and_no_others(arena)


@pytest.mark.parametrize("bad", ["x", {"$match": {}}, 7])
async def test_a_pipeline_of_the_wrong_form_is_named(arena: Arena, bad: Any) -> None:
    with pytest.raises(InvalidInput):
        async for _ in arena.scoped.watch(bad):
            pass
