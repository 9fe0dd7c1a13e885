"""The data directory: who may see it, which version it is of, who works on it now."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from prismicx.engines.embedded.process import Server
from prismicx.errors import Unavailable

FORMAT = 1
ROOM_NEEDED = 300 * 1024 * 1024
"""Bytes that must be free before the servers are started: their empty data with write-ahead logs."""
_LOCK_PATIENCE = 120.0


class DataDirectory:
    """``--data``: mode 0700, holding ``postgres/``, ``mongo/``, ``log/``, ``run/`` and the credentials."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()

    def exists(self) -> bool:
        """Whether a command has prepared it before."""
        return (self.path / "run").is_dir()

    def prepare(self) -> None:
        """Make the directory and see that it can be used.

        Raises:
            Unavailable: ``data.unwritable``, ``data.exposed`` or ``data.full``.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
            for part in ("run", "log"):
                (self.path / part).mkdir(exist_ok=True, mode=0o700)
            with tempfile.NamedTemporaryFile(dir=self.path / "run") as probe:
                probe.write(b"x")
                probe.flush()
        except OSError as error:
            if error.errno == errno.ENOSPC:
                raise self._full(0) from error
            raise Unavailable(
                "data.unwritable",
                f"the data directory {self.path} cannot be written: {error.strerror}",
                "choose a directory you own with --data DIR or PRISMICX_DATA",
            ) from error
        mode = self.path.stat().st_mode & 0o777
        if mode & 0o077:
            raise Unavailable(
                "data.exposed",
                f"the data directory {self.path} is open to others (mode {mode:04o})",
                f"chmod 700 {self.path}, or choose a directory of its own with --data DIR",
            )
        free = shutil.disk_usage(self.path).free
        if free < ROOM_NEEDED:
            raise self._full(free)

    def check_format(self) -> None:
        """See that the directory is of this version, or new.

        Raises:
            Unavailable: ``data.version``.
        """
        marker = self.path / "format.json"
        if not marker.exists():
            marker.write_text(json.dumps({"format": FORMAT}), encoding="utf-8")
            return
        try:
            found = json.loads(marker.read_text(encoding="utf-8"))["format"]
        except (ValueError, KeyError, TypeError) as error:
            raise Unavailable(
                "data.version", f"{marker} is not readable: {error}", "restore it, or choose another --data"
            ) from error
        if found != FORMAT:
            raise Unavailable(
                "data.version",
                f"{self.path} is a data directory of format {found}; this release reads format {FORMAT}",
                "use the release that made it, or choose another --data",
            )

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the directory against other commands that start or stop servers.

        The kernel frees the lock of a killed process, so it cannot go stale.

        Raises:
            Unavailable: ``data.locked`` after two minutes.
        """
        with (self.path / "run" / "lock").open("a+") as handle:
            deadline = time.monotonic() + _LOCK_PATIENCE
            while True:
                try:
                    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > deadline:
                        handle.seek(0)
                        holder = handle.read().strip() or "unknown"
                        raise Unavailable(
                            "data.locked",
                            f"another command (process {holder}) has held {self.path} for long",
                            "wait for it, or end it",
                        ) from None
                    time.sleep(0.05)
            handle.truncate(0)
            handle.write(str(os.getpid()))
            handle.flush()
            yield

    def server(self, name: str) -> Server | None:
        """The server that was remembered under this name, if that very process still runs."""
        server = self._remembered(name)
        return server if server is not None and server.alive() else None

    def last_port(self, name: str) -> int:
        """The port the server had when it last ran; 0 if it never did."""
        server = self._remembered(name)
        return server.port if server is not None else self._ports().get(name, 0)

    def remember(self, name: str, server: Server) -> None:
        """Write down a server that is ready."""
        self._replace(self._record(name), json.dumps(asdict(server)))
        self._replace(self.path / "run" / "ports.json", json.dumps({**self._ports(), name: server.port}))

    def forget(self, name: str) -> None:
        """Drop what was written down."""
        self._record(name).unlink(missing_ok=True)

    def log(self, name: str) -> Path:
        """The log of a server."""
        return self.path / "log" / f"{name}.log"

    def _record(self, name: str) -> Path:
        return self.path / "run" / f"{name}.json"

    def _remembered(self, name: str) -> Server | None:
        try:
            return Server(**json.loads(self._record(name).read_text(encoding="utf-8")))
        except FileNotFoundError:
            return None
        except (ValueError, TypeError):
            return None  # half-written by a killed command: the server is looked for by its port anew

    def _ports(self) -> dict[str, int]:
        try:
            return dict(json.loads((self.path / "run" / "ports.json").read_text(encoding="utf-8")))
        except (FileNotFoundError, ValueError):
            return {}

    @staticmethod
    def _replace(path: Path, text: str) -> None:
        temporary = path.with_suffix(".new")
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)

    def _full(self, free: int) -> Unavailable:
        return Unavailable(
            "data.full",
            f"{self.path} has {free // 1024**2} MiB left; the servers need {ROOM_NEEDED // 1024**2} MiB",
            "free space, or choose another --data",
        )
