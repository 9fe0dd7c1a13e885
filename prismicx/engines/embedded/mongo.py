"""A MongoDB-protocol server on loopback with authentication: ``mongod``, else ``secantusd-rs``, else SecantusDB."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from pymongo import MongoClient
from pymongo.errors import PyMongoError

from prismicx.credentials import Credentials, generate
from prismicx.engines.embedded import process
from prismicx.engines.embedded.directory import DataDirectory
from prismicx.engines.embedded.process import Server
from prismicx.errors import Unavailable
from prismicx.settings import Settings

ADMINISTRATOR = "root"

Client = MongoClient[dict[str, Any]]


def start(directory: DataDirectory, credentials: Credentials, settings: Settings) -> Server:
    """Start the server, making its data and its administrator first where there are none.

    Raises:
        Unavailable: ``engine.not_installed``, ``engine.port_taken``, ``engine.not_started``, ``data.version``.
    """
    engine = _engine(settings.mongo_engine)
    data = directory.path / "mongo"
    _check_engine(data, engine.name)
    data.mkdir(exist_ok=True, mode=0o700)
    first = not (data / "ready").exists()
    last_port = directory.last_port("mongo")
    # The configuration of a replica set holds its port, so mongod must have the one it was made with.
    wanted = last_port if engine.keeps_port and not first else settings.mongo_port
    process.end_orphans(engine.option, str(data / "db"))
    launch = _Launch(directory, data, process.choose_port(wanted, last_port), max(settings.connect_timeout, 30.0))
    if first:
        password = credentials.get("mongo", ADMINISTRATOR) or generate()
        credentials.put("mongo", ADMINISTRATOR, password)
        shutil.rmtree(data / "db", ignore_errors=True)  # what a killed first start left
        engine.initialise(launch, password)
    server = launch.run(engine.command(launch), engine.name)
    if first:
        try:
            _check_alone(launch, password)
        except BaseException:
            stop(server)
            raise
        (data / "ready").touch()
    directory.remember("mongo", server)
    return server


def stop(server: Server) -> None:
    """Stop cleanly."""
    process.terminate(server, signal.SIGTERM, signal.SIGKILL)


@dataclass(frozen=True, slots=True)
class _Launch:
    """One start of one server: where its data and its log are, and where it shall listen."""

    directory: DataDirectory
    data: Path
    port: int
    patience: float

    def run(self, command: list[str], source: str) -> Server:
        log = self.directory.log("mongo")
        server = process.spawn(command, log, self.port, source)
        process.wait_until(self._answers, server, log, self.patience)
        return server

    def client(self, **options: Any) -> Client:
        return MongoClient("127.0.0.1", self.port, directConnection=True, serverSelectionTimeoutMS=1000, **options)

    def _answers(self) -> bool:
        try:
            with self.client() as client:
                return bool(client.admin.command("hello")["ok"])
        except PyMongoError:
            return False


@dataclass(frozen=True, slots=True)
class _Engine:
    name: str
    command: Callable[[_Launch], list[str]]
    initialise: Callable[[_Launch, str], None]
    option: str
    """Before the path of its data."""
    keeps_port: bool = False


# It remembers the answers to 10,000 writes, in case one is sent again, and sorts them with each write: after so many
# writes each one more took 3 ms. A driver sends a write again at once, so fewer will do.
_WHEEL = (
    "from secantus import cli, transactions; transactions._RETRYABLE_RECORD_MAX = 500; raise SystemExit(cli.main())"
)


def _engine(wanted: str) -> _Engine:
    for name, program in (("mongod", shutil.which("mongod")), ("secantusd-rs", shutil.which("secantusd-rs"))):
        if program and wanted in ("auto", name):
            return _mongod(program) if name == "mongod" else _secantus(name, [program])
    if wanted in ("auto", "secantusdb") and find_spec("secantus") is not None:
        return _secantus("secantusdb", [sys.executable, "-c", _WHEEL])
    raise Unavailable(
        "engine.not_installed",
        f"no MongoDB is named and there is no embedded one ({wanted})",
        "pip install 'prismicx[embedded]', put mongod on the PATH, or name a server with --mongo-url",
    )


def _check_engine(data: Path, engine: str) -> None:
    """The engines do not read one another's files; ``data/engine`` says whose they are."""
    marker = data / "engine"
    if marker.exists():
        found = marker.read_text(encoding="utf-8").strip()
        if found != engine:
            raise Unavailable(
                "data.version",
                f"{data} was made by {found}; the server found now is {engine}",
                f"set mongo_engine to {found}, or choose another --data",
            )
        return
    data.mkdir(exist_ok=True, mode=0o700)
    marker.write_text(engine, encoding="utf-8")


def _create_administrator(launch: _Launch, password: str) -> None:
    with launch.client() as client:
        client.admin.command("createUser", ADMINISTRATOR, pwd=password, roles=["root"])


def _check_alone(launch: _Launch, password: str) -> None:
    """Whoever is on this machine could have used the moment before the password: nobody but our administrator
    may exist when it is over."""
    with launch.client(username=ADMINISTRATOR, password=password) as client:
        users = [user["_id"] for user in client.admin.command("usersInfo")["users"]]
        databases = set(client.list_database_names()) - {"admin", "config", "local"}
    if users != [f"admin.{ADMINISTRATOR}"] or databases:
        raise Unavailable(
            "engine.intruded",
            f"somebody else used the new MongoDB before it had a password: {users}, {sorted(databases)}",
            "remove the data directory, see who else is on this machine, and start again",
        )


# --- SecantusDB, in Python or Rust ------------------------------------------------------------------------


def _secantus(name: str, program: list[str]) -> _Engine:
    # The Rust server gives a log file its whole size at once.
    small_log = ["--log-file-max", "16MB"] if name == "secantusd-rs" else []

    def command(launch: _Launch, auth: bool = True) -> list[str]:
        return [
            *program,
            "--host",
            "127.0.0.1",
            "--port",
            str(launch.port),
            "--log-level",
            "WARNING",
            "--storage-path",
            str(launch.data / "db"),
            "--cache-size",
            "256M",
            "--sync-on-commit",  # the Rust server has no other way to keep what it acknowledged when it is killed
            *small_log,
            *(["--auth"] if auth else []),
        ]

    def initialise(launch: _Launch, password: str) -> None:
        """It has no exception for the first login, so its first start is without authentication."""
        server = launch.run(command(launch, auth=False), name)
        try:
            _create_administrator(launch, password)
        finally:
            stop(server)

    return _Engine(name, command, initialise, "--storage-path")


# --- MongoDB itself ---------------------------------------------------------------------------------------


def _mongod(program: str) -> _Engine:
    def command(launch: _Launch) -> list[str]:
        return [
            program,
            "--bind_ip",
            "127.0.0.1",
            "--port",
            str(launch.port),
            "--dbpath",
            str(launch.data / "db"),
            "--replSet",
            "prismicx",
            "--auth",
            "--keyFile",
            str(launch.data / "keyfile"),
            "--quiet",
            "--wiredTigerCacheSizeGB",
            "0.25",
            "--unixSocketPrefix",
            str(launch.data),
        ]

    def initialise(launch: _Launch, password: str) -> None:
        """A replica set of one, since transactions need one; the localhost exception makes the first user."""
        (launch.data / "db").mkdir(mode=0o700)
        descriptor = os.open(launch.data / "keyfile", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as keyfile:
            keyfile.write(secrets.token_urlsafe(96).replace("-", "a").replace("_", "b"))
        server = launch.run(command(launch), "mongod")
        try:
            with launch.client() as client:
                member = {"_id": 0, "host": f"127.0.0.1:{launch.port}"}
                client.admin.command("replSetInitiate", {"_id": "prismicx", "members": [member]})
                process.wait_until(
                    lambda: bool(client.admin.command("hello").get("isWritablePrimary")),
                    server,
                    launch.directory.log("mongo"),
                    launch.patience,
                )
            _create_administrator(launch, password)
        finally:
            stop(server)

    return _Engine("mongod", command, initialise, "--dbpath", keeps_port=True)
