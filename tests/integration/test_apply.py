"""`db apply`: once, twice, twice at once, over an older platform, under a newer one."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from prismicx import Conflict, Platform, Unavailable
from prismicx.engines.endpoints import locate
from prismicx.reference.apply import apply
from prismicx.reference.definitions import sql_files
from prismicx.reference.verify import verify
from prismicx.settings import Settings
from tests.support import ADD_USER, administrator, naive_now

New = Callable[[], Settings]


async def test_a_second_application_changes_nothing(settings: Settings) -> None:
    assert (await apply(settings, locate(settings))).changes == []
    report = await verify(settings, locate(settings))
    assert report.ok, report.as_json()["missing"]


async def test_applications_at_once_agree(new_namespace: New) -> None:
    mine = new_namespace()
    done = await asyncio.gather(*(apply(mine, locate(mine)) for _ in range(3)))
    assert sorted(bool(applied.changes) for applied in done) == [False, False, True]
    assert (await verify(mine, locate(mine))).ok


async def test_an_older_platform_is_brought_up_to_date_and_keeps_its_rows(new_namespace: New) -> None:
    mine = new_namespace()
    for upto in range(2, len(sql_files("system_users"))):
        await apply(mine, locate(mine), upto=upto)
        if upto == 2:
            admin = await administrator(mine, "system_users")
            await admin.execute(ADD_USER, uuid.uuid4(), "old", "ada", "ada@old.test", naive_now())
            await admin.close()
            assert not (await verify(mine, locate(mine))).ok
    applied = await apply(mine, locate(mine))
    assert applied.changes
    report = await verify(mine, locate(mine))
    assert report.ok, report.as_json()["missing"]
    admin = await administrator(mine, "system_users")
    assert await admin.fetchval("SELECT count(*) FROM user_data.users") == 1
    await admin.close()


async def test_a_collection_of_an_older_release_is_brought_up_to_date(new_namespace: New, settings: Settings) -> None:
    mine = new_namespace()
    await apply(mine, locate(mine))
    from prismicx.engines import mongo

    async with mongo.connect(locate(mine).mongo.url, 10) as client:
        database = client[f"{mine.namespace}__task_repository"]
        await database.command("collMod", "tasks", validator={})
        await database["tasks"].drop_index("tenant_id_1_status_1")
    assert not (await verify(mine, locate(mine))).ok
    assert len((await apply(mine, locate(mine))).changes) == 1
    assert (await verify(mine, locate(mine))).ok


async def test_a_newer_platform_is_left_alone(new_namespace: New) -> None:
    mine = new_namespace()
    await apply(mine, locate(mine))
    admin = await administrator(mine, "system_users")
    await admin.execute(
        "INSERT INTO prismicx.schema_files (file, checksum, release) VALUES ('9999_later.sql', repeat('0', 64), '99.0')"
    )
    await admin.close()
    with pytest.raises(Unavailable) as caught:
        await apply(mine, locate(mine))
    assert caught.value.code == "reference.newer"
    assert "99.0" in caught.value.message


async def test_an_applied_file_that_changed_is_refused(new_namespace: New) -> None:
    mine = new_namespace()
    await apply(mine, locate(mine))
    admin = await administrator(mine, "system_users")
    await admin.execute("UPDATE prismicx.schema_files SET checksum = repeat('0', 64) WHERE file LIKE '0002%'")
    await admin.close()
    with pytest.raises(Conflict) as caught:
        await apply(mine, locate(mine))
    assert caught.value.code == "reference.changed"


async def test_credentials_of_elsewhere_are_asked_for_not_overwritten(new_namespace: New, tmp_path: Path) -> None:
    mine = new_namespace()
    await apply(mine, locate(mine))
    elsewhere = replace(mine, credentials=str(tmp_path / "credentials.json"))
    with pytest.raises(Conflict) as caught:
        await apply(elsewhere, locate(elsewhere))
    assert caught.value.code == "credentials.elsewhere"
    platform = Platform(mine, locate(mine))
    await platform.tenants.create("kept", name="Kept")
    await platform.close()
    await apply(elsewhere, locate(elsewhere), reset_credentials=True)
    platform = Platform(elsewhere, locate(elsewhere))
    assert (await platform.tenants.get("kept")).status == "active"
    await platform.close()


async def test_an_application_on_a_complete_platform_waits_for_no_reader_and_stops_none(settings: Settings) -> None:
    """A reader holds every table; the application ends meanwhile, and another reader is not queued behind it."""
    holders = [await administrator(settings, name) for name in ("system_users", "management_system_repository")]
    try:
        for holder in holders:
            await holder.execute("BEGIN")
            for row in await holder.fetch(
                "SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_tables "
                "WHERE schemaname IN ('public', 'user_data', 'user_preferences', 'user_extensions')"
            ):
                await holder.execute(f"LOCK TABLE {row['name']} IN ACCESS SHARE MODE")
        assert (await asyncio.wait_for(apply(settings, locate(settings)), 10)).changes == []
    finally:
        for holder in holders:
            await holder.close()
