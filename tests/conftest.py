"""One pair of servers for all workers of a run, one platform in a namespace of its own for each of them.

``PRISMICX_TEST_POSTGRES_URL`` and ``PRISMICX_TEST_MONGO_URL`` point the same tests at other servers,
``PRISMICX_TEST_KEY_URL`` with ``PRISMICX_TEST_KEY_TOKEN`` and ``PRISMICX_TEST_KEY_ADMIN_TOKEN`` at another key service.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import hypothesis
import pytest

from prismicx.engines import embedded
from prismicx.engines.endpoints import Endpoints, locate, locate_keys
from prismicx.isolation.scratch import drop_namespace
from prismicx.keys.client import Keys
from prismicx.platform import Platform
from prismicx.reference.apply import apply
from prismicx.settings import Settings
from tests import leaks

# Two cores are shared with servers: how long an example takes says nothing about the rule it tries.
hypothesis.settings.register_profile(
    "shared", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow], derandomize=False
)
hypothesis.settings.load_profile("shared")

_DATA = "PRISMICX_TEST_DATA"
_MEMORY, _ROOM = Path("/dev/shm"), 8 << 30
"""Where files are in memory, and the bytes that must be free there to use it: the tests make and remove many thousand
files, and some file systems make new ones slowly for minutes after many were removed."""


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        roomy = os.access(_MEMORY, os.W_OK) and shutil.disk_usage(_MEMORY).free >= _ROOM
        os.environ[_DATA] = tempfile.mkdtemp(prefix="prismicx-test-", dir=_MEMORY if roomy else None)
    leaks.watch(Path(os.environ[_DATA]) / "leaks")


@pytest.hookimpl(wrapper=True, tryfirst=True)  # around the others: the workers have ended when it goes on
def pytest_sessionfinish(session: pytest.Session) -> Iterator[None]:
    yield
    leaks.end_watch()
    if not hasattr(session.config, "workerinput") and _DATA in os.environ:
        folders = (Path(os.environ[_DATA]), session.config._tmp_path_factory.getbasetemp())  # type: ignore[attr-defined]
        began = time.monotonic()
        found = leaks.current().search(*folders)
        reporter = session.config.pluginmanager.get_plugin("terminalreporter")
        if found and reporter is not None:
            for leak in found:
                reporter.write_line(f"LEAKED: {leak}", red=True)
        elif reporter is not None:
            reporter.write_line(f"no secret was leaked (looked in {time.monotonic() - began:.1f} s)")
        if found:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_unconfigure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput") and _DATA in os.environ:
        data = Path(os.environ.pop(_DATA))
        embedded.stop(_settings(data, ""))
        shutil.rmtree(data, ignore_errors=True)


def _settings(data: Path, namespace: str) -> Settings:
    return Settings(
        data=data,
        namespace=namespace,
        postgres_url=os.environ.get("PRISMICX_TEST_POSTGRES_URL", ""),
        mongo_url=os.environ.get("PRISMICX_TEST_MONGO_URL", ""),
        key_url=os.environ.get("PRISMICX_TEST_KEY_URL", ""),
        key_token=os.environ.get("PRISMICX_TEST_KEY_TOKEN", ""),
        key_admin_token=os.environ.get("PRISMICX_TEST_KEY_ADMIN_TOKEN", ""),
        mongo_engine=os.environ.get("PRISMICX_MONGO_ENGINE", "auto"),
        credentials=str(data / f"credentials-{namespace}.json") if namespace else "",
        shared_capacity=3,
        pool_size=10,
    )


@pytest.fixture(scope="session")
def servers() -> Settings:
    """Settings of the shared servers, which run; its namespace is empty and nobody's."""
    settings = _settings(Path(os.environ[_DATA]), "")
    embedded.start(settings)
    return settings


@pytest.fixture(scope="session")
async def new_namespace(servers: Settings) -> AsyncIterator[Callable[[], Settings]]:
    """Settings of a platform of one's own on the shared servers; gone at the end of the session."""
    made: list[Settings] = []
    administrators = locate(servers)
    keys = locate_keys(servers)

    def make() -> Settings:
        settings = _settings(servers.data, f"t{secrets.token_hex(4)}")
        # Its credentials are apart, so the servers are named by URL.
        settings = Settings(
            **{
                **{name: getattr(settings, name) for name in settings.__slots__},
                "postgres_url": administrators.postgres.url,
                "mongo_url": administrators.mongo.url,
                "key_url": keys.url,
                "key_token": keys.token,
                "key_admin_token": keys.admin_token,
            }
        )
        made.append(settings)
        return settings

    yield make
    for settings in made:
        await drop_namespace(settings)


@pytest.fixture(scope="session")
async def settings(new_namespace: Callable[[], Settings]) -> Settings:
    """Settings of this worker's platform, to which the reference was applied."""
    mine = new_namespace()
    await apply(mine, locate(mine))
    return mine


@pytest.fixture(scope="session")
def endpoints(settings: Settings) -> Endpoints:
    return locate(settings)


@pytest.fixture(scope="session")
async def keys(settings: Settings) -> AsyncIterator[Keys]:
    """The key service of the run."""
    client = Keys(locate_keys(settings))
    yield client
    client.close()


@pytest.fixture(scope="session")
async def px(settings: Settings) -> AsyncIterator[Platform]:
    """This worker's platform."""
    platform = Platform(settings, locate(settings))
    yield platform
    await platform.close()


@pytest.fixture
def new_id() -> Callable[[], str]:
    """Tenant ids nobody else has."""
    return lambda: f"t-{secrets.token_hex(5)}"


@pytest.fixture(scope="session")
async def pair(px: Platform) -> tuple[str, str]:
    """Two tenants, one in a database of its own, one in a shared one."""
    first, second = f"ann-{secrets.token_hex(4)}", f"bob-{secrets.token_hex(4)}"
    await asyncio.gather(
        px.tenants.create(first, name="Ann's"), px.tenants.create(second, name="Bob's", isolation="shared")
    )
    return first, second
