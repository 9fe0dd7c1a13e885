"""Servers that go away while a process uses them: said in the library's words, by whatever asks."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import psutil
import pytest

from prismicx import Unavailable, connect
from prismicx.fleet.values import Selection
from prismicx.platform import Platform
from tests.acceptance.conftest import Prismicx
from tests.support import make_package

Asking = Callable[[Platform], Awaitable[object]]


@pytest.fixture(scope="module")
def prismicx(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prismicx]:
    command = Prismicx(tmp_path_factory.mktemp("lost") / "data")
    command("up", "--detach")
    command("tenant", "create", "acme", "--name", "Acme", "--isolation", "dedicated")
    command(
        "system", "publish", str(make_package(command.data.parent / "shop", "shop", ("CREATE TABLE t (id int);", None)))
    )
    yield command
    command("down", check=None)


def kill(data: Path, name: str) -> None:
    server = psutil.Process(json.loads((data / "run" / f"{name}.json").read_text())["pid"])
    victims = [server, *server.children(recursive=True)]
    for process in victims:
        process.kill()
    psutil.wait_procs(victims, timeout=10)


async def open_scope(px: Platform) -> object:
    px._registry.forget("acme")
    async with px.tenant("acme") as tenant:
        return tenant.tenant_id


async def insights(px: Platform) -> object:
    async with px.tenant("acme") as tenant:
        return await tenant.insights.list()


async def users(px: Platform) -> object:
    async with px.tenant("acme") as tenant:
        return await tenant.users.list()


async def savepoint(px: Platform) -> object:
    async with px.tenant("acme") as tenant, tenant.sql("system_users") as sql, sql.savepoint():
        return await sql.fetchval("SELECT 1")


MONGO: dict[str, Asking] = {
    "tenants": lambda px: px.tenants.list(),
    "scope": open_scope,
    "insights": insights,
}
POSTGRES: dict[str, Asking] = {
    "users": users,
    "types": lambda px: px.preference_types.list(),
    "audit": lambda px: px.audit.head(),
    "verify": lambda px: px.audit.verify(),
    "status": lambda px: px.fleet.status(),
    "drift": lambda px: px.fleet.drift(),
    "plan": lambda px: px.fleet.plan("shop", "install", selection=Selection(all_tenants=True)),
}


@pytest.mark.parametrize(("engine", "asked"), [("mongo", MONGO), ("postgres", POSTGRES)])
async def test_whatever_asks_a_dead_server_says_that_it_is_lost(
    prismicx: Prismicx, engine: str, asked: dict[str, Asking]
) -> None:
    async with connect(data=prismicx.data, connect_timeout=2) as px:
        for ask in asked.values():
            await ask(px)  # so that every pool and client is open
        kill(prismicx.data, engine)
        for name, ask in asked.items():
            with pytest.raises(Unavailable) as raised:
                await ask(px)
            assert raised.value.code in (f"{engine}.lost", f"{engine}.unreachable"), name
    assert prismicx.error("tenant", "list", code=6)["code"] == "engine.not_running"
    prismicx("up", "--detach")


async def test_a_server_that_dies_within_a_savepoint_is_what_is_told(prismicx: Prismicx) -> None:
    async with connect(data=prismicx.data) as px, px.tenant("acme") as tenant:
        with pytest.raises(Unavailable) as raised:
            async with tenant.sql("system_users") as sql, sql.savepoint():
                kill(prismicx.data, "postgres")
                await sql.fetch("SELECT 1")
        assert raised.value.code == "postgres.lost"
    prismicx("up", "--detach")
