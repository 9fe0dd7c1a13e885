"""Random and systematic attempts to leave a scoped collection, and operations that must work in it as anywhere.

``PRISMICX_ATTACKS`` sets how many random ones are tried, ``PRISMICX_ATTACKS_SEED`` which.
"""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from prismicx import Platform
from prismicx.engines import mongo
from prismicx.engines.endpoints import Endpoints
from prismicx.isolation.attacks_documents import attacks, ordinary
from prismicx.isolation.document_grammar import Grammar
from prismicx.isolation.document_outcomes import outcome_of
from prismicx.reference.definitions import collections
from prismicx.settings import Settings
from tests.arena import KNOWN_ID, MARK, OTHERS, OWN, Arena, ordered

COUNT = int(os.environ.get("PRISMICX_ATTACKS", "150"))
SEED = int(os.environ.get("PRISMICX_ATTACKS_SEED", "1"))
COLLECTIONS = ("categories", "tasks", "user_insights")


@pytest.fixture(params=COLLECTIONS)
async def arena(request: pytest.FixtureRequest, settings: Settings, endpoints: Endpoints) -> AsyncIterator[Arena]:
    async with mongo.connect(endpoints.mongo.url, settings.connect_timeout) as client:
        yield await Arena(client, settings.namespace, request.param).build()


async def test_no_attempt_gets_through(arena: Arena) -> None:
    attempts = attacks(SEED, COUNT, OWN, OTHERS, collection=arena.name)
    # The rules do not ask which collection it is: what is worth trying anywhere is tried on one.
    await arena.run(attack for attack in attempts if arena.name == "categories" or attack.kind == "random")
    assert arena.sent > COUNT // 2, "an attempt that is refused tries the rules only"


async def test_no_attempt_gets_through_that_knows_an_id(arena: Arena) -> None:
    attempts = [
        attack
        for attack in attacks(SEED + 1, COUNT // 2, OWN, OTHERS, collection=arena.name, known_ids=[KNOWN_ID])
        if attack.kind == "random"
    ]
    # To insert a document with an `_id` that is taken is an error here and none there.
    await arena.run(attempts, compare=False)


async def test_ordinary_operations_work_as_on_a_collection_of_ones_own(arena: Arena) -> None:
    ended: Counter[str] = Counter()
    for number, operation in enumerate(ordinary(SEED, COUNT, OWN, collection=arena.name)):
        if number % 20 == 0:
            await arena.reset()
        ended[(await arena.compare(operation)).error] += 1
    assert ended[""] > COUNT * 0.9, ended


def test_unique_indexes_of_shared_collections_begin_with_the_tenant() -> None:
    shared = [item for item in collections() if "tenant_id" in item.validator["$jsonSchema"]["required"]]
    other = {
        (item.path, index.keys)
        for item in shared
        for index in item.indexes_for(shared=True)
        if index.unique and index.keys[0] != "tenant_id"
    }
    # UUIDs that the reference makes unique by themselves: docs/architecture.md, "Unique keys of shared collections".
    assert other == {
        ("task_repository.tasks", ("task_id",)),
        ("category_repository.categories", ("category_id",)),
        # The platform numbers its receipts in one chain; no scope of a tenant reaches the collection.
        ("prismicx_platform.key_receipts", ("number",)),
    }


@pytest.mark.parametrize("name", ["categories", "tasks", "user_insights"])
async def test_attempts_get_nowhere_by_the_scopes_of_a_platform(
    px: Platform, new_id: Callable[[], str], name: Any
) -> None:
    own, others = new_id(), [new_id(), new_id()]
    for tenant in (own, *others):
        await px.tenants.create(tenant, name=tenant, isolation="shared")
    dice = random.Random(1)
    victims = []
    for tenant in others:
        async with px.tenant(tenant) as scope:
            collection = await scope.collection(name)
            for _ in range(3):
                await collection.insert_one({**Grammar(dice, tenant, (), name).document(), "secret": MARK})
            victims.append((collection, ordered(await collection.find().to_list())))
    async with px.tenant(own) as scope:
        mine = await scope.collection(name)
        await mine.insert_many([Grammar(dice, own, (), name).document() for _ in range(4)])
        for attack in attacks(2, 60, own, others, collection=name):
            if attack.kind not in ("random", "tenant"):
                continue
            outcome = await outcome_of(mine, attack)
            assert outcome.refused or not attack.must_be_refused, attack.name
            assert MARK not in repr(outcome.shown), attack.name
        assert {row["tenant_id"] for row in await mine.find().to_list()} <= {own}
    for collection, before in victims:
        assert ordered(await collection.find().to_list()) == before
