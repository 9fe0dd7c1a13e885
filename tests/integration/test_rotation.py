"""Passwords are rotated while everything runs: nobody is refused, and afterwards the old ones are."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable

import asyncpg
import pytest
from pymongo.errors import InvalidOperation

from prismicx import doctor
from prismicx.credentials import CONTEXT, SECOND, Credentials
from prismicx.engines import mongo, postgres
from prismicx.engines.context import ContextKey
from prismicx.engines.endpoints import locate
from prismicx.errors import Conflict, Denied, Unavailable
from prismicx.names import Names
from prismicx.platform import open_platform
from prismicx.reference import rotation
from prismicx.reference.apply import application_lock, apply
from prismicx.reference.rotation import retire, rotate
from prismicx.reference.verify import verify
from prismicx.settings import Loaded, Settings
from tests.support import administrator


@pytest.fixture
async def mine(new_namespace: Callable[[], Settings]) -> Settings:
    made = new_namespace()
    await apply(made, locate(made))
    return made


def look_every(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """Have processes look at the credentials file more often than they do."""
    monkeypatch.setattr(postgres, "_LOOKS_EVERY", seconds)
    monkeypatch.setattr(mongo, "LOOKS_EVERY", seconds)


async def test_a_rotation_under_load_refuses_nobody(mine: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    look_every(monkeypatch, 0.1)
    done, stop = [0, 0], asyncio.Event()
    async with open_platform(mine) as px:
        await px.tenants.create("acme", name="A", isolation="shared")

        async def reading() -> None:
            while not stop.is_set():
                async with px.tenant("acme") as tenant:
                    async with tenant.sql("system_users") as sql:
                        await sql.fetch("SELECT tenant_id FROM user_data.users")
                    await (await tenant.collection("tasks")).find_one({})
                    assert await tenant.systems.list() == []
                done[0] += 1

        async def filling() -> None:
            while not stop.is_set():
                async with px.tenant("acme") as tenant:
                    await tenant.tasks.enqueue(service="mailer", type="welcome", payload={})
                await px.catalogue.list()
                done[1] += 1

        async with asyncio.TaskGroup() as group:
            for work in (reading, reading, filling):
                group.create_task(work())
            for _ in range(3):
                rotated = await rotate(mine, locate(mine), grace=3)
                assert rotated.current
                assert rotated.retired
                before = list(done)
                async with asyncio.timeout(30):
                    while not all(now > then for now, then in zip(done, before, strict=True)):
                        await asyncio.sleep(0.1)
            stop.set()
    assert (await verify(mine, locate(mine))).ok


async def test_old_logins_work_until_they_are_retired(mine: Settings) -> None:
    names, endpoints = Names(mine.namespace), locate(mine)
    role, task_role = names.service("users"), names.service("tasks")
    held = Credentials(mine.credentials_file)
    old, old_tasks = held.require("postgres", role), held.require("mongo", task_role)
    url = endpoints.postgres.postgres(names.server_wide("system_users"), role, old)
    mongo_url = endpoints.mongo.mongo(mongo.USERS, task_role, old_tasks)
    session = await asyncpg.connect(url)
    rotated = await rotate(mine, endpoints, grace=None)
    assert role + SECOND in rotated.current
    assert rotated.retired == []
    await (await asyncpg.connect(url)).close()
    async with mongo.connect(mongo_url, 5):
        pass
    with pytest.raises(Conflict, match="still work"):
        await rotate(mine, endpoints)
    assert await session.fetchval("SELECT 1") == 1
    await retire(mine, endpoints)
    with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, OSError)):
        await session.fetchval("SELECT 1")
    with pytest.raises(asyncpg.InvalidAuthorizationSpecificationError):
        await asyncpg.connect(url)
    with pytest.raises(Denied):
        async with mongo.connect(mongo_url, 5):
            pass
    assert (mine.credentials_file.stat().st_mode & 0o777) == 0o600
    kept = json.loads(mine.credentials_file.read_text())
    assert role not in kept["postgres"]
    assert (await doctor.examine(Loaded(mine, dict.fromkeys(mine.__slots__, "default")))).problems == []
    async with open_platform(mine) as px:
        await px.tenants.create("acme", name="A")
    assert (await apply(mine, endpoints)).changes == []


async def test_processes_that_use_mongodb_alone_have_the_time_to_look(mine: Settings) -> None:
    names, endpoints = Names(mine.namespace), locate(mine)
    held = Credentials(mine.credentials_file)
    old = endpoints.mongo.mongo(mongo.USERS, *held.require_login("mongo", names.service("tasks")))
    rotating = asyncio.create_task(rotate(mine, endpoints, grace=60))
    before = held.stamp
    while held.stamp == before:
        await asyncio.sleep(0.01)
    passed = time.monotonic()
    with pytest.raises(Denied):
        while True:
            async with mongo.connect(old, 5):
                await asyncio.sleep(0.1)
    ended = time.monotonic()
    assert ended - passed >= 2 * mongo.LOOKS_EVERY
    assert (await rotating).retired
    assert time.monotonic() - passed < 50  # it does not wait for longer than there is somebody to wait for


async def test_who_kept_a_login_that_was_ended_is_told_and_its_client_is_closed(
    mine: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    look_every(monkeypatch, 0.0)
    monkeypatch.setattr(mongo, "_KEPT", 0.2)
    async with open_platform(mine) as px:
        await px.tenants.create("acme", name="A", isolation="shared")
        first = await px._mongo.service("tasks")
        async with px.tenant("acme") as tenant:
            kept = await tenant.collection("tasks")
            assert await (await tenant.collection("user_insights")).find_one() is None
            await rotate(mine, locate(mine), grace=None)
            second = await px._mongo.service("tasks")
            assert second is not first
            await asyncio.sleep(0.3)
            mine.credentials_file.touch()
            assert await px._mongo.service("tasks") is second
            assert await kept.find_one() is None  # its login works still
            await retire(mine, locate(mine))
            with pytest.raises(Unavailable) as told:  # many at once, so that some need a new connection
                await asyncio.gather(*(kept.find_one() for _ in range(20)))
            assert told.value.code == "mongo.login_replaced"
            for name in ("tasks", "user_insights"):
                given = await tenant.collection(name)
                assert await asyncio.gather(*(given.find_one() for _ in range(20))) == [None] * 20
        assert px._mongo._passed == []
        await asyncio.gather(*px._mongo._closing)
        with pytest.raises(InvalidOperation, match="after close"):
            await first.admin.command("ping")


async def test_a_file_that_was_refused_is_read_when_it_is_mended(
    mine: Settings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    look_every(monkeypatch, 0.0)
    names, file = Names(mine.namespace), mine.credentials_file
    async with open_platform(mine) as px:
        await px.tenants.create("acme", name="A", isolation="shared")

        async def used() -> list[str]:
            async with px.tenant("acme") as tenant:
                async with tenant.sql("system_users") as sql:
                    (row,) = await sql.fetch("SELECT session_user AS login")
                async for _ in (await tenant.collection("tasks")).find():
                    pass
            return [row["login"], px._mongo._credentials.require_login("mongo", names.service("tasks"))[0]]

        before = await used()
        await rotate(mine, locate(mine), grace=None)
        file.chmod(0o644)  # as a copy from another machine may come
        assert await used() == await used() == before
        assert [record.name for record in caplog.records if record.levelname == "WARNING"] == ["prismicx.credentials"]
        assert "chmod 600" in caplog.text
        file.chmod(0o600)
        await used()  # connections are replaced as they come back
        assert await used() == [before[0] + SECOND, before[1] + SECOND]
        await retire(mine, locate(mine))
        assert await used() == [before[0] + SECOND, before[1] + SECOND]


async def test_who_retires_looks_again_after_waiting_for_another_rotation(
    mine: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    await rotate(mine, locate(mine), grace=None)
    waited_for = asyncio.Event()

    async def waiting(admin: asyncpg.Connection[asyncpg.Record], names: Names) -> None:
        if not waited_for.is_set():  # another machine has the lock, and passes back to the first logins
            waited_for.set()
            await retire(mine, locate(mine))
            await rotate(mine, locate(mine), grace=None)
        await application_lock(admin, names)

    monkeypatch.setattr(rotation, "application_lock", waiting)
    retired = await retire(mine, locate(mine))
    users = Names(mine.namespace).service("users")
    assert users in retired.current
    assert f"postgres: {users}{SECOND}" in retired.retired
    assert (await verify(mine, locate(mine))).ok
    async with open_platform(mine) as px:
        await px.tenants.create("acme", name="A", isolation="shared")
        async with px.tenant("acme") as tenant:
            assert [item async for item in (await tenant.collection("tasks")).find()] == []


async def test_a_proof_by_the_key_before_is_worth_nothing_when_that_was_retired(mine: Settings) -> None:
    names, endpoints = Names(mine.namespace), locate(mine)
    async with open_platform(mine) as px:
        await px.tenants.create("acme", name="A", isolation="shared")
        async with px.tenant("acme") as tenant:
            await tenant.users.create(username="ada", email="ada@acme.test", password="a long password")
    held = Credentials(mine.credentials_file)
    old = ContextKey(held.require(CONTEXT, names.service(CONTEXT)))

    async def seen(key: ContextKey) -> int:
        held.reload()
        login, password = held.require_login("postgres", names.service("users"))
        connection = await asyncpg.connect(
            endpoints.postgres.postgres(names.server_wide("system_users"), login, password)
        )
        try:
            async with connection.transaction():
                await connection.execute(key.settings("acme", connection.get_server_pid()))
                found: int = await connection.fetchval("SELECT count(*) FROM user_data.users")
                return found
        finally:
            await connection.close()

    await rotate(mine, endpoints, grace=None)
    held.reload()
    new = ContextKey(held.require(CONTEXT, names.service(CONTEXT)))
    assert (await seen(old), await seen(new)) == (1, 1)
    await retire(mine, endpoints)
    assert (await seen(old), await seen(new)) == (0, 1)
    for database in ("system_users", "management_system_repository"):
        admin = await administrator(mine, database)
        assert await admin.fetchval("SELECT pads FROM prismicx.context_key") == [*new.pads()]
        await admin.close()
    assert (await apply(mine, endpoints)).changes == []


async def test_a_rotation_that_was_cut_off_is_repeated(mine: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    def cut(*_: object) -> None:
        raise OSError("the disk is full")

    monkeypatch.setattr(Credentials, "pass_to", cut)
    with pytest.raises(OSError, match="full"):
        await rotate(mine, locate(mine))
    monkeypatch.undo()
    async with open_platform(mine) as px:  # the logins of before go on
        await px.tenants.create("acme", name="A", isolation="shared")
        async with px.tenant("acme") as tenant:
            assert [item async for item in (await tenant.collection("tasks")).find()] == []
    await retire(mine, locate(mine))
    await rotate(mine, locate(mine), grace=0)
    report = await verify(mine, locate(mine))
    assert [item for item in report.findings if not item.held] == []
    assert report.ok
