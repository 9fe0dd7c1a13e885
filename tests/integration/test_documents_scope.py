"""MongoDB keeps tenants apart: in collections they share, and in databases of their own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from pymongo import InsertOne
from pymongo.errors import DuplicateKeyError, WriteError

from prismicx import BoundaryViolation, InvalidInput, Platform
from prismicx.engines.mongo import open_client
from prismicx.engines.scoped_documents import ScopedCursor
from tests.support import category, insight, task, two_trees

PLANT = "planted"


async def rows(cursor: ScopedCursor) -> list[dict[str, Any]]:
    return [row async for row in cursor]


async def test_reads_see_the_tenant_only(px: Platform, pair: tuple[str, str]) -> None:
    mine, _ = await two_trees(px, pair)
    bob = pair[1]
    hostile: list[Any] = [
        None,
        {},
        {"tenant_id": bob},
        {"tenant_id": {"$ne": pair[0]}},
        {"tenant_id": {"$in": list(pair)}},
        {"$or": [{"tenant_id": bob}, {}]},
        {"$nor": [{"tenant_id": pair[0]}]},
        {"$and": [{"tenant_id": bob}]},
        {"$expr": {"$ne": ["$tenant_id", pair[0]]}},
        {"$or": [{"$or": [{"tenant_id": bob}]}, {"name": {"$exists": True}}]},
        {"tenant_id": {"$regex": "."}},
    ]
    for given in hostile:
        for found in await mine.find(given).to_list():
            assert found["tenant_id"] == pair[0]
        one = await mine.find_one(given)
        assert one is None or one["tenant_id"] == pair[0]
        assert await mine.count_documents(given) <= 2
        assert set(await mine.distinct("tenant_id", given)) <= {pair[0]}


async def test_scripts_are_refused_wherever_they_hide(px: Platform, pair: tuple[str, str]) -> None:
    mine, _ = await two_trees(px, pair)
    script = {"$function": {"body": "function() { return true }", "args": [], "lang": "js"}}
    for given in (
        {"$where": "true"},
        {"$or": [{"$where": "true"}]},
        {"$expr": script},
        {"a": [{"b": {"$expr": script}}]},
    ):
        with pytest.raises(BoundaryViolation):
            mine.find(given)
        with pytest.raises(BoundaryViolation):
            await mine.update_many(given, {"$set": {"a": 1}})
        with pytest.raises(BoundaryViolation):
            await mine.delete_many(given)
    with pytest.raises(BoundaryViolation):
        mine.find({}, {"x": script})
    with pytest.raises(BoundaryViolation):
        await mine.aggregate([{"$group": {"_id": None, "x": {"$accumulator": {}}}}])
    with pytest.raises(BoundaryViolation):
        await mine.update_one({}, [{"$set": {"x": script}}])


async def test_pipelines_see_the_tenant_only_at_every_depth(px: Platform, pair: tuple[str, str]) -> None:
    mine, _ = await two_trees(px, pair)
    same = {"from": "categories", "as": "other"}
    joined = {"$lookup": {**same, "pipeline": [{"$match": {}}]}}
    pipelines: list[list[dict[str, Any]]] = [
        [],
        [{"$match": {"tenant_id": pair[1]}}],
        [{"$match": {"$or": [{"tenant_id": pair[1]}, {}]}}],
        [{"$unionWith": "categories"}],
        [{"$unionWith": {"coll": "categories", "pipeline": [{"$match": {"tenant_id": pair[1]}}]}}],
        [{"$unionWith": {"coll": "categories", "pipeline": [{"$unionWith": "categories"}]}}],
        [joined, {"$unwind": "$other"}, {"$replaceRoot": {"newRoot": "$other"}}],
        [
            {"$lookup": {**same, "localField": "name", "foreignField": "name"}},
            {"$unwind": "$other"},
            {"$replaceRoot": {"newRoot": "$other"}},
        ],
    ]
    for pipeline in pipelines:
        for found in await rows(await mine.aggregate(pipeline)):
            assert found["tenant_id"] == pair[0], pipeline
    own = await rows(await mine.aggregate([joined, {"$unwind": "$other"}]))
    assert len(own) == 4, "a legitimate join must still work"
    facets = await rows(await mine.aggregate([{"$facet": {"a": [{"$match": {}}], "b": [{"$count": "n"}]}}]))
    assert {found["tenant_id"] for found in facets[0]["a"]} == {pair[0]}
    assert facets[0]["b"] == [{"n": 2}]


async def test_stages_that_leave_are_refused(px: Platform, pair: tuple[str, str]) -> None:
    mine, theirs = await two_trees(px, pair)
    leaving: list[dict[str, Any]] = [
        {"$out": "categories"},
        {"$out": {"db": "x", "coll": "y"}},
        {"$merge": {"into": "categories"}},
        {"$lookup": {"from": "tasks", "pipeline": [], "as": "x"}},
        {"$lookup": {"from": {"db": "task_repository", "coll": "tasks"}, "pipeline": [], "as": "x"}},
        {"$lookup": {"pipeline": [{"$documents": [{"a": 1}]}], "as": "x"}},
        {"$unionWith": "tasks"},
        {"$unionWith": {"pipeline": [{"$documents": [{"a": 1}]}]}},
        {"$graphLookup": {"from": "system.users", "startWith": 1, "as": "x"}},
        {"$collStats": {}},
        {"$indexStats": {}},
        {"$currentOp": {}},
        {"$listSessions": {}},
        {"$planCacheStats": {}},
        {"$changeStream": {}},
        {"$geoNear": {}},
        {"$search": {}},
        {"$somethingNew": {}},
    ]
    for stage in leaving:
        for pipeline in ([stage], [{"$match": {}}, stage], [{"$facet": {"a": [stage]}}]):
            with pytest.raises(BoundaryViolation):
                await mine.aggregate(pipeline)
        with pytest.raises(BoundaryViolation):
            await mine.aggregate([{"$lookup": {"from": "categories", "as": "x", "pipeline": [stage]}}])
    assert await theirs.count_documents() == 2


async def test_writes_cannot_reach_change_or_plant(px: Platform, pair: tuple[str, str]) -> None:
    mine, theirs = await two_trees(px, pair)
    before = await theirs.find({}, sort=[("name", 1)]).to_list()
    for given in ({}, {"tenant_id": pair[1]}, {"$or": [{"tenant_id": pair[1]}]}):
        await mine.update_many(given, {"$set": {"description": PLANT}})
        await mine.update_one(given, [{"$set": {"description": PLANT}}])
        await mine.delete_many({**given, "name": "nobody"})
    for update in (
        {"$set": {"tenant_id": pair[1]}},
        {"$set": {"tenant_id.x": pair[1]}},
        {"$unset": {"tenant_id": ""}},
        {"$rename": {"name": "tenant_id"}},
        {"$rename": {"tenant_id": "name"}},
        {"$setOnInsert": {"tenant_id": pair[1]}},
        {"$inc": {"tenant_id": 1}},
        {"$push": {"tenant_id": pair[1]}},
    ):
        with pytest.raises(BoundaryViolation):
            await mine.update_many({}, update)
        with pytest.raises(BoundaryViolation):
            await mine.find_one_and_update({}, update)
    with pytest.raises(BoundaryViolation):
        await mine.insert_one(category("x", tenant_id=pair[1]))
    with pytest.raises(BoundaryViolation):
        await mine.insert_many([category("x"), category("y", tenant_id=pair[1])])
    with pytest.raises(BoundaryViolation):
        await mine.replace_one({}, category("x", tenant_id=pair[1]), upsert=True)
    assert await theirs.find({}, sort=[("name", 1)]).to_list() == before


async def test_pipeline_updates_end_with_the_tenant(px: Platform, pair: tuple[str, str]) -> None:
    mine, theirs = await two_trees(px, pair)
    count = await theirs.count_documents()
    for stages in (
        [{"$set": {"tenant_id": pair[1]}}],
        [{"$unset": "tenant_id"}],
        [{"$replaceWith": {"$mergeObjects": ["$$ROOT", {"tenant_id": pair[1]}]}}],
    ):
        await mine.update_many({}, stages)
        assert await mine.count_documents() == 2
        assert await theirs.count_documents() == count
    with pytest.raises(BoundaryViolation):
        await mine.update_many({}, [{"$lookup": {"from": "categories", "as": "x", "pipeline": []}}])


async def test_an_upsert_makes_the_tenants_own(px: Platform, pair: tuple[str, str]) -> None:
    mine, theirs = await two_trees(px, pair)
    count = await theirs.count_documents()
    fresh = category("fresh")
    key = {"category_id": fresh.pop("category_id")}
    await mine.update_one(key, {"$set": fresh}, upsert=True)
    found = await mine.find_one(key)
    assert found is not None
    assert found["tenant_id"] == pair[0]
    await mine.replace_one({"category_id": "mine-too"}, category("other"), upsert=True)
    assert await theirs.count_documents() == count


async def test_legitimate_work_works(px: Platform, pair: tuple[str, str]) -> None:
    async with px.tenant(pair[0]) as ann:
        tasks = await ann.collection("tasks")
    made = task("report", priority=3)
    await tasks.insert_one(made)
    key = {"task_id": made["task_id"]}
    claimed = await tasks.update_one({**key, "status": "pending"}, {"$set": {"status": "running"}})
    assert claimed.modified_count == 1
    again = await tasks.update_one({**key, "status": "pending"}, {"$set": {"status": "running"}})
    assert again.modified_count == 0
    done = await tasks.find_one_and_update(key, {"$set": {"status": "completed"}}, return_document=True)
    assert done is not None
    assert done["status"] == "completed"
    grouped = await rows(await tasks.aggregate([{"$group": {"_id": "$status", "n": {"$sum": 1}}}]))
    assert {"_id": "completed", "n": 1} in grouped
    assert (await tasks.delete_one(key)).deleted_count == 1


@pytest.mark.parametrize("given", ["name", 7, ["a"], b"x"])
async def test_arguments_of_the_wrong_form_are_named(px: Platform, pair: tuple[str, str], given: Any) -> None:
    mine, _ = await two_trees(px, pair)
    for call in (
        lambda: mine.find_one(given),
        lambda: mine.insert_one(given),
        lambda: mine.update_one({}, given),
        lambda: mine.delete_many(given),
        lambda: mine.aggregate(given),
    ):
        with pytest.raises((InvalidInput, BoundaryViolation)):
            await call()


async def test_the_validators_hold(px: Platform, pair: tuple[str, str]) -> None:
    for index in (0, 1):
        async with px.tenant(pair[index]) as scope:
            insights = await scope.collection("user_insights")
            topic = {"topic_id": "1", "name": "Pricing", **{k: v for k, v in insight("x").items() if k != "user_id"}}
            for bad in (
                {"user_id": "u", "created_at": "today", "updated_at": "today"},
                insight("u", topics=[{**topic, "name": 7}]),
                insight("u", topics=[{k: v for k, v in topic.items() if k != "topic_id"}]),
                insight("u", topics=[{**topic, "subtopics": [{"name": "x"}]}]),
                insight("u", metadata={"interest_score": "high"}),
            ):
                with pytest.raises(WriteError):
                    await insights.insert_one(bad)
            await insights.insert_one(insight("valid", topics=[topic], metadata={"interest_score": 0.5}))
            with pytest.raises(DuplicateKeyError):
                await insights.insert_one(insight("valid"))
            await insights.delete_many({})


async def test_the_same_user_id_may_be_in_every_tenant(px: Platform, new_id: Callable[[], str]) -> None:
    tenants = [new_id() for _ in range(3)]
    for number, tenant in enumerate(tenants):
        await px.tenants.create(tenant, name=tenant, isolation="dedicated" if number == 0 else "shared")
        async with px.tenant(tenant) as scope:
            await (await scope.collection("user_insights")).insert_one(insight("same"))
    for tenant in tenants:
        async with px.tenant(tenant) as scope:
            found = await (await scope.collection("user_insights")).find().to_list()
            assert [item["tenant_id"] for item in found] == [tenant]


async def test_a_tenants_login_opens_its_own_database_only(
    px: Platform, pair: tuple[str, str], new_id: Callable[[], str]
) -> None:
    other = new_id()
    made = await px.tenants.create(other, name="Other")
    async with px.tenant(other) as scope:
        await (await scope.collection("user_insights")).insert_one(insight("theirs"))
    entry = await px._registry.routable(pair[0])
    client = open_client(await px._connection_string(entry), 5)
    try:
        assert await client[entry.tenant.database]["user_insights"].count_documents({}) >= 0
        foreign = client[made.database]["user_insights"]
        attempts: list[Callable[[], Any]] = [
            lambda: foreign.find_one({}),
            lambda: foreign.insert_one(insight("x")),
            lambda: foreign.update_one({}, {"$set": {"a": 1}}),
            lambda: foreign.delete_many({}),
            lambda: foreign.aggregate([{"$match": {}}]),
            lambda: foreign.count_documents({}),
            lambda: foreign.drop(),
            lambda: client[made.database].list_collection_names(),
            lambda: foreign.watch(),
            lambda: client[made.database].watch(),
            lambda: client.watch(),
            lambda: foreign.distinct("tenant_id"),
            lambda: foreign.bulk_write([InsertOne(insight("x"))]),
            lambda: foreign.create_index("x"),
            lambda: client["admin"].command("listDatabases"),
            lambda: client[entry.tenant.database]["user_insights"].aggregate(
                [{"$merge": {"into": {"db": made.database, "coll": "user_insights"}}}]
            ),
            lambda: client[made.database].command("createUser", "x", pwd="x", roles=[]),
            lambda: client["admin"].command("createUser", "x", pwd="x", roles=["root"]),
            lambda: client.list_database_names(),
            lambda: client[entry.tenant.database]["user_insights"].aggregate(
                [{"$out": {"db": made.database, "coll": "user_insights"}}]
            ),
        ]
        for attempt in attempts:
            with pytest.raises(Exception, match=r"not authorized|requires authentication"):
                await attempt()
    finally:
        await client.close()


async def test_a_services_login_opens_its_own_collection_only(px: Platform, pair: tuple[str, str]) -> None:
    tasks = await px._mongo.service("tasks")
    registry = px._names.server_wide("tenant_registry")
    categories = px._names.server_wide("category_repository")
    for database, collection in ((registry, "tenants"), (categories, "categories")):
        with pytest.raises(Exception, match="not authorized"):
            await tasks[database][collection].find_one({})
    with pytest.raises(Exception, match="not authorized"):
        await tasks[px._names.server_wide("task_repository")]["tasks"].drop()


async def test_changes_are_watched_for_the_tenant_only(px: Platform, pair: tuple[str, str]) -> None:
    mine, theirs = await two_trees(px, pair)
    seen: list[str] = []

    async def look() -> None:
        async for event in mine.watch(max_await_time_ms=100):
            seen.append(event["fullDocument"]["tenant_id"])
            if len(seen) == 2:
                return

    watching = asyncio.create_task(look())
    for _ in range(100):
        if watching.done():
            break
        await theirs.insert_one(category("theirs"))
        await mine.insert_one(category("mine"))
        await asyncio.sleep(0.05)
    await asyncio.wait_for(watching, 20)
    assert seen == [pair[0], pair[0]]
    with pytest.raises(BoundaryViolation):
        async for _ in mine.watch([{"$lookup": {"from": "categories", "as": "x", "pipeline": []}}]):
            pass


async def test_many_tenants_share_few_clients(px: Platform, new_id: Callable[[], str], monkeypatch: Any) -> None:
    monkeypatch.setattr(px._mongo, "_settings", _few(px._mongo._settings))
    tenants = [new_id() for _ in range(4)]
    for tenant in tenants:
        await px.tenants.create(tenant, name=tenant)
    for _ in range(2):
        for tenant in tenants:
            async with px.tenant(tenant) as scope:
                assert await (await scope.collection("user_insights")).count_documents() == 0
        assert len(px._mongo._tenants) <= 2


def _few(settings: Any) -> Any:
    from dataclasses import replace

    return replace(settings, tenant_clients=2)
