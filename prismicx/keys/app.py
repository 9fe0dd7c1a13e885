"""The HTTP interface of the key service: Vault's paths, answers and errors."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from prismicx.errors import Denied, InvalidInput, NotFound, PrismicXError, Unavailable
from prismicx.keys import transit
from prismicx.keys.fields import LIMIT, body_of, truth
from prismicx.keys.store import Store
from prismicx.keys.tokens import Token, Tokens, check
from prismicx.keys.transit import Answer
from prismicx.keys.uselog import UseLog

_CHANGES = {"create", "recreate", "rotate", "config", "delete"}
"""Operations that write to the store: logged before they begin, too."""

_BODY_SECONDS = 30.0
"""A body that is not whole by then is waited for no longer."""

_NO_STORE = {"Cache-Control": "no-store"}

_ON_KEYS: list[tuple[str, list[str], str, Callable[[Store, str, transit.Body], Answer]]] = [
    ("keys/{name}", ["POST", "PUT"], "create", transit.create),
    ("keys/{name}", ["GET"], "read", transit.read),
    ("keys/{name}", ["DELETE"], "delete", transit.delete),
    ("keys/{name}/config", ["POST", "PUT"], "config", transit.configure),
    ("keys/{name}/rotate", ["POST", "PUT"], "rotate", transit.rotate),
    ("encrypt/{name}", ["POST", "PUT"], "encrypt", transit.encrypt),
    ("decrypt/{name}", ["POST", "PUT"], "decrypt", transit.decrypt),
    ("rewrap/{name}", ["POST", "PUT"], "rewrap", transit.rewrap),
]


def create_app(store: Store, tokens: Tokens, log: UseLog, version: str) -> Starlette:
    """The application that serves a store."""
    service = _Service(store, tokens, log)

    def key_route(path: str, methods: list[str], operation: str, work: Callable[..., Answer]) -> Route:
        async def endpoint(request: Request) -> Response:
            return await service.use(request, operation, request.path_params["name"], work)

        return Route(f"/v1/transit/{path}", _guarded(endpoint), methods=methods)

    async def names(request: Request) -> Response:
        if request.method != "LIST" and request.query_params.get("list") != "true":
            return _errors(405, "unsupported operation")
        return await service.use(request, "list", "", lambda store, _, __: Answer({"keys": store.names()}))

    async def whoami(request: Request) -> Response:
        token = service.known(request)
        if token is None or token.revoked is not None:
            log.write(**_asked(request, token, "lookup-self", ""), result="refused", reason="keys.denied")
            return _errors(403, "permission denied", "keys.denied")
        held = {"display_name": token.name, "policies": list(token.operations), "keys": list(token.keys)}
        return _enveloped({**held, "ttl": 0, "expire_time": None, "renewable": False, "type": "service"}, 200)

    async def health(_: Request) -> Response:
        return JSONResponse({"initialized": True, "sealed": False, "standby": False, "version": version})

    routes = [key_route(*described) for described in _ON_KEYS]
    routes += [
        Route("/v1/transit/keys", _guarded(names), methods=["LIST", "GET"]),
        Route("/v1/auth/token/lookup-self", _guarded(whoami), methods=["GET"]),
        Route("/v1/sys/health", health, methods=["GET", "HEAD"]),
    ]
    return Starlette(routes=routes, exception_handlers={HTTPException: _no_route})


@dataclass(frozen=True, slots=True)
class _Service:
    store: Store
    tokens: Tokens
    log: UseLog

    def known(self, request: Request) -> Token | None:
        secret = request.headers.get("x-vault-token") or request.headers.get("authorization", "").removeprefix(
            "Bearer "
        )
        return self.tokens.known(secret) if secret else None

    async def use(
        self, request: Request, operation: str, name: str, work: Callable[[Store, str, transit.Body], Answer]
    ) -> Response:
        """Do what is asked, if the token may, and log it either way."""
        token = self.known(request)
        asked = _asked(request, token, operation, name)
        try:
            check(token, operation, name)
            content = await _content(request)
            # It may have come long after its head, and the token have been revoked meanwhile.
            token = self.known(request)
            asked = _asked(request, token, operation, name)
            check(token, operation, name)
            body = body_of(content)
            if operation == "create" and truth(body, "again"):
                operation = asked["operation"] = "recreate"
                check(token, operation, name)
            if operation in _CHANGES:
                self.log.write(**asked, result="begun")
                # Not in the loop, which others wait for: a change waits for the disk.
                answer = await asyncio.to_thread(work, self.store, name, body)
            else:
                answer = work(self.store, name, body)
        except PrismicXError as error:
            self.log.write(**asked, result="refused", reason=error.code)
            raise
        counted = {"items": answer.items, "refused": answer.refused} if answer.items != 1 or answer.refused else {}
        self.log.write(**asked, result="done", **counted)
        return _enveloped(answer.data, answer.status) if answer.data is not None else Response(status_code=204)


def _guarded(endpoint: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
    async def answered(request: Request) -> Response:
        try:
            return await endpoint(request)
        except PrismicXError as error:
            return _errors(_status(error, request.method), error.message, error.code)
        except ClientDisconnect:
            return Response(status_code=400)

    return answered


def _status(error: PrismicXError, method: str) -> int:
    if isinstance(error, Unavailable):
        return 500
    if isinstance(error, Denied):
        return 403
    return 404 if isinstance(error, NotFound) and method == "GET" else 400


async def _content(request: Request) -> bytes:
    content = bytearray()
    try:
        async with asyncio.timeout(_BODY_SECONDS):
            async for piece in request.stream():
                content += piece
                if len(content) > LIMIT:
                    raise InvalidInput(
                        "keys.request_invalid", f"the request has over {LIMIT:,} bytes", "send less at once"
                    )
    except TimeoutError:
        raise InvalidInput(
            "keys.request_invalid", f"the request was not whole after {_BODY_SECONDS:g} s", "send it in one go"
        ) from None
    return bytes(content)


def _asked(request: Request, token: Token | None, operation: str, name: str) -> dict[str, Any]:
    who = "-" if token is None else token.name if token.revoked is None else f"{token.name} (revoked)"
    host = request.client.host if request.client else "-"
    return {"token": who, "operation": operation, "key": name[:128], "from": host}


def _enveloped(data: dict[str, Any] | None, status: int) -> Response:
    held = {
        "request_id": str(uuid.uuid4()),
        "lease_id": "",
        "renewable": False,
        "lease_duration": 0,
        "data": data,
        "wrap_info": None,
        "warnings": None,
        "auth": None,
    }
    return JSONResponse(held, status, _NO_STORE)


def _errors(status: int, message: str, code: str = "keys.request_invalid") -> Response:
    return JSONResponse({"errors": [message], "code": code}, status, _NO_STORE)


async def _no_route(_: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 404
    return _errors(status, "unsupported operation" if status == 405 else "unsupported path")
