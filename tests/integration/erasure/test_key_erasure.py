"""Keys destroyed, and the key service away: nothing opens, nothing is stored unsealed, everything else is there."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable

import pytest

from prismicx import Conflict, Denied, NotFound, Platform, Unavailable
from prismicx.settings import Settings
from tests.integration.erasure.conftest import check_closed, fill
from tests.key_service import KeyService
from tests.sealing import PAGE, SECRET, collection, platform, stored
from tests.support import administrator

Id = Callable[[], str]
OURS = "PRISMICX_TEST_KEY_URL" not in os.environ

OTHER_PROCESS = """
import asyncio, json, sys, time
from pathlib import Path
from prismicx.platform import open_platform
from prismicx.errors import PrismicXError
from prismicx.settings import Settings

async def main():
    held = json.loads(sys.stdin.readline())
    settings = Settings(**{**held, "data": Path(held["data"])})
    async with open_platform(settings) as px:
        while True:
            async with px.tenant(sys.argv[1]) as scope:
                user = (await scope.users.list()).items[0]
                try:
                    said = json.dumps(user.metadata["private"])
                except PrismicXError as error:
                    said = error.code
            print(time.time(), said, user.username, flush=True)
            await asyncio.sleep(0.1)

asyncio.run(main())
"""


async def test_without_the_key_service_opened_keysets_serve_until_their_time(
    mine: Settings, service: KeyService, tenant_id: str
) -> None:
    # Long enough for a busy machine to stop the service and read within it.
    async with platform(mine, keyset_cache=6.0) as own:
        await _serve_until_their_time(own, mine, service, tenant_id)


async def _serve_until_their_time(own: Platform, mine: Settings, service: KeyService, tenant_id: str) -> None:
    async with own.tenant(tenant_id) as scope:
        user = await fill(scope)
        await scope.collection("user_insights")
        await scope.preferences.find("pin", SECRET)
    held = await stored(mine, tenant_id)
    service.stop()
    async with own.tenant(tenant_id) as scope:
        assert (await scope.users.get(user.id)).metadata["private"] == PAGE
        assert (await scope.users.update(user.id, metadata=user.metadata)).metadata["private"] == PAGE
    await asyncio.sleep(6.1)
    assert not own._keysets._held  # not only unused: they are not in memory any more
    begun = time.monotonic()
    await check_closed(own, tenant_id, user, "keys.unavailable")
    assert time.monotonic() - begun < 5
    async with own.tenant(tenant_id) as scope:
        with pytest.raises(Unavailable) as caught:
            (await scope.users.get(user.id)).metadata["private"]
        assert "prismicx up" in caught.value.remedy
    with pytest.raises(Unavailable):
        await own.tenants.create(f"{tenant_id}-new", name="N")
    with pytest.raises(NotFound):
        await own.tenants.get(f"{tenant_id}-new")
    # Nothing was stored unsealed, nothing was lost.
    now = await stored(mine, tenant_id)
    assert "new" not in json.dumps(now) and SECRET not in json.dumps(now)
    assert now["tasks"] == held["tasks"] and now["registry"] == held["registry"]
    service.start()
    await asyncio.sleep(1.1)
    async with own.tenant(tenant_id) as scope:
        assert (await scope.users.get(user.id)).metadata["private"] == PAGE
        assert await scope.preferences.get(user.id, "pin") == SECRET


async def test_a_token_that_was_revoked_opens_nothing_new(
    own: Platform, mine: Settings, service: KeyService, tenant_id: str
) -> None:
    async with own.tenant(tenant_id) as scope:
        user = await fill(scope)
    service.tokens().revoke("everything")
    await asyncio.sleep(1.6)
    async with own.tenant(tenant_id) as scope:
        with pytest.raises(Denied) as caught:
            (await scope.users.get(user.id)).metadata["private"]
        assert caught.value.code == "keys.denied"
    assert service.uses()[-1]["result"] != "ok"


async def test_destroyed_keys_open_nothing_in_any_process(own: Platform, mine: Settings, tenant_id: str) -> None:
    async with own.tenant(tenant_id) as scope:
        user = await fill(scope)
        await scope.collection("user_insights")
    settings = {name: getattr(mine, name) for name in mine.__slots__}
    other = subprocess.Popen(
        [sys.executable, "-c", OTHER_PROCESS, tenant_id],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONWARNINGS": "ignore"},
    )  # fmt: skip
    assert other.stdin is not None and other.stdout is not None
    try:
        other.stdin.write(json.dumps(settings, default=str) + "\n")
        other.stdin.flush()
        for _ in range(3):
            line = await asyncio.to_thread(other.stdout.readline)
            assert json.dumps(PAGE) in line, line
        receipt = await own.keys.destroy(tenant_id)
        destroyed = time.time()
        await check_closed(own, tenant_id, user, "keys.destroyed")
        while time.time() < destroyed + 4:
            line = await asyncio.to_thread(other.stdout.readline)
            moment, said = float(line.split()[0]), line.split(maxsplit=1)[1]
            assert "ada" in said
            if moment > destroyed + 1.5 + 0.5:  # the bound, and the time of a read
                assert said.startswith("keys.destroyed"), said
        assert said.startswith("keys.destroyed")
    finally:
        other.kill()
        other.wait()
        other.stdin.close()
        other.stdout.close()
    content = receipt.content
    assert content["held_for_at_most_seconds"] == 1.5
    assert (content["tenant_id"], content["key"]) == (tenant_id, own._keysets.key_name(tenant_id))
    assert content["key_is_now"] == "keys.destroyed" and content["key_was_there"] is True
    assert {item["data_class"] for item in content["proof"]} == {"registry", "users", "preferences", "tasks", "search"}
    assert {item["opening"] for item in content["proof"]} == {"keys.destroyed"}
    assert receipt.digest == hashlib.sha256(receipt.text.encode()).hexdigest()
    for call in (own.keys.rotate_data_keys, own.keys.rotate_wrapping_key, own.keys.seal):
        with pytest.raises(Conflict) as caught:
            await call(tenant_id)
        assert caught.value.code == "keys.destroyed"
    status = await own.keys.status(tenant_id)
    assert status.receipt == receipt and status.wrapping_key is None
    assert all(item.destroyed_at is not None for item in status.keysets)
    assert await own.keys.destroy(tenant_id) == receipt
    # The audit trail has it as well, and holds nothing of what was sealed.
    events = (await own.audit.list(tenant=tenant_id)).items
    ended = [item for item in events if item.operation == "key.destroy" and item.outcome == "done"]
    assert {item.details["receipt"] for item in ended} == {receipt.number}
    assert SECRET not in repr(events)


async def test_a_backup_of_the_databases_opens_nothing(
    own: Platform, mine: Settings, service: KeyService, tenant_id: str
) -> None:
    async with own.tenant(tenant_id) as scope:
        user = await fill(scope)
    # A backup of what the engines hold: rows, documents and the wrapped keysets.
    admin = await administrator(mine, "system_users")
    try:
        rows = await admin.fetch("SELECT id, metadata::text FROM user_data.users WHERE tenant_id = $1", tenant_id)
        preferences = await admin.fetch(
            "SELECT user_id, preference_key, preference_value::text AS value FROM user_preferences.preferences "
            "WHERE user_id = $1", user.id,
        )  # fmt: skip
        async with collection(mine, "keysets") as keysets, collection(mine, "key_receipts") as receipts:
            documents = [item async for item in keysets.find({"tenant_id": tenant_id})]
            assert all("wrapped" in item for item in documents)
            await own.keys.destroy(tenant_id)
            gone = [item async for item in keysets.find({"tenant_id": tenant_id})]
            assert all("wrapped" not in item for item in gone)
            # Everything as it was before, but the key service.
            await keysets.delete_many({"tenant_id": tenant_id})
            await keysets.insert_many(documents)
            await receipts.delete_many({"tenant_id": tenant_id})
            for row in rows:
                await admin.execute("UPDATE user_data.users SET metadata = $2::jsonb WHERE id = $1", *row)
            for row in preferences:
                await admin.execute(
                    "UPDATE user_preferences.preferences SET preference_value = $3::jsonb "
                    "WHERE user_id = $1 AND preference_key = $2", *row,
                )  # fmt: skip
            async with platform(mine) as fresh:
                await check_closed(fresh, tenant_id, user, "keys.destroyed")
            # Nor when the keysets are not there, and one would have to be made.
            await keysets.delete_many({"tenant_id": tenant_id})
            async with platform(mine) as fresh, fresh.tenant(tenant_id) as scope:
                with pytest.raises(Conflict) as caught:
                    await scope.users.update(user.id, metadata={"private": 1})
                assert caught.value.code == "keys.destroyed"
            await keysets.insert_many(documents)
    finally:
        await admin.close()
    receipt = await own.keys.destroy(tenant_id)  # once more, for the restored databases
    assert receipt.content["key_was_there"] is False and len(receipt.content["proof"]) == 5
    async with platform(mine) as fresh:
        await check_closed(fresh, tenant_id, user, "keys.destroyed")
    assert [item["operation"] for item in service.uses() if item.get("result") != "ok"]


async def test_another_tenants_keys_stay(own: Platform, mine: Settings, tenant_id: str, new_id: Id) -> None:
    other = new_id()
    await own.tenants.create(other, name="Staying", isolation="shared")
    async with own.tenant(other) as scope:
        user = await fill(scope)
    first = await own.keys.destroy(tenant_id)
    async with platform(mine) as fresh, fresh.tenant(other) as scope:
        assert (await scope.users.get(user.id)).metadata["private"] == PAGE
    third = new_id()
    await own.tenants.create(third, name="Third", isolation="shared")
    second = await own.keys.destroy(third)
    # Each receipt names the one before.
    assert second.number == first.number + 1 and second.content["previous"] == first.digest
    found = await asyncio.gather(*(own.keys.destroy(other) for _ in range(4)))
    assert len({item.digest for item in found}) == 1 and found[0].number == second.number + 1


async def test_with_whichever_key_service_is_given(px: Platform, settings: Settings, new_id: Id) -> None:
    tenant = new_id()
    await px.tenants.create(tenant, name="Given")
    async with px.tenant(tenant) as scope:
        user = await fill(scope)
    await px.keys.rotate_wrapping_key(tenant)
    async with platform(settings) as fresh, fresh.tenant(tenant) as scope:
        assert (await scope.users.get(user.id)).metadata["private"] == PAGE
    async with collection(settings, "keysets") as keysets:
        documents = [item async for item in keysets.find({"tenant_id": tenant})]
        receipt = await px.keys.destroy(tenant)
        assert receipt.content["key_was_there"] is True and len(receipt.content["proof"]) == 5
        await check_closed(px, tenant, user, "keys.destroyed")
        await keysets.delete_many({"tenant_id": tenant})
        await keysets.insert_many(documents)
    async with platform(settings) as fresh:
        # OpenBao and Vault do not remember that there was a key.
        await check_closed(fresh, tenant, user, "keys.destroyed" if OURS else "keys.unknown")
