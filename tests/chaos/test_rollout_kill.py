"""A rollout killed at any moment goes on where it was: nothing is run twice, nothing is skipped."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from prismicx import PrismicXError, connect
from prismicx.fleet.runner import Progress
from prismicx.fleet.values import Options, Selection
from tests import forked
from tests.acceptance.conftest import Prismicx
from tests.support import make_package

TENANTS = 12
# Each step counts itself: a table knows how often it was made.
FIRST = "CREATE TABLE runs (version text, at timestamp DEFAULT clock_timestamp()); INSERT INTO runs VALUES ('1');"
STEPS = [(f"SELECT pg_sleep(0.05); INSERT INTO runs VALUES ('{n}');", f"DELETE FROM runs WHERE version = '{n}';")
         for n in range(2, 6)]  # fmt: skip


@pytest.fixture(scope="module")
def prismicx(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prismicx]:
    folder = tmp_path_factory.mktemp("rollout")
    command = Prismicx(folder / "data")
    command("up", "--detach")
    for number in range(TENANTS):
        command("tenant", "create", f"t{number}", "--name", "T", "--isolation", "shared")
    command("system", "publish", str(make_package(folder / "counted", "counted", (FIRST, None), *STEPS)))
    yield command
    command("down", check=None)


def runs(command: Prismicx) -> dict[str, list[str]]:
    """What each tenant's schema counted, in its order, as the tenant's own scope reads it."""
    program = (
        "import asyncio, json, sys, prismicx\n"
        "async def main():\n"
        "    found = {}\n"
        "    async with prismicx.connect(data=sys.argv[1]) as px:\n"
        f"        for n in range({TENANTS}):\n"
        "            async with px.tenant(f't{n}') as tenant, tenant.system('counted').sql() as sql:\n"
        "                rows = await sql.fetch('SELECT version FROM runs ORDER BY at')\n"
        "                found[tenant.tenant_id] = [row['version'] for row in rows]\n"
        "    print(json.dumps(found))\n"
        "asyncio.run(main())\n"
    )
    python = sys.executable
    done = subprocess.run([python, "-c", program, command.data], check=True, capture_output=True, text=True)
    held: dict[str, list[str]] = json.loads(done.stdout)
    return held


def test_a_rollout_killed_again_and_again_ends_where_it_should(prismicx: Prismicx) -> None:
    prismicx("system", "install", "counted", "--version", "1.0", "--all-tenants", "--max-failures", "0")
    begun = time.monotonic()
    prismicx("system", "plan", "counted", "--all-tenants")
    until_it_works = time.monotonic() - begun  # on a busy machine a command takes its time before it begins
    chance = random.Random(5)
    words = ["system", "upgrade", "counted", "--all-tenants", "--concurrency", "2"]
    killed = 0
    for number in range(12):
        process = subprocess.Popen(
            [forked.command(), *words, "--data", prismicx.data], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            process.wait(timeout=until_it_works * chance.uniform(0.7, 1.4) * (1 + number / 6))
        except subprocess.TimeoutExpired:
            killed += 1
            process.send_signal(signal.SIGKILL)
            process.wait()
        found = prismicx.json("system", "rollouts", "counted", "--limit", "1")[0]
        if found["action"] == "upgrade":
            if found["status"] == "finished":
                break
            words = ["system", "resume", found["rollout_id"]]
    assert killed >= 1
    prismicx("system", "resume", found["rollout_id"], check=None)
    ended = prismicx.json("system", "rollout", found["rollout_id"])
    assert (ended["status"], ended["done"], ended["failed"]) == ("finished", TENANTS, 0)
    assert runs(prismicx) == {f"t{n}": ["1", "2", "3", "4", "5"] for n in range(TENANTS)}


def test_a_dead_server_pauses_a_rollout(prismicx: Prismicx) -> None:
    rolled = prismicx("system", "rollback", "counted", "--to", "2.0", "--all-tenants", "--json")
    assert json.loads(rolled.stdout)["done"] == TENANTS, rolled
    process = subprocess.Popen(
        [forked.command(), "system", "upgrade", "counted", "--all-tenants", "--concurrency", "1", "--json", "--data",
         prismicx.data],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    asyncio.run(some_done(prismicx.data))
    held = json.loads((prismicx.data / "run" / "postgres.json").read_text())
    os.kill(held["pid"], signal.SIGKILL)
    psutil.wait_procs([psutil.Process(held["pid"])] if psutil.pid_exists(held["pid"]) else [], timeout=10)
    said = process.communicate(timeout=60)
    assert process.returncode not in (None, 0), said
    prismicx("up", "--detach")
    found = prismicx.json("system", "rollouts", "counted", "--limit", "1")[0]
    assert (found["action"], found["status"]) in (("upgrade", "interrupted"), ("upgrade", "paused"))
    prismicx("system", "resume", found["rollout_id"], "--retry-failed")
    assert runs(prismicx) == {f"t{n}": ["1", "2", "3", "4", "5"] for n in range(TENANTS)}


async def some_done(data: Path) -> None:
    """Wait until the latest rollout is an upgrade that has done some of its tenants, and not all."""
    async with connect(data=data) as px:
        while True:
            latest = (await px.fleet.list("counted", limit=1))[0]
            if latest.action == "upgrade" and latest.status == "running" and latest.done:
                assert latest.done < latest.tenants
                return
            await asyncio.sleep(0.02)


async def test_what_was_told_to_be_done_outlives_the_server(prismicx: Prismicx, tmp_path: Path) -> None:
    """Transactions of one message wait for the disk once, with the last: nobody is called done before."""
    step = ("ALTER TABLE quick ADD COLUMN a int;", "ALTER TABLE quick DROP COLUMN a;")
    package = make_package(tmp_path / "quick", "quick", ("CREATE TABLE quick (id int);", None), step)
    server = psutil.Process(json.loads((prismicx.data / "run" / "postgres.json").read_text())["pid"])
    told: list[int] = []
    async with connect(data=prismicx.data) as px:
        await px.catalogue.publish(package)
        everybody, options = Selection(all_tenants=True), Options(waves=(), concurrency=1)
        plan = await px.fleet.plan("quick", "install", version="1.0", selection=everybody, options=options)
        await px.fleet.start(plan)
        plan = await px.fleet.plan("quick", "upgrade", version="2.0", selection=everybody, options=options)

        def die(progress: Progress) -> None:
            if not told and progress.done > 4:  # after a message of several
                told.append(progress.done)
                for process in [server, *server.children(recursive=True)]:
                    process.kill()

        with suppress(PrismicXError):  # it tells of the server, in whichever call
            await px.fleet.start(plan, progress=die)
    psutil.wait_procs([server], timeout=10)
    prismicx("up", "--detach")
    standing = prismicx.json("system", "status", "quick")["versions"]
    assert told
    assert sum(item["tenants"] for item in standing if item["version"] == "2.0") >= told[0]
    found = prismicx.json("system", "rollouts", "quick", "--limit", "1")[0]
    prismicx("system", "resume", found["rollout_id"], "--retry-failed", check=None)
    assert prismicx.json("system", "rollout", found["rollout_id"])["done"] == TENANTS
