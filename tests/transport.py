"""Certificates of an authority made for a test, and a server that adds TLS to another, as PgBouncer or stunnel do."""

from __future__ import annotations

import contextlib
import os
import secrets
import select
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import sys
import threading
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import trustme
from pymongo import MongoClient

from prismicx.engines.embedded import postgres as embedded_postgres
from prismicx.engines.embedded import process

_SSL_REQUEST = struct.pack("!ll", 8, 80877103)


def own_address() -> str | None:
    """An address of this machine that is not loopback; None where there is none."""
    for addresses in psutil.net_if_addrs().values():
        for item in addresses:
            if item.family.name == "AF_INET" and not item.address.startswith("127."):
                return str(item.address)
    return None


@dataclass(frozen=True)
class Authority:
    """Two authorities, and server certificates, each a PEM file with its key.

    Attributes:
        ca: the authority that is trusted.
        good: for localhost and every address of this machine.
        named: for the name ``localhost`` only.
        wrong_host: for another name.
        expired: was good until yesterday.
        foreign: good, but by the other authority.
        client: a client's certificate.
    """

    ca: Path
    good: Path
    named: Path
    wrong_host: Path
    expired: Path
    foreign: Path
    client: Path


def make_authority(folder: Path) -> Authority:
    ours, other = trustme.CA(), trustme.CA()
    names = ["localhost", "127.0.0.1", *([address] if (address := own_address()) else [])]

    def file(name: str, issued: trustme.LeafCert) -> Path:
        path = folder / f"{name}.pem"
        issued.private_key_and_cert_chain_pem.write_to_path(str(path))
        path.chmod(0o600)
        return path

    ca = folder / "ca.pem"
    ours.cert_pem.write_to_path(str(ca))
    return Authority(
        ca,
        file("good", ours.issue_cert(*names, not_after=datetime(2051, 2, 3, 4, 5, tzinfo=UTC))),
        file("named", ours.issue_cert("localhost")),
        file("wrong_host", ours.issue_cert("elsewhere.example")),
        file("expired", ours.issue_cert(*names, not_after=datetime.now(UTC) - timedelta(days=1))),
        file("foreign", other.issue_cert(*names)),
        file("client", ours.issue_cert("client@example.test")),
    )


class Front:
    """A server that adds TLS to another one on this machine, with real handshakes.

    Attributes:
        port: where it listens.
        plain: what clients sent without TLS.
    """

    def __init__(
        self,
        behind: int,
        certificate: Path | None,
        *,
        postgres: bool,
        host: str = "127.0.0.1",
        newest: ssl.TLSVersion | None = None,
        clients_of: Path | None = None,
    ) -> None:
        """TLS in front of the port ``behind``; without a certificate it speaks none.

        Args:
            postgres: PostgreSQL's clients ask for TLS by a message before the handshake; without a certificate the
                answer is N.
            newest: the newest version it speaks.
            clients_of: take only clients with a certificate of this authority.
        """
        self._behind, self._postgres, self.plain = behind, postgres, b""
        self._context = _server_context(certificate, newest, clients_of) if certificate else None
        self._listener = socket.create_server((host, 0))
        self.port: int = self._listener.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept, daemon=True)]

    def __enter__(self) -> Front:
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(5)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._serve, args=[client], daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, client: socket.socket) -> None:
        # A client that gives up in the middle is what many tests are about.
        with contextlib.suppress(OSError), contextlib.ExitStack() as stack:
            stack.callback(lambda: client.close())
            first = b""
            if self._postgres:
                first = client.recv(8, socket.MSG_WAITALL)
                if first == _SSL_REQUEST:
                    client.sendall(b"S" if self._context else b"N")
                    first = b""
                    if self._context:
                        client = self._context.wrap_socket(client, server_side=True)
            elif self._context:
                client = self._context.wrap_socket(client, server_side=True)
            server = stack.enter_context(socket.create_connection(("127.0.0.1", self._behind)))
            self._note(client, first)
            server.sendall(first)
            while True:
                waiting = isinstance(client, ssl.SSLSocket) and client.pending()
                ready = [client] if waiting else select.select([client, server], [], [], 0.2)[0]
                if self._listener.fileno() < 0:
                    return
                for source, target in ((client, server), (server, client)):
                    if source in ready:
                        data = source.recv(65536)
                        if not data:
                            return
                        if source is client:
                            self._note(client, data)
                        target.sendall(data)

    def _note(self, client: socket.socket, data: bytes) -> None:
        if not isinstance(client, ssl.SSLSocket):
            self.plain += data


def _server_context(certificate: Path, newest: ssl.TLSVersion | None, clients_of: Path | None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    if newest is not None:
        context.set_ciphers("ALL:@SECLEVEL=0")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # old versions are what it is for
            context.minimum_version = ssl.TLSVersion.TLSv1
            context.maximum_version = newest
    if clients_of is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(clients_of)
    return context


@dataclass(frozen=True)
class Running:
    """A server with TLS on every address of this machine.

    Attributes:
        url: with an administrator's login, and HOST for the host.
    """

    url: str

    def at(self, host: str, options: str = "") -> str:
        url = self.url.replace("HOST", host)
        return f"{url}{'&' if '?' in url else '?'}{options}" if options else url


@contextlib.contextmanager
def debian_postgres(binaries: Path, folder: Path, certificate: Path) -> Iterator[Running]:
    """PostgreSQL of a distribution, which takes TLS connections only."""
    port, password, data = process.choose_port(0), secrets.token_urlsafe(12), folder / "postgres"
    runner = embedded_postgres._runner(folder, binaries)
    data.mkdir(mode=0o700)
    secret = folder / "secret"
    secret.write_text(password)
    key = folder / "server.pem"
    shutil.copy(certificate, key)
    for path in (data, secret, key):
        if runner.user is not None:
            os.chown(path, runner.user, runner.user)
        path.chmod(0o700 if path.is_dir() else 0o600)
    command = [*runner.prefix, str(binaries / "initdb"), "-D", str(data), "-U", "postgres", "--auth=scram-sha-256"]
    subprocess.run(
        [*command, f"--pwfile={secret}", "--locale=C.UTF-8", "--encoding=UTF8"],
        check=True, capture_output=True, user=runner.user, group=runner.user, cwd="/",
    )  # fmt: skip
    (data / "pg_hba.conf").write_text("hostssl all all all scram-sha-256\n")
    options = {
        "port": str(port), "listen_addresses": "0.0.0.0", "unix_socket_directories": "", "ssl": "on",
        "ssl_cert_file": str(key), "ssl_key_file": str(key),
    }  # fmt: skip
    words = [f"-c{name}={value}" for name, value in options.items()]
    log = folder / "postgres.log"
    server = process.spawn(
        [*runner.prefix, str(binaries / "postgres"), "-D", str(data), *words], log, port, "postgres", user=runner.user
    )
    try:
        process.wait_until(lambda: embedded_postgres._answers(binaries, port), server, log, 30.0)
        yield Running(f"postgresql://postgres:{password}@HOST:{port}/postgres")
    finally:
        embedded_postgres.stop(server)


@contextlib.contextmanager
def pgbouncer(program: str, folder: Path, certificate: Path, behind: str) -> Iterator[Running]:
    """PgBouncer before a server, with TLS for its clients."""
    port, parts = process.choose_port(0), urlsplit(behind)
    users, settings, log = folder / "users.txt", folder / "pgbouncer.ini", folder / "pgbouncer.log"
    users.write_text(f'"{parts.username}" "{parts.password}"\n')
    settings.write_text(
        f"[databases]\n* = host=127.0.0.1 port={parts.port}\n[pgbouncer]\nlisten_addr = 0.0.0.0\nlisten_port = {port}\n"
        f"auth_type = scram-sha-256\nauth_file = {users}\nclient_tls_sslmode = require\n"
        f"client_tls_key_file = {certificate}\nclient_tls_cert_file = {certificate}\nunix_socket_dir =\n"
        "ignore_startup_parameters = extra_float_digits\n"
    )
    runner = embedded_postgres._runner(folder, Path(program).parent)
    if runner.user is not None:
        for path in (users, certificate):
            os.chown(path, runner.user, runner.user)
    server = process.spawn([*runner.prefix, program, str(settings)], log, port, "pgbouncer", user=runner.user)
    try:
        process.wait_until(lambda: listens(port), server, log, 30.0)
        yield Running(f"postgresql://{parts.username}:{parts.password}@HOST:{port}/postgres")
    finally:
        process.terminate(server, signal.SIGINT, signal.SIGKILL)


@contextlib.contextmanager
def mongo_everywhere(folder: Path, certificate: Path | None) -> Iterator[Running]:
    """The embedded server of MongoDB's protocol on every address, with TLS unless there is no certificate; its first
    user is made before."""
    port, password, log = process.choose_port(0), secrets.token_urlsafe(12), folder / "mongo.log"
    program = [sys.executable, "-c", "from secantus.cli import main; raise SystemExit(main())"]
    words = ["--port", str(port), "--storage-path", str(folder / "db"), "--log-level", "WARNING"]
    tls = ["--tls-cert-file", str(certificate), "--tls-key-file", str(certificate)] if certificate else []
    for options in (["--host", "127.0.0.1"], ["--host", "0.0.0.0", "--auth", *tls]):
        server = process.spawn([*program, *words, *options], log, port, "secantusdb")
        try:
            process.wait_until(lambda: listens(port), server, log, 60.0)
            if "--auth" in options:
                yield Running(f"mongodb://root:{password}@HOST:{port}/?directConnection=true&authSource=admin")
            else:
                with MongoClient("127.0.0.1", port, directConnection=True) as client:
                    client.admin.command("createUser", "root", pwd=password, roles=["root"])
        finally:
            process.terminate(server, signal.SIGTERM, signal.SIGKILL)


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
