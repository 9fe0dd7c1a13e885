"""One event, written where no platform is open: by `db apply`, which makes the trail itself."""

from __future__ import annotations

import functools
import json
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, cast

from prismicx.audit.trail import DATABASE, DRIVER_ERRORS, SERVICE, event_of_now, log, queries
from prismicx.audit.values import Outcome, check_actor, default_actor, outcome_of
from prismicx.credentials import Credentials
from prismicx.engines import postgres
from prismicx.engines.endpoints import Endpoint, Endpoints
from prismicx.errors import PrismicXError, Unavailable
from prismicx.names import Names
from prismicx.settings import Settings


async def record_apart(
    settings: Settings, endpoint: Endpoint, operation: str, error: BaseException | None, **details: Any
) -> None:
    """Write down how an operation ended; nothing where there is no trail yet, as of a `db apply` that was cut short.

    Raises:
        Unavailable: ``audit.unwritten`` when it was done; the trail of one that failed is told of in the log only.
    """
    names = Names(settings.namespace)
    login, password = Credentials(settings.credentials_file).login("postgres", names.service(SERVICE))
    if password is None:
        return
    outcome: Outcome = "done"
    code = None
    if error is not None:
        outcome, code = outcome_of(error)
    actor = check_actor(settings.actor) if settings.actor else default_actor()
    event = event_of_now(actor, operation, outcome, code=code, details=details)
    url = endpoint.postgres(names.server_wide(DATABASE), login, password)
    try:
        async with postgres.connect(url, settings.connect_timeout) as connection:
            if await connection.fetchval(queries.appendable):
                await connection.fetchval(queries.append, json.dumps([event.as_json()]))
    except (PrismicXError, *DRIVER_ERRORS) as trouble:
        if error is None:
            raise Unavailable(
                "audit.unwritten",
                f"{operation} was done, and could not be written to the audit trail: {trouble}",
                "see that PostgreSQL runs",
            ) from trouble
        log.error("that %s failed was not written to the audit trail: %s", operation, trouble)


F = TypeVar("F", bound=Callable[..., Awaitable[Any]])


def recorded_apart(
    operation: str, *, told: Callable[[Any], dict[str, Any] | None] = lambda _: {}, given: tuple[str, ...] = ()
) -> Callable[[F], F]:
    """Have a function of settings and endpoints recorded when it has ended, see `record_apart`.

    Args:
        told: details, by the result; None where nothing was done.
        given: keyword arguments that are details.
    """

    def decorate(function: F) -> F:
        @functools.wraps(function)
        async def recorded(settings: Settings, endpoints: Endpoints, *args: Any, **kwargs: Any) -> Any:
            details = {name: kwargs[name] for name in given if name in kwargs}
            try:
                result = await function(settings, endpoints, *args, **kwargs)
            except PrismicXError as error:
                await record_apart(settings, endpoints.postgres, operation, error, **details)
                raise
            more = told(result)
            if more is not None:
                await record_apart(settings, endpoints.postgres, operation, None, **details, **more)
            return result

        return cast("F", recorded)

    return decorate
