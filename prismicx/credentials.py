"""The passwords of administrators and services: generated, kept in one file of mode 0600."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import tempfile
from pathlib import Path
from typing import Any

from prismicx.errors import Unavailable

CONTEXT = "context"
"""Beside the engines, the kind of the secret that proofs of tenants are made with."""


def generate() -> str:
    """A password of 192 random bits that needs no quoting in a URL."""
    return secrets.token_urlsafe(24)


class Credentials:
    """Passwords by engine (``postgres``, ``mongo``) and login, read from and written to one file.

    Raises:
        Unavailable: ``credentials.unreadable`` or ``credentials.exposed``.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._logins: dict[str, dict[str, str]] = {}
        self.reload()

    def reload(self) -> None:
        """Read the file again; another process may have written it."""
        try:
            mode = self.path.stat().st_mode
            if mode & 0o077:
                raise Unavailable(
                    "credentials.exposed",
                    f"{self.path} can be read by others (mode {mode & 0o777:04o})",
                    f"chmod 600 {self.path}",
                )
            held: Any = json.loads(self.path.read_text(encoding="utf-8"))
            self._logins = {engine: dict(logins) for engine, logins in held.items()}
        except FileNotFoundError:
            self._logins = {}
        except (OSError, ValueError, AttributeError) as error:
            raise Unavailable(
                "credentials.unreadable", f"{self.path}: {error}", "restore the file from a backup"
            ) from error

    def get(self, engine: str, login: str) -> str | None:
        """The password, or None where none is held."""
        return self._logins.get(engine, {}).get(login)

    def require(self, engine: str, login: str) -> str:
        """The password.

        Raises:
            Unavailable: ``credentials.missing``.
        """
        password = self.get(engine, login)
        if password is None:
            raise Unavailable(
                "credentials.missing",
                f"{self.path} holds no {engine} password of {login}",
                "run `prismicx db apply`, or bring the file from where that was run",
            )
        return password

    def put(self, engine: str, login: str, password: str) -> None:
        """Keep a password; nothing is lost when the process is killed meanwhile."""
        self.reload()
        self._logins.setdefault(engine, {})[login] = password
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor, temporary = tempfile.mkstemp(dir=self.path.parent, prefix=".credentials-")
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as out:
                json.dump(self._logins, out, indent=1)
                out.flush()
                os.fsync(out.fileno())
            Path(temporary).replace(self.path)
        except OSError as error:
            with contextlib.suppress(FileNotFoundError):
                Path(temporary).unlink()
            raise Unavailable(
                "credentials.unwritable", f"{self.path}: {error}", "free space or choose another --data"
            ) from error
