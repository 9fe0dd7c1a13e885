"""Killed in the middle, an operation is in the trail as begun, and the chain goes on."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from prismicx.settings import load
from tests import forked
from tests.acceptance.conftest import Prismicx
from tests.support import administrator

BEGUN = "SELECT count(*) FROM prismicx.audit_events WHERE outcome = 'begun' AND tenant_id = $1"
WRITER = """
import asyncio, sys
from prismicx.audit.trail import Trail
from prismicx.errors import PrismicXError
from prismicx.platform import connect

async def main():
    async with connect(data=sys.argv[1]) as px:
        trail = px._trail
        async def writer(number):
            while True:
                print(await trail.append(trail.event("user.update", "done", tenant_id=f"w-{number}")), flush=True)
        await asyncio.gather(*(writer(number) for number in range(8)))

asyncio.run(main())
"""


@pytest.fixture(scope="module")
def prismicx(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prismicx]:
    command = Prismicx(tmp_path_factory.mktemp("audit") / "data")
    command("up", "--detach")
    yield command
    command("down", check=None)


def connection(prismicx: Prismicx) -> Any:
    return administrator(load({"data": prismicx.data}, environ={}).settings, "management_system_repository")


async def test_what_was_killed_is_seen_as_begun_and_is_done_by_the_same_command(prismicx: Prismicx) -> None:
    admin = await connection(prismicx)
    unfinished = []
    for number in range(6):
        tenant = f"killed-{number}"
        words = ("tenant", "create", tenant, "--name", "Killed")
        process = subprocess.Popen(
            [forked.command(), *words, "--data", prismicx.data], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        while not await admin.fetchval(BEGUN, tenant):
            assert process.poll() is None
        process.kill()
        process.wait()
        found = prismicx.json("audit", "list", "--unfinished", "--tenant", tenant)["events"]
        listed = {row["tenant_id"]: row["status"] for row in prismicx.json("tenant", "list")["tenants"]}
        if listed.get(tenant) == "active":
            continue  # it was faster
        assert [(event["operation"], event["outcome"]) for event in found] == [("tenant.create", "begun")]
        unfinished.append(found[0]["sequence"])
        prismicx(*words)
        ended = prismicx.json("audit", "list", "--tenant", tenant, "--outcome", "done")["events"]
        assert [event["operation"] for event in ended] == ["tenant.create"]
    await admin.close()
    assert unfinished
    held = prismicx.json("audit", "verify")
    assert held["ok"] is True
    assert held["unfinished"] >= len(unfinished)


@pytest.mark.parametrize("victim", ["the writer", "postgres"])
async def test_what_was_acknowledged_is_in_the_chain_whoever_is_killed(prismicx: Prismicx, victim: str) -> None:
    program = [sys.executable, "-c", WRITER, str(prismicx.data)]
    writer = subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert writer.stdout is not None
    places = [int(writer.stdout.readline()) for _ in range(200)]
    if victim == "postgres":
        held = json.loads((Path(prismicx.data) / "run" / "postgres.json").read_text())
        server = psutil.Process(held["pid"])
        victims = [server, *server.children(recursive=True)]
        for process in victims:
            process.kill()
        psutil.wait_procs(victims, timeout=10)
    else:
        writer.kill()
    rest = (await asyncio.to_thread(writer.communicate))[0]
    places += [int(line) for line in rest.splitlines()[:-1]]  # the last line may be cut
    if victim == "postgres":
        prismicx("up", "--detach")
    found = prismicx.json("audit", "verify")
    assert found["ok"] is True, found
    assert found["sequence"] >= max(places)
    assert sorted(places) == sorted(set(places))
