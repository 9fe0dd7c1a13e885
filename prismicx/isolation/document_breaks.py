"""Protections of scoped collections, broken one at a time for the self-test."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any
from unittest.mock import patch

from prismicx.engines import bulk_requests, document_rules, plain_values, scoped_documents
from prismicx.engines.aggregation_stages import STAGES

_TENANT = document_rules.TENANT
_PASSED_ON = ("$out", "$merge", "$graphLookup", "$collStats", "$documents", "$lookup")


def _plain(value: Any) -> Any:
    return plain_values.plain(value)


def _stage_unread(tenant: str, name: str, body: Any, known: frozenset[str]) -> Any:
    return {name: body}


@contextmanager
def _broken(*changes: tuple[Any, str, Any]) -> Iterator[None]:
    with ExitStack() as stack:
        for module, name, value in changes:
            if hasattr(module, name):
                stack.enter_context(patch.object(module, name, value))
        yield


def _everywhere(name: str, value: Any) -> Callable[[], Any]:
    return lambda: _broken(*((module, name, value) for module in (document_rules, bulk_requests, scoped_documents)))


def _in_rules(name: str, value: Any) -> Callable[[], Any]:
    return lambda: _broken((document_rules, name, value))


BREAKS: Mapping[str, Callable[[], Any]] = {
    "filters are passed on": _everywhere("scoped_filter", lambda _, given: _plain(given or {})),
    "a filter's own tenant counts": _everywhere(
        "scoped_filter", lambda me, given: {_TENANT: me, **_plain(given or {})}
    ),
    "a document's own tenant counts": _everywhere("scoped_document", lambda me, given: {_TENANT: me, **_plain(given)}),
    "operators change what they like": _in_rules("_check_changes", lambda *_: None),
    "pipelines begin with everybody": lambda: _broken(
        (scoped_documents, "scoped_pipeline", lambda me, given, known: document_rules._stages(me, _plain(given), known))
    ),
    "stages are not read": _in_rules("_scoped_stage", _stage_unread),
    "stages name what they like": _in_rules("_known_collection", lambda *_: None),
    "scripts run": lambda: _broken((plain_values, "SCRIPTS", frozenset())),
    "requests are passed on": lambda: _broken((scoped_documents, "scoped_requests", lambda _, given: list(given))),
    **{
        f"{name} is passed on": _in_rules(
            "STAGES",
            {**STAGES, name: replace(STAGES[name], treatment="plain", in_update=True)},
        )
        for name in _PASSED_ON
    },
}
"""What is broken, and a context in which it is."""
