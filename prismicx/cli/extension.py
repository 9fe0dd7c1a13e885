"""`extension`: extensions of a tenant's users, how they are used and how practical they are."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import click

from prismicx.cli.door import Door, command, json_object, pairs, table
from prismicx.cli.scope import changed, in_scope, of_tenant, paged, show_one, show_page, versioned
from prismicx.errors import InvalidInput
from prismicx.extensions.values import ORDERS, Extension
from prismicx.scopes import TenantScope

_COLUMNS = ["id", "user_id", "type", "name", "enabled", "priority", "usage_count", "feedback_score"]
_RANKED = ["place", "name", "practicality", "usage_count", "feedback_score", "extension_id"]


@click.group()
def extension() -> None:
    """Extensions of users: create, order, use, rate, rank."""


@command(extension, "create")
@click.argument("user_id", metavar="USER")
@of_tenant
@click.option("--type", required=True, help="Type, such as widget or welcome.")
@click.option("--name", required=True, help="What it is called.")
@click.option("--description", help="What it is for.")
@click.option("--priority", type=int, default=0, show_default=True, help="The lower, the earlier.")
@click.option("--disabled", is_flag=True, help="Make it switched off.")
@click.option("--metadata", help="A JSON object.")
def create(door: Door, user_id: str, tenant_id: str, disabled: bool, metadata: str | None, **values: Any) -> None:
    """Give a user an extension."""
    values |= {"enabled": not disabled, "metadata": json_object("metadata", metadata) if metadata is not None else None}
    show_one(door, tenant_id, lambda scope: scope.extensions.create(user_id, **values))


@command(extension, "list")
@of_tenant
@click.option("--user", "user_id", metavar="USER", help="Only those of this user.")
@click.option("--type", help="Type, such as widget or welcome.")
@click.option("--enabled/--disabled", default=None, help="Only those switched on, or off.")
@paged
def list_command(door: Door, tenant_id: str, **filters: Any) -> None:
    """Extensions in the order of their priorities."""
    page = in_scope(door, tenant_id, lambda scope: scope.extensions.list(**filters))
    show_page(door, "extensions", page, versioned, _COLUMNS)


@command(extension, "show")
@click.argument("extension_id", metavar="ID")
@of_tenant
def show(door: Door, extension_id: str, tenant_id: str) -> None:
    """An extension with its metrics, factors and practicality."""

    async def work(scope: TenantScope) -> dict[str, Any]:
        found = await scope.extensions.get(extension_id)
        factors = [asdict(factor) for factor in await scope.extensions.factors(extension_id)]
        practicality = asdict(await scope.extensions.practicality(extension_id))
        return {**versioned(found), "factors": factors, "practicality": practicality}

    door.show(in_scope(door, tenant_id, work), pairs)


@command(extension, "update")
@click.argument("extension_id", metavar="ID")
@of_tenant
@click.option("--version", help="Only if the extension still has this version.")
@click.option("--type", help="Type, such as widget or welcome.")
@click.option("--name", help="What it is called.")
@click.option("--description", help="What it is for; '' takes it away.")
@click.option("--priority", type=int, help="The lower, the earlier.")
@click.option("--metadata", help="A JSON object, in place of the one before.")
def update(
    door: Door, extension_id: str, tenant_id: str, version: str | None, metadata: str | None, **changes: Any
) -> None:
    """Change some values of an extension."""
    given = changed(changes, "description")
    if metadata is not None:
        given["metadata"] = json_object("metadata", metadata)
    show_one(door, tenant_id, lambda scope: scope.extensions.update(extension_id, version=version, **given))


@command(extension, "enable")
@click.argument("extension_id", metavar="ID")
@of_tenant
def enable(door: Door, extension_id: str, tenant_id: str) -> None:
    """Switch an extension on."""
    show_one(door, tenant_id, lambda scope: scope.extensions.enable(extension_id))


@command(extension, "disable")
@click.argument("extension_id", metavar="ID")
@of_tenant
def disable(door: Door, extension_id: str, tenant_id: str) -> None:
    """Switch an extension off."""
    show_one(door, tenant_id, lambda scope: scope.extensions.disable(extension_id))


@command(extension, "reorder")
@click.argument("user_id", metavar="USER")
@click.argument("order", nargs=-1, required=True, metavar="ID...")
@of_tenant
def reorder(door: Door, user_id: str, order: tuple[str, ...], tenant_id: str) -> None:
    """Put a user's extensions into this order; name each of them once."""
    in_scope(door, tenant_id, lambda scope: scope.extensions.reorder(user_id, order))
    door.show({"reordered": len(order)}, pairs)


@command(extension, "delete")
@click.argument("extension_id", metavar="ID")
@of_tenant
def delete(door: Door, extension_id: str, tenant_id: str) -> None:
    """Remove an extension with its metrics and factors."""
    in_scope(door, tenant_id, lambda scope: scope.extensions.delete(extension_id))
    door.show({"deleted": extension_id}, pairs)


@command(extension, "use")
@click.argument("extension_id", metavar="ID")
@of_tenant
@click.option("--times", type=int, default=1, show_default=True, help="How many uses to count.")
def use(door: Door, extension_id: str, tenant_id: str, times: int) -> None:
    """Count uses of an extension."""

    async def work(scope: TenantScope) -> Extension:
        await scope.extensions.record_use(extension_id, times)
        return await scope.extensions.get(extension_id)

    show_one(door, tenant_id, work)


@command(extension, "feedback")
@click.argument("extension_id", metavar="ID")
@click.argument("score", type=float)
@of_tenant
def feedback(door: Door, extension_id: str, score: float, tenant_id: str) -> None:
    """Note what a user thinks of an extension, 0 to 10."""

    async def work(scope: TenantScope) -> Extension:
        await scope.extensions.record_feedback(extension_id, score)
        return await scope.extensions.get(extension_id)

    show_one(door, tenant_id, work)


@command(extension, "rate")
@click.argument("extension_id", metavar="ID")
@click.argument("factor")
@click.argument("value", type=int)
@of_tenant
@click.option("--weight", type=float, default=1.0, show_default=True, help="Weight of the value in the mean.")
def rate(door: Door, extension_id: str, factor: str, value: int, tenant_id: str, weight: float) -> None:
    """Rate a factor from 1 to 10; prints how practical the extension is then."""
    show_one(door, tenant_id, lambda scope: scope.extensions.rate(extension_id, factor, value, weight), asdict)


@command(extension, "unrate")
@click.argument("extension_id", metavar="ID")
@click.argument("factor")
@of_tenant
def unrate(door: Door, extension_id: str, factor: str, tenant_id: str) -> None:
    """Remove a factor; prints how practical the extension is then."""
    show_one(door, tenant_id, lambda scope: scope.extensions.unrate(extension_id, factor), asdict)


@command(extension, "what-if")
@click.argument("extension_id", metavar="ID")
@click.argument("weights", nargs=-1, required=True, metavar="FACTOR=WEIGHT...")
@of_tenant
def what_if(door: Door, extension_id: str, weights: tuple[str, ...], tenant_id: str) -> None:
    """How practical an extension would be with other weights; nothing is changed."""
    given = {}
    for item in weights:
        name, _, text = item.rpartition("=")
        try:
            given[name] = float(text)
        except ValueError as error:
            raise InvalidInput("usage.number", f"{item} names no weight", "give FACTOR=WEIGHT, as speed=2.5") from error
    show_one(door, tenant_id, lambda scope: scope.extensions.what_if(extension_id, given), asdict)


@command(extension, "ranking")
@of_tenant
@click.option("--by", type=click.Choice(ORDERS), default="practicality", show_default=True, help="What decides.")
@click.option("--limit", type=int, default=20, show_default=True, help="At most so many.")
def ranking(door: Door, tenant_id: str, by: Any, limit: int) -> None:
    """The tenant's extensions, the best first."""
    rows = in_scope(door, tenant_id, lambda scope: scope.extensions.ranking(by, limit=limit))
    door.show([asdict(row) for row in rows], lambda data: table(data, _RANKED))
