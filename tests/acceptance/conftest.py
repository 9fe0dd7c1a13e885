from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from prismicx.engines.endpoints import login_of
from prismicx.errors import PrismicXError
from prismicx.platform import open_platform
from prismicx.settings import load
from tests import forked, leaks

COMMAND = Path(sys.executable).parent / "prismicx"


@dataclass(frozen=True)
class Prismicx:
    """The command as a newcomer calls it, with a data directory of its own and nothing set in the environment."""

    data: Path

    def __call__(
        self, *words: str, check: int | None = 0, typed: str | None = None, seconds: float = 120
    ) -> subprocess.CompletedProcess[str]:
        environ = {key: value for key, value in os.environ.items() if not key.startswith("PRISMICX_")}
        if "PRISMICX_MONGO_ENGINE" in os.environ:
            environ["PRISMICX_MONGO_ENGINE"] = os.environ["PRISMICX_MONGO_ENGINE"]
        done = subprocess.run(
            [forked.command(), *words, "--data", self.data],
            capture_output=True, text=True, timeout=seconds, env=environ, cwd=tempfile.gettempdir(), check=False,
            input=typed,
        )  # fmt: skip
        if "--show-secrets" not in words:
            leaks.current().keep("output", done.stdout + done.stderr)
        if check is not None:
            assert done.returncode == check, f"{words}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def json(self, *words: str, seconds: float = 120) -> Any:
        return json.loads(self(*words, "--json", seconds=seconds).stdout)

    def error(self, *words: str, code: int) -> dict[str, str]:
        done = self(*words, "--json", check=code)
        assert done.stdout == ""
        return dict(json.loads(done.stderr.strip().splitlines()[-1])["error"])

    def plant_connections(self) -> None:
        """Register the passwords of tenants' own logins, which the registry holds sealed."""
        with ThreadPoolExecutor(1) as thread:  # this one has a loop of its own
            for tenant, string in thread.submit(asyncio.run, self._connections()).result().items():
                leaks.plant(login_of(string).password, f"the password of the tenant {tenant}")

    async def _connections(self) -> dict[str, str]:
        found = {}
        async with open_platform(load({"data": self.data}, environ={}).settings) as px:
            for tenant in (await px.tenants.list(limit=1000)).items:
                try:
                    found[tenant.tenant_id] = await px._connection_string(await px._registry.entry(tenant.tenant_id))
                except PrismicXError as error:
                    if error.code != "keys.destroyed":  # nobody can find what a test destroyed
                        raise
        return found


@pytest.fixture(scope="module")
def prismicx(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prismicx]:
    """A platform that was brought up by the command line."""
    command = Prismicx(tmp_path_factory.mktemp("acceptance") / "data")
    command("up", "--detach")
    yield command
    command.plant_connections()
    command("down", check=None)
