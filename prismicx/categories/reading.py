"""Finding categories: one, its children, its subtree, its path, by name. Reference: `categories` Collection."""

from __future__ import annotations

import asyncio
import re
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

from pymongo.asynchronous.client_session import AsyncClientSession

from prismicx.categories.tree import children_of, depth_first
from prismicx.categories.values import (
    DEPTH_LIMIT,
    INVALID,
    NAME_LIMIT,
    Category,
    category_of,
    check_category_id,
    unknown_category,
)
from prismicx.checks import check_text
from prismicx.engines.scoped_documents import ScopedCollection
from prismicx.errors import InvalidInput, quoted
from prismicx.pages import Page, check_limit, cursor_of, key_of

OpenCollection = Callable[[], Awaitable[ScopedCollection]]
Document = dict[str, Any]


class CategoryReader:
    """Finds categories.

    Args:
        open_collection: finds the tenant's part of the collection.
    """

    def __init__(self, open_collection: OpenCollection) -> None:
        self._open_collection = open_collection

    async def get(self, category_id: uuid.UUID | str) -> Category:
        """A category by its id.

        Raises:
            InvalidInput: ``category.id_invalid``.
            NotFound: ``category.unknown``, also when it is another tenant's.
        """
        return await category_by_id(await self._open_collection(), category_id)

    async def children(
        self, parent_id: uuid.UUID | str | None = None, *, after: str | None = None, limit: int = 100
    ) -> Page[Category]:
        """The categories directly below another, or at the root, by name.

        Raises:
            InvalidInput: ``category.id_invalid``, ``page.cursor_invalid``, ``page.limit_invalid``.
            NotFound: ``category.unknown``.
        """
        size = check_limit(limit)
        collection = await self._open_collection()
        above = None if parent_id is None else (await category_by_id(collection, parent_id)).category_id
        wanted: Document = {"parent_id": above}
        if after is not None:
            (wanted["name"],) = ({"$gt": part} for part in key_of("children", after, str))
        rows = await collection.find(wanted, sort=[("name", 1)], limit=size + 1).to_list()
        items = [category_of(row) for row in rows[:size]]
        return Page(items, cursor_of("children", items[-1].name) if len(rows) > size else None)

    async def subtree(self, category_id: uuid.UUID | str | None = None, *, levels: int | None = None) -> list[Category]:
        """A category and everything below it, or the whole forest: each before its children, siblings by name.

        Args:
            levels: how many below the category are shown, or of the whole forest; all unless given.

        Raises:
            InvalidInput: ``category.id_invalid`` or ``category.invalid``.
            NotFound: ``category.unknown``.
        """
        if levels is not None and (not isinstance(levels, int) or isinstance(levels, bool) or levels < 1):
            raise InvalidInput(INVALID, f"levels are {quoted(levels)}", "give a whole number from 1 on")
        levels = levels and min(levels, DEPTH_LIMIT)
        collection = await self._open_collection()
        if category_id is None:
            whole = {} if levels is None else {f"ancestors.{levels - 1}": {"$exists": False}}
            children = children_of([category_of(row) async for row in collection.find(whole)])
            return depth_first(children, children.get(None, []))
        key = check_category_id(category_id)
        # Two reads side by side: one with $or would not use the indexes everywhere.
        top, rows = await asyncio.gather(category_by_id(collection, key), collection.find({"ancestors": key}).to_list())
        deepest = DEPTH_LIMIT if levels is None else len(top.ancestors) + levels
        below = [category_of(row) for row in rows]
        return depth_first(children_of([item for item in below if len(item.ancestors) <= deepest]), [top])

    async def path(self, category_id: uuid.UUID | str) -> list[Category]:
        """The categories from the root down to this one; errors as `get`."""
        collection = await self._open_collection()
        category = await category_by_id(collection, category_id)
        rows = await collection.find({"category_id": {"$in": list(category.ancestors)}}).to_list()
        above = {row["category_id"]: category_of(row) for row in rows}
        return [*(above[key] for key in category.ancestors if key in above), category]

    async def search(
        self, text: str, *, under: uuid.UUID | str | None = None, after: str | None = None, limit: int = 100
    ) -> Page[Category]:
        """Categories whose names hold a text, in capitals or small letters, in the order of names.

        Args:
            under: only those below this category.

        Raises:
            InvalidInput: ``category.invalid``, ``category.id_invalid``, ``page.cursor_invalid``,
                ``page.limit_invalid``.
            NotFound: ``category.unknown``.
        """
        size = check_limit(limit)
        collection = await self._open_collection()
        wanted: Document = {
            "name": {"$regex": re.escape(check_text(INVALID, "the text", text, NAME_LIMIT)), "$options": "i"}
        }
        if under is not None:
            wanted["ancestors"] = (await category_by_id(collection, under)).category_id
        if after is not None:
            name, key = key_of("categories", after, str, str)
            beyond = [{"name": {"$gt": name}}, {"name": name, "category_id": {"$gt": key}}]
            wanted = {"$and": [wanted, {"$or": beyond}]}
        rows = await collection.find(wanted, sort=[("name", 1), ("category_id", 1)], limit=size + 1).to_list()
        items = [category_of(row) for row in rows[:size]]
        last = items[-1] if len(rows) > size else None
        return Page(items, cursor_of("categories", last.name, last.category_id) if last else None)


async def category_by_id(
    collection: ScopedCollection, category_id: uuid.UUID | str, session: AsyncClientSession | None = None
) -> Category:
    """A category by its id, in a transaction or outside.

    Raises:
        InvalidInput: ``category.id_invalid``.
        NotFound: ``category.unknown``.
    """
    key = check_category_id(category_id)
    found = await collection.find_one({"category_id": key}, session=session)
    if found is None:
        raise unknown_category(key)
    return category_of(found)
