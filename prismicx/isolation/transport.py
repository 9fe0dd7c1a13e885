"""Attacks on the transport: URLs that ask for less than verify-full, and connections that get less."""

from __future__ import annotations

from collections.abc import Callable

from prismicx.engines.endpoints import Endpoints, locate_pooler
from prismicx.engines.transport import Transport, of_mongo, of_postgres, weakness
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


def attack_transport(settings: Settings, endpoints: Endpoints, tally: Tally) -> None:
    """Ask for less with the platform's own settings, and look at what its connections have."""
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
    found = {"PostgreSQL": of_postgres(endpoints.postgres.url), "MongoDB": of_mongo(endpoints.mongo.url)}
    pooler = locate_pooler(settings)
    if pooler is not None:
        found["the pooler"] = of_postgres(pooler.url)
    for name, tls in found.items():
        weak = weakness(name, tls)
        tally.note(LIVE, "the platform", name, "connect", weak.message if weak else "")
