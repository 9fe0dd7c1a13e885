"""Random filters, updates, pipelines and documents: ordinary ones, and ones that reach for other tenants."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

from pymongo import DeleteMany, DeleteOne, InsertOne, ReplaceOne, UpdateMany, UpdateOne

Value = dict[str, Any]
T = TypeVar("T")

WORDS = ("alpha", "beta", "gamma", "delta")
_MOMENT = datetime(2026, 1, 1, tzinfo=UTC)

TEMPLATES: dict[str, tuple[str, Value]] = {
    "categories": ("category_id", {"name": "x", "created_at": _MOMENT}),
    "tasks": (
        "task_id",
        {"service_id": "s", "type": "x", "status": "pending", "priority": 1, "payload": {}, "created_at": _MOMENT},
    ),
    "user_insights": ("user_id", {"created_at": _MOMENT, "updated_at": _MOMENT}),
    "category_trees": ("tree", {"changes": 1}),
}
"""By collection: the field that is unique, and what else its validator asks for. All else is free."""


class Grammar:
    """Makes arguments for the operations of a collection.

    Besides what the collection asks for, documents have ``label`` (a word), ``amount`` (a number), ``tags`` (words),
    ``parts`` (documents with a word ``k`` and a number ``n``) and ``extra`` (a document with a word ``k``).

    Args:
        dice: where chance comes from.
        own: the tenant.
        others: the tenants to reach for; none for ordinary arguments.
        collection: one of `TEMPLATES`.
        ids: values of ``_id`` of the others' documents that are known.
    """

    def __init__(
        self, dice: random.Random, own: str, others: Sequence[str], collection: str, ids: Sequence[Any] = ()
    ) -> None:
        self._dice = dice
        self.own = own
        self._others = others
        self._collection = collection
        self._ids = ids

    def pick(self, *ways: Callable[[], T]) -> T:
        """What one of the ways makes."""
        return self._dice.choice(ways)()

    def document(self) -> Value:
        """A document of the tenant that the validator takes."""
        key, fixed = TEMPLATES[self._collection]
        number = f"{self._dice.getrandbits(64):016x}"
        return {
            "_id": f"made-{number}",
            "tenant_id": self.own,
            key: number,
            **fixed,
            "label": self._word(),
            "amount": self._number(),
            "tags": [self._word() for _ in range(self._dice.randrange(3))],
            "parts": [{"k": self._word(), "n": self._number()} for _ in range(self._dice.randrange(3))],
            "extra": {"k": self._word()},
        }

    def planted(self) -> Value:
        """A document that is another tenant's, or takes the place of one, if there are others."""
        made = self.document()
        if not self._others:
            return made
        other = self._dice.choice(self._others)
        return self.pick(
            lambda: {**made, "tenant_id": other},
            lambda: {**made, "tenant_id": {"$literal": other}},
            lambda: {**made, "tenant_id": [other, self.own]},
            lambda: {**made, "tenant_id": None},
            lambda: {**made, "tenant_id.x": other},
            lambda: {**made, "$set": {"tenant_id": other}},
            lambda: {key: value for key, value in made.items() if key != "tenant_id"},
            lambda: {**made, "_id": self._dice.choice(self._ids)} if self._ids else made,
        )

    def filter(self, depth: int = 2) -> Value:
        """A filter."""
        ways: list[Callable[[], Value]] = [
            dict,
            lambda: {"label": self._word()},
            lambda: {"label": {"$in": [self._word(), self._word()]}},
            lambda: {"label": {"$ne": self._word()}, "amount": {"$lte": self._number()}},
            lambda: {"amount": {"$gt": self._number()}},
            lambda: {"tags": self._word()},
            lambda: {"tags": {"$size": self._dice.randrange(3)}},
            lambda: {"parts": {"$elemMatch": {"k": self._word(), "n": {"$gte": self._number()}}}},
            lambda: {"extra.k": {"$regex": self._dice.choice("adm")}},
            lambda: {"extra.missing": {"$exists": False}},
            lambda: {"tenant_id": self.own, "label": self._word()},
            lambda: {"$expr": {self._dice.choice(["$gt", "$lt", "$ne"]): ["$amount", self._number()]}},
        ]
        if depth:
            ways += [
                lambda: {"$or": [self.filter(depth - 1), self.filter(depth - 1)]},
                lambda: {"$and": [self.filter(depth - 1), self.filter(depth - 1)]},
                lambda: {"$nor": [self.filter(depth - 1)]},
            ]
        return self.pick(*ways, *(self._reaching_filters() * 2 if self._others else ()))

    def _reaching_filters(self) -> tuple[Callable[[], Value], ...]:
        other = self._dice.choice(self._others)
        return (
            lambda: {"tenant_id": other},
            lambda: {"tenant_id": self.pick(
                lambda: {"$ne": self.own}, lambda: {"$in": [self.own, *self._others]}, lambda: {"$exists": True},
                lambda: {"$regex": "."}, lambda: re.compile(".*"), lambda: {"$not": {"$eq": self.own}},
                lambda: {"$gt": ""}, lambda: {"$type": "string"}, lambda: {"$nin": [self.own]},
            )},
            lambda: {"$or": [{"tenant_id": other}, {"tenant_id": {"$exists": True}}]},
            lambda: {"$nor": [{"tenant_id": self.own}]},
            lambda: {"$expr": {"$ne": ["$tenant_id", self.own]}},
            lambda: {"$expr": {"$eq": [{"$getField": "tenant_id"}, other]}},
            lambda: {"$expr": {"$let": {"vars": {"t": "$$ROOT.tenant_id"}, "in": {"$eq": ["$$t", other]}}}},
            lambda: {"$jsonSchema": {"properties": {"tenant_id": {"enum": list(self._others)}}}},
            lambda: {"$comment": other, "tenant_id": other},
            lambda: {"_id": self._dice.choice(self._ids)} if self._ids else {"_id": {"$exists": True}},
        )  # fmt: skip

    def expression(self) -> Any:
        """An expression of a pipeline."""
        ways: list[Callable[[], Any]] = [
            lambda: "$label",
            lambda: "$amount",
            lambda: {"$add": [{"$ifNull": ["$amount", 0]}, self._number()]},
            lambda: {"$concat": [{"$toString": {"$ifNull": ["$label", ""]}}, "-", self._word()]},
            lambda: {"$size": {"$cond": [{"$isArray": "$tags"}, "$tags", []]}},
            lambda: {"$cond": [{"$gt": ["$amount", self._number()]}, "$extra", "$label"]},
        ]
        if self._others:
            other = self._dice.choice(self._others)
            ways += [
                lambda: "$$ROOT",
                lambda: {"$getField": "tenant_id"},
                lambda: {"$setField": {"field": "tenant_id", "input": "$$ROOT", "value": other}},
                lambda: {"$unsetField": {"field": "tenant_id", "input": "$$ROOT"}},
                lambda: {"$mergeObjects": ["$$ROOT", {"tenant_id": other}]},
                lambda: {"$literal": other},
            ]
        return self.pick(*ways)

    def operators(self) -> Value:
        """An update by operators."""
        ways: list[Callable[[], Value]] = [
            lambda: {"$set": {"label": self._word(), "extra.k": self._word()}},
            lambda: {"$inc": {"amount": self._number()}},
            lambda: {"$mul": {"amount": 2}},
            lambda: {"$max": {"amount": self._number()}},
            lambda: {"$push": {"tags": {"$each": [self._word(), self._word()], "$slice": -4}}},
            lambda: {"$addToSet": {"tags": self._word()}},
            lambda: {"$pull": {"tags": self._word()}},
            lambda: {"$pull": {"parts": {"n": {"$gt": self._number()}}}},
            lambda: {"$pop": {"tags": 1}},
            lambda: {"$unset": {"extra.k": ""}, "$set": {"label": self._word()}},
            lambda: {"$rename": {"extra.k": "extra.j"}},
            lambda: {"$set": {"extra": {"$where": "a name like any other"}}},
        ]
        if self._others:
            other = self._dice.choice(self._others)
            path = self._dice.choice(["tenant_id", "tenant_id.x", "tenant_id.$[]", "tenant_id.0"])
            name = self._dice.choice(["$set", "$setOnInsert", "$min", "$max", "$push", "$addToSet", "$unset", "$pull"])
            ways += [
                lambda: {name: {path: other}},
                lambda: {"$set": {"label": "x"}, name: {path: other}},
                lambda: {"$rename": {"label": path}},
                lambda: {"$rename": {path: "label"}},
                lambda: {"$currentDate": {path: True}},
                lambda: {"$v": 2, "diff": {"u": {"tenant_id": other}}},
                lambda: {"$v": {"tenant_id": other}},
                lambda: {"tenant_id": other},
            ]
        return self.pick(*ways)

    def steps(self) -> list[Value]:
        """An update by a pipeline."""
        ways: list[Callable[[], Value]] = [
            lambda: {"$set": {"seen": self.expression()}},
            lambda: {"$addFields": {"amount": {"$add": [{"$ifNull": ["$amount", 0]}, 1]}}},
            lambda: {"$unset": "extra"},
            lambda: {"$replaceWith": {"$mergeObjects": ["$$ROOT", {"label": self._word()}]}},
        ]
        if self._others:
            other = self._dice.choice(self._others)
            ways += [
                lambda: {"$set": {"tenant_id": self.pick(lambda: other, self.expression, lambda: "$$REMOVE")}},
                lambda: {"$addFields": {"tenant_id": [other]}},
                lambda: {"$set": {"tenant_id.x": other}},
                lambda: {"$unset": ["tenant_id"]},
                lambda: {"$project": {"tenant_id": 0}},
                lambda: {"$replaceWith": {"$mergeObjects": ["$$ROOT", {"tenant_id": other}]}},
                lambda: {"$replaceRoot": {"newRoot": self.expression()}},
                lambda: {"$lookup": {"from": self._collection, "pipeline": [], "as": "x"}},
                lambda: {"$merge": {"into": self._collection}},
            ]
        return [self.pick(*ways) for _ in range(self._dice.randint(1, 3))]

    def update(self) -> Any:
        """An update of either kind."""
        return self.operators() if self._dice.random() < 0.6 else self.steps()

    def pipeline(self, depth: int = 2) -> list[Value]:
        """A pipeline whose result does not hang on the order of what it reads."""
        made = [self._stage(depth) for _ in range(self._dice.randint(1, 3))]
        return self.pick(
            lambda: made,
            lambda: [{"$match": self.filter()}, *made],
            lambda: [*made, {"$sort": {"_id": 1}}, {"$limit": 50}],
            lambda: [*made, {"$count": "n"}],
        )

    def _stage(self, depth: int) -> Value:
        same = {"from": self._collection, "as": "joined"}
        ways: list[Callable[[], Value]] = [
            lambda: {"$match": self.filter(1)},
            lambda: {"$set": {"made": self.expression()}},
            lambda: {"$project": {"label": 1, "tags": 1, "tenant_id": 1, "amount": 1}},
            lambda: {"$group": {"_id": "$label", "n": {"$sum": 1}, "most": {"$max": "$amount"}}},
            lambda: {"$sortByCount": "$label"},
            lambda: {"$unwind": "$tags"},
            lambda: {"$unset": ["parts", "extra"]},
            lambda: {"$redact": {"$cond": [{"$eq": ["$label", self._word()]}, "$$PRUNE", "$$KEEP"]}},
        ]
        if depth:
            equal = {"localField": "label", "foreignField": "label"}
            correlated = {"$expr": {"$gt": ["$amount", "$$least"]}}
            ways += [
                lambda: {"$facet": {"a": self.pipeline(0), "b": [{"$match": self.filter(1)}, {"$count": "n"}]}},
                lambda: {"$lookup": {**same, **equal}},
                lambda: {"$lookup": {**same, **equal, "pipeline": self.pipeline(depth - 1)}},
                lambda: {"$lookup": {**same, "let": {"least": "$amount"}, "pipeline": [{"$match": correlated}]}},
                lambda: {"$unionWith": self._collection},
                lambda: {"$unionWith": {"coll": self._collection, "pipeline": self.pipeline(depth - 1)}},
            ]
        if self._others:
            ways += [
                lambda: {"$match": self._reaching_filters()[self._dice.randrange(10)]()},
                lambda: {"$replaceRoot": {"newRoot": {"$mergeObjects": ["$$ROOT", {"whole": "$$ROOT"}]}}},
            ]
        return self.pick(*ways)

    def requests(self) -> list[Any]:
        """Writes in bulk."""
        ways: tuple[Callable[[], Any], ...] = (
            lambda: InsertOne(self.planted()),
            lambda: UpdateOne(self.filter(), self.update()),
            lambda: UpdateMany(self.filter(), self.update()),
            lambda: ReplaceOne({"label": self._word()}, self._replacement(self.planted())),
            lambda: DeleteOne(self.filter()),
            lambda: DeleteMany({"label": self._word(), "amount": {"$gt": 4}}),
            lambda: UpdateOne(self.absent(), self.update(), upsert=True),
        )
        return [self.pick(*ways) for _ in range(self._dice.randint(1, 4))]

    def call(self) -> tuple[str, Value]:
        """An operation and its arguments."""
        return self.pick(
            lambda: ("find", {"filter": self.filter(), "projection": self.projection()}),
            lambda: ("find", {"filter": self.filter(), "sort": [("amount", -1), ("_id", 1)], "skip": 1, "limit": 3}),
            lambda: ("find_one", {"filter": self.filter(), "sort": [("_id", 1)]}),
            lambda: ("count_documents", {"filter": self.filter()}),
            lambda: ("distinct", {"key": self._dice.choice(["label", "tenant_id", "tags"]), "filter": self.filter()}),
            lambda: ("aggregate", {"pipeline": self.pipeline()}),
            lambda: ("aggregate", {"pipeline": self.pipeline()}),
            lambda: ("insert_one", {"document": self.planted()}),
            lambda: ("insert_many", {"documents": [self.document(), self.planted()]}),
            lambda: ("update_one", {"filter": self.filter(), "update": self.update()}),
            lambda: ("update_many", {"filter": self.filter(), "update": self.update()}),
            lambda: ("update_one", {"filter": self.absent(), "update": self.update(), "upsert": True}),
            lambda: ("replace_one", {"filter": self.filter(), "replacement": self._replacement(self.planted())}),
            lambda: ("find_one_and_update", {"filter": self.filter(), "update": self.update(), "sort": [("_id", 1)]}),
            lambda: ("find_one_and_replace", {"filter": self.filter(), "sort": [("_id", 1)],
                                              "replacement": self._replacement(self.planted())}),
            lambda: ("find_one_and_delete", {"filter": self.filter(), "sort": [("_id", -1)]}),
            lambda: ("delete_one", {"filter": self.filter()}),
            lambda: ("delete_many", {"filter": {"$and": [self.filter(), {"amount": {"$gt": 5}}]}}),
            lambda: ("bulk_write", {"requests": self.requests(), "ordered": self._dice.random() < 0.5}),
        )  # fmt: skip

    def projection(self) -> Any:
        """What to show of a document."""
        return self.pick(
            lambda: None,
            lambda: ["label", "tenant_id"],
            lambda: {"extra": 0},
            lambda: {"made": self.expression(), "tenant_id": 1},
        )

    def absent(self) -> Value:
        """A filter that finds nothing, from which an upsert makes a document that the validator takes."""
        key, fixed = TEMPLATES[self._collection]
        return {"tenant_id": self.own, key: f"absent-{self._dice.getrandbits(64):016x}", **fixed}

    @staticmethod
    def _replacement(made: Mapping[str, Any]) -> Value:
        return {key: value for key, value in made.items() if key != "_id" or not str(value).startswith("made-")}

    def _word(self) -> str:
        return self._dice.choice([*WORDS, *self._others])

    def _number(self) -> int:
        return self._dice.randrange(-3, 8)
