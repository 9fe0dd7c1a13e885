"""Writes in bulk, kept inside one tenant: every request is made anew from its checked parts, none is passed on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from pymongo import DeleteMany, DeleteOne, InsertOne, ReplaceOne, UpdateMany, UpdateOne

from prismicx.engines.document_rules import (
    Document,
    index_hint,
    ordering,
    scoped_document,
    scoped_filter,
    scoped_replacement,
    scoped_update,
)
from prismicx.engines.plain_values import plain
from prismicx.errors import BoundaryViolation, InvalidInput, quoted

Request = InsertOne[Document] | UpdateOne | UpdateMany | ReplaceOne[Document] | DeleteOne | DeleteMany

Parts = dict[str, Any]


def scoped_requests(tenant_id: str, given: Iterable[Request]) -> list[Request]:
    """The requests, unable to reach, change or plant what is not the tenant's.

    Raises:
        InvalidInput: ``documents.requests_invalid``, and whatever the parts of a request raise.
        BoundaryViolation: ``boundary.collation`` or ``boundary.collection``, and whatever the parts raise.
    """
    if isinstance(given, (str, bytes, Mapping)) or not isinstance(given, Iterable):
        raise _invalid(given)
    made = [_scoped(tenant_id, request) for request in given]
    if not made:
        raise InvalidInput("documents.requests_invalid", "there are no requests", "give one request or more")
    return made


def _insert(tenant_id: str, parts: Parts) -> Request:
    return InsertOne(scoped_document(tenant_id, parts.pop("doc")))


def _replace(tenant_id: str, parts: Parts) -> Request:
    return ReplaceOne(
        scoped_filter(tenant_id, parts.pop("filter")),
        scoped_replacement(tenant_id, parts.pop("doc")),
        upsert=_flag(parts),
        hint=index_hint(parts.pop("hint")),
        sort=_sort(parts),
    )


def _update(kind: type[UpdateOne | UpdateMany]) -> Callable[[str, Parts], Request]:
    def made(tenant_id: str, parts: Parts) -> Request:
        upsert = _flag(parts)
        more = {"sort": _sort(parts)} if kind is UpdateOne else {}
        return kind(
            scoped_filter(tenant_id, parts.pop("filter")),
            scoped_update(tenant_id, parts.pop("doc"), upsert),
            upsert=upsert,
            array_filters=plain(parts.pop("array_filters")),
            hint=index_hint(parts.pop("hint")),
            **more,
        )

    return made


def _delete(kind: type[DeleteOne | DeleteMany]) -> Callable[[str, Parts], Request]:
    def made(tenant_id: str, parts: Parts) -> Request:
        return kind(scoped_filter(tenant_id, parts.pop("filter")), hint=index_hint(parts.pop("hint")))

    return made


_MAKERS: dict[type, Callable[[str, Parts], Request]] = {
    InsertOne: _insert,
    ReplaceOne: _replace,
    UpdateOne: _update(UpdateOne),
    UpdateMany: _update(UpdateMany),
    DeleteOne: _delete(DeleteOne),
    DeleteMany: _delete(DeleteMany),
}


def _scoped(tenant_id: str, request: Any) -> Request:
    kind = type(request)  # a class derived from one of them could show the driver something else
    if kind not in _MAKERS:
        raise _invalid(request)
    parts = _parts(request)
    if parts.pop("collation", None) is not None:
        raise BoundaryViolation(
            "boundary.collation",
            "a collation may take another tenant's id for this one's",
            "compare the texts of the own documents only, with $regex or in the program",
        )
    if parts.pop("namespace", None) is not None:
        raise BoundaryViolation(
            "boundary.collection", "the request names a collection", "write to the collection of the scope"
        )
    made = _MAKERS[kind](tenant_id, parts)
    left = sorted(name for name, value in parts.items() if value is not None)
    if left:  # a driver that came later
        raise InvalidInput(
            "documents.requests_invalid", f"{kind.__name__} has {', '.join(left)}, which has no scope", "leave it out"
        )
    return made


def _parts(request: Any) -> Parts:
    slots = [slot for base in type(request).__mro__ for slot in getattr(base, "__slots__", ())]
    return {slot.removeprefix("_"): getattr(request, slot, None) for slot in slots}


def _flag(parts: Parts) -> bool:
    given = parts.pop("upsert")
    if given is None or type(given) is bool:
        return bool(given)
    raise InvalidInput("documents.requests_invalid", f"upsert is {quoted(given)}", "give True or False")


def _sort(parts: Parts) -> Any:
    given = ordering(parts.pop("sort", None))
    return dict(given) if given else None


def _invalid(given: Any) -> InvalidInput:
    return InvalidInput(
        "documents.requests_invalid",
        f"{quoted(given)} is no write that can be kept inside a tenant",
        f"give a list of pymongo's {', '.join(kind.__name__ for kind in _MAKERS)}",
    )
