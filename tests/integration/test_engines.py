"""Servers that cannot be used are refused, each with its reason, and nothing is changed in them."""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from prismicx.engines import mongo, postgres
from prismicx.engines.embedded import process
from prismicx.engines.endpoints import Endpoint, Endpoints, locate
from prismicx.errors import PrismicXError, Unavailable
from prismicx.reference.apply import apply
from prismicx.settings import Settings


@pytest.fixture
def standalone(tmp_path: Path) -> Iterator[str]:
    """A server of MongoDB's protocol that is no replica set."""
    port = process.choose_port(0)
    code = "from secantus.cli import main; raise SystemExit(main())"
    words = ["--standalone", "--host", "127.0.0.1", "--port", str(port), "--storage-path", str(tmp_path / "db")]
    server = process.spawn([sys.executable, "-c", code, *words], tmp_path / "log", port, "standalone")

    def answers() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    try:
        process.wait_until(answers, server, tmp_path / "log", 30.0)
        yield f"mongodb://127.0.0.1:{port}/?directConnection=true"
    finally:
        process.terminate(server, signal.SIGTERM, patience=10.0)


async def test_a_standalone_mongodb_is_refused_with_the_remedy(servers: Settings, standalone: str) -> None:
    with pytest.raises(Unavailable) as caught:
        async with mongo.connect(standalone, 5.0):
            pass
    assert caught.value.code == "mongo.standalone"
    assert "--replSet" in caught.value.remedy
    assert "rs.initiate()" in caught.value.remedy
    with pytest.raises(Unavailable) as caught:
        await apply(servers, Endpoints(locate(servers).postgres, Endpoint(standalone, "url")))
    assert caught.value.code == "mongo.standalone"
    async with postgres.connect(locate(servers).postgres.url, 5.0) as admin:
        assert await admin.fetchval("SELECT count(*) FROM pg_roles WHERE rolname LIKE 'prismicx\\_%'") == 0
        assert await admin.fetchval("SELECT count(*) FROM pg_database WHERE datname = 'system_users'") == 0


async def test_servers_that_are_too_old_are_refused(servers: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """No old server is at hand: what is new enough is raised above the one that runs."""
    endpoints = locate(servers)
    monkeypatch.setattr(postgres, "OLDEST", 99)
    monkeypatch.setattr(mongo, "_OLDEST_WIRE", 99)
    with pytest.raises(Unavailable) as caught:
        await apply(servers, endpoints)
    assert caught.value.code == "postgres.too_old"
    assert "99 or newer" in caught.value.message
    with pytest.raises(Unavailable) as caught:
        async with mongo.connect(endpoints.mongo.url, 5.0):
            pass
    assert caught.value.code == "mongo.too_old"


@pytest.mark.parametrize("scheme", ["postgresql", "mongodb"])
async def test_a_server_that_takes_the_call_and_says_nothing_is_given_up(scheme: str) -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    url = f"{scheme}://somebody:secret-word@127.0.0.1:{port}/"
    begun = asyncio.get_running_loop().time()
    with pytest.raises(PrismicXError) as caught:
        if scheme == "postgresql":
            async with postgres.connect(url, 1.0):
                pass
        else:
            async with mongo.connect(url, 1.0):
                pass
    assert caught.value.code in ("postgres.unreachable", "mongo.unreachable")
    assert "secret-word" not in str(caught.value)
    assert asyncio.get_running_loop().time() - begun < 20
    server.close()
