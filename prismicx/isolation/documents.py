"""Attacks on shared collections, through the scope of a tenant that shares them with others."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from itertools import islice
from typing import Any, cast, get_args

from bson import encode

from prismicx.engines import mongo
from prismicx.engines.endpoints import Endpoints
from prismicx.errors import InvalidInput
from prismicx.isolation.accounts import places
from prismicx.isolation.attacks_documents import Attack, attacks
from prismicx.isolation.document_grammar import TEMPLATES, WORDS
from prismicx.isolation.document_outcomes import outcome_of
from prismicx.isolation.tenants import Made
from prismicx.isolation.values import Check, Tally
from prismicx.names import Names
from prismicx.platform import Platform
from prismicx.reference.definitions import CATEGORIES, PLATFORM, TASKS
from prismicx.scopes import CollectionName, TenantScope
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
_SHARED: dict[str, str] = {"tasks": TASKS, "categories": CATEGORIES, "user_insights": "", "category_trees": PLATFORM}
_ONE_EACH = frozenset({"category_trees"})
"""Collections with one document for each tenant."""


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
            count_known, count_own = (2, 1) if name in _ONE_EACH else (4, 6)
            known = [f"{mark}-{number}" for number in range(count_known)]
            await database[name].insert_many(
                [_document(name, others[n % 2], key, n, secret=mark) for n, key in enumerate(known)]
            )
            try:
                attempts = attacks(seed, count, made.shared, others, collection=name, known_ids=known[:1])
                async with px.tenant(made.shared) as tenant:
                    scoped = await _scoped(tenant, name)
                    while batch := list(islice(attempts, _EVERY)):
                        if until_breach and tally.breaches:
                            return
                        own = [_document(name, made.shared, f"{mark}-own-{n}", n) for n in range(count_own)]
                        await database[name].delete_many({"tenant_id": made.shared})
                        await database[name].insert_many(own)
                        await _batch(scoped, database[name], batch, name, mark, made, tally)
            finally:
                await database[name].delete_many({"tenant_id": {"$in": [*made.all]}})


async def _scoped(tenant: TenantScope, name: str) -> Any:
    """A collection as the library itself reaches it; some are not for callers."""
    if name == "category_trees":
        return await tenant._shared_collection(name, PLATFORM, "categories")
    return await tenant.collection(cast("CollectionName", name))


async def attack_names(px: Platform, made: Made, settings: Settings, endpoints: Endpoints, tally: Tally) -> None:
    """Ask the scope for every collection that the live databases of the platform have beside those it offers."""
    names = Names(settings.namespace)
    async with mongo.connect(endpoints.mongo.url, settings.connect_timeout) as admin:
        found = {name for place in await places(admin, names) for name in await admin[place].list_collection_names()}
    async with px.tenant(made.shared) as tenant:
        for name in sorted(found - {*get_args(CollectionName)}):
            try:
                await tenant.collection(cast("CollectionName", name))
            except InvalidInput:
                how = ""
            else:
                how = "it was opened"
            tally.note(REFUSED, "a tenant", name, "open", how)


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
