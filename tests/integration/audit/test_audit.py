"""The audit trail in a real database: what is written, by whom, and that it stays."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import subprocess
import sys
import uuid
from dataclasses import fields
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from prismicx import BoundaryViolation, Conflict, Denied, InvalidInput, NotFound, Platform, Unavailable
from prismicx.audit import denials
from prismicx.audit.chain import COLUMNS, hash_of
from prismicx.audit.trail import queries
from prismicx.audit.values import acting
from prismicx.credentials import Credentials
from prismicx.engines.endpoints import locate
from prismicx.names import Names
from prismicx.settings import Settings
from tests.integration.audit.conftest import events
from tests.support import administrator, make_package

DATABASE = "management_system_repository"


async def test_the_database_and_the_library_work_out_the_same_hashes(own: Settings, platform: Platform) -> None:
    admin = await administrator(own, DATABASE)

    @settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(st.lists(st.one_of(st.none(), st.text(st.characters(codec="utf-8", exclude_characters="\0"))), min_size=1))
    def same(parts: list[str | None]) -> None:
        found.append(parts)

    found: list[list[str | None]] = []
    same()
    for parts in found:
        held = dict.fromkeys(COLUMNS) | dict(zip(COLUMNS, parts, strict=False))
        theirs = await admin.fetchval("SELECT prismicx.audit_hash($1)", [held[name] for name in COLUMNS])
        assert theirs == hash_of(held)
    await admin.close()
    await platform.tenants.create("hashed", name="Übergröße – ✓")
    assert (await platform.audit.verify()).ok


async def test_an_operation_is_written_down_with_who_what_and_whom(platform: Platform) -> None:
    await platform.tenants.create("acme", name="Acme")
    begun, done = await events(platform, tenant="acme", operation="tenant.create")
    assert (begun.outcome, done.outcome, done.begun) == ("begun", "done", begun.sequence)
    assert {event.actor for event in (begun, done)} == {"ada@example.test"}
    assert (done.door, done.details) == ("library", {"isolation": "dedicated"})
    with acting("grace@example.test", door="api"):
        async with platform.tenant("acme") as tenant:
            user = await tenant.users.create(username="bob", email="bob@acme.test", password="a long password")
    (event,) = await events(platform, operation="user.create", tenant="acme")
    assert (event.actor, event.door, event.subject, event.outcome) == (
        "grace@example.test",
        "api",
        str(user.id),
        "done",
    )


async def test_what_fails_and_what_is_denied_is_written_down(platform: Platform) -> None:
    await platform.tenants.create("closed", name="Closed")
    with pytest.raises(Conflict):
        await platform.tenants.create("closed", name="Closed")
    assert (await events(platform, tenant="closed"))[-1].code == "tenant.exists"
    with pytest.raises(InvalidInput):
        await platform.tenants.create("Not An Id", name="x")
    newest = (await events(platform, operation="tenant.create"))[-1]
    assert (newest.outcome, newest.code, newest.tenant_id) == ("failed", "tenant.id_invalid", None)
    await platform.tenants.suspend("closed")
    for _ in range(3):
        with pytest.raises(Denied):
            async with platform.tenant("closed"):
                pass
    with pytest.raises(NotFound):
        async with platform.tenant("nobody-here"):
            pass
    (denied,) = await events(platform, operation="scope.open", tenant="closed")
    assert (denied.outcome, denied.code) == ("denied", "tenant.suspended")
    assert ("nobody-here", "tenant.unknown") in [
        (event.subject, event.code) for event in await events(platform, operation="scope.open")
    ]


async def test_attempts_to_leave_a_tenant_are_written_down_also_when_they_are_caught(platform: Platform) -> None:
    await platform.tenants.create("breaker", name="B", isolation="shared")
    async with platform.tenant("breaker") as tenant:
        async with tenant.sql("system_users") as sql:
            with pytest.raises(BoundaryViolation):
                await sql.execute("SET ROLE postgres")
        with pytest.raises(BoundaryViolation):
            async with tenant.sql("system_users") as sql:
                await sql.fetch("SELECT * FROM user_extensions.extensions")
        tasks = await tenant.collection("tasks")
        with pytest.raises(BoundaryViolation):
            tasks.find({"$where": "1"})
        with pytest.raises(BoundaryViolation):
            await tasks.insert_one({"tenant_id": "acme"})
        with pytest.raises(BoundaryViolation):
            async for _ in tasks.watch([{"$out": "x"}]):
                pass
        with pytest.raises(Denied):
            await tenant.users.login("nobody@breaker.test", "not the password")
    found = {(event.operation, event.code) for event in await events(platform, tenant="breaker", outcome="denied")}
    assert found >= {
        ("scope.statement", "boundary.statement"),
        ("scope.statement", "boundary.refused"),
        ("scope.documents", "boundary.script"),
        ("user.login", "user.login_refused"),
    }
    assert len([code for operation, code in found if operation == "scope.documents"]) >= 2


async def test_many_refusals_cost_two_rows(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(denials, "WINDOW", 0.3)
    await platform.tenants.create("noisy", name="N", isolation="shared")
    async with platform.tenant("noisy") as tenant:
        tasks = await tenant.collection("tasks")
        for _ in range(500):
            with pytest.raises(BoundaryViolation):
                tasks.find({"$where": "1"})
        await asyncio.sleep(0.5)
    first, rest = await events(platform, tenant="noisy", operation="scope.documents")
    assert (first.details, rest.details) == ({}, {"times": 499})


async def test_nothing_is_written_down_that_was_given(platform: Platform, own: Settings, tmp_path: Path) -> None:
    """A word is put into every value of many operations; the trail, read whole, holds none of it."""
    word = "Geheim-" + uuid.uuid4().hex
    mail = f"{word}@secret.test".lower()
    await platform.tenants.create("quiet", name=word, tier=word, region=word)
    await platform.tenants.update("quiet", name=word, settings={"preferences": {"theme": word}})
    async with platform.tenant("quiet") as tenant:
        user = await tenant.users.create(
            username=word,
            email=mail,
            password=f"{word}-password",
            first_name=word,
            role="admin",
            metadata={"private": word},
        )
        await tenant.users.update(user.id, last_name=word, metadata={word: word})
        await tenant.users.set_password(user.id, f"{word}-password")
        await tenant.preferences.set(user.id, {word: word})
        await tenant.preferences.unset(user.id, [word])
        extension = await tenant.extensions.create(user.id, type="w", name=word, metadata={"key": word})
        await tenant.extensions.delete(extension.id)
        for wrong in (
            tenant.users.delete(word),
            tenant.users.set_password(word, f"{word}-password"),
            tenant.systems.install(word),
        ):
            with pytest.raises((InvalidInput, NotFound)):
                await wrong
        with pytest.raises(Denied):
            await tenant.users.login(mail, word + "x")
        with pytest.raises(BoundaryViolation):
            async with tenant.sql("system_users") as sql:
                await sql.execute(f'SET ROLE "{word}"')
        await tenant.user_transfer.read(io.StringIO(f"username,email\n{word},x{mail}\n"), "csv")
        await tenant.user_transfer.write(io.StringIO(), "csv")
        await tenant.category_transfer.read(io.StringIO(json.dumps([{"name": word}])), "json")
        await tenant.insights.add_topic(str(user.id), name=word)
        await tenant.insights.delete(str(user.id))
    package = make_package(tmp_path / "s", f"s{uuid.uuid4().hex[:8]}", ("CREATE TABLE a (b INT);", "DROP TABLE a;"))
    await platform.catalogue.publish(package)
    with pytest.raises(InvalidInput):
        await platform.catalogue.publish(tmp_path / word)
    operations = {event.operation for event in await events(platform, tenant="quiet", limit=1000)}
    assert len(operations) >= 12, operations
    admin = await administrator(own, DATABASE)
    rows = await admin.fetch("SELECT row_to_json(e)::text AS text FROM prismicx.audit_events e")
    await admin.close()
    assert [row["text"] for row in rows if word.lower() in row["text"].lower()] == []


async def test_pages_and_filters(platform: Platform) -> None:
    for number in range(5):
        await platform.tenants.create(f"page-{number}", name="P", isolation="shared")
    first = await platform.audit.list(operation="tenant.create", outcome="done", limit=3)
    second = await platform.audit.list(operation="tenant.create", outcome="done", limit=3, after=first.next)
    places = [event.sequence for event in (*first.items, *second.items)]
    assert places == sorted(places, reverse=True)
    assert len(places) == 6
    moment = first.items[1].recorded_at
    assert [event.sequence for event in (await platform.audit.list(since=moment, outcome="done", limit=3)).items][
        :2
    ] == places[:2]
    assert (await platform.audit.list(actor="somebody else")).items == []
    for wrong in (
        {"operation": "tenant.creat"}, {"outcome": "x"}, {"tenant": "A"}, {"after": "x"}, {"limit": 0}, {"actor": ""},
        {"since": "today"},
    ):  # fmt: skip
        with pytest.raises(InvalidInput):
            await platform.audit.list(**wrong)


WRITER = """
import asyncio, json, sys
from prismicx.platform import Platform
from prismicx.engines.endpoints import locate
from prismicx.settings import load

async def main():
    held = json.load(sys.stdin)
    settings = load(held, environ={}).settings
    platform = Platform(settings, locate(settings))
    trail = platform._trail
    async def writer(number):
        for _ in range(25):
            await trail.append(trail.event("user.update", "done", tenant_id=f"w-{number}"))
    await asyncio.gather(*(writer(number) for number in range(16)))
    await platform.close()

asyncio.run(main())
"""


async def test_writers_of_several_processes_make_one_unbroken_chain(own: Settings, platform: Platform) -> None:
    before = await platform.audit.head()
    held = json.dumps({item.name: str(getattr(own, item.name)) for item in fields(own)})
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER], stdin=subprocess.PIPE, text=True) for _ in range(3)
    ]  # fmt: skip
    codes = await asyncio.gather(*(asyncio.to_thread(writer.communicate, held) for writer in writers))
    assert len(codes) == 3
    assert [writer.returncode for writer in writers] == [0, 0, 0]
    found = await platform.audit.verify(start=before.sequence + 1, expect=before.hash)
    assert found.ok, found.broken
    admin = await administrator(own, DATABASE)
    count = "SELECT count(*) FROM prismicx.audit_events WHERE tenant_id LIKE 'w-%' GROUP BY tenant_id"
    assert [row["count"] for row in await admin.fetch(count)] == [3 * 25] * 16
    await admin.close()


async def test_nothing_of_the_platform_is_done_without_its_record(
    own: Settings, platform: Platform, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    await platform.tenants.create("untraced", name="U", isolation="shared")
    monkeypatch.setitem(queries._statements, "append", "SELECT prismicx.append_nothing($1::json)")
    with pytest.raises(Unavailable) as caught:
        await platform.tenants.suspend("untraced")
    assert caught.value.code == "audit.unavailable"
    assert (await platform.tenants.get("untraced")).status == "active"
    async with platform.tenant("untraced") as tenant:
        with pytest.raises(Unavailable) as caught:
            await tenant.users.create(username="u", email="u@untraced.test")
        assert caught.value.code == "audit.unwritten"
        assert len((await tenant.users.list()).items) == 1  # it says so: it was done
        with pytest.raises(BoundaryViolation):  # a refusal stands, whatever becomes of its record
            (await tenant.collection("tasks")).find({"$where": "1"})
        await asyncio.sleep(0.1)
    assert any("was not written" in record.message for record in caplog.records if record.levelno == logging.ERROR)


async def test_an_operation_that_is_cancelled_has_an_outcome(platform: Platform) -> None:
    await platform.tenants.create("cut-off", name="C", isolation="shared")
    async with platform.tenant("cut-off") as tenant:

        class Slow(io.StringIO):
            def write(self, text: str) -> int:
                raise asyncio.CancelledError

        with pytest.raises(asyncio.CancelledError):
            await tenant.user_transfer.write(Slow(), "csv")
    begun, ended = await events(platform, tenant="cut-off", operation="user.export")
    assert (ended.outcome, ended.code, ended.begun) == ("failed", "error.CancelledError", begun.sequence)


@pytest.mark.parametrize(
    ("changed", "taken"),
    [
        ({"door": "cli" + " " * 30}, False),
        ({"door": "cli" + " " * 17}, True),
        ({"door": "x" * 21}, False),
        ({"actor": "ada" + " " * 300}, False),
        ({"operation": "user.create" + "\u00a0 " * 40}, False),
        ({"tenant_id": "acme" + " " * 60}, False),
        ({"subject": " " * 201}, False),
        ({"outcome": "done" + " " * 7}, False),
        ({"code": "a" + " " * 100}, False),
        ({"begun": "0007"}, True),
        ({"begun": " 1 "}, True),
        ({"details": {"b": "1e2  ", "a": 1.50}}, True),
        ({"details": None}, False),
        ({"actor": "Ü" * 200}, True),
    ],
)
async def test_what_is_hashed_is_what_is_stored(
    own: Settings, platform: Platform, changed: dict[str, Any], taken: bool
) -> None:
    names = Names(own.namespace)
    login, password = Credentials(own.credentials_file).require_login("postgres", names.service("audit"))
    connection = await asyncpg.connect(locate(own).postgres.postgres(names.server_wide(DATABASE), login, password))
    event = {"door": "cli", "actor": "ada", "operation": "user.create", "outcome": "done", "details": {}} | changed
    try:
        if taken:
            await connection.fetchval("SELECT prismicx.append_audit($1)", json.dumps([event]))
        else:
            with pytest.raises((asyncpg.StringDataRightTruncationError, asyncpg.NotNullViolationError)):
                await connection.fetchval("SELECT prismicx.append_audit($1)", json.dumps([event]))
    finally:
        await connection.close()
    assert (await platform.audit.verify()).ok


async def test_what_nobody_waits_for_is_written_with_what_comes_next(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    trail = platform._trace.trail
    sent: list[list[str | None]] = []
    send = trail._send

    async def noting(batch: list[Any]) -> Any:
        sent.append([event.tenant_id for event in batch])
        return await send(batch)

    monkeypatch.setattr(trail, "_send", noting)

    def event(tenant_id: str) -> Any:
        return trail.event("tenant.update", "done", tenant_id=tenant_id)

    patient = [trail.enqueue(event(f"patient-{number}"), patient=True) for number in range(3)]
    await asyncio.sleep(0)
    last = await trail.append(event("awaited"))
    assert [await future for future in patient] == [last - 3, last - 2, last - 1]
    assert sent == [["patient-0", "patient-1", "patient-2", "awaited"]]
    # Alone it is written, too; and what waits when the platform is closed.
    assert await trail.enqueue(event("alone"), patient=True) == last + 1
    left = trail.enqueue(event("left"), patient=True)
    await trail.close()
    assert left.result() == last + 2
    assert (await platform.audit.verify()).ok
