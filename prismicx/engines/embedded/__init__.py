"""The servers of one data directory: started when no URL names others, shared by all commands of the directory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from prismicx.credentials import Credentials
from prismicx.engines.embedded import keys, mongo, postgres
from prismicx.engines.embedded.directory import DataDirectory
from prismicx.engines.embedded.process import Server
from prismicx.settings import Settings

__all__ = ["Servers", "running", "start", "stop"]


@dataclass(frozen=True, slots=True)
class Servers:
    """The embedded servers that run now; None where one does not, or where a URL names another server."""

    postgres: Server | None = None
    mongo: Server | None = None
    keys: Server | None = None


def start(settings: Settings, progress: Callable[[str], None] = lambda _: None) -> Servers:
    """Start what no URL names and what does not run yet.

    Raises:
        Unavailable: the directory, a port or a server cannot be used.
    """
    directory = DataDirectory(settings.data)
    directory.prepare()
    with directory.lock():
        directory.check_format()
        credentials = Credentials(settings.credentials_file)
        servers = running(settings)
        if not settings.postgres_url and servers.postgres is None:
            progress("starting PostgreSQL")
            server = postgres.start(directory, credentials, settings.postgres_port, settings.connect_timeout)
            servers = replace(servers, postgres=server)
        if not settings.mongo_url and servers.mongo is None:
            progress("starting MongoDB")
            server = mongo.start(directory, credentials, settings)
            servers = replace(servers, mongo=server)
        if not settings.key_url and servers.keys is None:
            progress("starting the key service")
            servers = replace(servers, keys=keys.start(directory, credentials, settings))
    return servers


def running(settings: Settings) -> Servers:
    """The embedded servers of the directory that are alive; starts nothing."""
    directory = DataDirectory(settings.data)
    return Servers(
        None if settings.postgres_url else directory.server("postgres"),
        None if settings.mongo_url else directory.server("mongo"),
        None if settings.key_url else directory.server(keys.NAME),
    )


def stop(settings: Settings) -> list[str]:
    """Stop the servers of the directory, cleanly where they let us; returns the names of those that ran."""
    directory = DataDirectory(settings.data)
    if not directory.exists():
        return []
    stopped = []
    with directory.lock():
        for name, module in ((keys.NAME, keys), ("mongo", mongo), ("postgres", postgres)):
            server = directory.server(name)
            if server is not None:
                module.stop(server)
                stopped.append(name)
            directory.forget(name)
    return stopped
