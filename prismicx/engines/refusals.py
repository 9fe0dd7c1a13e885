"""Telling of every attempt to leave a tenant, before its error reaches the caller, who may catch it."""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncIterator, Callable
from typing import Any, TypeVar

from prismicx.errors import BoundaryViolation

C = TypeVar("C")

Refused = Callable[[BoundaryViolation], None]


def telling(kind: type[C]) -> type[C]:
    """A class whose methods tell of every BoundaryViolation they raise: they call the object's ``_refused`` with it,
    unless that is None."""
    for name, method in list(vars(kind).items()):
        if inspect.isfunction(method) and (not name.startswith("_") or name == "__aiter__"):
            setattr(kind, name, _told(method))
    return kind


def _told(method: Callable[..., Any]) -> Callable[..., Any]:
    if inspect.isasyncgenfunction(method):

        @functools.wraps(method)
        async def iterated(self: Any, *args: Any, **kwargs: Any) -> AsyncIterator[Any]:
            try:
                async for item in method(self, *args, **kwargs):
                    yield item
            except BoundaryViolation as violation:
                _tell(self, violation)
                raise

        return iterated
    if inspect.iscoroutinefunction(method):

        @functools.wraps(method)
        async def awaited(self: Any, *args: Any, **kwargs: Any) -> Any:
            try:
                return await method(self, *args, **kwargs)
            except BoundaryViolation as violation:
                _tell(self, violation)
                raise

        return awaited

    @functools.wraps(method)
    def called(self: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return method(self, *args, **kwargs)
        except BoundaryViolation as violation:
            _tell(self, violation)
            raise

    return called


def _tell(teller: Any, violation: BoundaryViolation) -> None:
    if teller._refused is not None:
        teller._refused(violation)
