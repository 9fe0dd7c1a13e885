"""With any one protection of scoped collections taken away an attempt gets through: the attempts can fail."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any

import pytest
from pymongo import DeleteMany

from prismicx.engines import bulk_requests as bulk
from prismicx.engines import document_rules as rules
from prismicx.engines import mongo
from prismicx.engines import plain_values as values
from prismicx.engines import scoped_documents as documents
from prismicx.engines.endpoints import Endpoints
from prismicx.isolation.attacks_documents import attacks
from prismicx.settings import Settings
from tests.arena import OTHERS, OWN, Arena, Breach

Patch = pytest.MonkeyPatch
Break = Callable[[Patch], None]
TENANT = rules.TENANT
_kept_steps, _kept_stage, _kept_changes = rules._scoped_steps, rules._scoped_stage, rules._check_changes
_kept_request = bulk._scoped


def everywhere(patch: Patch, name: str, broken: Any) -> None:
    for module in (rules, bulk, documents):
        if hasattr(module, name):
            patch.setattr(module, name, broken)


def stages(patch: Patch, broken: Callable[[str, str, Any, frozenset[str]], Any]) -> None:
    patch.setattr(rules, "_scoped_stage", broken)


def bare_lookup(tenant: str, name: str, body: Any, known: frozenset[str]) -> Any:
    made = _kept_stage(tenant, name, body, known)
    if name in ("$lookup", "$unionWith"):
        given = body.get("pipeline", []) if isinstance(body, dict) else []
        made[name]["pipeline"] = rules._stages(tenant, given, known)
    return made


def unknown_stage(tenant: str, name: str, body: Any, known: frozenset[str]) -> Any:
    return {name: body} if name not in rules.STAGES else _kept_stage(tenant, name, body, known)


def unread_facet(tenant: str, name: str, body: Any, known: frozenset[str]) -> Any:
    return {name: body} if name == "$facet" else _kept_stage(tenant, name, body, known)


def let_in(*names: str) -> Break:
    plain_ones = {
        name: replace(rules.STAGES[name], treatment="plain", in_update=True, in_stream=True) for name in names
    }
    return lambda patch: patch.setattr(rules, "STAGES", {**rules.STAGES, **plain_ones})


def unread_renames(operator: str, fields: Any) -> None:
    if operator != "$rename":
        _kept_changes(operator, fields)


def any_request(tenant: str, request: Any) -> Any:
    return _kept_request(tenant, DeleteMany(request._filter) if isinstance(request, DeleteMany) else request)


BREAKS: dict[str, tuple[str, Break]] = {
    "a filter is passed on": (
        "tenant disguise random",
        lambda patch: everywhere(patch, "scoped_filter", lambda tenant, given: values.plain(given or {})),
    ),
    "a filter's own tenant counts": (
        "disguise random",
        lambda patch: everywhere(patch, "scoped_filter", lambda me, given: {TENANT: me, **values.plain(given or {})}),
    ),
    "a filter of a bulk write is passed on": (
        "tenant random",
        lambda patch: patch.setattr(bulk, "scoped_filter", lambda tenant, given: values.plain(given)),
    ),
    "a document's own tenant counts": (
        "tenant random",
        lambda patch: everywhere(patch, "scoped_document", lambda me, given: {TENANT: me, **values.plain(given)}),
    ),
    "a document gets no tenant": (
        "random",
        lambda patch: everywhere(patch, "scoped_document", lambda _, given: values.plain(given, data=True)),
    ),
    "steps end as they like": (
        "tenant",
        lambda patch: patch.setattr(rules, "_scoped_steps", lambda *given: _kept_steps(*given)[:-1]),
    ),
    "operators change what they like": (
        "tenant",
        lambda patch: patch.setattr(rules, "_check_changes", lambda operator, fields: None),
    ),
    "a rename goes where it likes": ("tenant", lambda patch: patch.setattr(rules, "_check_changes", unread_renames)),
    "any operator will do": (
        "tenant",
        lambda patch: patch.setattr(rules, "UPDATE_OPERATORS", rules.UPDATE_OPERATORS | {"$unheardOf", "$v"}),
    ),
    "a pipeline begins with everybody": (
        "stage",
        lambda patch: patch.setattr(
            documents, "scoped_pipeline", lambda me, given, known: rules._stages(me, values.plain(given), known)
        ),
    ),
    "a joined pipeline begins with everybody": ("stage", lambda patch: stages(patch, bare_lookup)),
    "a stage that nobody knows is passed on": ("stage", lambda patch: stages(patch, unknown_stage)),
    "the pipelines of $facet are not read": ("stage", lambda patch: stages(patch, unread_facet)),
    **{
        f"{name} is passed on": ("stage", let_in(name))
        for name in ("$out", "$merge", "$graphLookup", "$collStats", "$documents", "$changeStream", "$lookup")
    },
    "stages name what they like": (
        "stage",
        lambda patch: patch.setattr(rules, "_known_collection", lambda *given: None),
    ),
    "$lookup has any option": (
        "stage",
        lambda patch: patch.setattr(rules, "_JOINED", rules._JOINED | {"_internalCollation", "_internalUnwind"}),
    ),
    "$unionWith has any option": ("stage", lambda patch: patch.setattr(rules, "_UNITED", rules._UNITED | {"db"})),
    "scripts run": ("script", lambda patch: patch.setattr(values, "SCRIPTS", frozenset())),
    "internal operators run": ("script", lambda patch: patch.setattr(values, "_INTERNAL", "\0")),
    "the login's roles are told": ("script", lambda patch: patch.setattr(values, "_ROLES", "\0")),
    "arguments are sent as they came": (
        "disguise",
        lambda patch: everywhere(patch, "plain", lambda given, data=False: given),
    ),
    "any depth will do": ("stage", lambda patch: patch.setattr(values, "DEPTH", 10**9)),
    "requests are passed on": (
        "tenant option random",
        lambda patch: patch.setattr(documents, "scoped_requests", lambda tenant, given: list(given)),
    ),
    "requests of any class are taken": ("disguise", lambda patch: patch.setattr(bulk, "_scoped", any_request)),
    "a request's collation is dropped": (
        "option",
        lambda patch: patch.setattr(bulk, "_parts", lambda request: {**_parts(request), "collation": None}),
    ),
}
_parts = bulk._parts


@pytest.fixture
async def arena(settings: Settings, endpoints: Endpoints) -> AsyncIterator[Arena]:
    async with mongo.connect(endpoints.mongo.url, settings.connect_timeout) as client:
        yield await Arena(client, settings.namespace).build()


@pytest.mark.parametrize("what", BREAKS)
async def test_an_attempt_gets_through_when(what: str, arena: Arena, monkeypatch: Patch) -> None:
    kinds, break_it = BREAKS[what]
    break_it(monkeypatch)
    attempts = attacks(1, 200, OWN, OTHERS, known_ids=())
    with pytest.raises((Breach, RecursionError)):
        await arena.run(attack for attack in attempts if attack.kind in kinds.split())
