"""Processes that outlive the command that started them, and how to know them again."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from prismicx.errors import Unavailable


@dataclass(frozen=True, slots=True)
class Server:
    """A server of a data directory.

    Attributes:
        pid: its process; only together with ``started`` is it known again, since numbers are reused.
        started: when the process began, seconds since the epoch as the kernel counts them.
        port: where it listens, on 127.0.0.1.
        source: which program it is, for people.
    """

    pid: int
    started: float
    port: int
    source: str

    def alive(self) -> bool:
        """Whether that very process still runs."""
        try:
            process = psutil.Process(self.pid)
            same = abs(process.create_time() - self.started) < 1.0
            return same and process.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False


def spawn(
    command: Sequence[str],
    log: Path,
    port: int,
    source: str,
    environment: dict[str, str] | None = None,
    given: bytes = b"",
    user: int | None = None,
) -> Server:
    """Start a server in a session of its own, so that the terminal's signals do not reach it.

    Args:
        given: what it reads from its standard input. Others can read its arguments and environment.
        log: gets what the server prints; appended to, mode 0600.
        user: user and group number to run as; None for the caller's own.
    """
    # Our settings hold logins, and a server needs none of them.
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PRISMICX_")}
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        with tempfile.TemporaryFile() as giving:  # it has no name, and goes with the process
            giving.write(given)
            giving.seek(0)
            process = subprocess.Popen(
                list(command),
                stdin=giving,
                stdout=descriptor,
                stderr=descriptor,
                start_new_session=True,
                env={**inherited, **(environment or {})},
                cwd="/",
                user=user,
                group=user,
                extra_groups=[] if user is not None else None,
            )
    except OSError as error:
        raise Unavailable("engine.not_started", f"{command[0]}: {error}", f"see {log}") from error
    finally:
        os.close(descriptor)
    process.returncode = 0  # it outlives this command on purpose: no warning when the handle goes
    return Server(process.pid, psutil.Process(process.pid).create_time(), port, source)


def wait_until(ready: Callable[[], bool], server: Server, log: Path, seconds: float) -> None:
    """Wait for a server to answer.

    Raises:
        Unavailable: ``engine.not_started`` with the last words of its log, when it ends or the time runs out.
    """
    deadline = time.monotonic() + seconds
    while not ready():
        _reap(server.pid)
        if not server.alive() or time.monotonic() > deadline:
            terminate(server, signal.SIGKILL)
            raise Unavailable("engine.not_started", f"{server.source} did not start: {_last_words(log)}", f"see {log}")
        time.sleep(0.05)


def terminate(server: Server, *signals: signal.Signals, patience: float = 20.0) -> None:
    """Send the signals one after another, each with its time to act, until the process has ended."""
    for number in signals:
        if not server.alive():
            return
        os.kill(server.pid, number)
        deadline = time.monotonic() + patience
        while server.alive() and time.monotonic() < deadline:
            _reap(server.pid)
            time.sleep(0.02)


def end_orphans(*words: str, first: signal.Signals = signal.SIGTERM, patience: float = 20.0) -> None:
    """End the processes that were given these very arguments one after another, such as an option and the path of a
    server's data: a command that was killed after it had started a server leaves one that nobody knows of.

    Args:
        first: what asks them to end; what is left after ``patience`` seconds is killed.
    """
    found = []
    for other in psutil.process_iter(["cmdline"]):
        given = other.info["cmdline"] or ()
        if any(tuple(given[at : at + len(words)]) == words for at in range(len(given))):
            found.append(other)
    for number in (first, signal.SIGKILL):
        for other in found:
            with suppress(psutil.NoSuchProcess):
                other.send_signal(number)
        _, found = psutil.wait_procs(found, timeout=patience)


def choose_port(wanted: int, remembered: int = 0) -> int:
    """The wanted port, else the one used before if it is free, else any free one.

    Raises:
        Unavailable: ``engine.port_taken`` when the wanted port is in use.
    """
    if wanted:
        if not _is_free(wanted):
            raise Unavailable(
                "engine.port_taken",
                f"port {wanted} on 127.0.0.1 is in use",
                "choose another port, or 0 for a free one",
            )
        return wanted
    if remembered and _is_free(remembered):
        return remembered
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _reap(pid: int) -> None:
    """Collect a child that ended, so that it does not look alive as a zombie."""
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return


def _last_words(log: Path, limit: int = 600) -> str:
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    except OSError as error:
        return str(error)
    return " / ".join(lines[-4:])[-limit:] or "it printed nothing"
