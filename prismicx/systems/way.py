"""The way of a tenant from one version of a system to another, as the phases that are performed."""

from __future__ import annotations

from collections.abc import Sequence

from prismicx.systems.package import NOTHING
from prismicx.systems.path import Step
from prismicx.systems.records import version_id
from prismicx.systems.step import Phase, phases_of_step


def phases_of_way(
    system_id: str,
    steps: Sequence[Step],
    snapshot: str | None = None,
    *,
    configuration: str | None = None,
    features: str | None = None,
    guard: str | None = None,
) -> list[Phase]:
    """The phases of the steps of a way.

    Args:
        snapshot: the script that makes the version the way leads to from nothing; it is taken instead of the steps
            where nothing is installed.
        configuration, features: what was chosen, as JSON; None leaves it as it is.
        guard: see `prismicx.systems.guard.guard_of`.
    """
    if snapshot is not None and steps and steps[0].version_from == NOTHING:
        target = version_id(system_id, steps[-1].version_to)
        return [Phase(None, target, snapshot, configuration=configuration, features=features, guard=guard)]
    return [
        phase
        for step in steps
        for phase in phases_of_step(
            None if step.version_from == NOTHING else version_id(system_id, step.version_from),
            version_id(system_id, step.version_to), step.script, configuration=configuration, features=features,
            guard=guard,
        )
    ]  # fmt: skip


def phases_left(phases: Sequence[Phase], done: int) -> Sequence[Phase]:
    """Those of the phases of a way that are not done. Where more are done than its first step has, what was begun is
    another step: then all, of which the ledger refuses the first, since the tenant is between two versions."""
    return phases if phases and done >= phases[0].of else phases[done:]


def removal(system_id: str, version: str | None, guard: str | None = None) -> Phase:
    """The phase that removes an installed version, its schema and everything in it; None for what was never installed
    to its end."""
    return Phase(None if version is None else version_id(system_id, version), None, "", guard=guard)
