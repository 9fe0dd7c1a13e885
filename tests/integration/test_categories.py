"""Category trees: made, found, moved, merged, deleted, by many at once, and by their own tenant only."""

from __future__ import annotations

import asyncio
import random
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from prismicx import Conflict, InvalidInput, NotFound, Platform, TenantScope
from prismicx.categories.values import Category
from prismicx.errors import PrismicXError
from tests.support import category as raw_category

Pair = tuple[str, str]


@pytest.fixture
async def tenant(px: Platform, new_id: Callable[[], str]) -> str:
    name = new_id()
    await px.tenants.create(name, name="T", isolation="shared")
    return name


async def grow(scope: TenantScope, *paths: str) -> dict[str, Category]:
    """Categories for paths such as ``a/b/c``, by path."""
    made: dict[str, Category] = {}
    for path in paths:
        above, _, name = path.rpartition("/")
        made[path] = await scope.categories.create(name, parent_id=made[above].category_id if above else None)
    return made


async def drawn(scope: TenantScope) -> list[str]:
    """The paths of the whole forest, by walking from each category to its root; the tree must be sound."""
    assert await scope.categories.check() == []
    found = await scope.categories.subtree()
    names = {item.category_id: item.name for item in found}
    paths = ["/".join([*(names[key] for key in item.ancestors), item.name]) for item in found]
    for item, path in zip(found[:3], paths[:3], strict=True):
        assert "/".join(part.name for part in await scope.categories.path(item.category_id)) == path
    return paths


async def test_a_category_is_found_by_its_tenant_only(px: Platform, pair: Pair) -> None:
    async with px.tenant(pair[0]) as ann, px.tenant(pair[1]) as bob:
        top = await ann.categories.create("Cars", description="Things that drive")
        below = await ann.categories.create("Vans", parent_id=top.category_id)
        assert await ann.categories.get(below.category_id) == below
        assert below.ancestors == (top.category_id,)
        theirs = await bob.categories.create("Cars")
        key = below.category_id
        for attempt in (
            bob.categories.get(key), bob.categories.path(key), bob.categories.subtree(key),
            bob.categories.children(key), bob.categories.search("a", under=key), bob.categories.rename(key, "x"),
            bob.categories.set_attribute(key, "a", "b"), bob.categories.remove_attribute(key, "a"),
            bob.categories.move(key, None), bob.categories.move(theirs.category_id, key),
            bob.categories.merge(key, theirs.category_id), bob.categories.merge(theirs.category_id, key),
            bob.categories.delete(key, children="cascade"), bob.categories.create("x", parent_id=key),
        ):  # fmt: skip
            with pytest.raises(NotFound) as caught:
                await attempt
            assert caught.value.code == "category.unknown"
        assert key not in {item.category_id for item in await bob.categories.subtree()}
        assert (await bob.categories.search("Van")).items == []
        assert await ann.categories.get(key) == below


async def test_reading_a_tree(px: Platform, tenant: str) -> None:
    async with px.tenant(tenant) as scope:
        made = await grow(scope, "b", "b/z", "b/a", "b/a/deep", "b/a/deep/er", "a", "a/Deep end", "c%_.*")
        assert await drawn(scope) == ["a", "a/Deep end", "b", "b/a", "b/a/deep", "b/a/deep/er", "b/z", "c%_.*"]
        b = made["b"].category_id
        assert [item.name for item in await scope.categories.subtree(b)] == ["b", "a", "deep", "er", "z"]
        assert [item.name for item in await scope.categories.subtree(b, levels=1)] == ["b", "a", "z"]
        assert [item.name for item in await scope.categories.subtree(levels=1)] == ["a", "b", "c%_.*"]
        assert [item.name for item in await scope.categories.subtree(levels=2)] == [
            "a",
            "Deep end",
            "b",
            "a",
            "z",
            "c%_.*",
        ]
        assert [item.name for item in (await scope.categories.children(b)).items] == ["a", "z"]
        first = await scope.categories.children(limit=2)
        assert [item.name for item in first.items] == ["a", "b"]
        assert [item.name for item in (await scope.categories.children(after=first.next, limit=2)).items] == ["c%_.*"]
        assert [item.name for item in (await scope.categories.search("DEEP")).items] == ["Deep end", "deep"]
        assert [item.name for item in (await scope.categories.search("deep", under=b)).items] == ["deep"]
        assert [item.name for item in (await scope.categories.search(".*")).items] == ["c%_.*"]
        page = await scope.categories.search("e", limit=1)
        seen = [item.name for item in page.items]
        while page.next:
            page = await scope.categories.search("e", limit=1, after=page.next)
            seen += [item.name for item in page.items]
        assert seen == ["Deep end", "deep", "er"]


async def test_what_a_category_says_of_itself(px: Platform, tenant: str) -> None:
    async with px.tenant(tenant) as scope:
        made = await scope.categories.create("a", attributes=[{"name": "size", "value": 3}])  # type: ignore[list-item]
        renamed = await scope.categories.rename(made.category_id, "b", version=made.version)
        with pytest.raises(Conflict) as caught:
            await scope.categories.rename(made.category_id, "c", version=made.version)
        assert caught.value.code == "category.changed"
        assert renamed.version in caught.value.message
        await scope.categories.describe(made.category_id, "d")
        changed = await scope.categories.set_attribute(made.category_id, "born", "2026-01-31", type="date")
        assert [(item.name, item.type, item.value) for item in changed.attributes] == [
            ("size", "number", 3), ("born", "date", "2026-01-31"),
        ]  # fmt: skip
        await scope.categories.set_attribute(made.category_id, "born", "2026-02-01")
        with pytest.raises(InvalidInput, match="size"):
            await scope.categories.set_attribute(made.category_id, "size", "large")
        changed = await scope.categories.set_attribute(made.category_id, "born")
        assert [(item.name, item.type, item.value) for item in changed.attributes] == [
            ("size", "number", 3), ("born", "date", None),
        ]  # fmt: skip
        changed = await scope.categories.set_attribute(made.category_id, "size", False, type="boolean")
        assert (changed.attributes[0].type, changed.attributes[0].value) == ("boolean", False)
        changed = await scope.categories.remove_attribute(made.category_id, "size")
        assert (changed.name, changed.description, [a.name for a in changed.attributes]) == ("b", "d", ["born"])
        with pytest.raises(NotFound):
            await scope.categories.remove_attribute(made.category_id, "size")
        assert (await scope.categories.describe(made.category_id, None)).description is None


async def test_many_attributes_at_once_lose_none(px: Platform, tenant: str) -> None:
    async with px.tenant(tenant) as scope:
        made = await scope.categories.create("a")
        names = [f"n{number}" for number in range(8)]
        await asyncio.gather(*(scope.categories.set_attribute(made.category_id, name, name) for name in names))
        found = await scope.categories.get(made.category_id)
        assert {item.name: item.value for item in found.attributes} == {name: name for name in names}


async def test_siblings_have_names_of_their_own(px: Platform, tenant: str) -> None:
    async with px.tenant(tenant) as scope:
        made = await grow(scope, "a", "a/x", "b", "b/x", "b/y")
        for attempt in (
            scope.categories.create("a"), scope.categories.create("x", parent_id=made["a"].category_id),
            scope.categories.rename(made["b/y"].category_id, "x"), scope.categories.rename(made["b"].category_id, "a"),
            scope.categories.move(made["a/x"].category_id, made["b"].category_id),
        ):  # fmt: skip
            with pytest.raises(Conflict) as caught:
                await attempt
            assert caught.value.code == "category.name_taken"
        results = await asyncio.gather(
            *(scope.categories.create("new", parent_id=made["a"].category_id) for _ in range(6)), return_exceptions=True
        )
        assert sum(isinstance(result, Category) for result in results) == 1
        assert await drawn(scope) == ["a", "a/new", "a/x", "b", "b/x", "b/y"]


async def test_a_subtree_is_moved(px: Platform, tenant: str) -> None:
    async with px.tenant(tenant) as scope:
        made = await grow(scope, "a", "a/b", "a/b/c", "a/b/c/d", "e", "e/f")
        moved = await scope.categories.move(made["a/b"].category_id, made["e/f"].category_id)
        assert moved.version > made["a/b"].version
        assert await drawn(scope) == ["a", "e", "e/f", "e/f/b", "e/f/b/c", "e/f/b/c/d"]
        await scope.categories.move(made["a/b/c"].category_id, None)
        assert await drawn(scope) == ["a", "c", "c/d", "e", "e/f", "e/f/b"]
        for target in ("e", "e/f", "a/b"):
            with pytest.raises(Conflict) as caught:
                await scope.categories.move(made["e"].category_id, made[target].category_id)
            assert caught.value.code == "category.cycle"
        assert await drawn(scope) == ["a", "c", "c/d", "e", "e/f", "e/f/b"]


async def test_two_become_one(px: Platform, tenant: str) -> None:
    async with px.tenant(tenant) as scope:
        made = await grow(scope, "a", "a/x", "a/x/1", "a/x/2", "a/y", "b", "b/x", "b/x/2", "b/x/3", "b/x/3/in", "b/z")
        await scope.categories.describe(made["b"].category_id, "from b")
        await scope.categories.set_attribute(made["b"].category_id, "k", "b")
        await scope.categories.set_attribute(made["b"].category_id, "l", "b")
        await scope.categories.set_attribute(made["a"].category_id, "k", "a")
        one = await scope.categories.merge(made["b"].category_id, made["a"].category_id)
        assert (one.name, one.description) == ("a", "from b")
        assert {item.name: item.value for item in one.attributes} == {"k": "a", "l": "b"}
        assert await drawn(scope) == ["a", "a/x", "a/x/1", "a/x/2", "a/x/3", "a/x/3/in", "a/y", "a/z"]
        with pytest.raises(NotFound):
            await scope.categories.get(made["b/x"].category_id)
        for source, target in (("a", "a"), ("a", "a/x")):
            with pytest.raises(Conflict) as caught:
                await scope.categories.merge(made[source].category_id, made[target].category_id)
            assert caught.value.code == "category.cycle"
        await scope.categories.merge(made["a/x"].category_id, made["a"].category_id)
        assert await drawn(scope) == ["a", "a/1", "a/2", "a/3", "a/3/in", "a/y", "a/z"]


async def test_many_siblings_move_as_each_would(px: Platform, tenant: str) -> None:
    deep = ["a", *("a/" + "/".join("bcdefghijklmnopqrstuvwxyz"[: n + 1]) for n in range(25))]
    async with px.tenant(tenant) as scope:
        made = await grow(
            scope, *deep, "s", *(f"s/{n}" for n in range(6)), "s/5/6", "s/5/6/7", "s/5/6/7/8", "s/5/6/7/8/9"
        )
        with pytest.raises(InvalidInput) as caught:
            await scope.categories.merge(made["s"].category_id, made[deep[-1]].category_id)
        assert caught.value.code == "category.too_deep"
        assert "'5'" in caught.value.message
        held = {item.category_id: item for item in await scope.categories.subtree()}
        assert held.keys() == {item.category_id for item in made.values()}
        await scope.categories.merge(made["s"].category_id, made[deep[1]].category_id)
        expected = [*deep, *(f"a/b/{n}" for n in range(6)), "a/b/5/6", "a/b/5/6/7", "a/b/5/6/7/8", "a/b/5/6/7/8/9"]
        assert sorted(await drawn(scope)) == sorted(expected)
        for item in await scope.categories.subtree():
            moved = item.parent_id != held[item.category_id].parent_id
            assert (item.version > held[item.category_id].version) == moved
        assert await scope.categories.delete(made[deep[1]].category_id, children="reparent") == 1
        assert sorted(await drawn(scope)) == sorted(
            ["a", *(path.replace("a/b/", "a/") for path in expected if path not in ("a", "a/b"))]
        )


async def test_deleting_says_what_becomes_of_those_below(px: Platform, tenant: str) -> None:
    async with px.tenant(tenant) as scope:
        made = await grow(scope, "a", "a/b", "a/b/c", "a/b/d", "a/c", "e", "e/f", "e/f/g")
        with pytest.raises(Conflict) as caught:
            await scope.categories.delete(made["e"].category_id)
        assert caught.value.code == "category.has_children"
        with pytest.raises(Conflict) as caught:
            await scope.categories.delete(made["a/b"].category_id, children="reparent")
        assert caught.value.code == "category.name_taken"
        assert len(await drawn(scope)) == 8
        assert await scope.categories.delete(made["e"].category_id, children="reparent") == 1
        assert await scope.categories.delete(made["a"].category_id, children="cascade") == 5
        assert await drawn(scope) == ["f", "f/g"]
        assert await scope.categories.delete(made["e/f/g"].category_id) == 1
        with pytest.raises(InvalidInput):
            await scope.categories.delete(made["e/f"].category_id, children="keep")  # type: ignore[arg-type]


async def test_a_tree_has_so_many_levels(px: Platform, tenant: str) -> None:
    async with px.tenant(tenant) as scope:
        key: str | None = None
        keys: list[str] = []
        for level in range(30):
            key = (await scope.categories.create(f"l{level}", parent_id=key)).category_id
            keys.append(key)
        other = await scope.categories.create("other")
        for attempt in (
            scope.categories.create("too deep", parent_id=key),
            scope.categories.move(keys[0], other.category_id),
        ):
            with pytest.raises(InvalidInput) as caught:
                await attempt
            assert caught.value.code == "category.too_deep"
        await scope.categories.move(keys[1], other.category_id)
        assert len(await drawn(scope)) == 31


async def test_moves_at_once_make_no_cycle(px: Platform, tenant: str) -> None:
    async with px.tenant(tenant) as scope:
        for _ in range(5):
            made = await grow(scope, "a", "b", "c")
            keys = [item.category_id for item in made.values()]
            results = await asyncio.gather(
                *(scope.categories.move(keys[n], keys[(n + 1) % 3]) for n in range(3)), return_exceptions=True
            )
            assert sum(isinstance(result, Category) for result in results) == 2
            assert [result.code for result in results if isinstance(result, Conflict)] == ["category.cycle"]
            top = next(path for path in await drawn(scope) if "/" not in path)
            assert len(await drawn(scope)) == 3
            await scope.categories.delete(made[top].category_id, children="cascade")


async def test_everything_at_once_leaves_a_sound_tree(px: Platform, tenant: str) -> None:
    """Creations, moves, merges and deletions by ten writers, which know nothing of one another."""
    async with px.tenant(tenant) as scope:
        made = await grow(scope, *(f"r{n}" for n in range(6)))
        keys = [item.category_id for item in made.values()]
        refused: set[str] = set()

        async def writer(seed: int) -> None:
            dice = random.Random(seed)
            for number in range(12):
                one, two = dice.choice(keys), dice.choice(keys)
                work: Any = dice.choice(["create", "create", "move", "move", "merge", "delete"])
                try:
                    if work == "create":
                        new = await scope.categories.create(f"n{seed}-{number}", parent_id=one)
                        keys.append(new.category_id)
                    elif work == "move":
                        await scope.categories.move(one, two)
                    elif work == "merge":
                        await scope.categories.merge(one, two)
                    else:
                        await scope.categories.delete(one, children=dice.choice(["cascade", "reparent"]))
                except PrismicXError as error:
                    refused.add(error.code)

        await asyncio.gather(*(writer(seed) for seed in range(10)))
        assert refused <= {"category.unknown", "category.cycle", "category.name_taken"}
        await drawn(scope)


async def test_what_others_wrote_is_checked_and_repaired(px: Platform, tenant: str) -> None:
    async with px.tenant(tenant) as scope:
        documents = await scope.collection("categories")
        a, b, c, lost = (raw_category(name) for name in ("a", "b", "c", "lost"))
        b["parent_id"], c["parent_id"], lost["parent_id"] = a["category_id"], b["category_id"], str(uuid.uuid4())
        b["attributes"] = [{"color": "red"}, {"name": "size", "value": 5}]
        again = raw_category("a")
        await documents.insert_many([a, b, c, lost, again])
        kinds = {problem.name: problem.kind for problem in await scope.categories.check()}
        assert kinds == {"a": "name", "b": "path", "c": "path", "lost": "orphan"}
        await documents.delete_one({"category_id": again["category_id"]})
        left = await scope.categories.check(repair=True)
        assert [(problem.name, problem.kind) for problem in left] == [("lost", "orphan")]
        await scope.categories.move(lost["category_id"], a["category_id"])
        assert await drawn(scope) == ["a", "a/b", "a/b/c", "a/lost"]
        await scope.categories.set_attribute(b["category_id"], "size", 6)
        found = await documents.find_one({"category_id": b["category_id"]})
        assert found is not None
        assert found["attributes"] == [{"color": "red"}, {"name": "size", "type": "number", "value": 6}]
        await documents.update_one({"category_id": a["category_id"]}, {"$set": {"parent_id": c["category_id"]}})
        assert {problem.kind for problem in await scope.categories.check()} == {"cycle"}
        await scope.categories.move(a["category_id"], None)
        await scope.categories.check(repair=True)
        assert await drawn(scope) == ["a", "a/b", "a/b/c", "a/lost"]


odd = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=210), st.binary(max_size=4),
    st.lists(st.dictionaries(st.sampled_from(["name", "type", "value", "$x"]),
                             st.one_of(st.text(max_size=5), st.integers(), st.floats(), st.none())), max_size=3),
    st.just({"$ne": 1}), st.just("x" * 3_000), st.just([{"name": "d", "type": "date", "value": "2026-02-30"}]),
)  # fmt: skip


@given(values=st.fixed_dictionaries({"name": odd}, optional={"description": odd, "attributes": odd, "parent_id": odd}))
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_odd_values_are_kept_as_given_or_refused(px: Platform, pair: Pair, values: dict[str, Any]) -> None:
    async with px.tenant(pair[0]) as ann:
        try:
            made = await ann.categories.create(**values)
        except (InvalidInput, Conflict) as error:
            assert error.code in ("category.invalid", "category.id_invalid", "category.name_taken")
            return
        assert await ann.categories.get(made.category_id) == made
        assert (made.name, made.description) == (values["name"], values.get("description"))
        await ann.categories.delete(made.category_id)


async def test_wrong_words_are_named(px: Platform, pair: Pair) -> None:
    async with px.tenant(pair[0]) as ann:
        made = await ann.categories.create(f"w{uuid.uuid4()}")
        key = made.category_id
        for attempt in (
            ann.categories.get("x"), ann.categories.get({"$ne": ""}), ann.categories.update(key, parent_id=None),  # type: ignore[arg-type]
            ann.categories.update(key, name=None), ann.categories.update(key, name={"$ne": ""}),
            ann.categories.search(""), ann.categories.search("\0"),
            ann.categories.children(after="x"), ann.categories.children(limit=0), ann.categories.subtree(levels=0),
            ann.categories.set_attribute(key, "a", [1]), ann.categories.set_attribute(key, "a", float("nan")),  # type: ignore[arg-type]
            ann.categories.set_attribute(key, "a", "x", type="color"),  # type: ignore[arg-type]
            ann.categories.update(key, attributes=[{"name": "a"}, {"name": "a"}]),
            ann.categories.update(key, attributes=[{"name": f"a{n}"} for n in range(51)]),
        ):  # fmt: skip
            with pytest.raises(InvalidInput):
                await attempt
        assert await ann.categories.get(key) == made
