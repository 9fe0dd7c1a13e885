"""`make demo`, as a newcomer would run it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import IO

import psutil
import pytest

ROOT = Path(__file__).parents[2]


def begin(temporary: Path) -> subprocess.Popen[str]:
    environ = {key: value for key, value in os.environ.items() if not key.startswith("PRISMICX_")}
    if "PRISMICX_MONGO_ENGINE" in os.environ:
        environ["PRISMICX_MONGO_ENGINE"] = os.environ["PRISMICX_MONGO_ENGINE"]
    return subprocess.Popen(
        [sys.executable, "-u", "-m", "demo"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=ROOT,
        env={**environ, "TMPDIR": str(temporary), "COLUMNS": "160"},
    )  # fmt: skip


def servers_of(temporary: Path) -> list[str]:
    found = []
    for process in psutil.process_iter(["cmdline"]):
        line = " ".join(process.info["cmdline"] or [])
        if str(temporary) in line:
            found.append(line)
    return found


def read(stream: IO[str] | None) -> IO[str]:
    assert stream is not None
    return stream


def test_the_story_holds_to_its_end(tmp_path: Path) -> None:
    with begin(tmp_path) as demo:
        printed = read(demo.stdout).read()
    assert demo.returncode == 0, printed
    for words in (
        "704 categories under 37 roots",
        "northwind runs crm 2.0.0",
        "0 not held",
        " 0 got through",
        "CC BY 3.0",
    ):
        assert words in printed
    assert "✗" not in printed
    assert servers_of(tmp_path) == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_ended_in_the_middle_it_leaves_no_server(tmp_path: Path, ending: signal.Signals) -> None:
    with begin(tmp_path) as demo:
        for line in read(demo.stdout):
            if "3. Tenants" in line:
                demo.send_signal(ending)
                break
        printed = read(demo.stdout).read()
    assert demo.returncode != 0, printed
    assert servers_of(tmp_path) == []
    assert list(tmp_path.iterdir()) == []
