"""Connections to MongoDB that something between cuts while nobody uses them."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator
from dataclasses import replace
from urllib.parse import urlsplit

import pytest

from prismicx import Platform, Unavailable
from prismicx.engines import mongo
from prismicx.engines.endpoints import locate
from prismicx.settings import Settings
from prismicx.tenants.registry import Registry


class Between:
    """Stands between a client and a server, and cuts what is connected."""

    def __init__(self, host: str, port: int) -> None:
        self._there = (host, port)
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None

    async def start(self) -> int:
        self._server = await asyncio.start_server(self._connect, "127.0.0.1", 0)
        return int(self._server.sockets[0].getsockname()[1])

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there_reader, there_writer = await asyncio.open_connection(*self._there)
        self._writers |= {writer, there_writer}
        await asyncio.gather(self._pass(reader, there_writer), self._pass(there_reader, writer))
        self._writers -= {writer, there_writer}

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        except ConnectionError:
            pass  # it was cut, which is what this is for
        writer.close()

    def cut(self) -> None:
        for writer in self._writers:
            writer.transport.abort()

    async def stop(self) -> None:
        """Cut them all and let none connect any more."""
        assert self._server is not None
        self._server.close()
        self.cut()
        await asyncio.sleep(0)


@pytest.fixture
async def between(settings: Settings) -> AsyncIterator[Between]:
    url = urlsplit(locate(settings).mongo.url)
    standing = Between(str(url.hostname), url.port or 27017)
    yield standing
    await standing.stop()


@pytest.fixture
async def px(settings: Settings, between: Between) -> AsyncIterator[Platform]:
    """A platform that reaches MongoDB through the one between."""
    url = urlsplit(locate(settings).mongo.url)
    login = url.netloc.rpartition("@")[0]
    port = await between.start()
    query = url.query if "directConnection" in url.query else f"{url.query}&directConnection=true".lstrip("&")
    through = url._replace(netloc=f"{login}@127.0.0.1:{port}", query=query).geturl()
    mine = replace(settings, mongo_url=through, connect_timeout=2)
    platform = Platform(mine, locate(mine))
    yield platform
    await platform.close()


@pytest.fixture
async def tenant(px: Platform) -> str:
    name = f"cut-{uuid.uuid4().hex[:8]}"
    await px.tenants.create(name, name="Cut", isolation="shared")
    return name


async def test_one_that_was_cut_while_idle_is_replaced_unseen(px: Platform, tenant: str, between: Between) -> None:
    user = str(uuid.uuid4())
    async with px.tenant(tenant) as scope:
        root = await scope.categories.create("Root")
        await scope.insights.add_topic(user, name="Sea")
        between.cut()
        leaf = await scope.categories.create("Leaf", parent_id=root.category_id)  # in a transaction
        assert [category.category_id for category in await scope.categories.path(leaf.category_id)] == [
            root.category_id,
            leaf.category_id,
        ]
        between.cut()
        topic = await scope.insights.add_topic(user, name="Sky")
        assert [each.topic_id for each in (await scope.insights.profile(user)).topics][-1] == topic.topic_id
        between.cut()
    await px.tenants.update(tenant, name="Cut thrice")
    assert (await px.tenants.get(tenant)).name == "Cut thrice"
    between.cut()
    await px.tenants.create(f"{tenant}-next", name="Next", isolation="dedicated")


async def test_a_server_that_is_gone_is_told_of_soon(px: Platform, tenant: str, between: Between) -> None:
    async with px.tenant(tenant) as scope:
        await scope.categories.create("Root")
        await between.stop()
        began = time.monotonic()
        with pytest.raises(Unavailable) as caught:
            await scope.categories.create("Another")
        assert caught.value.code == "mongo.lost"
    registry: Registry = px._registry
    with pytest.raises(Unavailable) as caught:
        await registry.in_transaction(lambda session: _written(registry, session))
    assert caught.value.code in ("mongo.lost", "mongo.unreachable")
    # Two tries of `connect_timeout` for each; the driver alone would go on for two minutes.
    assert time.monotonic() - began < 40


async def _written(registry: Registry, session: object) -> None:
    tenants = await registry.collection("tenants")
    await tenants.update_one({"tenant_id": "nobody"}, {"$set": {"name": "x"}}, session=session)  # type: ignore[arg-type]


async def test_idle_ones_are_closed_by_us_first(settings: Settings) -> None:
    client = mongo.open_client(locate(settings).mongo.url, 2)
    try:
        # SecantusDB closes them after 300 s, the usual balancers of clouds after 240 to 350 s.
        assert client.options.pool_options.max_idle_time_seconds is not None
        assert client.options.pool_options.max_idle_time_seconds < 240
    finally:
        await client.close()
