"""Looks for secrets in what a test run leaves behind.

Secrets are planted: registered with `plant`, wherever one is made. What the run produces is kept: log records,
messages of errors, what commands print, the command lines and environments of all processes while they run. At the end
of the session both, and the logs, dumps and exports on disk, are put together: a secret that is found anywhere, plain,
quoted for a URL, in base64 or in hex, fails the run.
"""

from __future__ import annotations

import base64
import contextlib
import json
import logging
import os
import re
import secrets
import threading
import urllib.parse
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import hypothesis

from prismicx.engines.context import ContextKey
from prismicx.errors import PrismicXError
from prismicx.sealing import keyset, keysets
from prismicx.users import passwords

SHORTEST = 12
"""A text of fewer characters is no secret that could be told from other texts."""

SEALED = "sealed-marker-5d1e7c0a94f2"
"""What tests of sealed fields seal: it is planted, so it may stand in no log, error, command line or export."""

ROOT_KEY = "root.key"
"""The name of the files that hold root keys."""

PROOF = "a proof of a tenant's transaction"
_KEY = 32
"""Bytes of a root, store or wrapping key."""

_WINDOW = 10
_TOKEN = re.compile(rb"[A-Za-z0-9+/=_%~.$-]{10,}")
_PLAIN = re.compile(rb"[A-Za-z0-9_-]+")
_LARGEST = 64 * 1024 * 1024

EXPORTS = frozenset({".csv", ".jsonl", ".md", ".svg", ".mmd", ".txt", ".sql"})
DATABASES = frozenset({"postgres", "mongo", "run"})
"""Folders of a data directory in which secrets have their place: they are the servers' own files."""


@dataclass(frozen=True)
class Leak:
    """A secret that was found; itself it is not shown."""

    secret: str
    form: str
    place: str

    def __str__(self) -> str:
        return f"{self.secret}, {self.form}, in {self.place}"


@dataclass
class Leaks:
    """What was planted and what was produced, in a folder that the processes of a run share."""

    folder: Path
    _planted: set[str | bytes] = field(default_factory=set)
    _seen: set[bytes] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def plant(self, secret: str | bytes, what: str) -> None:
        """Register a secret; ``what`` names it where it is found. Bytes are looked for as they are, in base64, and in
        hex."""
        if len(secret) >= SHORTEST and secret not in self._planted:
            self._planted.add(secret)
            text, kind = (secret.hex(), "hex") if isinstance(secret, bytes) else (str(secret), "text")
            self._write("planted", json.dumps([text, what, kind]) + "\n")

    def plant_credentials(self, file: Path) -> None:
        """Register every password of a credentials file, which also says which logins are in use."""
        if file.exists():
            held = json.loads(file.read_text())
            held.pop("current", None)
            for engine, logins in held.items():
                for login, password in logins.items():
                    self.plant(password, f"the {engine} password of {login}")

    def keep(self, kind: str, text: str | bytes) -> None:
        """Keep what was produced, once."""
        held = text if isinstance(text, bytes) else text.encode(errors="replace")
        if hash(held) not in self._seen:
            self._seen.add(hash(held))  # type: ignore[arg-type]
            self._write(f"kept-{kind}", held + b"\n")

    def search(self, *folders: Path) -> list[Leak]:
        """Every secret that is found in what was kept, and in the logs, dumps and exports below the folders."""
        for folder in folders:
            for file in _files(folder):
                if file.name.startswith("credentials"):
                    self.plant_credentials(file)
                if file.name == ROOT_KEY:
                    with contextlib.suppress(ValueError):  # one that a test has spoilt
                        self.plant(base64.b64decode(file.read_bytes(), validate=False), "a root key")
        planted = [
            (bytes.fromhex(text) if kind == "hex" else text, what)
            for file in self.folder.glob("planted-*")
            for text, what, kind in map(json.loads, file.read_text().splitlines())
        ]
        hunt = Hunt(planted)
        found: list[Leak] = []
        for place, content in self._produced(folders):
            found += [leak for leak in hunt.within(content, place) if not _is_known(leak)]
        return list(dict.fromkeys(found))

    def _produced(self, folders: Iterable[Path]) -> Iterator[tuple[str, bytes]]:
        for file in sorted(self.folder.glob("kept-*")):
            yield file.name.rpartition("-")[0].removeprefix("kept-"), file.read_bytes()
        for folder in folders:
            for file in _files(folder):
                if (
                    not (file.name.startswith("credentials") or file.name == ROOT_KEY)
                    and file.stat().st_size <= _LARGEST
                ):
                    yield str(file.relative_to(folder)), file.read_bytes()

    def _write(self, name: str, text: str | bytes) -> None:
        with self._lock:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            with (self.folder / f"{name}-{os.getpid()}").open("ab") as out:
                out.write(text if isinstance(text, bytes) else text.encode())


class Hunt:
    """Secrets in all their forms, found in one pass over a text."""

    def __init__(self, planted: Iterable[tuple[str | bytes, str]]) -> None:
        self._begin: dict[bytes, list[tuple[bytes, str, str]]] = {}
        self._others: list[tuple[bytes, str, str]] = []
        for secret, what in planted:
            for form, text in _forms(secret):
                item = (text, what, form)
                if len(text) >= _WINDOW and _TOKEN.fullmatch(text):
                    self._begin.setdefault(text[:_WINDOW], []).append(item)
                else:
                    self._others.append(item)

    def within(self, content: bytes, place: str) -> list[Leak]:
        """What of them is in a text."""
        found = [Leak(what, form, place) for text, what, form in self._others if text in content]
        begin = self._begin
        for match in set(_TOKEN.findall(content)):
            for at in range(len(match) - _WINDOW + 1):
                for text, what, form in begin.get(match[at : at + _WINDOW], ()):
                    if match.startswith(text, at):
                        found.append(Leak(what, form, place))
        return found


class Records(logging.Handler):
    """Keeps every log record with its error."""

    def __init__(self, leaks: Leaks) -> None:
        super().__init__(logging.DEBUG)
        self._leaks = leaks
        self.setFormatter(logging.Formatter("%(name)s %(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        self._leaks.keep("log-records", self.format(record))


class Processes(threading.Thread):
    """Looks at the command lines and environments of all processes, twice a second."""

    def __init__(self, leaks: Leaks) -> None:
        super().__init__(daemon=True, name="leaks")
        self._leaks = leaks
        self._over = threading.Event()

    def run(self) -> None:
        while not self._over.wait(0.5):
            self.look()

    def look(self) -> None:
        """Once."""
        mine = str(os.getpid())
        for folder in Path("/proc").glob("[0-9]*"):
            if folder.name != mine:
                for name in ("cmdline", "environ"):
                    try:
                        self._leaks.keep(name, (folder / name).read_bytes())
                    except OSError:
                        continue  # it has ended, or is another user's

    def end(self) -> None:
        self._over.set()
        self.join()


_watching: list[tuple[Leaks, Records, Processes]] = []


def current() -> Leaks:
    """What this run plants and produces."""
    return _watching[0][0]


def plant(secret: str, what: str) -> None:
    """Register a secret of this run: it must be found nowhere when the run is over."""
    current().plant(secret, what)


def watch(folder: Path) -> None:
    """Begin to keep what this process and those it starts produce, and to plant what it makes."""
    kept = Leaks(folder)
    records, processes = Records(kept), Processes(kept)
    _watching.insert(0, (kept, records, processes))
    logging.getLogger().addHandler(records)
    processes.start()
    _plant_what_is_made(kept)


def end_watch() -> None:
    """Stop keeping."""
    _, records, processes = _watching[0]
    logging.getLogger().removeHandler(records)
    processes.end()


def _plant_what_is_made(kept: Leaks) -> None:
    """Generated passwords, keys and proofs, and users' passwords, are planted where they are made; what errors say is
    kept."""
    kept.plant(SEALED, "what a test sealed")
    made, made_bytes, hashed, init = (
        secrets.token_urlsafe,
        secrets.token_bytes,
        passwords.hashed,
        PrismicXError.__init__,
    )
    proof, generate = ContextKey.proof, keyset.generate

    def token_urlsafe(nbytes: int | None = None) -> str:
        text = made(nbytes)
        kept.plant(text, "a generated password")
        return text

    def token_bytes(nbytes: int | None = None) -> bytes:
        key = made_bytes(nbytes)
        if nbytes == _KEY:
            kept.plant(key, "a root key, a key of a store or a wrapping key")
        return key

    def keyset_generated(*args: Any) -> keyset.Keyset:
        found = generate(*args)
        for key in keyset._proto(found.plain).key:
            kept.plant(key.key_data.value, f"a key of a keyset of class {found.data_class}")
        return found

    def proof_made(self: ContextKey, tenant_id: str, backend: int) -> str:
        text = proof(self, tenant_id, backend)
        if not hypothesis.currently_in_test_context():
            kept.plant(text, PROOF)
        return text

    async def hashed_and_planted(password: str) -> str:
        if not hypothesis.currently_in_test_context():  # which makes texts up, and gives them twice
            kept.plant(password, "a user's password")
        return await hashed(password)

    def init_and_kept(self: PrismicXError, *args: Any, **kwargs: Any) -> None:
        init(self, *args, **kwargs)
        kept.keep("errors", str(self))

    secrets.token_urlsafe = token_urlsafe
    secrets.token_bytes = token_bytes
    keyset.generate = keysets.generate = keyset_generated  # type: ignore[attr-defined]
    ContextKey.proof = proof_made  # type: ignore[method-assign]
    passwords.hashed = hashed_and_planted
    PrismicXError.__init__ = init_and_kept  # type: ignore[method-assign]


def _is_known(leak: Leak) -> bool:
    """Whether it is what docs/security.md says: a server's own log has proofs where statements are logged, such as
    those that failed. They are good on one backend for one tenant, and end with a rotation."""
    return leak.secret == PROOF and Path(leak.place).name == "postgres.log"


def _forms(secret: str | bytes) -> Iterator[tuple[str, bytes]]:
    if isinstance(secret, bytes):
        raw = secret
    else:
        raw = secret.encode()
        yield "plain", raw
        quoted = urllib.parse.quote(secret, safe="").encode()
        if quoted != raw:
            yield "quoted for a URL", quoted
        if not _PLAIN.fullmatch(raw):
            yield "as JSON", json.dumps(secret)[1:-1].encode()
    yield "in hex", raw.hex().encode()
    yield "in hex", raw.hex().upper().encode()
    for shift in range(3):
        # Of what stands before and after it in a longer text the first and last digits tell something, the others not.
        text = base64.b64encode(b"\0" * shift + raw)
        begin = (0, 2, 3)[shift]
        end = len(text) if (shift + len(raw)) % 3 == 0 else len(text) - 4
        for form in {text[begin:end], text[begin:end].replace(b"+", b"-").replace(b"/", b"_")}:
            if len(form) >= SHORTEST:
                yield "in base64", form


def _files(folder: Path) -> Iterator[Path]:
    """Logs, dumps, exports and credentials below a folder."""
    for where, below, names in os.walk(folder):
        here = Path(where)
        if (here / "format.json").exists():  # a data directory
            below[:] = [name for name in below if name not in DATABASES]
        for name in names:
            file = here / name
            dump = re.fullmatch(r"core(\.\d+)?", name) is not None
            log = file.suffix == ".log" or here.name == "log"
            kept = name.startswith("credentials") and file.suffix == ".json"
            if name == "users.txt":  # a pooler has its logins there
                continue
            kept = kept or name == ROOT_KEY
            if (log or dump or kept or file.suffix in EXPORTS) and file.is_file() and not file.is_symlink():
                yield file
