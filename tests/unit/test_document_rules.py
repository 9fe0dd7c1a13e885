"""Whatever a caller builds, what is sent stays inside the tenant."""

from __future__ import annotations

from collections import UserList
from typing import Any

import pytest
from bson import SON, encode
from bson.raw_bson import RawBSONDocument
from hypothesis import given
from hypothesis import strategies as st

from prismicx.engines import document_rules
from prismicx.engines.aggregation_stages import STAGES
from prismicx.engines.document_rules import (
    UPDATE_OPERATORS,
    index_hint,
    ordering,
    scoped_batch,
    scoped_document,
    scoped_filter,
    scoped_pipeline,
    scoped_replacement,
    scoped_update,
    watched_pipeline,
)
from prismicx.engines.plain_values import SCRIPTS
from prismicx.errors import BoundaryViolation, InvalidInput, PrismicXError

ME, OTHER = "acme", "globex"
KNOWN = frozenset({"categories"})
PLAIN_STAGES = frozenset(name for name, stage in STAGES.items() if stage.treatment == "plain")

scalars = st.one_of(st.none(), st.booleans(), st.integers(-5, 5), st.text(max_size=5), st.sampled_from([ME, OTHER]))
keys = st.sampled_from(
    ["tenant_id", "tenant_id.x", "name", "a.b", "$or", "$and", "$nor", "$ne", "$in", "$expr", "$set", "$unset", "$inc",
     "$rename", "$push", "$where", "$function", "$accumulator", "from", "coll", "pipeline", "as", "let"]
)  # fmt: skip
values = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(keys, inner, max_size=3)),
    max_leaves=8,
)
mappings = st.dictionaries(keys, values, max_size=4)
updates = st.dictionaries(
    st.sampled_from([*sorted(UPDATE_OPERATORS), "$rename", "$setOnInsert", "$unheardOf"]),
    st.dictionaries(keys, scalars | st.sampled_from(["tenant_id.x", "tenant_id"]), max_size=2),
    max_size=3,
)
stage_names = st.sampled_from([*sorted(STAGES), "$lookup", "$unionWith", "$facet", "$unheardOf"])


def stages(depth: int = 2) -> st.SearchStrategy[dict[str, Any]]:
    inner = st.lists(stages(depth - 1), max_size=2) if depth else st.just([])
    body = st.one_of(
        values,
        st.just("categories"),
        st.fixed_dictionaries({"from": st.sampled_from(["categories", "tasks"]), "as": st.just("x")},
                              optional={"pipeline": inner, "localField": st.just("a"), "foreignField": st.just("b")}),
        st.fixed_dictionaries({"coll": st.sampled_from(["categories", "tasks"])}, optional={"pipeline": inner}),
        st.fixed_dictionaries({"from": st.just("categories"), "as": st.just("x"), "startWith": st.just("$a")},
                              optional={"restrictSearchWithMatch": mappings}),
        st.dictionaries(st.sampled_from(["f", "g"]), inner, max_size=2),
    )  # fmt: skip
    return st.builds(lambda name, content: {name: content}, stage_names, body)


def narrowed(sent: dict[str, Any]) -> bool:
    """Whether a filter demands our tenant, beside whatever else it says."""
    return sent.get("tenant_id") == ME or ("$and" in sent and sent["$and"][0] == {"tenant_id": ME})


def reads_only_ours(pipeline: list[dict[str, Any]], *, begins: bool) -> bool:
    """Whether a pipeline, and every one inside it that reads a collection, begins with our tenant."""
    if begins and not (pipeline and narrowed(pipeline[0].get("$match", {}))):
        return False
    for stage in pipeline:
        ((name, body),) = stage.items()
        if name == "$facet" and not all(reads_only_ours(part, begins=False) for part in body.values()):
            return False
        if name in ("$lookup", "$unionWith"):
            if body.get("from", body.get("coll")) not in KNOWN or not reads_only_ours(body["pipeline"], begins=True):
                return False
        elif name not in PLAIN_STAGES | {"$facet"}:
            return False
    return True


def has_script(value: Any) -> bool:
    if isinstance(value, dict):
        return any(key in SCRIPTS or has_script(inner) for key, inner in value.items())
    return isinstance(value, list) and any(map(has_script, value))


@given(mappings)
def test_a_filter_always_demands_the_tenant(given_filter: dict[str, Any]) -> None:
    if has_script(given_filter):
        with pytest.raises(BoundaryViolation):
            scoped_filter(ME, given_filter)
        return
    sent = scoped_filter(ME, given_filter)
    assert narrowed(sent)
    if given_filter.get("tenant_id", ME) != ME:
        assert sent == {"$and": [{"tenant_id": ME}, given_filter]}
    else:
        assert sent == {**given_filter, "tenant_id": ME}


@given(st.lists(stages(), max_size=3))
def test_a_pipeline_reads_our_tenant_at_every_depth_or_is_refused(pipeline: list[dict[str, Any]]) -> None:
    try:
        sent = scoped_pipeline(ME, pipeline, KNOWN)
    except PrismicXError:
        return
    assert reads_only_ours(sent, begins=True)
    assert not has_script(sent)


@given(st.lists(st.builds(lambda name, body: {name: body}, st.sampled_from(sorted(PLAIN_STAGES)), scalars), max_size=3))
def test_a_plain_pipeline_is_passed_on_as_it_is(pipeline: list[dict[str, Any]]) -> None:
    sent = scoped_pipeline(ME, pipeline, KNOWN)
    if pipeline and "$match" in pipeline[0]:
        assert sent[0]["$match"]["$and"][1] == pipeline[0]["$match"]
        assert sent[1:] == pipeline[1:]
    else:
        assert sent[1:] == pipeline


@given(updates, st.booleans())
def test_an_update_never_names_the_tenant_or_is_refused(update: dict[str, Any], upsert: bool) -> None:
    try:
        sent = scoped_update(ME, update, upsert)
    except PrismicXError:
        return
    for operator, changes in sent.items():
        for path, value in changes.items():
            if operator == "$setOnInsert" and path == "tenant_id":
                assert upsert
                assert value == ME
                continue
            assert path.split(".")[0] != "tenant_id"
            if operator == "$rename":
                assert str(value).split(".")[0] != "tenant_id"
    if upsert:
        assert sent["$setOnInsert"]["tenant_id"] == ME


@given(st.lists(stages(1), max_size=3))
def test_a_pipeline_update_ends_as_ours_or_is_refused(pipeline: list[dict[str, Any]]) -> None:
    try:
        sent = scoped_update(ME, pipeline)
    except PrismicXError:
        return
    assert sent[-1] == {"$set": {"tenant_id": {"$literal": ME}}}
    assert {next(iter(stage)) for stage in sent} <= PLAIN_STAGES


@given(mappings)
def test_a_document_is_ours_or_refused(document: dict[str, Any]) -> None:
    if document.get("tenant_id", ME) != ME:
        with pytest.raises(BoundaryViolation):
            scoped_document(ME, document)
        return
    assert scoped_document(ME, document) == {**document, "tenant_id": ME}


@given(st.lists(stages(1), max_size=3))
def test_a_change_stream_shows_ours_or_is_refused(pipeline: list[dict[str, Any]]) -> None:
    try:
        sent = watched_pipeline(ME, pipeline)
    except PrismicXError:
        return
    now_or_gone, before = sent[0]["$match"]["$and"]
    assert now_or_gone == {
        "$or": [
            {"fullDocument.tenant_id": ME},
            {"fullDocumentBeforeChange.tenant_id": ME, "operationType": "delete"},
        ]
    }
    assert before == {"$or": [{"fullDocumentBeforeChange.tenant_id": ME}, {"fullDocumentBeforeChange": None}]}
    assert sent[1] == {"$unset": "updateDescription"}
    assert not {next(iter(stage)) for stage in sent} & {"$lookup", "$unionWith", "$graphLookup", "$facet"}


def test_the_callers_values_are_left_as_they_were() -> None:
    given_filter = {"name": "x"}
    given_update = {"$set": {"a": 1}}
    scoped_filter(ME, given_filter)
    scoped_update(ME, given_update, upsert=True)
    assert given_filter == {"name": "x"}
    assert given_update == {"$set": {"a": 1}}


@pytest.mark.parametrize("bad", ["x", 7, b"x", [1], [[]], [{}], [{"$set": {}, "$unset": "a"}], {"name": 1}, {}])
def test_an_update_of_the_wrong_form_is_named(bad: Any) -> None:
    with pytest.raises((InvalidInput, BoundaryViolation)):
        scoped_update(ME, bad)


def test_what_is_sent_is_a_plain_copy_of_what_was_checked() -> None:
    class Changing(dict[str, Any]):
        """Shows the check one thing, and the driver another."""

        def items(self) -> Any:
            return {"$where": "true"}.items() if self.get("seen") else super().items()

    given = Changing(name="x", inner=UserList([Changing(a=1)]))
    sent = scoped_filter(ME, given)
    given["seen"] = True
    assert sent == {"name": "x", "inner": [{"a": 1}], "tenant_id": ME}
    assert type(sent["inner"]) is list
    assert type(sent["inner"][0]) is dict


def test_scripts_hide_in_no_kind_of_sequence() -> None:
    script = {"$function": {"body": "function() { return true }", "args": [], "lang": "js"}}
    for call in (
        lambda: scoped_pipeline(ME, UserList([{"$set": {"x": script}}]), KNOWN),
        lambda: scoped_update(ME, UserList([{"$set": {"x": script}}])),
        lambda: scoped_filter(ME, {"$or": UserList([{"$where": "true"}])}),
        lambda: watched_pipeline(ME, UserList([{"$set": {"x": script}}])),
    ):
        with pytest.raises(BoundaryViolation):
            call()


def test_an_update_given_as_raw_bytes_is_read_as_the_server_would() -> None:
    doubled = RawBSONDocument(encode(SON([("$set", {"name": "a"})])))
    assert scoped_update(ME, doubled) == {"$set": {"name": "a"}}
    with pytest.raises(BoundaryViolation):
        scoped_update(ME, RawBSONDocument(encode({"$set": {"tenant_id": OTHER}})))


def test_a_filter_that_names_the_own_tenant_says_it_once() -> None:
    # Twice, an upsert could not tell which of the two it should set.
    assert scoped_filter(ME, {"tenant_id": ME, "name": "x"}) == {"tenant_id": ME, "name": "x"}


@pytest.mark.parametrize("bad", [None, 7, "x", b"x", {}, {"name": "x"}, [], [7], [[]]])
def test_a_batch_of_the_wrong_form_is_named(bad: Any) -> None:
    with pytest.raises(InvalidInput) as caught:
        scoped_batch(ME, bad)
    assert caught.value.code == "documents.document_invalid"
    assert scoped_batch(ME, iter([{"name": "x"}])) == [{"name": "x", "tenant_id": ME}]


def test_a_replacement_holds_fields_only() -> None:
    for bad in ({"$set": {"tenant_id": OTHER}}, {"name": "x", "$set": {"tenant_id": OTHER}}):
        with pytest.raises(InvalidInput):
            scoped_replacement(ME, bad)
    assert scoped_replacement(ME, {"name": {"$ref": "x"}}) == {"name": {"$ref": "x"}, "tenant_id": ME}


@pytest.mark.parametrize("operator", ["$unheardOf", "$v", "diff", "$where", "$setonInsert", "$Set", ""])
def test_operators_that_nobody_has_looked_at_are_refused(operator: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        scoped_update(ME, {operator: {"name": 1}})
    assert caught.value.code == "documents.update_invalid"


def test_values_of_an_update_are_data_and_conditions_are_not() -> None:
    update = {"$set": {"a": {"$where": "kept", "b": "$$USER_ROLES"}}, "$push": {"c": {"$each": [{"$function": 1}]}}}
    assert scoped_update(ME, update) == update
    with pytest.raises(BoundaryViolation):
        scoped_update(ME, {"$pull": {"a": {"$where": "true"}}})
    with pytest.raises(BoundaryViolation):
        scoped_update(ME, [{"$set": {"a": "$$USER_ROLES"}}])


@pytest.mark.parametrize("option", ["_internalCollation", "_internalUnwind", "db", "collation", "unheardOf"])
@pytest.mark.parametrize("stage", ["$lookup", "$unionWith"])
def test_options_of_stages_that_nobody_has_looked_at_are_refused(stage: str, option: str) -> None:
    body = {"from" if stage == "$lookup" else "coll": "categories", option: {}}
    with pytest.raises(BoundaryViolation) as caught:
        scoped_pipeline(ME, [{stage: body}], KNOWN)
    assert caught.value.code == "boundary.option"


def test_a_join_keeps_its_fields() -> None:
    body = {"from": "categories", "localField": "a", "foreignField": "b", "let": {"x": "$y"}, "as": "z"}
    inner = [{"$match": {"$expr": {"$eq": ["$a", "$$x"]}}}, {"$limit": 1}]
    (_, sent) = scoped_pipeline(ME, [{"$lookup": {**body, "pipeline": inner}}], KNOWN)
    narrowed_inner = [{"$match": {"$and": [{"tenant_id": ME}, inner[0]["$match"]]}}, inner[1]]
    assert sent == {"$lookup": {**body, "pipeline": narrowed_inner}}
    (_, plain_join) = scoped_pipeline(ME, [{"$lookup": body}], KNOWN)
    assert plain_join == {"$lookup": {**body, "pipeline": [{"$match": {"tenant_id": ME}}]}}


def test_a_pipeline_of_many_levels_is_an_error_with_a_name() -> None:
    deep: Any = "categories"
    for _ in range(3000):
        deep = {"coll": "categories", "pipeline": [{"$unionWith": deep}]}
    with pytest.raises(InvalidInput) as caught:
        scoped_pipeline(ME, [{"$unionWith": deep}], KNOWN)
    assert caught.value.code == "documents.too_deep"


def test_sorts_and_hints_are_pairs() -> None:
    for given_value in ([("a", 1), ("b", -1)], {"a": 1, "b": -1}, (("a", 1), ["b", -1])):
        assert ordering(given_value) == [("a", 1), ("b", -1)]
        assert index_hint(given_value) == [("a", 1), ("b", -1)]
    assert ordering(None) is index_hint(None) is None
    assert index_hint("a_1") == "a_1"
    for bad in ("a", 7, [1], [("a",)], [(1, 1)], [], {}, b"x"):
        with pytest.raises(InvalidInput):
            ordering(bad)
    for bad in (7, [1], [("a",)], [(1, 1)], [], {}, b"x"):
        with pytest.raises(InvalidInput):
            index_hint(bad)


def broken_upsert(tenant: str, update: Any, upsert: bool = False) -> Any:
    return document_rules.scoped_update(tenant, update)


def broken_stream(tenant: str, pipeline: Any) -> Any:
    return document_rules.watched_pipeline(tenant, pipeline)[1:]


@pytest.mark.parametrize(
    ("name", "broken", "check"),
    [
        ("scoped_update", broken_upsert, "test_an_update_never_names_the_tenant_or_is_refused"),
        ("scoped_update", lambda *given: given[1], "test_an_update_never_names_the_tenant_or_is_refused"),
        ("watched_pipeline", broken_stream, "test_a_change_stream_shows_ours_or_is_refused"),
        ("scoped_filter", lambda me, given: {"tenant_id": me, **given}, "test_a_filter_always_demands_the_tenant"),
        ("scoped_replacement", scoped_document, "test_a_replacement_holds_fields_only"),
    ],
)  # fmt: skip
def test_a_check_fails_when_its_rule_is_broken(
    name: str, broken: Any, check: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(globals(), name, broken)
    with pytest.raises((AssertionError, LookupError, TypeError, BaseExceptionGroup, pytest.fail.Exception)):
        globals()[check]()
