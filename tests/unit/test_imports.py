"""What a program gets by an import, and what it does not."""

from __future__ import annotations

import subprocess
import sys

import pytest

import prismicx


def test_every_public_name_is_there() -> None:
    for name in prismicx.__all__:
        assert getattr(prismicx, name).__name__ in (name, "Options")
    with pytest.raises(AttributeError, match="nothing"):
        prismicx.nothing  # noqa: B018


def test_the_key_service_holds_no_driver_of_an_engine() -> None:
    script = "import sys, uvicorn, prismicx.keys.server, prismicx.keys.app; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    assert "prismicx.keys.store" in loaded
    assert not {"asyncpg", "pymongo", "fastapi", "hvac", "requests", "prismicx.platform"} & set(loaded)
