"""Attacks on the transport: URLs that ask for less than verify-full, and connections that get less."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import asyncpg
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from pymongo import AsyncMongoClient
from pymongo.errors import PyMongoError

from prismicx.engines import handshake
from prismicx.engines.endpoints import Endpoints, locate_pooler, login_of
from prismicx.engines.transport import Host, Tls, Transport, of_mongo, of_postgres, weakness
from prismicx.errors import InvalidInput
from prismicx.isolation.values import Check, Tally
from prismicx.settings import Settings

DEMANDED = Check("transport.demanded", "Transport", "No URL gets less than TLS with a verified name off loopback")
LIVE = Check("transport.live", "Transport", "The connections in use are on loopback, or encrypted and verified")
CHECKS = (DEMANDED, LIVE)

_HOSTS = ("db.example.test", "10.1.2.3", "localhost,db.example.test", "127.0.0.1,10.1.2.3", "[2001:db8::1]")
_POSTGRES = ("sslmode=disable", "sslmode=allow", "sslmode=prefer", "sslmode=require", "sslmode=verify-ca")
_MONGO = (
    "tls=false", "ssl=false", "tls=true&tlsInsecure=true", "tls=true&tlsAllowInvalidCertificates=true",
    "tls=true&tlsAllowInvalidHostnames=true",
)  # fmt: skip


def attack_urls(settings: Settings, tally: Tally) -> None:
    """Ask for less with the platform's own settings."""
    rule = Transport.of(settings)
    kinds: tuple[tuple[str, Callable[[str], str], tuple[str, ...]], ...] = (
        ("postgresql", rule.postgres, _POSTGRES),
        ("mongodb", rule.mongo, _MONGO),
    )
    for scheme, given, options in kinds:
        for hosts in _HOSTS:
            for option in options:
                try:
                    given(f"{scheme}://{hosts}/x?{option}")
                except InvalidInput:
                    how = ""
                else:
                    how = f"to {hosts} with transport = {settings.transport}"
                tally.note(DEMANDED, "a URL", scheme, option, how)


async def attack_connections(settings: Settings, endpoints: Endpoints, tally: Tally) -> None:
    """Look at what the platform's connections have; where that is TLS, connect without it, and with a trust in nobody
    but an authority of one's own."""
    pooler = locate_pooler(settings)
    urls = {"PostgreSQL": endpoints.postgres.url, **({"the pooler": pooler.url} if pooler else {})}
    found = {name: of_postgres(url) for name, url in urls.items()} | {"MongoDB": of_mongo(endpoints.mongo.url)}
    for name, tls in found.items():
        weak = weakness(name, tls)
        tally.note(LIVE, "the platform", name, "connect", weak.message if weak else "")
        if not tls.encrypted:
            tally.leave(f"{name} without TLS, or by another authority", "not applicable: loopback")
            continue
        for host in tls.hosts:
            if host.name.startswith("/") or host.port is None:
                continue
            postgres = name != "MongoDB"
            how = await _by_another(host, tls, postgres, settings.connect_timeout)
            tally.note(LIVE, "somebody in between", name, "show a certificate of another authority", how)
            without = _plain_postgres(host, urls[name]) if postgres else _plain_mongo(host, endpoints.mongo.url)
            tally.note(LIVE, "a client", name, "connect without TLS", await _without(without, settings.connect_timeout))


async def _by_another(host: Host, tls: Tls, postgres: bool, seconds: float) -> str:
    """How a server passed whose certificate is, for this client, by an authority that it does not trust."""
    with tempfile.NamedTemporaryFile("wb", suffix=".pem") as file:
        file.write(_authority())
        file.flush()
        try:
            await handshake.shake(host, replace(tls, ca=file.name), postgres=postgres, timeout=seconds)
        except (handshake.Refused, OSError):
            return ""
    return "it was taken"


async def _without(attempt: Awaitable[Any], seconds: float) -> str:
    try:
        async with asyncio.timeout(seconds):
            await attempt
    except (OSError, TimeoutError, asyncpg.PostgresError, PyMongoError):
        return ""
    return "the server took it"


async def _plain_postgres(host: Host, url: str) -> None:
    login = login_of(url)
    connection = await asyncpg.connect(
        host=host.name, port=host.port, user=login.login, password=str.__str__(login.password), ssl=False,
        database=urlsplit(url).path.strip("/"),
    )  # fmt: skip
    await connection.close()


async def _plain_mongo(host: Host, url: str) -> None:
    login = login_of(url)
    client: AsyncMongoClient[Any] = AsyncMongoClient(
        host.name, host.port, tls=False, username=login.login, password=str.__str__(login.password),
        directConnection=True, serverSelectionTimeoutMS=2000,
    )  # fmt: skip
    try:
        await client.admin.command("ping")
    finally:
        await client.close()


def _authority() -> bytes:
    """The certificate of an authority that nobody knows."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "isolation verify")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    return made.public_bytes(serialization.Encoding.PEM)
