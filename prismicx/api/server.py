"""Serving the HTTP door: in this process, or in one of its own."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
from dataclasses import asdict
from importlib.util import find_spec

import psutil

from prismicx.engines.embedded import process
from prismicx.engines.embedded.directory import DataDirectory
from prismicx.engines.embedded.process import Server
from prismicx.errors import Unavailable
from prismicx.settings import Settings

NAME = "api"


def serve(settings: Settings, port: int) -> None:
    """Serve in this process until a signal ends it, known under the data directory meanwhile.

    Raises:
        Unavailable: ``engine.not_installed``.
    """
    _check_installed()
    import uvicorn

    from prismicx.api.app import create_app

    directory = DataDirectory(settings.data)
    pid = os.getpid()
    directory.remember(NAME, Server(pid, psutil.Process(pid).create_time(), port, "uvicorn"))
    try:
        uvicorn.run(create_app(settings), host="127.0.0.1", port=port, log_level="warning")
    finally:
        directory.forget(NAME)


def detach(settings: Settings) -> str:
    """Serve in a process of its own, unless one does already; gives its URL.

    Raises:
        Unavailable: ``engine.not_installed``, ``engine.port_taken`` or ``engine.not_started``.
    """
    _check_installed()
    directory = DataDirectory(settings.data)
    with directory.lock():
        running = directory.server(NAME)
        if running is None:
            port = choose_port(settings)
            # By standard input: settings may hold URLs with logins, and others read arguments and environments.
            held = {name: str(value) for name, value in asdict(settings).items()}
            running = process.spawn(
                [sys.executable, "-m", "prismicx.api.server", str(port)],
                directory.log(NAME),
                port,
                "uvicorn",
                given=json.dumps(held).encode(),
            )
            process.wait_until(lambda: _listens(port), running, directory.log(NAME), 30.0)
            directory.remember(NAME, running)
    return f"http://127.0.0.1:{running.port}"


def stop(settings: Settings) -> bool:
    """End the process that serves the data directory; True if there was one."""
    directory = DataDirectory(settings.data)
    server = directory.server(NAME)
    if server is not None:
        process.terminate(server, signal.SIGTERM, signal.SIGKILL, patience=5.0)
    directory.forget(NAME)
    return server is not None


def choose_port(settings: Settings) -> int:
    """The port of the settings, else the one used last, else a free one.

    Raises:
        Unavailable: ``engine.port_taken``.
    """
    return process.choose_port(settings.port, DataDirectory(settings.data).last_port(NAME))


def installed() -> bool:
    """Whether the HTTP door can be served."""
    return find_spec("fastapi") is not None and find_spec("uvicorn") is not None


def _check_installed() -> None:
    if not installed():
        raise Unavailable(
            "engine.not_installed", "the HTTP API is not installed", "pip install 'prismicx[server]', or leave --port"
        )


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex(("127.0.0.1", port)) == 0


if __name__ == "__main__":
    from prismicx.settings import load

    serve(load(json.load(sys.stdin), environ={}).settings, int(sys.argv[1]))
