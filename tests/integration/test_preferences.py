"""Preferences: set, merged, typed, with defaults, in one's own tenant only."""

from __future__ import annotations

import asyncio
import secrets
import uuid
from collections.abc import Callable
from typing import Any

import pytest

from prismicx import InvalidInput, NotFound, Platform

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


async def test_defaults_of_the_tenant_stand_before_registered_ones(px: Platform, new_id: Callable[[], str]) -> None:
    tenant = new_id()
    await px.tenants.create(tenant, name="T", isolation="shared")
    user = await user_of(px, tenant)
    key = f"lang-{secrets.token_hex(3)}"
    px.preference_types.register(key, {"enum": ["en", "de", "fr"]}, default="en")
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
    with pytest.raises(InvalidInput):
        px.preference_types.register("bad", {"type": "nonsense"})
    with pytest.raises(InvalidInput):
        px.preference_types.register("bad", {"type": "string"}, default=5)
