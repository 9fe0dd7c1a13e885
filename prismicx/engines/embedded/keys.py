"""The key service of a data directory: on loopback, its root key in a file of the directory, a token for each use."""

from __future__ import annotations

import http.client
import signal
import sys
from itertools import chain, count
from pathlib import Path

from prismicx.credentials import Credentials
from prismicx.engines.embedded import process
from prismicx.engines.embedded.directory import DataDirectory
from prismicx.engines.embedded.process import Server
from prismicx.errors import Unavailable
from prismicx.keys import root, server
from prismicx.keys.store import Store
from prismicx.keys.tokens import ROLES, Tokens
from prismicx.settings import Settings

NAME = "keys"
SEALING = "sealing"
"""The token for making keys, sealing and opening."""
ADMINISTRATOR = "keyadmin"
"""The token for rotating, rewrapping and destroying."""


def start(directory: DataDirectory, credentials: Credentials, settings: Settings) -> Server:
    """Start the service, making its root key, its store and its tokens first where there are none.

    Raises:
        Unavailable: ``engine.not_installed``, ``engine.port_taken``, ``engine.not_started``, or as `keys.server.serve`.
    """
    if not server.installed():
        raise Unavailable(
            "engine.not_installed",
            "no key service is named and the embedded one is not installed",
            "pip install 'prismicx[embedded]', or name a service with --key-url",
        )
    store, root_file = store_path(directory), root_path(directory)
    _prepare(store, root_file, credentials)
    process.end_orphans("prismicx.keys.server", str(store))
    port = process.choose_port(settings.key_port, directory.last_port(NAME))
    log = directory.log(NAME)
    command = [sys.executable, "-m", "prismicx.keys.server", str(store), str(root_file), str(port)]
    running = process.spawn(command, log, port, "prismicx")
    process.wait_until(lambda: _answers(port), running, log, max(settings.connect_timeout, 30.0))
    directory.remember(NAME, running)
    return running


def stop(running: Server) -> None:
    """Stop cleanly."""
    process.terminate(running, signal.SIGTERM, signal.SIGKILL, patience=5.0)


def store_path(directory: DataDirectory) -> Path:
    """Where the key store is."""
    return directory.path / "keys"


def root_path(directory: DataDirectory) -> Path:
    """Where the root key is."""
    return directory.path / "root.key"


def _prepare(store: Path, root_file: Path, credentials: Credentials) -> None:
    """Make what is missing. A store that was there and is gone is not made anew: what it sealed would be lost."""
    if not store.exists() and credentials.get(NAME, SEALING):
        raise Unavailable(
            "keys.store_missing",
            f"{credentials.path} has tokens of the key store {store}, which is gone",
            "put it back from a copy, or remove the tokens to begin with a new one",
        )
    if not root_file.exists() and not store.exists():
        root.make_file(root_file)
    key = root.from_file(root_file)
    made = Store.open(store, key) if store.exists() else Store.create(store, key)
    tokens = Tokens(made)
    for name in (SEALING, ADMINISTRATOR):
        held = credentials.get(NAME, name)
        known = tokens.known(held) if held else None
        if known is not None and known.revoked is None:
            continue
        if held:
            raise Unavailable(
                "keys.token_stale",
                f"the key store does not know the token {name} of {credentials.path}",
                f"bring the credentials that belong to {store}",
            )
        # One of that name may be in another credentials file, or in none: a killed first start did not write it down.
        taken = {token.name for token in tokens.list()}
        names = chain([name], (f"{name}-{number}" for number in count(2)))
        free = next(one for one in names if one not in taken)
        credentials.put(NAME, name, tokens.create(free, ROLES[name]))


def _answers(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=1.0)
    try:
        connection.request("GET", "/v1/sys/health")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
