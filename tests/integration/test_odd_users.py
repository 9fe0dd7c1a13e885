"""Whatever is given to users, preferences and extensions: the answer is a success or an error with a code, and what
was refused changed nothing."""

from __future__ import annotations

import io
import json
import secrets
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from prismicx import Platform, TenantScope
from tests.odd import odd, refused

slow = settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
async def tenant(px: Platform) -> str:
    made = f"odd-{secrets.token_hex(4)}"
    await px.tenants.create(made, name="Odd", isolation="shared")
    return made


async def user_of(scope: TenantScope) -> uuid.UUID:
    return (await scope.users.create(username="ada", email=f"{secrets.token_hex(6)}@acme.test")).id


@given(
    changes=st.dictionaries(
        st.sampled_from("username email first_name last_name role metadata status id version".split()),
        odd, min_size=1, max_size=2,
    )
)  # fmt: skip
@slow
async def test_a_user_is_changed_or_stays_as_it_is(px: Platform, tenant: str, changes: dict[str, Any]) -> None:
    async with px.tenant(tenant) as scope:
        user = await user_of(scope)
        before = await scope.users.get(user)
        if await refused(scope.users.update(user, **changes)):
            assert await scope.users.get(user) == before
        await scope.users.delete(user)


@given(value=odd, which=st.sampled_from(["id", "by_email", "by_username", "password", "verify", "login", "delete"]))
@slow
async def test_a_user_is_asked_for_by_anything(px: Platform, tenant: str, value: Any, which: str) -> None:
    async with px.tenant(tenant) as scope:
        user = await user_of(scope)
        ways: dict[str, Callable[[], Awaitable[object]]] = {
            "id": lambda: scope.users.get(value),
            "by_email": lambda: scope.users.by_email(value),
            "by_username": lambda: scope.users.by_username(value),
            "password": lambda: scope.users.set_password(user, value),
            "verify": lambda: scope.users.verify_password(user, value),
            "login": lambda: scope.users.login("ada@acme.test", value),
            "delete": lambda: scope.users.delete(value),
        }
        before = await scope.users.get(user)
        if await refused(ways[which]()):
            assert await scope.users.get(user) == before
        await scope.users.delete(user)


@given(filters=st.dictionaries(st.sampled_from(["status", "role", "text", "after", "limit"]), odd, max_size=2))
@slow
async def test_users_are_listed_by_anything(px: Platform, tenant: str, filters: dict[str, Any]) -> None:
    async with px.tenant(tenant) as scope:
        wrong = await refused(scope.users.list(**filters))
        assert wrong or filters.get("status") in (None, "active", "inactive")


row = st.fixed_dictionaries(
    {"username": odd, "email": odd},
    optional={"first_name": odd, "last_name": odd, "role": odd, "status": odd, "metadata": odd, "extra": odd},
)


def as_line(held: Any) -> str:
    try:
        return json.dumps(held)
    except (TypeError, ValueError, RecursionError):
        return "{" + "[" * 2_000 + "1" * 5_000


@example(rows=['{"username": null, "email": null}'], form="jsonl")
@given(
    rows=st.lists(st.one_of(row.map(as_line), st.text(max_size=30)), max_size=4), form=st.sampled_from(["csv", "jsonl"])
)
@slow
async def test_a_file_of_anything_is_read_or_adds_nothing(
    px: Platform, tenant: str, rows: list[str], form: Any
) -> None:
    good = f"{secrets.token_hex(6)}@acme.test"
    head = ["username,email", f"a,{good}"] if form == "csv" else [json.dumps({"username": "a", "email": good})]
    async with px.tenant(tenant) as scope:
        wrong = await refused(scope.user_transfer.read(io.StringIO("\n".join([*head, *rows])), form))
        found = (await scope.users.list(text=good)).items
        assert len(found) == (0 if wrong else 1)


@given(key=st.one_of(st.just("theme"), odd), value=odd, which=st.sampled_from(["set", "merge", "unset", "get", "find"]))
@slow
async def test_preferences_are_set_or_stay_as_they_are(
    px: Platform, tenant: str, key: Any, value: Any, which: str
) -> None:
    async with px.tenant(tenant) as scope:
        user = await user_of(scope)
        await scope.preferences.set(user, {"theme": {"a": 1}})
        before = await scope.preferences.list(user)
        ways: dict[str, Callable[[], Awaitable[object]]] = {
            "set": lambda: scope.preferences.set(user, {key: value} if isinstance(key, (str, int)) else value),
            "merge": lambda: scope.preferences.merge(user, key, value),
            "unset": lambda: scope.preferences.unset(user, value),
            "get": lambda: scope.preferences.get(user, key),
            "find": lambda: scope.preferences.find(key, value),
        }
        if await refused(ways[which]()):
            assert await scope.preferences.list(user) == before
        await scope.users.delete(user)


@given(
    schema=st.one_of(odd, st.dictionaries(st.sampled_from(["type", "enum", "$ref", "multipleOf", "pattern"]), odd)),
    default=odd,
)
@slow
async def test_types_are_registered_or_stay_as_they_are(px: Platform, schema: Any, default: Any) -> None:
    key = f"odd-{secrets.token_hex(4)}"
    if not await refused(px.preference_types.register(key, schema, default=default)):
        await px.preference_types.unregister(key)
    assert key not in [item.key for item in await px.preference_types.list()]


@given(
    changes=st.dictionaries(
        st.sampled_from(["type", "name", "description", "enabled", "priority", "metadata", "user_id", "version"]),
        odd, min_size=1, max_size=2,
    ),
    value=odd,
    which=st.sampled_from("update reorder use feedback rate factor unrate what_if weights list".split()),
)  # fmt: skip
@slow
async def test_extensions_are_changed_or_stay_as_they_are(
    px: Platform, tenant: str, changes: dict[str, Any], value: Any, which: str
) -> None:
    async with px.tenant(tenant) as scope:
        user = await user_of(scope)
        made = (await scope.extensions.create(user, type="widget", name="Clock")).id
        await scope.extensions.rate(made, "speed", 5)

        async def everything() -> object:
            return await scope.extensions.get(made), await scope.extensions.factors(made)

        ways: dict[str, Callable[[], Awaitable[object]]] = {
            "update": lambda: scope.extensions.update(made, **changes),
            "reorder": lambda: scope.extensions.reorder(user, value),
            "use": lambda: scope.extensions.record_use(made, value),
            "feedback": lambda: scope.extensions.record_feedback(made, value),
            "rate": lambda: scope.extensions.rate(made, "speed", value),
            "factor": lambda: scope.extensions.rate(made, value, 5),
            "unrate": lambda: scope.extensions.unrate(made, value),
            "what_if": lambda: scope.extensions.what_if(made, value),
            "weights": lambda: scope.extensions.what_if(made, {"speed": value}),
            "list": lambda: scope.extensions.list(user_id=user, type=value),
        }
        before = await everything()
        if await refused(ways[which]()):
            assert await everything() == before
        await scope.extensions.delete(made)
