"""A collection that a tenant shares with others, and one that holds the same documents of that tenant alone."""

from __future__ import annotations

import json
from collections.abc import Iterable
from itertools import count
from typing import Any

from bson import ObjectId, encode

from prismicx import ScopedCollection
from prismicx.engines.mongo import Client
from prismicx.isolation.attacks_documents import Attack
from prismicx.isolation.document_grammar import TEMPLATES, WORDS
from prismicx.isolation.document_outcomes import Outcome, outcome_of
from prismicx.reference.apply import ensure_collection
from prismicx.reference.definitions import collection as definition

OWN = "ab"
OTHERS = ("a-b", "cd")
"""The first differs from the own by what some collations do not see."""

MARK = "nobody else's business"
KNOWN_ID = "theirs-known"
_PATHS = {
    "categories": "category_repository.categories",
    "tasks": "task_repository.tasks",
    "user_insights": "tenant_XXX_db.user_insights",
}


_ROUNDS = count()


class Breach(AssertionError):
    """An attempt got through."""


class Arena:
    """Runs attempts and sees what came of them."""

    def __init__(self, client: Client, namespace: str, name: str = "categories") -> None:
        self.name = name
        self._databases = [client[f"{namespace}__{kind}"] for kind in ("attacked", "alone")]
        self.shared, self.alone = (database[name] for database in self._databases)
        self.scoped = ScopedCollection(self.shared, OWN, [name])
        self.scoped_alone = ScopedCollection(self.alone, OWN, [name])
        self.ran = self.sent = self._round = 0
        self.keeps_images = False

    async def build(self) -> Arena:
        """Make both collections, as the reference has them."""
        for database in self._databases:
            await ensure_collection(database, definition(_PATHS[self.name]), shared=True)
        await self.reset()
        return self

    async def reset(self) -> None:
        """Put the documents back as they were at first."""
        self._round = next(_ROUNDS)
        own = [self._document(OWN, f"own-{number}", number) for number in range(6)]
        theirs = [self._document(OTHERS[n % 2], f"theirs-{n}" if n else KNOWN_ID, n) for n in range(6)]
        for collection, documents in ((self.shared, [*own, *theirs]), (self.alone, own)):
            await collection.delete_many({})
            await collection.insert_many([dict(document) for document in documents])
        self._theirs = await self._foreign()

    def _document(self, tenant: str, key: str, number: int) -> dict[str, Any]:
        unique, fixed = TEMPLATES[self.name]
        made = {
            "_id": key,
            "tenant_id": tenant,
            unique: f"{key}-{self._round}",  # anew: an embedded server keeps entries of what is gone
            **fixed,
            "label": WORDS[number % 4],
            "amount": number,
            "tags": [WORDS[number % 4], WORDS[(number + 1) % 4]],
            "parts": [{"k": WORDS[number % 4], "n": number}],
            "extra": {"k": WORDS[number % 4]},
        }
        if tenant != OWN:
            made |= {"secret": MARK, "extra": {**made["extra"], "m": MARK}, "tags": [*made["tags"], MARK]}
        return made

    async def _foreign(self) -> list[bytes]:
        rows = await self.shared.find({"tenant_id": {"$ne": OWN}}).sort("_id").to_list()
        return [encode(row) for row in rows]

    async def check(self, attack: Attack, *, compare: bool = True) -> Outcome:
        """Run an attempt; the others' documents must be neither shown nor changed, and none added to them.

        Args:
            compare: whether it must also come to the same where the others' documents are not there at all.

        Raises:
            Breach: it got through.
        """
        self.ran += 1
        outcome = await outcome_of(self.scoped, attack)
        self.sent += not outcome.refused
        if attack.must_be_refused and not outcome.refused:
            raise Breach(f"{attack.name} was sent: {outcome}")
        if outcome.refused:
            return outcome
        if MARK in repr(outcome.shown):
            raise Breach(f"{attack.name} was shown {outcome.shown}")
        if await self._foreign() != self._theirs:
            raise Breach(f"{attack.name} changed or planted: {attack.arguments}")
        if compare:
            await self._same(attack, outcome, await outcome_of(self.scoped_alone, attack))
        return outcome

    async def compare(self, attack: Attack) -> Outcome:
        """Run an ordinary operation here, and by pymongo alone on the collection of this tenant alone.

        Raises:
            Breach: it did not come to the same.
        """
        outcome = await outcome_of(self.scoped, attack)
        await self._same(attack, outcome, await outcome_of(self.alone, attack))
        if await self._foreign() != self._theirs:
            raise Breach(f"{attack.name} changed others' documents")
        return outcome

    async def _same(self, attack: Attack, here: Outcome, there: Outcome) -> None:
        if here.error != there.error or ordered(here.shown) != ordered(there.shown):
            raise Breach(f"{attack.name}: {attack.operation} {attack.arguments}\n  shared {here}\n  alone  {there}")
        mine = await self.shared.find({"tenant_id": OWN}).to_list()
        alone = await self.alone.find({}).to_list()
        if ordered(mine) != ordered(alone):
            raise Breach(f"{attack.name}: {attack.operation} {attack.arguments}\n  shared {mine}\n  alone  {alone}")

    async def run(self, attempts: Iterable[Attack], *, compare: bool = True) -> None:
        """Check many, on documents that are put back now and then."""
        for number, attack in enumerate(attempts):
            if number % 20 == 0:
                await self.reset()
            await self.check(attack, compare=compare)


def ordered(value: Any) -> str:
    """A text that is the same for the same values in whatever order, and whatever ids the server made."""
    return json.dumps(_sorted(value), sort_keys=True, default=repr)


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _sorted(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return sorted(
            (_sorted(inner) for inner in value), key=lambda inner: json.dumps(inner, sort_keys=True, default=repr)
        )
    return "made by the server" if isinstance(value, ObjectId) else value
