"""Changes of a tenant's trees take turns, and who waits long for one is told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from prismicx import Platform
from prismicx.categories import editing


async def test_who_waits_long_for_a_turn_is_told(
    px: Platform, new_id: Callable[[], str], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(editing, "_QUIET", 0.5)
    taken, ended = asyncio.Event(), asyncio.Event()

    def told() -> list[str]:
        return [record.message for record in caplog.records if record.name.startswith("prismicx")]

    async def hold(collection: Any, session: Any) -> None:
        taken.set()
        await ended.wait()

    tenant = new_id()
    await px.tenants.create(tenant, name="T", isolation="shared")
    async with px.tenant(tenant) as scope:
        await scope.categories.create("a")
        assert told() == []
        holder = asyncio.create_task(scope.categories.restructure(hold))
        await taken.wait()
        waiter = asyncio.create_task(scope.categories.create("b"))
        await asyncio.sleep(1)
        assert not waiter.done()
        ended.set()
        await holder
        assert (await waiter).name == "b"
        (text,) = told()
        assert f"the category trees of {tenant}" in text
        assert "60" in text
