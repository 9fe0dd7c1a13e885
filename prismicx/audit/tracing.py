"""Recording an operation around it: `audited` is put on the one method that does it, so every door is recorded."""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol, TypeVar, cast

from prismicx.audit.operations import OPERATIONS
from prismicx.audit.trail import Trail
from prismicx.audit.values import Event, outcome_of
from prismicx.errors import BoundaryViolation, Denied, Unavailable

T = TypeVar("T")

Told = Callable[[Any], Mapping[str, Any]]


class Trace:
    """The trail as an object of one tenant has it, or, without a tenant, one of the platform."""

    __slots__ = ("_trail", "tenant_id")

    def __init__(self, trail: Trail, tenant_id: str | None = None) -> None:
        self._trail = trail
        self.tenant_id = tenant_id

    @property
    def trail(self) -> Trail:
        return self._trail

    def statement_refused(self, violation: BoundaryViolation) -> None:
        """Note a statement that would have left the tenant."""
        self._trail.denied("scope.statement", violation.code, self.tenant_id)

    def documents_refused(self, violation: BoundaryViolation) -> None:
        """Note an operation on documents that would have left the tenant."""
        self._trail.denied("scope.documents", violation.code, self.tenant_id)

    async def record(
        self,
        work: Callable[[], Awaitable[T]],
        operation: str,
        values: dict[str, Any],
        told: Callable[[T], dict[str, Any]],
    ) -> T:
        """Do something and write down that it was done, and how it ended.

        Args:
            values: tenant, subject and details, as `Trail.event` takes them, as far as they are known before.
            told: the same of the result.

        Raises:
            Unavailable: ``audit.unavailable`` when nothing was done, since its beginning could not be written;
                ``audit.unwritten`` when it was done and that could not be written.
        """
        recorded = OPERATIONS[operation].recorded
        trail = self._trail
        begun = None
        if recorded == "around":
            begun = await trail.append(trail.event(operation, "begun", **values))
        try:
            result = await work()
        except BaseException as error:
            if recorded == "when denied":
                if isinstance(error, Denied):
                    trail.denied(operation, error.code, self.tenant_id)
                raise
            outcome, code = outcome_of(error)
            # The error goes on in any case; that its record is missing is told in the log.
            await asyncio.gather(
                trail.append(trail.event(operation, outcome, code=code, begun=begun, **values)), return_exceptions=True
            )
            raise
        if recorded == "when denied":
            return result
        ending = trail.event(operation, "done", begun=begun, **merged(values, told(result)))
        if begun is None:
            await self._must(ending)
        else:
            # It is done, and a row says that it began: one without an end, if this fails, and the log tells.
            await asyncio.gather(trail.append(ending), return_exceptions=True)
        return result

    async def _must(self, event: Event) -> None:
        try:
            await self._trail.append(event)
        except Unavailable as error:
            raise Unavailable(
                "audit.unwritten",
                f"{event.operation} was done, and could not be written to the audit trail",
                "do not do it again; see that PostgreSQL runs",
            ) from error


class HasTrace(Protocol):
    """Who has audited methods."""

    _trace: Trace


F = TypeVar("F", bound=Callable[..., Awaitable[Any]])


def audited(
    operation: str,
    *,
    tenant: str = "",
    subject: str = "",
    given: tuple[str, ...] = (),
    made: Callable[[Any], object] | None = None,
    told: Told | None = None,
) -> Callable[[F], F]:
    """Have a method recorded as an operation that `prismicx.audit.operations` declares.

    Args:
        tenant: the argument that names the tenant, where the object is not of one tenant.
        subject: the argument with the id of what is touched.
        given: arguments that are details.
        made: the id of what is touched, by the result, where it is not known before.
        told: more details, by the result.
    """
    if operation not in OPERATIONS:
        raise LookupError(f"{operation} is not declared")

    def decorate(method: F) -> F:
        signature = inspect.signature(method)

        def before(arguments: Mapping[str, Any], own: str | None) -> dict[str, Any]:
            return {
                "tenant_id": arguments.get(tenant) if tenant else own,
                "subject": arguments.get(subject) if subject else None,
                "details": {name: arguments.get(name) for name in given},
            }

        def after(result: Any) -> dict[str, Any]:
            found: dict[str, Any] = {"details": dict(told(result)) if told is not None else {}}
            if made is not None:
                found["subject"] = made(result)
            return found

        @functools.wraps(method)
        async def recorded(self: HasTrace, *args: Any, **kwargs: Any) -> Any:
            bound = signature.bind(self, *args, **kwargs)
            bound.apply_defaults()
            trace = self._trace
            values = before(bound.arguments, trace.tenant_id)
            return await trace.record(lambda: method(self, *args, **kwargs), operation, values, after)

        recorded.__audited__ = operation  # type: ignore[attr-defined]  # for the test that nothing was forgotten
        return cast("F", recorded)

    return decorate


def merged(values: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    """What was known before, with what is known after."""
    return {**values, **more, "details": {**values["details"], **more["details"]}}
