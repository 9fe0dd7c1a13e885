"""`system`: management systems, published and installed."""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from prismicx.cli.door import Door, command, json_object, pairs, table
from prismicx.cli.scope import in_scope, of_tenant
from prismicx.platform import open_platform
from prismicx.secret import MASK
from prismicx.systems.catalogue import Catalogue, Published, System
from prismicx.systems.folders import AUTO, FORMATS, Identity, read_folder
from prismicx.systems.installation import Installations
from prismicx.systems.installed import Installation
from prismicx.systems.linting import lint
from prismicx.systems.records import STATUSES

_WARNINGS_TOLD = 5
"""Of the warnings of a publication, how many are shown."""


@click.group()
def system() -> None:
    """Management systems: publish a folder, install it for a tenant, configure it."""


def _folder(function: Callable[..., None]) -> Callable[..., None]:
    """The argument that names a folder, and the options that say what it is."""
    for option in (
        click.option("--name", help="What the system is called, where the folder is of another tool."),
        click.option("--vendor", help="Who makes it, likewise."),
        click.option("--type", help="Its type, such as crm, likewise."),
        click.option("--id", "system_id", help="Its id, likewise; our own format has all four in system.toml."),
        click.option(
            "--format",
            type=click.Choice(FORMATS),
            default=AUTO,
            show_default=True,
            help="The tool whose conventions the folder follows; auto recognises it.",
        ),
        click.argument("folder", metavar="DIR", type=click.Path(path_type=Path, file_okay=False)),
    ):
        function = option(function)
    return function


@command(system, "publish")
@_folder
@click.option("--strict", is_flag=True, help="Publish nothing when there are warnings.")
def publish(door: Door, folder: Path, strict: bool, **said: Any) -> None:
    """Publish the versions of a folder that are not published yet."""

    async def work() -> Published:
        async with open_platform(door.settings) as px:
            return await px.catalogue.publish(folder, strict=strict, **said)

    published = door.run(work())
    if not door.json:
        _tell_warnings(door, published, folder)
    told = asdict(published)
    door.show(told, lambda _: pairs({key: value for key, value in told.items() if key != "warnings"}))


def _tell_warnings(door: Door, published: Published, folder: Path) -> None:
    if published.warnings is None:
        door.tell(f"not linted: prismicx system lint {folder} tells why")
    elif published.warnings:
        for warning in published.warnings[:_WARNINGS_TOLD]:
            door.tell(f"warning: {warning}")
        door.tell(f"warnings: {len(published.warnings)}; prismicx system lint {folder} shows all")


@command(system, "lint")
@_folder
def lint_command(door: Door, folder: Path, format: str, **said: Any) -> None:
    """Check a folder as publishing does, and show what squawk warns of; nothing is published."""
    warnings = [asdict(item) for item in lint(read_folder(folder, format, Identity(**said)))]
    door.show(warnings, lambda rows: table(rows, ["version", "file", "line", "column", "rule", "message", "help"]))


@command(system, "list")
@click.option("--type", help="Only systems of this type, such as crm.")
@click.option("--status", type=click.Choice(STATUSES), help="Only systems in this state.")
@click.option("--vendor", help="Only systems by this vendor.")
def list_command(door: Door, **filters: Any) -> None:
    """The systems that are published."""

    async def work() -> list[dict[str, Any]]:
        async with open_platform(door.settings) as px:
            return [asdict(item) for item in await px.catalogue.list(**filters)]

    columns = ["system_id", "type", "name", "vendor", "latest", "versions", "status"]
    door.show(door.run(work()), lambda rows: table(rows, columns))


@command(system, "show")
@click.argument("system_id", metavar="SYSTEM")
def show(door: Door, system_id: str) -> None:
    """A system and its versions: what they need, and what they let a tenant choose."""

    async def work() -> dict[str, Any]:
        async with open_platform(door.settings) as px:
            found = asdict(await px.catalogue.get(system_id))
            found["versions"] = [asdict(item) for item in await px.catalogue.versions(system_id)]
            return found

    def text(found: dict[str, Any]) -> None:
        pairs({key: value for key, value in found.items() if key != "versions"})
        click.echo()
        columns = ["version", "schema_version", "is_latest", "reversible", "release_date", "dependencies"]
        table(found["versions"], [*columns, "compatibility"])
        for item in found["versions"]:
            if item["features"]:
                click.echo(f"\nfeatures of {item['version']}")
                rows = [{"feature": name, **feature} for name, feature in item["features"].items()]
                table(rows, ["feature", "default", "description"])
            if item["configuration"]:
                click.echo(f"\nconfiguration of {item['version']}")
                click.echo(json.dumps(item["configuration"], indent=2, ensure_ascii=False))

    door.show(door.run(work()), text)


@command(system, "path")
@click.argument("system_id", metavar="SYSTEM")
@click.option("--from", "from_version", required=True, help="The version to begin at; 0 is nothing installed.")
@click.option("--to", "to_version", required=True, help="The version to come to; 0 is nothing installed.")
def path(door: Door, system_id: str, from_version: str, to_version: str) -> None:
    """The steps from one version to another, forward or back."""

    async def work() -> list[dict[str, Any]]:
        async with open_platform(door.settings) as px:
            steps = await px.catalogue.path(system_id, from_version, to_version)
            return [{key: value for key, value in asdict(step).items() if key != "script"} for step in steps]

    columns = ["version_from", "version_to", "schema_version_from", "schema_version_to", "direction", "reversible"]
    door.show(door.run(work()), lambda rows: table(rows, columns))


@command(system, "deprecate")
@click.argument("system_id", metavar="SYSTEM")
def deprecate(door: Door, system_id: str) -> None:
    """Let a system be installed for nobody any more; who has it keeps it."""
    _publish_state(door, system_id, Catalogue.deprecate)


@command(system, "restore")
@click.argument("system_id", metavar="SYSTEM")
def restore(door: Door, system_id: str) -> None:
    """Let a deprecated system be installed again."""
    _publish_state(door, system_id, Catalogue.restore)


def choices(function: Callable[..., None]) -> Callable[..., None]:
    """The options that say what a tenant chooses."""
    for option in (
        click.option("--disable", multiple=True, metavar="NAME", help="Switch a feature off; can be repeated."),
        click.option("--enable", multiple=True, metavar="NAME", help="Switch a feature on; can be repeated."),
        click.option("--configuration", metavar="JSON", help="Values by key, as an object; null takes one away."),
    ):
        function = option(function)
    return function


@command(system, "configure")
@click.argument("system_id", metavar="SYSTEM")
@click.option("--tenant", "tenant_id", required=True, help="The tenant that has it.")
@click.option("--revision", help="Only if the installation still has this revision.")
@choices
def configure(door: Door, system_id: str, tenant_id: str, revision: str | None, **options: Any) -> None:
    """Change the configuration and the features of a tenant's system; what is not named stays."""
    given = chosen(**options)
    change(door, tenant_id, lambda systems: systems.configure(system_id, revision=revision, **given))


@command(system, "installed")
@of_tenant
def installed(door: Door, tenant_id: str) -> None:
    """The systems a tenant has, installations that failed included. What is secret of a configuration is not shown."""
    found = in_scope(door, tenant_id, lambda scope: scope.systems.list())
    columns = ["system_id", "type", "version", "status", "schema", "configuration", "features", "error_message"]
    door.show([described(item) for item in found], lambda rows: table(rows, columns))


def _publish_state(door: Door, system_id: str, verb: Callable[[Catalogue, str], Coroutine[Any, Any, System]]) -> None:
    async def work() -> dict[str, Any]:
        async with open_platform(door.settings) as px:
            return asdict(await verb(px.catalogue, system_id))

    door.show(door.run(work()), pairs)


def chosen(configuration: str | None, enable: Sequence[str], disable: Sequence[str]) -> dict[str, Any]:
    """What the options say, as the library takes it."""
    twice = sorted(set(enable) & set(disable))
    if twice:
        raise click.UsageError(f"--enable and --disable both name {twice[0]}")
    return {
        "configuration": None if configuration is None else json_object("configuration", configuration),
        "features": {**dict.fromkeys(enable, True), **dict.fromkeys(disable, False)},
    }


def change(door: Door, tenant_id: str, operation: Callable[[Installations], Coroutine[Any, Any, Installation]]) -> None:
    """Change a system of a tenant, and show it."""
    changed = in_scope(door, tenant_id, lambda scope: operation(scope.systems))
    door.show({"tenant_id": tenant_id, **described(changed)}, pairs)


def described(found: Installation) -> dict[str, Any]:
    """An installation with a mask in the place of what is secret."""
    held = asdict(found)
    secrets = held.pop("secrets")
    masked = {key: MASK if key in secrets else found.configuration[key] for key in found.configuration}
    return {**held, "configuration": masked, "revision": found.revision}
