"""`task`: background tasks of a tenant."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from prismicx.cli.door import Door, command, json_object, pairs, table, time_value
from prismicx.cli.files import opened
from prismicx.cli.scope import in_scope, of_tenant, paged, show_one, show_page
from prismicx.tasks.transfer import read_tasks
from prismicx.tasks.values import STATUSES

_COLUMNS = ["task_id", "service", "type", "status", "priority", "created_at"]


@click.group()
def task() -> None:
    """Background tasks: enqueue, list, show, cancel, retry, count."""


@command(task, "enqueue")
@of_tenant
@click.option("--service", required=True, help="The service that is to run it.")
@click.option("--type", required=True, help="Type, such as widget or welcome.")
@click.option("--payload", help="A JSON object; empty unless given.")
@click.option("--secret", multiple=True, metavar="KEY", help="Seal this key of the payload; may be repeated.")
@click.option("--priority", type=float, default=0, show_default=True, help="The higher, the earlier.")
@click.option("--many", type=click.Path(path_type=Path, exists=True, dir_okay=False, allow_dash=True), metavar="FILE",
              help="A payload a line, as JSON; a task for each.")  # fmt: skip
def enqueue(
    door: Door,
    tenant_id: str,
    service: str,
    type: str,
    payload: str | None,
    secret: tuple[str, ...],
    priority: float,
    many: Path | None,
) -> None:
    """Put a task, or many, where their service will find them."""
    if many is None:
        held = None if payload is None else json_object("payload", payload)
        show_one(door, tenant_id, lambda scope: scope.tasks.enqueue(
            service=service, type=type, payload=held, priority=priority, secret=secret), asdict)  # fmt: skip
        return
    if payload is not None:
        raise click.UsageError("--many has the payloads: leave out --payload")
    with opened(many) as source:
        tasks = read_tasks(source, service=service, type=type, priority=priority, secret=secret)
    done = in_scope(door, tenant_id, lambda scope: scope.tasks.enqueue_many(tasks))
    door.show({"enqueued": len(done)}, pairs)


@command(task, "list")
@of_tenant
@click.option("--status", type=click.Choice(STATUSES), help="Only those in this state.")
@click.option("--type", help="Type, such as widget or welcome.")
@click.option("--service", help="Service that runs it.")
@click.option("--secret", help="Values that sealed keys of the payload have, as a JSON object.")
@click.option("--since", help="Enqueued at this time or later, as 2026-01-31T12:00; UTC unless it has a zone.")
@click.option("--until", help="Enqueued before this time.")
@paged
def list_command(
    door: Door, tenant_id: str, secret: str | None, since: str | None, until: str | None, **filters: Any
) -> None:
    """Tasks in the order they were enqueued."""
    if secret is not None:
        filters["secret"] = json_object("secret", secret)
    filters |= {"since": time_value("--since", since), "until": time_value("--until", until)}
    page = in_scope(door, tenant_id, lambda scope: scope.tasks.list(**filters))
    show_page(door, "tasks", page, asdict, _COLUMNS)


@command(task, "show")
@click.argument("task_id", metavar="ID")
@of_tenant
def show(door: Door, task_id: str, tenant_id: str) -> None:
    """A task with its payload and what came of it."""
    show_one(door, tenant_id, lambda scope: scope.tasks.get(task_id), asdict)


@command(task, "cancel")
@click.argument("task_id", metavar="ID")
@of_tenant
def cancel(door: Door, task_id: str, tenant_id: str) -> None:
    """Cancel a task that waits or runs."""
    show_one(door, tenant_id, lambda scope: scope.tasks.cancel(task_id), asdict)


@command(task, "retry")
@click.argument("task_id", metavar="ID")
@of_tenant
def retry(door: Door, task_id: str, tenant_id: str) -> None:
    """Let a task that failed or was cancelled wait again."""
    show_one(door, tenant_id, lambda scope: scope.tasks.retry(task_id), asdict)


@command(task, "stats")
@of_tenant
def stats(door: Door, tenant_id: str) -> None:
    """How many tasks there are, by type and status."""
    counts = in_scope(door, tenant_id, lambda scope: scope.tasks.counts())
    rows = [{"type": name, **found} for name, found in counts.items()]
    door.show(counts, lambda _: table(rows, ["type", *STATUSES]))
