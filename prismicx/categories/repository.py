"""The categories of the tenant whose scope gave this out. Reference: `categories` Collection."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any, Literal, get_args

from pymongo.asynchronous.client_session import AsyncClientSession

from prismicx.audit.tracing import audited
from prismicx.categories.editing import CategoryEditor, check_name, check_names, ids_of, new_document
from prismicx.categories.reading import category_by_id
from prismicx.categories.tree import Problem, children_of, merged, problems_of, true_ancestors
from prismicx.categories.values import (
    DEPTH_LIMIT,
    Attribute,
    Category,
    CategoryValues,
    attributes_of,
    category_of,
    too_deep,
)
from prismicx.clock import utc_milliseconds
from prismicx.engines.mongo import update_of
from prismicx.engines.scoped_documents import ScopedCollection
from prismicx.errors import Conflict, InvalidInput, quoted

OfChildren = Literal["refuse", "cascade", "reparent"]
OF_CHILDREN: tuple[OfChildren, ...] = get_args(OfChildren)


class Categories(CategoryEditor):
    """Makes, finds, changes, moves, merges and deletes categories."""

    async def create(
        self,
        name: str,
        *,
        parent_id: uuid.UUID | str | None = None,
        description: str | None = None,
        attributes: Sequence[Attribute] = (),
    ) -> Category:
        """Make a category below another, or at the root.

        Raises:
            InvalidInput: ``category.invalid``, ``category.id_invalid`` or ``category.too_deep``.
            NotFound: ``category.unknown`` when there is no such parent.
            Conflict: ``category.name_taken``.
        """
        values = CategoryValues(name, description, attributes_of(attributes))

        async def work(collection: ScopedCollection, session: AsyncClientSession) -> Category:
            parent = None if parent_id is None else await category_by_id(collection, parent_id, session)
            above = () if parent is None else (*parent.ancestors, parent.category_id)
            if len(above) >= DEPTH_LIMIT:
                raise too_deep(name)
            await check_name(collection, session, name, above[-1] if above else None)
            document = new_document(values, above)
            await collection.insert_one(document, session=session)
            return category_of(document)

        return await self.restructure(work)

    @audited("category.move", subject="category_id")
    async def move(self, category_id: uuid.UUID | str, parent_id: uuid.UUID | str | None) -> Category:
        """Bring a category with everything below it below another, or to the root.

        Raises:
            InvalidInput: ``category.id_invalid`` or ``category.too_deep``.
            NotFound: ``category.unknown``.
            Conflict: ``category.cycle`` when it would be below itself, ``category.name_taken``.
        """

        async def work(collection: ScopedCollection, session: AsyncClientSession) -> Category:
            category = await category_by_id(collection, category_id, session)
            parent = None if parent_id is None else await category_by_id(collection, parent_id, session)
            await _place(collection, session, [category], parent)
            return await category_by_id(collection, category_id, session)

        return await self.restructure(work)

    @audited("category.merge", subject="source_id")
    async def merge(self, source_id: uuid.UUID | str, target_id: uuid.UUID | str) -> Category:
        """Make one category of two: the children of the source become children of the target; those of equal names
        are merged in the same way. The target keeps its name and description, and gets the description and the
        attributes that only the source had. The source is no more.

        Raises:
            InvalidInput: ``category.id_invalid`` or ``category.too_deep``.
            NotFound: ``category.unknown``.
            Conflict: ``category.cycle`` when the target is the source, or below it.
        """

        async def work(collection: ScopedCollection, session: AsyncClientSession) -> Category:
            source = await category_by_id(collection, source_id, session)
            target = await category_by_id(collection, target_id, session)
            _check_no_cycle(source, target)
            within: dict[str, Any] = {"ancestors": {"$in": ids_of([source, target])}}
            below = [category_of(row) async for row in collection.find(within, session=session)]
            plan = merged(children_of(below), source, target)
            await collection.delete_many({"category_id": {"$in": plan.deletes}}, session=session)
            for old, new in plan.gains:
                gained = _gained(old, new)
                if gained:
                    await collection.update_one({"category_id": new.category_id}, gained, session=session)
            for parent_key, siblings in plan.moves:
                parent = await category_by_id(collection, parent_key, session)
                await _place(collection, session, siblings, parent)
            return await category_by_id(collection, target_id, session)

        return await self.restructure(work)

    @audited("category.delete", subject="category_id", told=lambda count: {"count": count})
    async def delete(self, category_id: uuid.UUID | str, *, children: OfChildren = "refuse") -> int:
        """Remove a category; how many are gone.

        Args:
            children: what becomes of those below it: ``refuse`` removes nothing when there are any, ``cascade``
                removes them all, ``reparent`` brings its children to where it was.

        Raises:
            InvalidInput: ``category.invalid``, ``category.id_invalid``.
            NotFound: ``category.unknown``.
            Conflict: ``category.has_children``, ``category.name_taken``.
        """
        if children not in OF_CHILDREN:
            raise InvalidInput(
                "category.invalid", f"children is {quoted(children)}", f"use one of {', '.join(OF_CHILDREN)}"
            )

        async def work(collection: ScopedCollection, session: AsyncClientSession) -> int:
            category = await category_by_id(collection, category_id, session)
            directly = {"parent_id": category.category_id}
            below = [category_of(row) async for row in collection.find(directly, session=session)]
            if below and children == "refuse":
                raise Conflict(
                    "category.has_children",
                    f"{quoted(category.name)} has {len(below)} categories directly below it",
                    "say what becomes of them: cascade removes all below it, reparent keeps them",
                )
            await collection.delete_one({"category_id": category.category_id}, session=session)
            if children == "cascade":
                gone = await collection.delete_many({"ancestors": category.category_id}, session=session)
                return 1 + gone.deleted_count
            above = None
            if category.parent_id is not None:
                above = await category_by_id(collection, category.parent_id, session)
            if below:
                await _place(collection, session, below, above)
            return 1

        return await self.restructure(work)

    @audited("category.repair", given=("repair",), told=lambda problems: {"count": len(problems)})
    async def check(self, *, repair: bool = False) -> list[Problem]:
        """What is wrong with the tree. The operations here leave nothing wrong; documents that were written around
        them may.

        Args:
            repair: give every category the ancestors that its parents say. The rest stays: `move`, `rename` and
                `merge` mend it, once somebody decided how.
        """

        async def work(collection: ScopedCollection, session: AsyncClientSession) -> list[Problem]:
            categories = [category_of(row) async for row in collection.find(session=session)]
            problems, ancestors = problems_of(categories), true_ancestors(categories)
            for problem in problems if repair else ():
                path = ancestors[problem.category_id]
                if path is not None:
                    change = {"$set": {"ancestors": list(path)}}
                    await collection.update_one({"category_id": problem.category_id}, change, session=session)
            return [problem for problem in problems if not repair or problem.kind != "path"]

        return await self.restructure(work)


def _check_no_cycle(category: Category, parent: Category) -> None:
    if category.category_id in (parent.category_id, *parent.ancestors):
        where = "itself" if category == parent else f"{quoted(parent.name)}, which is below it"
        raise Conflict(
            "category.cycle", f"{quoted(category.name)} cannot come below {where}", "name a category outside it"
        )


async def _place(
    collection: ScopedCollection, session: AsyncClientSession, siblings: Sequence[Category], parent: Category | None
) -> None:
    """Bring siblings below a parent, and give everything below them the ancestors it then has."""
    above: list[str] = []
    if parent is not None:
        for category in siblings:
            _check_no_cycle(category, parent)
        above = [*parent.ancestors, parent.category_id]
    keys, parent_id = ids_of(siblings), above[-1] if above else None
    is_one = {"$in": ["$$this", {"$literal": keys}]}
    position = {"$indexOfArray": [{"$map": {"input": "$ancestors", "in": is_one}}, True]}
    deepest = await collection.aggregate(
        [
            {"$match": {"ancestors": {"$in": keys}}},
            {"$project": {"size": {"$size": "$ancestors"}, "key": {"$arrayElemAt": ["$ancestors", position]}}},
            {"$group": {"_id": "$key", "most": {"$max": "$size"}}},
        ],
        session=session,
    )
    most = {row["_id"]: row["most"] async for row in deepest}
    for category in siblings:
        here = len(category.ancestors)
        if len(above) + most.get(category.category_id, here) - here >= DEPTH_LIMIT:
            raise too_deep(category.name)
    await check_names(collection, session, siblings, parent_id)
    moment = utc_milliseconds(after=max(category.changed_at for category in siblings))
    moved = update_of({"parent_id": parent_id, "ancestors": above, "updated_at": moment})
    await collection.update_many({"category_id": {"$in": keys}}, moved, session=session)
    if most:
        kept = {"$slice": ["$ancestors", position, DEPTH_LIMIT]}
        rewritten = {"$concatArrays": [{"$literal": above}, kept]}
        await collection.update_many(
            {"ancestors": {"$in": keys}}, [{"$set": {"ancestors": rewritten}}], session=session
        )


def _gained(old: Category, new: Category) -> dict[str, Any]:
    """The update that gives a category what it lacks of one that is merged into it; empty when there is nothing."""
    names = {attribute.name for attribute in new.attributes}
    more = tuple(attribute for attribute in old.attributes if attribute.name not in names)
    CategoryValues(new.name, None, (*new.attributes, *more))
    described = new.description is None and old.description is not None
    if not more and not described:
        return {}
    fields = {
        "updated_at": utc_milliseconds(after=new.changed_at),
        **({"description": old.description} if described else {}),
    }
    return {"$set": fields, "$push": {"attributes": {"$each": [attribute.stored() for attribute in more]}}}
