"""What is known of a tenant: changed by several at once, taken away, never older than it was."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from prismicx import Conflict, InvalidInput, Platform
from prismicx.engines import mongo
from prismicx.engines.endpoints import locate
from prismicx.names import Names
from prismicx.settings import Settings

Id = Callable[[], str]


@pytest.fixture
async def tenant(px: Platform, new_id: Id) -> str:
    name = new_id()
    await px.tenants.create(name, name="T", tier="pro", region="eu", isolation="shared")
    return name


async def write(px: Platform, settings: Settings, tenant: str, fields: dict[str, Any]) -> None:
    """Change a document around the registry."""
    async with mongo.connect(locate(settings).mongo.url, 10) as client:
        tenants = client[Names(settings.namespace).server_wide("tenant_registry")]["tenants"]
        await tenants.update_one({"tenant_id": tenant}, {"$set": fields})
    px._registry.forget(tenant)


async def test_of_two_that_change_what_they_read_the_second_is_told(px: Platform, tenant: str) -> None:
    read = await px.tenants.get(tenant)
    first = await px.tenants.update(tenant, version=read.version, name="First")
    with pytest.raises(Conflict) as caught:
        await px.tenants.update(tenant, version=read.version, name="Second")
    assert caught.value.code == "tenant.changed"
    assert first.version in caught.value.message
    assert await px.tenants.get(tenant) == first
    suspended = await px.tenants.suspend(tenant)
    assert suspended.version != first.version
    assert (await px.tenants.update(tenant, version=suspended.version, name="Third")).name == "Third"
    assert (await px.tenants.update(tenant, name="Fourth")).name == "Fourth"


async def test_labels_can_be_taken_away(px: Platform, tenant: str) -> None:
    changed = await px.tenants.update(tenant, tier=None)
    assert (changed.tier, changed.region, changed.name) == (None, "eu", "T")
    assert tenant not in {item.tenant_id for item in (await px.tenants.list(region="us", limit=1000)).items}
    changed = await px.tenants.update(tenant, region=None, tier="free")
    assert (changed.tier, changed.region) == ("free", None)
    for wrong in ({"name": None}, {"settings": None}, {"status": "active"}, {"tier": ""}):
        with pytest.raises(InvalidInput) as caught:
            await px.tenants.update(tenant, **wrong)
        assert caught.value.code == "tenant.invalid"


@pytest.mark.parametrize("wrong", [{"a": 10**20}, {"$set": 1}, {"a": {"$ne": 1}}, {"": 1}, {5: None}, {"a": 1e999}])
async def test_settings_are_what_both_engines_keep(px: Platform, tenant: str, wrong: Any) -> None:
    before = await px.tenants.update(tenant, settings={"kept": 2**63 - 1})
    with pytest.raises(InvalidInput) as caught:
        await px.tenants.update(tenant, settings=wrong)
    assert caught.value.code == "tenant.invalid"
    assert await px.tenants.get(tenant) == before


async def test_a_setting_that_an_earlier_release_took_can_be_taken_away(
    px: Platform, settings: Settings, tenant: str
) -> None:
    await write(px, settings, tenant, {"settings": {"a": 1, "": 2}})
    assert (await px.tenants.update(tenant, settings={"": None})).settings == {"a": 1}


async def test_no_change_makes_a_tenant_older(px: Platform, settings: Settings, tenant: str) -> None:
    """The clock of another machine may be ahead."""
    ahead = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=1)
    await write(px, settings, tenant, {"updated_at": ahead})
    seen = [ahead]
    for change in (px.tenants.suspend, px.tenants.resume, px.tenants.deactivate, px.tenants.activate):
        seen.append((await change(tenant)).changed_at)
    seen.append((await px.tenants.update(tenant, name="Later")).changed_at)
    assert seen == sorted(set(seen))


async def test_a_half_made_tenant_keeps_the_values_by_which_it_is_finished(
    px: Platform, settings: Settings, tenant: str
) -> None:
    await write(px, settings, tenant, {"status": "provisioning"})
    for change in ({"name": "Other"}, {"tier": None}, {"settings": {"a": 1}}):
        with pytest.raises(Conflict) as caught:
            await px.tenants.update(tenant, **change)
        assert caught.value.code == "tenant.provisioning"
        assert f"tenant create {tenant}" in caught.value.remedy
    made = await px.tenants.create(tenant, name="T", tier="pro", region="eu", isolation="shared")
    assert (made.status, made.name) == ("active", "T")
