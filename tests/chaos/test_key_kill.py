"""The key service killed at any moment: what was acknowledged is there, and what was sealed is opened."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from prismicx.errors import InvalidInput, Unavailable
from tests.key_service import KeyService


@pytest.fixture
def service(tmp_path: Path) -> Iterator[KeyService]:
    made = KeyService(tmp_path).make().start()
    yield made
    made.stop()


async def test_killed_in_the_middle_of_rotations_nothing_is_lost(service: KeyService) -> None:
    client = service.client()
    names = ["acme", "globex", "initech"]
    for name in names:
        await client.create(name)
    sealed = {name: [await client.encrypt(name, b"0", name.encode())] for name in names}
    known = dict.fromkeys(names, 1)

    async def rotate(name: str) -> None:
        while True:
            known[name] = (await client.rotate(name)).latest_version
            sealed[name].append(await client.encrypt(name, str(known[name]).encode(), name.encode()))

    chance = random.Random(7)
    for _ in range(6):
        work = [asyncio.create_task(rotate(name)) for name in names]
        await asyncio.sleep(chance.uniform(0.05, 0.3))
        service.kill()
        for outcome in await asyncio.gather(*work, return_exceptions=True):
            assert isinstance(outcome, Unavailable)
            assert outcome.code == "keys.unavailable"
        assert service.open().damage() == []
        service.start()
        for name in names:
            # One rotation may have been on disk before its answer was on its way.
            found = (await client.read(name)).latest_version
            assert known[name] <= found <= known[name] + 1
            known[name] = found  # or the next time there might be two
            for text in sealed[name]:
                assert (await client.decrypt(name, text, name.encode())).isdigit()
    assert not list((service.store / "keys").glob(".part*"))
    assert all(version > 3 for version in known.values())
    client.close()


async def test_killed_while_keys_are_destroyed_they_are_whole_or_gone(service: KeyService) -> None:
    client = service.client()
    names = [f"tenant_{number:02}" for number in range(40)]
    sealed = {}
    for name in names:
        await client.create(name)
        sealed[name] = await client.encrypt(name, b"x")
    gone: set[str] = set()

    async def destroy() -> None:
        for name in names:
            await client.destroy(name)
            gone.add(name)

    work = asyncio.create_task(destroy())
    await asyncio.sleep(0.15)
    service.kill()
    with pytest.raises(Unavailable):
        await work
    service.start()
    left = await client.names()
    assert 0 < len(gone) < len(names)
    assert not gone & set(left)
    assert len(left) >= len(names) - len(gone) - 1
    for name in left:
        assert await client.decrypt(name, sealed[name]) == b"x"
    await destroy()
    assert await client.names() == []
    client.close()


async def test_while_a_key_is_rotated_every_text_is_opened(service: KeyService) -> None:
    client = service.client()
    await client.create("acme")
    texts = [await client.encrypt("acme", b"x")]
    ends = asyncio.Event()
    opened = 0

    async def rotate() -> None:
        for _ in range(15):
            await client.rotate("acme")
            texts.append(await client.encrypt("acme", b"x"))

    async def use() -> None:
        nonlocal opened
        while not ends.is_set():
            text = random.choice(texts)
            assert await client.decrypt("acme", text) == b"x"
            assert await client.decrypt("acme", await client.rewrap("acme", text)) == b"x"
            opened += 1

    users = [asyncio.create_task(use()) for _ in range(4)]
    await asyncio.gather(*(rotate() for _ in range(4)))
    ends.set()
    await asyncio.gather(*users)
    assert (await client.read("acme")).latest_version == 61
    assert opened > 20
    assert {text.split(":")[1] for text in texts} <= {f"v{number}" for number in range(1, 62)}
    client.close()


async def test_a_service_started_anew_is_used_by_connections_that_were_open(service: KeyService) -> None:
    client = service.client()
    await client.create("acme")
    text = await client.encrypt("acme", b"x")
    service.kill()
    with pytest.raises(Unavailable) as caught:
        await client.decrypt("acme", text)
    assert caught.value.code == "keys.unavailable"
    assert "prismicx key serve" in caught.value.remedy
    service.start()
    results = await asyncio.gather(*(client.decrypt("acme", text) for _ in range(20)))
    assert results == [b"x"] * 20
    with pytest.raises(InvalidInput):
        await client.decrypt("acme", text, b"other")
    client.close()
