"""Collections as one tenant sees them, in its own database and in shared ones alike."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.asynchronous.command_cursor import AsyncCommandCursor
from pymongo.asynchronous.cursor import AsyncCursor
from pymongo.errors import ConnectionFailure, OperationFailure
from pymongo.results import BulkWriteResult, DeleteResult, InsertManyResult, InsertOneResult, UpdateResult

from prismicx.engines.bulk_requests import Request, scoped_requests
from prismicx.engines.document_rules import (
    Document,
    index_hint,
    ordering,
    scoped_batch,
    scoped_document,
    scoped_filter,
    scoped_pipeline,
    scoped_replacement,
    scoped_update,
    watched_pipeline,
)
from prismicx.engines.lost import lost
from prismicx.engines.plain_values import plain
from prismicx.engines.refusals import Refused, telling
from prismicx.errors import BoundaryViolation, Unavailable

Filter = Mapping[str, Any] | None
Update = Mapping[str, Any] | Sequence[Mapping[str, Any]]
Sort = Sequence[tuple[str, Any]] | None
Hint = str | Sequence[tuple[str, Any]] | None

T = TypeVar("T")

_UNAUTHORIZED, _AUTHENTICATION_FAILED = 13, 18


@telling
class ScopedCollection:
    """The operations of a collection with the tenant in every filter, document and stage.

    Arguments are pymongo's; those that could step around the tenant are not taken, such as a collation, by which one
    tenant's id may equal another's. Documents of arguments stay as they were, so give an ``_id`` if you need to know it
    after a bulk write. There is no estimated count: it is of all tenants together. Every method raises
    BoundaryViolation (``boundary.*``) where something reaches out of the tenant, InvalidInput (``documents.*``) where
    an argument has the wrong form, Unavailable where the server is gone (``mongo.lost``) or the login of this
    collection was ended by a rotation (``mongo.login_replaced``), and pymongo's own errors for what the server itself
    finds wrong.

    Args:
        refused: told of every BoundaryViolation before it is raised.
    """

    __slots__ = ("_collection", "_known", "_refused", "_tenant")

    def __init__(
        self,
        collection: AsyncCollection[Document],
        tenant_id: str,
        known: Iterable[str],
        *,
        refused: Refused | None = None,
    ) -> None:
        self._collection = collection
        self._tenant = tenant_id
        self._known = frozenset(known)
        self._refused = refused

    @property
    def name(self) -> str:
        """The collection's name."""
        return self._collection.name

    async def find_one(
        self,
        filter: Filter = None,
        projection: Any = None,
        *,
        sort: Sort = None,
        session: AsyncClientSession | None = None,
    ) -> Document | None:
        """The first document that matches, or None."""
        projection = plain(projection)
        narrowed = scoped_filter(self._tenant, filter)
        try:
            return await self._collection.find_one(narrowed, projection, sort=ordering(sort), session=session)
        except (ConnectionFailure, OperationFailure) as error:
            raise _translated(error) from error

    def find(
        self,
        filter: Filter = None,
        projection: Any = None,
        *,
        sort: Sort = None,
        skip: int = 0,
        limit: int = 0,
        batch_size: int = 0,
        hint: Hint = None,
        session: AsyncClientSession | None = None,
    ) -> ScopedCursor:
        """The documents that match; iterate with ``async for`` or take ``to_list()``."""
        return ScopedCursor(
            self._collection.find(
                scoped_filter(self._tenant, filter),
                plain(projection),
                sort=ordering(sort),
                skip=skip,
                limit=limit,
                batch_size=batch_size,
                hint=index_hint(hint),
                session=session,
            ),
            self._refused,
        )

    async def count_documents(
        self, filter: Filter = None, *, hint: Hint = None, session: AsyncClientSession | None = None
    ) -> int:
        """How many documents match."""
        narrowed, named = scoped_filter(self._tenant, filter), index_hint(hint)
        return await _answer(
            self._collection.count_documents(narrowed, session=session, **({"hint": named} if named else {}))
        )

    async def distinct(
        self, key: str, filter: Filter = None, *, session: AsyncClientSession | None = None
    ) -> list[Any]:
        """The distinct values of a field among the documents that match."""
        return await _answer(self._collection.distinct(key, scoped_filter(self._tenant, filter), session=session))

    async def aggregate(
        self, pipeline: Sequence[Mapping[str, Any]], *, hint: Hint = None, session: AsyncClientSession | None = None
    ) -> ScopedCursor:
        """The result of a pipeline over this tenant's documents."""
        stages = scoped_pipeline(self._tenant, pipeline, self._known)
        named = index_hint(hint)
        # As a mapping: pymongo takes pairs for a hint of `aggregate` as they are.
        more: dict[str, Any] = {"hint": named if isinstance(named, str) else dict(named)} if named else {}
        return ScopedCursor(await _answer(self._collection.aggregate(stages, session=session, **more)), self._refused)

    async def insert_one(
        self, document: Mapping[str, Any], *, session: AsyncClientSession | None = None
    ) -> InsertOneResult:
        """Insert a document as this tenant's."""
        return await _answer(self._collection.insert_one(scoped_document(self._tenant, document), session=session))

    async def insert_many(
        self,
        documents: Iterable[Mapping[str, Any]],
        *,
        ordered: bool = True,
        session: AsyncClientSession | None = None,
    ) -> InsertManyResult:
        """Insert documents as this tenant's."""
        made = scoped_batch(self._tenant, documents)
        return await _answer(self._collection.insert_many(made, ordered=ordered, session=session))

    async def update_one(
        self,
        filter: Filter,
        update: Update,
        *,
        upsert: bool = False,
        array_filters: Sequence[Mapping[str, Any]] | None = None,
        session: AsyncClientSession | None = None,
    ) -> UpdateResult:
        """Update the first document that matches."""
        return await _answer(
            self._collection.update_one(
                scoped_filter(self._tenant, filter),
                scoped_update(self._tenant, update, upsert),
                upsert=upsert,
                array_filters=plain(array_filters),
                session=session,
            )
        )

    async def update_many(
        self,
        filter: Filter,
        update: Update,
        *,
        array_filters: Sequence[Mapping[str, Any]] | None = None,
        session: AsyncClientSession | None = None,
    ) -> UpdateResult:
        """Update every document that matches."""
        return await _answer(
            self._collection.update_many(
                scoped_filter(self._tenant, filter),
                scoped_update(self._tenant, update),
                array_filters=plain(array_filters),
                session=session,
            )
        )

    async def replace_one(
        self,
        filter: Filter,
        replacement: Mapping[str, Any],
        *,
        upsert: bool = False,
        session: AsyncClientSession | None = None,
    ) -> UpdateResult:
        """Replace the first document that matches."""
        return await _answer(
            self._collection.replace_one(
                scoped_filter(self._tenant, filter),
                scoped_replacement(self._tenant, replacement),
                upsert=upsert,
                session=session,
            )
        )

    async def find_one_and_update(
        self,
        filter: Filter,
        update: Update,
        *,
        projection: Any = None,
        sort: Sort = None,
        upsert: bool = False,
        return_document: bool = False,
        array_filters: Sequence[Mapping[str, Any]] | None = None,
        session: AsyncClientSession | None = None,
    ) -> Document | None:
        """Update the first document that matches; gives it as it was, or with ``return_document`` as it is then."""
        return await _answer(
            self._collection.find_one_and_update(
                scoped_filter(self._tenant, filter),
                scoped_update(self._tenant, update, upsert),
                projection=plain(projection),
                sort=ordering(sort),
                upsert=upsert,
                return_document=return_document,
                array_filters=plain(array_filters),
                session=session,
            )
        )

    async def find_one_and_replace(
        self,
        filter: Filter,
        replacement: Mapping[str, Any],
        *,
        projection: Any = None,
        sort: Sort = None,
        upsert: bool = False,
        return_document: bool = False,
        session: AsyncClientSession | None = None,
    ) -> Document | None:
        """Replace the first document that matches; gives what `find_one_and_update` gives."""
        return await _answer(
            self._collection.find_one_and_replace(
                scoped_filter(self._tenant, filter),
                scoped_replacement(self._tenant, replacement),
                projection=plain(projection),
                sort=ordering(sort),
                upsert=upsert,
                return_document=return_document,
                session=session,
            )
        )

    async def find_one_and_delete(
        self,
        filter: Filter,
        *,
        projection: Any = None,
        sort: Sort = None,
        session: AsyncClientSession | None = None,
    ) -> Document | None:
        """Delete the first document that matches, and give it."""
        return await _answer(
            self._collection.find_one_and_delete(
                scoped_filter(self._tenant, filter), projection=plain(projection), sort=ordering(sort), session=session
            )
        )

    async def delete_one(self, filter: Filter, *, session: AsyncClientSession | None = None) -> DeleteResult:
        """Delete the first document that matches."""
        return await _answer(self._collection.delete_one(scoped_filter(self._tenant, filter), session=session))

    async def delete_many(self, filter: Filter, *, session: AsyncClientSession | None = None) -> DeleteResult:
        """Delete every document that matches."""
        return await _answer(self._collection.delete_many(scoped_filter(self._tenant, filter), session=session))

    async def bulk_write(
        self, requests: Iterable[Request], *, ordered: bool = True, session: AsyncClientSession | None = None
    ) -> BulkWriteResult:
        """Several writes in one message: pymongo's InsertOne, UpdateOne, UpdateMany, ReplaceOne, DeleteOne, DeleteMany.

        Nothing is sent when one of them is refused.
        """
        made = scoped_requests(self._tenant, requests)
        return await _answer(self._collection.bulk_write(made, ordered=ordered, session=session))

    async def watch(
        self,
        pipeline: Sequence[Mapping[str, Any]] = (),
        *,
        resume_after: Mapping[str, Any] | None = None,
        max_await_time_ms: int | None = None,
    ) -> AsyncIterator[Document]:
        """Changes of this tenant's documents as they happen, with the whole document as it is when it is read.

        Deletions are shown where the collection keeps images of what was before (``changeStreamPreAndPostImages``),
        as ``fullDocumentBeforeChange``; elsewhere a deletion does not tell whose document it was. The stream ends when
        the collection is dropped.
        """
        stages, token = watched_pipeline(self._tenant, pipeline), plain(resume_after)
        stream = await _answer(
            self._collection.watch(
                stages,
                full_document="updateLookup",
                full_document_before_change="whenAvailable",
                resume_after=token,
                max_await_time_ms=max_await_time_ms,
            )
        )
        async with stream:
            try:
                async for event in stream:
                    yield event
            except (ConnectionFailure, OperationFailure) as error:
                raise _translated(error) from error


@telling
class ScopedCursor:
    """Documents of one tenant, as they come. It gives out neither the collection nor the command behind it."""

    __slots__ = ("_cursor", "_refused")

    def __init__(
        self, cursor: AsyncCursor[Document] | AsyncCommandCursor[Document], refused: Refused | None = None
    ) -> None:
        self._cursor = cursor
        self._refused = refused

    async def __aiter__(self) -> AsyncIterator[Document]:
        try:
            async for document in self._cursor:
                yield document
        except (ConnectionFailure, OperationFailure) as error:
            raise _translated(error) from error

    async def to_list(self, length: int | None = None) -> list[Document]:
        """All documents, or the next ``length`` of them."""
        return await _answer(self._cursor.to_list(length))

    async def close(self) -> None:
        """Let the server forget the cursor."""
        await self._cursor.close()


async def _answer(sending: Awaitable[T]) -> T:
    try:
        return await sending
    except (ConnectionFailure, OperationFailure) as error:
        raise _translated(error) from error


def _translated(error: ConnectionFailure | OperationFailure) -> Exception:
    """Our own error where it is about the boundary or the connection, else the driver's as it is."""
    if isinstance(error, ConnectionFailure):
        return lost(error)
    said = str(error.details.get("errmsg") if error.details else error)
    # Who is not logged in any more was refused nothing of another tenant's: the login was ended since.
    ended = error.code == _UNAUTHORIZED and said.endswith("requires authentication")
    if ended or error.code == _AUTHENTICATION_FAILED:
        return Unavailable(
            "mongo.login_replaced",
            f"MongoDB does not take the login of this collection any more: {said}",
            "try again with a collection that the tenant's scope gives anew; where that is refused as well, bring the "
            "credentials file of the last rotation",
        )
    if error.code == _UNAUTHORIZED:
        return BoundaryViolation(
            "boundary.refused",
            f"MongoDB refused it to this tenant: {said}",
            "reach a tenant's data through that tenant's own scope",
        )
    return error
