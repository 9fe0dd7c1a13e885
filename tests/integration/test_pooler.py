"""Tenants behind PgBouncer in transaction mode: one server connection for all, and each sees its own."""

from __future__ import annotations

import asyncio
import json
import os
import random
import shutil
import socket
import subprocess
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import pytest

from prismicx.engines import postgres
from prismicx.engines.endpoints import locate
from prismicx.errors import Unavailable
from prismicx.isolation.verify import verify
from prismicx.platform import Platform, open_platform
from prismicx.reference.apply import apply
from prismicx.settings import Settings
from tests.support import add_user

PGBOUNCER = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")
pytestmark = pytest.mark.skipif(PGBOUNCER is None, reason="pgbouncer is not installed")


@asynccontextmanager
async def bouncing(settings: Settings, tmp_path: Path) -> AsyncIterator[str]:
    """The URL of a PgBouncer that has one connection to the server for each login."""
    server = urlsplit(locate(settings).postgres.url)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    held = json.loads(settings.credentials_file.read_text())["postgres"]
    (tmp_path / "users.txt").write_text("".join(f'"{login}" "{password}"\n' for login, password in held.items()))
    (tmp_path / "pgbouncer.ini").write_text(
        f"[databases]\n* = host={server.hostname} port={server.port}\n[pgbouncer]\nlisten_addr = 127.0.0.1\n"
        f"listen_port = {port}\nunix_socket_dir =\nauth_type = scram-sha-256\nauth_file = {tmp_path}/users.txt\n"
        f"pool_mode = transaction\ndefault_pool_size = 1\nlogfile = {tmp_path}/log\n"
    )
    command = [str(PGBOUNCER), str(tmp_path / "pgbouncer.ini")]
    if os.geteuid() == 0:  # which it refuses to be
        subprocess.run(["chmod", "-R", "a+rwX", str(tmp_path)], check=True)
        for parent in tmp_path.parents:
            if parent.stat().st_uid == 0 and str(parent) not in ("/", "/tmp"):
                parent.chmod(parent.stat().st_mode | 0o011)
        command += ["-u", "nobody"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(100):
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.close()
                break
            except OSError:
                await asyncio.sleep(0.05)
        yield f"postgresql://127.0.0.1:{port}/postgres"
    finally:
        process.terminate()
        process.wait(10)


@pytest.fixture
async def pooler(settings: Settings, tmp_path: Path) -> AsyncIterator[str]:
    async with bouncing(settings, tmp_path) as url:
        yield url


@pytest.fixture
async def pooled(settings: Settings, pooler: str) -> AsyncIterator[Platform]:
    async with open_platform(replace(settings, postgres_pooler_url=pooler)) as px:
        yield px


async def test_a_hundred_tasks_on_one_connection_see_their_own(pooled: Platform, pair: tuple[str, str]) -> None:
    keys = {tenant_id: set() for tenant_id in pair}
    for tenant_id in pair:
        async with pooled.tenant(tenant_id) as tenant:
            for number in range(3):
                async with tenant.sql("system_users") as sql:
                    keys[tenant_id].add(await add_user(sql, tenant_id, f"u{number}"))
    chance, backends = random.Random(8), set()

    async def one(number: int) -> None:
        tenant_id = pair[number % 2]
        async with pooled.tenant(tenant_id) as tenant:
            try:
                async with asyncio.timeout(chance.choice((0.02, 5))), tenant.sql("system_users") as sql:
                    rows = await sql.fetch("SELECT id, tenant_id FROM user_data.users")
                    assert {row["id"] for row in rows} >= keys[tenant_id]
                    assert {row["tenant_id"] for row in rows} == {tenant_id}
                    if number % 5 == 0:
                        await sql.fetch("SELECT 1 / 0")
                    if number % 7 == 0:
                        await sql.fetch("SELECT pg_sleep(0.1)")
            except (TimeoutError, asyncpg.DivisionByZeroError, Unavailable):
                pass  # as meant; what counts is what the others see

    await asyncio.gather(*(one(number) for number in range(100)))
    for tenant_id in pair:
        async with pooled.tenant(tenant_id) as tenant:
            for _ in range(3):
                async with tenant.sql("system_users") as sql:
                    rows = await sql.fetch("SELECT tenant_id FROM user_data.users")
                    assert {row["tenant_id"] for row in rows} == {tenant_id}
    pool = await pooled._postgres.pool("users", "system_users")
    for _ in range(20):
        async with pool.acquire() as connection:
            backends.add(await connection.fetchval("SELECT pg_backend_pid()"))
    assert len(backends) == 1


async def test_the_whole_platform_works_behind_it(pooled: Platform, pair: tuple[str, str]) -> None:
    async with pooled.tenant(pair[0]) as tenant:
        user = await tenant.users.create(
            username="ada", email=f"ada-{pair[0]}@acme.example", password="a long password"
        )
        assert (await tenant.users.get(user.id)).username == "ada"
        await tenant.preferences.set(user.id, {"theme": {"dark": True}})
        extension = await tenant.extensions.create(user.id, type="widget", name="clock")
        assert (await tenant.extensions.get(extension.id)).name == "clock"
        assert await tenant.systems.list() == []


async def test_nothing_gets_through_behind_it(new_namespace: Callable[[], Settings], tmp_path: Path) -> None:
    settings = new_namespace()  # of few tenants: all that there are is attacked
    await apply(settings, locate(settings))
    async with bouncing(settings, tmp_path) as pooler:
        report = await verify(replace(settings, postgres_pooler_url=pooler), locate(settings))
    assert [*report.breaches] == []
    behind = Counter(check for check, _, _, operation in report.attempts if operation.endswith("behind the pooler"))
    assert behind["rows.read"] > 20
    assert behind["rows.write"] > 20
    assert behind["rows.own"] > 2
    assert {target for check, _, target, _ in report.attempts if check == "transport.live"} >= {"the pooler"}


async def test_a_pooler_in_the_servers_place_is_refused(
    settings: Settings, pooler: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[asyncpg.Pool] = []
    create = postgres._Pool
    monkeypatch.setattr(postgres, "_Pool", lambda **options: made.append(create(**options)) or made[-1])
    port = urlsplit(pooler).port
    server = urlsplit(locate(settings).postgres.url)
    there = server._replace(netloc=server.netloc.replace(f":{server.port}", f":{port}")).geturl()
    mongo: Any = settings.mongo_url or locate(settings).mongo.url
    async with open_platform(replace(settings, postgres_url=there, mongo_url=mongo)) as px:
        for _ in range(2):
            with pytest.raises(Unavailable, match="pooler"):
                await px._postgres.pool("users", "system_users")
    assert len(made) == 2
    assert all(pool.is_closing() for pool in made)
