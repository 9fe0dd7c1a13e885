"""A key service of a test's own: its store, its root key, its process."""

from __future__ import annotations

import http.client
import json
import signal
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from prismicx.engines.embedded import process
from prismicx.engines.embedded.process import Server
from prismicx.keys import root
from prismicx.keys.client import Keys
from prismicx.keys.endpoint import KeyEndpoint
from prismicx.keys.store import Store
from prismicx.keys.tokens import OPERATIONS, Tokens


@dataclass
class KeyService:
    """A store of its own, served by a process that can be killed."""

    folder: Path
    server: Server | None = None
    token: str = ""
    port: int = field(default_factory=lambda: process.choose_port(0))

    @property
    def store(self) -> Path:
        return self.folder / "store"

    @property
    def root_key(self) -> Path:
        return self.folder / "root.key"

    def make(self) -> KeyService:
        root.make_file(self.root_key)
        Store.create(self.store, root.from_file(self.root_key))
        self.token = self.tokens().create("everything", OPERATIONS)
        return self

    def open(self) -> Store:
        return Store.open(self.store, root.from_file(self.root_key))

    def tokens(self) -> Tokens:
        return Tokens(self.open())

    def start(self) -> KeyService:
        words = [str(self.store), str(self.root_key), str(self.port)]
        log = self.folder / "log"
        self.server = process.spawn([sys.executable, "-m", "prismicx.keys.server", *words], log, self.port, "keys")
        process.wait_until(self._answers, self.server, log, 30.0)
        return self

    def kill(self) -> None:
        assert self.server is not None
        process.terminate(self.server, signal.SIGKILL)

    def stop(self) -> None:
        if self.server is not None:
            process.terminate(self.server, signal.SIGTERM, signal.SIGKILL)

    def client(self, token: str = "") -> Keys:
        return Keys(KeyEndpoint(f"http://127.0.0.1:{self.port}", token or self.token), 10.0)

    def uses(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.store / "use.log").read_text().splitlines()]

    def _answers(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=1.0)
        try:
            connection.request("GET", "/v1/sys/health")
            return connection.getresponse().status == 200
        except OSError:
            return False
        finally:
            connection.close()
