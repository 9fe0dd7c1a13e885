"""Documents are written in bulk and one by one, as the tenant's."""

from __future__ import annotations

import pytest
from pymongo import DeleteMany, DeleteOne, InsertOne, ReplaceOne, UpdateMany, UpdateOne
from pymongo.errors import BulkWriteError

from prismicx import BoundaryViolation, Platform
from tests.support import category, two_trees


async def test_bulk_writes_are_the_tenants(px: Platform, pair: tuple[str, str]) -> None:
    mine, theirs = await two_trees(px, pair)
    before = await theirs.find({}, sort=[("name", 1)]).to_list()
    done = await mine.bulk_write(
        [
            InsertOne(category("added")),
            UpdateOne({"name": "leaf"}, {"$set": {"description": "changed"}}),
            UpdateMany({}, [{"$set": {"source_id": "s", "tenant_id": pair[1]}}]),
            ReplaceOne({"name": "root"}, category("replaced")),
            UpdateOne({"category_id": "made"}, {"$set": category("made", category_id="made")}, upsert=True),
            DeleteOne({"name": "added"}),
            DeleteMany({"tenant_id": pair[1]}),
        ]
    )
    assert (done.inserted_count, done.matched_count, done.deleted_count, done.upserted_count) == (1, 5, 1, 1)
    found = await mine.find({}, sort=[("name", 1)]).to_list()
    assert [row["name"] for row in found] == ["leaf", "made", "replaced"]
    assert {row["tenant_id"] for row in found} == {pair[0]}
    with pytest.raises(BoundaryViolation):
        await mine.bulk_write([DeleteMany({}), InsertOne(category("x", tenant_id=pair[1]))])
    assert await mine.count_documents() == 3, "nothing is sent when one is refused"
    with pytest.raises(BulkWriteError) as caught:
        await mine.bulk_write([InsertOne({"name": 7}), InsertOne(category("after"))], ordered=False)
    assert caught.value.details["nInserted"] == 1
    assert await theirs.find({}, sort=[("name", 1)]).to_list() == before


async def test_documents_are_taken_and_replaced_one_by_one(px: Platform, pair: tuple[str, str]) -> None:
    mine, theirs = await two_trees(px, pair)
    before = await theirs.find({}, sort=[("name", 1)]).to_list()
    old = await mine.find_one_and_replace({"name": "leaf"}, category("twig"), projection=["name"])
    assert old is not None
    assert old["name"] == "leaf"
    new = await mine.find_one_and_replace({"name": "twig"}, category("bud"), return_document=True)
    assert new is not None
    assert (new["name"], new["tenant_id"]) == ("bud", pair[0])
    taken = await mine.find_one_and_delete({}, sort=[("name", 1)])
    assert taken is not None
    assert taken["name"] == "bud"
    for given in ({"tenant_id": pair[1]}, {"$or": [{"tenant_id": pair[1]}]}, {"category_id": before[0]["category_id"]}):
        assert await mine.find_one_and_delete(given) is None
        assert await mine.find_one_and_replace(given, category("x")) is None
    assert await theirs.find({}, sort=[("name", 1)]).to_list() == before


async def test_an_index_may_be_named(px: Platform, pair: tuple[str, str]) -> None:
    mine, _ = await two_trees(px, pair)
    for hint in ("tenant_id_1_name_1", [("tenant_id", 1), ("name", 1)]):
        assert await mine.count_documents({"name": "leaf"}, hint=hint) == 1
        assert len(await mine.find({}, hint=hint).to_list()) == 2
        assert len(await (await mine.aggregate([{"$match": {}}], hint=hint)).to_list()) == 2
