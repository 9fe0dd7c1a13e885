"""Insights: whatever is given, in whatever order, does what lists in memory do."""

from __future__ import annotations

import random
import uuid
from collections.abc import Awaitable
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from prismicx import Conflict, InvalidInput, TenantScope
from tests.integration.test_insights import check_scores, scores_of

text = st.one_of(
    st.text(max_size=12),
    st.sampled_from(["$name", "$$ROOT", "$$NOW", "a.b", "$", "$$", "{}", "x" * 1001, "a\0b", "a "]),
)
odd = st.one_of(
    text, st.none(), st.booleans(), st.integers(), st.floats(), st.binary(max_size=4), st.lists(text, max_size=2),
    st.dictionaries(st.sampled_from(["$ne", "a", "$literal", ""]), text, max_size=2), st.just("http://a.test"),
)  # fmt: skip


@given(name=odd, description=odd, points=st.one_of(odd, st.lists(text, max_size=4)), line=odd, url=odd)
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_odd_values_are_kept_as_given_or_refused(
    tenant: TenantScope, name: Any, description: Any, points: Any, line: Any, url: Any
) -> None:
    insights, user = tenant.insights, str(uuid.uuid4())
    anchor = await insights.add_topic(user, name="\u2693 anchor")
    place = anchor
    part = await insights.add_subtopic(user, place.topic_id, name="\u2693 anchor")

    async def kept(attempt: Awaitable[Any], field: str, expected: Any) -> None:
        try:
            made = await attempt
        except InvalidInput as error:
            assert error.code == "insight.invalid"
            return
        found = getattr(made, field)
        assert found == expected
        assert type(found) is type(expected)

    await kept(insights.add_topic(user, name=name), "name", name)
    await kept(insights.update_topic(user, place.topic_id, description=description), "description", description)
    wanted = tuple(points) if isinstance(points, list) else points
    await kept(insights.add_subtopic(user, place.topic_id, name="s", key_points=points), "key_points", wanted)
    await kept(insights.add_key_point(user, place.topic_id, part.subtopic_id, line), "key_points", (line,))
    await kept(insights.add_resource(user, place.topic_id, part.subtopic_id, url), "resources", (url,))
    check_scores(await insights.profile(user))


class Model:
    """What the library is to do, on lists in memory."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.description: str | None = None
        self.subtopics: list[Model] = []
        self.key_points: list[str] = []
        self.resources: list[str] = []
        self.key = ""


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["topic", "topic", "subtopic", "subtopic", "line", "line", "url", "name", "describe", "rename",
                         "remove topic", "remove subtopic", "remove line", "change line", "shuffle"]),
        st.integers(0, 3), st.integers(0, 3), st.sampled_from(["a", "b", "c", "d"]), st.randoms(use_true_random=False),
    ),
    max_size=25,
)  # fmt: skip


@given(steps=STEPS)
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_any_sequence_of_edits_does_what_lists_do(tenant: TenantScope, steps: list[Any]) -> None:
    insights, user = tenant.insights, str(uuid.uuid4())
    topics: list[Model] = []
    for what, at, within, word, chance in steps:
        topic = topics[at % len(topics)] if topics else None
        part = topic.subtopics[within % len(topic.subtopics)] if topic and topic.subtopics else None
        try:
            await step(insights, user, topics, topic, part, what, word, chance)
        except Conflict as error:
            assert error.code == "insight.duplicate"
    if not topics and not any(step[0] == "topic" for step in steps):
        return
    profile = await insights.profile(user)
    assert shape(profile.topics) == shape(topics)
    check_scores(profile)
    assert scores_of(topics) == scores_of(profile.topics)


def shape(topics: Any) -> Any:
    return [
        (topic.name, topic.description, [(p.name, [*p.key_points], [*p.resources]) for p in topic.subtopics])
        for topic in topics
    ]


async def step(
    insights: Any, user: str, topics: list[Model], topic: Any, part: Any, what: str, word: str, chance: random.Random
) -> None:
    """One edit of the library, then of the model; what the library refuses leaves the model as it is."""
    if what == "topic":
        made = await insights.add_topic(user, name=word)
        topics.append(Model(word))
        topics[-1].key = made.topic_id
    if topic is None:
        return
    place = (user, topic.key)
    if what == "subtopic":
        made = await insights.add_subtopic(*place, name=word)
        topic.subtopics.append(Model(word))
        topic.subtopics[-1].key = made.subtopic_id
    elif what == "describe":
        given = chance.choice([word, None])
        await insights.update_topic(*place, description=given)
        topic.description = given
    elif what == "name":
        await insights.update_topic(*place, name=word)
        topic.name = word
    elif what == "remove topic":
        await insights.remove_topic(*place)
        topics.remove(topic)
    elif what == "shuffle":
        chance.shuffle(topics)
        await insights.reorder_topics(user, [one.key for one in topics])
        if topic.subtopics:
            chance.shuffle(topic.subtopics)
            await insights.reorder_subtopics(*place, [one.key for one in topic.subtopics])
    elif part is not None:
        await step_within(insights, (*place, part.key), topic, part, what, word, chance)


async def step_within(
    insights: Any, place: tuple[str, ...], topic: Model, part: Model, what: str, word: str, chance: random.Random
) -> None:
    if what == "rename":
        await insights.update_subtopic(*place, name=word)
        part.name = word
    elif what == "line":
        await insights.add_key_point(*place, word)
        part.key_points.append(word)
    elif what == "url":
        await insights.add_resource(*place, f"http://{word}.test")
        part.resources.append(f"http://{word}.test")
    elif what == "remove subtopic":
        await insights.remove_subtopic(*place)
        topic.subtopics.remove(part)
    elif what == "remove line" and part.key_points:
        line = chance.choice(part.key_points)
        await insights.remove_key_point(*place, line)
        part.key_points.remove(line)
    elif what == "change line" and part.key_points:
        line = chance.choice(part.key_points)
        await insights.change_key_point(*place, line, word)
        part.key_points[part.key_points.index(line)] = word
