"""A platform of its own for the tests of the trail, as some of them tamper with it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any

import pytest

from prismicx import Platform
from prismicx.audit.values import AuditEvent
from prismicx.engines.endpoints import locate
from prismicx.reference.apply import apply
from prismicx.settings import Settings


@pytest.fixture(scope="module")
async def own(new_namespace: Callable[[], Settings]) -> Settings:
    """A platform whose trail is tampered with."""
    mine = replace(new_namespace(), actor="ada@example.test")
    await apply(mine, locate(mine))
    return mine


@pytest.fixture(scope="module")
async def platform(own: Settings) -> AsyncIterator[Platform]:
    opened = Platform(own, locate(own))
    yield opened
    await opened.close()


async def events(px: Platform, **filters: Any) -> list[AuditEvent]:
    """The newest events of a kind, oldest first; what is noted in the background has been written."""
    for _ in range(20):
        await asyncio.sleep(0.02)
    px._postgres._look_at = 0.0  # passwords may have been rotated just now
    return (await px.audit.list(**filters)).items[::-1]
