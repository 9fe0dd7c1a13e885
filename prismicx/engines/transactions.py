"""Several operations on documents as one: all of them happen, or none."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.asynchronous.mongo_client import AsyncMongoClient
from pymongo.errors import ConnectionFailure, PyMongoError

from prismicx.engines.lost import lost
from prismicx.engines.scoped_documents import ScopedCollection
from prismicx.errors import Conflict, Unavailable

T = TypeVar("T")


async def in_transaction(
    collection: ScopedCollection, work: Callable[[AsyncClientSession], Coroutine[Any, Any, T]]
) -> T:
    """Run work in a transaction of the collection's client, giving its session to every operation.

    Args:
        work: is run again from its beginning when another transaction was in its way or the connection was lost, so
            it keeps nothing from one run to the next.

    Raises:
        Conflict: ``documents.busy`` when others were in the way for two minutes.
        Unavailable: ``mongo.lost``.
    """
    try:
        return await transact(collection._collection.database.client, work)
    except PyMongoError as error:
        if error.has_error_label("TransientTransactionError"):
            raise Conflict(
                "documents.busy", f"{collection.name} is being changed by others all the time", "try again later"
            ) from error
        raise


async def transact(client: AsyncMongoClient[Any], work: Callable[[AsyncClientSession], Awaitable[T]]) -> T:
    """Run work in a transaction of a client, see `in_transaction`.

    Raises:
        Unavailable: ``mongo.lost`` when the connection was lost a second time.
        PyMongoError: labelled ``TransientTransactionError`` when others were in the way for two minutes.
    """
    lost_before = False

    async def run(session: AsyncClientSession) -> T:
        nonlocal lost_before
        try:
            return await work(session)
        except (ConnectionFailure, Unavailable) as error:
            told = error.__cause__ if isinstance(error, Unavailable) else error
            # The driver runs the work again for its own errors only, but then for two minutes: once is enough for
            # a connection that was cut or a primary that changed, and a server that is gone is told of at once.
            if not isinstance(told, ConnectionFailure):
                raise
            if lost_before:
                raise lost(told) from told
            lost_before = True
            raise told from None

    try:
        async with client.start_session() as session:
            return await session.with_transaction(run)
    except ConnectionFailure as error:
        raise lost(error) from error
