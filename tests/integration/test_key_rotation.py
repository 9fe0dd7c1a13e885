"""Both levels of keys rotated while several processes read and write: no read fails, nothing is lost."""

from __future__ import annotations

import asyncio
import io
import json
import secrets
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from prismicx import Conflict, NotFound, Platform
from prismicx.keys.client import version_of
from prismicx.sealing.values import is_sealed, parse
from prismicx.settings import Settings
from prismicx.tasks.values import NewTask
from prismicx.users import private
from tests.sealing import platform, stored

Id = Callable[[], str]


@pytest.fixture
async def two(settings: Settings, px: Platform) -> AsyncIterator[tuple[Platform, Platform]]:
    """Two processes' platforms: opened keysets are held for a second, and old keys kept no longer than that."""
    async with (
        platform(settings, grace=0.2, keyset_cache=1.0) as first,
        platform(settings, grace=0.2, keyset_cache=1.0) as second,
    ):
        yield first, second


@pytest.fixture
async def tenant_id(two: tuple[Platform, Platform], new_id: Id) -> str:
    made = new_id()
    await two[0].tenants.create(made, name="Rotating")
    return made


class CutOffError(Exception):
    """What ends a pass in its middle."""


async def fill(px: Platform, tenant: str, count: int) -> dict[Any, int]:
    users = {}
    async with px.tenant(tenant) as scope:
        for number in range(count):
            made = await scope.users.create(
                username="ada", email=f"{secrets.token_hex(6)}@acme.test", metadata={"private": number}
            )
            await scope.preferences.set(made.id, {"pin": number}, secret=True)
            users[made.id] = number
        await scope.tasks.enqueue_many([_task(number) for number in range(count)])
    return users


def _task(number: int) -> Any:
    return NewTask("s", "t", {"token": number, "n": number}, 0, ("token",))


async def key_ids(settings: Settings, tenant: str) -> set[int]:
    """Of the keys that sealed anything."""
    found = await stored(settings, tenant)
    texts = [item["private"] for item in found["users"]] + found["preferences"] + found["registry"]
    texts += [item["token"] for item in found["tasks"]]
    assert texts and all(map(is_sealed, texts))
    return {sealed.key_id for sealed in map(parse, texts) if sealed is not None}


@pytest.mark.timeout(240)
async def test_both_levels_are_rotated_under_load(
    two: tuple[Platform, Platform], settings: Settings, tenant_id: str
) -> None:
    first, second = two
    users = await fill(first, tenant_id, 40)
    before = await key_ids(settings, tenant_id)
    failures: list[BaseException] = []
    reads = writes = 0
    stop = asyncio.Event()

    async def read(px: Platform) -> None:
        nonlocal reads
        while not stop.is_set():
            try:
                async with px.tenant(tenant_id) as scope:
                    for user, number in list(users.items())[::5]:
                        assert (await scope.users.get(user)).metadata["private"] == number
                        assert await scope.preferences.get(user, "pin") == number
                        reads += 2
                    for task in (await scope.tasks.list(limit=1000)).items:
                        assert task.payload["token"] == task.payload["n"]
                        reads += 1
                    user, number = next(iter(users.items()))
                    assert await scope.preferences.find("pin", number) == [user]
                    await (await scope.collection("user_insights")).count_documents()
            except Exception as error:  # noqa: BLE001 - whatever it is, the read failed
                failures.append(error)
            await asyncio.sleep(0)

    async def write(px: Platform) -> None:
        nonlocal writes
        while not stop.is_set():
            try:
                async with px.tenant(tenant_id) as scope:
                    user, number = secrets.choice(list(users.items()))
                    await scope.users.update(user, metadata={"private": number})
                    await scope.preferences.set(user, {"pin": number})
                    await scope.tasks.enqueue_many([_task(writes)])
                    writes += 1
            except Exception as error:  # noqa: BLE001 - whatever it is, the read failed
                failures.append(error)
            await asyncio.sleep(0.01)

    load = [asyncio.create_task(work(px)) for px in two for work in (read, read, write)]
    rotated = []
    try:
        for number in range(3):
            rotator = two[number % 2]
            rotated.append((await rotator.keys.rotate_wrapping_key(tenant_id)).version)
            done = await rotator.keys.rotate_data_keys(tenant_id)
        for _ in range(20):
            await asyncio.sleep(0.5)
            done = await first.keys.seal(tenant_id)
            if done.waiting is None and not done.left:
                break
    finally:
        stop.set()
        await asyncio.gather(*load)
    assert failures == []
    assert reads > 200 and writes > 10
    assert rotated == [2, 3, 4]
    assert (done.left, done.waiting) == (0, None)
    status = await second.keys.status(tenant_id)
    assert status.wrapping_key is not None
    assert (status.wrapping_key.version, status.wrapping_key.oldest_version) == (4, 4)
    assert {item.data_class for item in status.keysets} == {"registry", "users", "preferences", "tasks", "search"}
    assert all(item.older == () and item.wrapped_by == 4 for item in status.keysets)
    assert all(set(item.values) == {item.primary} for item in status.keysets)
    assert not before & await key_ids(settings, tenant_id)
    async with second.tenant(tenant_id) as scope:
        for user, number in users.items():
            assert (await scope.users.get(user)).metadata["private"] == number
            assert await scope.preferences.find("pin", number) == [user]


async def test_values_are_sealed_anew_when_they_are_written(
    two: tuple[Platform, Platform], settings: Settings, tenant_id: str
) -> None:
    px = two[0]
    users = await fill(px, tenant_id, 3)
    one, other, last = users
    old = await key_ids(settings, tenant_id)
    await px.keys._rotation.add_data_keys(tenant_id)
    async with px.tenant(tenant_id) as scope:
        await scope.users.update(one, metadata={"private": 0})
        # A change of something else takes what is private along, where the keys are at hand.
        await scope.users.get(other)
        assert (await scope.users.update(other, first_name="Ada")).metadata == {"private": users[other]}
        assert await scope.preferences.merge(one, "pin", {"a": 1}) == {"a": 1}
    found = [parse(item["private"]) for item in (await stored(settings, tenant_id))["users"]]
    assert len([item for item in found if item is not None and item.key_id in old]) == 1
    status = {item.data_class: item for item in (await px.keys.status(tenant_id)).keysets}
    assert sorted(status["users"].values.values()) == [1, 2] and len(status["users"].older) == 1
    assert status["users"].values[status["users"].older[0]] == 1
    assert (await two[1].keys.seal(tenant_id)).sealed["system_users.user_data.users.metadata.private"] == 1
    assert last in users


async def test_a_pass_that_was_cut_off_goes_on(
    two: tuple[Platform, Platform], settings: Settings, tenant_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(private, "_BATCH", 4)
    users = await fill(two[0], tenant_id, 10)
    await two[0].keys._rotation.add_data_keys(tenant_id)

    def stop(field: Any, count: int) -> None:
        if count >= 4:
            raise CutOffError

    with pytest.raises(CutOffError):
        await two[0].keys.seal(tenant_id, stop)
    status = {item.data_class: item for item in (await two[1].keys.status(tenant_id)).keysets}
    assert sorted(status["users"].values.values()) == [4, 6]
    told: list[int] = []
    done = await two[1].keys.seal(tenant_id, lambda field, count: told.append(count))
    assert done.sealed["system_users.user_data.users.metadata.private"] == 6 and done.left == 0
    assert max(told) >= 6
    async with two[0].tenant(tenant_id) as scope:
        for user, number in users.items():
            assert (await scope.users.get(user)).metadata["private"] == number


async def test_no_payload_keeps_keys_from_being_rotated(two: tuple[Platform, Platform], tenant_id: str) -> None:
    odd = {"note": "$$USER_ROLES", "nested": {"a": ["$$USER_ROLES"]}, "secret": "x"}
    async with two[0].tenant(tenant_id) as scope:
        made = await scope.tasks.enqueue(service="s", type="t", payload=odd)
        tasks = await scope.collection("tasks")
        raw = await tasks.find_one({"task_id": made.task_id}, {"_id": 0})
        assert raw is not None
        names = {"$where": "1", "$eq": 2, "a.b": {"c.d": 3}, "secret": {"$where": "1"}}
        await tasks.insert_one({**raw, "task_id": f"$$USER_ROLES {tenant_id}", "payload": names})
        await two[0].keys._rotation.add_data_keys(tenant_id)
        done = await two[0].keys.seal(tenant_id)
        assert done.left == 0
        assert done.sealed["task_repository.tasks.payload.KEY"] == 2
        assert (await scope.tasks.get(made.task_id)).payload == odd
        (other,) = [task async for task in tasks.find({}) if task["task_id"] != made.task_id]
        assert other["payload"] == {**names, "secret": other["payload"]["secret"]}
        assert is_sealed(other["payload"]["secret"])


async def test_a_key_that_others_may_hold_is_kept(
    settings: Settings, two: tuple[Platform, Platform], tenant_id: str
) -> None:
    """The time for which a process holds keysets is kept with them, so that rotation waits for the longest."""
    await fill(two[0], tenant_id, 1)
    async with platform(settings, grace=0.2, keyset_cache=500.0) as slow, slow.tenant(tenant_id) as scope:
        (user,) = (await scope.users.list()).items
        assert user.metadata["private"] == 0
        done = await two[0].keys.rotate_data_keys(tenant_id)
        assert done.waiting is not None and done.retired == ()
        await asyncio.sleep(1.3)
        done = await two[0].keys.seal(tenant_id)
        assert done.waiting is not None and done.wait_seconds > 400
        # It seals with the key before, and everybody opens that.
        await scope.users.update(user.id, metadata={"private": 7})
    async with two[1].tenant(tenant_id) as scope:
        assert (await scope.users.get(user.id)).metadata["private"] == 7
    status = {item.data_class: item for item in (await two[1].keys.status(tenant_id)).keysets}
    assert len(status["users"].older) == 1 and status["registry"].older == ()


async def test_keysets_made_while_the_wrapping_key_is_rotated_open(
    two: tuple[Platform, Platform], settings: Settings, new_id: Id
) -> None:
    tenant = new_id()
    await two[0].tenants.create(tenant, name="T", isolation="shared")
    stop = asyncio.Event()

    async def rotate() -> None:
        while not stop.is_set():
            await two[0].keys.rotate_wrapping_key(tenant)

    rotating = asyncio.create_task(rotate())
    async with two[1].tenant(tenant) as scope:
        user = await scope.users.create(username="a", email="a@b.test", metadata={"private": 1})
        await scope.preferences.set(user.id, {"pin": 1}, secret=True)
        task = await scope.tasks.enqueue(service="s", type="t", payload={"secret": 1})
    stop.set()
    await rotating
    async with platform(settings) as third, third.tenant(tenant) as scope:
        assert (await scope.users.get(user.id)).metadata["private"] == 1
        assert await scope.preferences.get(user.id, "pin") == 1
        assert (await scope.tasks.get(task.task_id)).payload == {"secret": 1}
    documents = await two[0]._keysets.documents(tenant)
    assert len({version_of(document["wrapped"]) for document in documents}) == 1


async def test_two_who_rotate_at_once_lose_no_key(two: tuple[Platform, Platform], tenant_id: str) -> None:
    users = await fill(two[0], tenant_id, 4)
    await asyncio.gather(*(px.keys.rotate_data_keys(tenant_id) for px in two for _ in range(2)))
    await asyncio.gather(*(px.keys.rotate_wrapping_key(tenant_id) for px in two))
    for px in two:
        px._keysets.forget(tenant_id)
        async with px.tenant(tenant_id) as scope:
            for user, number in users.items():
                assert (await scope.users.get(user)).metadata["private"] == number
    assert len((await two[0]._keysets.document(tenant_id, "users") or {})["key_ids"]) == 5


async def test_one_that_is_overtaken_leaves_no_older_version_open(
    two: tuple[Platform, Platform], tenant_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await fill(two[0], tenant_id, 1)
    slow, configure = two[0]._keysets.keys, two[0]._keysets.keys.configure
    overtaken: list[int] = []

    async def configured(name: str, **bounds: int) -> object:
        if not overtaken:  # between what it read and what it writes
            overtaken.append((await two[1].keys.rotate_wrapping_key(tenant_id)).version)
        return await configure(name, **bounds)

    monkeypatch.setattr(slow, "configure", configured)
    after = await two[0].keys.rotate_wrapping_key(tenant_id)
    assert [after.version] == overtaken
    assert (await two[0].keys.status(tenant_id)).wrapping_key == after
    assert after.oldest_version == after.version


async def test_a_long_import_across_a_retired_key_is_not_lost(two: tuple[Platform, Platform], tenant_id: str) -> None:
    await fill(two[0], tenant_id, 1)

    px = two[0]
    line = json.dumps({"username": "z", "email": "z@acme.test", "metadata": {"private": 1}})
    async with px.tenant(tenant_id) as scope:
        writer = await scope.user_transfer._sealer.writer()
        await two[1].keys.rotate_data_keys(tenant_id)
        await asyncio.sleep(1.3)
        assert (await two[1].keys.seal(tenant_id)).retired
        with pytest.raises(Conflict) as caught:
            await scope.user_transfer._sealer.check_still_kept(writer)
        assert caught.value.code == "keys.rotated"
        assert (await scope.user_transfer.read(io.StringIO(line), "jsonl")).added == 1
        assert (await scope.users.by_email("z@acme.test")).metadata["private"] == 1


async def test_tenants_that_are_not_there(px: Platform) -> None:
    for call in (
        px.keys.status, px.keys.seal, px.keys.rotate_data_keys, px.keys.rotate_wrapping_key, px.keys.destroy,
    ):  # fmt: skip
        with pytest.raises(NotFound) as caught:
            await call("nobody")
        assert caught.value.code == "tenant.unknown"
