"""An audit trail that somebody tampers with, and the chain that tells."""

from __future__ import annotations

import asyncpg
import pytest

from prismicx import InvalidInput, NotFound, Platform
from prismicx.credentials import Credentials
from prismicx.engines.endpoints import locate
from prismicx.names import Names
from prismicx.reference.definitions import services
from prismicx.settings import Settings
from tests.support import administrator

DATABASE = "management_system_repository"


@pytest.fixture(scope="module", autouse=True)
async def some_events(platform: Platform) -> None:
    """A tail long enough to be tampered with."""
    for number in range(4):
        await platform.tenants.create(f"tail-{number}", name="A", isolation="shared")


@pytest.mark.parametrize("service", [item.name for item in services() if DATABASE in item.postgres])
async def test_no_login_changes_what_is_written(own: Settings, service: str) -> None:
    login = Names(own.namespace).service(service)
    password = Credentials(own.credentials_file).require("postgres", login)
    url = locate(own).postgres.postgres(f"{own.namespace}__{DATABASE}", login, password)
    connection = await asyncpg.connect(url)
    try:
        for table in ("audit_events", "audit_head"):
            for statement in (
                f"UPDATE prismicx.{table} SET hash = ''", f"DELETE FROM prismicx.{table}",
                f"TRUNCATE prismicx.{table}", f"INSERT INTO prismicx.{table} DEFAULT VALUES",
                f"DROP TABLE prismicx.{table}", f"ALTER TABLE prismicx.{table} DISABLE TRIGGER ALL",
                f"DO 'BEGIN LOCK TABLE prismicx.{table} IN EXCLUSIVE MODE; END'",
                f"SELECT 1 FROM prismicx.{table} FOR UPDATE",
            ):  # fmt: skip
                with pytest.raises(asyncpg.InsufficientPrivilegeError):
                    await connection.execute(statement)
        if service != "audit":
            for statement in ("SELECT * FROM prismicx.audit_events", "SELECT prismicx.append_audit('[]')"):
                with pytest.raises(asyncpg.InsufficientPrivilegeError):
                    await connection.execute(statement)
    finally:
        await connection.close()


@pytest.mark.parametrize("who", ["owner", "superuser", "superuser as a replica"])
async def test_not_even_the_owner_changes_what_is_written(own: Settings, platform: Platform, who: str) -> None:
    admin = await administrator(own, DATABASE)
    try:
        if who == "owner":
            await admin.execute(f'SET ROLE "{own.namespace}__prismicx_owner"')
        elif who != "superuser":
            await admin.execute("SET session_replication_role = replica")
        for statement in (
            "UPDATE prismicx.audit_events SET actor = 'eve'", "DELETE FROM prismicx.audit_events",
            "TRUNCATE prismicx.audit_events", "DELETE FROM prismicx.audit_head", "TRUNCATE prismicx.audit_head",
            "DELETE FROM prismicx.audit_events WHERE false", "TRUNCATE prismicx.audit_events CASCADE",
            "MERGE INTO prismicx.audit_events e USING (SELECT 1 AS n) x ON e.sequence = x.n WHEN MATCHED THEN DELETE",
        ):  # fmt: skip
            with pytest.raises(asyncpg.InsufficientPrivilegeError, match="only ever added to"):
                await admin.execute(statement)
    finally:
        await admin.close()
    assert (await platform.audit.verify()).ok


TAMPERING = [
    ("UPDATE prismicx.audit_events SET actor = 'eve' WHERE sequence = 3", 3, "changed"),
    ("UPDATE prismicx.audit_events SET recorded_at = recorded_at + interval '1 s' WHERE sequence = 2", 2, "changed"),
    ("UPDATE prismicx.audit_events SET details = '{\"a\": 1}' WHERE sequence = 4", 4, "changed"),
    ("UPDATE prismicx.audit_events SET tenant_id = NULL WHERE sequence = 5", 5, "changed"),
    ("DELETE FROM prismicx.audit_events WHERE sequence IN (3, 4)", 3, "missing"),
    ("DELETE FROM prismicx.audit_events WHERE sequence = 1", 1, "missing"),
    ("UPDATE prismicx.audit_events SET sequence = 100000 WHERE sequence = 3", 3, "missing"),
    ("DELETE FROM prismicx.audit_events WHERE sequence > 5", 6, "head"),
    ("TRUNCATE prismicx.audit_events", 1, "head"),
]  # fmt: skip


@pytest.mark.parametrize(("statement", "sequence", "kind"), TAMPERING)
async def test_an_administrator_who_removes_the_trigger_is_found_out(
    own: Settings, platform: Platform, statement: str, sequence: int, kind: str
) -> None:
    await platform._trail.close()  # what was counted until now is written before, not meanwhile
    admin = await administrator(own, DATABASE)
    try:
        await admin.execute("CREATE TABLE kept AS TABLE prismicx.audit_events")
        await admin.execute("ALTER TABLE prismicx.audit_events DISABLE TRIGGER ALL")
        await admin.execute(statement)
        found = await platform.audit.verify()
        assert found.broken is not None
        assert (found.broken.sequence, found.broken.kind) == (sequence, kind)
    finally:
        await admin.execute(
            "TRUNCATE prismicx.audit_events; INSERT INTO prismicx.audit_events TABLE kept; DROP TABLE kept; "
            "ALTER TABLE prismicx.audit_events ENABLE ALWAYS TRIGGER audit_events_append_only"
        )
        await admin.close()
    assert (await platform.audit.verify()).ok


async def test_a_tail_that_was_cut_with_its_end_is_found_by_a_hash_kept_elsewhere(
    own: Settings, platform: Platform
) -> None:
    await platform._trail.close()
    kept = await platform.audit.head()
    assert (await platform.audit.verify(expect=kept.hash)).ok
    admin = await administrator(own, DATABASE)
    try:
        await admin.execute("CREATE TABLE kept AS TABLE prismicx.audit_events")
        await admin.execute(
            "ALTER TABLE prismicx.audit_events DISABLE TRIGGER ALL; "
            "DELETE FROM prismicx.audit_events WHERE sequence > 5; "
            "UPDATE prismicx.audit_head SET (sequence, hash) = "
            "(SELECT sequence, hash FROM prismicx.audit_events WHERE sequence = 5)"
        )
        assert (await platform.audit.verify()).ok  # nothing inside the database tells
        found = await platform.audit.verify(expect=kept.hash)
        assert found.broken is not None
        assert found.broken.kind == "anchor"
    finally:
        await admin.execute(
            "TRUNCATE prismicx.audit_events; INSERT INTO prismicx.audit_events TABLE kept; DROP TABLE kept; "
            "UPDATE prismicx.audit_head SET (sequence, hash) = "
            "(SELECT sequence, hash FROM prismicx.audit_events ORDER BY sequence DESC LIMIT 1); "
            "ALTER TABLE prismicx.audit_events ENABLE ALWAYS TRIGGER audit_events_append_only"
        )
        await admin.close()
    assert (await platform.audit.verify(expect=kept.hash)).ok


async def test_a_walk_from_the_middle(platform: Platform) -> None:
    end = await platform.audit.head()
    told: list[tuple[int, int]] = []
    found = await platform.audit.verify(start=end.sequence, progress=lambda done, of: told.append((done, of)))
    assert found.ok
    assert found.rows == 2  # the row before, whose link is taken on trust, and the last
    assert told[-1] == (end.sequence, end.sequence)
    with pytest.raises(NotFound):
        await platform.audit.verify(start=end.sequence + 1)
    for wrong in ({"start": 0}, {"start": True}, {"expect": "abc"}):
        with pytest.raises(InvalidInput):
            await platform.audit.verify(**wrong)  # type: ignore[arg-type]
