"""Odd values, given everywhere: each is refused with a code or taken, and what was refused has changed nothing."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from prismicx import Platform
from prismicx.tasks.values import NewTask
from tests.odd import REFUSED, odd, some, tried
from tests.support import make_package

Id = Callable[[], str]
Held = Callable[[], Awaitable[Any]]

few = settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])

DECLARED = """
[versions.configuration]
type = "object"
properties.colour = { enum = ["red", "blue"], default = "red" }
[versions.features.beta]
description = "Try it"
default = false
"""


@dataclass
class Place:
    """A tenant with something of everything."""

    tenant_id: str
    task: str
    root: str
    leaf: str
    user: str
    topic: str
    subtopic: str


@pytest.fixture(scope="module")
async def place(px: Platform, tmp_path_factory: pytest.TempPathFactory) -> Place:
    tenant = f"odd-{uuid.uuid4().hex[:8]}"
    await px.tenants.create(tenant, name="Odd", isolation="shared")
    steps = [("CREATE TABLE t (a int);", "DROP TABLE t;")]
    await px.catalogue.publish(make_package(tmp_path_factory.mktemp("odd"), "oddly", *steps, declared={1: DECLARED}))
    async with px.tenant(tenant) as scope:
        await scope.systems.install("oddly")
        task = await scope.tasks.enqueue(service="s", type="t")
        root = await scope.categories.create("Root")
        leaf = await scope.categories.create("Leaf", parent_id=root.category_id)
        user = str(uuid.uuid4())
        topic = await scope.insights.add_topic(user, name="Sea")
        part = await scope.insights.add_subtopic(user, topic.topic_id, name="Tides", key_points=["a", "b"])
    return Place(tenant, task.task_id, root.category_id, leaf.category_id, user, topic.topic_id, part.subtopic_id)


async def refused_changes_nothing(call: Held, held: Held) -> None:
    before = await held()
    if await tried(call) is REFUSED:
        assert await held() == before


@given(values=some(version=st.none() | odd, name=None, tier=None, region=None, settings=None, status=None))
@few
async def test_updates_of_a_tenant(px: Platform, place: Place, values: dict[str, Any]) -> None:
    await refused_changes_nothing(
        lambda: px.tenants.update(place.tenant_id, **values), lambda: px.tenants.get(place.tenant_id)
    )


@given(tenant=odd, verb=st.sampled_from(["get", "update", "suspend", "resume", "deactivate", "activate"]))
@few
async def test_ids_of_tenants(px: Platform, place: Place, tenant: Any, verb: str) -> None:
    assert await tried(lambda: getattr(px.tenants, verb)(tenant)) is REFUSED


@given(values=some(status=None, region=None, after=None, limit=None))
@few
async def test_lists_of_tenants(px: Platform, place: Place, values: dict[str, Any]) -> None:
    found = await tried(lambda: px.tenants.list(**values))
    assert found is REFUSED or len(found.items) <= values.get("limit", 100)


@given(tenant=odd, values=st.fixed_dictionaries({"name": odd}, optional={"tier": odd, "region": odd, "isolation": odd}))
@few
async def test_creations_of_tenants(px: Platform, place: Place, tenant: Any, values: dict[str, Any]) -> None:
    async def held() -> Any:
        return await px.tenants.list(limit=1000), await px.tenants.databases()

    await refused_changes_nothing(lambda: px.tenants.create(tenant, **values), held)


@given(values=st.fixed_dictionaries({"service": st.just("s") | odd, "type": st.just("t") | odd}, optional={
    "payload": odd, "priority": odd, "secret": odd}))  # fmt: skip
@few
async def test_tasks_enqueued(px: Platform, place: Place, values: dict[str, Any]) -> None:
    async with px.tenant(place.tenant_id) as scope:
        await refused_changes_nothing(lambda: scope.tasks.enqueue(**values), scope.tasks.counts)


@given(tasks=odd | st.lists(odd | st.just(NewTask("s", "t")), max_size=3))
@few
async def test_many_tasks_enqueued(px: Platform, place: Place, tasks: Any) -> None:
    async with px.tenant(place.tenant_id) as scope:
        await refused_changes_nothing(lambda: scope.tasks.enqueue_many(tasks), scope.tasks.counts)


@given(values=some(status=None, type=None, service=None, secret=None, since=None, until=None, after=None, limit=None))
@few
async def test_lists_of_tasks(px: Platform, place: Place, values: dict[str, Any]) -> None:
    async with px.tenant(place.tenant_id) as scope:
        found = await tried(lambda: scope.tasks.list(**values))
        assert found is REFUSED or len(found.items) <= values.get("limit", 100)


@given(task=odd, verb=st.sampled_from(["get", "cancel", "retry"]))
@few
async def test_ids_of_tasks(px: Platform, place: Place, task: Any, verb: str) -> None:
    async with px.tenant(place.tenant_id) as scope:
        await refused_changes_nothing(lambda: getattr(scope.tasks, verb)(task), scope.tasks.counts)


@given(values=some(version=None, name=None, description=None, attributes=None, parent_id=None))
@few
async def test_updates_of_a_category(px: Platform, place: Place, values: dict[str, Any]) -> None:
    async with px.tenant(place.tenant_id) as scope:
        trees = scope.categories
        await refused_changes_nothing(lambda: trees.update(place.leaf, **values), trees.subtree)


@given(
    values=st.fixed_dictionaries({"name": odd}, optional={"parent_id": odd, "description": odd, "attributes": odd}),
    name=odd,
    value=odd,
    kind=st.none() | st.sampled_from(["text", "number", "boolean", "date"]) | odd,
)
@few
async def test_categories_and_attributes_made(
    px: Platform, place: Place, values: dict[str, Any], name: Any, value: Any, kind: Any
) -> None:
    async with px.tenant(place.tenant_id) as scope:
        trees = scope.categories
        await refused_changes_nothing(lambda: trees.create(**values), trees.subtree)
        await refused_changes_nothing(lambda: trees.set_attribute(place.leaf, name, value, type=kind), trees.subtree)
        await refused_changes_nothing(lambda: trees.remove_attribute(place.leaf, name), trees.subtree)


@given(one=odd, other=odd, leaf_first=st.sampled_from(["neither", "first", "second"]))
@few
async def test_moves_and_merges(px: Platform, place: Place, one: Any, other: Any, leaf_first: str) -> None:
    first, second = (place.leaf if leaf_first == word else value for word, value in (("first", one), ("second", other)))
    async with px.tenant(place.tenant_id) as scope:
        trees = scope.categories
        for call in (
            lambda: trees.move(first, second),
            lambda: trees.merge(first, second),
            lambda: trees.delete(first, children=second),
        ):
            if first == place.leaf and (second is None or second == "refuse"):
                continue  # that is no odd value
            await refused_changes_nothing(call, trees.subtree)


@given(key=odd, more=some(after=None, limit=None), text=odd, levels=odd)
@few
async def test_lists_of_categories(
    px: Platform, place: Place, key: Any, more: dict[str, Any], text: Any, levels: Any
) -> None:
    async with px.tenant(place.tenant_id) as scope:
        trees = scope.categories
        await tried(lambda: trees.get(key))
        await tried(lambda: trees.path(key))
        await tried(lambda: trees.children(key, **more))
        await tried(lambda: trees.search(text, **more))
        await tried(lambda: trees.search("e", under=key))
        for category in (None, place.root, key):
            await tried(lambda category=category: trees.subtree(category, levels=levels))  # type: ignore[misc]


@given(values=some(version=None, name=None, description=None, other=None), key=odd, text=odd, order=odd)
@few
async def test_edits_of_insights(
    px: Platform, place: Place, values: dict[str, Any], key: Any, text: Any, order: Any
) -> None:
    async with px.tenant(place.tenant_id) as scope:
        known, at, part = scope.insights, (place.user, place.topic), (place.user, place.topic, place.subtopic)
        for call in (
            lambda: known.update_topic(*at, **values),
            lambda: known.update_subtopic(*part, **values),
            lambda: known.remove_topic(place.user, key),
            lambda: known.remove_topic(*at, version=key or "x"),
            lambda: known.remove_subtopic(*at, key),
            lambda: known.reorder_topics(place.user, order),
            lambda: known.reorder_subtopics(*at, order),
            lambda: known.reorder_key_points(*part, order),
            lambda: known.add_key_point(*part, text),
            lambda: known.change_key_point(*part, "a", text),
            lambda: known.remove_key_point(*part, text),
            lambda: known.add_resource(*part, text),
            lambda: known.add_topic(place.user, name=text, description=key),
            lambda: known.add_subtopic(*at, name="x", key_points=order, resources=text),
        ):
            await refused_changes_nothing(call, lambda: known.profile(place.user))


@given(key=odd, more=some(after=None, limit=None), moment=odd)
@few
async def test_lists_of_insights(px: Platform, place: Place, key: Any, more: dict[str, Any], moment: Any) -> None:
    async with px.tenant(place.tenant_id) as scope:
        for call in (
            lambda: scope.insights.profile(key),
            lambda: scope.insights.delete(key),
            lambda: scope.insights.list(**more),
            lambda: scope.insights.users_by_topic(key, **more),
            lambda: scope.insights.changed_since(moment, **more),
        ):
            await tried(call)


@given(
    system=st.just("oddly") | odd,
    version=st.none() | odd,
    chosen=some(configuration=odd | st.just({"colour": "blue"}), features=odd | st.just({"beta": True})),
    revision=st.none() | odd,
)
@few
async def test_choices_of_systems(
    px: Platform, place: Place, system: Any, version: Any, chosen: dict[str, Any], revision: Any
) -> None:
    async with px.tenant(place.tenant_id) as scope:
        systems = scope.systems
        for call in (
            lambda: systems.configure(system, revision=revision, **chosen),
            lambda: systems.install(system, version, **chosen),
            lambda: systems.migrate(system, version, **chosen),
            lambda: systems.of_type(version),
        ):
            await refused_changes_nothing(call, systems.list)


@given(
    system=odd,
    versions=st.tuples(st.just("0") | odd, st.just("1.0") | odd),
    values=some(type=None, status=None, vendor=None),
)
@few
async def test_the_catalogue(
    px: Platform, place: Place, system: Any, versions: tuple[Any, Any], values: dict[str, Any], tmp_path: Path
) -> None:
    catalogue = px.catalogue
    for call in (
        lambda: catalogue.get(system),
        lambda: catalogue.versions(system),
        lambda: catalogue.list(**values),
        lambda: catalogue.path("oddly", *versions),
        lambda: catalogue.path(system, *versions),
        lambda: catalogue.deprecate(system),
        lambda: catalogue.restore(system),
        lambda: catalogue.publish(system),
        lambda: catalogue.publish(tmp_path, format=system),
        lambda: catalogue.publish(tmp_path, system_id=system, type=system, vendor=system, name=system),
    ):
        await refused_changes_nothing(call, catalogue.list)
