"""Files that only their owner may see, written whole or not at all."""

from __future__ import annotations

import os
import secrets
import stat
from pathlib import Path

from prismicx.errors import Unavailable

_PART = ".part-"


def check_directory(path: Path) -> None:
    """See that a directory is closed to others.

    Raises:
        Unavailable: ``keys.exposed`` or ``keys.unreadable``.
    """
    try:
        _check(path, path.stat(), "700")
    except OSError as error:
        raise _unreadable(path, error) from error


def make_directory(path: Path) -> None:
    """Make a directory of mode 0700."""
    path.mkdir(mode=0o700)
    _sync_directory(path.parent)


def read(path: Path) -> bytes:
    """The content of a file that is closed to others.

    Raises:
        FileNotFoundError: there is none.
        Unavailable: ``keys.exposed`` or ``keys.unreadable``.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as source:
            _check(path, os.fstat(descriptor), "600")
            return source.read()
    except FileNotFoundError:
        raise
    except OSError as error:
        raise _unreadable(path, error) from error


def write(path: Path, content: bytes, *, scrub: bool = False) -> None:
    """Put a file in its place, on disk before this returns; a process killed meanwhile leaves the old one.

    Args:
        scrub: overwrite what was there where it lay, as far as the file system writes in place. Whoever reads it in
            that moment, such as a backup, gets neither.

    Raises:
        Unavailable: ``keys.unwritable``.
    """
    part = path.with_name(f"{_PART}{secrets.token_hex(8)}")
    try:
        old = os.open(path, os.O_WRONLY | os.O_CLOEXEC) if scrub else -1
        try:
            _write_new(part, content)
            part.replace(path)
            _sync_directory(path.parent)
            if old >= 0:
                os.write(old, secrets.token_bytes(os.fstat(old).st_size))
                os.fsync(old)
        finally:
            if old >= 0:
                os.close(old)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise Unavailable("keys.unwritable", f"{path}: {error.strerror}", "free space, or mend the disk") from error


def write_new(path: Path, content: bytes) -> None:
    """Make a file of mode 0600 that was not there.

    Raises:
        FileExistsError: it was.
    """
    _write_new(path, content)
    _sync_directory(path.parent)


def sweep(folder: Path) -> None:
    """Remove what killed writers left. Only the one who writes in the folder may call this."""
    for part in folder.glob(f"{_PART}*"):
        part.unlink(missing_ok=True)


def open_log(path: Path) -> int:
    """A descriptor that appends to a file closed to others.

    Raises:
        Unavailable: ``keys.exposed`` or ``keys.unreadable``.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise _unreadable(path, error) from error
    try:
        _check(path, os.fstat(descriptor), "600")
    except Unavailable:
        os.close(descriptor)
        raise
    return descriptor


def _write_new(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as out:
        out.write(content)
        out.flush()
        os.fsync(descriptor)


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _check(path: Path, found: os.stat_result, wanted: str) -> None:
    mode = stat.S_IMODE(found.st_mode)
    if mode & 0o077:
        raise Unavailable(
            "keys.exposed", f"{path} is open to others (mode {mode:04o})", f"chmod {wanted} {path}, and ask who read it"
        )
    if found.st_uid not in (0, os.geteuid()):
        raise Unavailable("keys.exposed", f"{path} belongs to the user {found.st_uid}", f"chown {os.geteuid()} {path}")


def _unreadable(path: Path, error: OSError) -> Unavailable:
    return Unavailable("keys.unreadable", f"{path}: {error.strerror}", "name a file or directory you own")
