"""Requests of a bulk write are made anew, inside the tenant, or refused."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymongo import DeleteMany, DeleteOne, InsertOne, ReplaceOne, UpdateMany, UpdateOne

from prismicx.engines.bulk_requests import Request, scoped_requests
from prismicx.errors import BoundaryViolation, InvalidInput, PrismicXError
from tests.unit.test_document_rules import ME, OTHER, mappings, narrowed

updates = st.one_of(mappings, st.just({"$set": {"name": "x"}}), st.just([{"$set": {"tenant_id": OTHER}}]))
requests = st.one_of(
    st.builds(InsertOne, mappings),
    st.builds(ReplaceOne, mappings, mappings, upsert=st.booleans()),
    st.builds(UpdateOne, mappings, updates, upsert=st.booleans()),
    st.builds(UpdateMany, mappings, updates, upsert=st.booleans()),
    st.builds(DeleteOne, mappings),
    st.builds(DeleteMany, mappings),
)


@given(st.lists(requests, min_size=1, max_size=4))
def test_every_request_is_inside_the_tenant_or_all_are_refused(given_requests: list[Any]) -> None:
    try:
        made: list[Any] = scoped_requests(ME, given_requests)
    except PrismicXError:
        return
    assert len(made) == len(given_requests)
    for old, new in zip(given_requests, made, strict=True):
        assert new is not old
        assert type(new) is type(old)
        if not isinstance(new, InsertOne):
            assert narrowed(new._filter)
        if isinstance(new, (InsertOne, ReplaceOne)):
            assert new._doc["tenant_id"] == ME
            assert new._doc is not old._doc
        if isinstance(new, (UpdateOne, UpdateMany)):
            if isinstance(new._doc, list):
                assert new._doc[-1] == {"$set": {"tenant_id": {"$literal": ME}}}
            elif new._upsert:
                assert new._doc["$setOnInsert"]["tenant_id"] == ME


def test_what_a_request_says_is_kept() -> None:
    arrays = [{"x.n": {"$gt": 1}}]
    given_requests: list[Request] = [
        UpdateOne({"a": 1}, {"$set": {"b.$[x].c": 1}}, upsert=True, array_filters=arrays, hint="a_1", sort={"a": -1}),
        UpdateMany({"a": 1}, {"$set": {"b": 1}}, hint=[("a", 1)]),
        ReplaceOne({"a": 1}, {"b": 1}, upsert=True, hint={"a": 1}, sort={"a": 1}),
        DeleteOne({"a": 1}, hint="a_1"),
        DeleteMany({}),
        InsertOne({"_id": 1}),
    ]
    mine = {"tenant_id": ME}
    assert scoped_requests(ME, given_requests) == [
        UpdateOne({"a": 1, **mine}, {"$set": {"b.$[x].c": 1}, "$setOnInsert": mine}, upsert=True,
                  array_filters=arrays, hint="a_1", sort={"a": -1}),
        UpdateMany({"a": 1, **mine}, {"$set": {"b": 1}}, upsert=False, hint=[("a", 1)]),
        ReplaceOne({"a": 1, **mine}, {"b": 1, **mine}, upsert=True, hint={"a": 1}, sort={"a": 1}),
        DeleteOne({"a": 1, **mine}, hint="a_1"),
        DeleteMany(mine),
        InsertOne({"_id": 1, **mine}),
    ]  # fmt: skip


def test_a_request_that_changes_later_changes_nothing_of_what_is_sent() -> None:
    request = UpdateOne({"a": {"b": 1}}, {"$set": {"c": 1}})
    (made,) = scoped_requests(ME, [request])
    request._filter["a"]["$where"] = "true"
    request._doc["$set"]["tenant_id"] = OTHER
    request._filter = {}
    assert made == UpdateOne({"a": {"b": 1}, "tenant_id": ME}, {"$set": {"c": 1}}, upsert=False)


class Derived(InsertOne[Any]):
    """Tells the driver something else."""

    __slots__ = ()

    def _add_to_bulk(self, bulkobj: Any) -> None:
        bulkobj.add_insert({"tenant_id": OTHER})


class Later(UpdateOne):
    """As a later driver may have it."""

    __slots__ = ("_let",)


mutated = UpdateOne({}, {"$set": {"a": 1}})
mutated._upsert = "yes"  # type: ignore[assignment]


@pytest.mark.parametrize(
    "bad",
    [
        "x", b"x", 7, None, {}, {"insert": 1}, [], [None], [{}], [Derived({})], [Later({}, {})], [[InsertOne({})]],
        [InsertOne({}), object()], [mutated],
    ],
)  # fmt: skip
def test_what_is_no_list_of_requests_is_named(bad: Any) -> None:
    with pytest.raises(InvalidInput) as caught:
        scoped_requests(ME, bad)
    assert caught.value.code == "documents.requests_invalid"


@pytest.mark.parametrize("kind", [UpdateOne, UpdateMany, DeleteOne, DeleteMany, ReplaceOne, InsertOne])
def test_options_that_step_around_the_tenant_are_refused(kind: Any) -> None:
    parts: dict[Any, list[Any]] = {UpdateOne: [{}, {"$set": {"a": 1}}], UpdateMany: [{}, {"$set": {"a": 1}}],
                                   ReplaceOne: [{}, {}]}  # fmt: skip
    options = [{"namespace": "tenant_registry.tenants"}]
    if kind is not InsertOne:
        options += [{"collation": {"locale": "en", "alternate": "shifted"}}]
    for option in options:
        with pytest.raises(BoundaryViolation):
            scoped_requests(ME, [kind(*parts.get(kind, [{}]), **option)])


def test_a_part_that_nobody_has_looked_at_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from prismicx.engines import bulk_requests

    monkeypatch.setitem(bulk_requests._MAKERS, Later, bulk_requests._MAKERS[UpdateOne])
    later = Later({}, {"$set": {"a": 1}})
    later._let = {"x": 1}
    with pytest.raises(InvalidInput, match="let"):
        scoped_requests(ME, [later])
