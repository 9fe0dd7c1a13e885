"""Every setting, where it may come from, and its default.

A value is taken from the first of: a flag, the environment (``PRISMICX_<NAME>``), the file ``prismicx.toml``, the
default. ``prismicx doctor`` prints what was taken from where.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from prismicx.errors import InvalidInput, quoted
from prismicx.names import check_namespace
from prismicx.secret import MASK, Secret

FILE = "prismicx.toml"
_TRANSPORTS = ("verify-full", "verify-ca", "insecure")
_FILES = ("credentials", "tls_ca", "tls_cert", "key_token_file")
_MONGO_ENGINES = ("auto", "mongod", "secantusd-rs", "secantusdb")


def _setting(default: Any, text: str, *, secret: bool = False) -> Any:
    return field(default=default, metadata={"help": text, "secret": secret})


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of one platform.

    Raises:
        InvalidInput: ``settings.invalid`` when a value breaks its rule.
    """

    data: Path = _setting(
        Path(".prismicx"), "Directory of the embedded servers, their data, logs and the generated credentials."
    )
    namespace: str = _setting(
        "", "Put before the names of databases, roles and users, so that several platforms share servers."
    )
    postgres_url: str = _setting(
        "", "PostgreSQL to use, with an administrator's login; empty starts the embedded one.", secret=True
    )
    postgres_pooler_url: str = _setting(
        "",
        "PgBouncer before that PostgreSQL, in transaction mode, for the transactions of tenants; "
        "of the URL only host, port and options count.",
        secret=True,
    )
    mongo_url: str = _setting(
        "", "MongoDB to use, with an administrator's login; empty starts the embedded one.", secret=True
    )
    mongo_engine: str = _setting(
        "auto", "Embedded MongoDB server: mongod, secantusd-rs, secantusdb, or auto for the first one found."
    )
    postgres_port: int = _setting(0, "Port of the embedded PostgreSQL on 127.0.0.1; 0 takes a free one.")
    mongo_port: int = _setting(0, "Port of the embedded MongoDB on 127.0.0.1; 0 takes a free one.")
    key_url: str = _setting("", "Key service to use, ours, OpenBao or Vault; empty starts the embedded one.")
    key_token: str = _setting("", "Token for making wrapping keys, sealing and opening with them.", secret=True)
    key_token_file: str = _setting("", "File of that token, read at every use: an agent may renew it.")
    key_admin_token: str = _setting(
        "", "Token for rotating, rewrapping and destroying; empty for the same one.", secret=True
    )
    key_mount: str = _setting("transit", "Where the transit engine of the key service is mounted.")
    key_port: int = _setting(0, "Port of the embedded key service on 127.0.0.1; 0 takes a free one.")
    port: int = _setting(0, "Port of the HTTP API on 127.0.0.1; 0 takes a free one.")
    credentials: str = _setting("", "File of the services' passwords; empty means credentials.json under data.")
    transport: str = _setting(
        "verify-full", "TLS that connections off loopback get at least: verify-full, verify-ca, or insecure for none."
    )
    tls_ca: str = _setting("", "Authorities to trust, a PEM file; empty means those the system trusts.")
    tls_cert: str = _setting("", "Certificate of this client with its key, a PEM file, for servers that want one.")
    connect_timeout: float = _setting(10.0, "Seconds to wait for an engine to answer.")
    pool_size: int = _setting(8, "PostgreSQL connections that each service may hold; what was opened stays open.")
    registry_cache: float = _setting(
        5.0, "Seconds that a tenant's registry entry is trusted; bounds how long a suspension goes unseen."
    )
    keyset_cache: float = _setting(
        300.0,
        "Seconds that an opened keyset of a tenant is held; bounds how long destroyed keys still open anything, and "
        "how long sealed fields work without the key service.",
    )
    tenant_clients: int = _setting(64, "MongoDB clients of tenants kept open; the longest unused one is closed.")
    shared_capacity: int = _setting(1000, "Tenants that one shared MongoDB database takes.")
    actor: str = _setting("", "Who acts, for the audit trail; empty means the user of the process and the machine.")

    def __post_init__(self) -> None:
        check_namespace(self.namespace)
        for item in fields(self):
            if item.metadata["secret"]:
                object.__setattr__(self, item.name, Secret(getattr(self, item.name)))
        for name, schemes in (
            ("postgres_url", ("postgresql", "postgres")),
            ("postgres_pooler_url", ("postgresql", "postgres")),
            ("mongo_url", ("mongodb", "mongodb+srv")),
            ("key_url", ("https", "http")),
        ):
            url = getattr(self, name)
            if url:
                _check_url(name, url, schemes)
        for name, choices in (("mongo_engine", _MONGO_ENGINES), ("transport", _TRANSPORTS)):
            value = getattr(self, name)
            if value not in choices:
                raise InvalidInput("settings.invalid", f"{name} is {quoted(value)}", f"use one of {', '.join(choices)}")
        plain = urlsplit(self.key_url).scheme == "http" and not _is_loopback(self.key_url)
        if plain and self.transport != "insecure":
            raise InvalidInput(
                "settings.invalid", "key_url goes to another machine without TLS", "it must begin with https://"
            )
        for name in ("postgres_port", "mongo_port", "key_port", "port"):
            if not 0 <= getattr(self, name) <= 65535:
                raise InvalidInput("settings.invalid", f"{name} is {getattr(self, name)}", "use 0 to 65535")
        for name in ("connect_timeout", "pool_size", "tenant_clients", "shared_capacity"):
            if getattr(self, name) <= 0:
                raise InvalidInput("settings.invalid", f"{name} is {getattr(self, name)}", "use more than 0")
        if self.registry_cache < 0:
            raise InvalidInput("settings.invalid", f"registry_cache is {self.registry_cache}", "use 0 or more")
        if not 0 <= self.keyset_cache <= 86_400:
            raise InvalidInput("settings.invalid", f"keyset_cache is {self.keyset_cache}", "use 0 to 86400")

    @property
    def credentials_file(self) -> Path:
        """Where the passwords of the services are kept."""
        return Path(self.credentials) if self.credentials else self.data / "credentials.json"


@dataclass(frozen=True, slots=True)
class Loaded:
    """Settings with the source of each value: ``flag``, ``environment NAME``, ``file PATH`` or ``default``."""

    settings: Settings
    sources: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class SettingInfo:
    """What is known about a setting before any value is given."""

    name: str
    kind: str
    default: str
    help: str
    secret: bool

    @property
    def variable(self) -> str:
        return f"PRISMICX_{self.name.upper()}"


def describe() -> list[SettingInfo]:
    """All settings, in the order they are declared."""
    return [
        SettingInfo(f.name, str(f.type), str(f.default), f.metadata["help"], f.metadata["secret"])
        for f in fields(Settings)
    ]


def load(
    flags: Mapping[str, Any] | None = None,
    environ: Mapping[str, str] | None = None,
    file: Path | None = None,
) -> Loaded:
    """The settings from all their sources.

    Args:
        flags: values given by the caller; ``None`` among them counts as not given.
        environ: the environment, ``os.environ`` unless given.
        file: the settings file, ``prismicx.toml`` in the working directory unless given; a file that was
            named must exist. Paths in it are relative to it, all others to the working directory.

    Raises:
        InvalidInput: ``settings.unknown``, ``settings.invalid`` or ``settings.file_unreadable``.
    """
    environ = os.environ if environ is None else environ
    given = {name: value for name, value in (flags or {}).items() if value is not None}
    path = file or Path(environ.get("PRISMICX_CONFIG") or FILE)
    named = file is not None or "PRISMICX_CONFIG" in environ
    in_file = _read(path) if named or path.exists() else {}
    known = {info.name: info for info in describe()}
    for source, names in (("a flag", given), (str(path), in_file)):
        for name in names:
            if name not in known:
                raise InvalidInput(
                    "settings.unknown", f"{source} sets {quoted(name)}", f"settings are {', '.join(known)}"
                )
    values: dict[str, Any] = {}
    sources: dict[str, str] = {}
    for name, info in known.items():
        if name in given:
            values[name], sources[name] = given[name], "flag"
        elif info.variable in environ:
            values[name], sources[name] = environ[info.variable], f"environment {info.variable}"
        elif name in in_file:
            values[name], sources[name] = in_file[name], f"file {path}"
        else:
            sources[name] = "default"
    settings = Settings(**{name: _typed(known[name], value) for name, value in values.items()})
    # Made absolute here, once: a process that serves in the background works in another directory.
    base = {name: path.parent if source.startswith("file ") else Path() for name, source in sources.items()}
    data = (base["data"] / settings.data).absolute()
    paths: dict[str, Any] = {
        name: str((base[name] / value).absolute()) for name in _FILES if (value := getattr(settings, name))
    }
    return Loaded(replace(settings, data=data, **paths), sources)


def mask_url(url: str) -> str:
    """The URL without its password, and without those of keys."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return MASK
    url = re.sub(r"(?i)([?&]\w*password=)[^&#]+", rf"\g<1>{MASK}", url)
    parts = urlsplit(url)
    user, at, host = parts.netloc.rpartition("@")
    if not at or ":" not in user:
        return url
    return urlunsplit(parts._replace(netloc=f"{user.split(':')[0]}:{MASK}@{host}"))


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _check_url(name: str, url: str, schemes: tuple[str, ...]) -> None:
    """See that a URL has its form. Nothing of it is shown: a password with a sign such as / may be anywhere."""
    if not url.startswith(tuple(f"{scheme}://" for scheme in schemes)):
        raise InvalidInput("settings.invalid", f"{name} has another beginning", f"it must begin with {schemes[0]}://")
    if not _has_parts(url):
        raise InvalidInput(
            "settings.invalid",
            f"{name} is no URL of a server",
            f"give {schemes[0]}://user:password@host:port/, with signs such as / ? # @ in user and password as %2F %3F "
            "%23 %40",
        )


def _has_parts(url: str) -> bool:
    try:
        parts = urlsplit(url)
        after = parts.path + parts.fragment + ("" if "@" in parts.netloc else parts.query)
        ports = [urlsplit(f"//{host}").port for host in parts.netloc.rpartition("@")[2].split(",")]
    except ValueError:
        return False
    return 0 not in ports and "@" not in after and parts.netloc.count("@") < 2


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InvalidInput("settings.file_unreadable", f"{path}: {error}", "mend or remove the file") from error


def _quoted(info: SettingInfo, value: object) -> str:
    return MASK if info.secret else quoted(value)


def _typed(info: SettingInfo, value: Any) -> Any:
    kinds = {"Path": Path, "int": int, "float": float, "str": str}
    if isinstance(value, (bool, dict, list)) or "\0" in str(value):
        raise InvalidInput("settings.invalid", f"{info.name} is {_quoted(info, value)}", f"give one {info.kind}")
    try:
        return kinds[info.kind](value)
    except (TypeError, ValueError) as error:
        raise InvalidInput(
            "settings.invalid", f"{info.name} is {_quoted(info, value)}, not of type {info.kind}", info.help
        ) from error
