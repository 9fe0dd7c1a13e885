"""The process that forks: it reads the code once, and for each command that asks forks a process that is the command
and one that waits for it."""

from __future__ import annotations

import importlib
import json
import os
import select
import signal
import socket
import sys
from typing import NoReturn

_READ = ["prismicx.platform", "prismicx.scopes", "prismicx.fleet.fleet", "prismicx.isolation.selftest"] + [
    f"prismicx.cli.{name}" for name in (
        "audit", "category", "credentials", "db", "engines", "extension", "fleet", "insight", "isolation", "key",
        "preference", "task", "tenant", "user",
    )
]  # fmt: skip


def serve(path: str) -> None:
    """Fork until standard input ends."""
    for name in _READ:
        importlib.import_module(name)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(path)
        listening.listen(64)
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # those that wait are waited for by nobody
        while True:
            ready, _, _ = select.select([listening, 0], [], [])
            if 0 in ready:
                return
            link, _ = listening.accept()
            if os.fork() == 0:
                listening.close()
                _attend(link)
            link.close()


def _attend(link: socket.socket) -> NoReturn:
    """Fork the command, and tell who asked how it ended; when who asked is killed, so is the command."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    _, streams, _, _ = socket.recv_fds(link, 1, 3)
    with link.makefile("r") as lines:
        told = json.loads(lines.readline())
    child = os.fork()
    if child == 0:
        _become(link, streams, told)
    for stream in streams:
        os.close(stream)
    ended = os.pidfd_open(child)
    ready, _, _ = select.select([ended, link], [], [])
    if ended not in ready:
        os.kill(child, signal.SIGKILL)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if ended in ready:
        link.sendall(str(code if code >= 0 else 128 - code).encode())
    os._exit(0)


def _become(link: socket.socket, streams: list[int], told: dict[str, object]) -> NoReturn:
    """Be the command, as a process that was started for it would be."""
    link.close()
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    # Those of the process that forks were made for its own.
    sys.stdin = os.fdopen(0, "r", encoding="utf-8", closefd=False)
    sys.stdout = os.fdopen(1, "w", encoding="utf-8", closefd=False)
    sys.stderr = os.fdopen(2, "w", 1, encoding="utf-8", errors="backslashreplace", closefd=False)
    os.environ.clear()
    os.environ.update(told["environ"])  # type: ignore[call-overload]
    os.chdir(str(told["cwd"]))
    sys.argv = ["prismicx", *told["words"]]  # type: ignore[misc]
    code = 1
    try:
        from prismicx.cli import main

        main(prog_name="prismicx")
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    serve(sys.argv[1])
