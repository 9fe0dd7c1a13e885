"""The log of uses: who did what with which key, a line of JSON each, without plaintext, ciphertext or tokens."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from prismicx.errors import PrismicXError, Unavailable
from prismicx.keys import files


class UseLog:
    """Appends to one file. A file that was moved away, as by logrotate, is begun anew.

    Raises:
        Unavailable: ``keys.exposed`` or ``keys.unreadable``.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor = files.open_log(path)

    def write(self, **entry: Any) -> None:
        """Append an entry; it has left this process when this returns.

        Raises:
            Unavailable: ``keys.log_unwritable``; what cannot be logged must not be done.
        """
        line = json.dumps({"time": datetime.now(UTC).isoformat(timespec="milliseconds"), **entry}) + "\n"
        try:
            self._follow()
            # One call: lines of several threads do not mix, and a killed process leaves whole lines.
            if os.write(self._descriptor, line.encode()) != len(line):
                raise OSError(0, "the disk is full")
        except OSError as error:
            raise Unavailable(
                "keys.log_unwritable", f"{self._path}: {error.strerror}", "free space, or mend the disk"
            ) from error

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)

    def _follow(self) -> None:
        held = os.fstat(self._descriptor)
        try:
            there = self._path.stat()
            same = (there.st_ino, there.st_dev) == (held.st_ino, held.st_dev)
        except FileNotFoundError:
            same = False
        if not same:
            fresh = files.open_log(self._path)
            os.close(self._descriptor)
            self._descriptor = fresh


@contextmanager
def changing(path: Path, **entry: Any) -> Iterator[None]:
    """Log what the block changes without the service: before it begins, and how it ended, whatever ended it.

    Raises:
        Unavailable: as `UseLog`; then nothing was changed, unless the log became unwritable meanwhile.
    """
    log = UseLog(path)
    try:
        log.write(**entry, result="begun")
        try:
            yield
        except BaseException as error:
            reason = error.code if isinstance(error, PrismicXError) else type(error).__name__
            log.write(**entry, result="refused" if isinstance(error, PrismicXError) else "failed", reason=reason)
            raise
        log.write(**entry, result="done")
    finally:
        log.close()
