"""Tasks as documents: enqueued, found, cancelled and retried, in one's own tenant only."""

from __future__ import annotations

import asyncio
import re
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from prismicx import Conflict, InvalidInput, NotFound, Platform, ScopedCollection, Unavailable
from prismicx.sealing.sealer import Sealer
from prismicx.tasks import repository
from prismicx.tasks.values import NewTask, Task

Pair = tuple[str, str]


@pytest.fixture
async def tenant(px: Platform, new_id: Callable[[], str]) -> str:
    name = new_id()
    await px.tenants.create(name, name="T", isolation="shared")
    return name


async def force(px: Platform, tenant: str, task: Task, status: str) -> None:
    async with px.tenant(tenant) as scope:
        found = await scope.collection("tasks")
        await found.update_one({"task_id": task.task_id}, {"$set": {"status": status, "error": {"code": "x"}}})


async def test_a_task_is_enqueued_and_found_by_its_tenant_only(px: Platform, pair: Pair) -> None:
    payload = {"to": "ada", "größe": [1, 2.5, None, True, {"a.b": 2**63 - 1}]}
    async with px.tenant(pair[0]) as ann, px.tenant(pair[1]) as bob:
        made = await ann.tasks.enqueue(service="mailer", type="welcome", payload=payload, priority=2)
        assert (made.status, made.priority, made.payload) == ("pending", 2, payload)
        assert await ann.tasks.get(made.task_id) == made
        for attempt in (bob.tasks.get(made.task_id), bob.tasks.cancel(made.task_id), bob.tasks.retry(made.task_id)):
            with pytest.raises(NotFound) as caught:
                await attempt
            assert caught.value.code == "task.unknown"
        assert made.task_id not in {task.task_id for task in (await bob.tasks.list(limit=1000)).items}
        assert (await ann.tasks.get(made.task_id)).status == "pending"


async def test_lists_page_through_everything_once(px: Platform, tenant: str) -> None:
    async with px.tenant(tenant) as scope:
        begun = datetime.now(UTC) - timedelta(seconds=1)
        wanted = [NewTask(f"s{n % 2}", f"t{n % 3}", {"n": n}) for n in range(25)]
        made = [*await scope.tasks.enqueue_many(wanted[:20])]  # all of one moment
        await asyncio.sleep(0.01)
        between = datetime.now(UTC)
        await asyncio.sleep(0.01)
        made += [await scope.tasks.enqueue(service=t.service, type=t.type, payload=t.payload) for t in wanted[20:]]
        seen: list[Task] = []
        after = None
        while True:
            page = await scope.tasks.list(after=after, limit=7)
            seen += page.items
            after = page.next
            if after is None:
                break
        assert seen == sorted(made, key=lambda task: (task.created_at, task.task_id))
        assert len((await scope.tasks.list(service="s1")).items) == 12
        assert len((await scope.tasks.list(service="s1", type="t0")).items) == 4
        assert len((await scope.tasks.list(since=between)).items) == 5
        assert len((await scope.tasks.list(since=begun, until=between)).items) == 20
        assert await scope.tasks.counts() == {
            "t0": {"pending": 9},
            "t1": {"pending": 8},
            "t2": {"pending": 8},
        }
        await scope.tasks.cancel(made[0].task_id)
        assert [task.task_id for task in (await scope.tasks.list(status="cancelled")).items] == [made[0].task_id]
        assert (await scope.tasks.counts())["t0"] == {"pending": 8, "cancelled": 1}


@pytest.mark.parametrize(
    ("status", "cancels", "retries"),
    [
        ("pending", True, False),
        ("running", True, False),
        ("completed", False, False),
        ("failed", False, True),
        ("cancelled", False, True),
    ],
)
async def test_which_states_lead_where(px: Platform, pair: Pair, status: str, cancels: bool, retries: bool) -> None:
    async with px.tenant(pair[0]) as ann:
        for allowed, verb, target in ((cancels, ann.tasks.cancel, "cancelled"), (retries, ann.tasks.retry, "pending")):
            made = await ann.tasks.enqueue(service="mailer", type="welcome")
            await force(px, pair[0], made, status)
            if allowed:
                changed = await verb(made.task_id)
                assert changed.status == target
                assert (changed.error is None) == (target == "pending")
            else:
                with pytest.raises(Conflict) as caught:
                    await verb(made.task_id)
                assert caught.value.code == "task.transition"
                assert status in caught.value.message
                assert (await ann.tasks.get(made.task_id)).status == status


async def test_many_are_all_checked_before_any_is_written(px: Platform, tenant: str) -> None:
    async with px.tenant(tenant) as scope:
        with pytest.raises(InvalidInput):
            await scope.tasks.enqueue_many(NewTask("s", "t" if n < 1500 else "", {}) for n in range(2000))
        assert (await scope.tasks.list()).items == []
        assert len(await scope.tasks.enqueue_many(NewTask("s", "t", {"n": n}) for n in range(2500))) == 2500
        assert await scope.tasks.counts() == {"t": {"pending": 2500}}


@pytest.mark.parametrize("lost", ["after the batch", "in the batch", "for good", "the keys"])
async def test_where_many_are_cut_off_it_says_from_which_to_go_on(
    px: Platform, tenant: str, monkeypatch: pytest.MonkeyPatch, lost: str
) -> None:
    monkeypatch.setattr(repository, "_BATCH", 10)
    insert, writer, calls = ScopedCollection.insert_many, Sealer.writer, 0
    there = {"after the batch": 20, "in the batch": 14}.get(lost, 10)

    async def cut(self: ScopedCollection, documents: Any) -> Any:
        nonlocal calls
        calls += 1
        given = list(documents)
        if calls == 2 and lost != "the keys":
            if there > 10:
                await insert(self, given[: there - 10])
            raise Unavailable("mongo.lost", "the connection to MongoDB was lost: cut", "try again")
        return await insert(self, given)

    async def refused(self: Sealer) -> Any:
        if calls:
            raise Unavailable("keys.unreachable", "the key service does not answer", "start it")
        return await writer(self)

    async def gone(self: ScopedCollection, *_: Any) -> int:
        raise Unavailable("mongo.lost", "the connection to MongoDB was lost: gone", "try again")

    wanted = [NewTask("s", "t", {"n": n, "pin": 1}, secret=() if n else ["pin"]) for n in range(25)]
    async with px.tenant(tenant) as scope:
        with monkeypatch.context() as patch:
            patch.setattr(ScopedCollection, "insert_many", cut)
            if lost == "the keys":
                patch.setattr(Sealer, "writer", refused)
            if lost == "for good":
                patch.setattr(ScopedCollection, "count_documents", gone)
            with pytest.raises(Unavailable) as caught:
                await scope.tasks.enqueue_many(wanted)
        assert caught.value.code == "task.partly_enqueued"
        assert f"{there:,} of 25 tasks" in caught.value.message
        assert ("at least" in caught.value.message) == (lost == "for good")
        if lost == "for good":
            (moment,) = re.findall(r"those of (\S+Z)", caught.value.remedy)
            page = await scope.tasks.list(since=datetime.fromisoformat(moment), limit=1000)
            assert {task.created_at for task in page.items} == {datetime.fromisoformat(moment)}
        else:
            assert f"the first {there:,} of those given are there" in caught.value.remedy
        await scope.tasks.enqueue_many(wanted[there:])
        held = (await scope.collection("tasks")).find({}, {"payload": 1})
        assert sorted([document["payload"]["n"] async for document in held]) == list(range(25))


async def test_where_none_was_enqueued_the_error_is_the_one_there_was(
    px: Platform, tenant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def cut(self: ScopedCollection, documents: Any) -> Any:
        raise Unavailable("mongo.lost", "the connection to MongoDB was lost: cut", "try again")

    monkeypatch.setattr(ScopedCollection, "insert_many", cut)
    async with px.tenant(tenant) as scope:
        for count in (1, 25):
            with pytest.raises(Unavailable) as caught:
                await scope.tasks.enqueue_many(NewTask("s", "t") for _ in range(count))
            assert caught.value.code == "mongo.lost"


odd = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=110), st.binary(max_size=4),
    st.dictionaries(st.sampled_from(["$ne", "a", "", "\0", "a.b"]), st.one_of(st.integers(), st.text(max_size=3))),
    st.lists(st.integers(), max_size=2), st.just({"a": 2**63}), st.just({"a": "x" * 70_000}),
)  # fmt: skip


@given(given_values=st.fixed_dictionaries({"service": odd, "type": odd}, optional={"payload": odd, "priority": odd}))
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_odd_values_are_kept_as_given_or_refused(px: Platform, pair: Pair, given_values: dict[str, Any]) -> None:
    async with px.tenant(pair[0]) as ann:
        try:
            made = await ann.tasks.enqueue(**given_values)
        except InvalidInput as error:
            assert error.code == "task.invalid"
            return
        assert await ann.tasks.get(made.task_id) == made
        assert made.payload == (given_values.get("payload") or {})


async def test_wrong_filters_and_ids_are_named(px: Platform, pair: Pair) -> None:
    async with px.tenant(pair[0]) as ann:
        wrong: list[dict[str, Any]] = [
            {"status": "lost"}, {"status": {"$ne": ""}}, {"type": {"$ne": ""}}, {"service": ""}, {"since": "now"},
            {"until": datetime(2026, 1, 1)}, {"after": "x"}, {"limit": 0},
        ]  # fmt: skip
        for filters in wrong:
            with pytest.raises(InvalidInput):
                await ann.tasks.list(**filters)
        for key in ("x", 5, None, {"$ne": ""}):
            with pytest.raises(InvalidInput):
                await ann.tasks.get(key)  # type: ignore[arg-type]
        made = await ann.tasks.enqueue(service="mailer", type="welcome")
        assert await ann.tasks.get(uuid.UUID(made.task_id)) == made


@pytest.mark.parametrize(
    "values",
    [{"secret": 5}, {"secret": "key"}, {"secret": [[1]]}, {"secret": {"key": 1}}, {"payload": 0}, {"payload": ""}],
)
async def test_what_is_no_list_or_no_object_is_refused(px: Platform, pair: Pair, values: dict[str, Any]) -> None:
    async with px.tenant(pair[0]) as ann:
        before = await ann.tasks.counts()
        with pytest.raises(InvalidInput) as caught:
            await ann.tasks.enqueue(service="s", type="t", **{"payload": {"key": 1}, **values})
        assert caught.value.code == "task.invalid"
        for wrong in (5, [5], [NewTask("s", "t"), {"service": "s"}]):
            with pytest.raises(InvalidInput):
                await ann.tasks.enqueue_many(wrong)  # type: ignore[arg-type]
        with pytest.raises(InvalidInput):
            await ann.tasks.list(secret=[1])  # type: ignore[arg-type]
        assert await ann.tasks.counts() == before


async def test_no_change_makes_a_task_older(px: Platform, pair: Pair) -> None:
    """The clock of another machine may be ahead."""
    ahead = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=1)
    async with px.tenant(pair[0]) as ann:
        made = await ann.tasks.enqueue(service="mailer", type="welcome")
        await (await ann.collection("tasks")).update_one({"task_id": made.task_id}, {"$set": {"updated_at": ahead}})
        cancelled = await ann.tasks.cancel(made.task_id)
        assert cancelled.completed_at == cancelled.updated_at
        waits = await ann.tasks.retry(made.task_id)
        assert ahead < cancelled.changed_at < waits.changed_at
        assert (waits.status, waits.completed_at) == ("pending", None)


async def test_of_many_that_cancel_and_retry_at_once_each_is_done_or_told(px: Platform, pair: Pair) -> None:
    async with px.tenant(pair[0]) as ann:
        made = await ann.tasks.enqueue(service="mailer", type="welcome")
        calls = [verb(made.task_id) for _ in range(4) for verb in (ann.tasks.cancel, ann.tasks.retry)]
        for result in await asyncio.gather(*calls, return_exceptions=True):
            assert isinstance(result, Task) or (isinstance(result, Conflict) and result.code == "task.transition")
