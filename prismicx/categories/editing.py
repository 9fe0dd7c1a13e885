"""Changing categories, one change of a tenant's tree at a time.

Moving A below B while B moves below A would make a cycle, though neither transaction sees the other's. So every change
of the tree also changes one document of the tenant, and of two at once the engine lets one wait. Names of siblings are
compared within such a change, too.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Callable, Coroutine, Iterable, Sequence
from typing import Any, TypeVar

from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.errors import DuplicateKeyError

from prismicx.audit.tracing import Trace
from prismicx.categories.reading import CategoryReader, Document, OpenCollection, category_by_id
from prismicx.categories.values import (
    INVALID,
    Attribute,
    AttributeType,
    Category,
    CategoryValues,
    attributes_of,
    category_of,
    check_category_id,
    name_taken,
    unknown_category,
)
from prismicx.clock import give_way, utc_milliseconds
from prismicx.engines.mongo import update_of
from prismicx.engines.scoped_documents import ScopedCollection
from prismicx.engines.transactions import in_transaction
from prismicx.errors import Conflict, InvalidInput, NotFound, quoted
from prismicx.versions import stale

T = TypeVar("T")

Work = Callable[[ScopedCollection, AsyncClientSession], Coroutine[Any, Any, T]]

log = logging.getLogger("prismicx.categories")

_TRIES = 30
_QUIET = 2.0
"""Seconds for which a change waits for its turn without a word."""
_CHANGEABLE = {"name", "description", "attributes"}
_UNCHANGED = {"name": "-"}
"""What stands for values that stay: they are not checked again, as others may have written what breaks the rules."""


class _TreeBegun(Exception):
    """Another transaction made the tree's document meanwhile."""


class CategoryEditor(CategoryReader):
    """Changes what a category says of itself; its place stays.

    Args:
        open_collection: finds the tenant's part of the collection.
        open_trees: finds the document that every change of the tenant's tree changes too.
    """

    def __init__(self, open_collection: OpenCollection, open_trees: OpenCollection, trace: Trace) -> None:
        self._trace = trace
        super().__init__(open_collection)
        self._open_trees = open_trees

    async def update(self, category_id: uuid.UUID | str, *, version: str | None = None, **changes: Any) -> Category:
        """Change ``name``, ``description`` (None takes it away) or ``attributes``.

        Args:
            version: of the category the changes were made to; without it the last writer wins.

        Raises:
            InvalidInput: ``category.invalid`` or ``category.id_invalid``.
            NotFound: ``category.unknown``.
            Conflict: ``category.changed`` when it has another version now, ``category.name_taken``.
        """
        unknown = sorted(changes.keys() - _CHANGEABLE)
        if unknown:
            raise InvalidInput(
                INVALID,
                f"{quoted(unknown[0])} cannot be changed",
                f"changes are of {', '.join(sorted(_CHANGEABLE))}; move changes the parent",
            )

        given = {**changes}
        if "attributes" in given:
            given["attributes"] = attributes_of(given["attributes"])
        values = CategoryValues(**{**_UNCHANGED, **given})
        stored = values.stored()

        def changed(_document: Document) -> Document:
            return {name: stored.get(name) for name in given}

        if "name" not in changes:
            return await self._edit(category_id, version, changed)

        async def work(collection: ScopedCollection, session: AsyncClientSession) -> Category:
            category = await category_by_id(collection, category_id, session)
            await check_name(collection, session, values.name, category.parent_id, category.category_id)
            return await _edited(collection, session, category_id, version, changed)

        return await self.restructure(work)

    async def rename(self, category_id: uuid.UUID | str, name: str, *, version: str | None = None) -> Category:
        """Give a category another name; errors as `update`."""
        return await self.update(category_id, version=version, name=name)

    async def describe(
        self, category_id: uuid.UUID | str, description: str | None, *, version: str | None = None
    ) -> Category:
        """Say what belongs in a category; errors as `update`."""
        return await self.update(category_id, version=version, description=description)

    async def set_attribute(
        self,
        category_id: uuid.UUID | str,
        name: str,
        value: str | float | bool | None = None,
        *,
        type: AttributeType | None = None,
    ) -> Category:
        """Add an attribute, or give the one of that name another value; others stay, whoever changes them meanwhile.

        Args:
            type: ``text``, ``number``, ``boolean`` or ``date``; unless given that of the attribute which is there,
                else that of the value.

        Raises:
            InvalidInput: ``category.invalid`` or ``category.id_invalid``.
            NotFound: ``category.unknown``.
        """
        given = {"name": name, "value": value}
        attributes_of([given if type is None else {**given, "type": type}])

        def changed(document: Document) -> Document:
            declared = {item.name: item.type for item in category_of(document).attributes}
            kind = declared.get(name) if type is None else type
            (attribute,) = attributes_of([given if kind is None else {**given, "type": kind}])
            held = list(document.get("attributes", ()))
            places = [place for place, item in enumerate(held) if item.get("name") == name]
            if places:
                held[places[0]] = attribute.stored()
            else:
                held.append(attribute.stored())
            CategoryValues(**_UNCHANGED, attributes=tuple(Attribute(str(place)) for place in range(len(held))))
            return {"attributes": held}

        return await self._edit(category_id, None, changed)

    async def remove_attribute(self, category_id: uuid.UUID | str, name: str) -> Category:
        """Take an attribute away.

        Raises:
            InvalidInput: ``category.id_invalid``.
            NotFound: ``category.unknown`` or ``attribute.unknown``.
        """

        def changed(document: Document) -> Document:
            held = document.get("attributes", ())
            left = [item for item in held if item.get("name") != name]
            if len(left) == len(held):
                raise NotFound(
                    "attribute.unknown",
                    f"the category has no attribute {quoted(name)}",
                    "prismicx category show lists them",
                )
            return {"attributes": left or None}

        return await self._edit(category_id, None, changed)

    async def _edit(
        self, category_id: uuid.UUID | str, version: str | None, changed: Callable[[Document], Document]
    ) -> Category:
        return await _edited(await self._open_collection(), None, category_id, version, changed)

    async def restructure(self, work: Work[T]) -> T:
        """Run a change of the tree in a transaction, while no other change of the tenant's tree is under way. Where
        it has to wait for that, the log says so.

        Raises:
            Conflict: ``documents.busy``.
            Unavailable: ``mongo.lost``.
        """
        collection, trees = await self._open_collection(), await self._open_trees()
        waiting = asyncio.get_running_loop().call_later(_QUIET, _tell_of_waiting, self._trace.tenant_id)

        async def run(session: AsyncClientSession) -> T:
            try:
                await trees.update_one({}, {"$inc": {"changes": 1}}, upsert=True, session=session)
            except DuplicateKeyError as error:
                raise _TreeBegun from error
            waiting.cancel()
            return await work(collection, session)

        try:
            return await in_transaction(collection, run)
        except _TreeBegun:
            return await in_transaction(collection, run)
        finally:
            waiting.cancel()


def _tell_of_waiting(tenant_id: str | None) -> None:
    # Whoever holds the turn may be dead: only the server knows, and it waits for a while.
    log.warning(
        "waiting for another change of the category trees of %s; one that was killed is given up by MongoDB after its "
        "transactionLifetimeLimitSeconds, 60 unless set",
        tenant_id,
    )


async def _edited(
    collection: ScopedCollection,
    session: AsyncClientSession | None,
    category_id: uuid.UUID | str,
    version: str | None,
    changed: Callable[[Document], Document],
) -> Category:
    """Write what `changed` makes of the document as it is; None takes a field away."""
    key = check_category_id(category_id)
    for attempt in range(_TRIES):
        document = await collection.find_one({"category_id": key}, session=session)
        if document is None:
            raise unknown_category(key)
        held = category_of(document)
        if version not in (None, held.version):
            raise Conflict("category.changed", *stale(f"the category {key}", held.version, version))
        update = update_of({**changed(document), "updated_at": utc_milliseconds(after=held.changed_at)})
        unchanged = {"category_id": key, "updated_at": held.updated_at}
        done = await collection.update_one(unchanged, update, session=session)
        if done.matched_count:
            return await category_by_id(collection, key, session)
        await give_way(attempt)
    raise Conflict("documents.busy", f"the category {key} is being changed by others all the time", "try again")


async def check_name(
    collection: ScopedCollection,
    session: AsyncClientSession,
    name: str,
    parent_id: str | None,
    category_id: str | None = None,
) -> None:
    """See, within a change of the tree, that no other category below the parent has the name.

    Raises:
        Conflict: ``category.name_taken``.
    """
    wanted = {"parent_id": parent_id, "name": name, "category_id": {"$ne": category_id}}
    if await collection.find_one(wanted, {"_id": 1}, session=session) is not None:
        raise name_taken(name, parent_id)


async def check_names(
    collection: ScopedCollection, session: AsyncClientSession, siblings: Sequence[Category], parent_id: str | None
) -> None:
    """See, within a change of the tree, that categories can be below the parent together.

    Raises:
        Conflict: ``category.name_taken``.
    """
    names = [category.name for category in siblings]
    twice = next((name for place, name in enumerate(names) if name in names[:place]), None)
    if twice is not None:
        raise name_taken(twice, parent_id)
    wanted = {"parent_id": parent_id, "name": {"$in": names}, "category_id": {"$nin": ids_of(siblings)}}
    taken = await collection.find_one(wanted, {"name": 1}, session=session)
    if taken is not None:
        raise name_taken(taken["name"], parent_id)


def new_document(
    values: CategoryValues, ancestors: Sequence[str], *, category_id: str | None = None, source_id: str | None = None
) -> Document:
    """A category to insert below the last of its ancestors, or at the root."""
    moment = utc_milliseconds()
    return {
        "category_id": category_id or str(uuid.uuid4()),
        **values.stored(),
        **({"parent_id": ancestors[-1]} if ancestors else {}),
        **({} if source_id is None else {"source_id": source_id}),
        "ancestors": list(ancestors),
        "created_at": moment,
        "updated_at": moment,
    }


def ids_of(categories: Iterable[Category]) -> list[str]:
    """The ids of categories."""
    return [category.category_id for category in categories]
