"""Where the engines are, and the URLs by which each login reaches them."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit, urlunsplit

from prismicx.credentials import Credentials
from prismicx.engines import embedded
from prismicx.engines.embedded import keys as embedded_keys
from prismicx.engines.embedded import mongo as embedded_mongo
from prismicx.engines.embedded import postgres as embedded_postgres
from prismicx.engines.transport import Transport, portable
from prismicx.errors import Unavailable
from prismicx.keys.endpoint import KeyEndpoint
from prismicx.secret import Secret
from prismicx.settings import Settings, mask_url


@dataclass(frozen=True, slots=True)
class Login:
    """Who logs in by a URL."""

    login: str
    password: Secret


def login_of(url: str) -> Login:
    """The login that a URL carries."""
    parts = urlsplit(url)
    return Login(unquote(parts.username or ""), Secret(unquote(parts.password or "")))


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One engine: the URL with an administrator's login, and where it comes from.

    Attributes:
        url: with the administrator's user and password, and what the transport shall be; every other URL is made
            from it.
        source: ``url`` where the settings name it, else the embedded server's program.
    """

    url: str
    source: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "url", Secret(self.url))

    @property
    def host(self) -> str:
        """Hosts and ports, without the login."""
        return urlsplit(self.url).netloc.rpartition("@")[2]

    def postgres(self, database: str, login: str | None = None, password: str = "") -> Secret:
        """The URL of a database, for another login than the administrator's where one is given."""
        parts = urlsplit(self.url)
        netloc = self._netloc(login, password) if login else Secret(parts.netloc)
        return Secret(urlunsplit(parts._replace(netloc=netloc, path=f"/{database}")))

    def without_login(self) -> str:
        """The URL as it may be shown."""
        parts = urlsplit(self.url)
        return mask_url(urlunsplit(parts._replace(netloc=self.host)))

    def mongo(self, database: str, login: str, password: str) -> Secret:
        """The URL of a database for a login that is kept in that database."""
        parts = urlsplit(self.url)
        options = [(k, v) for k, v in parse_qsl(parts.query) if k.lower() != "authsource"]
        query = urlencode([*options, ("authSource", database)])
        path = f"/{database}"
        return Secret(urlunsplit(parts._replace(netloc=self._netloc(login, password), path=path, query=query)))

    def mongo_for_all(self, database: str, login: str = "", password: str = "") -> Secret:
        """The URL of a database as it is kept where every machine reads it: with TLS, without files of this one.

        Args:
            login: kept in that database; none where it is the service's.
        """
        if login:
            return Secret(portable(self.mongo(database, login, password)))
        parts = urlsplit(self.url)
        tls = [(key, value) for key, value in parse_qsl(parts.query) if key.lower().startswith(("tls", "ssl"))]
        return Secret(portable(urlunsplit(parts._replace(netloc=self.host, path=f"/{database}", query=urlencode(tls)))))

    def _netloc(self, login: str, password: str) -> Secret:
        return Secret(f"{quote(login, safe='')}:{quote(password, safe='')}@{self.host}")


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Both engines."""

    postgres: Endpoint
    mongo: Endpoint


def locate(settings: Settings) -> Endpoints:
    """The engines of the settings: those named by URL, else the embedded ones, which must run.

    Raises:
        InvalidInput: ``transport.insecure`` when a URL asks for less than it must off loopback.
        Unavailable: ``engine.not_running``, ``postgres.url_invalid`` or ``mongo.url_invalid``.
    """
    return Endpoints(locate_postgres(settings), locate_mongo(settings))


def locate_postgres(settings: Settings) -> Endpoint:
    """PostgreSQL alone, see `locate`."""
    if settings.postgres_url:
        return Endpoint(Transport.of(settings).postgres(settings.postgres_url), "url")
    server = embedded.running(settings).postgres
    if server is None:
        raise _not_running("PostgreSQL", settings)
    user = embedded_postgres.ADMINISTRATOR
    password = Credentials(settings.credentials_file).require("postgres", user)
    url = Secret(f"postgresql://{user}:{password}@127.0.0.1:{server.port}/postgres")
    return Endpoint(url, server.source)


def locate_pooler(settings: Settings) -> Endpoint | None:
    """What is before PostgreSQL for the transactions of tenants, if anything is.

    Raises:
        InvalidInput, Unavailable: as `locate`.
    """
    url = settings.postgres_pooler_url
    return Endpoint(Transport.of(settings).postgres(url, "postgres_pooler_url"), "url") if url else None


def locate_mongo(settings: Settings) -> Endpoint:
    """MongoDB alone, see `locate`."""
    if settings.mongo_url:
        return Endpoint(Transport.of(settings).mongo(settings.mongo_url), "url")
    server = embedded.running(settings).mongo
    if server is None:
        raise _not_running("MongoDB", settings)
    user = embedded_mongo.ADMINISTRATOR
    password = Credentials(settings.credentials_file).require("mongo", user)
    url = Secret(f"mongodb://{user}:{password}@127.0.0.1:{server.port}/?directConnection=true&authSource=admin")
    return Endpoint(url, server.source)


def locate_keys(settings: Settings) -> KeyEndpoint:
    """The key service: that of ``key_url``, else the embedded one, which must run.

    Tokens that the settings do not give are those of the credentials file.

    Raises:
        Unavailable: ``engine.not_running`` or ``credentials.missing``.
    """
    server = embedded.running(settings).keys
    if not settings.key_url and server is None:
        raise _not_running("key service", settings)
    credentials = Credentials(settings.credentials_file)
    token, admin_token = settings.key_token, settings.key_admin_token
    if not token and not settings.key_token_file:
        token = credentials.require(embedded_keys.NAME, embedded_keys.SEALING)
        admin_token = admin_token or credentials.get(embedded_keys.NAME, embedded_keys.ADMINISTRATOR) or ""
    url = settings.key_url or (f"http://127.0.0.1:{server.port}" if server else "")
    source = "url" if settings.key_url else "prismicx"
    return KeyEndpoint(
        url.rstrip("/"),
        token,
        admin_token,
        settings.key_token_file,
        settings.key_mount,
        settings.tls_ca,
        settings.tls_cert,
        source,
    )


def _not_running(engine: str, settings: Settings) -> Unavailable:
    return Unavailable(
        "engine.not_running",
        f"the embedded {engine} of {settings.data} does not run",
        f"prismicx up --detach --data {settings.data}",
    )
