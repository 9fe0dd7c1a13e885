"""Tenants come into being in both engines, or are not routable; bad words change nothing."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any

import pytest

from prismicx import Conflict, InvalidInput, NotFound, Platform, PrismicXError
from prismicx.engines import mongo
from prismicx.engines.endpoints import locate
from prismicx.names import Names
from prismicx.platform import open_platform
from prismicx.reference.verify import verify
from prismicx.settings import Settings
from prismicx.tenants import provisioning
from tests.support import add_user, insight
from tests.unit.test_names import BAD_IDS

Id = Callable[[], str]


async def footprint(settings: Settings, tenant_id: str) -> dict[str, Any]:
    """What there is of a tenant, in both engines."""
    from tests.support import administrator

    names = Names(settings.namespace)
    users = await administrator(settings, "system_users")
    try:
        roles = await users.fetchval(
            "SELECT count(*) FROM pg_roles WHERE rolname = ANY ($1::text[])",
            [names.tenant_role(tenant_id), names.tenant_owner(tenant_id)],
        )
        view = await users.fetchval(
            "SELECT count(*) FROM pg_views WHERE schemaname = 'user_extensions' AND viewname = $1",
            names.extensions_view(tenant_id),
        )
    finally:
        await users.close()
    async with mongo.connect(locate(settings).mongo.url, 10) as client:
        databases = await client.list_database_names()
        registry = client[names.server_wide("tenant_registry")]
        document = await registry["tenants"].find_one({"tenant_id": tenant_id})
        held = await registry["tenant_databases"].find_one({"tenants": tenant_id})
    return {
        "roles": roles,
        "view": view,
        "own database": names.tenant_database(tenant_id) in databases,
        "document": document,
        "held by": held["database_name"] if held else None,
    }


async def test_a_dedicated_tenant_has_everything_of_its_own(px: Platform, settings: Settings, new_id: Id) -> None:
    tenant = new_id()
    made = await px.tenants.create(tenant, name="Acme Ltd", tier="pro", region="eu")
    assert (made.status, made.placement, made.tier, made.region) == ("active", "dedicated", "pro", "eu")
    assert made.created_at.utcoffset() is not None
    found = await footprint(settings, tenant)
    assert (found["roles"], found["view"], found["own database"]) == (2, 1, True)
    assert found["held by"] == made.database == Names(settings.namespace).tenant_database(tenant)
    assert found["document"]["database_config"]["type"] == "dedicated"


async def test_many_first_uses_at_once_hold_the_tenants_client_once(settings: Settings, pair: tuple[str, str]) -> None:
    async with open_platform(settings) as px:
        async with px.tenant(pair[0]) as scope:
            found = await asyncio.gather(*(scope.collection("user_insights") for _ in range(5)))
            assert all(item is found[0] for item in found)
            (held,) = px._mongo._tenants.values()
            assert held.users == 1
        assert held.users == 0


async def test_shared_tenants_fill_one_database_then_the_next(px: Platform, settings: Settings, new_id: Id) -> None:
    made = [await px.tenants.create(new_id(), name="Small", isolation="shared") for _ in range(7)]
    databases = [tenant.database for tenant in made]
    assert 2 < len(set(databases)) < 7
    for tenant in made[:2]:
        found = await footprint(settings, tenant.tenant_id)
        assert (found["roles"], found["view"], found["own database"]) == (2, 1, False)
        assert found["document"]["database_config"]["shard_key"] == "tenant_id"
        assert "@" not in await px._connection_string(await px._registry.entry(tenant.tenant_id))
    for database in set(databases):
        async with mongo.connect(locate(settings).mongo.url, 10) as client:
            indexes = [index async for index in await client[database]["user_insights"].list_indexes()]
            assert all(next(iter(index["key"])) == "tenant_id" for index in indexes if index["name"] != "_id_")


async def test_of_two_that_begin_databases_at_once_both_have_their_rights(
    settings: Settings, new_id: Id, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One has read which databases there are, and writes when the next one has its right already."""
    async with open_platform(replace(settings, shared_capacity=1)) as px:
        read, nexts = provisioning.shared_databases, [new_id()]

        async def later(*given: Any) -> Any:
            found = await read(*given)
            if nexts:
                await px.tenants.create(nexts.pop(), name="Next", isolation="shared")
            return found

        monkeypatch.setattr(provisioning, "shared_databases", later)
        for count in (1, 6):
            await asyncio.gather(*(px.tenants.create(new_id(), name="T", isolation="shared") for _ in range(count)))
            report = await verify(settings, locate(settings))
            assert report.ok, report.as_json()


async def test_the_registry_and_the_catalogues_agree_afterwards(px: Platform, settings: Settings, new_id: Id) -> None:
    await px.tenants.create(new_id(), name="One")
    await px.tenants.create(new_id(), name="Two", isolation="shared")
    report = await verify(settings, locate(settings))
    assert report.ok, report.as_json()


@pytest.mark.parametrize("isolation", ["dedicated", "shared"])
async def test_a_creation_that_fails_at_any_step_is_finished_by_the_same_call(
    px: Platform, settings: Settings, new_id: Id, isolation: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = provisioning._Steps.record
    finish = provisioning._Steps.finish
    for stop_after in range(5):  # of four steps; the fifth is cut off in the transaction at the end
        tenant = new_id()
        taken = 0

        async def cut_off(self: Any, step: str, limit: int = stop_after) -> None:
            nonlocal taken
            taken += 1
            if taken > limit:
                raise RuntimeError(f"cut off after {step}")
            await record(self, step)

        async def cut_off_at_the_end(self: Any, session: Any) -> None:
            raise RuntimeError("cut off at the end")

        monkeypatch.setattr(provisioning._Steps, "record", cut_off)
        monkeypatch.setattr(provisioning._Steps, "finish", cut_off_at_the_end)
        with pytest.raises(RuntimeError):
            await px.tenants.create(tenant, name="Cut", isolation=isolation)
        monkeypatch.setattr(provisioning._Steps, "record", record)
        monkeypatch.setattr(provisioning._Steps, "finish", finish)
        with pytest.raises(Conflict) as caught:
            async with px.tenant(tenant):
                pass
        assert caught.value.code == "tenant.provisioning"
        with pytest.raises(Conflict) as caught:
            await px.tenants.create(tenant, name="Another", isolation=isolation)
        assert caught.value.code == "tenant.provisioning_differs"
        (held,) = [item for item in await px.tenants.databases() if tenant in item.tenants]
        assert held.status == "provisioning" or isolation == "shared"
        assert (await px.tenants.create(tenant, name="Cut", isolation=isolation)).status == "active"
        (held,) = [item for item in await px.tenants.databases() if tenant in item.tenants]
        assert held.status == "active"
        async with px.tenant(tenant) as scope:
            async with scope.sql("system_users") as sql:
                await add_user(sql, tenant)
            await (await scope.collection("user_insights")).insert_one(insight("u"))
    assert (await verify(settings, locate(settings))).ok


@pytest.mark.parametrize("isolation", ["dedicated", "shared"])
async def test_what_an_earlier_release_left_half_made_is_finished(
    px: Platform, settings: Settings, new_id: Id, isolation: Any
) -> None:
    """It wrote the tenant's document first, its journal next, and put it into its database last."""
    tenant = new_id()
    await px.tenants.create(tenant, name="Older", region="eu", isolation=isolation)
    names = Names(settings.namespace)
    async with mongo.connect(locate(settings).mongo.url, 10) as client:
        registry = client[names.server_wide("tenant_registry")]
        journal = client[names.server_wide("prismicx_platform")]["provisioning"]
        for keep_journal in (True, False):
            await registry["tenants"].update_one({"tenant_id": tenant}, {"$set": {"status": "provisioning"}})
            if isolation == "dedicated":
                await registry["tenant_databases"].delete_one({"tenants": tenant})
            else:
                await registry["tenant_databases"].update_one({"tenants": tenant}, {"$pull": {"tenants": tenant}})
            if not keep_journal:
                await journal.delete_one({"tenant_id": tenant})
            made = await px.tenants.create(tenant, name="Older", region="eu", isolation=isolation)
            assert made.status == "active"
            (held,) = [item for item in await px.tenants.databases() if tenant in item.tenants]
            assert (held.name, held.type, held.status) == (made.database, isolation, "active")
    assert (await verify(settings, locate(settings))).ok


async def test_shared_databases_are_never_overfilled(px: Platform, settings: Settings, new_id: Id) -> None:
    tenants = [new_id() for _ in range(20)]
    made = await asyncio.gather(*(px.tenants.create(tenant, name="At once", isolation="shared") for tenant in tenants))
    databases = await px.tenants.databases()
    names = [item.name for item in databases]
    assert names == sorted(set(names))
    holders = {tenant: [item.name for item in databases if tenant in item.tenants] for tenant in tenants}
    assert holders == {tenant.tenant_id: [tenant.database] for tenant in made}
    for item in databases:
        assert len(item.tenants) == len(set(item.tenants)) <= (settings.shared_capacity if item.type == "shared" else 1)
        assert item.status == "active"
    report = await verify(settings, locate(settings))
    assert report.ok, report.as_json()


async def test_the_same_creation_at_once_makes_one_tenant(px: Platform, settings: Settings, new_id: Id) -> None:
    tenant = new_id()
    done = await asyncio.gather(*(px.tenants.create(tenant, name="Twice") for _ in range(4)), return_exceptions=True)
    for result in done:
        assert not isinstance(result, BaseException) or getattr(result, "code", "") == "tenant.exists", result
    assert any(not isinstance(result, BaseException) for result in done)
    assert [item.tenants for item in await px.tenants.databases() if tenant in item.tenants] == [(tenant,)]
    async with px.tenant(tenant) as scope:
        await (await scope.collection("user_insights")).insert_one(insight("u"))
    assert (await verify(settings, locate(settings))).ok


async def test_many_creations_at_once(px: Platform, settings: Settings, new_id: Id) -> None:
    tenants = [new_id() for _ in range(16)]
    kinds: list[Any] = ["dedicated", "shared"]
    await asyncio.gather(
        *(px.tenants.create(tenant, name="Many", isolation=kinds[n % 2]) for n, tenant in enumerate(tenants))
    )
    report = await verify(settings, locate(settings))
    assert report.ok, report.as_json()


async def test_a_tenant_that_exists_is_a_conflict(px: Platform, pair: tuple[str, str]) -> None:
    with pytest.raises(Conflict) as caught:
        await px.tenants.create(pair[0], name="Again")
    assert caught.value.code == "tenant.exists"


@pytest.mark.parametrize("bad", [*BAD_IDS, None, 7, {"$ne": ""}, ["a"]])
async def test_a_malformed_id_reaches_no_engine(px: Platform, settings: Settings, bad: Any) -> None:
    before = await px.tenants.list(limit=1000)
    for call in (
        lambda: px.tenants.create(bad, name="Bad"),
        lambda: px.tenants.get(bad),
        lambda: px.tenants.suspend(bad),
        lambda: px.tenant(bad).__aenter__(),
    ):
        with pytest.raises(InvalidInput) as caught:
            await call()
        assert caught.value.code == "tenant.id_invalid"
    assert await px.tenants.list(limit=1000) == before


@pytest.mark.parametrize(
    "values",
    [
        {"name": ""},
        {"name": " padded "},
        {"name": "n" * 201},
        {"name": "a\0b"},
        {"name": {"$gt": ""}},
        {"name": 7},
        {"name": "x", "tier": "t" * 51},
        {"name": "x", "region": {"$ne": 1}},
        {"name": "x", "isolation": "private"},
    ],
)
async def test_bad_values_are_named_and_change_nothing(
    px: Platform, settings: Settings, new_id: Id, values: dict[str, Any]
) -> None:
    tenant = new_id()
    with pytest.raises(InvalidInput) as caught:
        await px.tenants.create(tenant, **values)
    assert caught.value.code == "tenant.invalid"
    found = await footprint(settings, tenant)
    assert (found["roles"], found["view"], found["document"]) == (0, 0, None)


async def test_an_unknown_tenant_is_not_found(px: Platform) -> None:
    for call in (lambda: px.tenants.get("nobody"), lambda: px.tenant("nobody").__aenter__()):
        with pytest.raises(NotFound) as caught:
            await call()
        assert caught.value.code == "tenant.unknown"


async def test_the_registry_is_asked_once_for_many_scopes(
    px: Platform, pair: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with px.tenant(pair[0]):
        pass
    asked = 0
    read = px._registry._read

    async def counted(tenant_id: str) -> Any:
        nonlocal asked
        asked += 1
        return await read(tenant_id)

    monkeypatch.setattr(px._registry, "_read", counted)
    for _ in range(20):
        async with px.tenant(pair[0]):
            pass
    assert asked <= 1


async def test_a_listing_goes_on_from_page_to_page(px: Platform, new_id: Id) -> None:
    for _ in range(3):
        await px.tenants.create(new_id(), name="Page", region="moon", isolation="shared")
    everything = [tenant.tenant_id for tenant in (await px.tenants.list(region="moon", limit=1000)).items]
    assert everything == sorted(everything)
    paged: list[str] = []
    page = await px.tenants.list(region="moon", limit=2)
    paged += [tenant.tenant_id for tenant in page.items]
    while page.next:
        page = await px.tenants.list(region="moon", after=page.next, limit=2)
        paged += [tenant.tenant_id for tenant in page.items]
    assert paged == everything
    for limit in (0, 1001, "10", None, True):
        with pytest.raises(InvalidInput):
            await px.tenants.list(limit=limit)  # type: ignore[arg-type]
    with pytest.raises(InvalidInput):
        await px.tenants.list(status="gone")  # type: ignore[arg-type]


async def test_the_connection_string_is_nowhere_to_be_seen(px: Platform, pair: tuple[str, str]) -> None:
    entry = await px._registry.routable(pair[0])
    secret = (await px._connection_string(entry)).split(":")[2].split("@")[0]
    assert len(secret) > 20 and secret not in entry.connection_string
    shown = [repr(entry), str(entry), f"{entry}"]
    async with px.tenant(pair[0]) as scope:
        tenants = [scope.tenant, await px.tenants.get(pair[0]), *(await px.tenants.list(limit=1000)).items]
        for item in [*tenants, *await px.tenants.databases()]:
            shown += [repr(item), str(item), json.dumps(asdict(item), default=str)]
    for change in (px.tenants.create(pair[0], name="Again"), px.tenants.resume(pair[0]), px.tenants.get("nobody")):
        with pytest.raises(PrismicXError) as caught:
            await change
        shown += [repr(caught.value), str(caught.value)]
    for text in shown:
        assert secret not in text
        assert "mongodb://" not in text


async def test_the_longest_ids_work_in_both_engines(px: Platform, settings: Settings) -> None:
    for isolation in ("dedicated", "shared"):
        tenant = f"{isolation[0]}-" + "x" * 48
        await px.tenants.create(tenant, name="Long", isolation=isolation)  # type: ignore[arg-type]
        async with px.tenant(tenant) as scope:
            async with scope.sql("system_users") as sql:
                await add_user(sql, tenant)
            await (await scope.collection("user_insights")).insert_one(insight("u"))
    assert (await verify(settings, locate(settings))).ok


async def test_many_changes_of_settings_at_once_are_all_kept(px: Platform, new_id: Callable[[], str]) -> None:
    tenant = new_id()
    await px.tenants.create(tenant, name="S", isolation="shared")
    await asyncio.gather(*(px.tenants.update(tenant, settings={f"k{n}": n}) for n in range(16)))
    assert (await px.tenants.get(tenant)).settings == {f"k{n}": n for n in range(16)}
    for wrong in ({"after": "\udcff"}, {"region": "\udcff"}):
        with pytest.raises(InvalidInput):
            await px.tenants.list(**wrong)  # type: ignore[arg-type]
