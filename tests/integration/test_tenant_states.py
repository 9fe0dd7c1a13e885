"""States of tenants: which lead where, and whom they let in."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from prismicx import Conflict, Denied, Platform
from prismicx.engines import mongo
from prismicx.engines.endpoints import locate
from prismicx.names import Names
from prismicx.settings import Settings

Id = Callable[[], str]


async def test_a_suspended_tenant_is_refused_until_it_is_resumed(px: Platform, new_id: Id) -> None:
    tenant = new_id()
    await px.tenants.create(tenant, name="Late payer")
    await px.tenants.suspend(tenant)
    with pytest.raises(Denied) as caught:
        async with px.tenant(tenant):
            pass
    assert caught.value.code == "tenant.suspended"
    with pytest.raises(Conflict) as conflict:
        await px.tenants.suspend(tenant)
    assert conflict.value.code == "tenant.transition"
    await px.tenants.resume(tenant)
    async with px.tenant(tenant):
        pass
    with pytest.raises(Conflict):
        await px.tenants.resume(tenant)


_STATES = ("provisioning", "active", "suspended", "inactive")
_LEADS: dict[str, dict[str, str]] = {
    "suspend": {"active": "suspended"},
    "resume": {"suspended": "active"},
    "deactivate": {"active": "inactive", "suspended": "inactive"},
    "activate": {"inactive": "active"},
}


@pytest.mark.parametrize("verb", _LEADS)
@pytest.mark.parametrize("state", _STATES)
async def test_which_states_lead_where(px: Platform, settings: Settings, new_id: Id, state: str, verb: str) -> None:
    tenant = new_id()
    await px.tenants.create(tenant, name="State", isolation="shared")
    async with mongo.connect(locate(settings).mongo.url, 10) as client:
        tenants = client[Names(settings.namespace).server_wide("tenant_registry")]["tenants"]
        try:
            await tenants.update_one({"tenant_id": tenant}, {"$set": {"status": state}})
            px._registry.forget(tenant)
            change = getattr(px.tenants, verb)
            if state in _LEADS[verb]:
                assert (await change(tenant)).status == _LEADS[verb][state]
            else:
                with pytest.raises(Conflict) as caught:
                    await change(tenant)
                assert caught.value.code == "tenant.transition"
                assert f"is {state}" in caught.value.message
                for name, leads in _LEADS.items():
                    assert (f"{leads.get(state)} ({name})" in caught.value.remedy) == (state in leads)
                assert (await px.tenants.get(tenant)).status == state
            found = (await px.tenants.get(tenant)).status
            if found == "active":
                async with px.tenant(tenant) as scope:
                    assert scope.tenant.status == "active"
            else:
                with pytest.raises((Conflict, Denied)) as refused:
                    async with px.tenant(tenant):
                        pass
                assert refused.value.code == f"tenant.{found}"
                assert f"{tenant}" in refused.value.remedy
        finally:  # what is left half made would be so for the other tests
            await tenants.update_one({"tenant_id": tenant}, {"$set": {"status": "active"}})
            px._registry.forget(tenant)


async def test_a_suspension_by_another_process_is_seen_within_the_stated_time(
    settings: Settings, px: Platform, new_id: Id
) -> None:
    from dataclasses import replace

    tenant = new_id()
    await px.tenants.create(tenant, name="Seen elsewhere")
    other = Platform(replace(settings, registry_cache=0.4), locate(settings))
    try:
        async with other.tenant(tenant):
            pass
        await px.tenants.suspend(tenant)
        await asyncio.sleep(0.5)
        with pytest.raises(Denied):
            async with other.tenant(tenant):
                pass
    finally:
        await other.close()
