"""How much memory this process and the server's processes for it needed at most."""

from __future__ import annotations

import os
import threading
import time
from types import TracebackType

import psutil


class Watch:
    """Looks four times a second while its block runs; keeps what it saw over all blocks.

    Args:
        login: whose backends are looked at.

    Attributes:
        process, backend: MiB of private memory at most, of this process and of one backend.
    """

    def __init__(self, login: str) -> None:
        self._login = login
        self._running = False
        self.process = self.backend = 0.0

    def __enter__(self) -> Watch:
        self._running = True
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._running = False
        self._thread.join()

    def _look(self) -> None:
        me = psutil.Process(os.getpid())
        while self._running:
            self.process = max(self.process, me.memory_info().rss / 1024**2)
            for other in psutil.process_iter(["name", "cmdline"]):
                try:
                    line = " ".join(other.info["cmdline"] or ())
                    if line.startswith("postgres: ") and self._login in line:
                        held = other.memory_full_info()
                        self.backend = max(self.backend, held.uss / 1024**2)
                except (psutil.NoSuchProcess, psutil.AccessDenied):
                    continue
            time.sleep(0.25)
