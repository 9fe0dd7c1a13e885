"""Attacks on shared collections, through the scope of a tenant that shares them with others."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from itertools import islice
from typing import Any

from bson import encode

from prismicx.engines import mongo
from prismicx.engines.endpoints import Endpoints
from prismicx.isolation.attacks_documents import Attack, attacks
from prismicx.isolation.document_grammar import TEMPLATES, WORDS
from prismicx.isolation.document_outcomes import outcome_of
from prismicx.isolation.tenants import Made
from prismicx.isolation.values import Check, Tally
from prismicx.names import Names
from prismicx.platform import Platform
from prismicx.reference.definitions import CATEGORIES, TASKS
from prismicx.scopes import CollectionName
from prismicx.settings import Settings

SHOWN = Check("documents.shown", "MongoDB", "No filter, pipeline or stream shows a document of another tenant")
CHANGED = Check(
    "documents.changed", "MongoDB", "No update, bulk write or pipeline changes, deletes or plants another's document"
)
REFUSED = Check(
    "documents.refused", "MongoDB", "Stages, scripts and disguises that cannot be made safe are refused unsent"
)
CHECKS = (SHOWN, CHANGED, REFUSED)

_EVERY = 20
"""Attempts between two looks at the others' documents, and two fillings of the own ones."""
_SHARED: dict[CollectionName, str] = {"tasks": TASKS, "categories": CATEGORIES, "user_insights": ""}


async def attack_documents(
    px: Platform,
    made: Made,
    settings: Settings,
    endpoints: Endpoints,
    seed: int,
    count: int,
    tally: Tally,
    *,
    until_breach: bool = False,
) -> None:
    """Try everything that is known to be worth trying on each shared collection, and ``count`` random attempts.

    Args:
        until_breach: stop soon after something got through.
    """
    names, mark = Names(settings.namespace), secrets.token_hex(16)
    async with mongo.connect(endpoints.mongo.url, settings.connect_timeout) as admin:
        for name, place in _SHARED.items():
            entry = await px._registry.routable(made.shared)
            database = admin[names.server_wide(place) if place else entry.tenant.database]
            others = (made.other_shared, made.other)
            known = [f"{mark}-{number}" for number in range(4)]
            await database[name].insert_many(
                [_document(name, others[n % 2], key, n, secret=mark) for n, key in enumerate(known)]
            )
            try:
                attempts = attacks(seed, count, made.shared, others, collection=name, known_ids=known[:1])
                async with px.tenant(made.shared) as tenant:
                    scoped = await tenant.collection(name)
                    while batch := list(islice(attempts, _EVERY)):
                        if until_breach and tally.breaches:
                            return
                        own = [_document(name, made.shared, f"{mark}-own-{n}", n) for n in range(6)]
                        await database[name].delete_many({"tenant_id": made.shared})
                        await database[name].insert_many(own)
                        await _batch(scoped, database[name], batch, name, mark, made, tally)
            finally:
                await database[name].delete_many({"tenant_id": {"$in": [*made.all]}})


async def _batch(
    scoped: Any, collection: Any, batch: Sequence[Attack], name: str, mark: str, made: Made, tally: Tally
) -> None:
    before = await _foreign(collection, mark, made)
    for attack in batch:
        outcome = await outcome_of(scoped, attack)
        how = f"{attack.name}: it was shown" if mark in _without_own(outcome.shown, mark) else ""
        tally.note(SHOWN, "a tenant", name, f"{attack.kind}: {attack.operation}", how)
        if attack.must_be_refused:
            how = "" if outcome.refused else f"{attack.name}: it was sent"
            tally.note(REFUSED, "a tenant", name, f"{attack.kind}: {attack.operation}", how)
    same = await _foreign(collection, mark, made) == before
    for attack in batch:
        how = "" if same else f"one of {batch[0].name} to {batch[-1].name}"
        tally.note(CHANGED, "a tenant", name, f"{attack.kind}: {attack.operation}", how)


async def _foreign(collection: Any, mark: str, made: Made) -> list[bytes]:
    """What the attempts must leave alone: the others' documents, and none in the name of anybody else."""
    rows = await collection.find({"$or": [
        {"tenant_id": {"$in": [made.other_shared, made.other]}},
        {"_id": {"$regex": f"^{mark}"}, "tenant_id": {"$ne": made.shared}},
        {"tenant_id": {"$exists": False}},
    ]}).sort("_id").to_list()  # fmt: skip
    return [encode(row) for row in rows]


def _document(name: str, tenant_id: str, key: str, number: int, *, secret: str | None = None) -> dict[str, Any]:
    unique, fixed = TEMPLATES[name]
    word = WORDS[number % 4]
    made = {
        "_id": key,
        "tenant_id": tenant_id,
        unique: f"{key}-{secrets.token_hex(4)}",
        **fixed,
        "label": word,
        "amount": number,
        "tags": [word],
        "parts": [{"k": word, "n": number}],
        "extra": {"k": word},
    }
    return made if secret is None else made | {"secret": secret, "tags": [word, secret]}


def _without_own(shown: Sequence[Any], mark: str) -> str:
    """What was shown, without the keys of the own documents, which begin with the mark as well."""
    return repr(shown).replace(f"{mark}-own", "")
