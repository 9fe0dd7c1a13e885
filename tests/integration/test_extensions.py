"""Extensions: made, ordered, counted, rated and ranked, in one's own tenant only."""

from __future__ import annotations

import asyncio
import secrets
import uuid
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from prismicx import Conflict, InvalidInput, NotFound, Platform
from prismicx.extensions import repository
from prismicx.extensions.values import Factor, practicality_of

Pair = tuple[str, str]


async def user_of(px: Platform, tenant: str) -> uuid.UUID:
    async with px.tenant(tenant) as scope:
        return (await scope.users.create(username="ada", email=f"{secrets.token_hex(6)}@acme.test")).id


async def test_an_extension_is_made_changed_and_removed(px: Platform, pair: Pair) -> None:
    user = await user_of(px, pair[0])
    async with px.tenant(pair[0]) as ann, px.tenant(pair[1]) as bob:
        made = await ann.extensions.create(user, type="widget", name="Clock", metadata={"zone": "UTC"})
        assert (made.user_id, made.enabled, made.priority, made.usage_count) == (user, True, 0, 0)
        assert await ann.extensions.get(str(made.id)) == made
        changed = await ann.extensions.update(made.id, version=made.version, name="Clocks", description="Tells time")
        assert (changed.name, changed.description, changed.metadata) == ("Clocks", "Tells time", {"zone": "UTC"})
        with pytest.raises(Conflict) as caught:
            await ann.extensions.update(made.id, version=made.version, name="x")
        assert caught.value.code == "extension.changed"
        assert not (await ann.extensions.disable(made.id)).enabled
        assert (await ann.extensions.enable(made.id)).enabled
        for attempt in (
            bob.extensions.get(made.id),
            bob.extensions.update(made.id, name="x"),
            bob.extensions.delete(made.id),
            bob.extensions.record_use(made.id),
            bob.extensions.record_feedback(made.id, 1),
            bob.extensions.rate(made.id, "speed", 1),
            bob.extensions.unrate(made.id, "speed"),
            bob.extensions.practicality(made.id),
            bob.extensions.create(user, type="x", name="x"),
            bob.extensions.reorder(user, [made.id]),
        ):
            with pytest.raises(NotFound) as missing:
                await attempt
            assert missing.value.code in ("extension.unknown", "user.unknown")
        await ann.extensions.rate(made.id, "speed", 5)
        await ann.extensions.record_use(made.id)
        await ann.extensions.delete(made.id)
        with pytest.raises(NotFound):
            await ann.extensions.get(made.id)
        with pytest.raises(NotFound):
            await ann.extensions.create(uuid.uuid4(), type="widget", name="Clock")


async def test_the_users_order_is_the_order_of_the_list(px: Platform, pair: Pair) -> None:
    user, other = await user_of(px, pair[0]), await user_of(px, pair[0])
    async with px.tenant(pair[0]) as ann:
        made = [(await ann.extensions.create(user, type="widget", name=f"e{n}")).id for n in range(5)]
        foreign = (await ann.extensions.create(other, type="theme", name="e")).id
        wanted = made[::-1]
        await ann.extensions.reorder(user, wanted)
        seen: list[uuid.UUID] = []
        after = None
        while True:
            page = await ann.extensions.list(user_id=user, after=after, limit=2)
            seen += [item.id for item in page.items]
            after = page.next
            if after is None:
                break
        assert seen == wanted
        for order in (wanted[1:], [*wanted, wanted[0]], [*wanted[1:], foreign]):
            with pytest.raises(InvalidInput):
                await ann.extensions.reorder(user, order)
        assert [item.id for item in (await ann.extensions.list(user_id=user)).items] == wanted
        assert [item.id for item in (await ann.extensions.list(user_id=other, type="theme")).items] == [foreign]
        await ann.extensions.disable(made[0])
        assert [item.id for item in (await ann.extensions.list(user_id=user, enabled=False)).items] == [made[0]]
        assert len((await ann.extensions.list(user_id=user, enabled=True)).items) == 4


async def test_no_use_is_lost_when_many_count_at_once(px: Platform, pair: Pair) -> None:
    user = await user_of(px, pair[0])
    async with px.tenant(pair[0]) as ann:
        made = (await ann.extensions.create(user, type="widget", name="Clock")).id
        work = [ann.extensions.record_use(made, 1 + n % 3) for n in range(30)]
        await asyncio.gather(*work, *(ann.extensions.record_feedback(made, 7.5) for _ in range(5)))
        found = await ann.extensions.get(made)
        assert (found.usage_count, found.feedback_score) == (60, 7.5)
        assert found.last_used_at is not None
        async with ann.sql("system_users", service="extensions") as sql:
            rows = await sql.fetchval(
                "SELECT count(*) FROM user_extensions.extension_metrics WHERE extension_id = $1", made
            )
        assert rows == 1


async def test_uses_beyond_what_is_kept_are_not_counted(px: Platform, pair: Pair) -> None:
    user = await user_of(px, pair[0])
    async with px.tenant(pair[0]) as ann:
        made = (await ann.extensions.create(user, type="widget", name="Clock")).id
        await ann.extensions.record_use(made)
        async with ann.sql("system_users", service="extensions") as sql:
            await sql.execute(
                "UPDATE user_extensions.extension_metrics SET usage_count = 2147483640 WHERE extension_id = $1", made
            )
        for times in (5, 1_000_000, 1):
            await ann.extensions.record_use(made, times)
        assert (await ann.extensions.get(made)).usage_count == 2**31 - 1


async def test_times_go_on_however_the_clock_is_set(px: Platform, pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    user = await user_of(px, pair[0])
    async with px.tenant(pair[0]) as ann:
        made = (await ann.extensions.create(user, type="widget", name="Clock")).id

        async def times() -> list[Any]:
            async with ann.sql("system_users", service="extensions") as sql:
                return [
                    await sql.fetchval(f"SELECT updated_at FROM user_extensions.{table} WHERE extension_id = $1", made)
                    for table in ("extension_metrics", "practicality_factors")
                ]

        await ann.extensions.record_use(made)
        await ann.extensions.rate(made, "speed", 5)
        seen = [await times()]
        monkeypatch.setattr(repository, "utc_now", lambda **_: datetime(2001, 1, 1))
        for work in (
            ann.extensions.record_use(made),
            ann.extensions.record_feedback(made, 5),
            ann.extensions.rate(made, "speed", 6),
        ):
            await work
            seen.append(await times())
        assert seen[0][0] < seen[1][0] < seen[2][0]
        assert seen[0][1] < seen[3][1]
        assert (await ann.extensions.get(made)).last_used_at.year > 2001  # type: ignore[union-attr]


async def test_what_is_deleted_meanwhile_is_not_found(px: Platform, pair: Pair) -> None:
    user = await user_of(px, pair[0])
    async with px.tenant(pair[0]) as ann:
        for _ in range(15):
            made = (await ann.extensions.create(user, type="widget", name="Clock")).id
            await ann.extensions.rate(made, "speed", 1)
            results = await asyncio.gather(
                ann.extensions.delete(made),
                *(ann.extensions.rate(made, name, 2) for name in ("speed", "size")),
                ann.extensions.record_use(made),
                ann.extensions.record_feedback(made, 2),
                ann.extensions.unrate(made, "speed"),
                return_exceptions=True,
            )
            assert results[0] is None
            assert {getattr(found, "code", "") for found in results if isinstance(found, BaseException)} <= {
                "extension.unknown", "factor.unknown",
            }  # fmt: skip


rated = st.lists(
    st.tuples(st.sampled_from("abcdef"), st.integers(1, 10), st.floats(0, 1000).map(lambda w: round(w, 3))), max_size=8
)


@given(rated=rated, other=st.floats(0, 100).map(lambda w: round(w, 3)))
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_the_view_says_the_weighted_mean(px: Platform, pair: Pair, rated: list[Any], other: float) -> None:
    user = await user_of(px, pair[0])
    async with px.tenant(pair[0]) as ann:
        made = (await ann.extensions.create(user, type="widget", name="Clock")).id
        held: dict[str, Factor] = {}
        for name, value, weight in rated:
            await ann.extensions.rate(made, name, value, weight)
            held[name] = Factor(name, value, weight)
        expected, found = practicality_of([*held.values()]), await ann.extensions.practicality(made)
        assert found.score == (None if expected.score is None else pytest.approx(expected.score))
        assert (found.factors, found.total_weight) == (expected.factors, pytest.approx(expected.total_weight))
        if held:
            name = next(iter(held))
            foreseen = await ann.extensions.what_if(made, {name: other})
            assert await ann.extensions.practicality(made) == found, "what-if changes nothing"
            really = await ann.extensions.rate(made, name, held[name].value, other)
            assert really.score == (None if foreseen.score is None else pytest.approx(foreseen.score))
            assert (await ann.extensions.unrate(made, name)).factors == len(held) - 1


async def test_rankings(px: Platform, new_id: Callable[[], str]) -> None:
    tenant = new_id()
    await px.tenants.create(tenant, name="T", isolation="shared")
    user = await user_of(px, tenant)
    async with px.tenant(tenant) as scope:
        best, used, liked, plain = [
            (await scope.extensions.create(user, type="widget", name=name)).id
            for name in ("best", "used", "liked", "plain")
        ]
        await scope.extensions.rate(best, "speed", 10)
        await scope.extensions.rate(used, "speed", 2)
        await scope.extensions.record_use(used, 9)
        await scope.extensions.record_use(best, 1)
        await scope.extensions.record_feedback(liked, 9)
        await scope.extensions.record_feedback(used, 3)
        assert [row.extension_id for row in await scope.extensions.ranking()][:2] == [best, used]
        assert [row.extension_id for row in await scope.extensions.ranking("use")][:2] == [used, best]
        assert [row.extension_id for row in await scope.extensions.ranking("feedback")][:2] == [liked, used]
        assert {row.extension_id for row in await scope.extensions.ranking()} == {best, used, liked, plain}
        assert [row.place for row in await scope.extensions.ranking(limit=2)] == [1, 2]
        with pytest.raises(InvalidInput):
            await scope.extensions.ranking("beauty")  # type: ignore[arg-type]


async def test_what_cannot_be_is_named(px: Platform, pair: Pair) -> None:
    user = await user_of(px, pair[0])
    async with px.tenant(pair[0]) as ann:
        made = (await ann.extensions.create(user, type="widget", name="Clock")).id
        wrong: list[dict[str, Any]] = [
            {"type": ""}, {"name": "x" * 101}, {"name": "a\0"}, {"description": "x" * 10_001}, {"enabled": "yes"},
            {"priority": 2**31}, {"priority": True}, {"metadata": []}, {"metadata": {"a": float("inf")}},
            {"user_id": user},
        ]  # fmt: skip
        for change in wrong:
            with pytest.raises(InvalidInput) as caught:
                await ann.extensions.update(made, **change)
            assert caught.value.code == "extension.invalid"
        for value, weight in ((0, 1), (11, 1), (5.5, 1), (True, 1), ("5", 1), (5, -1), (5, float("nan")), (5, "1")):
            with pytest.raises(InvalidInput):
                await ann.extensions.rate(made, "speed", value, weight)  # type: ignore[arg-type]
        for score in (-1, 11, "5", None, float("nan")):
            with pytest.raises(InvalidInput):
                await ann.extensions.record_feedback(made, score)  # type: ignore[arg-type]
        for times in (0, -1, 1.5, 10**9):
            with pytest.raises(InvalidInput):
                await ann.extensions.record_use(made, times)  # type: ignore[arg-type]
        with pytest.raises(NotFound) as missing:
            await ann.extensions.what_if(made, {"nothing": 1})
        assert missing.value.code == "factor.unknown"
        for key in ("x", 5, None, {"$ne": ""}):
            with pytest.raises(InvalidInput):
                await ann.extensions.get(key)  # type: ignore[arg-type]
        assert await ann.extensions.factors(made) == []
