"""An import of categories killed at any moment: all of the file is there, or nothing, and it can be done again."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import forked
from tests.acceptance.conftest import Prismicx

TENANT = ("--tenant", "sorted")
COUNT = 500


@pytest.fixture
def prismicx(tmp_path: Path) -> Iterator[Prismicx]:
    command = Prismicx(tmp_path / "data")
    command("up", "--detach")
    command("tenant", "create", "sorted", "--name", "Sorted", "--isolation", "shared")
    command("category", "create", "Before", *TENANT)
    yield command
    command("down", check=None)


@pytest.mark.timeout(600)  # whoever comes after one that was killed may wait for a minute
def test_a_killed_import_leaves_all_or_nothing_and_is_done_again(prismicx: Prismicx, tmp_path: Path) -> None:
    file = tmp_path / "many.json"
    words = ("category", "import", str(file), *TENANT)

    def write(name: str) -> None:
        file.write_text(json.dumps([{"name": name, "children": [{"name": f"{name}{n}"} for n in range(COUNT - 1)]}]))

    write("timed")
    begun = time.monotonic()
    assert prismicx.json(*words)["added"] == COUNT
    usual = time.monotonic() - begun
    chance, known = random.Random(7), 1 + COUNT
    for number in range(2):
        write(f"cut{number}")
        process = subprocess.Popen(
            [forked.command(), *words, "--data", prismicx.data], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        time.sleep(usual * chance.uniform(0.1, 1.0))
        process.kill()
        process.wait()
        held = len(prismicx.json("category", "tree", *TENANT))
        assert held in (known, known + COUNT)
        assert prismicx.json(*words)["added"] == known + COUNT - held
        known += COUNT
        assert len(prismicx.json("category", "tree", *TENANT)) == known
    assert prismicx.json("category", "check", *TENANT) == []


HOLD = """
import asyncio, sys, prismicx
from datetime import UTC, datetime

async def hold(collection, session):
    lost = {"category_id": "lost", "name": "Lost", "created_at": datetime.now(UTC)}
    await collection.insert_one(lost, session=session)
    print("held", flush=True)
    await asyncio.sleep(600)

async def main():
    async with prismicx.connect(data=sys.argv[1]) as px, px.tenant("sorted") as tenant:
        await tenant.categories.restructure(hold)

asyncio.run(main())
"""


@pytest.mark.timeout(600)
def test_who_comes_after_one_that_was_killed_is_told_and_has_the_turn_in_the_end(prismicx: Prismicx) -> None:
    holder = subprocess.Popen([sys.executable, "-c", HOLD, prismicx.data], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    assert holder.stdout.readline().strip() == "held"
    holder.kill()
    holder.wait()
    holder.stdout.close()
    done = prismicx("category", "create", "After", *TENANT)
    assert "waiting for another change of the category trees of sorted" in done.stderr
    assert [item["name"] for item in prismicx.json("category", "tree", *TENANT)] == ["After", "Before"]
