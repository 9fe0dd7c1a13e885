"""Commands without a server: exit codes, and what is asked at a terminal."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import click
import pytest
from click.testing import CliRunner

from prismicx import NotFound
from prismicx.categories.tree import Problem
from prismicx.cli import category, main, scope, user
from prismicx.cli.door import PrismicXGroup


@click.group(cls=PrismicXGroup)
def words() -> None:
    pass


@words.command()
def ctrl_c() -> None:
    raise KeyboardInterrupt


@words.command()
def ctrl_c_at_a_prompt() -> None:
    try:
        raise KeyboardInterrupt
    except (KeyboardInterrupt, EOFError):
        raise click.Abort from None  # as click's prompts do


@words.command()
def declined() -> None:
    click.confirm("Sure?", abort=True)


@pytest.mark.parametrize(("name", "code"), [("ctrl-c", 130), ("ctrl-c-at-a-prompt", 130), ("declined", 1)])
def test_ctrl_c_has_an_exit_code_of_its_own(name: str, code: int) -> None:
    assert CliRunner().invoke(words, [name], input="n\n").exit_code == code


@pytest.mark.parametrize(("found", "code"), [([], 0), ([Problem("c", "Cars", "orphan")], 1)])
@pytest.mark.parametrize("more", [[], ["--json"], ["--repair"]])
def test_what_is_wrong_with_a_tree_is_in_the_exit_code(
    monkeypatch: pytest.MonkeyPatch, found: list[Problem], code: int, more: list[str]
) -> None:
    monkeypatch.setattr(category, "in_scope", lambda *_: found)
    done = CliRunner().invoke(main, ["category", "check", "--tenant", "acme", *more])
    assert done.exit_code == code
    assert ("Cars" in done.stdout) == bool(found)


@pytest.mark.parametrize(("command", "again"), [("login", False), ("verify-password", False), ("set-password", True)])
def test_a_password_is_asked_for_twice_where_it_is_kept(
    monkeypatch: pytest.MonkeyPatch, command: str, again: bool
) -> None:
    asked: list[Any] = []

    def prompt(*_: Any, confirmation_prompt: bool, **__: Any) -> str:
        asked.append(confirmation_prompt)
        return "correct horse"

    def run(*_: Any) -> Any:
        raise NotFound("user.unknown", "there is no such user")

    monkeypatch.setattr(user, "sys", SimpleNamespace(stdin=SimpleNamespace(isatty=lambda: True)))
    monkeypatch.setattr(click, "prompt", prompt)
    monkeypatch.setattr(user, "in_scope", run)
    monkeypatch.setattr(scope, "in_scope", run)
    assert CliRunner().invoke(main, ["user", command, "ada@acme.test", "--tenant", "acme"]).exit_code == 3
    assert asked == [again]
