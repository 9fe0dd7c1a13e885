"""A system and tenants of one's own, for tests of the fleet."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from prismicx import Platform
from prismicx.fleet.values import Options, Plan, Rollout, Selection
from prismicx.settings import Settings
from tests.support import administrator, make_package

ALL = Selection(all_tenants=True)
SCRIPTS = (
    ("CREATE TABLE items (id int PRIMARY KEY, name text);", "DROP TABLE items;"),
    ("ALTER TABLE items ADD COLUMN price int; CREATE INDEX items_price ON items (price);",
     "ALTER TABLE items DROP COLUMN price;"),
    ("ALTER TABLE items ADD CONSTRAINT items_price_positive CHECK (price > 0);",
     "ALTER TABLE items DROP CONSTRAINT items_price_positive;"),
    ("CREATE TABLE notes (id int);", None),
)  # fmt: skip


class Shop:
    """A system of its own and tenants of its own, so that tests are not in each other's way."""

    def __init__(self, px: Platform, settings: Settings, folder: Path) -> None:
        self.px, self.settings = px, settings
        self.system = f"s{secrets.token_hex(4)}"
        self.folder = folder
        self.tenants: list[str] = []

    async def open(self, count: int, version: str | None = "1.0") -> None:
        make_package(self.folder, self.system, *SCRIPTS)
        await self.px.catalogue.publish(self.folder)
        self.tenants = [f"t-{secrets.token_hex(5)}" for _ in range(count)]
        for begin in range(0, count, 8):
            await asyncio.gather(
                *(self.px.tenants.create(name, name="T", isolation="shared", tier=self.system, region=f"r{n % 2}")
                  for n, name in enumerate(self.tenants[begin : begin + 8], begin))
            )  # fmt: skip
        if version is not None:
            await self.run("install", version)

    @property
    def mine(self) -> Selection:
        return Selection(tiers=(self.system,))

    async def plan(
        self, action: Any, version: str | None = None, selection: Selection | None = None, **options: Any
    ) -> Plan:
        return await self.px.fleet.plan(
            self.system, action, selection=selection or self.mine, version=version, options=Options(**options)
        )

    async def run(self, action: Any, version: str | None = None, **options: Any) -> Rollout:
        return await self.px.fleet.start(await self.plan(action, version, **options))

    async def versions(self) -> dict[str, str]:
        """What each tenant has; `price` or not is looked up in its schema."""
        found = {}
        for name in self.tenants:
            async with self.px.tenant(name) as scope:
                for item in await scope.systems.list():
                    found[name] = f"{item.version} {item.status}"
        return found

    async def sql(self, tenant: str, text: str) -> Any:
        admin = await administrator(self.settings, "management_system_repository")
        try:
            async with admin.transaction():
                schema = f"{self.settings.namespace}__tenant_{tenant}_{self.system}".replace("-", "_")
                names = [row[0] for row in await admin.fetch("SELECT nspname FROM pg_namespace")]
                schema = next(
                    name for name in names if name.endswith(f"tenant_{tenant}_{self.system}".replace("-", "_"))
                )
                await admin.execute(f'SET LOCAL search_path = "{schema}"')
                return await admin.fetchval(text)
        finally:
            await admin.close()


def installed(version: str, tenants: Sequence[str]) -> dict[str, str]:
    return dict.fromkeys(tenants, f"{version} installed")
