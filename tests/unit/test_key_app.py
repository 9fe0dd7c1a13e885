"""The interface of the key service, asked without a server: what happens while a body is on its way."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette

from prismicx.keys import app as served
from prismicx.keys import transit
from prismicx.keys.root import RootKey
from prismicx.keys.store import Store
from prismicx.keys.tokens import OPERATIONS, Tokens
from prismicx.keys.uselog import UseLog

ROOT = RootKey("key", bytes(range(32)))


class Asked:
    """A store, its interface, and a token for all."""

    def __init__(self, folder: Path) -> None:
        Store.create(folder / "store", ROOT)
        store = Store.open(folder / "store", ROOT)
        transit.create(store, "tenant_acme", {})
        self.tokens = Tokens(store)
        self.secret = self.tokens.create("worker", OPERATIONS)
        self.file = folder / "use.log"
        self.log = UseLog(self.file)
        self.app: Starlette = served.create_app(store, self.tokens, self.log, "0")

    async def encrypt(self, receive: Callable[[], Awaitable[dict[str, Any]]]) -> tuple[int, Any]:
        path = "/v1/transit/encrypt/tenant_acme"
        scope = {
            "type": "http", "method": "POST", "path": path, "raw_path": path.encode(), "query_string": b"",
            "headers": [(b"x-vault-token", self.secret.encode())], "root_path": "", "http_version": "1.1",
            "scheme": "http", "server": ("127.0.0.1", 1), "client": ("127.0.0.1", 2),
        }  # fmt: skip
        sent: list[Any] = []

        async def send(message: Any) -> None:
            sent.append(message)

        await self.app(scope, receive, send)
        return sent[0]["status"], json.loads(sent[1]["body"])

    def last_use(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.file.read_text().splitlines()[-1])
        return found


@pytest.fixture
def asked(tmp_path: Path) -> Iterator[Asked]:
    made = Asked(tmp_path)
    yield made
    made.log.close()


BODY = {"type": "http.request", "body": json.dumps({"plaintext": "eA=="}).encode()}


async def test_a_token_that_is_revoked_while_its_body_is_on_its_way_opens_nothing(asked: Asked) -> None:
    async def received() -> dict[str, Any]:
        return BODY

    async def received_late() -> dict[str, Any]:
        asked.tokens.revoke("worker")
        return BODY

    status, answer = await asked.encrypt(received)
    assert (status, answer["data"]["ciphertext"][:9]) == (200, "vault:v1:")
    assert await asked.encrypt(received_late) == (403, {"errors": ["permission denied"], "code": "keys.denied"})
    assert (asked.last_use()["token"], asked.last_use()["result"]) == ("worker (revoked)", "refused")


async def test_a_body_that_never_ends_is_waited_for_no_longer(asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(served, "_BODY_SECONDS", 0.05)

    async def received() -> dict[str, Any]:
        await asyncio.sleep(0.02)
        return {"type": "http.request", "body": b" ", "more_body": True}

    async with asyncio.timeout(10):
        status, answer = await asked.encrypt(received)
    assert (status, answer["code"]) == (400, "keys.request_invalid")
    assert "not whole after 0.05 s" in answer["errors"][0]
    assert asked.last_use()["result"] == "refused"
