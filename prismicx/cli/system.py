"""`system`: management systems, published and installed."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from prismicx.cli.door import Door, command, pairs, table
from prismicx.platform import open_platform


@click.group()
def system() -> None:
    """Management systems: publish a folder, install it for a tenant."""


@command(system, "publish")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path, file_okay=False))
def publish(door: Door, folder: Path) -> None:
    """Publish the versions of a folder that are not published yet."""

    async def work() -> dict[str, Any]:
        async with open_platform(door.settings) as px:
            return asdict(await px.catalogue.publish(folder))

    door.show(door.run(work()), pairs)


@command(system, "list")
def list_command(door: Door) -> None:
    """The systems that can be installed."""

    async def work() -> list[dict[str, Any]]:
        async with open_platform(door.settings) as px:
            return [asdict(item) for item in await px.catalogue.list()]

    columns = ["system_id", "type", "name", "vendor", "latest", "versions", "status"]
    door.show(door.run(work()), lambda rows: table(rows, columns))


@command(system, "show")
@click.argument("system_id", metavar="SYSTEM")
def show(door: Door, system_id: str) -> None:
    """A system and its versions."""

    async def work() -> dict[str, Any]:
        async with open_platform(door.settings) as px:
            found = asdict(await px.catalogue.get(system_id))
            found["versions"] = [asdict(item) for item in await px.catalogue.versions(system_id)]
            return found

    def text(found: dict[str, Any]) -> None:
        pairs({key: value for key, value in found.items() if key != "versions"})
        click.echo()
        table(found["versions"], ["version", "schema_version", "is_latest", "reversible", "release_date"])

    door.show(door.run(work()), text)


@command(system, "install")
@click.argument("system_id", metavar="SYSTEM")
@click.option("--tenant", "tenant_id", required=True, help="The tenant that gets it.")
@click.option("--version", help="The latest unless given.")
def install(door: Door, system_id: str, tenant_id: str, version: str | None) -> None:
    """Install a system for a tenant, in one transaction with its ledger row."""
    _change(door, "install", system_id, tenant_id, version)


@command(system, "upgrade")
@click.argument("system_id", metavar="SYSTEM")
@click.option("--tenant", "tenant_id", required=True, help="The tenant that has it.")
@click.option("--to", "version", help="The latest unless given.")
def upgrade(door: Door, system_id: str, tenant_id: str, version: str | None) -> None:
    """Bring a tenant's system to a later version."""
    _change(door, "migrate", system_id, tenant_id, version)


@command(system, "rollback")
@click.argument("system_id", metavar="SYSTEM")
@click.option("--tenant", "tenant_id", required=True, help="The tenant that has it.")
@click.option("--to", "version", required=True, help="The version to go back to.")
def rollback(door: Door, system_id: str, tenant_id: str, version: str) -> None:
    """Bring a tenant's system back to an earlier version."""
    _change(door, "migrate", system_id, tenant_id, version)


def _change(door: Door, verb: str, system_id: str, tenant_id: str, version: str | None) -> None:
    async def work() -> dict[str, Any]:
        async with open_platform(door.settings) as px, px.tenant(tenant_id) as scope:
            operation = scope.systems.install if verb == "install" else scope.systems.migrate
            return {"tenant_id": tenant_id, **asdict(await operation(system_id, version))}

    door.show(door.run(work()), pairs)
