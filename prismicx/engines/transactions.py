"""Several operations on scoped collections as one: all of them happen, or none."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.errors import ConnectionFailure, PyMongoError

from prismicx.engines.scoped_documents import ScopedCollection
from prismicx.errors import Conflict, Unavailable

T = TypeVar("T")


async def in_transaction(
    collection: ScopedCollection, work: Callable[[AsyncClientSession], Coroutine[Any, Any, T]]
) -> T:
    """Run work in a transaction of the collection's client, giving its session to every operation.

    Args:
        work: is run again from its beginning when another transaction was in its way, so it keeps nothing from
            one run to the next.

    Raises:
        Conflict: ``documents.busy`` when others were in the way for two minutes.
        Unavailable: ``mongo.lost``.
    """
    client = collection._collection.database.client
    try:
        async with client.start_session() as session:
            return await session.with_transaction(work)
    except ConnectionFailure as error:
        raise Unavailable("mongo.lost", f"the connection to MongoDB was lost: {error}", "try again") from error
    except PyMongoError as error:
        if error.has_error_label("TransientTransactionError"):
            raise Conflict(
                "documents.busy", f"{collection.name} is being changed by others all the time", "try again later"
            ) from error
        raise
