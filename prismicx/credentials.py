"""The passwords of administrators and services: generated, kept in one file of mode 0600."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import json
import logging
import os
import secrets
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from prismicx.errors import Unavailable
from prismicx.secret import Secret

_ROUNDS = 4096  # PostgreSQL's own; the passwords are random, so more would only make logins slower

CONTEXT = "context"
"""Beside the engines, the kind of the secret that proofs of tenants are made with."""

SECOND = "_b"
"""What the second login of a service has after the name of the first; a rotation passes from one to the other."""

Stamp = tuple[int, int]
"""When the file was last written, and when it or its mode was changed, in nanoseconds; zeros where there is none."""

_log = logging.getLogger("prismicx.credentials")

_CURRENT = "current"
"""Beside the engines, which login of a role is in use, by ``engine/role``; the first one where nothing is said."""


def generate() -> Secret:
    """A password of 192 random bits that needs no quoting in a URL."""
    return Secret(secrets.token_urlsafe(24))


def scram_verifier(password: str, salt: bytes | None = None) -> str:
    """What PostgreSQL keeps of a password (SCRAM-SHA-256, RFC 5803); with it no statement holds the password itself.

    Args:
        password: of ASCII characters, which need no normal form.
        salt: 16 random bytes unless given.
    """
    salt = salt or secrets.token_bytes(16)
    salted = hashlib.pbkdf2_hmac("sha256", password.encode("ascii"), salt, _ROUNDS)
    client_key = hmac.digest(salted, b"Client Key", "sha256")
    server_key = hmac.digest(salted, b"Server Key", "sha256")
    stored, checked, salt_text = (
        base64.b64encode(part).decode() for part in (hashlib.sha256(client_key).digest(), server_key, salt)
    )
    return f"SCRAM-SHA-256${_ROUNDS}:{salt_text}${stored}:{checked}"


class Credentials:
    """Passwords by engine (``postgres``, ``mongo``) and login, read from and written to one file.

    Raises:
        Unavailable: ``credentials.unreadable`` or ``credentials.exposed``.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._logins: dict[str, dict[str, Secret]] = {}
        self._told: Stamp | None = None
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
            self._logins = {
                engine: {login: Secret(password) for login, password in logins.items()}
                for engine, logins in held.items()
            }
        except FileNotFoundError:
            self._logins = {}
        except (OSError, ValueError, AttributeError) as error:
            raise Unavailable(
                "credentials.unreadable", f"{self.path}: {error}", "restore the file from a backup"
            ) from error

    def get(self, engine: str, login: str) -> Secret | None:
        """The password, or None where none is held."""
        return self._logins.get(engine, {}).get(login)

    def require_login(self, engine: str, role: str) -> tuple[str, Secret]:
        """The login that is in use for a service's role, and its password; raises as `require`."""
        login, _ = self.login(engine, role)
        return login, self.require(engine, login)

    def require(self, engine: str, login: str) -> Secret:
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

    def put(self, engine: str, login: str, password: Secret) -> None:
        """Keep a password; nothing is lost when the process is killed meanwhile."""
        self.reload()
        self._logins.setdefault(engine, {})[login] = password
        self._write()

    def login(self, engine: str, role: str) -> tuple[str, str | None]:
        """The login that is in use for a service's role, and its password where one is held."""
        login = self._logins.get(_CURRENT, {}).get(f"{engine}/{role}", role)
        return login, self.get(engine, login)

    def standby(self, engine: str, role: str) -> str:
        """The login of a service's role that is not in use."""
        return role + SECOND if self.login(engine, role)[0] == role else role

    def pass_to(self, logins: Iterable[tuple[str, str, str, str]], secrets: Mapping[tuple[str, str], str]) -> None:
        """Take other logins into use, all at once.

        Args:
            logins: engine, role, login and password.
            secrets: further values to keep, by kind and name.
        """
        self.reload()
        for engine, role, login, password in logins:
            self._logins.setdefault(engine, {})[login] = Secret(password)
            self._logins.setdefault(_CURRENT, {})[f"{engine}/{role}"] = Secret(login)
        for (kind, name), value in secrets.items():
            self._logins.setdefault(kind, {})[name] = Secret(value)
        self._write()

    def drop(self, logins: Mapping[str, Iterable[str]]) -> None:
        """Forget the passwords of logins that do not work any more, by engine."""
        self.reload()
        for engine, names in logins.items():
            for name in names:
                self._logins.get(engine, {}).pop(name, None)
        self._write()

    @property
    def stamp(self) -> Stamp:
        """Of the file as it is; another one after every change."""
        try:
            found = self.path.stat()
        except OSError:
            return 0, 0
        return found.st_mtime_ns, found.st_ctime_ns

    def follow(self, seen: Stamp) -> Stamp:
        """Read the file again when it is not the one that was seen; the stamp of the one that is held now.

        A file that is gone or refused changes nothing: the logins that are held go on, the log tells of it once, and
        the next call tries again.
        """
        stamp = self.stamp
        if stamp == seen or stamp == (0, 0):
            return seen
        try:
            self.reload()
        except Unavailable as error:
            if stamp != self._told:
                self._told = stamp
                _log.warning("the logins that were read before are used on: %s", error)
            return seen
        return stamp

    def _write(self) -> None:
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
