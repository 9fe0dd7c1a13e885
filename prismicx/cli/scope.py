"""What commands of a tenant have: its option, and an operation in its scope."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import click

from prismicx.cli.door import Door, table
from prismicx.pages import Page
from prismicx.platform import TenantScope, open_platform


def of_tenant(function: Callable[..., None]) -> Callable[..., None]:
    """The option that names the tenant."""
    return click.option("--tenant", "tenant_id", required=True, metavar="ID", help="The tenant.")(function)


def in_scope(door: Door, tenant_id: str, work: Callable[[TenantScope], Coroutine[Any, Any, Any]]) -> Any:
    """Run an operation in the scope of a tenant."""

    async def run() -> Any:
        async with open_platform(door.settings) as px, px.tenant(tenant_id) as scope:
            return await work(scope)

    return door.run(run())


def show_page(
    door: Door, noun: str, page: Page[Any], described: Callable[[Any], dict[str, Any]], columns: Sequence[str]
) -> None:
    """Show a page of items, and how to ask for the next one."""
    items = [described(item) for item in page.items]

    def text(_: Any) -> None:
        table(items, columns)
        if page.next:
            door.tell(f"there are more: --after {page.next}")

    door.show({noun: items, "next": page.next}, text)
