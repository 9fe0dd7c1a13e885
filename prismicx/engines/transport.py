"""The one rule of transport: what TLS a connection uses, from its URL and the settings.

On loopback and Unix sockets a URL gets what it asks for, and no TLS if it says nothing. To any other host it gets
``verify-full``: TLS, a certificate by a trusted authority, for the host's name; a URL that asks for less is refused.
The setting ``transport`` lowers that for every URL at once, and `weakness` names it. Whether a host is loopback is
read from the URL, never asked of a name server. Of a URL with several hosts every one counts.

`Transport` writes the outcome into the URL, so that each URL made from it carries it; a URL that never went through
it and says nothing gets ``verify-full`` all the same.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from ipaddress import ip_address, ip_network
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlencode, urlsplit, urlunsplit

from prismicx.errors import InvalidInput, Unavailable, quoted
from prismicx.settings import Settings

LEVELS = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
"""What a connection may ask for, each more than the one before, in PostgreSQL's words."""

_LOOPBACK = (ip_network("127.0.0.0/8"), ip_network("::1/128"))
_POSTGRES_OPTIONS = {"sslmode", "sslrootcert", "sslcert", "sslkey", "sslpassword", "sslnegotiation"}
_LOCAL_FILES = {"tlscafile", "tlscertificatekeyfile", "tlscertificatekeyfilepassword", "tlscrlfile"}


@dataclass(frozen=True, slots=True)
class Host:
    """One host of a URL; a Unix socket is its path. Without a port the name is to be looked up for hosts."""

    name: str
    port: int | None

    @property
    def local(self) -> bool:
        """Whether it is this machine by the words of the URL: a socket, ``localhost``, 127.0.0.0/8 or ::1."""
        return _is_local(self.name)


@dataclass(frozen=True, slots=True)
class Tls:
    """What a URL says of TLS.

    Attributes:
        asked: one of `LEVELS`; None where it says nothing.
        ca: file of the authorities to trust; empty for the system's.
        certificate, key, key_password: the client's own certificate; an empty key is in the certificate's file.
    """

    hosts: tuple[Host, ...]
    asked: str | None
    ca: str = ""
    certificate: str = ""
    key: str = ""
    key_password: str = ""

    @property
    def remote(self) -> list[str]:
        """The hosts that are not this machine."""
        return [host.name for host in self.hosts if not host.local]

    @property
    def level(self) -> str:
        """What the connection gets, one of `LEVELS`."""
        return self.asked or ("verify-full" if self.remote else "disable")

    @property
    def encrypted(self) -> bool:
        """Whether nothing can be sent without TLS."""
        return _at_least(self.level, "require")


@dataclass(frozen=True, slots=True)
class Transport:
    """What the settings demand of connections that leave this machine.

    Attributes:
        mode: the least they get: ``verify-full``, ``verify-ca``, or ``insecure`` for whatever the URL says.
        ca, certificate: files for URLs that name none.
    """

    mode: str = "verify-full"
    ca: str = ""
    certificate: str = ""

    @staticmethod
    def of(settings: Settings) -> Transport:
        return Transport(settings.transport, settings.tls_ca, settings.tls_cert)

    def postgres(self, url: str, name: str = "postgres_url") -> str:
        """The URL with what it gets written into it.

        Args:
            name: what the URL is, for the message.

        Raises:
            InvalidInput: ``transport.insecure`` when it asks for less than it must.
            Unavailable: ``postgres.url_invalid``.
        """
        tls = of_postgres(url)
        level = self._level(tls, name, "sslmode=verify-full")
        added = {} if level == tls.level == "disable" and not tls.remote else {"sslmode": level}
        if _at_least(level, "require"):
            added |= {} if tls.ca or not self.ca else {"sslrootcert": self.ca}
            added |= {} if tls.certificate or not self.certificate else {"sslcert": self.certificate}
        return _with_options(url, added)

    def mongo(self, url: str, name: str = "mongo_url") -> str:
        """The URL with what it gets written into it.

        Args:
            name: what the URL is, for the message.

        Raises:
            InvalidInput: ``transport.insecure`` when it asks for less than it must.
            Unavailable: ``mongo.url_invalid``.
        """
        tls = of_mongo(url)
        level = self._level(tls, name, "tls=true")
        options = _mongo_options(url)
        added: dict[str, str] = {}
        if _at_least(level, "require"):
            added["tls"] = "true"
            if self.mode == "verify-ca" and tls.remote and "tlsallowinvalidhostnames" not in options:
                added["tlsAllowInvalidHostnames"] = "true"
            added |= {} if tls.ca or not self.ca else {"tlsCAFile": self.ca}
            added |= {} if tls.certificate or not self.certificate else {"tlsCertificateKeyFile": self.certificate}
        elif tls.remote:
            added["tls"] = "false"
        return _with_options(url, {key: value for key, value in added.items() if key.lower() not in options})

    def _level(self, tls: Tls, name: str, remedy: str) -> str:
        if not tls.remote:
            return tls.level
        if self.mode == "insecure":
            return tls.asked or "disable"
        if tls.asked is None:
            return self.mode
        if not _at_least(tls.asked, self.mode):
            where = ", ".join(map(quoted, tls.remote))
            raise InvalidInput(
                "transport.insecure",
                f"{name} asks for {tls.asked} to {where}; off loopback the least is {self.mode}",
                f"say {remedy} or nothing, and name the authority with tls_ca; "
                "the setting transport lowers the rule for all connections",
            )
        return tls.asked


def of_postgres(url: str) -> Tls:
    """What a URL of PostgreSQL says of TLS.

    Raises:
        Unavailable: ``postgres.url_invalid``.
    """
    try:
        parts = _split(url)
        options = dict(parse_qsl(parts.query, keep_blank_values=True))
        hosts = tuple(_postgres_hosts(parts, options))
    except ValueError as error:
        raise Unavailable("postgres.url_invalid", f"the PostgreSQL URL: {error}", "mend --postgres-url") from error
    asked = options.get("sslmode")
    unknown = [key for key in options if key.startswith("ssl") and key not in _POSTGRES_OPTIONS]
    if unknown or (asked is not None and asked not in LEVELS):
        wrong = f"sslmode {quoted(asked)}" if not unknown else unknown[0]
        raise Unavailable(
            "postgres.url_invalid",
            f"the PostgreSQL URL has {wrong}, which is not supported",
            f"sslmode is one of {', '.join(LEVELS)}; options are {', '.join(sorted(_POSTGRES_OPTIONS))}",
        )
    ca = options.get("sslrootcert", "")
    if asked == "require" and ca:
        asked = "verify-ca"  # as PostgreSQL's own clients do
    files = (options.get(name, "") for name in ("sslcert", "sslkey", "sslpassword"))
    return Tls(hosts, asked, "" if ca == "system" else ca, *files)


def of_mongo(url: str) -> Tls:
    """What a URL of MongoDB says of TLS; a name that is looked up (``mongodb+srv``) is never this machine.

    Raises:
        Unavailable: ``mongo.url_invalid``.
    """
    options = _mongo_options(url)
    parts = _split(url)
    names = [*parts.netloc.rpartition("@")[2].split(","), *([options["proxyhost"]] if "proxyhost" in options else [])]
    try:
        looked_up = parts.scheme == "mongodb+srv"
        hosts = tuple(_host(name, None if looked_up else 27017) for name in names)
    except ValueError as error:
        raise Unavailable("mongo.url_invalid", f"the MongoDB URL: {error}", "mend --mongo-url") from error
    said = [options[key] == "true" for key in ("tls", "ssl") if key in options]
    # The driver takes any of these as asking for TLS.
    implied = looked_up or any(key.startswith("tls") for key in options)
    asked = None
    if said and not all(said):
        asked = "disable"
    elif said or implied:
        weak = {key for key in options if key.startswith("tls") and options[key] != "false"}
        if weak & {"tlsinsecure", "tlsallowinvalidcertificates"}:
            asked = "require"
        else:
            asked = "verify-ca" if "tlsallowinvalidhostnames" in weak else "verify-full"
    ca, certificate = (options.get(name, "") for name in ("tlscafile", "tlscertificatekeyfile"))
    return Tls(hosts, asked, ca, certificate, key_password=options.get("tlscertificatekeyfilepassword", ""))


def portable(url: str) -> str:
    """A URL of MongoDB without the names of files, which are this machine's: to be kept where others read it."""
    parts = urlsplit(url)
    kept = [(key, value) for key, value in parse_qsl(parts.query) if key.lower() not in _LOCAL_FILES]
    return urlunsplit(parts._replace(query=_query(kept)))


def like(url: str, other: str) -> str:
    """A URL of MongoDB with what it does not say of TLS taken from another one."""
    said = _mongo_options(url)
    options = parse_qsl(urlsplit(other).query)
    taken = {key: value for key, value in options if key.lower().startswith("tls") and key.lower() not in said}
    return _with_options(url, {} if "ssl" in said else taken)


def weakness(engine: str, tls: Tls) -> InvalidInput | None:
    """What is wrong with a connection that leaves this machine, because the setting ``transport`` lets it.

    Args:
        engine: its name, for the message.
    """
    if not tls.remote or tls.level == "verify-full":
        return None
    lacks = {
        "verify-ca": "does not check that the certificate is for the host",
        "require": "takes any certificate: whoever is in between reads and changes everything",
    }.get(tls.level, "may go without TLS: whoever is in between reads and changes everything")
    return InvalidInput(
        "transport.weak",
        f"the connection to {engine} at {', '.join(tls.remote)} {lacks}",
        "remove the setting transport, name the authority with tls_ca, and do not ask for less in the URL",
    )


@cache  # the names of a few servers, asked for with every operation of MongoDB
def _is_local(name: str) -> bool:
    if name.startswith("/") or name.lower() == "localhost":
        return True
    try:
        address = ip_address(name)
    except ValueError:
        return False
    return any(address in network for network in _LOOPBACK)


def _at_least(level: str, other: str) -> bool:
    return LEVELS.index(level) >= LEVELS.index(other)


def _split(url: str) -> SplitResult:
    """As the standard library, for URLs that the drivers split alike."""
    if "#" in url:
        raise ValueError("it has a '#'; in a password that is written %23")
    return urlsplit(url)


def _mongo_options(url: str) -> Mapping[str, str]:
    try:
        parts = _split(url)
        if ";" in parts.query:
            raise ValueError("its options are parted by ';'; use '&'")
    except ValueError as error:
        raise Unavailable("mongo.url_invalid", f"the MongoDB URL: {error}", "mend --mongo-url") from error
    return {key.lower(): value for key, value in parse_qsl(parts.query, keep_blank_values=True)}


def _postgres_hosts(parts: SplitResult, options: Mapping[str, str]) -> Iterator[Host]:
    """The hosts that the driver will try: of the URL, else of the environment, else of this machine."""
    if "service" in options:
        raise ValueError("it names a service, whose file may name any host; name the host in the URL")
    # The driver parts the login from the hosts at the first '@'.
    before, at, after = parts.netloc.partition("@")
    if named := (after if at else before):
        yield from (_host(name, 5432) for name in named.split(","))
        return
    named = options.get("host", "")
    if not named and os.environ.get("PGSERVICE"):
        raise ValueError("it names no host, and PGSERVICE a service, whose file may; name the host in the URL")
    named = named or os.environ.get("PGHOST", "")
    ports = options.get("port", "5432").split(",")
    for number, name in enumerate(named.split(",") if named else ()):
        yield _host(name, int(ports[number] if number < len(ports) else ports[0]))


def _host(text: str, port: int | None) -> Host:
    if text.startswith("["):
        name, _, rest = text[1:].partition("]")
        number = rest.removeprefix(":")
    elif text.startswith("/"):
        return Host(text, port)
    else:
        name, _, number = text.partition(":")
    return Host(unquote(name), int(number) if number else port)


def _with_options(url: str, options: Mapping[str, str]) -> str:
    if not options:
        return url
    parts = urlsplit(url)
    kept = [(key, value) for key, value in parse_qsl(parts.query, keep_blank_values=True) if key not in options]
    path = parts.path or ("/" if parts.scheme.startswith("mongodb") else "")  # which they need before their options
    return urlunsplit(parts._replace(path=path, query=_query([*kept, *options.items()])))


def _query(options: list[tuple[str, str]]) -> str:
    return urlencode(options, safe="/", quote_via=quote)  # no '+' for a space: PostgreSQL's own clients do not know it
