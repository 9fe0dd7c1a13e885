"""Insights: one suite, run on a tenant with a database of its own and on one in a shared database."""

from __future__ import annotations

import asyncio
import random
import uuid
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from bson import encode

from prismicx import Conflict, InvalidInput, NotFound, Platform, PrismicXError, TenantScope
from prismicx.insights import values
from prismicx.insights.values import Profile, Subtopic, Topic
from prismicx.pages import Page
from tests.support import aware_now, insight

NOBODY = "00000000-0000-0000-0000-000000000000"


async def refused(attempt: Awaitable[object], code: str) -> PrismicXError:
    with pytest.raises(PrismicXError) as caught:
        await attempt
    assert caught.value.code == code, caught.value
    assert caught.value.remedy
    return caught.value


async def everything(page: Callable[..., Awaitable[Page[Any]]], limit: int) -> list[str]:
    seen: list[str] = []
    after = None
    while True:
        found = await page(after=after, limit=limit)
        seen += [item.user_id for item in found.items]
        after = found.next
        if after is None:
            return seen


def scores_of(topics: Any) -> tuple[float, float]:
    """The documented rule, of topics as the library gives them or as the model below has them."""
    parts = [part for topic in topics for part in topic.subtopics]
    places = 2 * (len(topics) + len(parts))
    filled = sum((topic.description is not None) + bool(topic.subtopics) for topic in topics)
    filled += sum(bool(part.key_points) + bool(part.resources) for part in parts)
    points = 5 * len(topics) + 3 * len(parts) + sum(len(part.key_points) + len(part.resources) for part in parts)
    return (filled / places if places else 0.0), 100 * points / (points + 100)


def check_scores(profile: Profile) -> None:
    assert (profile.profile_completeness, profile.interest_score) == scores_of(profile.topics)


async def test_a_profile_is_built_changed_and_forgotten(tenant: TenantScope, user: str) -> None:
    insights = tenant.insights
    await refused(insights.profile(user), "insight.unknown")
    sea = await insights.add_topic(user, name="Sea", description="Salt $water")
    assert (await insights.profile(user)).topics == (sea,)
    assert (await insights.profile(user)).profile_completeness == 0.5
    hills = await insights.add_topic(user, name="Hills")
    tides = await insights.add_subtopic(
        user, sea.topic_id, name="Tides", key_points=["$rise", "fall"], resources=["https://example.org/tides?a=1"]
    )
    waves = await insights.add_subtopic(user, sea.topic_id, name="Waves")
    place = (user, sea.topic_id, tides.subtopic_id)
    assert (await insights.add_key_point(*place, "moon")).key_points == ("$rise", "fall", "moon")
    assert (await insights.change_key_point(*place, "fall", "ebb")).key_points == ("$rise", "ebb", "moon")
    assert (await insights.reorder_key_points(*place, ["moon", "ebb", "$rise"])).key_points == ("moon", "ebb", "$rise")
    assert (await insights.remove_key_point(*place, "ebb")).key_points == ("moon", "$rise")
    assert len((await insights.add_resource(*place, "http://[::1]:8080/x")).resources) == 2
    await insights.change_resource(*place, "http://[::1]:8080/x", "http://example.org")
    order = ["http://example.org", "https://example.org/tides?a=1"]
    assert [*(await insights.reorder_resources(*place, order)).resources] == order
    assert (await insights.remove_resource(*place, order[1])).resources == ("http://example.org",)
    assert (await insights.update_subtopic(*place, name="Ebb and flow")).name == "Ebb and flow"
    held = await insights.reorder_subtopics(user, sea.topic_id, [waves.subtopic_id, tides.subtopic_id])
    assert [part.name for part in held.subtopics] == ["Waves", "Ebb and flow"]
    await insights.reorder_topics(user, [hills.topic_id.upper(), sea.topic_id])
    changed = await insights.update_topic(user, sea.topic_id, name="Ocean")
    assert (changed.name, changed.description, changed.subtopics) == ("Ocean", "Salt $water", held.subtopics)
    assert (await insights.update_topic(user, sea.topic_id, description=None)).description is None
    profile = await insights.profile(user.upper())
    assert [topic.name for topic in profile.topics] == ["Hills", "Ocean"]
    assert profile.topics[0] == hills
    check_scores(profile)
    assert sea.created_at == profile.topics[1].created_at == profile.created_at
    assert (await insights.remove_subtopic(user, sea.topic_id, waves.subtopic_id)).subtopics[0].name == "Ebb and flow"
    await insights.remove_topic(user, sea.topic_id)
    await insights.remove_topic(user, hills.topic_id)
    profile = await insights.profile(user)
    assert (profile.topics, profile.profile_completeness, profile.interest_score) == ((), 0, 0)
    await insights.delete(user)
    await refused(insights.profile(user), "insight.unknown")
    await refused(insights.delete(user), "insight.unknown")


async def test_another_tenants_insights_are_not_there(tenant: TenantScope, other: TenantScope, user: str) -> None:
    mine, theirs = tenant.insights, other.insights
    topic = await mine.add_topic(user, name="Sea")
    part = await mine.add_subtopic(user, topic.topic_id, name="Tides", key_points=["a"], resources=["http://a.test"])
    held = await mine.profile(user)
    ids = (user, topic.topic_id, part.subtopic_id)

    async def attempts(code: str) -> None:
        for attempt in (
            theirs.update_topic(*ids[:2], name="x"), theirs.remove_topic(*ids[:2]),
            theirs.reorder_topics(user, [topic.topic_id]), theirs.add_subtopic(*ids[:2], name="x"),
            theirs.update_subtopic(*ids, name="x"), theirs.remove_subtopic(*ids),
            theirs.reorder_subtopics(*ids[:2], [part.subtopic_id]),
            theirs.add_key_point(*ids, "b"), theirs.change_key_point(*ids, "a", "b"),
            theirs.remove_key_point(*ids, "a"), theirs.reorder_key_points(*ids, ["a"]), theirs.add_resource(*ids, "http://b.test"),
            theirs.remove_resource(*ids, "http://a.test"),
        ):  # fmt: skip
            with pytest.raises((NotFound, InvalidInput)) as caught:
                await attempt
            assert caught.value.code in (code, "insight.invalid"), caught.value

    await refused(theirs.profile(user), "insight.unknown")
    await refused(theirs.delete(user), "insight.unknown")
    await attempts("insight.unknown")
    assert user not in await everything(theirs.list, 1000)
    await theirs.add_topic(user, name="Sea")  # a user of the same id, with insights of its own
    await attempts("insight.topic_unknown")
    assert await mine.profile(user) == held
    assert len((await theirs.profile(user)).topics) == 1


async def test_what_is_not_there_is_named(tenant: TenantScope, user: str) -> None:
    insights = tenant.insights
    topic = await insights.add_topic(user, name="Sea")
    second = await insights.add_topic(user, name="Hills")
    part = await insights.add_subtopic(user, topic.topic_id, name="Tides")
    await refused(insights.update_topic(user, NOBODY, name="x"), "insight.topic_unknown")
    await refused(insights.add_subtopic(user, NOBODY, name="x"), "insight.topic_unknown")
    await refused(insights.remove_subtopic(user, topic.topic_id, NOBODY), "insight.subtopic_unknown")
    # A subtopic of another topic of the same user is no subtopic of this one.
    await refused(insights.add_key_point(user, second.topic_id, part.subtopic_id, "x"), "insight.subtopic_unknown")
    place = (user, topic.topic_id, part.subtopic_id)
    await refused(insights.change_key_point(*place, "x", "y"), "insight.text_unknown")
    await refused(insights.remove_resource(*place, "http://x.test"), "insight.text_unknown")


async def test_nothing_is_there_twice(tenant: TenantScope, user: str) -> None:
    insights = tenant.insights
    sea, hills = [await insights.add_topic(user, name=name) for name in ("Sea", "Hills")]
    assert "'Sea'" in (await refused(insights.add_topic(user, name="Sea"), "insight.duplicate")).message
    await refused(insights.update_topic(user, hills.topic_id, name="Sea"), "insight.duplicate")
    assert (await insights.update_topic(user, sea.topic_id, name="Sea", description="wet")).description == "wet"
    await insights.add_topic(user, name="sea")
    tides, waves = [await insights.add_subtopic(user, sea.topic_id, name=name) for name in ("Tides", "Waves")]
    await insights.add_subtopic(user, hills.topic_id, name="Tides")
    await refused(insights.add_subtopic(user, sea.topic_id, name="Tides"), "insight.duplicate")
    await refused(insights.update_subtopic(user, sea.topic_id, waves.subtopic_id, name="Tides"), "insight.duplicate")
    place = (user, sea.topic_id, tides.subtopic_id)
    await insights.add_key_point(*place, "rise")
    await insights.add_key_point(*place, "fall")
    await insights.add_key_point(user, sea.topic_id, waves.subtopic_id, "rise")
    assert "key point" in (await refused(insights.add_key_point(*place, "rise"), "insight.duplicate")).message
    await refused(insights.change_key_point(*place, "fall", "rise"), "insight.duplicate")
    assert (await insights.change_key_point(*place, "fall", "fall")).key_points == ("rise", "fall")
    for twice in ({"key_points": ["a", "b", "a"]}, {"resources": ["http://a.test"] * 2}):
        error = await refused(insights.add_subtopic(user, sea.topic_id, name="x", **twice), "insight.invalid")
        assert "twice" in error.message


async def test_stale_versions_are_told_the_one_there_is(tenant: TenantScope, user: str) -> None:
    insights = tenant.insights
    topic = await insights.add_topic(user, name="Sea")
    part = await insights.add_subtopic(user, topic.topic_id, name="Tides")
    await insights.add_topic(user, name="Hills")  # another topic's change is none of this one's
    now = (await insights.profile(user)).topics[0]
    assert now.version != topic.version, "what is in a topic is a part of it"
    attempts: list[Callable[[str], Awaitable[object]]] = [
        lambda version: insights.update_topic(user, topic.topic_id, version=version, name="Ocean"),
        lambda version: insights.remove_topic(user, topic.topic_id, version=version),
    ]
    for attempt in attempts:
        for stale in (topic.version, "x", "", NOBODY, 5):
            error = await refused(attempt(stale), "insight.changed")  # type: ignore[arg-type]
            assert isinstance(error, Conflict)
            assert now.version in error.message
    changed = await insights.update_subtopic(user, topic.topic_id, part.subtopic_id, version=part.version, name="Ebb")
    assert changed.version > part.version
    await refused(
        insights.remove_subtopic(user, topic.topic_id, part.subtopic_id, version=part.version), "insight.changed"
    )
    now = (await insights.profile(user)).topics[0]
    assert (await insights.update_topic(user, topic.topic_id, version=now.version, name="Ocean")).name == "Ocean"


async def test_no_edit_is_lost_among_sixteen_writers(tenant: TenantScope, user: str) -> None:
    """Each of them adds topics, subtopics and key points, and the first of all edits begins the document."""
    insights = tenant.insights

    async def write(number: int) -> None:
        topic = await insights.add_topic(user, name=f"t{number}")
        await insights.add_topic(user, name=f"u{number}", description="d")
        part = await insights.add_subtopic(user, topic.topic_id, name="s")
        for n in range(3):
            await insights.add_key_point(user, topic.topic_id, part.subtopic_id, f"{number}.{n}")

    await asyncio.gather(*(write(number) for number in range(16)))
    profile = await insights.profile(user)
    assert sorted(topic.name for topic in profile.topics) == sorted(f"{kind}{n}" for kind in "tu" for n in range(16))
    for topic in profile.topics:
        if topic.name.startswith("t"):
            assert topic.subtopics[0].key_points == tuple(f"{topic.name[1:]}.{n}" for n in range(3))
    check_scores(profile)
    # All in one place, with changes of names and orders between them.
    first = next(topic for topic in profile.topics if topic.name == "t0")
    place = (user, first.topic_id, first.subtopics[0].subtopic_id)
    keys = [topic.topic_id for topic in profile.topics]
    work: list[Awaitable[object]] = [insights.add_key_point(*place, f"new {n}") for n in range(16)]
    work += [insights.reorder_topics(user, random.sample(keys, len(keys))) for _ in range(8)]
    work += [insights.update_topic(user, key, description=f"about {key}") for key in keys[:16]]
    await asyncio.gather(*work)
    after = await insights.profile(user)
    held = {topic.topic_id: topic for topic in after.topics}
    assert sorted(held) == sorted(keys)
    assert {f"new {n}" for n in range(16)} < set(held[first.topic_id].subtopics[0].key_points)
    assert [held[key].description for key in keys[:16]] == [f"about {key}" for key in keys[:16]]
    check_scores(after)


async def test_of_several_that_want_one_name_or_one_version_one_gets_it(tenant: TenantScope, user: str) -> None:
    insights = tenant.insights
    made = await asyncio.gather(*(insights.add_topic(user, name="Sea") for _ in range(16)), return_exceptions=True)
    (topic,) = [one for one in made if isinstance(one, Topic)]
    assert {one.code for one in made if isinstance(one, PrismicXError)} == {"insight.duplicate"}
    work = [insights.update_topic(user, topic.topic_id, version=topic.version, name=f"n{n}") for n in range(16)]
    done = await asyncio.gather(*work, return_exceptions=True)
    (winner,) = [one for one in done if isinstance(one, Topic)]
    assert {one.code for one in done if isinstance(one, PrismicXError)} == {"insight.changed"}
    assert (await insights.profile(user)).topics == (winner,)


async def test_an_order_is_of_what_is_there(tenant: TenantScope, user: str) -> None:
    insights = tenant.insights
    topics = [await insights.add_topic(user, name=f"t{n}") for n in range(3)]
    keys = [topic.topic_id for topic in topics]
    for order in (keys[1:], [*keys, keys[0]], [*keys[1:], keys[1].upper()], [*keys[1:], NOBODY], [], "abc", keys * 20):
        await refused(insights.reorder_topics(user, order), "insight.invalid")  # type: ignore[arg-type]
    assert (await insights.profile(user)).topics == tuple(topics)
    part = await insights.add_subtopic(user, keys[0], name="s", key_points=["a", "b"])
    for lines in (["a"], ["a", "b", "c"], ["a", "a"], [["a"], "b"]):
        await refused(insights.reorder_key_points(user, keys[0], part.subtopic_id, lines), "insight.invalid")  # type: ignore[arg-type]


async def test_bounds(tenant: TenantScope, user: str) -> None:
    insights = tenant.insights
    done: list[Any] = []
    for begin in range(0, values.TOPICS_LIMIT + 6, 16):  # at once, but not so many that they only wait for one another
        names = [f"t{n}" for n in range(begin, min(begin + 16, values.TOPICS_LIMIT + 6))]
        done += await asyncio.gather(*(insights.add_topic(user, name=name) for name in names), return_exceptions=True)
    assert [one.code for one in done if isinstance(one, PrismicXError)] == ["insight.full"] * 6
    topic = next(one for one in done if isinstance(one, Topic)).topic_id
    for n in range(values.SUBTOPICS_LIMIT):
        part = await insights.add_subtopic(user, topic, name=f"s{n}")
    assert "50" in (await refused(insights.add_subtopic(user, topic, name="s"), "insight.full")).message
    place = (user, topic, part.subtopic_id)
    for n in range(values.LINES_LIMIT):
        await insights.add_key_point(*place, f"k{n}")
    await refused(insights.add_key_point(*place, "k"), "insight.full")
    await insights.change_key_point(*place, "k0", "k")
    await insights.remove_key_point(*place, "k")
    assert len((await insights.add_key_point(*place, "k")).key_points) == values.LINES_LIMIT
    many = {"key_points": [f"k{n}" for n in range(51)]}
    await refused(insights.add_subtopic(user, topic, name="s", **many), "insight.invalid")
    check_scores(await insights.profile(user))


async def test_a_profile_ends_long_before_the_servers_limit(tenant: TenantScope, user: str) -> None:
    insights = tenant.insights
    topic = (await insights.add_topic(user, name="Sea")).topic_id
    points = [f"{n:02d}" + "\U0001f30a" * 998 for n in range(50)]
    parts: list[Subtopic] = []
    with pytest.raises(Conflict) as caught:
        for n in range(50):
            parts.append(await insights.add_subtopic(user, topic, name=f"s{n}", key_points=points))
    assert caught.value.code == "insight.full"
    assert "bytes" in caught.value.message
    collection = await tenant.collection("user_insights")
    held = await collection.find_one({"user_id": user})
    assert held is not None
    assert values.PROFILE_LIMIT - 250_000 < len(encode(held)) <= values.PROFILE_LIMIT
    assert len(parts) == 5
    check_scores(await insights.profile(user))
    await insights.remove_subtopic(user, topic, parts[0].subtopic_id)
    await insights.add_subtopic(user, topic, name="s0", key_points=points)


async def test_lists_page_through_everything_once(px: Platform, tenant: TenantScope, new_id: Callable[[], str]) -> None:
    name = new_id()
    await px.tenants.create(name, name="T", isolation=tenant.tenant.placement)
    async with px.tenant(name) as scope:
        insights = scope.insights
        users = sorted(str(uuid.uuid4()) for _ in range(9))
        for number, key in enumerate(users):
            await insights.add_topic(key, name="even" if number % 2 == 0 else "odd")
        assert await everything(insights.list, 2) == users
        search = insights.users_by_topic
        assert await everything(lambda **page: search("even", **page), 2) == users[::2]
        assert (await search("Even")).items == []
        moment = (await insights.profile(users[4])).updated_at
        latest = [users[n] for n in (6, 4, 8)]
        for key in latest:
            await insights.add_topic(key, name="new")
        assert (await everything(lambda **page: insights.changed_since(moment, **page), 2))[-3:] == latest
        last = (await insights.profile(users[8])).updated_at
        (found,) = (await insights.changed_since(last.astimezone(timezone(timedelta(hours=5))))).items
        assert (found.user_id, found.updated_at) == (users[8], last)
        assert (found.profile_completeness, found.interest_score) == (0, 100 * 10 / 110)
        assert (await insights.changed_since(aware_now() + timedelta(hours=1))).items == []
        cursor = (await insights.list(limit=2)).next
        await refused(insights.users_by_topic("even", after=cursor), "page.cursor_invalid")


async def test_what_was_written_past_the_library_is_read_and_mended(tenant: TenantScope, user: str) -> None:
    moment = aware_now() + timedelta(days=1)
    bare = {"topic_id": str(uuid.uuid4()), "name": "Sea", "created_at": moment, "updated_at": moment}
    part = {"subtopic_id": str(uuid.uuid4()), "name": "Tides", "created_at": moment, "updated_at": moment}
    full = {**bare, "topic_id": str(uuid.uuid4()), "name": "Hills", "subtopics": [part], "colour": "green"}
    collection = await tenant.collection("user_insights")
    await collection.insert_one({**insight(user), "updated_at": moment, "topics": [bare, full]})
    insights = tenant.insights
    held = await insights.profile(user)
    assert (held.profile_completeness, held.interest_score) == (None, None)
    assert (held.topics[0].subtopics, held.topics[1].subtopics[0].key_points) == ((), ())
    await insights.add_subtopic(user, bare["topic_id"], name="Tides")
    await insights.add_resource(user, full["topic_id"], part["subtopic_id"], "http://a.test")
    await insights.update_topic(user, full["topic_id"], description=None)
    check_scores(await insights.profile(user))
    document = await collection.find_one({"user_id": user})
    assert document is not None
    assert document["topics"][1]["colour"] == "green", "what others keep beside it stays"
    # Its clock was ahead by a day: moments go on from there, so versions still change with every edit.
    assert document["updated_at"] > moment
    empty = str(uuid.uuid4())
    await collection.insert_one(insight(empty))
    await insights.add_topic(empty, name="Sea")
    check_scores(await insights.profile(empty))


URLS = [
    "ftp://example.org/x", "javascript:alert(1)", "//example.org", "example.org", "http://", "http:///x", "https://:80/",
    "http://user@example.org/", "http://u:p@example.org", "http://example.org/a b", "http://example.org/\u00a0",
    "http://example.org/\n", "http://exa\tmple.org", "http://example.org/\x00", "http://example.org:99999/",
    "http://example.org:x/", "http://[::1/", "http://a\\@b.test", "http://<b>.test", "http://a.test/\ud800",
    "http://a.test/" + "x" * 2048, " http://a.test", "", "HTTP", None, 5, ["http://a.test"], {"$ne": 1},
]  # fmt: skip


async def test_what_cannot_be_is_named(tenant: TenantScope, user: str) -> None:
    insights = tenant.insights
    topic = await insights.add_topic(user, name="Sea")
    part = await insights.add_subtopic(user, topic.topic_id, name="Tides")
    place = (user, topic.topic_id, part.subtopic_id)
    held = await insights.profile(user)
    for url in URLS:
        await refused(insights.add_resource(*place, url), "insight.invalid")  # type: ignore[arg-type]
    for name in ("", " ", "a ", "x" * 201, "a\0", "\ud800", None, 5, b"x", ["x"], {"$ne": ""}):
        await refused(insights.add_topic(user, name=name), "insight.invalid")  # type: ignore[arg-type]
        await refused(insights.update_topic(user, topic.topic_id, name=name), "insight.invalid")
        await refused(insights.add_subtopic(user, topic.topic_id, name=name), "insight.invalid")  # type: ignore[arg-type]
        await refused(insights.users_by_topic(name), "insight.invalid")  # type: ignore[arg-type]
    deep: Any = []
    for _ in range(5000):
        deep = [deep]
    for lines in ("abc", None, 5, {"a": 1}, [5], [None], ["x" * 1001], ["a\0"], [["a"]], deep):
        await refused(insights.add_subtopic(user, topic.topic_id, name="x", key_points=lines), "insight.invalid")  # type: ignore[arg-type]
    await refused(insights.add_topic(user, name="x", description="x" * 2001), "insight.invalid")
    await refused(insights.add_topic(user, name="x", description=deep), "insight.invalid")
    for change in ({"colour": "x"}, {"subtopics": []}, {"tenant_id": "x"}, {"$set": {}}, {"name.x": "x"}):
        await refused(insights.update_topic(user, topic.topic_id, **change), "insight.invalid")
    await refused(insights.update_subtopic(*place, description="x"), "insight.invalid")
    for key in ("x", "", 5, None, {"$ne": ""}, [], "\0"):
        await refused(insights.profile(key), "user.id_invalid")  # type: ignore[arg-type]
        await refused(insights.add_topic(key, name="x"), "user.id_invalid")  # type: ignore[arg-type]
        await refused(insights.update_topic(user, key, name="x"), "insight.id_invalid")  # type: ignore[arg-type]
        await refused(insights.add_key_point(user, topic.topic_id, key, "x"), "insight.id_invalid")  # type: ignore[arg-type]
    far = timezone(timedelta(hours=14))
    for moment in ("now", None, 5, datetime(2026, 1, 1), datetime(1, 1, 1, tzinfo=far)):
        await refused(insights.changed_since(moment), "insight.invalid")  # type: ignore[arg-type]
    assert (await insights.changed_since(datetime(9999, 12, 31, tzinfo=UTC))).items == []
    for limit in (0, 1001, True, "5"):
        await refused(insights.list(limit=limit), "page.limit_invalid")  # type: ignore[arg-type]
    await refused(insights.list(after="x"), "page.cursor_invalid")
    assert await insights.profile(user) == held
