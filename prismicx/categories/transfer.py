"""Whole trees at once, from and to files. Reference: `categories` Collection."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any, TextIO

from pymongo.asynchronous.client_session import AsyncClientSession

from prismicx.audit.tracing import Trace, audited
from prismicx.categories.comparison import Comparison, compare
from prismicx.categories.editing import new_document
from prismicx.categories.forms import FILE_LIMIT, INVALID, Format, Node, parse, write
from prismicx.categories.reading import OpenCollection, category_by_id
from prismicx.categories.repository import Categories
from prismicx.categories.values import Category, CategoryValues, category_of
from prismicx.checks import check_file
from prismicx.clock import utc_milliseconds
from prismicx.engines.mongo import update_of
from prismicx.engines.scoped_documents import ScopedCollection

_BATCH = 1_000


class CategoryTransfer:
    """Reads and writes the categories of one tenant.

    Args:
        categories: makes the changes of the tree, one at a time.
        open_collection: finds the tenant's part of the collection.
    """

    def __init__(self, categories: Categories, open_collection: OpenCollection, trace: Trace) -> None:
        self._trace = trace
        self._categories = categories
        self._open_collection = open_collection

    async def diff(
        self, source: TextIO, format: Format | None = None, *, under: uuid.UUID | str | None = None, prune: bool = False
    ) -> Comparison:
        """What `read` would change; arguments and errors are its."""
        nodes = parse(check_file(INVALID, source, FILE_LIMIT), format)
        found, _ = await _compared(await self._open_collection(), None, nodes, under, prune)
        return found

    @audited("category.import")
    async def read(
        self,
        source: TextIO,
        format: Format | None = None,
        *,
        under: uuid.UUID | str | None = None,
        prune: bool = False,
        progress: Callable[[int], None] = lambda _: None,
    ) -> Comparison:
        """Make the tree what a file says, all of it or nothing, in one transaction.

        A category that is there keeps its id. It is found by what the file calls it, else by its name and place.

        Args:
            format: ``json``, ``csv`` or ``iab``; found out by looking unless given.
            under: the category below which the file's tree comes; at the root unless given.
            prune: remove what the file does not have.
            progress: told how many categories were written so far.

        Raises:
            InvalidInput: ``category.file_invalid``, ``category.too_deep``, ``category.id_invalid``.
            NotFound: ``category.unknown``.
            Conflict: ``category.name_taken``, ``documents.busy``.
        """
        nodes = parse(check_file(INVALID, source, FILE_LIMIT), format)

        async def work(collection: ScopedCollection, session: AsyncClientSession) -> Comparison:
            found, held = await _compared(collection, session, nodes, under, prune)
            await _apply(collection, session, found, held, progress)
            return found

        return await self._categories.restructure(work)

    @audited("category.export", told=lambda count: {"count": count})
    async def write(self, target: TextIO, format: Format, *, under: uuid.UUID | str | None = None) -> int:
        """Write a category and everything below it, or all; how many there were.

        Raises:
            InvalidInput: ``category.too_deep`` when the IAB form has no tier for one, ``category.id_invalid``.
            NotFound: ``category.unknown``.
        """
        categories = await self._categories.subtree(under)
        target.write(write(categories, format))
        return len(categories)


async def _compared(
    collection: ScopedCollection,
    session: AsyncClientSession | None,
    nodes: list[Node],
    under: uuid.UUID | str | None,
    prune: bool,
) -> tuple[Comparison, dict[str, Category]]:
    top = None if under is None else await category_by_id(collection, under, session)
    names: tuple[str, ...] = ()
    wanted: dict[str, Any] = {}
    if top is not None:
        above = await collection.find({"category_id": {"$in": list(top.ancestors)}}, session=session).to_list()
        known = {row["category_id"]: row["name"] for row in above}
        names = (*(known[key] for key in top.ancestors if key in known), top.name)
        wanted = {"ancestors": top.category_id}
    existing = [category_of(row) async for row in collection.find(wanted, session=session)]
    return compare(existing, nodes, top, names, prune), {item.category_id: item for item in existing}


async def _apply(
    collection: ScopedCollection,
    session: AsyncClientSession,
    found: Comparison,
    held: dict[str, Category],
    progress: Callable[[int], None],
) -> None:
    done = 0
    for begin in range(0, len(found.deletes), _BATCH):
        gone = {"category_id": {"$in": found.deletes[begin : begin + _BATCH]}}
        await collection.delete_many(gone, session=session)
    for key, fields in found.updates.items():
        own = {} if fields.keys() == {"ancestors"} else {"updated_at": utc_milliseconds(after=held[key].changed_at)}
        await collection.update_one({"category_id": key}, update_of({**fields, **own}), session=session)
        done += 1
        progress(done)
    for begin in range(0, len(found.inserts), _BATCH):
        batch = [_document(*item) for item in found.inserts[begin : begin + _BATCH]]
        await collection.insert_many(batch, session=session)
        done += len(batch)
        progress(done)


def _document(key: str, node: Node, ancestors: tuple[str, ...]) -> dict[str, Any]:
    values = CategoryValues(node.name, node.description, node.attributes or ())
    return new_document(values, ancestors, category_id=key, source_id=node.key)
