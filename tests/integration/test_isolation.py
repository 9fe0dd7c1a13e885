"""`isolation verify`: nothing gets through on a whole platform, and what is opened is noticed."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from prismicx import Conflict
from prismicx.clock import utc_now
from prismicx.engines import mongo
from prismicx.engines.endpoints import locate
from prismicx.isolation.page import page
from prismicx.isolation.tenants import throw_away
from prismicx.isolation.values import Report, Tally
from prismicx.isolation.verify import CHECKS, all_tenants, attack_database, verify
from prismicx.platform import open_platform
from prismicx.reference.apply import apply
from prismicx.settings import Settings
from tests.support import administrator


@pytest.fixture(scope="module")
async def whole(new_namespace: Callable[[], Settings]) -> Settings:
    mine = new_namespace()
    await apply(mine, locate(mine))
    return mine


async def test_nothing_gets_through_and_nothing_is_left(whole: Settings) -> None:
    report = await verify(whole, locate(whole))
    assert [*report.breaches] == []
    assert report.ok
    assert all(report.of(check)[0] for check in CHECKS)
    assert sum(report.attempts.values()) > 1500
    async with mongo.connect(locate(whole).mongo.url, 10) as client:
        names = [name for name in await client.list_database_names() if name.startswith(f"{whole.namespace}__")]
        assert not [name for name in names if "check" in name]
        registry = client[f"{whole.namespace}__tenant_registry"]
        assert await registry["tenants"].count_documents({}) == 0
        rows = [row async for row in registry["tenant_databases"].find()]
        assert [tenant for row in rows for tenant in row["tenants"]] == []
        assert await client[f"{whole.namespace}__prismicx_platform"]["provisioning"].count_documents({}) == 0
    admin = await administrator(whole, "system_users")
    try:
        assert await admin.fetchval("SELECT count(*) FROM user_data.users") == 0
        assert not await admin.fetch("SELECT FROM pg_roles WHERE rolname ~ $1", f"^{whole.namespace}__.*check")
        assert not await admin.fetch("SELECT FROM pg_views WHERE schemaname = 'user_extensions' AND viewname ~ 'check'")
    finally:
        await admin.close()


@pytest.mark.parametrize(
    ("database", "statement", "check"),
    [
        (
            "system_users",
            "CREATE TABLE user_data.notes (id UUID PRIMARY KEY, tenant_id VARCHAR(50) NOT NULL, note TEXT NOT NULL); "
            "GRANT SELECT, INSERT, UPDATE, DELETE ON user_data.notes TO {users}",
            "rows.read",
        ),
        ("system_users", "ALTER TABLE user_data.users DISABLE ROW LEVEL SECURITY", "rows.write"),
        (
            "management_system_repository",
            "CREATE POLICY open ON public.tenant_systems USING (true); "
            "ALTER POLICY proven_context ON public.tenant_systems USING (true)",
            "rows.read",
        ),
    ],
)
async def test_what_somebody_opens_is_noticed(
    new_namespace: Callable[[], Settings], database: str, statement: str, check: str
) -> None:
    mine = new_namespace()
    await apply(mine, locate(mine))
    admin = await administrator(mine, database)
    await admin.execute(statement.format(users=f'"{mine.namespace}__prismicx_users"'))
    await admin.close()
    tally = Tally()
    admin = await administrator(mine, database)
    async with admin.transaction():
        await attack_database(admin, mine, database, lambda: all_tenants(mine, locate(mine)), tally, areas=("rows",))
    await admin.close()
    report = Report(CHECKS, tally.attempts, tally.breaches, tally.untried, 1.0)
    assert not report.ok
    assert check in {breach.check for breach in report.breaches}
    text = page(report, "<here>", utc_now())
    assert "attempts got through" in text
    assert "&lt;here&gt;" in text
    assert 'class="through"' in text


async def test_tenants_that_a_killed_verification_left_are_removed(
    whole: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with throw_away(whole, locate(whole)) as (_, made):
        monkeypatch.setattr("prismicx.isolation.tenants._remove_left", _nothing)
    monkeypatch.undo()
    async with open_platform(whole) as px:
        assert {tenant.tenant_id for tenant in (await px.tenants.list()).items} >= set(made.all)
    async with throw_away(whole, locate(whole)) as (px, _):
        assert not {tenant.tenant_id for tenant in (await px.tenants.list()).items} & set(made.all)


async def _nothing(*_: object) -> None:
    """As if killed."""


async def test_two_at_once_do_not_remove_each_others_tenants(whole: Settings) -> None:
    async with throw_away(whole, locate(whole)) as (px, made):
        with pytest.raises(Conflict) as caught:
            await verify(whole, locate(whole))
        assert caught.value.code == "isolation.running"
        assert {item.tenant_id for item in (await px.tenants.list()).items} >= {*made.all}
