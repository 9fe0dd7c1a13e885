"""The documentation, as a newcomer would follow it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from docs import generate
from prismicx.engines import aggregation_stages
from prismicx.engines.endpoints import locate
from prismicx.reference import diagrams, document, privileges
from prismicx.settings import Settings
from tests import forked

ROOT = Path(__file__).parents[2]


def blocks(page: str) -> list[tuple[str, str]]:
    return re.findall(r"^```(sh|python)\n(.*?)^```$", (ROOT / page).read_text(), re.DOTALL | re.MULTILINE)


ON_THEIR_OWN = ("README.md", "docs/quickstart.md")
"""Pages whose commands start by themselves; those of the others are forked, see `tests.forked`."""


@pytest.fixture
def clone(tmp_path: Path, page: str) -> Iterator[Path]:
    """A directory that looks like a clone after `make setup`, with nothing of the other tests in it."""
    if page in ON_THEIR_OWN:
        (tmp_path / ".venv").symlink_to(sys.prefix)
    else:
        (tmp_path / ".venv" / "bin").mkdir(parents=True)
        for name in ("lib", "pyvenv.cfg"):
            (tmp_path / ".venv" / name).symlink_to(Path(sys.prefix) / name)
        for file in (Path(sys.prefix) / "bin").iterdir():
            target = forked.command() if file.name == "prismicx" else file
            (tmp_path / ".venv" / "bin" / file.name).symlink_to(target)
    (tmp_path / "systems").symlink_to(ROOT / "systems")
    yield tmp_path
    run(tmp_path, ".venv/bin/prismicx down", check=False)
    run(tmp_path, "test ! -e serve.pid || kill $(cat serve.pid)", check=False)


def run(folder: Path, script: str, check: bool = True) -> str:
    environ = {key: value for key, value in os.environ.items() if not key.startswith("PRISMICX_")}
    if "PRISMICX_MONGO_ENGINE" in os.environ:
        environ["PRISMICX_MONGO_ENGINE"] = os.environ["PRISMICX_MONGO_ENGINE"]
    environ["PATH"] = f"{folder / '.venv' / 'bin'}:{environ['PATH']}"
    # A file, since everybody can read the words of a command, and pages type passwords.
    with tempfile.NamedTemporaryFile("w", suffix=".sh") as file:
        file.write(script)
        file.flush()
        done = subprocess.run(
            ["bash", "-eu", file.name],
            capture_output=True,
            text=True,
            timeout=400,
            env=environ,
            cwd=folder,
            check=False,
        )
    assert not check or done.returncode == 0, f"{script}\n{done.stdout}\n{done.stderr}"
    return done.stdout


EXPECTED = {
    "docs/security.md": ["nothing got through", "logins are in use", '"through": 0'],
    "README.md": ["every fact is held"],
    "docs/quickstart.md": [
        "every fact is held",
        "1 task waits",
        "0 tasks of the other tenant are seen",
        "refused: boundary.statement",
    ],
    "docs/tenants.md": [
        "Acme Inc {'tags': ['beta']}",
        "None {'preferences': {'language': 'en'}}",
        "tenant.changed",
        "tenant.suspended",
        "active (resume)",
        "tenant_acme_db dedicated ('acme',)",
        "last: corner-shop",
        "Corner Shop & Sons",
        '"next": null',
    ],
    "docs/users.md": [
        "logged in: ada",
        "{'columns': 3, 'wide': True}",
        "last: grace@acme.example",
        "skipped  2",
        "exported  4",
        "language   en",
        "refused: preference.invalid",
        "columns: 2",
        "registered  language",
    ],
    "docs/systems.md": [
        "require-concurrent-index-creation",
        "crm is missing",
        "helpdesk needs it",
        "1.1.0 4 {'satisfaction': False}",
        "{'answer_within_hours': 24, 'reply_to': 'help@acme.example'} {'satisfaction': True}",
        "system.configuration_invalid configuration at $.answer_within_hours: 0 is less than the minimum of 1",
        "up to 1.1.0 and back",
        "['helpdesk']",
        "not any more",
    ],
    "docs/fleet.md": [
        "3 to change: [('1.1',)]",
        "1.1: AccessExclusiveLock on items, stops readers and writers",
        "one of them failed",
        "1 × 23514",
        "finished 3 of 3",
        "shop       1.0      installed  2",
    ],
    "docs/documents.md": [
        "2 of acme, 1 of globex",
        "refused: boundary.tenant_changed",
        "refused: boundary.stage",
        "refused: boundary.collation",
        "insert Mail to Bob",
        "one more, one less",
    ],
    "docs/tasks.md": ["enqueued  3", "cancelled", "{'report': {'pending': 2}}", "report   2", "task.transition"],
    "docs/categories.md": [
        "added      4",
        "Cars > Sports > Vans > Campers",
        "category.cycle",
        "['Cars', 'SUVs', 'Sports']",
        "renamed  Automobiles",
        "missing  Automobiles > Sports",
        "removed    3",
        "exported  3",
        "every category is in its place",
    ],
    "docs/insights.md": [
        "- The moon makes them",
        "16 topics",
        "insight.changed",
        "0.088 complete, interest 45.9",
        "deleted",
    ],
    "docs/keys.md": [
        "vault:v1: b'a keyset'",
        "vault:v2: b'a keyset'",
        "refused: keys.destroyed",
        "0 keys, nothing is damaged",
        '"reason": "keys.destroyed"',
    ],
    "docs/audit.md": [
        "the chain is unbroken",
        "tenant.create",
        "scope.open denied tenant.suspended",
        "user.create done ada@acme.example api",
        "the hash that was kept is in it",
    ],
    "docs/sealing.md": [
        "{'colour': 'red', 'private': {'passport': 'C01X00T47'}}",
        "stored: pxsealed:1:users:-:",
        "who has this token: 1",
        "keys.cannot_open",
        "refused: task.invalid",
        "oldest_version: 2",
        "exported  1",
        "prismicx.keys_destroyed",
        "keys.destroyed",
        "ada is still there",
    ],
    "docs/extensions.md": ["8.666666666666666", "9.0", "20 uses", "1 Dark mode 20", "2 Scanner 3", "deleted"],
}


@pytest.mark.timeout(
    900
)  # a page goes on for as long as a newcomer reads; the one on security attacks the platform thrice
@pytest.mark.parametrize("page", EXPECTED)
def test_what_a_page_says_works(clone: Path, page: str) -> None:
    pieces = [(language, text) for language, text in blocks(page) if "make demo" not in text]
    assert len(pieces) >= 2
    if page == "README.md":  # its program is shown after the servers were stopped
        pieces.insert(1, ("sh", "prismicx up --detach"))
    printed = ""
    for language, text in pieces:
        if language == "python":
            (clone / "program.py").write_text(text)
        printed += run(clone, "python program.py" if language == "python" else text)
    for words in EXPECTED[page]:
        assert words in printed, f"{words!r} not in {printed}"
    if page == "docs/quickstart.md":
        assert (clone / "diagrams" / "architecture.svg").exists()


def test_the_pages_link_to_what_is_there() -> None:
    for page in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), *(ROOT / "systems").rglob("*.md")]:
        for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text()):
            assert target.startswith("https://") or (page.parent / target).exists(), f"{page}: {target}"


def test_commands_errors_and_stages_are_those_of_the_code() -> None:
    assert (ROOT / "docs/reference/privileges.md").read_text() == privileges.page(), "run: make docs"
    assert (ROOT / "docs/reference/stages.md").read_text() == aggregation_stages.table(), "run: make docs"
    assert (ROOT / "docs/reference/commands.md").read_text() == generate.commands(), "run: make docs"
    assert (ROOT / "docs/reference/errors.md").read_text() == generate.error_codes(), "run: make docs"
    assert (ROOT / "docs/reference/audit.md").read_text() == generate.audited(), "run: make docs"
    assert (ROOT / "docs/reference/sealed-fields.md").read_text() == generate.sealed_fields(), "run: make docs"


async def test_databases_and_diagrams_are_those_of_live_ones(
    settings: Settings, px: Any, pair: tuple[str, str], tmp_path: Path
) -> None:
    await diagrams.write(settings, locate(settings), tmp_path)
    for file in (ROOT / "docs/reference/diagrams").iterdir():
        if file.stem != "architecture":  # it counts the tenants
            assert file.read_text() == (tmp_path / file.name).read_text(), f"{file.name}: run: make docs"
    mine = await document.generate(settings, locate(settings))
    assert (ROOT / "docs/reference/databases.md").read_text() == mine.replace(f"{settings.namespace}__", "")
