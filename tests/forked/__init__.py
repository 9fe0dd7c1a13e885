"""The command in processes that are forked from one that has read the code already: a start by itself costs more than
most commands do. How it starts by itself is seen by the tests of the README, of the quickstart, and of killing."""

from __future__ import annotations

import atexit
import functools
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path


@functools.cache
def command() -> Path:
    """The command, as a file that can be run until this process ends."""
    folder = Path(tempfile.mkdtemp(prefix="prismicx-forks-"))
    atexit.register(shutil.rmtree, folder)
    script = folder / "prismicx"
    script.write_text(f"#!{sys.executable} -ISE\n{Path(__file__).with_name('asking.py').read_text()}")
    script.chmod(0o755)
    # It ends when its standard input does, which is when this process ends, however that is.
    server = subprocess.Popen(
        [sys.executable, "-m", "tests.forked.server", folder / "socket"],
        stdin=subprocess.PIPE, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    while not (folder / "socket").exists():
        assert server.poll() is None, "the process that forks ended"
        time.sleep(0.02)
    atexit.register(server.communicate)
    return script
