"""Keys destroyed, and the key service away: nothing opens, nothing is stored unsealed, everything else is there."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from prismicx import Conflict, Denied, NotFound, Platform, PrismicXError, TenantScope, Unavailable
from prismicx.settings import Settings
from tests.key_service import KeyService
from tests.sealing import PAGE, SECRET, collection, platform, stored, with_service
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


@pytest.fixture
def service(tmp_path: Path) -> Iterator[KeyService]:
    made = KeyService(tmp_path).make().start()
    yield made
    made.stop()


@pytest.fixture
def mine(settings: Settings, px: Platform, service: KeyService) -> Settings:
    """Settings with a key service that can be stopped; opened keysets are held for a second and a half."""
    return with_service(settings, service, keyset_cache=1.5)


@pytest.fixture
async def own(mine: Settings) -> AsyncIterator[Platform]:
    async with platform(mine) as made:
        yield made


@pytest.fixture
async def tenant_id(own: Platform, new_id: Id) -> str:
    made = new_id()
    await own.tenants.create(made, name="Leaving")
    return made


async def fill(scope: TenantScope) -> Any:
    made = await scope.users.create(
        username="ada", email=f"{secrets.token_hex(6)}@acme.test", metadata={"open": 1, "private": PAGE}
    )
    await scope.preferences.set(made.id, {"pin": SECRET}, secret=True)
    await scope.preferences.set(made.id, {"theme": "dark"})
    await scope.tasks.enqueue(service="s", type="t", payload={"to": "ada", "secret": SECRET})
    return made


async def check_closed(px: Platform, tenant: str, user: Any, code: str) -> None:
    """See that nothing sealed opens or is sealed, and that the rest is read and written."""
    async with px.tenant(tenant) as scope:
        found = await scope.users.get(user.id)
        assert (found.email, found.metadata["open"]) == (user.email, 1)
        (task,) = (await scope.tasks.list()).items
        assert task.payload["to"] == "ada"
        preferences = await scope.preferences.list(user.id)
        assert preferences["theme"] == "dark"
        tries: list[Callable[[], Any]] = [
            lambda: found.metadata["private"],
            lambda: task.payload["secret"],
            lambda: preferences["pin"],
        ]
        for ask in tries:
            with pytest.raises(PrismicXError) as caught:
                ask()
            assert caught.value.code == code
        before = await scope.tasks.counts()
        refused: list[Callable[[], Any]] = [
            lambda: scope.preferences.get(user.id, "pin"),
            lambda: scope.preferences.find("pin", SECRET),
            lambda: scope.preferences.merge(user.id, "pin", {"a": 1}),
            lambda: scope.preferences.set(user.id, {"pin": "new"}),
            lambda: scope.preferences.set(user.id, {"theme": "x", "new": "new"}, secret=True),
            lambda: scope.users.update(user.id, metadata={"private": "new"}),
            lambda: scope.users.create(
                username="b", email=f"{secrets.token_hex(6)}@x.test", metadata={"private": "new"}
            ),
            lambda: scope.tasks.enqueue(service="s", type="t", payload={"secret": "new"}),
            lambda: scope.collection("user_insights"),
        ]
        for call in refused:
            with pytest.raises(PrismicXError) as caught:
                await call()
            assert caught.value.code == code
        assert await scope.tasks.counts() == before
        assert (await scope.users.update(user.id, first_name="Ada")).first_name == "Ada"
        await scope.preferences.set(user.id, {"theme": "dark"})
        assert len((await scope.users.list()).items) == 1


async def test_without_the_key_service_opened_keysets_serve_until_their_time(
    own: Platform, mine: Settings, service: KeyService, tenant_id: str
) -> None:
    async with own.tenant(tenant_id) as scope:
        user = await fill(scope)
        await scope.collection("user_insights")
        await scope.preferences.find("pin", SECRET)
    held = await stored(mine, tenant_id)
    service.stop()
    async with own.tenant(tenant_id) as scope:
        assert (await scope.users.get(user.id)).metadata["private"] == PAGE
        assert (await scope.users.update(user.id, metadata=user.metadata)).metadata["private"] == PAGE
    await asyncio.sleep(1.6)
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


async def test_nothing_is_marked_when_the_key_may_not_be_destroyed(
    own: Platform, mine: Settings, service: KeyService, tenant_id: str
) -> None:
    async with own.tenant(tenant_id) as scope:
        user = await fill(scope)
    weak = service.tokens().create("weak", ("create", "read", "encrypt", "decrypt"))
    async with platform(with_service(mine, service), key_token=weak, key_admin_token=weak) as denied:
        with pytest.raises(Denied) as caught:
            await denied.keys.destroy(tenant_id)
        assert caught.value.code == "keys.denied"
    service.stop()
    with pytest.raises(Unavailable):
        await own.keys.destroy(tenant_id)
    service.start()
    async with platform(mine) as fresh, fresh.tenant(tenant_id) as scope:
        assert (await scope.users.get(user.id)).metadata["private"] == PAGE
        assert (await fresh.keys.status(tenant_id)).receipt is None


async def test_a_destruction_that_was_cut_off_is_finished(
    own: Platform, mine: Settings, tenant_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with own.tenant(tenant_id) as scope:
        user = await fill(scope)
    for step in ("_mark", "_proof", "_write"):

        async def cut(*_: Any) -> None:
            raise OSError("cut off")

        with monkeypatch.context() as patch:
            patch.setattr(own.keys._erasure, step, cut)
            with pytest.raises(OSError, match="cut off"):
                await own.keys.destroy(tenant_id)
        async with platform(mine) as fresh:
            await check_closed(fresh, tenant_id, user, "keys.destroyed")
    receipt = await own.keys.destroy(tenant_id)
    assert receipt.content["key_was_there"] is False and len(receipt.content["proof"]) == 5


async def test_a_key_that_still_opens_is_not_called_destroyed(
    own: Platform, tenant_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with own.tenant(tenant_id) as scope:
        await fill(scope)

    async def spared(name: str) -> bool:
        return True

    with monkeypatch.context() as patch:
        patch.setattr(own._keysets.keys, "destroy", spared)
        with pytest.raises(Conflict) as caught:
            await own.keys.destroy(tenant_id)
        assert caught.value.code == "keys.not_destroyed"
    assert (await own.keys.status(tenant_id)).receipt is None
    assert (await own.keys.destroy(tenant_id)).content["key_was_there"] is True


async def test_a_service_that_never_had_the_key_gives_no_receipt(
    own: Platform, mine: Settings, tenant_id: str, tmp_path: Path
) -> None:
    async with own.tenant(tenant_id) as scope:
        user = await fill(scope)
    (tmp_path / "empty").mkdir()
    empty = KeyService(tmp_path / "empty").make().start()
    try:
        async with platform(with_service(mine, empty)) as wrong:
            with pytest.raises(NotFound) as caught:
                await wrong.keys.destroy(tenant_id)
            assert caught.value.code == "keys.unknown" and f"127.0.0.1:{empty.port}" in caught.value.message
            assert (await wrong.keys.status(tenant_id)).receipt is None
            async with platform(mine) as fresh, fresh.tenant(tenant_id) as scope:
                assert (await scope.users.get(user.id)).metadata["private"] == PAGE
            # Nor after the right one has begun and was refused.
            async with collection(mine, "keysets") as keysets:
                await keysets.update_many({"tenant_id": tenant_id}, {"$set": {"destroying": "http://other.test"}})
            with pytest.raises(NotFound):
                await wrong.keys.destroy(tenant_id)
            receipt = await own.keys.destroy(tenant_id)
            assert receipt.content["key_was_there"] is True
            # The receipt is of the other service: this one cannot tell whether it is still true.
            with pytest.raises(NotFound) as caught:
                await wrong.keys.destroy(tenant_id)
            assert "its receipt is of" in caught.value.message
    finally:
        empty.stop()
    assert await own.keys.destroy(tenant_id) == receipt


async def test_another_key_of_the_same_name_stays(
    own: Platform, mine: Settings, tenant_id: str, tmp_path: Path
) -> None:
    async with own.tenant(tenant_id) as scope:
        user = await fill(scope)
    (tmp_path / "another").mkdir()
    another, name = KeyService(tmp_path / "another").make().start(), own._keysets.key_name(tenant_id)
    try:
        await another.client().create(name)
        async with platform(with_service(mine, another)) as wrong:
            with pytest.raises(Conflict) as caught:
                await wrong.keys.destroy(tenant_id)
        assert caught.value.code == "keys.another"
        assert (await another.client().read(name)).latest_version == 1
    finally:
        another.stop()
    async with platform(mine) as fresh, fresh.tenant(tenant_id) as scope:
        assert (await scope.users.get(user.id)).metadata["private"] == PAGE
        assert (await fresh.keys.status(tenant_id)).receipt is None


async def test_a_key_that_was_rotated_since_the_backup_is_destroyed(
    own: Platform, mine: Settings, tenant_id: str
) -> None:
    async with own.tenant(tenant_id) as scope:
        await fill(scope)
    async with collection(mine, "keysets") as keysets:
        documents = [item async for item in keysets.find({"tenant_id": tenant_id})]
        await own.keys.rotate_wrapping_key(tenant_id)
        await keysets.delete_many({"tenant_id": tenant_id})
        await keysets.insert_many(documents)
    async with platform(mine) as fresh:
        assert (await fresh.keys.destroy(tenant_id)).content["key_was_there"] is True


async def test_a_service_that_forgets_its_keys_is_told_once_more_after_a_cut(
    own: Platform, tenant_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As OpenBao and Vault do."""
    async with own.tenant(tenant_id) as scope:
        await fill(scope)
    keyring = own._keysets.keys

    async def forgotten(*_: Any) -> Any:
        raise NotFound("keys.unknown", "no such key", "-")

    async def cut(*_: Any) -> None:
        raise OSError("cut off")

    with monkeypatch.context() as patch:
        patch.setattr(own.keys._erasure, "_mark", cut)
        with pytest.raises(OSError, match="cut off"):
            await own.keys.destroy(tenant_id)
    for name in ("read", "decrypt"):
        monkeypatch.setattr(keyring, name, forgotten)
    receipt = await own.keys.destroy(tenant_id)
    assert receipt.content["key_is_now"] == "keys.unknown" and len(receipt.content["proof"]) == 5
    assert await own.keys.destroy(tenant_id) == receipt


async def test_a_key_that_came_back_is_destroyed_again(
    own: Platform, mine: Settings, service: KeyService, tenant_id: str
) -> None:
    """Everything was restored, the key service as well; the receipt stayed or was in the backup."""
    async with own.tenant(tenant_id) as scope:
        user = await fill(scope)
    async with collection(mine, "keysets") as keysets, collection(mine, "key_receipts") as receipts:
        documents = [item async for item in keysets.find({"tenant_id": tenant_id})]
        service.stop()
        backup = service.folder / "backup"
        shutil.copytree(service.store, backup)
        service.start()
        first = await own.keys.destroy(tenant_id)
        service.stop()
        shutil.rmtree(service.store)
        shutil.copytree(backup, service.store)
        service.start()
        await keysets.delete_many({"tenant_id": tenant_id})
        await keysets.insert_many(documents)
        async with platform(mine) as fresh, fresh.tenant(tenant_id) as scope:
            assert (await scope.users.get(user.id)).metadata["private"] == PAGE
        async with platform(mine) as fresh:
            second = await fresh.keys.destroy(tenant_id)
            assert second.number > first.number and second.content["key_was_there"] is True
            assert len(second.content["proof"]) == 5
            await check_closed(fresh, tenant_id, user, "keys.destroyed")
        held = await receipts.find_one({"tenant_id": tenant_id})
        assert held is not None and [item["digest"] for item in held["earlier"]] == [first.digest]
        # Only the databases came back: what is wrapped goes again, the receipt stays.
        await keysets.delete_many({"tenant_id": tenant_id})
        await keysets.insert_many(documents)
        async with platform(mine) as fresh:
            assert await fresh.keys.destroy(tenant_id) == second
            assert await keysets.count_documents({"tenant_id": tenant_id, "wrapped": {"$exists": True}}) == 0


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
