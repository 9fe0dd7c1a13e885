"""`up`, `down`, `status`, `doctor`: the engines and what is set."""

from __future__ import annotations

import signal
import sys
from types import FrameType
from typing import Any

import click

from prismicx import doctor
from prismicx.api import server as api
from prismicx.cli.door import Door, command, pairs, table
from prismicx.engines import embedded
from prismicx.engines.endpoints import locate
from prismicx.reference.apply import apply


@command(None, "up")
@click.option("--detach", is_flag=True, help="Leave everything running and return.")
@click.option("--port", "set_port", type=int, help="Port of the HTTP API; a free one unless given.")
@click.option("--postgres-port", "set_postgres_port", type=int, help="Port of the embedded PostgreSQL.")
@click.option("--mongo-port", "set_mongo_port", type=int, help="Port of the embedded MongoDB.")
@click.option("--key-port", "set_key_port", type=int, help="Port of the embedded key service.")
@click.option("--mongo-engine", "set_mongo_engine", help="mongod, secantusd-rs, secantusdb or auto.")
def up(door: Door, detach: bool) -> None:
    """Start what is needed, apply the reference, serve; prints where.

    PostgreSQL, MongoDB and the key service are started unless URLs name them. Without --detach everything that was
    started is stopped again by Ctrl-C. Running it twice is safe.
    """
    settings = door.settings
    embedded.start(settings, door.tell)
    changed = door.run(apply(settings, locate(settings), progress=door.tell))
    door.tell("the reference is applied" if changed.changes else "the reference was in place")
    if detach:
        if api.installed():
            api.detach(settings)
        _show_state(door, False)
        return
    try:
        _serve(door)
    finally:
        _stop(door)


@command(None, "down")
def down(door: Door) -> None:
    """Stop the servers of the data directory; their data stays."""
    stopped = _stop(door)
    door.show({"stopped": stopped}, lambda data: click.echo(f"stopped: {', '.join(stopped) or 'nothing ran'}"))


@command(None, "status")
@click.option("--show-secrets", is_flag=True, help="URLs with the administrators' logins.")
def status(door: Door, show_secrets: bool) -> None:
    """What runs, and where. Exit code 6 unless everything is ready."""
    if not _show_state(door, show_secrets):
        sys.exit(6)


@command(None, "doctor")
def doctor_command(door: Door) -> None:
    """Every setting with its source, the engines' versions, and all that is wrong at once.

    Exit code 1 when something is wrong.
    """
    diagnosis = door.run(doctor.examine(door.loaded))

    def text(_: Any) -> None:
        table(diagnosis.settings, ["setting", "value", "source"])
        found = diagnosis.state
        if found is not None:
            click.echo()
            pairs(
                {
                    "PostgreSQL": f"{found.postgres.version or 'not reached'} ({found.postgres.source})",
                    "PostgreSQL transport": found.postgres.transport or "-",
                    "MongoDB": f"{found.mongo.version or 'not reached'} ({found.mongo.source})",
                    "MongoDB transport": found.mongo.transport or "-",
                    "key service": f"{found.keys.version or 'not reached'} ({found.keys.source})",
                    "reference": "applied" if found.applied else "not applied",
                }
            )
        click.echo()
        for problem in diagnosis.problems:
            click.echo(f"✗ {problem['problem']} [{problem['code']}]\n    remedy: {problem['remedy']}")
        if diagnosis.ok:
            click.echo("✓ nothing is wrong")

    door.show(diagnosis.as_json(), text)
    if not diagnosis.ok:
        sys.exit(1)


def _serve(door: Door) -> None:
    settings = door.settings

    def end(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    # The API's server, too, raises the signal again when it is done: without this the process would end at once.
    signal.signal(signal.SIGTERM, end)
    if api.installed():
        api.stop(settings)
        port = api.choose_port(settings)
        door.tell(f"serving on http://127.0.0.1:{port}; Ctrl-C stops everything")
        _show_state(door, False)
        api.serve(settings, port)
        return
    _show_state(door, False)
    door.tell("Ctrl-C stops everything")
    signal.pause()


def _stop(door: Door) -> list[str]:
    stopped = ["api"] if api.stop(door.settings) else []
    return stopped + embedded.stop(door.settings)


def _show_state(door: Door, show_secrets: bool) -> bool:
    found = door.run(doctor.state(door.settings, show_secrets=show_secrets))

    def text(_: Any) -> None:
        for name, engine in (
            ("PostgreSQL", found.postgres), ("MongoDB", found.mongo), ("keys", found.keys),
        ):  # fmt: skip
            click.echo(f"{name:<12}{engine.version or 'not reached'} ({engine.source})")
            for url in engine.urls.values():
                click.echo(f"{'':<12}{url}")
            if engine.problem is not None:
                click.echo(f"{'':<12}{engine.problem.message}\n{'':<12}remedy: {engine.problem.remedy}")
        click.echo(f"{'reference':<12}{'applied' if found.applied else 'not applied'}")
        click.echo(f"{'API':<12}{found.api or 'not served'}")
        click.echo(f"{'data':<12}{found.data}")

    door.show(found.as_json(), text)
    return found.ready
