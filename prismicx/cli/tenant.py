"""`tenant`: the registry and provisioning."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import asdict
from typing import Any

import click

from prismicx.cli.door import Door, command, json_object, pairs, table
from prismicx.cli.scope import changed, paged, show_page, versioned
from prismicx.names import Names
from prismicx.pages import Page
from prismicx.platform import open_platform
from prismicx.settings import Settings
from prismicx.tenants.tenants import Tenants
from prismicx.tenants.values import PLACEMENTS, STATUSES, Tenant


@click.group()
def tenant() -> None:
    """Tenants: create, list, show, databases, update, suspend, resume, deactivate, activate."""


@command(tenant, "create")
@click.argument("tenant_id", metavar="ID")
@click.option("--name", required=True, help="Name of the organisation.")
@click.option("--tier", help="Service tier.")
@click.option("--region", help="Geographical region.")
@click.option("--isolation", type=click.Choice(PLACEMENTS), default="dedicated", show_default=True,
              help="A MongoDB database of its own, or a place in a shared one.")  # fmt: skip
def create(door: Door, tenant_id: str, name: str, tier: str | None, region: str | None, isolation: Any) -> None:
    """Provision a tenant in both engines. The same command once more finishes one that was cut off."""

    async def work() -> dict[str, Any]:
        async with open_platform(door.settings) as px:
            made = await px.tenants.create(tenant_id, name=name, tier=tier, region=region, isolation=isolation)
            return _described(made, door.settings, {})

    door.show(door.run(work()), pairs)


@command(tenant, "list")
@click.option("--status", type=click.Choice(STATUSES), help="Only tenants in this state.")
@click.option("--region", help="Only tenants of this region.")
@paged
def list_command(door: Door, **filters: Any) -> None:
    """Tenants in the order of their ids."""

    async def work() -> Page[Tenant]:
        async with open_platform(door.settings) as px:
            return await px.tenants.list(**filters)

    columns = ["tenant_id", "name", "status", "placement", "database", "tier", "region", "created_at"]
    show_page(door, "tenants", door.run(work()), versioned, columns)


@command(tenant, "databases")
def databases(door: Door) -> None:
    """The MongoDB databases that hold tenants' documents, and whose they are."""

    async def work() -> list[dict[str, Any]]:
        async with open_platform(door.settings) as px:
            return [asdict(item) for item in await px.tenants.databases()]

    columns = ["name", "type", "status", "tenants", "server", "region", "created_at"]
    door.show(door.run(work()), lambda rows: table(rows, columns))


@command(tenant, "show")
@click.argument("tenant_id", metavar="ID")
def show(door: Door, tenant_id: str) -> None:
    """A tenant, where its data lives, and the schemas of its systems."""

    async def work() -> dict[str, Any]:
        async with open_platform(door.settings) as px:
            found = await px.tenants.get(tenant_id)
            schemas = {}
            if found.status == "active":
                async with px.tenant(tenant_id) as scope:
                    installed = await scope.systems.list()
                    schemas = {item.type: item.schema for item in installed if item.status == "installed"}
            return _described(found, door.settings, schemas)

    door.show(door.run(work()), pairs)


@command(tenant, "update")
@click.argument("tenant_id", metavar="ID")
@click.option("--version", help="Only if the tenant still has this version.")
@click.option("--name", help="Name of the organisation.")
@click.option("--tier", help="Service tier; empty takes it away.")
@click.option("--region", help="Geographical region; empty takes it away.")
@click.option("--settings", help="Changes of its settings, as a JSON object; null takes a setting away.")
def update(door: Door, tenant_id: str, version: str | None, settings: str | None, **changes: str | None) -> None:
    """Change what is known of a tenant; what is not given stays."""
    given = changed(changes, "tier", "region")
    if settings is not None:
        given["settings"] = json_object("settings", settings)

    async def work() -> dict[str, Any]:
        async with open_platform(door.settings) as px:
            return versioned(await px.tenants.update(tenant_id, version=version, **given))

    door.show(door.run(work()), pairs)


@command(tenant, "suspend")
@click.argument("tenant_id", metavar="ID")
def suspend(door: Door, tenant_id: str) -> None:
    """Refuse everything to an active tenant for a while; its data stays."""
    _change(door, tenant_id, Tenants.suspend)


@command(tenant, "resume")
@click.argument("tenant_id", metavar="ID")
def resume(door: Door, tenant_id: str) -> None:
    """Let a suspended tenant in again."""
    _change(door, tenant_id, Tenants.resume)


@command(tenant, "deactivate")
@click.argument("tenant_id", metavar="ID")
def deactivate(door: Door, tenant_id: str) -> None:
    """Close an active or suspended tenant, such as one that left; its data stays."""
    _change(door, tenant_id, Tenants.deactivate)


@command(tenant, "activate")
@click.argument("tenant_id", metavar="ID")
def activate(door: Door, tenant_id: str) -> None:
    """Let an inactive tenant in again."""
    _change(door, tenant_id, Tenants.activate)


def _change(door: Door, tenant_id: str, verb: Callable[[Tenants, str], Coroutine[Any, Any, Tenant]]) -> None:
    async def work() -> dict[str, Any]:
        async with open_platform(door.settings) as px:
            changed = await verb(px.tenants, tenant_id)
            return {"tenant_id": changed.tenant_id, "status": changed.status}

    door.show(door.run(work()), pairs)


def _described(found: Tenant, settings: Settings, schemas: dict[str, str]) -> dict[str, Any]:
    names = Names(settings.namespace)
    held = versioned(found)
    held["insights_database"] = held.pop("database")
    return {**held, "extensions_view": names.extensions_view(found.tenant_id), "schemas": schemas}
