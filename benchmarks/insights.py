"""Edits of one user's insights by 16 writers at once, against raw updates that check nothing and keep no scores."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from itertools import count
from typing import Any

from benchmarks.measure import Claim, Figure, in_turns
from prismicx.clock import utc_milliseconds
from prismicx.engines.endpoints import locate
from prismicx.insights.repository import Insights
from prismicx.insights.values import Profile
from prismicx.platform import Platform
from prismicx.settings import Settings

WRITERS = 16
TOPICS = 48
"""Added to one user in a turn, three by each writer: a user may have 50."""
KEY_POINTS = 480
"""Added to one user in a turn, 30 by each writer to a subtopic of its own."""


async def measure(settings: Settings, quick: bool) -> Claim:
    """Topics added to a user without any, and key points to one with 16 subtopics, a new user in each turn."""
    platform = Platform(settings, locate(settings))
    turns = 3 if quick else 15
    await platform.tenants.create("curious", name="Curious", isolation="shared")
    try:
        async with platform.tenant("curious") as tenant:
            collection = await tenant.collection("user_insights")
            raw_collection: Any = collection._collection
            figures = await _adding(tenant.insights, raw_collection, turns)
            figures += await _filling(tenant.insights, raw_collection, turns)
    finally:
        await platform.close()
    ratio = _ratio(figures[3], figures[2])
    return Claim(
        f"Insights of one user, edited by {WRITERS} writers at once",
        figures[0].name,
        figures,
        {},
        [
            f"`add_key_point` against the raw update with array filters: {ratio:.2f}. The raw updates check neither "
            "names nor bounds, keep no scores and give nothing back. No edit was lost in any turn."
        ],
    )


async def _adding(insights: Insights, raw: Any, turns: int) -> list[Figure]:
    user = ""
    numbers = count()

    async def begin() -> None:
        nonlocal user
        await _see_that_none_is_lost(insights, user, lambda profile: len(profile.topics), TOPICS)
        user = str(uuid.uuid4())
        moment = utc_milliseconds()
        document = {"user_id": user, "tenant_id": "curious", "topics": [], "created_at": moment, "updated_at": moment}
        await raw.insert_one(document)

    async def push() -> None:
        moment = utc_milliseconds()
        topic = {"topic_id": str(uuid.uuid4()), "name": f"t{next(numbers)}", "subtopics": [], "created_at": moment,
                 "updated_at": moment}  # fmt: skip
        await raw.update_one(
            {"user_id": user, "tenant_id": "curious"}, {"$push": {"topics": topic}, "$set": {"updated_at": moment}}
        )

    async def add() -> None:
        await insights.add_topic(user, name=f"t{next(numbers)}")

    figures = await in_turns(
        {"raw update_one with $push": push, "add_topic": add},
        operations=TOPICS, tasks=WRITERS, turns=turns, before=begin,
    )  # fmt: skip
    await begin()
    return figures


async def _filling(insights: Insights, raw: Any, turns: int) -> list[Figure]:
    user = ""
    places: list[tuple[str, str]] = []
    numbers = count()

    async def begin() -> None:
        nonlocal user
        await _see_that_none_is_lost(insights, user, _key_points, KEY_POINTS)
        user = str(uuid.uuid4())
        places.clear()
        for number in range(WRITERS):
            topic = (await insights.add_topic(user, name=f"t{number}", description="about it")).topic_id
            places.append((topic, (await insights.add_subtopic(user, topic, name="s")).subtopic_id))

    def next_one() -> tuple[str, str, str]:
        number = next(numbers)
        return *places[number % WRITERS], f"something worth knowing: {number}"

    async def array_filters() -> None:
        topic, part, text = next_one()
        path = "topics.$[topic].subtopics.$[part]"
        moment = utc_milliseconds()
        times = {"updated_at": moment, "topics.$[topic].updated_at": moment, f"{path}.updated_at": moment}
        await raw.update_one(
            {"user_id": user, "tenant_id": "curious"},
            {"$push": {f"{path}.content.key_points": text}, "$set": times},
            array_filters=[{"topic.topic_id": topic}, {"part.subtopic_id": part}],
        )

    async def add() -> None:
        await insights.add_key_point(user, *next_one())

    figures = await in_turns(
        {"raw update_one with array filters": array_filters, "add_key_point": add},
        operations=KEY_POINTS, tasks=WRITERS, turns=turns, before=begin,
    )  # fmt: skip
    await begin()
    return figures


async def _see_that_none_is_lost(
    insights: Insights, user: str, number_of: Callable[[Profile], int], written: int
) -> None:
    if user:
        found = number_of(await insights.profile(user))
        if found not in (written, max(written // 10, WRITERS)):  # the turn that warms up is shorter
            raise AssertionError(f"{written} were written, {found} are there")


def _key_points(profile: Profile) -> int:
    return sum(len(subtopic.key_points) for topic in profile.topics for subtopic in topic.subtopics)


def _ratio(mine: Figure, base: Figure) -> float:
    claim = Claim("", base.name, [base, mine])
    return claim.ratio(mine.name)
