"""Connections to a key service by `hvac`, and its errors as ours."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hvac
import requests
from hvac import exceptions
from requests.adapters import HTTPAdapter

from prismicx.errors import Conflict, Denied, InvalidInput, NotFound, PrismicXError, Unavailable
from prismicx.keys import files
from prismicx.keys.endpoint import KeyEndpoint
from prismicx.secret import without_frames

_CONNECTIONS = 32
_GONE = ("not found", "no existing key")


class Connection:
    """Asks a key service; made for use by many threads. What the methods raise is in `client.Keys`."""

    def __init__(self, endpoint: KeyEndpoint, timeout: float) -> None:
        self._endpoint = endpoint
        self._timeout = timeout
        self._made: dict[bool, hvac.Client] = {}
        self._making = threading.Lock()

    def ask(self, method: str, url: str, body: dict[str, Any] | None, admin: bool, repeat: bool) -> Any:
        """What the service answers; of a batch of which items were refused, too.

        Args:
            repeat: ask once more where the connection broke.
        """

        def call(client: hvac.Client) -> Any:
            try:
                return getattr(client.adapter, method)(url=url, **({} if body is None else {"json": body}))
            except exceptions.InvalidRequest as error:
                data = error.json.get("data") if isinstance(error.json, dict) else None
                if not isinstance(data, dict) or "batch_results" not in data:
                    raise
                return error.json

        return self._translated(call, admin, repeat)

    def health(self) -> str:
        """The version of a service that answers and is unsealed."""
        found = self._translated(lambda client: client.sys.read_health_status(method="GET"), False, True)
        if isinstance(found, requests.Response):  # hvac gives what is not 200 as it is
            raise Unavailable(
                "keys.unavailable",
                f"the key service {self._endpoint.url} is not ready ({found.status_code})",
                "unseal it, or see its log",
            )
        return str(found.get("version", ""))

    def check(self, admin: bool) -> None:
        """See that the service knows the token."""
        self._translated(lambda client: client.auth.token.lookup_self(), admin, True)

    def close(self) -> None:
        """Close the connections."""
        for client in self._made.values():
            client.adapter.close()

    def _translated(self, call: Callable[[hvac.Client], Any], admin: bool, repeat: bool) -> Any:
        url = self._endpoint.url
        try:
            client = self._client(admin)
            try:
                return call(client)
            except (requests.exceptions.SSLError, requests.exceptions.ConnectTimeout):
                raise
            except requests.exceptions.ConnectionError:
                # The service may have been started anew since the connection was opened.
                if not repeat:
                    raise
                return call(client)
        # The libraries' frames hold the token, and what is to be sealed.
        except requests.exceptions.SSLError as error:
            raise Unavailable(
                "keys.certificate",
                f"the certificate of the key service {url} is refused: {_reason(error)}",
                "renew it, or name its authority with tls_ca",
            ) from without_frames(error)
        except (requests.exceptions.RequestException, ValueError) as error:
            raise Unavailable(
                "keys.unavailable",
                f"the key service {url} does not answer: {type(error).__name__}",
                "start it (prismicx up, prismicx key serve), or see key_url",
            ) from without_frames(error)
        except OSError as error:
            raise Unavailable(
                "keys.certificate", f"for the key service {url}: {error}", "see the files of tls_ca and tls_cert"
            ) from without_frames(error)
        except exceptions.VaultError as error:
            raise _as_ours(error, url) from without_frames(error)

    def _client(self, admin: bool) -> hvac.Client:
        token = self._endpoint.token
        if self._endpoint.token_file:
            # Read every time: agents of Vault put a fresh token into the file before the old one ends.
            token = _token_in(Path(self._endpoint.token_file))
        if admin and self._endpoint.admin_token:
            token = self._endpoint.admin_token
        with self._making:
            client = self._made.get(admin)
            if client is None:
                session = requests.Session()
                # Neither proxies nor logins of the environment: the token goes to the URL and nowhere else.
                session.trust_env = False
                session.verify = self._endpoint.authority or True
                session.cert = self._endpoint.certificate or None
                for scheme in ("http://", "https://"):
                    session.mount(scheme, HTTPAdapter(pool_maxsize=_CONNECTIONS))
                client = self._made[admin] = hvac.Client(
                    url=self._endpoint.url,
                    token=token,
                    session=session,
                    timeout=self._timeout,
                    allow_redirects=False,
                    verify=self._endpoint.authority or True,
                )
            client.token = token
        return client


def _as_ours(error: exceptions.VaultError, url: str) -> PrismicXError:
    held = error.json if isinstance(error.json, dict) else {}
    said = "; ".join(str(line) for line in error.errors or ()) or type(error).__name__
    code = str(held.get("code", ""))
    if isinstance(error, exceptions.Forbidden | exceptions.Unauthorized):
        return Denied("keys.denied", f"the key service {url} denies this", "see the token, and its policy")
    if isinstance(error, exceptions.VaultDown | exceptions.VaultNotInitialized | exceptions.BadGateway):
        return Unavailable("keys.unavailable", f"the key service {url} is not ready: {said}", "unseal or start it")
    if code == "keys.destroyed":
        return Conflict("keys.destroyed", said, "what it sealed can never be read again")
    if code == "keys.unknown" or isinstance(error, exceptions.InvalidPath) or any(words in said for words in _GONE):
        return NotFound("keys.unknown", f"there is no such key: {said}", "create it, or see the namespace")
    if isinstance(error, exceptions.InvalidRequest):
        return InvalidInput("keys.refused", f"the key service refuses this: {said}", "see the input")
    return Unavailable("keys.failed", f"the key service {url} failed: {said}", "see its log")


def _token_in(path: Path) -> str:
    try:
        return files.read(path).decode("ascii").strip()
    except (FileNotFoundError, UnicodeDecodeError) as error:
        raise Unavailable("keys.token_missing", f"{path}: {error}", "see key_token_file") from error


def _reason(error: Exception) -> str:
    """What is wrong, without the objects that the libraries print around it."""
    text = str(error)
    for known in (
        "certificate has expired",
        "certificate is not yet valid",
        "self-signed certificate",
        "Hostname mismatch",
        "IP address mismatch",
        "unable to get local issuer",
        "wrong version number",
    ):
        if known in text:
            return known
    return type(error).__name__
