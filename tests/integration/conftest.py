from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from prismicx import Platform, TenantScope
from prismicx.settings import Settings
from tests.integration.shop import Shop

Pair = tuple[str, str]


@pytest.fixture(params=["dedicated", "shared"])
async def tenant(px: Platform, pair: Pair, request: pytest.FixtureRequest) -> AsyncIterator[TenantScope]:
    async with px.tenant(pair[request.param == "shared"]) as scope:
        assert scope.tenant.placement == request.param
        yield scope


@pytest.fixture
async def other(px: Platform, pair: Pair, tenant: TenantScope) -> AsyncIterator[TenantScope]:
    """The other tenant, in the other placement."""
    async with px.tenant(pair[tenant.tenant_id == pair[0]]) as scope:
        yield scope


@pytest.fixture(scope="session")
async def published(px: Platform) -> Platform:
    """This worker's platform, with the systems of the reference."""
    for system in ("crm", "sales", "marketing"):
        await px.catalogue.publish(Path(__file__).parents[2] / "systems" / system)
    return px


@pytest.fixture
def user() -> str:
    return str(uuid.uuid4())


@pytest.fixture
async def shop(px: Platform, settings: Settings, tmp_path: Path) -> AsyncIterator[Shop]:
    yield Shop(px, settings, tmp_path)
