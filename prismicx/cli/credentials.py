"""`credentials`: the passwords of the services, and the key of tenants' proofs."""

from __future__ import annotations

from dataclasses import asdict

import click

from prismicx.cli.door import Door, command
from prismicx.engines.endpoints import locate
from prismicx.reference.rotation import Rotated
from prismicx.reference.rotation import retire as retire_logins
from prismicx.reference.rotation import rotate as rotate_logins


@click.group()
def credentials() -> None:
    """Passwords of the services, in one file of mode 0600: rotate them while everything runs."""


@command(credentials, "rotate")
@click.option(
    "--grace", type=click.FloatRange(min=0), default=30.0, show_default=True,
    help="Seconds for running processes to pass over, at most; then the old logins stop working.",
)  # fmt: skip
@click.option("--keep-old", is_flag=True, help="Leave the old logins working, until `credentials retire`.")
def rotate(door: Door, grace: float, keep_old: bool) -> None:
    """Give every service another login with a new password, and tenants' proofs a new key.

    The old ones go on working meanwhile. Processes that read the same credentials file pass over within seconds;
    bring the file to other machines, with --keep-old if that takes longer.
    """
    settings = door.settings
    done = door.run(rotate_logins(settings, locate(settings), grace=None if keep_old else grace, progress=door.tell))
    _show(door, done)


@command(credentials, "retire")
def retire(door: Door) -> None:
    """Let the logins of before the last rotation stop working, and end their sessions."""
    settings = door.settings
    _show(door, door.run(retire_logins(settings, locate(settings))))


def _show(door: Door, done: Rotated) -> None:
    door.show(
        asdict(done),
        lambda _: click.echo(f"{len(done.current)} logins are in use, {len(done.retired)} stopped working"),
    )
