"""Preferences: set, merged, typed, with defaults, in one's own tenant only."""

from __future__ import annotations

import asyncio
import secrets
import uuid
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from prismicx import InvalidInput, NotFound, Platform
from prismicx.platform import open_platform
from prismicx.sealing.values import MARK
from prismicx.settings import Settings

Pair = tuple[str, str]


async def user_of(px: Platform, tenant: str) -> uuid.UUID:
    async with px.tenant(tenant) as scope:
        return (await scope.users.create(username="ada", email=f"{secrets.token_hex(6)}@acme.test")).id


async def test_values_come_back_as_they_were_set(px: Platform, pair: Pair) -> None:
    user = await user_of(px, pair[0])
    values: dict[str, Any] = {
        "theme": "dark",
        "columns": 3,
        "on": False,
        "none": None,
        "list": [1, {"ä": "ß"}],
        "f": 0.5,
    }
    async with px.tenant(pair[0]) as ann, px.tenant(pair[1]) as bob:
        assert await ann.preferences.list(user) == {}
        await ann.preferences.set(user, values)
        assert await ann.preferences.list(user) == values
        assert await ann.preferences.get(user, "list") == [1, {"ä": "ß"}]
        await ann.preferences.set(user, {"columns": 4})
        assert await ann.preferences.list(user) == {**values, "columns": 4}
        assert await ann.preferences.unset(user, ["theme", "columns", "never"]) == 2
        assert set(await ann.preferences.list(user)) == {"on", "none", "list", "f"}
        for attempt in (
            bob.preferences.list(user),
            bob.preferences.get(user, "on"),
            bob.preferences.set(user, {"on": True}),
            bob.preferences.merge(user, "on", {"a": 1}),
            bob.preferences.unset(user, ["on"]),
        ):
            with pytest.raises(NotFound) as caught:
                await attempt
            assert caught.value.code == "user.unknown"
        assert await ann.preferences.get(user, "on") is False


async def test_merging_keeps_what_others_merge_meanwhile(px: Platform, pair: Pair) -> None:
    user = await user_of(px, pair[0])
    async with px.tenant(pair[0]) as ann:
        await asyncio.gather(*(ann.preferences.merge(user, "widgets", {f"w{n}": {"at": n}}) for n in range(12)))
        assert await ann.preferences.get(user, "widgets") == {f"w{n}": {"at": n} for n in range(12)}
        assert await ann.preferences.merge(user, "widgets", {"w0": None, "w1": {"at": 9, "big": True}}) == {
            **{f"w{n}": {"at": n} for n in range(2, 12)},
            "w1": {"at": 9, "big": True},
        }
        await ann.preferences.set(user, {"text": "x"})
        assert await ann.preferences.merge(user, "text", {"a": 1}) == {"a": 1}


async def test_two_that_set_the_same_keys_in_turn_both_count(px: Platform, pair: Pair) -> None:
    keys = [f"k{n}" for n in range(500)]
    async with px.tenant(pair[0]) as ann:
        for _ in range(5):
            user = await user_of(px, pair[0])
            for _ in range(2):  # the first time they are made, the second time they are changed
                calls = [ann.preferences.set(user, dict.fromkeys(order, 1)) for order in (keys, keys[::-1]) * 2]
                await asyncio.gather(*calls, ann.preferences.merge(user, keys[7], {"a": 1}))
            assert await asyncio.gather(*(ann.preferences.unset(user, keys[:: 1 - 2 * (n % 2)]) for n in range(4)))


async def test_what_somebody_keeps_secret_meanwhile_is_stored_sealed(px: Platform, pair: Pair) -> None:
    async with px.tenant(pair[0]) as ann:
        await ann.preferences.set(await user_of(px, pair[0]), {"pin": 1}, secret=True)  # the keys are at hand
        for _ in range(20):
            user = await user_of(px, pair[0])
            plain = [ann.preferences.set(user, {"pin": n}) for n in range(3)]
            await asyncio.gather(ann.preferences.set(user, {"pin": "1234"}, secret=True), *plain)
            async with ann.sql("system_users") as sql:
                query = "SELECT preference_value::text FROM user_preferences.preferences WHERE user_id = $1"
                assert MARK in await sql.fetchval(query, user)


async def test_defaults_of_the_tenant_stand_before_registered_ones(px: Platform, new_id: Callable[[], str]) -> None:
    tenant = new_id()
    await px.tenants.create(tenant, name="T", isolation="shared")
    user = await user_of(px, tenant)
    key = f"lang-{secrets.token_hex(3)}"
    await px.preference_types.register(key, {"enum": ["en", "de", "fr"]}, default="en")
    async with px.tenant(tenant) as scope:
        assert await scope.preferences.get(user, key) == "en"
        with pytest.raises(NotFound) as caught:
            await scope.preferences.get(user, "nothing")
        assert caught.value.code == "preference.unset"
        with pytest.raises(InvalidInput) as invalid:
            await scope.preferences.set(user, {key: "xx", "fine": 1})
        assert "enum" in invalid.value.remedy
        assert await scope.preferences.list(user) == {}
    await px.tenants.update(tenant, settings={"preferences": {key: "de", "zone": "UTC"}})
    async with px.tenant(tenant) as scope:
        assert await scope.preferences.get(user, key) == "de"
        await scope.preferences.set(user, {key: "fr"})
        assert (await scope.preferences.list(user, with_defaults=True)).items() >= {key: "fr", "zone": "UTC"}.items()


async def test_what_cannot_be_a_preference_is_named(px: Platform, pair: Pair) -> None:
    user = await user_of(px, pair[0])
    async with px.tenant(pair[0]) as ann:
        for values in (
            {"": 1}, {"a b": 1}, {"$ne": 1}, {"x" * 101: 1}, {1: 1}, {"a\0": 1}, {}, [], {"a": b"x"},
            {"a": "x" * 20_000}, {"a": float("nan")}, {"a": "\0"},
        ):  # fmt: skip
            with pytest.raises(InvalidInput) as caught:
                await ann.preferences.set(user, values)  # type: ignore[arg-type]
            assert caught.value.code == "preference.invalid"
        for key in ("x", 5, None):
            with pytest.raises(InvalidInput):
                await ann.preferences.get(key, "a")  # type: ignore[arg-type]
        assert await ann.preferences.list(user) == {}
        with pytest.raises(InvalidInput) as caught:
            await ann.preferences.merge(user, "a", [1])  # type: ignore[arg-type]
        assert caught.value.code == "preference.invalid"
        with pytest.raises(InvalidInput):
            await ann.preferences.unset(user, 5)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("schema", "more", "word"),
    [
        ({"type": "nonsense"}, {}, "JSON Schema"),
        ({"type": "string"}, {"default": 5}, "schema"),
        ({"type": "string"}, {"default": "x", "secret": True}, "leave it out"),
        ({"type": "string"}, {"secret": "yes"}, "True or False"),
        ({"$ref": "https://example.com/schema"}, {}, "#/$defs/name"),
        ({"$ref": "#"}, {}, "#/$defs/name"),
        ({"$id": "https://example.com/schema"}, {}, "#/$defs/name"),
        ({"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/a"}}}, {"default": 1}, "schema"),
        ({"$schema": "http://json-schema.org/draft-07/schema#"}, {}, "leave it out"),
        ({"multipleOf": 0.5}, {"default": 10**400}, "schema"),
        ([], {}, "object"),
        (5, {}, "object"),
    ],
)
async def test_what_cannot_be_registered_is_named(px: Platform, schema: Any, more: Any, word: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        await px.preference_types.register("bad", schema, **more)
    assert caught.value.code == "preference.invalid"
    assert word in str(caught.value)
    assert "bad" not in [item.key for item in await px.preference_types.list()]


async def test_what_one_process_registers_counts_in_all(px: Platform, pair: Pair, settings: Settings) -> None:
    user, key = await user_of(px, pair[0]), f"size-{secrets.token_hex(3)}"
    async with open_platform(replace(settings, registry_cache=0.2)) as other, other.tenant(pair[0]) as there:
        await there.preferences.set(user, {key: "large"})
        await px.preference_types.register(key, {"type": "integer", "maximum": 9}, default=3)
        await asyncio.sleep(0.3)
        with pytest.raises(InvalidInput) as caught:
            await there.preferences.set(user, {key: "larger"})
        assert "'integer'" in caught.value.message
        with pytest.raises(InvalidInput):
            await there.preferences.merge(user, key, {"a": 1})
        assert await there.preferences.get(user, key) == "large", "what is stored is read as it is"
        await there.preferences.unset(user, [key])
        assert await there.preferences.get(user, key) == 3
        (held,) = [item for item in await other.preference_types.list() if item.key == key]
        assert (held.schema, held.default, held.secret) == ({"type": "integer", "maximum": 9}, 3, False)
        await other.preference_types.unregister(key)
        await there.preferences.set(user, {key: "large"})
        with pytest.raises(NotFound) as missing:
            await other.preference_types.unregister(key)
        assert missing.value.code == "preference.type_unknown"


async def test_defaults_of_a_tenant_are_checked_when_they_are_set(px: Platform, new_id: Callable[[], str]) -> None:
    tenant, key, token = new_id(), f"lang-{secrets.token_hex(3)}", f"token-{secrets.token_hex(3)}"
    await px.tenants.create(tenant, name="T", isolation="shared")
    await px.preference_types.register(key, {"enum": ["en", "de"]})
    await px.preference_types.register(token, {"type": "string"}, secret=True)
    for wrong in (5, [], "x", {key: "xx"}, {"a b": 1}, {token: "t"}, {"a": float("nan")}):
        with pytest.raises(InvalidInput) as caught:
            await px.tenants.update(tenant, settings={"preferences": wrong, "other": 1})
        assert caught.value.code == "preference.invalid"
        assert (await px.tenants.get(tenant)).settings == {}
    await px.tenants.update(tenant, settings={"preferences": {key: "de"}})
    await px.tenants.update(tenant, settings={"preferences": None})
    assert (await px.tenants.get(tenant)).settings == {}


async def test_who_is_deleted_meanwhile_is_not_found(px: Platform, pair: Pair) -> None:
    """Neither an extension is spoken of that there is not, nor does one wait for the other in turn."""
    async with px.tenant(pair[0]) as ann:
        for attempt in range(15):
            user = await user_of(px, pair[0])
            await ann.preferences.set(user, {"a": 0, "b": 0})
            results = await asyncio.gather(
                ann.users.delete(user),
                *(ann.preferences.set(user, {"a": n, f"new{n}": n, "b": n}) for n in range(3)),
                ann.preferences.merge(user, f"new{attempt % 3}", {"x": 1}),
                ann.preferences.unset(user, ["a", "b"]),
                return_exceptions=True,
            )
            assert results[0] is None
            assert {getattr(found, "code", "") for found in results if isinstance(found, BaseException)} <= {
                "user.unknown"
            }
            with pytest.raises(NotFound):
                await ann.preferences.list(user)
