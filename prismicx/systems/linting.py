"""What squawk says of the scripts of a package: no rule is broken, but something may lock, fail or break clients."""

from __future__ import annotations

import json
import shutil
import subprocess
import sysconfig
import tempfile
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prismicx.errors import InvalidInput, Unavailable
from prismicx.systems.package import Package, Source
from prismicx.systems.phases import with_placeholder

_SETTINGS = """
pg_version = "15"
# Scripts run in a transaction of the platform.
assume_in_transaction = true
excluded_rules = [
    # CONCURRENTLY becomes a phase of its own, outside of the transaction.
    "ban-concurrent-index-creation-in-transaction",
    # The platform sets the timeouts; a migration may not.
    "require-timeout-settings", "require-lock-timeout", "require-statement-timeout",
    # What fails is undone as a whole, so that nothing has to be IF NOT EXISTS.
    "prefer-robust-stmts",
]
"""

_FOR_THE_WAY_UP = ("ban-drop-", "renaming-")
"""How rules begin that are not for ways back, which take away what the way forward made."""

_SECONDS = 60


@dataclass(frozen=True, slots=True)
class LintWarning:
    """What should be looked at, and where; lines and columns count from 1.

    Attributes:
        version: the version whose script it is in.
        rule: of squawk, see https://squawkhq.com/docs/rules; or ``no-way-back``.
    """

    version: str
    file: str
    line: int
    column: int
    rule: str
    message: str
    help: str | None

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}: {self.rule}: {self.message}"


@dataclass(frozen=True, slots=True)
class _Text:
    """A script as squawk gets it: every line where the file has it."""

    version: str
    source: Source
    up: bool
    lines: Sequence[str]


def lint(package: Package) -> list[LintWarning]:
    """What should be looked at before a package is published, by version and place.

    Raises:
        Unavailable: ``lint.unavailable`` when squawk cannot be run.
    """
    texts = _texts(package)
    found = [
        LintWarning(
            release.version,
            release.migration.up_source.file,
            release.migration.up_source.line,
            1,
            "no-way-back",
            "The migration has no way back, so that a tenant who has it cannot be rolled back over it.",
            None,
        )
        for release in package.releases
        if release.migration.down is None
    ]
    for item in _run(texts):
        text = texts[item["file"]]
        if text.up or not item["rule_name"].startswith(_FOR_THE_WAY_UP):
            found.append(_warning(text, item))
    order = {release.version: index for index, release in enumerate(package.releases)}
    return sorted(found, key=lambda item: (order[item.version], item.file, item.line, item.column, item.rule))


def lint_if_possible(package: Package, strict: bool) -> list[LintWarning] | None:
    """As `lint`; None where squawk cannot be run, unless strict.

    Raises:
        Unavailable: ``lint.unavailable`` when strict.
    """
    try:
        return lint(package)
    except Unavailable:
        if strict:
            raise
        return None


def refuse(warnings: Collection[LintWarning] | None) -> None:
    """See that there are no warnings.

    Raises:
        InvalidInput: ``package.lint``, listing them.
    """
    if warnings:
        listed = "".join(f"\n  {warning}" for warning in warnings)
        raise InvalidInput(
            "package.lint",
            f"warnings: {len(warnings)}{listed}",
            "mend the scripts, write -- squawk-ignore RULE above a statement, or publish without --strict",
        )


def of_versions(warnings: Sequence[LintWarning] | None, versions: Collection[str]) -> tuple[LintWarning, ...] | None:
    """The warnings for some versions; None where nothing was linted."""
    return None if warnings is None else tuple(warning for warning in warnings if warning.version in versions)


def _texts(package: Package) -> dict[str, _Text]:
    """The scripts by the names of files that squawk is given."""
    texts = {}
    for release in package.releases:
        migration = release.migration
        ways = [("up", migration.up, migration.up_source)]
        if migration.down is not None and migration.down_source is not None:
            ways.append(("down", migration.down, migration.down_source))
        for way, script, source in ways:
            text = "\n" * (source.line - 1) + with_placeholder(script)[0]
            texts[f"{migration.number}.{way}.sql"] = _Text(release.version, source, way == "up", text.split("\n"))
    return texts


def _run(texts: Mapping[str, _Text]) -> list[dict[str, Any]]:
    """What squawk tells of all files, in one call."""
    program = _program()
    with tempfile.TemporaryDirectory(prefix="prismicx-lint-") as name:
        folder = Path(name)
        (folder / "settings.toml").write_text(_SETTINGS, encoding="utf-8")
        for file, text in texts.items():
            (folder / file).write_text("\n".join(text.lines), encoding="utf-8")
        try:
            done = subprocess.run(
                [program, "--config", "settings.toml", "--reporter", "json", "*.sql"],
                cwd=folder,
                capture_output=True,
                timeout=_SECONDS,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise _unavailable(str(error)) from error
    try:
        told: list[dict[str, Any]] = json.loads(done.stdout)
    except ValueError as error:
        said = done.stderr.decode(errors="replace").strip()[-300:]
        raise _unavailable(f"{program} ended with {done.returncode}: {said}") from error
    # All was parsed before, with PostgreSQL's own grammar: what squawk cannot parse is its own matter.
    return [item for item in told if item["rule_name"] != "syntax-error"]


def _program() -> str:
    """Where squawk is: beside the interpreter, where its wheel puts it, or on the path."""
    beside = Path(sysconfig.get_path("scripts"))
    found = shutil.which("squawk", path=str(beside)) or shutil.which("squawk")
    if found is None:
        raise _unavailable(f"there is no squawk in {beside}, nor on the path")
    return found


def _unavailable(reason: str) -> Unavailable:
    return Unavailable(
        "lint.unavailable", f"squawk cannot be run: {reason}", "pip install squawk-cli, or publish without --strict"
    )


def _warning(text: _Text, item: Mapping[str, Any]) -> LintWarning:
    # squawk counts from 0, and columns in bytes.
    before = text.lines[item["line"]].encode()[: item["column"]].decode(errors="replace")
    return LintWarning(
        text.version,
        text.source.file,
        item["line"] + 1,
        len(before) + 1,
        item["rule_name"],
        item["message"],
        item["help"],
    )
