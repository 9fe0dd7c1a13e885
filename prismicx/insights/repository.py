"""What is known about the interests of the tenant's users. Reference: `user_insights` Collection.

User ids are those of `user_data.users`. That is in the other engine, so it is not asked whether there is such a user.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from pymongo.errors import DuplicateKeyError

from prismicx.audit.tracing import Trace, audited
from prismicx.checks import check_changes, check_moment
from prismicx.engines.scoped_documents import ScopedCollection
from prismicx.errors import Conflict, InvalidInput
from prismicx.insights.edits import (
    KEY_POINT,
    RESOURCE,
    SUBTOPIC,
    TOPIC,
    Edit,
    Kind,
    Place,
    adding,
    changing,
    removing,
    reordering,
    unknown,
)
from prismicx.insights.values import (
    INVALID,
    LINES_LIMIT,
    Profile,
    Subtopic,
    Summary,
    Topic,
    check_description,
    check_key,
    check_key_point,
    check_list,
    check_name,
    check_resource,
    check_user,
    new_id,
    profile_of,
    summary_of,
    topic_of,
)
from prismicx.pages import Page, check_limit, cursor_of, key_of, milliseconds_of, moment_at

_TRIES = 20

_TOPICS = Place(TOPIC)
_CHECKS: Mapping[str, Callable[[object], Any]] = {"name": check_name, "description": check_description}


class Insights:
    """Reads what is known of users, and edits it without undoing what others edit at the same time.

    Every edit raises InvalidInput (``user.id_invalid``, ``insight.id_invalid``) for ids that are none, NotFound where
    the user (``insight.unknown``), the topic (``insight.topic_unknown``) or the subtopic
    (``insight.subtopic_unknown``) is not there or another tenant's, and, where it adds, Conflict (``insight.full``)
    when there would be more than there may be.

    Args:
        open_collection: finds the tenant's part of the collection.
    """

    def __init__(self, open_collection: Callable[[], Awaitable[ScopedCollection]], trace: Trace) -> None:
        self._trace = trace
        self._open_collection = open_collection

    async def profile(self, user_id: str) -> Profile:
        """All that is known of a user, in one read.

        Raises:
            InvalidInput: ``user.id_invalid``.
            NotFound: ``insight.unknown``.
        """
        user = check_user(user_id)
        found = await (await self._open_collection()).find_one({"user_id": user})
        if found is None:
            raise unknown(user)
        return profile_of(found)

    @audited("insight.delete", subject="user_id")
    async def delete(self, user_id: str) -> None:
        """Forget all that is known of a user; errors as `profile`."""
        user = check_user(user_id)
        done = await (await self._open_collection()).delete_one({"user_id": user})
        if not done.deleted_count:
            raise unknown(user)

    async def list(self, *, after: str | None = None, limit: int = 100) -> Page[Summary]:
        """Of whom something is known, in the order of their ids.

        Raises:
            InvalidInput: ``page.cursor_invalid`` or ``page.limit_invalid``.
        """
        return await self._by_user("insights", {}, after, limit)

    async def users_by_topic(self, name: str, *, after: str | None = None, limit: int = 100) -> Page[Summary]:
        """The users that have a topic of this name, in the order of their ids.

        Raises:
            InvalidInput: ``insight.invalid``, ``page.cursor_invalid`` or ``page.limit_invalid``.
        """
        return await self._by_user("users by topic", {"topics.name": check_name(name)}, after, limit)

    async def changed_since(self, moment: datetime, *, after: str | None = None, limit: int = 100) -> Page[Summary]:
        """What changed at this time or later, the longest unchanged first. What was forgotten is not there to be told.

        Args:
            moment: aware.

        Raises:
            InvalidInput: ``insight.invalid``, ``page.cursor_invalid`` or ``page.limit_invalid``.
        """
        size = check_limit(limit)
        wanted: dict[str, Any] = {"updated_at": {"$gte": check_moment(INVALID, "since", moment)}}
        if after is not None:
            begin, user = key_of("changed insights", after, int, str)
            held = moment_at(begin)
            beyond = [{"updated_at": {"$gt": held}}, {"updated_at": held, "user_id": {"$gt": user}}]
            wanted = {"$and": [wanted, {"$or": beyond}]}
        order = [("updated_at", 1), ("user_id", 1)]
        return await self._page(
            wanted,
            order,
            size,
            lambda last: cursor_of("changed insights", milliseconds_of(last.updated_at), last.user_id),
        )

    async def add_topic(self, user_id: str, *, name: str, description: str | None = None) -> Topic:
        """Note that a user is interested in something; the first topic begins what is known of the user.

        Raises:
            InvalidInput: ``insight.invalid``.
            Conflict: ``insight.duplicate`` when the user has a topic of that name, ``insight.full``.
        """
        key = new_id()
        topic: dict[str, Any] = {"topic_id": key, "name": check_name(name), "subtopics": []}
        if check_description(description) is not None:
            topic["description"] = description
        return await self._edit(check_user(user_id), adding(_TOPICS, topic), key, begins=True)

    async def update_topic(self, user_id: str, topic_id: str, *, version: str | None = None, **changes: Any) -> Topic:
        """Change ``name`` or ``description`` of a topic; None takes the description away.

        Args:
            version: the ``version`` of the topic the changes were made to; without it the last writer wins.

        Raises:
            InvalidInput: ``insight.invalid``.
            Conflict: ``insight.changed`` when the topic has another version now, ``insight.duplicate``.
        """
        key = check_key("topic", topic_id)
        given = _changes(changes, "name", "description")
        return await self._edit(check_user(user_id), changing(_TOPICS, key, given, version=version), key)

    async def remove_topic(self, user_id: str, topic_id: str, *, version: str | None = None) -> None:
        """Remove a topic with all that is in it.

        Raises:
            Conflict: ``insight.changed`` when the topic has another version than the one that is given.
        """
        await self._apply(check_user(user_id), removing(_TOPICS, check_key("topic", topic_id), version=version), None)

    async def reorder_topics(self, user_id: str, order: Sequence[str]) -> None:
        """Put a user's topics into this order of their ids.

        Raises:
            InvalidInput: ``insight.invalid`` when one is missing, twice there or not the user's.
        """
        await self._apply(check_user(user_id), reordering(_TOPICS, _order(TOPIC, order)), None)

    async def add_subtopic(
        self,
        user_id: str,
        topic_id: str,
        *,
        name: str,
        key_points: Sequence[str] = (),
        resources: Sequence[str] = (),
    ) -> Subtopic:
        """Add a part to a topic.

        Raises:
            InvalidInput: ``insight.invalid``.
            Conflict: ``insight.duplicate`` when the topic has a subtopic of that name, ``insight.full``.
        """
        topic, key = check_key("topic", topic_id), new_id()
        content = {
            "key_points": check_list("key points", key_points, check_key_point, LINES_LIMIT),
            "resources": check_list("resources", resources, check_resource, LINES_LIMIT),
        }
        subtopic = {"subtopic_id": key, "name": check_name(name), "content": content}
        held = await self._edit(check_user(user_id), adding(Place(SUBTOPIC, (topic,)), subtopic), topic)
        return _subtopic(held, key)

    async def update_subtopic(
        self, user_id: str, topic_id: str, subtopic_id: str, *, version: str | None = None, **changes: Any
    ) -> Subtopic:
        """Change the ``name`` of a subtopic.

        Args:
            version: the ``version`` of the subtopic the change was made to; without it the last writer wins.

        Raises:
            InvalidInput: ``insight.invalid``.
            Conflict: ``insight.changed`` when the subtopic has another version now, ``insight.duplicate``.
        """
        topic, key = check_key("topic", topic_id), check_key("subtopic", subtopic_id)
        edit = changing(Place(SUBTOPIC, (topic,)), key, _changes(changes, "name"), version=version)
        return _subtopic(await self._edit(check_user(user_id), edit, topic), key)

    async def remove_subtopic(
        self, user_id: str, topic_id: str, subtopic_id: str, *, version: str | None = None
    ) -> Topic:
        """Remove a subtopic with all that is in it; the topic without it.

        Raises:
            Conflict: ``insight.changed`` when the subtopic has another version than the one that is given.
        """
        topic, key = check_key("topic", topic_id), check_key("subtopic", subtopic_id)
        edit = removing(Place(SUBTOPIC, (topic,)), key, version=version)
        return await self._edit(check_user(user_id), edit, topic)

    async def reorder_subtopics(self, user_id: str, topic_id: str, order: Sequence[str]) -> Topic:
        """Put a topic's subtopics into this order of their ids.

        Raises:
            InvalidInput: ``insight.invalid`` when one is missing, twice there or not the topic's.
        """
        topic = check_key("topic", topic_id)
        edit = reordering(Place(SUBTOPIC, (topic,)), _order(SUBTOPIC, order))
        return await self._edit(check_user(user_id), edit, topic)

    async def add_key_point(self, user_id: str, topic_id: str, subtopic_id: str, text: str) -> Subtopic:
        """Add a key point to a subtopic.

        Raises:
            InvalidInput: ``insight.invalid``.
            Conflict: ``insight.duplicate`` when the subtopic has it, ``insight.full``.
        """
        place = _within(KEY_POINT, topic_id, subtopic_id)
        return await self._line(user_id, adding(place, check_key_point(text)))

    async def change_key_point(self, user_id: str, topic_id: str, subtopic_id: str, text: str, new: str) -> Subtopic:
        """Put another text in the place of a key point.

        Raises:
            InvalidInput: ``insight.invalid``.
            NotFound: ``insight.text_unknown``, also when somebody else changed it meanwhile.
            Conflict: ``insight.duplicate`` when the subtopic has the new one.
        """
        place = _within(KEY_POINT, topic_id, subtopic_id)
        return await self._line(user_id, changing(place, check_key_point(text), check_key_point(new)))

    async def remove_key_point(self, user_id: str, topic_id: str, subtopic_id: str, text: str) -> Subtopic:
        """Remove a key point.

        Raises:
            InvalidInput: ``insight.invalid``.
            NotFound: ``insight.text_unknown``.
        """
        place = _within(KEY_POINT, topic_id, subtopic_id)
        return await self._line(user_id, removing(place, check_key_point(text)))

    async def reorder_key_points(self, user_id: str, topic_id: str, subtopic_id: str, order: Sequence[str]) -> Subtopic:
        """Put a subtopic's key points into this order.

        Raises:
            InvalidInput: ``insight.invalid`` when one is missing, twice there or not the subtopic's.
        """
        place = _within(KEY_POINT, topic_id, subtopic_id)
        return await self._line(user_id, reordering(place, _order(KEY_POINT, order)))

    async def add_resource(self, user_id: str, topic_id: str, subtopic_id: str, url: str) -> Subtopic:
        """Add a resource to a subtopic; errors as `add_key_point`."""
        place = _within(RESOURCE, topic_id, subtopic_id)
        return await self._line(user_id, adding(place, check_resource(url)))

    async def change_resource(self, user_id: str, topic_id: str, subtopic_id: str, url: str, new: str) -> Subtopic:
        """Put another URL in the place of a resource; errors as `change_key_point`."""
        place = _within(RESOURCE, topic_id, subtopic_id)
        return await self._line(user_id, changing(place, check_resource(url), check_resource(new)))

    async def remove_resource(self, user_id: str, topic_id: str, subtopic_id: str, url: str) -> Subtopic:
        """Remove a resource; errors as `remove_key_point`."""
        place = _within(RESOURCE, topic_id, subtopic_id)
        return await self._line(user_id, removing(place, check_resource(url)))

    async def reorder_resources(self, user_id: str, topic_id: str, subtopic_id: str, order: Sequence[str]) -> Subtopic:
        """Put a subtopic's resources into this order; errors as `reorder_key_points`."""
        place = _within(RESOURCE, topic_id, subtopic_id)
        return await self._line(user_id, reordering(place, _order(RESOURCE, order)))

    async def _line(self, user_id: str, edit: Edit) -> Subtopic:
        """Make an edit within a subtopic; the subtopic as it is then."""
        topic, subtopic = edit.place.holders
        return _subtopic(await self._edit(check_user(user_id), edit, topic), subtopic)

    async def _edit(self, user: str, edit: Edit, topic_id: str, *, begins: bool = False) -> Topic:
        """Make an edit; the topic it was made to, as it is then."""
        shown = {"topics": {"$elemMatch": {"topic_id": topic_id}}}
        (part,) = (await self._apply(user, edit, shown, begins=begins))["topics"]
        return topic_of(part)

    async def _apply(
        self, user: str, edit: Edit, shown: Mapping[str, Any] | None, *, begins: bool = False
    ) -> dict[str, Any]:
        collection = await self._open_collection()
        projection = shown or {"user_id": 1}
        for _ in range(_TRIES):
            done = await collection.find_one_and_update(
                edit.filter(user), edit.update(), projection=projection, return_document=True
            )
            if done is not None:
                return done
            held = await collection.find_one({"user_id": user})
            if held is None and begins:
                # The filter finds nothing, so a document is made, or another writer's is in the way.
                fresh = {"user_id": user, "created_at": {"$exists": False}}
                try:
                    done = await collection.find_one_and_update(
                        fresh, edit.update(), projection=projection, upsert=True, return_document=True
                    )
                except DuplicateKeyError:
                    continue
                if done is not None:
                    return done
            elif refusal := edit.refusal(user, held):
                raise refusal
        raise Conflict("insight.busy", f"what is known of the user {user} is being changed all the time", "try again")

    async def _by_user(self, kind: str, wanted: dict[str, Any], after: str | None, limit: int) -> Page[Summary]:
        size = check_limit(limit)
        if after is not None:
            wanted["user_id"] = {"$gt": key_of(kind, after, str)[0]}
        return await self._page(wanted, [("user_id", 1)], size, lambda last: cursor_of(kind, last.user_id))

    async def _page(
        self,
        wanted: Mapping[str, Any],
        order: Sequence[tuple[str, int]],
        size: int,
        cursor: Callable[[Summary], str],
    ) -> Page[Summary]:
        collection = await self._open_collection()
        rows = await collection.find(wanted, {"topics": 0}, sort=order, limit=size + 1).to_list()
        items = [summary_of(row) for row in rows[:size]]
        return Page(items, cursor(items[-1]) if len(rows) > size else None)


def _changes(given: Mapping[str, Any], *known: str) -> dict[str, Any]:
    check_changes(INVALID, given, known)
    return {field: _CHECKS[field](value) for field, value in given.items()}


def _order(kind: Kind, order: object) -> Sequence[str]:
    checks = {TOPIC: _id_of("topic"), SUBTOPIC: _id_of("subtopic"), KEY_POINT: check_key_point}
    keys = check_list(f"the {kind.noun}s of the order", order, checks.get(kind, check_resource), kind.most)
    if not keys:
        raise InvalidInput(INVALID, "the order is empty", f"name each {kind.noun} once")
    return keys


def _within(kind: Kind, topic_id: object, subtopic_id: object) -> Place:
    return Place(kind, (check_key("topic", topic_id), check_key("subtopic", subtopic_id)))


def _id_of(noun: str) -> Callable[[object], str]:
    return lambda value: check_key(noun, value)


def _subtopic(topic: Topic, key: str) -> Subtopic:
    return next(subtopic for subtopic in topic.subtopics if subtopic.subtopic_id == key)
