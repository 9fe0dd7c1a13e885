"""Operations where no platform is open: the reference and passwords. `db apply` makes the trail itself."""

from __future__ import annotations

import functools
import json
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, cast

from prismicx.audit.operations import OPERATIONS
from prismicx.audit.trail import DATABASE, SERVICE, event_of_now, log, queries
from prismicx.audit.values import Outcome, check_actor, default_actor, outcome_of
from prismicx.credentials import Credentials
from prismicx.engines import postgres
from prismicx.engines.endpoints import Endpoint, Endpoints
from prismicx.engines.lost import DRIVER_ERRORS
from prismicx.errors import PrismicXError, Unavailable
from prismicx.names import Names
from prismicx.settings import Settings

_MAKES_IT = frozenset({"db.apply"})
"""What makes the trail, or mends it: it begins as well where its beginning cannot be written."""


async def record_apart(
    settings: Settings,
    endpoint: Endpoint,
    operation: str,
    error: BaseException | None,
    *,
    begun: int | None = None,
    **details: Any,
) -> None:
    """Write down how an operation ended; nothing where there is no trail yet, as of a `db apply` that was cut short.

    Args:
        begun: the row that says it began, if one does.

    Raises:
        Unavailable: ``audit.unwritten`` when it was done and no row says that it began; else the log only tells that
            the trail was not written.
    """
    outcome: Outcome = "done"
    code = None
    if error is not None:
        outcome, code = outcome_of(error)
    try:
        await _append(settings, endpoint, operation, outcome, details, code=code, begun=begun)
    except (PrismicXError, *DRIVER_ERRORS) as trouble:
        if error is None and begun is None:
            raise Unavailable(
                "audit.unwritten",
                f"{operation} was done, and could not be written to the audit trail: {trouble}",
                "see that PostgreSQL runs",
            ) from trouble
        log.error("how %s ended (%s) was not written to the audit trail: %s", operation, outcome, trouble)


async def _begin(settings: Settings, endpoint: Endpoint, operation: str, details: dict[str, Any]) -> int | None:
    """Write down that an operation begins; None where there is no trail yet."""
    try:
        return await _append(settings, endpoint, operation, "begun", details)
    except (PrismicXError, *DRIVER_ERRORS) as trouble:
        if operation in _MAKES_IT:
            log.warning("that %s began was not written to the audit trail: %s", operation, trouble)
            return None
        raise Unavailable(
            "audit.unavailable",
            f"{operation} was not begun, since that could not be written to the audit trail: {trouble}",
            "see that PostgreSQL runs and `prismicx db apply` was run",
        ) from trouble


async def _append(
    settings: Settings,
    endpoint: Endpoint,
    operation: str,
    outcome: Outcome,
    details: dict[str, Any],
    *,
    code: str | None = None,
    begun: int | None = None,
) -> int | None:
    names = Names(settings.namespace)
    login, password = Credentials(settings.credentials_file).login("postgres", names.service(SERVICE))
    if password is None:
        return None
    actor = check_actor(settings.actor) if settings.actor else default_actor()
    event = event_of_now(actor, operation, outcome, code=code, begun=begun, details=details)
    url = endpoint.postgres(names.server_wide(DATABASE), login, password)
    async with postgres.connect(url, settings.connect_timeout) as connection:
        if not await connection.fetchval(queries.appendable):
            return None
        (place,) = await connection.fetchval(queries.append, json.dumps([event.as_json()]))
        return cast("int", place)


F = TypeVar("F", bound=Callable[..., Awaitable[Any]])


def recorded_apart(
    operation: str, *, told: Callable[[Any], dict[str, Any] | None] = lambda _: {}, given: tuple[str, ...] = ()
) -> Callable[[F], F]:
    """Have a function of settings and endpoints recorded, before it begins where `prismicx.audit.operations` says so,
    and when it has ended.

    Args:
        told: details, by the result; None where nothing was done, which leaves no row unless one says that it began.
        given: keyword arguments that are details.
    """

    def decorate(function: F) -> F:
        @functools.wraps(function)
        async def recorded(settings: Settings, endpoints: Endpoints, *args: Any, **kwargs: Any) -> Any:
            details = {name: kwargs[name] for name in given if name in kwargs}
            begun = None
            if OPERATIONS[operation].recorded == "around":
                begun = await _begin(settings, endpoints.postgres, operation, details)
            try:
                result = await function(settings, endpoints, *args, **kwargs)
            except BaseException as error:
                await record_apart(settings, endpoints.postgres, operation, error, begun=begun, **details)
                raise
            more = told(result)
            if more is not None or begun is not None:
                details |= more or {}
                await record_apart(settings, endpoints.postgres, operation, None, begun=begun, **details)
            return result

        return cast("F", recorded)

    return decorate
