"""Users: everything one would do with them, in one's own tenant only."""

from __future__ import annotations

import asyncio
import secrets
import time
import uuid
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from prismicx import BoundaryViolation, Conflict, Denied, InvalidInput, NotFound, Platform, PrismicXError
from prismicx.users import passwords
from prismicx.users.values import User
from tests.support import add_extension

Pair = tuple[str, str]


async def make(px: Platform, tenant: str, **more: Any) -> User:
    values = {"username": "ada", "email": f"ada-{secrets.token_hex(6)}@acme.test", **more}
    async with px.tenant(tenant) as scope:
        return await scope.users.create(**values)


async def test_a_user_is_found_by_id_address_and_name(px: Platform, pair: Pair) -> None:
    name = f"grace-{secrets.token_hex(4)}"
    made = await make(
        px, pair[0], username=name, email=f"{name.upper()}@Acme.Test", first_name="Grace", last_name="O'Hopper",
        role="admin", metadata={"phones": ["1", "2"], "größe": 1.5},
    )  # fmt: skip
    assert made.email == f"{name}@acme.test"
    assert (made.status, made.role, made.last_login_at) == ("active", "admin", None)
    assert made.created_at.tzinfo is not None
    assert made.metadata == {"phones": ["1", "2"], "größe": 1.5}
    async with px.tenant(pair[0]) as ann, px.tenant(pair[1]) as bob:
        assert await ann.users.get(made.id) == made
        assert await ann.users.get(str(made.id)) == made
        assert await ann.users.by_email(f"{name}@ACME.test") == made
        assert await ann.users.by_username(name) == made
        for wanted in (bob.users.get(made.id), bob.users.by_email(made.email), bob.users.by_username(name)):
            with pytest.raises(NotFound) as caught:
                await wanted
            assert caught.value.code == "user.unknown"
        assert not hasattr(made, "password_hash")


async def test_addresses_are_unique_in_the_tenant_whatever_their_case(px: Platform, pair: Pair) -> None:
    made = await make(px, pair[0])
    with pytest.raises(Conflict) as caught:
        await make(px, pair[0], email=made.email.upper())
    assert caught.value.code == "user.email_taken"
    assert made.email in caught.value.message
    assert (await make(px, pair[1], email=made.email)).email == made.email
    other = await make(px, pair[0])
    async with px.tenant(pair[0]) as ann:
        with pytest.raises(Conflict) as caught:
            await ann.users.update(other.id, email=made.email.title())
        assert caught.value.code == "user.email_taken"
        assert (await ann.users.get(other.id)).email == other.email


async def test_two_of_one_name_are_told_apart(px: Platform, pair: Pair) -> None:
    name = f"twin-{secrets.token_hex(4)}"
    for _ in range(2):
        await make(px, pair[0], username=name)
    async with px.tenant(pair[0]) as ann:
        with pytest.raises(Conflict) as caught:
            await ann.users.by_username(name)
        assert caught.value.code == "user.ambiguous"


async def test_a_stale_version_is_a_conflict_and_changes_nothing(px: Platform, pair: Pair) -> None:
    made = await make(px, pair[0])
    async with px.tenant(pair[0]) as ann:
        first = await ann.users.update(made.id, version=made.version, first_name="A", metadata={"a": 1})
        assert (first.first_name, first.metadata, first.username) == ("A", {"a": 1}, made.username)
        assert first.updated_at > made.updated_at
        with pytest.raises(Conflict) as caught:
            await ann.users.update(made.id, version=made.version, first_name="B")
        assert caught.value.code == "user.changed"
        assert first.version in caught.value.message
        assert (await ann.users.update(made.id, first_name=None)).first_name is None
        results = await asyncio.gather(
            *(ann.users.update(made.id, version=first.version, last_name=str(n)) for n in range(5)),
            return_exceptions=True,
        )
        assert sum(isinstance(result, Conflict) for result in results) == 5
        now = await ann.users.get(made.id)
        results = await asyncio.gather(
            *(ann.users.update(made.id, version=now.version, last_name=str(n)) for n in range(5)),
            return_exceptions=True,
        )
        assert sum(isinstance(result, User) for result in results) == 1


async def test_what_cannot_be_changed_is_named(px: Platform, pair: Pair) -> None:
    made = await make(px, pair[0])
    async with px.tenant(pair[0]) as ann:
        for change in ({"id": uuid.uuid4()}, {"tenant_id": pair[1]}, {"password_hash": "x"}, {"status": "x"}):
            with pytest.raises(InvalidInput) as caught:
                await ann.users.update(made.id, **change)
            assert next(iter(change)) in caught.value.message
        assert await ann.users.get(made.id) == made


async def test_lists_page_through_everything_once(px: Platform, pair: Pair) -> None:
    mark = secrets.token_hex(4)
    made = [await make(px, pair[0], username=f"{mark}-{n}", role="even" if n % 2 == 0 else "odd") for n in range(9)]
    await make(px, pair[1], username=f"{mark}-foreign")
    async with px.tenant(pair[0]) as ann:
        await ann.users.deactivate(made[3].id)
        seen: list[User] = []
        after = None
        while True:
            page = await ann.users.list(text=mark.upper(), after=after, limit=4)
            seen += page.items
            after = page.next
            if after is None:
                break
        assert [user.email for user in seen] == sorted(user.email for user in made)
        assert len((await ann.users.list(text=mark, role="even")).items) == 5
        assert [user.id for user in (await ann.users.list(text=mark, status="inactive")).items] == [made[3].id]
        for wild in ("%", "_", "\\", f"{mark}%"):
            found = (await ann.users.list(text=wild, limit=1000)).items
            assert all(wild in f"{u.username}{u.email}{u.first_name}{u.last_name}" for u in found)
        with pytest.raises(InvalidInput):
            await ann.users.list(after="x")


async def test_deleting(px: Platform, pair: Pair) -> None:
    made, rated = await make(px, pair[0]), await make(px, pair[0])
    async with px.tenant(pair[0]) as ann, px.tenant(pair[1]) as bob:
        with pytest.raises(NotFound):
            await bob.users.delete(made.id)
        await ann.preferences.set(made.id, {"theme": "dark"})
        await ann.users.delete(made.id)
        with pytest.raises(NotFound):
            await ann.users.get(made.id)
        with pytest.raises(NotFound):
            await ann.users.delete(made.id)
        async with ann.sql("system_users", service="extensions") as sql:
            await add_extension(sql, pair[0], rated.id)
        await ann.preferences.set(rated.id, {"theme": "dark"})
        with pytest.raises(Conflict) as caught:
            await ann.users.delete(rated.id)
        assert caught.value.code == "user.has_extensions"
        assert await ann.preferences.list(rated.id) == {"theme": "dark"}


async def test_logging_in(px: Platform, pair: Pair) -> None:
    made = await make(px, pair[0], password="correct horse")
    async with px.tenant(pair[0]) as ann, px.tenant(pair[1]) as bob:
        seen = await ann.users.login(made.email.upper(), "correct horse")
        assert seen.last_login_at is not None
        assert seen.version == made.version
        assert await ann.users.verify_password(made.id, "correct horse")
        assert not await ann.users.verify_password(made.id, "wrong horse")
        assert not await ann.users.verify_password(uuid.uuid4(), "correct horse")
        refused = [
            ann.users.login(made.email, "wrong horse"),
            ann.users.login("nobody@acme.test", "correct horse"),
            ann.users.login("no address", "correct horse"),
            ann.users.login(made.email, None),  # type: ignore[arg-type]
            bob.users.login(made.email, "correct horse"),
        ]
        for attempt in refused:
            with pytest.raises(Denied) as caught:
                await attempt
            assert caught.value.code == "user.login_refused"
        await ann.users.deactivate(made.id)
        with pytest.raises(Denied):
            await ann.users.login(made.email, "correct horse")
        await ann.users.activate(made.id)
        await ann.users.set_password(made.id, "another horse")
        with pytest.raises(Denied):
            await ann.users.login(made.email, "correct horse")
        assert (await ann.users.login(made.email, "another horse")).id == made.id
        for wrong in ("abc1234", "x" * 1025, 12345678, None):
            with pytest.raises(InvalidInput) as invalid:
                await ann.users.set_password(made.id, wrong)  # type: ignore[arg-type]
            assert str(wrong) not in str(invalid.value) or wrong is None
        without = await make(px, pair[0])
        with pytest.raises(Denied):
            await ann.users.login(without.email, passwords.UNUSABLE)


async def test_unknown_users_take_as_long_as_known_ones(px: Platform, pair: Pair) -> None:
    """Not a figure: an answer without any hashing would be many times faster than one with it."""
    made = await make(px, pair[0], password="correct horse")

    async def seconds(email: str) -> float:
        begun = time.perf_counter()
        with pytest.raises(Denied):
            await ann.users.login(email, "wrong horse")
        return time.perf_counter() - begun

    async with px.tenant(pair[0]) as ann:
        await seconds("nobody@acme.test")
        known = sorted([await seconds(made.email) for _ in range(5)])[2]
        unknown = sorted([await seconds("nobody@acme.test") for _ in range(5)])[2]
    assert unknown > known / 4


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT password_hash FROM user_data.users",
        "SELECT * FROM user_data.users",
        "SELECT u::text FROM user_data.users u",
        "SELECT 1 FROM user_data.users WHERE password_hash LIKE '$argon2%'",
        "SELECT id FROM user_data.users ORDER BY password_hash",
        "UPDATE user_data.users SET first_name = left(password_hash, 100)",
        "UPDATE user_data.users SET role = role RETURNING password_hash",
        "UPDATE user_data.users SET password_hash = '!' WHERE password_hash <> '!'",
        "DELETE FROM user_data.users RETURNING to_jsonb(users)",
    ],
)
@pytest.mark.parametrize("service", ["users", "extensions"])
async def test_no_statement_of_a_scope_reads_a_hash(px: Platform, pair: Pair, service: str, statement: str) -> None:
    made = await make(px, pair[0], password="correct horse")
    async with px.tenant(pair[0]) as ann:
        with pytest.raises(BoundaryViolation) as caught:
            async with ann.sql("system_users", service=service) as sql:
                await sql.fetch(statement)
        assert caught.value.code == "boundary.refused"
        assert "password_hash" in caught.value.remedy
        with pytest.raises(InvalidInput) as unknown:
            ann.sql("system_users", service="passwords")
        assert unknown.value.code == "scope.service_unknown"
        assert await ann.users.verify_password(made.id, "correct horse")


async def test_a_weaker_hash_is_made_anew_when_the_password_is_seen(
    px: Platform, pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = await make(px, pair[0], password="correct horse")

    async def kept() -> str:
        async with px.tenant(pair[0]) as ann, ann._sql("system_users", "passwords") as sql:
            found: str = await sql.fetchval("SELECT password_hash FROM user_data.users WHERE id = $1", made.id)
            return found

    before = await kept()
    assert before.startswith("$argon2id$")
    assert "correct horse" not in before
    cost = passwords._hasher.time_cost
    async with px.tenant(pair[0]) as ann:
        monkeypatch.setattr(passwords, "_hasher", passwords.PasswordHasher(time_cost=cost + 1))
        assert not await ann.users.verify_password(made.id, "wrong horse")
        assert await kept() == before
        assert await ann.users.verify_password(made.id, "correct horse")
        checked = await kept()
        assert f"t={cost + 1}," in checked
        assert await ann.users.verify_password(made.id, "correct horse")
        assert await kept() == checked, "once"
        monkeypatch.setattr(passwords, "_hasher", passwords.PasswordHasher(time_cost=cost + 2))
        await ann.users.login(made.email, "correct horse")
        after = await kept()
        assert f"t={cost + 2}," in after
        assert (await ann.users.login(made.email, "correct horse")).id == made.id
        assert await kept() == after


odd = st.one_of(
    st.none(), st.booleans(), st.integers(), st.text(max_size=130), st.binary(max_size=4),
    st.dictionaries(st.sampled_from(["$ne", "a"]), st.text(max_size=3), max_size=1),
    st.lists(st.integers(), max_size=2),
    st.sampled_from(["ada@acme.test", "a\0@b.c", "x" * 256 + "@b.c", "' OR 1=1 --@x.y", " a@b.c", "active", "../.."]),
)  # fmt: skip


@given(
    given_values=st.fixed_dictionaries(
        {"username": odd, "email": odd},
        optional={"first_name": odd, "last_name": odd, "role": odd, "metadata": odd, "password": odd},
    )
)
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_odd_values_are_kept_as_given_or_refused(px: Platform, pair: Pair, given_values: dict[str, Any]) -> None:
    async with px.tenant(pair[0]) as ann:
        try:
            made = await ann.users.create(**given_values)
        except PrismicXError as error:
            assert error.code in ("user.invalid", "user.password_invalid", "user.email_taken")
            return
        assert made.username == given_values["username"]
        held = given_values.get("metadata")
        assert made.metadata == ({} if held is None else held)
        await ann.users.delete(made.id)
