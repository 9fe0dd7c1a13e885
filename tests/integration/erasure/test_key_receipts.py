"""Receipts of destroyed keys: there is one only where the key is gone, and it stays gone."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from prismicx import Conflict, Denied, NotFound, Platform, Unavailable
from prismicx.reference.definitions import services
from prismicx.settings import Settings
from tests.integration.erasure.conftest import check_closed, fill
from tests.key_service import KeyService
from tests.sealing import PAGE, collection, platform, with_service

RECEIPTS = "prismicx_platform.key_receipts"


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


class OfTheService:
    """The receipts, as the service reaches them in MongoDB: embedded substitutes keep rights by database."""

    def __init__(self, receipts: Any) -> None:
        assert {service.name: service for service in services()}["keys"].mongo[RECEIPTS] == ("find", "insert")
        self.find_one, self.insert_one = receipts.find_one, receipts.insert_one


async def test_a_key_that_came_back_is_destroyed_again(
    own: Platform, mine: Settings, service: KeyService, tenant_id: str, monkeypatch: pytest.MonkeyPatch
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
            reached = fresh._keysets.collection

            async def allowed(name: str = "keysets") -> Any:
                return OfTheService(await reached(name)) if name == "key_receipts" else await reached(name)

            async def cut(*_: Any) -> None:
                raise OSError("cut off")

            monkeypatch.setattr(fresh._keysets, "collection", allowed)
            for step in ("_mark", "_proof", "_write"):
                with monkeypatch.context() as patch:
                    patch.setattr(fresh.keys._erasure, step, cut)
                    with pytest.raises(OSError, match="cut off"):
                        await fresh.keys.destroy(tenant_id)
            second = await fresh.keys.destroy(tenant_id)
            assert second.number > first.number and second.content["key_was_there"] is False
            assert len(second.content["proof"]) == 5
            await check_closed(fresh, tenant_id, user, "keys.destroyed")
        held = receipts.find({"tenant_id": tenant_id}).sort("number")
        assert [item["digest"] async for item in held] == [first.digest, second.digest]
        # Only the databases came back: what is wrapped goes again, the receipt stays.
        await keysets.delete_many({"tenant_id": tenant_id})
        await keysets.insert_many(documents)
        async with platform(mine) as fresh:
            assert await fresh.keys.destroy(tenant_id) == second
            assert await keysets.count_documents({"tenant_id": tenant_id, "wrapped": {"$exists": True}}) == 0
