"""`preference`: what a tenant's users prefer, and what is registered of it."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

import click

from prismicx.cli.door import Door, command, json_object, json_value, pairs, table
from prismicx.cli.files import opened
from prismicx.cli.scope import in_scope, of_tenant
from prismicx.platform import open_platform
from prismicx.users.preference_types import PreferenceTypes

T = TypeVar("T")

_COLUMNS = ["key", "schema", "default", "secret", "registered_at"]


@click.group()
def preference() -> None:
    """What a tenant's users prefer."""


@command(preference, "list")
@click.argument("user_id", metavar="USER")
@of_tenant
@click.option("--with-defaults", is_flag=True, help="Also what counts where nothing is set.")
def list_preferences(door: Door, user_id: str, tenant_id: str, with_defaults: bool) -> None:
    """What a user has set."""
    door.show(
        in_scope(door, tenant_id, lambda scope: scope.preferences.list(user_id, with_defaults=with_defaults)), pairs
    )


@command(preference, "get")
@click.argument("user_id", metavar="USER")
@click.argument("key")
@of_tenant
def get_preference(door: Door, user_id: str, key: str, tenant_id: str) -> None:
    """One preference as JSON: what was set, else the default."""
    door.show(in_scope(door, tenant_id, lambda scope: scope.preferences.get(user_id, key)))


@command(preference, "set")
@click.argument("user_id", metavar="USER")
@click.argument("values", nargs=-1, required=True, metavar="KEY=JSON...")
@of_tenant
@click.option("--secret", is_flag=True, help="Seal them; what was secret before stays so until it is unset.")
def set_preferences(door: Door, user_id: str, values: tuple[str, ...], tenant_id: str, secret: bool) -> None:
    """Set preferences, such as theme='"dark"' columns=3."""
    given: dict[str, Any] = {}
    for item in values:
        key, _, text = item.partition("=")
        if key in given:
            raise click.UsageError(f"{key} is given twice")
        given[key] = json_value(key, text)
    in_scope(door, tenant_id, lambda scope: scope.preferences.set(user_id, given, secret=secret))
    door.show({"set": sorted(given)}, pairs)


@command(preference, "merge")
@click.argument("user_id", metavar="USER")
@click.argument("key")
@click.argument("patch", metavar="JSON")
@of_tenant
def merge_preference(door: Door, user_id: str, key: str, patch: str, tenant_id: str) -> None:
    """Change parts of a preference that is an object; null takes a part away. Prints what it is then."""
    held = json_object("the patch", patch)
    door.show(in_scope(door, tenant_id, lambda scope: scope.preferences.merge(user_id, key, held)))


@command(preference, "unset")
@click.argument("user_id", metavar="USER")
@click.argument("keys", nargs=-1, required=True, metavar="KEY...")
@of_tenant
def unset_preferences(door: Door, user_id: str, keys: tuple[str, ...], tenant_id: str) -> None:
    """Forget preferences."""
    count = in_scope(door, tenant_id, lambda scope: scope.preferences.unset(user_id, keys))
    door.show({"unset": count}, pairs)


@command(preference, "find")
@click.argument("key")
@click.argument("value", metavar="JSON")
@of_tenant
def find_users(door: Door, key: str, value: str, tenant_id: str) -> None:
    """The users who have set a secret preference to a value, by id."""
    held = json_value(key, value)
    found = in_scope(door, tenant_id, lambda scope: scope.preferences.find(key, held))
    door.show({"users": [str(user_id) for user_id in found]}, lambda data: click.echo("\n".join(data["users"])))


@command(preference, "types")
def types(door: Door) -> None:
    """What is registered of the values of preferences."""
    rows = _on_types(door, lambda types: types.list())
    door.show({"types": [asdict(row) for row in rows]}, lambda data: table(data["types"], _COLUMNS))


@command(preference, "register")
@click.argument("key")
@click.option(
    "--schema",
    "file",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False, exists=True, allow_dash=True),
    help="File with the JSON Schema that values obey; - for standard input.",
)
@click.option("--default", help="JSON; what counts where nothing is set.")
@click.option("--secret", is_flag=True, help="Seal the values where they are stored.")
def register(door: Door, key: str, file: Path, default: str | None, secret: bool) -> None:
    """Let values of a key obey a JSON Schema, for all tenants, in place of what was registered of it before."""
    with opened(file) as source:
        schema = json_object("the schema", source.read())
    held = None if default is None else json_value("the default", default)
    _on_types(door, lambda types: types.register(key, schema, default=held, secret=secret))
    door.show({"registered": key}, pairs)


@command(preference, "unregister")
@click.argument("key")
def unregister(door: Door, key: str) -> None:
    """Let a key have any value again."""
    _on_types(door, lambda types: types.unregister(key))
    door.show({"unregistered": key}, pairs)


def _on_types(door: Door, work: Callable[[PreferenceTypes], Coroutine[Any, Any, T]]) -> T:
    async def run() -> T:
        async with open_platform(door.settings) as px:
            return await work(px.preference_types)

    return door.run(run())
