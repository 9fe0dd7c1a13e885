"""Serving a key store: in this process, until a signal ends it."""

from __future__ import annotations

import ipaddress
import resource
import signal
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from prismicx.errors import InvalidInput, PrismicXError, Unavailable, quoted
from prismicx.keys import files, root
from prismicx.keys.root import RootKey

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

LOG = "use.log"
"""The log of uses, in the store's directory unless another file is named."""


@dataclass(frozen=True, slots=True)
class Options:
    """How a store is served.

    Attributes:
        certificate: with the key, the files of the certificate; without them only loopback is served.
        log: the log of uses; None for ``use.log`` in the store.
    """

    store: Path
    host: str = "127.0.0.1"
    port: int = 8200
    certificate: Path | None = None
    certificate_key: Path | None = None
    log: Path | None = None

    @property
    def url(self) -> str:
        """Where it is reached."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.certificate else 'http'}://{host}:{self.port}"


def listen_address(text: str) -> tuple[str, int]:
    """Host and port of ``HOST:PORT`` or ``[HOST]:PORT``.

    Raises:
        InvalidInput: ``keys.listen_invalid``.
    """
    host, _, port = text.rpartition(":")
    if host and port.isascii() and port.isdigit() and len(port) < 6 and int(port) < 65536:
        return host.removeprefix("[").removesuffix("]"), int(port)
    raise InvalidInput("keys.listen_invalid", f"--listen is {quoted(text)}", "give HOST:PORT, such as 127.0.0.1:8200")


def serve(options: Options, root_key: RootKey, tell: Callable[[str], None] = lambda _: None) -> None:
    """Serve until a signal ends it.

    Args:
        tell: is given the URL once the store is open and the port taken.

    Raises:
        Unavailable: ``keys.tls_required``, ``keys.certificate_invalid``, ``keys.certificate_expired``,
            ``keys.exposed``, ``keys.root_wrong``, ``keys.store_missing``, ``keys.store_damaged``,
            ``keys.store_locked``, ``engine.port_taken`` or ``engine.not_installed``.
    """
    if not installed():
        raise Unavailable(
            "engine.not_installed", "what the key service is served with is missing", "pip install 'prismicx[server]'"
        )
    check_tls(options)
    # Not what holds keys into a file: the process leaves no core behind.
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

    import uvicorn

    from prismicx.keys.app import create_app
    from prismicx.keys.store import Store
    from prismicx.keys.tokens import Tokens
    from prismicx.keys.uselog import UseLog

    store = Store.open(options.store, root_key)
    with store.serving(), _bound(options) as listener:
        log = UseLog(options.log or options.store / LOG)
        try:
            config = uvicorn.Config(
                create_app(store, Tokens(store), log, version("prismicx")),
                ssl_certfile=options.certificate,
                ssl_keyfile=options.certificate_key,
                log_level="warning",
                access_log=False,
                server_header=False,
                loop="asyncio",
                http="h11",  # the other parser does not know Vault's method LIST
                ws="none",
                lifespan="off",
                timeout_keep_alive=75,
            )
            log.write(operation="serve", result="begun", store=str(options.store))
            tell(replace(options, port=listener.getsockname()[1]).url)
            signal.signal(signal.SIGTERM, signal.default_int_handler)  # raised once more when the server has ended
            with suppress(KeyboardInterrupt):
                uvicorn.Server(config).run(sockets=[listener])
            log.write(operation="serve", result="ended")
        finally:
            log.close()


def installed() -> bool:
    """Whether a key service can be served."""
    return find_spec("starlette") is not None and find_spec("uvicorn") is not None


def check_tls(options: Options) -> None:
    """See that what leaves this machine is encrypted, with a certificate that is valid now.

    Raises:
        Unavailable: ``keys.tls_required``, ``keys.certificate_invalid``, ``keys.certificate_expired`` or
            ``keys.exposed``.
    """
    if options.certificate is None and options.certificate_key is None:
        if not is_loopback(options.host):
            raise Unavailable(
                "keys.tls_required",
                f"{options.host} is reached from other machines, and no certificate is given",
                "give --tls-cert and --tls-key, or listen on 127.0.0.1",
            )
        return
    if options.certificate is None or options.certificate_key is None:
        raise Unavailable("keys.certificate_invalid", "only half of the certificate is given", "give both files")
    try:
        files.read(options.certificate_key)
        certificate = _certificate(options.certificate.read_bytes())
    except (OSError, ValueError) as error:
        raise Unavailable(
            "keys.certificate_invalid", f"{options.certificate}: {error}", "give PEM files of a certificate and its key"
        ) from error
    if not certificate.not_valid_before_utc <= datetime.now(UTC) <= certificate.not_valid_after_utc:
        raise Unavailable(
            "keys.certificate_expired",
            f"{options.certificate} is valid from {certificate.not_valid_before_utc:%Y-%m-%d %H:%M} to "
            f"{certificate.not_valid_after_utc:%Y-%m-%d %H:%M} UTC",
            "renew it, or set this machine's clock",
        )


def is_loopback(host: str) -> bool:
    """Whether an address is reached from this machine only."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _bound(options: Options) -> socket.socket:
    family = socket.AF_INET6 if ":" in options.host else socket.AF_INET
    try:
        listener = socket.create_server((options.host, options.port), family=family, backlog=1024)
        # For every connection, too: head and body of an answer are written apart, and would wait for one another.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return listener
    except OSError as error:
        raise Unavailable(
            "engine.port_taken",
            f"port {options.port} on {options.host} cannot be had: {error.strerror}",
            "choose another port, or 0 for a free one",
        ) from error


def _certificate(content: bytes) -> Certificate:
    from cryptography.x509 import load_pem_x509_certificate

    return load_pem_x509_certificate(content)


def main(words: list[str]) -> int:
    """Serve the store of a data directory: its path, the file of its root key, the port."""
    try:
        serve(Options(Path(words[0]), port=int(words[2])), root.from_file(Path(words[1])))
    except PrismicXError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
