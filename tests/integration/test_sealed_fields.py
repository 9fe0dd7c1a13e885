"""Sealed fields in both engines: stored sealed, read open; what was moved or changed is refused."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import secrets
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from prismicx import Denied, InvalidInput, Platform, PrismicXError, TenantScope
from prismicx.sealing.values import MARK, PartlyOpened, is_sealed
from prismicx.settings import Settings
from tests.sealing import DECLARED, PAGE, SECRET, collection, stored
from tests.support import administrator, make_package

Id = Callable[[], str]


def address() -> str:
    return f"{secrets.token_hex(6)}@acme.test"


async def user(scope: TenantScope, **more: Any) -> Any:
    return await scope.users.create(username="ada", email=address(), **more)


@pytest.fixture
async def tenant_id(px: Platform, new_id: Id) -> str:
    made = new_id()
    await px.tenants.create(made, name="Sealed", isolation="shared")
    return made


async def test_private_metadata_is_sealed_and_opened(px: Platform, settings: Settings, tenant_id: str) -> None:
    async with px.tenant(tenant_id) as scope:
        made = await user(scope, metadata={"colour": "red", "private": PAGE})
        assert made.metadata == {"colour": "red", "private": PAGE}
        assert (await scope.users.get(made.id)).metadata["private"] == PAGE
        assert (await scope.users.by_email(made.email)).metadata["private"] == PAGE
        assert (await scope.users.list()).items[0].metadata["private"] == PAGE
        (held,) = (await stored(settings, tenant_id))["users"]
        assert held["colour"] == "red" and is_sealed(held["private"]) and SECRET not in json.dumps(held)
        # What changes in something else is sealed as before.
        changed = await scope.users.update(made.id, first_name="Ada")
        assert changed.metadata == made.metadata
        assert (await stored(settings, tenant_id))["users"] == [held]
        for private in ("text", None, [1], held["private"], MARK):
            changed = await scope.users.update(made.id, metadata={"private": private})
            assert changed.metadata == {"private": private}
            (now,) = (await stored(settings, tenant_id))["users"]
            assert is_sealed(now["private"]) and now["private"] not in (private, held["private"])
        assert (await scope.users.update(made.id, metadata={})).metadata == {}
        assert (await stored(settings, tenant_id))["users"] == [{}]


async def test_metadata_without_private_needs_no_keys(px: Platform, tenant_id: str) -> None:
    async with px.tenant(tenant_id) as scope:
        made = await user(scope, metadata={"secret": f"{MARK}1:users:-:1:AAAA", "a": 1})
        assert (await scope.users.get(made.id)).metadata == {"secret": f"{MARK}1:users:-:1:AAAA", "a": 1}
    assert await px._keysets.document(tenant_id, "users") is None


async def test_the_size_of_private_values_counts(px: Platform, tenant_id: str) -> None:
    async with px.tenant(tenant_id) as scope:
        with pytest.raises(InvalidInput) as caught:
            await user(scope, metadata={"private": "x" * 17_000})
        assert caught.value.code == "user.invalid"
        made = await user(scope, metadata={"private": "ä" * 8_000})
        assert (await scope.users.update(made.id, first_name="A")).metadata["private"] == "ä" * 8_000


async def test_secret_preferences(px: Platform, settings: Settings, tenant_id: str) -> None:
    await px.preference_types.register("mail.token", {"type": "string", "minLength": 5}, secret=True)
    async with px.tenant(tenant_id) as scope:
        ada, bob = (await user(scope)).id, (await user(scope)).id
        await scope.preferences.set(ada, {"theme": "dark", "mail.token": SECRET})
        await scope.preferences.set(ada, {"pin": {"a": 1}}, secret=True)
        await scope.preferences.set(bob, {"mail.token": SECRET, "pin": "other"})
        held = {"theme": "dark", "mail.token": SECRET, "pin": {"a": 1}}
        assert await scope.preferences.list(ada) == held
        assert await scope.preferences.get(ada, "mail.token") == SECRET
        # What was secret stays so until it is unset.
        await scope.preferences.set(ada, {"pin": {"a": 2}})
        assert await scope.preferences.merge(ada, "pin", {"b": 3}) == {"a": 2, "b": 3}
        raw = (await stored(settings, tenant_id))["preferences"]
        assert sum(map(is_sealed, raw)) == 3 and SECRET not in json.dumps(raw)
        assert await scope.preferences.unset(ada, ["pin"]) == 1
        await scope.preferences.set(ada, {"pin": 4})
        assert 4 in (await stored(settings, tenant_id))["preferences"]
        # Equal values are found by their hash, of this key and this tenant only.
        assert set(await scope.preferences.find("mail.token", SECRET)) == {ada, bob}
        assert await scope.preferences.find("mail.token", "another") == []
        assert await scope.preferences.find("theme", "dark") == []
        with pytest.raises(InvalidInput) as caught:
            await scope.preferences.set(ada, {"mail.token": "abc"})
        assert "abc" not in str(caught.value) and "minLength" in str(caught.value)
        for given in ({"theme": f"{MARK}x"}, {"mail.token": f"{MARK}1:preferences:-:1:AAAA"}):
            with pytest.raises(InvalidInput):
                await scope.preferences.set(ada, given)
        assert await scope.preferences.list(ada) == {**held, "pin": 4}


async def test_no_error_tells_a_secret_preference_whose_key_is_registered_as_none(px: Platform, tenant_id: str) -> None:
    key = f"pin-{secrets.token_hex(3)}"
    await px.preference_types.register(key, {"type": ["integer", "object"], "additionalProperties": {"type": "string"}})
    async with px.tenant(tenant_id) as scope:
        ada, bob = (await user(scope)).id, (await user(scope)).id
        held = {"a": SECRET}
        await scope.preferences.set(ada, {key: held}, secret=True)
        await px.preference_types.register(key, {"type": "integer"})  # what is stored already stays
        attempts = {
            "set as secret": scope.preferences.set(bob, {key: SECRET}, secret=True),
            "set what is sealed": scope.preferences.set(ada, {key: SECRET}),
            "merge into what is sealed": scope.preferences.merge(ada, key, {"b": "c"}),
            "merge no object": scope.preferences.merge(ada, key, SECRET),  # type: ignore[arg-type]
            "set too many": scope.preferences.set(bob, {f"k{n}": SECRET for n in range(1001)}, secret=True),
            "set no mapping": scope.preferences.set(bob, [SECRET], secret=True),  # type: ignore[arg-type]
        }
        for how, attempt in attempts.items():
            with pytest.raises(InvalidInput) as caught:
                await attempt
            assert caught.value.code == "preference.invalid" and SECRET not in str(caught.value), how
        assert await scope.preferences.list(ada) == {key: held}
        assert await scope.preferences.list(bob) == {}
        with pytest.raises(InvalidInput, match="'plain' is not of type"):  # of what is no secret the value is told
            await scope.preferences.set(bob, {key: "plain"})


async def test_equal_secrets_of_two_tenants_do_not_look_equal(px: Platform, settings: Settings, new_id: Id) -> None:
    hashes = []
    for tenant in (new_id(), new_id()):
        await px.tenants.create(tenant, name="T", isolation="shared")
        async with px.tenant(tenant) as scope:
            ada = (await user(scope)).id
            await scope.preferences.set(ada, {"pin": "1234"}, secret=True)
            assert await scope.preferences.find("pin", "1234") == [ada]
        (raw,) = (await stored(settings, tenant))["preferences"]
        hashes.append(raw.split(":")[3].partition(".")[2])
    assert hashes[0] != hashes[1] and all(len(item) == 22 for item in hashes)


async def test_secret_payloads(px: Platform, settings: Settings, tenant_id: str) -> None:
    async with px.tenant(tenant_id) as scope:
        payload = {"to": "ada", "token": SECRET, "secret": {"x": [1, SECRET]}}
        made = await scope.tasks.enqueue(service="mail", type="send", payload=payload, secret=["token"])
        assert made.payload == payload
        assert (await scope.tasks.get(made.task_id)).payload == payload
        assert [item.payload for item in (await scope.tasks.list()).items] == [payload]
        assert (await scope.tasks.cancel(made.task_id)).payload == payload
        (raw,) = (await stored(settings, tenant_id))["tasks"]
        assert raw["to"] == "ada" and is_sealed(raw["token"]) and is_sealed(raw["secret"])
        assert SECRET not in json.dumps(raw)
        found = await scope.tasks.list(secret={"token": SECRET})
        assert [item.task_id for item in found.items] == [made.task_id]
        for sought in ({"token": "x"}, {"to": SECRET}, {"token": SECRET, "secret": 1}):
            assert (await scope.tasks.list(secret=sought)).items == []
        for wrong in ({"a.b": 1}, {"$x": 1}, {"": 1}):
            with pytest.raises(InvalidInput):
                await scope.tasks.list(secret=wrong)
        before = await scope.tasks.counts()
        for given, named in (({"a": 1}, ["b"]), ({"a": f"{MARK}1"}, [])):
            with pytest.raises(InvalidInput) as caught:
                await scope.tasks.enqueue(service="mail", type="send", payload=given, secret=named)
            assert caught.value.code == "task.invalid"
        assert await scope.tasks.counts() == before


async def test_connection_strings_are_sealed(px: Platform, settings: Settings, pair: tuple[str, str]) -> None:
    for tenant in pair:
        (raw,) = (await stored(settings, tenant))["registry"]
        assert is_sealed(raw) and "mongodb" not in raw
    async with px.tenant(pair[0]) as scope:
        assert scope.tenant.placement == "dedicated"
        await (await scope.collection("user_insights")).count_documents()


async def test_what_was_moved_is_refused_and_logged(
    px: Platform, settings: Settings, new_id: Id, caplog: pytest.LogCaptureFixture
) -> None:
    first, second = new_id(), new_id()
    for tenant in (first, second):
        await px.tenants.create(tenant, name="T", isolation="shared")
    async with px.tenant(first) as scope, px.tenant(second) as other:
        ada, bob = await user(scope, metadata={"private": 1}), await user(scope, metadata={"private": 2, "b": 3})
        eve = await user(other, metadata={"private": 3})
        admin = await administrator(settings, "system_users")
        try:
            move = (
                "UPDATE user_data.users SET metadata = jsonb_set(metadata, '{private}', (SELECT metadata -> 'private' "
                "FROM user_data.users WHERE id = $2)) WHERE id = $1"
            )
            await admin.execute("BEGIN; SET LOCAL row_security = off")
            await admin.execute(move, bob.id, ada.id)
            await admin.execute(move, eve.id, ada.id)
            await admin.execute("COMMIT")
        finally:
            await admin.close()
        assert (await scope.users.get(ada.id)).metadata == {"private": 1}
        for where, who in ((scope, bob), (other, eve)):
            with caplog.at_level(logging.WARNING, "prismicx.sealing"):
                found = await where.users.get(who.id)
            assert str(who.id) in caplog.text
            assert found.username == "ada" and found.metadata.get("b") == who.metadata.get("b")
            with pytest.raises(Denied) as caught:
                found.metadata["private"]
            assert caught.value.code == "keys.cannot_open"
            # The page is there for all others, and what is damaged can be written anew.
            assert any(isinstance(item.metadata, PartlyOpened) for item in (await where.users.list()).items)
            assert (await where.users.update(who.id, first_name="E")).first_name == "E"
            assert (await where.users.update(who.id, metadata={"private": 9})).metadata == {"private": 9}


async def test_values_of_earlier_releases_open_and_are_sealed_by_the_pass(
    px: Platform, settings: Settings, tenant_id: str, tmp_path: Path
) -> None:
    await px.preference_types.register("old.token", {}, secret=True)
    kind = f"old{secrets.token_hex(3)}"
    steps = [("CREATE TABLE t1 (a int);", "DROP TABLE t1;")]
    await px.catalogue.publish(make_package(tmp_path, kind, *steps, declared={1: DECLARED}))
    async with px.tenant(tenant_id) as scope:
        ada = await user(scope)
        await scope.systems.install(kind)
        async with scope.sql("system_users") as sql:
            await sql.execute(
                "UPDATE user_data.users SET metadata = $2::text::jsonb WHERE id = $1",
                ada.id,
                json.dumps({"private": PAGE}),
            )
            await sql.execute(
                "INSERT INTO user_preferences.preferences (user_id, preference_key, preference_value, created_at, "
                "updated_at) VALUES ($1, 'old.token', '\"abc\"', now(), now())",
                ada.id,
            )
        admin = await administrator(settings, "management_system_repository")
        try:
            await admin.execute(
                "UPDATE public.tenant_systems SET configurations = $2::text::jsonb WHERE tenant_id = $1",
                tenant_id, json.dumps({"url": "u", "token": SECRET}),
            )  # fmt: skip
        finally:
            await admin.close()
        task = await scope.tasks.enqueue(service="s", type="t", payload={"a": 1})
        await (await scope.collection("tasks")).update_one(
            {"task_id": task.task_id}, {"$set": {"payload": {"a": 1, "secret": "s"}}}
        )
        plain = f"mongodb://nobody:{SECRET}@127.0.0.1/x"
        async with collection(settings, "tenants", "tenant_registry") as tenants:
            await tenants.update_one({"tenant_id": tenant_id}, {"$set": {"database_config.connection_string": plain}})

        async def read() -> list[Any]:
            return [
                (await scope.users.get(ada.id)).metadata,
                await scope.preferences.get(ada.id, "old.token"),
                (await scope.systems.list())[0].configuration,
                (await scope.tasks.get(task.task_id)).payload,
                await px._connection_string(await px._registry.entry(tenant_id)),
            ]

        expected = [{"private": PAGE}, "abc", {"url": "u", "token": SECRET}, {"a": 1, "secret": "s"}, plain]
        assert await read() == expected
        assert sum(item.plain for item in (await px.keys.status(tenant_id)).keysets) == 1  # keysets that there are
        done = await px.keys.seal(tenant_id)
        assert sum(done.sealed.values()) == 5 and done.left == 0
        held = await stored(settings, tenant_id)
        assert SECRET not in json.dumps(held) and is_sealed(held["users"][0]["private"])
        assert is_sealed(held["preferences"][0]) and is_sealed(held["systems"][0]["token"])
        assert is_sealed(held["tasks"][0]["secret"]) and is_sealed(held["registry"][0])
        assert await read() == expected
        assert sum((await px.keys.seal(tenant_id)).sealed.values()) == 0


async def test_import_and_export(px: Platform, settings: Settings, tenant_id: str) -> None:
    lines = [
        {"username": "a", "email": address(), "metadata": {"x": 1, "private": PAGE}},
        {"username": "b", "email": address(), "metadata": {"x": 2}},
    ]
    async with px.tenant(tenant_id) as scope:
        given = io.StringIO("\n".join(map(json.dumps, lines)))
        assert (await scope.user_transfer.read(given, "jsonl")).added == 2
        assert SECRET not in json.dumps(await stored(settings, tenant_id))
        assert (await scope.users.by_email(str(lines[0]["email"]))).metadata == {"x": 1, "private": PAGE}
        for private in (False, True):
            target = io.StringIO()
            done = await scope.user_transfer.write(target, "jsonl", private=private)
            assert (done.users, done.private_left_out) == (2, 0 if private else 1)
            assert (SECRET in target.getvalue()) is private and MARK not in target.getvalue()
    other = f"{tenant_id}-b"
    await px.tenants.create(other, name="Other", isolation="shared")
    async with px.tenant(other) as scope:
        assert (await scope.user_transfer.read(io.StringIO(target.getvalue()), "jsonl")).added == 2
        assert (await scope.users.by_email(str(lines[0]["email"]))).metadata["private"] == PAGE


async def test_many_at_once_open_a_keyset_once(px: Platform, settings: Settings, new_id: Id) -> None:
    tenants = [new_id() for _ in range(3)]
    for tenant in tenants:
        await px.tenants.create(tenant, name="T", isolation="shared")

    async def one(tenant: str, number: int) -> None:
        async with px.tenant(tenant) as scope:
            made = await user(scope, metadata={"private": number})
            assert (await scope.users.get(made.id)).metadata["private"] == number

    await asyncio.gather(*(one(tenant, number) for tenant in tenants for number in range(10)))
    for tenant in tenants:
        documents = await px._keysets.documents(tenant)
        assert [item["data_class"] for item in documents] == ["registry", "users"]
        assert all(len(item["key_ids"]) == 1 for item in documents)


async def test_a_raw_statement_sees_the_ciphertext_only(px: Platform, tenant_id: str) -> None:
    async with px.tenant(tenant_id) as scope:
        made = await user(scope, metadata={"private": PAGE})
        async with scope.sql("system_users") as sql:
            raw = await sql.fetchval("SELECT metadata::text FROM user_data.users WHERE id = $1", made.id)
            # Whoever can write the row cannot forge a value either.
            forged = json.dumps({"private": raw.replace(":users:", ":users:", 1)[:40]})
            await sql.execute("UPDATE user_data.users SET metadata = $2::text::jsonb WHERE id = $1", made.id, forged)
        assert SECRET not in raw
        assert (await scope.users.get(made.id)).id == made.id
        assert uuid.UUID(str(made.id))


async def test_a_keyset_that_was_cut_or_swapped_is_refused(px: Platform, settings: Settings, new_id: Id) -> None:
    first, second = new_id(), new_id()
    for tenant in (first, second):
        await px.tenants.create(tenant, name="T", isolation="shared")
        async with px.tenant(tenant) as scope:
            await user(scope, metadata={"private": 1})
    async with collection(settings, "keysets") as held:
        mine = await held.find_one({"tenant_id": first, "data_class": "users"})
        others = [
            (await held.find_one({"tenant_id": second, "data_class": "users"}))["wrapped"],
            (await held.find_one({"tenant_id": first, "data_class": "registry"}))["wrapped"],
            mine["wrapped"][:-4],
            mine["wrapped"][:-9] + "AAAAAAAA=",
            "vault:v1:",
            "",
        ]
        for wrapped in others:
            await held.update_one({"_id": mine["_id"]}, {"$set": {"wrapped": wrapped}})
            px._keysets.forget(first)
            async with px.tenant(first) as scope:
                (found,) = (await scope.users.list()).items
                with pytest.raises(PrismicXError) as caught:
                    found.metadata["private"]
                assert caught.value.code == "keys.cannot_open"
                with pytest.raises(PrismicXError):
                    await user(scope, metadata={"private": 2})
                assert len((await scope.users.list()).items) == 1
        await held.update_one({"_id": mine["_id"]}, {"$set": {"wrapped": mine["wrapped"]}})
    px._keysets.forget(first)
    async with px.tenant(first) as scope:
        assert (await scope.users.list()).items[0].metadata == {"private": 1}
