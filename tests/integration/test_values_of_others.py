"""Values that others wrote into the engines, which the library would have refused: they stay as they are, and whatever
has them can be changed in the rest."""

from __future__ import annotations

import uuid

import pytest

from prismicx import Conflict, Denied, InvalidInput, Platform
from tests.support import aware_now, naive_now
from tests.support import category as raw_category

Pair = tuple[str, str]

ODD_USER = """
INSERT INTO user_data.users
    (id, tenant_id, username, email, password_hash, first_name, role, status, created_at, updated_at, metadata)
VALUES ($1, $2, '', $3, '-', ' Ada ', '', 'active', $4, $4, $5::text::jsonb)
"""
ODD_EXTENSION = """
INSERT INTO user_extensions.extensions
    (id, user_id, tenant_id, extension_type, name, created_at, updated_at, metadata)
VALUES ($1, $2, $3, '', ' Clock ', $4, $4, '[1.10]')
"""


@pytest.mark.parametrize("metadata", [None, "[1]", "null", '{"a": 1e400}'])
async def test_an_odd_user_can_be_locked_out(px: Platform, pair: Pair, metadata: str | None) -> None:
    key, email = uuid.uuid4(), f"Ada-{uuid.uuid4()}@Acme.Test"
    async with px.tenant(pair[0]) as ann:
        async with ann.sql("system_users") as sql:
            await sql.execute(ODD_USER, key, pair[0], email, naive_now(), metadata)
        await ann.users.set_password(key, "correct horse")
        await ann.users.create(username="ada", email=email)  # the same address, as the library keeps it
        out = await ann.users.deactivate(key)
        assert (out.status, out.username, out.email, out.first_name, out.role) == ("inactive", "", email, " Ada ", "")
        with pytest.raises(Denied):
            await ann.users.login(email, "correct horse")
        assert (await ann.users.update(key, last_name="Byron")).last_name == "Byron"
        with pytest.raises(Conflict) as taken:
            await ann.users.update(key, email=email.upper())
        assert email.lower() in taken.value.message
        with pytest.raises(InvalidInput):
            await ann.users.update(key, first_name=" Ada ")
        async with ann.sql("system_users") as sql:
            kept = await sql.fetchval("SELECT metadata::text FROM user_data.users WHERE id = $1", key)
            expected = await sql.fetchval("SELECT $1::text::jsonb::text", metadata)
        assert kept == (expected or "{}")


async def test_an_odd_extension_can_be_switched_off(px: Platform, pair: Pair) -> None:
    key = uuid.uuid4()
    async with px.tenant(pair[0]) as ann:
        user = (await ann.users.create(username="ada", email=f"{key}@acme.test")).id
        async with ann.sql("system_users", service="extensions") as sql:
            await sql.execute(ODD_EXTENSION, key, user, pair[0], naive_now())
        off = await ann.extensions.disable(key)
        assert (off.enabled, off.type, off.name) == (False, "", " Clock ")
        with pytest.raises(InvalidInput):
            await ann.extensions.update(key, name=" Clock ")
        async with ann.sql("system_users", service="extensions") as sql:
            kept = await sql.fetchval("SELECT metadata::text FROM user_extensions.extensions WHERE id = $1", key)
        assert kept == "[1.10]"
        assert (await ann.extensions.update(key, metadata={"a": 1})).metadata == {"a": 1}


async def test_an_odd_category_can_be_described_and_renamed(px: Platform, pair: Pair) -> None:
    odd = raw_category(" Cars ", attributes=[{"name": f"a{n}"} for n in range(51)], description="")
    key = odd["category_id"]
    async with px.tenant(pair[0]) as ann:
        found = await ann.collection("categories")
        await found.insert_one(odd)
        named = await ann.categories.describe(key, "Things that drive")
        assert (named.name, named.description, len(named.attributes)) == (" Cars ", "Things that drive", 51)
        fewer = await ann.categories.update(key, attributes=[{"name": "doors", "value": 4}])
        assert [item.name for item in fewer.attributes] == ["doors"]
        more = await ann.categories.set_attribute(key, "wheels", 4)
        assert (more.name, [item.name for item in more.attributes]) == (" Cars ", ["doors", "wheels"])
        assert (await ann.categories.rename(key, f"Cars {key}")).name == f"Cars {key}"
        with pytest.raises(InvalidInput):
            await ann.categories.rename(key, " Cars ")
        assert (await found.find_one({"category_id": key}) or {})["updated_at"] <= aware_now()
        await ann.categories.delete(key)
