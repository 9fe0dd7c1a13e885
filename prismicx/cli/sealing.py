"""`key rotate`, `seal`, `destroy`, and `status` of a tenant: the keys of sealed fields."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import asdict
from typing import Any

import click

from prismicx.cli.door import Door, command, pairs, table
from prismicx.errors import PrismicXError
from prismicx.platform import Platform, open_platform
from prismicx.sealing.fields import Field
from prismicx.sealing.rotation import Sealing

_COLUMNS = ["tenant_id", "wrapping_version", "sealed", "left", "retired", "older_keys_until", "error"]


def of_tenants(function: Callable[..., None]) -> Callable[..., None]:
    """The options that say whose keys are meant."""
    for option in (
        click.option("--all-tenants", is_flag=True, help="All tenants, one after another."),
        click.option("--tenant", "tenant_id", metavar="ID", help="One tenant."),
    ):
        function = option(function)
    return function


@command(None, "rotate")
@of_tenants
@click.option("--wrapping-keys", is_flag=True, help="Only the tenants' keys in the key service.")
@click.option("--data-keys", is_flag=True, help="Only the keysets, and seal everything anew.")
@click.option("--wait", is_flag=True, help="Stay until the older data keys are retired.")
def rotate(
    door: Door, tenant_id: str | None, all_tenants: bool, wrapping_keys: bool, data_keys: bool, wait: bool
) -> None:
    """Give tenants new keys while they are read and written; both levels unless one is named."""
    both = wrapping_keys == data_keys

    async def one(px: Platform, tenant: str) -> dict[str, Any]:
        row: dict[str, Any] = {"tenant_id": tenant}
        if both or wrapping_keys:
            row["wrapping_version"] = (await px.keys.rotate_wrapping_key(tenant)).version
        if both or data_keys:
            done = await px.keys.rotate_data_keys(tenant, _progress(door, tenant))
            row |= await _finished(door, px, tenant, done, wait)
        return row

    _for_each(door, tenant_id, all_tenants, one)


@command(None, "seal")
@of_tenants
@click.option("--wait", is_flag=True, help="Stay until the older data keys are retired.")
def seal(door: Door, tenant_id: str | None, all_tenants: bool, wait: bool) -> None:
    """Seal what earlier releases stored plain and what older keys sealed, and retire keys that are unused.

    Cut off, the same command goes on.
    """

    async def one(px: Platform, tenant: str) -> dict[str, Any]:
        done = await px.keys.seal(tenant, _progress(door, tenant))
        return {"tenant_id": tenant, **await _finished(door, px, tenant, done, wait)}

    _for_each(door, tenant_id, all_tenants, one)


@command(None, "destroy")
@click.option("--tenant", "tenant_id", required=True, metavar="ID", help="The tenant.")
@click.option("--yes", is_flag=True, help="It is meant: there is no way back.")
def destroy(door: Door, tenant_id: str, yes: bool) -> None:
    """Destroy a tenant's wrapping key, so that nothing that was sealed for it ever opens again; prints the receipt."""
    if not yes:
        raise click.UsageError(f"what was sealed for {tenant_id} can never be read again: give --yes if that is meant")

    async def work() -> dict[str, Any]:
        async with open_platform(door.settings) as px:
            receipt = await px.keys.destroy(tenant_id)
            return {"digest": receipt.digest, "receipt": receipt.content, "text": receipt.text}

    door.show(door.run(work()), lambda data: pairs({**data["receipt"], "digest": data["digest"]}))


def show_tenant(door: Door, tenant_id: str) -> None:
    """The keys of a tenant."""

    async def work() -> dict[str, Any]:
        async with open_platform(door.settings) as px:
            found = await px.keys.status(tenant_id)
            receipt = None if found.receipt is None else {"digest": found.receipt.digest, **found.receipt.content}
            return {
                "tenant_id": tenant_id,
                "wrapping_key": None if found.wrapping_key is None else asdict(found.wrapping_key),
                "keysets": [asdict(item) for item in found.keysets],
                "receipt": receipt,
            }

    def text(data: dict[str, Any]) -> None:
        wrapping = data["wrapping_key"]
        pairs({"wrapping_key": wrapping} if wrapping else {"destroyed": data["receipt"]["destroyed_at"]})
        columns = ["data_class", "primary", "older", "wrapped_by", "values", "plain", "damaged", "retires_after"]
        table(data["keysets"], columns)

    door.show(door.run(work()), text)


async def _finished(door: Door, px: Platform, tenant: str, done: Sealing, wait: bool) -> dict[str, Any]:
    """The pass, and with ``wait`` as many more as it takes until the older keys are retired."""
    sealed, retired = sum(done.sealed.values()), list(done.retired)
    while wait and done.waiting is not None:
        door.tell(f"{tenant}: older keys may be held until {done.waiting:%H:%M:%S}")
        await asyncio.sleep(1 + max(done.wait_seconds, 0.0))
        done = await px.keys.seal(tenant, _progress(door, tenant))
        sealed += sum(done.sealed.values())
        retired += done.retired
    return {"sealed": sealed, "left": done.left, "retired": retired, "older_keys_until": done.waiting}


def _progress(door: Door, tenant: str) -> Callable[[Field, int], None]:
    def told(field: Field, count: int) -> None:
        if count:
            door.tell(f"{tenant}: {field.path}: {count} sealed")

    return told


def _for_each(door: Door, tenant_id: str | None, all_tenants: bool, one: Callable[[Platform, str], Any]) -> None:
    if (tenant_id is None) != all_tenants:
        raise click.UsageError("give --tenant ID or --all-tenants")

    async def work() -> list[dict[str, Any]]:
        async with open_platform(door.settings) as px:
            if tenant_id is not None:
                return [await one(px, tenant_id)]
            rows = []
            async for tenant in _tenants(px):
                try:
                    rows.append(await one(px, tenant))
                except PrismicXError as error:
                    rows.append({"tenant_id": tenant, "error": error.code})
                    door.tell(f"{tenant}: {error}")
            return rows

    rows = door.run(work())
    door.show(rows, lambda found: table(found, _COLUMNS))
    if any(row.get("error") not in (None, "keys.destroyed") for row in rows):
        sys.exit(1)


async def _tenants(px: Platform) -> AsyncIterator[str]:
    after = None
    while True:
        page = await px.tenants.list(after=after, limit=1000)
        for tenant in page.items:
            yield tenant.tenant_id
        after = page.next
        if after is None:
            return
