"""A platform with a key service of its own, and a tenant with sealed values."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from prismicx import Platform, PrismicXError, TenantScope
from prismicx.settings import Settings
from tests.key_service import KeyService
from tests.sealing import PAGE, SECRET, platform, with_service

Id = Callable[[], str]


@pytest.fixture
def service(tmp_path: Path) -> Iterator[KeyService]:
    made = KeyService(tmp_path).make().start()
    yield made
    made.stop()


@pytest.fixture
def mine(settings: Settings, px: Platform, service: KeyService) -> Settings:
    """Settings with a key service that can be stopped; opened keysets are held for a second and a half."""
    return with_service(settings, service, keyset_cache=1.5)


@pytest.fixture
async def own(mine: Settings) -> AsyncIterator[Platform]:
    async with platform(mine) as made:
        yield made


@pytest.fixture
async def tenant_id(own: Platform, new_id: Id) -> str:
    made = new_id()
    await own.tenants.create(made, name="Leaving")
    return made


async def fill(scope: TenantScope) -> Any:
    made = await scope.users.create(
        username="ada", email=f"{secrets.token_hex(6)}@acme.test", metadata={"open": 1, "private": PAGE}
    )
    await scope.preferences.set(made.id, {"pin": SECRET}, secret=True)
    await scope.preferences.set(made.id, {"theme": "dark"})
    await scope.tasks.enqueue(service="s", type="t", payload={"to": "ada", "secret": SECRET})
    return made


async def check_closed(px: Platform, tenant: str, user: Any, code: str) -> None:
    """See that nothing sealed opens or is sealed, and that the rest is read and written."""
    async with px.tenant(tenant) as scope:
        found = await scope.users.get(user.id)
        assert (found.email, found.metadata["open"]) == (user.email, 1)
        (task,) = (await scope.tasks.list()).items
        assert task.payload["to"] == "ada"
        preferences = await scope.preferences.list(user.id)
        assert preferences["theme"] == "dark"
        tries: list[Callable[[], Any]] = [
            lambda: found.metadata["private"],
            lambda: task.payload["secret"],
            lambda: preferences["pin"],
        ]
        for ask in tries:
            with pytest.raises(PrismicXError) as caught:
                ask()
            assert caught.value.code == code
        before = await scope.tasks.counts()
        refused: list[Callable[[], Any]] = [
            lambda: scope.preferences.get(user.id, "pin"),
            lambda: scope.preferences.find("pin", SECRET),
            lambda: scope.preferences.merge(user.id, "pin", {"a": 1}),
            lambda: scope.preferences.set(user.id, {"pin": "new"}),
            lambda: scope.preferences.set(user.id, {"theme": "x", "new": "new"}, secret=True),
            lambda: scope.users.update(user.id, metadata={"private": "new"}),
            lambda: scope.users.create(
                username="b", email=f"{secrets.token_hex(6)}@x.test", metadata={"private": "new"}
            ),
            lambda: scope.tasks.enqueue(service="s", type="t", payload={"secret": "new"}),
            lambda: scope.collection("user_insights"),
        ]
        for call in refused:
            with pytest.raises(PrismicXError) as caught:
                await call()
            assert caught.value.code == code
        assert await scope.tasks.counts() == before
        assert (await scope.users.update(user.id, first_name="Ada")).first_name == "Ada"
        await scope.preferences.set(user.id, {"theme": "dark"})
        assert len((await scope.users.list()).items) == 1
