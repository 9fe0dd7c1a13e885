"""Attempts of one tenant to reach, change or plant documents of others, through the operations of a scoped collection.

`attacks` yields them; `outcome_of` in `document_outcomes` carries one out. They hold nothing but what an attacker may
know: its own tenant, the others' ids, and ``_id`` values of their documents if these are given.
"""

from __future__ import annotations

import random
from collections import UserDict, UserList
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bson import SON, Code, encode
from bson.dbref import DBRef
from bson.raw_bson import RawBSONDocument
from pymongo import DeleteMany, DeleteOne, InsertOne, ReplaceOne, UpdateMany, UpdateOne

from prismicx.engines.aggregation_stages import STAGES
from prismicx.isolation.document_grammar import Grammar, Value


@dataclass(frozen=True, slots=True)
class Attack:
    """One attempt.

    Attributes:
        kind: ``stage``, ``script``, ``disguise``, ``tenant``, ``option``, ``random``.
        name: says what it tries, once in a run of `attacks`.
        operation: a method of `prismicx.ScopedCollection`.
        arguments: its arguments, by name.
        must_be_refused: whether it has to be refused before anything is sent; another may also run and find nothing.
    """

    kind: str
    name: str
    operation: str
    arguments: Mapping[str, Any]
    must_be_refused: bool = False


def attacks(
    seed: int,
    count: int,
    own_tenant: str,
    other_tenants: Sequence[str],
    *,
    collection: str = "categories",
    known_ids: Sequence[Any] = (),
) -> Iterator[Attack]:
    """First every attempt that is known to be worth making, then ``count`` random ones.

    The same arguments give the same attempts. An attempt changes what it is run on; one that is random may change or
    delete documents of the own tenant.

    Args:
        seed: where the random ones begin.
        count: how many random ones.
        own_tenant: the tenant that attacks.
        other_tenants: those that are attacked.
        collection: the name of the collection: ``categories``, ``tasks`` or ``user_insights``.
        known_ids: ``_id`` values of others' documents.
    """
    dice = random.Random(seed)  # noqa: S311
    grammar = Grammar(dice, own_tenant, other_tenants, collection, known_ids)
    yield from _stages(collection)
    yield from _scripts()
    yield from _tenants(grammar, other_tenants[0])
    yield from _disguises(grammar, other_tenants[0])
    for number in range(count):
        operation, arguments = grammar.call()
        yield Attack("random", f"random {seed}.{number}", operation, arguments)


def ordinary(seed: int, count: int, own_tenant: str, *, collection: str = "categories") -> Iterator[Attack]:
    """Operations that reach for nobody; each must give what it gives where nobody else's documents are."""
    grammar = Grammar(random.Random(seed), own_tenant, (), collection)  # noqa: S311
    for number in range(count):
        operation, arguments = grammar.call()
        yield Attack("ordinary", f"ordinary {seed}.{number}", operation, arguments)


def _stages(collection: str) -> Iterator[Attack]:
    """Every stage at every depth; the refused ones and those that name what they may not must never be sent."""
    nestings: dict[str, Callable[[list[Value]], list[Value]]] = {
        "alone": lambda inner: inner,
        "after $match": lambda inner: [{"$match": {}}, *inner],
        "in $facet": lambda inner: [{"$facet": {"x": inner}}],
        "in $lookup": lambda inner: [{"$lookup": {"from": collection, "pipeline": inner, "as": "x"}}],
        "in $unionWith": lambda inner: [{"$unionWith": {"coll": collection, "pipeline": inner}}],
        "in $facet in $lookup in $unionWith": lambda inner: [
            {"$unionWith": {"coll": collection, "pipeline": [
                {"$lookup": {"from": collection, "as": "x", "pipeline": [{"$facet": {"x": inner}}]}},
            ]}},
        ],
    }  # fmt: skip
    for label, stage, refused in _each_stage(collection):
        for place, nest in nestings.items():
            yield Attack("stage", f"{label} {place}", "aggregate", {"pipeline": nest([stage])}, refused)
        if refused or not STAGES[next(iter(stage))].in_update:
            yield Attack("stage", f"{label} in an update", "update_many", {"filter": {}, "update": [stage]}, True)
        if refused or not STAGES[next(iter(stage))].in_stream:
            yield Attack("stage", f"{label} in a change stream", "watch", {"pipeline": [stage]}, True)
    deep: list[Value] = [{"$match": {}}]
    for _ in range(2000):
        deep = [{"$unionWith": {"coll": collection, "pipeline": deep}}]
    yield Attack("stage", "two thousand levels", "aggregate", {"pipeline": deep}, True)
    ring: list[Any] = []
    ring.append({"$facet": {"x": ring}})
    yield Attack("stage", "a ring", "aggregate", {"pipeline": ring}, True)


def _each_stage(collection: str) -> Iterator[tuple[str, Value, bool]]:
    """A stage with what to call it, and whether it must be refused."""
    bodies: dict[str, list[Any]] = {
        "$addFields": [{"t": "$tenant_id"}], "$bucket": [{"groupBy": "$amount", "boundaries": [-9, 0, 9]}],
        "$bucketAuto": [{"groupBy": "$label", "buckets": 2}], "$count": ["n"],
        "$densify": [{"field": "amount", "range": {"step": 1, "bounds": "full"}}],
        "$facet": [{"x": [{"$match": {"tenant_id": {"$exists": True}}}], "n": [{"$count": "n"}]}],
        "$fill": [{"output": {"label": {"value": "x"}}}], "$group": [{"_id": "$tenant_id", "n": {"$sum": 1}}],
        "$limit": [100], "$match": [{"$or": [{"tenant_id": {"$exists": True}}, {}]}], "$project": [{"tenant_id": 1}],
        "$redact": ["$$KEEP"], "$replaceRoot": [{"newRoot": {"whole": "$$ROOT"}}],
        "$replaceWith": [{"whole": "$$ROOT"}], "$sample": [{"size": 100}], "$set": [{"tenant_id": "x"}],
        "$setWindowFields": [{"sortBy": {"amount": 1}, "output": {"n": {"$sum": "$amount"}}}], "$skip": [1],
        "$sort": [{"amount": 1}], "$sortByCount": ["$tenant_id"], "$unset": ["tenant_id"], "$unwind": ["$tags"],
        "$lookup": [{"from": collection, "as": "x", "pipeline": [{"$match": {}}]},
                    {"from": collection, "as": "x", "localField": "label", "foreignField": "label"}],
        "$unionWith": [collection, {"coll": collection}],
    }  # fmt: skip
    for name, stage in STAGES.items():
        for number, body in enumerate(bodies.get(name, [{}])):
            yield f"{name} {number}", {name: body}, stage.treatment == "refused"
    elsewhere: list[Value] = [
        *({"$lookup": {"as": "x", "pipeline": [], "from": place}} for place in _places(collection)),
        *({"$unionWith": place} for place in _places(collection) if not isinstance(place, Mapping)),
        *({"$unionWith": {"coll": place, "pipeline": []}} for place in _places(collection)),
        {"$unionWith": {"coll": collection, "db": "tenant_registry"}},
        {"$lookup": {"as": "x", "pipeline": [{"$documents": [{"tenant_id": "x"}]}]}},
        {"$unionWith": {"pipeline": [{"$documents": [{"tenant_id": "x"}]}]}},
        {"$lookup": {"from": collection, "as": "x", "pipeline": [],
                     "_internalCollation": {"locale": "en", "alternate": "shifted"}}},
        {"$lookup": {"from": collection, "as": "x", "pipeline": [], "_internalUnwind": {"$unwind": "$x"}}},
        {"$graphLookup": {"from": collection, "startWith": "$label", "connectFromField": "label",
                          "connectToField": "label", "as": "x"}},
        {"$geoNear": {"near": [0, 0], "distanceField": "d", "query": {}}},
        {"$out": {"db": "tenant_registry", "coll": "tenants"}}, {"$out": collection},
        {"$merge": {"into": {"db": "tenant_registry", "coll": "tenants"}}}, {"$merge": collection},
        {"$collStats": {"count": {}}}, {"$documents": [{"tenant_id": "x"}]},
        {"$changeStream": {"allChangesForCluster": True}},
        {"$unheardOf": {}}, {"$Match": {}}, {"match": {}}, {"$match": {}, "$out": "x"}, {},
    ]  # fmt: skip
    for number, stage_elsewhere in enumerate(elsewhere):
        yield f"elsewhere {number}", stage_elsewhere, True


def _places(collection: str) -> list[Any]:
    return ["tenants", "system.users", "system.profile", f"system.buckets.{collection}", f"{collection} ", "", None,
            f"tenant_registry.{collection}", {"db": "tenant_registry", "coll": "tenants"},
            {"db": "local", "coll": "oplog.rs"}]  # fmt: skip


def _scripts() -> Iterator[Attack]:
    """JavaScript, operators of servers among themselves, and the roles of the login, wherever they may hide."""
    body = {"body": "function() { return true }", "args": [], "lang": "js"}
    hidden: list[Value] = [
        {"$where": "true"}, {"$or": [{"$where": "true"}]}, {"$nor": [{"$and": [{"$where": "false"}]}]},
        {"$expr": {"$function": body}}, {"$expr": {"$and": [True, {"$not": [{"$function": body}]}]}},
        {"label": {"$elemMatch": {"$where": "true"}}}, {"a": Code("function() { return true }")},
        {"$expr": {"$_internalJsEmit": {"eval": "function() {}", "this": "$$ROOT"}}},
        {"$_internalSchemaCond": [{}, {}, {}]},
        {"$expr": {"$in": ["root", "$$USER_ROLES.role"]}}, {"$expr": {"$ne": ["$$USER_ROLES", []]}},
    ]  # fmt: skip
    for number, given in enumerate(hidden):
        for operation, more in (("find", {}), ("delete_many", {}), ("update_many", {"update": {"$set": {"a": 1}}}),
                                ("count_documents", {}), ("find_one_and_delete", {})):  # fmt: skip
            yield Attack("script", f"{operation} script {number}", operation, {"filter": given, **more}, True)
        inside: dict[str, Value] = {
            "aggregate": {"pipeline": [{"$match": given}]}, "watch": {"pipeline": [{"$match": given}]},
            "bulk_write": {"requests": [DeleteMany(given)]},
        }  # fmt: skip
        for operation, arguments in inside.items():
            yield Attack("script", f"{operation} script {number}", operation, arguments, True)
    for number, expression in enumerate([{"$function": body}, "$$USER_ROLES", {"$_internalJsEmit": {}}]):
        places: dict[str, Value] = {
            "find": {"projection": {"x": expression}},
            "update_one": {"filter": {}, "update": [{"$set": {"x": expression}}]},
            "bulk_write": {"requests": [UpdateMany({}, [{"$set": {"x": [expression]}}])]},
        }
        for operation, arguments in places.items():
            yield Attack("script", f"{operation} expression {number}", operation, arguments, True)
    reducer = {"$accumulator": {"init": "function() {}", "accumulate": "function() {}", "lang": "js"}}
    pipeline = [{"$group": {"_id": None, "x": reducer}}]
    yield Attack("script", "an accumulator", "aggregate", {"pipeline": pipeline}, True)
    unfiltered = {"filter": {}, "update": {"$pull": {"tags": {"$where": "true"}}}}
    yield Attack("script", "a script in $pull", "update_many", unfiltered, True)
    hidden_in = {"filter": {}, "update": {"$set": {"tags.$[x]": 1}}, "array_filters": [{"$where": "true"}]}
    yield Attack("script", "a script in array filters", "update_many", hidden_in, True)


def _tenants(grammar: Grammar, other: str) -> Iterator[Attack]:
    """Changes of the tenant, and requests with options that would compare or write elsewhere."""
    paths = ("tenant_id", "tenant_id.x", "tenant_id.$[]", "tenant_id.0")
    updates: list[Any] = [
        *({name: {path: other}} for path in paths for name in (
            "$set", "$setOnInsert", "$min", "$max", "$push", "$addToSet", "$unset", "$pull", "$inc", "$mul", "$bit",
            "$pop", "$pullAll", "$currentDate")),
        *({"$rename": {"label": path}} for path in paths), *({"$rename": {path: "label"}} for path in paths),
        {"tenant_id": other}, {"$replaceWith": {"tenant_id": other}}, {"$v": 2, "diff": {"u": {"tenant_id": other}}},
        {"$unheardOf": {"label": 1}}, {}, [{"$out": "x"}], [{"$match": {}}],
    ]  # fmt: skip
    for number, update in enumerate(updates):
        for operation in ("update_one", "update_many", "find_one_and_update"):
            given = {"filter": {}, "update": update}
            yield Attack("tenant", f"{operation} {number}", operation, given, True)
        yield Attack("tenant", f"upsert {number}", "update_one", {**given, "upsert": True}, True)
        if update:  # pymongo itself takes no empty one
            broken = UpdateOne({}, {"$set": {"label": 1}}, upsert=True)
            broken._doc = update
            yield Attack("tenant", f"bulk_write {number}", "bulk_write", {"requests": [broken]}, True)
    foreign = {**grammar.document(), "tenant_id": other}
    for operation, arguments in _insertions(foreign):
        yield Attack("tenant", f"{operation} for another", operation, arguments, True)
    for label, steps in (
        ("set", [{"$set": {"tenant_id": other}}]), ("unset", [{"$unset": "tenant_id"}]),
        ("hide", [{"$project": {"tenant_id": 0}}]), ("list", [{"$set": {"tenant_id": [other]}}]),
        ("replace", [{"$replaceWith": {"$mergeObjects": ["$$ROOT", {"tenant_id": other}]}}]),
        ("field", [{"$replaceWith": {"$setField": {"field": "tenant_id", "input": "$$ROOT", "value": other}}}]),
        ("remove", [{"$set": {"tenant_id": "$$REMOVE"}}]),
    ):  # fmt: skip
        yield Attack("tenant", f"steps {label}", "update_many", {"filter": {}, "update": steps})
        one = {"requests": [UpdateMany({}, steps), UpdateOne(grammar.absent(), steps, upsert=True)]}
        yield Attack("tenant", f"steps {label} in bulk", "bulk_write", one)
    shifted = {"locale": "en", "alternate": "shifted", "strength": 1}
    for request in (DeleteMany({}, collation=shifted), UpdateMany({}, {"$set": {"label": "x"}}, collation=shifted),
                    DeleteOne({}, namespace="tenant_registry.tenants"),
                    InsertOne(grammar.document(), namespace="tenant_registry.tenants"),
                    ReplaceOne({}, grammar.document(), collation=shifted)):  # fmt: skip
        yield Attack("option", f"an option of {request!r}"[:60], "bulk_write", {"requests": [request]}, True)


def _insertions(document: Value) -> Iterator[tuple[str, Value]]:
    yield "insert_one", {"document": document}
    yield "insert_many", {"documents": [document]}
    yield "replace_one", {"filter": {}, "replacement": document, "upsert": True}
    yield "find_one_and_replace", {"filter": {}, "replacement": document, "upsert": True}
    yield "bulk_write", {"requests": [InsertOne(document)]}
    yield "bulk_write", {"requests": [ReplaceOne({}, document, upsert=True)]}


class Text(str):
    """Compares, hashes and splits as something that it is not."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return False

    def __ne__(self, other: object) -> bool:
        return False

    def __hash__(self) -> int:
        return 0

    def __str__(self) -> str:
        return "harmless"

    def split(self, *_: Any) -> list[str]:
        return ["harmless"]

    def startswith(self, *_: Any) -> bool:
        return False


class TwoFaced(dict[str, Any]):
    """Iterates over harmless names, and has others among its items."""

    def __iter__(self) -> Iterator[str]:
        return iter(["harmless"])


class Written:
    """No mapping; the driver writes it as the document whose bytes it carries."""

    _type_marker = 101

    def __init__(self, document: Value) -> None:
        self.raw = encode(document)


class Request(DeleteMany):
    """Of a class that the driver does not have."""

    __slots__ = ()


def _disguises(grammar: Grammar, other: str) -> Iterator[Attack]:
    """Values that could show the check one thing and the driver another."""
    script, foreign = {"$where": "true"}, {"tenant_id": other}
    refused: dict[str, tuple[str, Value]] = {
        "bytes as a clause": ("find", {"filter": {"$or": [Written(script)]}}),
        "bytes as a filter": ("delete_many", {"filter": Written({})}),
        "bytes as an update": ("update_many", {"filter": {}, "update": Written({"$set": foreign})}),
        "bytes as fields": ("update_many", {"filter": {}, "update": {"$set": Written(foreign)}}),
        "bytes as a stage": ("aggregate", {"pipeline": [Written({"$unionWith": "tenants"})]}),
        "bytes as a document": ("insert_one", {"document": Written(foreign)}),
        "raw update": ("update_many", {"filter": {}, "update": RawBSONDocument(encode({"$set": foreign}))}),
        "raw filter": ("find", {"filter": RawBSONDocument(encode(script))}),
        "two faces of a clause": ("find", {"filter": {"$or": [TwoFaced(script)]}}),
        "two faces of a filter": ("find", {"filter": TwoFaced(script)}),
        "two faces of fields": ("update_many", {"filter": {}, "update": {"$set": TwoFaced(tenant_id=other)}}),
        "a name that is another": ("find", {"filter": {Text("$where"): "true"}}),
        "a path that is another": ("update_many", {"filter": {}, "update": {"$set": {Text("tenant_id"): other}}}),
        "a target that is another": ("update_many", {"filter": {}, "update": {"$rename": {"a": Text("tenant_id")}}}),
        "an operator that is another": ("update_many", {"filter": {}, "update": {Text("$set"): foreign}}),
        "a collection that is another": ("aggregate", {"pipeline": [{"$unionWith": Text("tenants")}]}),
        "a variable that is another": ("find", {"filter": {"$expr": Text("$$USER_ROLES")}}),
        "a tenant that is another": ("insert_one", {"document": {**grammar.document(), "tenant_id": Text(other)}}),
        "a field that is another": ("insert_one", {"document": {**grammar.document(), Text("tenant_id"): other}}),
        "sequences": ("find", {"filter": {"$or": UserList([UserDict(script)])}}),
        "ordered": ("find", {"filter": SON([("$or", (SON(script),))])}),
        "a reference": ("find", {"filter": {"$or": [DBRef("x", 1, None, script)]}}),
        "NUL in a name": ("insert_one", {"document": {**grammar.document(), "tenant_id\0": other}}),
        "a set": ("find", {"filter": {"label": {"$in": {"x"}}}}),
        "a request of one's own": ("bulk_write", {"requests": [Request({})]}),
        "no request": ("bulk_write", {"requests": [{"delete": "x"}]}),
        "a request that is bytes": ("bulk_write", {"requests": [Written({})]}),
    }  # fmt: skip
    for name, (operation, arguments) in refused.items():
        yield Attack("disguise", name, operation, arguments, must_be_refused=True)
    for kind in (SON, UserDict, lambda given: RawBSONDocument(encode(given))):
        for given in ({"tenant_id": other}, {"$or": [{"tenant_id": other}]}):
            wrapped = kind(given)
            label = f"{type(wrapped).__name__} {sorted(given)}"
            yield Attack("disguise", f"found by {label}", "find", {"filter": wrapped})
            yield Attack("disguise", f"deleted by {label}", "delete_many", {"filter": wrapped})
