"""An import of users that is killed has added all of them or none, and is done by the same command."""

from __future__ import annotations

import json
import random
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import forked
from tests.acceptance.conftest import Prismicx

COUNT = 20_000


@pytest.fixture
def prismicx(tmp_path: Path) -> Iterator[Prismicx]:
    command = Prismicx(tmp_path / "data")
    command("up", "--detach")
    yield command
    command("down", check=None)


def test_a_killed_import_has_added_all_or_none(prismicx: Prismicx, tmp_path: Path) -> None:
    chance = random.Random(3)
    file = tmp_path / "users.jsonl"
    with file.open("w") as target:
        for n in range(COUNT):
            target.write(json.dumps({"username": f"u{n}", "email": f"u{n}@crowd.test"}) + "\n")
    for tenant in ("timed", "crowd"):
        prismicx("tenant", "create", tenant, "--name", "Crowd", "--isolation", "shared")
    begun = time.monotonic()
    prismicx("user", "import", str(file), "--tenant", "timed")
    usual = time.monotonic() - begun

    words = ("user", "import", str(file), "--tenant", "crowd")
    known: list[str] = []
    for _ in range(4):
        process = subprocess.Popen(
            [forked.command(), *words, "--data", prismicx.data], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        time.sleep(usual * chance.uniform(0.4, 0.9))
        process.kill()
        process.wait()
        known = prismicx("user", "export", "-", "--format", "jsonl", "--tenant", "crowd").stdout.splitlines()
        assert len(known) in (0, COUNT)
        if known:
            break
    if not known:
        assert prismicx.json(*words) == {"added": COUNT, "skipped": 0}
    assert prismicx.error(*words, code=4)["code"] == "import.known"
