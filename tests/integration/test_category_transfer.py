"""Trees from and to files: every form, what an import would change, and what it did."""

from __future__ import annotations

import asyncio
import io
import json
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from demo import taxonomy
from prismicx import Conflict, InvalidInput, NotFound, Platform, TenantScope
from prismicx.categories.forms import FORMATS, Format
from tests.integration.test_categories import drawn, grow


@pytest.fixture
async def tenant(px: Platform, new_id: Callable[[], str]) -> str:
    name = new_id()
    await px.tenants.create(name, name="T", isolation="shared")
    return name


def kinds(found: Any) -> dict[str, int]:
    return dict(Counter(change.kind for change in found.changes))


async def load(scope: TenantScope, held: Any, **options: Any) -> dict[str, int]:
    """Import a text, or what is given as JSON; the comparison beforehand says what comes of it."""
    text = held if isinstance(held, str) else json.dumps(held)
    said = await scope.category_transfer.diff(io.StringIO(text), **options)
    done = await scope.category_transfer.read(io.StringIO(text), **options)
    assert kinds(said) == kinds(done)
    assert kinds(await scope.category_transfer.diff(io.StringIO(text), **options)).keys() <= {"missing"}
    assert await scope.categories.check() == []
    return kinds(done)


async def test_the_taxonomy_comes_goes_and_comes_again(px: Platform, tenant: str, new_id: Callable[[], str]) -> None:
    text = taxonomy.text()
    async with px.tenant(tenant) as scope:
        assert await load(scope, text) == {"added": 704}
        found = await scope.categories.subtree()
        assert len(found) == 704
        by_source = {item.source_id: item for item in found}
        assert by_source["151"].parent_id == by_source["150"].category_id
        for form in FORMATS:
            target = io.StringIO()
            assert await scope.category_transfer.write(target, form) == 704
            assert await load(scope, target.getvalue(), format=form, prune=True) == {}
            assert await load(scope, target.getvalue(), prune=True) == {}  # the form is found out
        other = new_id()
        await px.tenants.create(other, name="O", isolation="shared")
        async with px.tenant(other) as theirs:
            assert await load(theirs, target.getvalue()) == {"added": 704}
            assert await drawn(theirs) == await drawn(scope)
        assert await scope.categories.subtree() == found


async def test_categories_keep_their_ids_through_changes_of_the_file(px: Platform, tenant: str) -> None:
    before = [
        {"id": "a", "name": "A", "children": [{"id": "b", "name": "B", "children": [{"id": "c", "name": "C"}]}]},
        {"id": "d", "name": "D", "description": "old", "children": [{"id": "e", "name": "E"}]},
        {"id": "f", "name": "F"},
    ]
    after = [
        {"id": "d", "name": "A", "description": "new", "children": [
            {"id": "b", "name": "E", "children": [{"id": "c", "name": "C"}]}, {"id": "g", "name": "G"}]},
        {"id": "a", "name": "D", "attributes": [{"name": "n", "value": 1}]},
        {"id": "e", "name": "B"},
    ]  # fmt: skip
    async with px.tenant(tenant) as scope:
        await load(scope, before)
        ids = {item.source_id: item.category_id for item in await scope.categories.subtree()}
        assert await load(scope, after) == {
            "renamed": 4, "changed": 2, "moved": 2, "added": 1, "missing": 1,
        }  # fmt: skip
        assert await drawn(scope) == ["A", "A/E", "A/E/C", "A/G", "B", "D", "F"]
        now = {item.source_id: item.category_id for item in await scope.categories.subtree()}
        assert {key: now[key] for key in ids} == ids
        assert await load(scope, after, prune=True) == {"removed": 1}
        assert await load(scope, before, prune=True) == {
            "renamed": 4,
            "moved": 2,
            "changed": 1,
            "added": 1,
            "removed": 1,
        }


async def test_what_was_made_by_hand_is_met_by_its_name(px: Platform, tenant: str) -> None:
    async with px.tenant(tenant) as scope:
        made = await grow(scope, "A", "A/x", "A/mine", "other")
        assert await load(scope, "id,parent,name\n1,,A\n2,1,x\n3,1,y\n") == {"changed": 2, "added": 1, "missing": 2}
        assert (await scope.categories.get(made["A"].category_id)).source_id == "1"
        # The same name with another key is another category, and there is no room for it.
        with pytest.raises(Conflict) as caught:
            await load(scope, "id,name\n9,A\n")
        assert caught.value.code == "category.name_taken"
        assert await load(scope, "name\nA\nnew\n", under=made["other"].category_id) == {"added": 2}
        assert await drawn(scope) == ["A", "A/mine", "A/x", "A/y", "other", "other/A", "other/new"]
        target = io.StringIO()
        assert await scope.category_transfer.write(target, "csv", under=made["other"].category_id) == 3
        assert await load(scope, target.getvalue()) == {"missing": 4}


async def test_an_import_is_all_or_nothing_also_beside_others(px: Platform, tenant: str) -> None:
    held = [{"name": f"n{n}", "children": [{"name": f"c{m}"} for m in range(5)]} for n in range(40)]
    async with px.tenant(tenant) as scope:
        results = await asyncio.gather(
            *(scope.category_transfer.read(io.StringIO(json.dumps(held))) for _ in range(4)),
            *(scope.categories.create(f"n{n}") for n in range(3)),
            return_exceptions=True,
        )
        added = [kinds(result).get("added", 0) for result in results[:4] if not isinstance(result, BaseException)]
        assert sorted(added)[:3] == [0, 0, 0]
        assert len(await drawn(scope)) == 240
        deep = json.dumps([{"name": "new"}, {"name": "n0", "children": [{"name": "c0", "children": [{"name": ""}]}]}])
        with pytest.raises(InvalidInput):
            await scope.category_transfer.read(io.StringIO(deep))
        with pytest.raises(NotFound):
            await scope.category_transfer.read(io.StringIO("name\nx\n"), under="5f1c0b1e-3c0a-4a53-9d52-1d3c1c1f0a11")
        assert len(await drawn(scope)) == 240


trees = st.recursive(
    st.builds(list),
    lambda below: st.lists(
        st.tuples(st.sampled_from("abcd"), st.sampled_from(["", "1", "2", "3", "4", "5"]), below),
        max_size=4, unique_by=lambda item: item[0],
    ),
    max_leaves=8,
)  # fmt: skip


def as_json(tree: Any, seen: set[str]) -> list[dict[str, Any]]:
    found = []
    for name, key, below in tree:
        item: dict[str, Any] = {"name": name}
        if key and key not in seen:
            seen.add(key)
            item["id"] = key
        found.append({**item, "children": as_json(below, seen)})
    return found


def paths_of(items: list[dict[str, Any]], above: str = "") -> list[str]:
    found = []
    for item in sorted(items, key=lambda item: item["name"]):
        path = f"{above}{item['name']}"
        found += [path, *paths_of(item["children"], f"{path}/")]
    return found


@given(files=st.lists(trees, min_size=2, max_size=4), form=st.sampled_from(FORMATS))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_any_tree_becomes_any_other(px: Platform, files: list[Any], form: Format) -> None:
    tenant = "t-any-tree"
    with suppress(Conflict):  # an example before made it
        await px.tenants.create(tenant, name="T", isolation="shared")
    async with px.tenant(tenant) as scope:
        for tree in files:
            held = as_json(tree, set())
            await load(scope, held, prune=True)
            assert await drawn(scope) == paths_of(held)
            if all(path.count("/") < 4 for path in paths_of(held)) or form != "iab":
                target = io.StringIO()
                await scope.category_transfer.write(target, form)
                assert await load(scope, target.getvalue(), format=form, prune=True) == {}
