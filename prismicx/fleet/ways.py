"""The ways of a rollout: the phases that lead a tenant from where it is to where the rollout goes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from prismicx.engines.postgres import Pool
from prismicx.errors import Conflict
from prismicx.fleet.drift import queries
from prismicx.fleet.runner import Way
from prismicx.fleet.values import Rollout
from prismicx.systems.guard import guard_of, related_versions
from prismicx.systems.package import NOTHING
from prismicx.systems.path import find_path, find_version
from prismicx.systems.records import version_id
from prismicx.systems.requirements import held_of
from prismicx.systems.step import Phase
from prismicx.systems.way import phases_of_way, removal


async def ways_of(pool: Pool, rollout: Rollout) -> Way:
    """What gives the phases from a version; each way is made once.

    It raises Conflict ``rollout.moved`` where no way leads on from a version, and what
    `prismicx.systems.path.find_path` raises.
    """
    system_id = rollout.system_id
    migrations = await pool.fetch(queries.migrations, system_id)
    wanted = snapshot = None
    if rollout.version is not None:
        target = find_version(system_id, await pool.fetch(queries.versions, system_id), rollout.version)
        wanted = held_of(system_id, target)
        snapshot = await pool.fetchval(queries.snapshot, version_id(system_id, rollout.version))
    guard = guard_of(system_id, wanted, await related_versions(pool, system_id, wanted))
    ways: dict[str | None, list[Phase]] = {}

    def way(here: str | None) -> list[Phase]:
        if here not in ways:
            ways[here] = _phases(rollout, migrations, here, snapshot, guard)
        return ways[here]

    return way


def _phases(
    rollout: Rollout, migrations: Sequence[Any], here: str | None, snapshot: str | None, guard: str | None
) -> list[Phase]:
    system_id = rollout.system_id
    if rollout.version is None:
        return [removal(system_id, here, guard)]
    if here is None and rollout.action != "install":
        raise Conflict("rollout.moved", f"it has no {system_id} any more", "plan another rollout")
    steps = find_path(system_id, migrations, here or NOTHING, rollout.version)
    wrong_way = "up" if rollout.action == "rollback" else "down"
    if any(step.direction == wrong_way for step in steps):
        raise Conflict(
            "rollout.moved", f"it has {system_id} {here} meanwhile, beyond {rollout.version}", "plan another rollout"
        )
    chosen = "{}" if here is None else None
    return phases_of_way(system_id, steps, snapshot, configuration=chosen, features=chosen, guard=guard)
