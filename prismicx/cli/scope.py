"""What commands of a tenant have: its option, and an operation in its scope."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import click

from prismicx.cli.door import Door, pairs, table
from prismicx.pages import Page
from prismicx.platform import open_platform
from prismicx.scopes import TenantScope


def of_tenant(function: Callable[..., None]) -> Callable[..., None]:
    """The option that names the tenant."""
    return click.option("--tenant", "tenant_id", required=True, metavar="ID", help="The tenant.")(function)


def paged(function: Callable[..., None]) -> Callable[..., None]:
    """The options of a list in pages."""
    limit = click.option("--limit", type=int, default=100, show_default=True, help="At most so many.")
    return click.option("--after", help="The `next` of the page before.")(limit(function))


def in_scope(door: Door, tenant_id: str, work: Callable[[TenantScope], Coroutine[Any, Any, Any]]) -> Any:
    """Run an operation in the scope of a tenant."""

    async def run() -> Any:
        async with open_platform(door.settings) as px, px.tenant(tenant_id) as scope:
            return await work(scope)

    return door.run(run())


def changed(options: Mapping[str, Any], *clearable: str) -> dict[str, Any]:
    """The changes that were asked for: by the options that were given. Some are taken away by an empty text."""
    return {
        name: None if value == "" and name in clearable else value
        for name, value in options.items()
        if value is not None
    }


def versioned(found: Any) -> dict[str, Any]:
    """What is known of something, with its version."""
    return {**asdict(found), "version": found.version}


def show_one(
    door: Door,
    tenant_id: str,
    work: Callable[[TenantScope], Coroutine[Any, Any, Any]],
    described: Callable[[Any], dict[str, Any]] = versioned,
) -> None:
    """Run an operation in the scope of a tenant, and show what it gives."""
    door.show(described(in_scope(door, tenant_id, work)), pairs)


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
