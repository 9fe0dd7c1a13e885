"""What a rollout would do: which tenants take which way, who is left out and why. It reads, and changes nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC
from typing import Any

from packaging.version import Version

from prismicx.clock import utc_now
from prismicx.engines.postgres import Pool, PooledConnection
from prismicx.errors import Conflict, Denied, InvalidInput, NotFound, PrismicXError
from prismicx.fleet.drift import drifted, drifted_among, queries
from prismicx.fleet.values import INVALID, Action, Blocked, Group, Options, Plan, Selection
from prismicx.names import Names
from prismicx.systems.declarations import Choices, Declaration, stored_choices, stored_declaration
from prismicx.systems.installation import INSTALLED
from prismicx.systems.manifest import is_system_id
from prismicx.systems.package import NOTHING
from prismicx.systems.path import Step, check_unfinished, find_path, find_version
from prismicx.systems.records import DEPRECATED, unknown_system
from prismicx.systems.requirements import (
    Held,
    by_system,
    check_absent,
    check_compatible,
    check_dependencies,
    check_direction,
    check_offered,
    check_type_free,
    check_unneeded,
    held_of,
    not_installed,
    platform_parts,
)
from prismicx.systems.secrets import sealed_keys
from prismicx.tenants.registry import Registry
from prismicx.tenants.values import Status


@dataclass(slots=True)
class _Known:
    """What the catalogue says of a system and the version asked for; `target` is None where it is removed."""

    system: Any
    versions: list[Any]
    migrations: list[Any]
    target: Any

    @property
    def target_version(self) -> str:
        return NOTHING if self.target is None else str(self.target["version"])

    def number(self, version: str) -> int:
        return next(int(row["schema_version"]) for row in self.versions if row["version"] == version)

    def declared(self) -> Declaration:
        return stored_declaration(self.target["configuration"], self.target["features"])


class Planner:
    """Makes plans.

    Args:
        pool: of the login that reads over all tenants.
        registry: says which tenants there are, and in which state.
    """

    def __init__(self, pool: Pool, registry: Registry, names: Names) -> None:
        self._pool = pool
        self._registry = registry
        self._names = names

    async def plan(
        self, system_id: str, action: Action, selection: Selection, version: str | None, options: Options
    ) -> Plan:
        """See `prismicx.fleet.fleet.Fleet.plan`."""
        async with self._pool.acquire() as connection:
            known = await _known(connection, system_id, action, version)
            await self._check_canaries(selection, options)
            candidates = await _candidates(connection, known, action)
            # Whom nothing is to be done for need not be asked about, unless they are to be counted.
            everybody = selection.all_tenants and action != "install"
            wanted = tuple(candidates) if everybody else selection.tenants or None
            meant = {} if wanted == () else await self._meant(selection, wanted)
            for tenant_id in selection.tenants:
                if tenant_id not in meant:
                    raise unknown_tenant(tenant_id)
            done, there = await _there_already(connection, known, action, selection, meant)
            named = bool(selection.tenants)
            meant = {tenant_id: status for tenant_id, status in meant.items() if tenant_id not in there}
            groups, blocked = await self._sorted(connection, known, action, meant, candidates, named, options.force)
        if known.target is not None and not options.force:
            await self._leave_out_drifted(known, groups, blocked, options)
        ways = [_group(known, here, tenants) for here, tenants in groups.items() if tenants]
        tenants = [tenant_id for group in ways for tenant_id in group.tenants]
        return _made(known, action, ways, blocked, done, options, tenants, named=named)

    async def _meant(self, selection: Selection, wanted: Sequence[str] | None) -> dict[str, Status]:
        return await self._registry.standings(
            wanted, tiers=selection.tiers, regions=selection.regions, tags=selection.tags
        )

    async def _check_canaries(self, selection: Selection, options: Options) -> None:
        """See that every canary is among the tenants that are meant, whether or not something is to be done for it."""
        if not options.canaries:
            return
        known = await self._registry.standings(options.canaries)
        meant = selection.tenants or await self._meant(selection, options.canaries)
        for tenant_id in options.canaries:
            if tenant_id not in known:
                raise unknown_tenant(tenant_id)
            if tenant_id not in meant:
                raise InvalidInput(
                    INVALID,
                    f"the canary {tenant_id} is not among the tenants that are meant",
                    "take it out, or select it, too",
                )

    async def _sorted(
        self, connection: PooledConnection, known: _Known, action: Action, meant: Mapping[str, Status],
        candidates: Mapping[str, Any], named: bool, force: bool,
    ) -> tuple[dict[str | None, list[str]], list[Blocked]]:  # fmt: skip
        """Tenants by the version they have, and those for whom nothing can be done."""
        if not meant:
            return {}, []
        others = await _others(connection, known)
        unfinished = {row["tenant_id"]: row for row in await connection.fetch(queries.unfinished, _id(known))}
        published = by_system(await connection.fetch(queries.versions_of, _needs(known)))
        groups: dict[str | None, list[str]] = {}
        blocked: list[Blocked] = []
        passed: set[Any] = set()
        for tenant_id in sorted(meant):
            row: Any = candidates.get(tenant_id)
            here = row["version"] if row is not None and row["status"] == INSTALLED else None
            # All that is looked at where there is nothing else: of thousands that are alike the first is checked.
            alike = (meant[tenant_id], row and (row["status"], row["version"], row["configurations"]))
            alone = tenant_id not in others and tenant_id not in unfinished
            if not (alone and alike in passed):
                if not _concerned(known, action, row, named):
                    continue
                try:
                    check_state(tenant_id, meant[tenant_id])
                    if not (force and action == "uninstall"):  # then it is removed in whatever state it is
                        _check_row(known, action, tenant_id, row)
                        check_unfinished(tenant_id, _id(known), here, unfinished.get(tenant_id), _way(known, here))
                    elif row is None:
                        raise not_installed(tenant_id, _id(known))
                    _check_others(known, action, tenant_id, others.get(tenant_id, {}), published)
                except PrismicXError as error:
                    blocked.append(Blocked(tenant_id, here, error.code, error.message, error.exit_code))
                    continue
                if alone:
                    passed.add(alike)
            groups.setdefault(here, []).append(tenant_id)
        return groups, blocked

    async def _leave_out_drifted(
        self, known: _Known, groups: dict[str | None, list[str]], blocked: list[Blocked], options: Options
    ) -> None:
        """Block tenants whose schemas are not what their versions make: nobody tried a step from there."""
        held = {tenant_id: here for here, tenants in groups.items() if here for tenant_id in tenants}
        kind = known.system["type"]
        for tenant_id in await drifted_among(self._pool, self._names, _id(known), kind, held, options.concurrency):
            here = held[tenant_id]
            groups[here].remove(tenant_id)
            error = drifted(tenant_id, here)
            blocked.append(Blocked(tenant_id, here, error.code, error.message, error.exit_code))


async def _known(connection: PooledConnection, system_id: str, action: Action, version: str | None) -> _Known:
    system = await connection.fetchrow(queries.system, system_id) if is_system_id(system_id) else None
    if system is None:
        raise unknown_system(system_id)
    versions = await connection.fetch(queries.versions, system_id)
    target: Any = None if action == "uninstall" else find_version(system_id, versions, version)
    if action == "install":
        check_offered(system_id, deprecated=system["status"] == DEPRECATED)
        # Nothing is chosen for many at once.
        stored_declaration(target["configuration"], target["features"]).changed(Choices(), None, None)
    if target is not None:
        needed, found = json.loads(target["compatibility"] or "{}"), platform_parts(connection.get_server_version())
        check_compatible(system_id, target["version"], needed, found)
    return _Known(system, versions, await connection.fetch(queries.migrations, system_id), target)


async def _candidates(connection: PooledConnection, known: _Known, action: Action) -> dict[str, Any]:
    """Rows of the ledger that are not where the action leads."""
    if action in ("install", "uninstall"):
        rows = await connection.fetch(queries.holders, _id(known))
    else:
        rows = await connection.fetch(queries.not_at, _id(known), known.target["version_id"])
    return {row["tenant_id"]: row for row in rows}


async def _there_already(
    connection: PooledConnection, known: _Known, action: Action, selection: Selection, meant: Mapping[str, Status]
) -> tuple[int, set[str]]:
    """How many of the tenants that are meant are where the action leads, and which, where not all are meant."""
    if action in ("install", "uninstall"):
        return 0, set()
    target = known.target["version_id"]
    if selection.all_tenants:
        return await connection.fetchval(queries.count_at, _id(known), target), set()
    rows = await connection.fetch(queries.tenants_at, _id(known), target, list(meant))
    return len(rows), {row["tenant_id"] for row in rows}


def unknown_tenant(tenant_id: str) -> NotFound:
    """The error for a tenant that the registry does not know."""
    return NotFound("tenant.unknown", f"there is no tenant {tenant_id}", "prismicx tenant list shows those there are")


async def _others(connection: PooledConnection, known: _Known) -> dict[str, dict[str, tuple[str, Held]]]:
    """By tenant, the systems that matter: of the same type, needed, or in need of this one."""
    found: dict[str, dict[str, tuple[str, Held]]] = {}
    for row in await connection.fetch(queries.others, _id(known), known.system["type"], _needs(known)):
        found.setdefault(row["tenant_id"], {})[row["system_id"]] = (row["type"], held_of(row["system_id"], row))
    return found


def _concerned(known: _Known, action: Action, row: Any, named: bool) -> bool:
    """Whether the action has anything to do with a tenant, or should say why it has not."""
    if action == "install":
        return named or row is None or row["status"] != INSTALLED
    if row is None:
        return named
    if action == "uninstall":
        return True
    if row["status"] != INSTALLED:
        return True
    here, there = known.number(row["version"]), known.number(known.target_version)
    return named or (here < there if action == "upgrade" else here > there)


def check_state(tenant_id: str, status: Status) -> None:
    """See that a tenant's data may be reached; coded as `prismicx.tenants.registry.Registry.routable` does.

    Raises:
        Denied: ``tenant.suspended`` or ``tenant.inactive``.
        Conflict: ``tenant.provisioning``.
    """
    if status != "active":
        branch = Conflict if status == "provisioning" else Denied
        raise branch(f"tenant.{status}", f"{tenant_id} is {status}")


def _check_row(known: _Known, action: Action, tenant_id: str, row: Any) -> None:
    installed = row is not None and row["status"] == INSTALLED
    if action == "install":
        check_absent(tenant_id, _id(known), row["version"] if installed else None)
        return
    if row is None:
        raise not_installed(tenant_id, _id(known))
    if not installed:
        raise Conflict(
            "system.failed",
            f"the installation of {_id(known)} for {tenant_id} failed: install it again, or uninstall it with --force",
        )
    if known.target is not None:
        check_direction(_id(known), action, row["version"], known.target_version)
        held = stored_choices(row["configurations"], None)
        known.declared().changed(held, None, None, unread=sealed_keys(held))


def _way(known: _Known, here: str | None) -> Sequence[Step]:
    return (
        [] if known.target is None else find_path(_id(known), known.migrations, here or NOTHING, known.target_version)
    )


def _check_others(
    known: _Known, action: Action, tenant_id: str, others: Mapping[str, tuple[str, Held]],
    published: Mapping[str, Sequence[str]],
) -> None:  # fmt: skip
    installed = {system_id: held for system_id, (_, held) in others.items()}
    if known.target is None:
        check_unneeded(tenant_id, _id(known), installed)
        return
    if action == "install":
        kind = known.system["type"]
        check_type_free(tenant_id, kind, next((name for name, (other, _) in others.items() if other == kind), None))
    check_dependencies(tenant_id, held_of(_id(known), known.target), installed, published)


def _group(known: _Known, here: str | None, tenants: list[str]) -> Group:
    if known.target is None:
        return Group(here, (), False, tuple(tenants))
    if here is None and known.target["has_snapshot"]:
        seconds = json.loads(known.target["locks"]).get("snapshot", 0.0) / 1000
        return Group(here, (known.target_version,), True, tuple(tenants), seconds=seconds)
    steps = find_path(_id(known), known.migrations, here or NOTHING, known.target_version)
    rows = {row["version"]: row for row in known.versions}
    locks: dict[str, Any] = {}
    milliseconds = 0.0
    for step in steps:
        row = rows[step.version_to if step.direction == "up" else step.version_from]
        if row["locks"] is not None:
            locks[step.version_to] = json.loads(row["locks"])[step.direction]
            milliseconds += row["milliseconds"]
    return Group(here, tuple(step.version_to for step in steps), False, tuple(tenants), locks, milliseconds / 1000)


def _made(
    known: _Known, action: Action, groups: list[Group], blocked: list[Blocked], done: int, options: Options,
    tenants: list[str], *, named: bool,
) -> Plan:  # fmt: skip
    order = [NOTHING, *sorted({row["version"] for row in known.versions}, key=Version)]
    groups.sort(key=lambda group: order.index(group.version_from or NOTHING))
    waves = tuple(tuple(wave) for wave in options.in_waves(tenants, named))
    each = {tenant_id: group.seconds for group in groups for tenant_id in group.tenants}
    # A wave begins when the one before it has ended.
    seconds = sum(sum(each[name] for name in wave) / min(options.concurrency, len(wave)) for wave in waves)
    version = None if known.target is None else known.target_version
    return Plan(
        _id(known),
        action,
        version,
        tuple(groups),
        tuple(blocked),
        done,
        waves,
        options,
        seconds,
        utc_now().replace(tzinfo=UTC),
        named,
    )


def _id(known: _Known) -> str:
    return str(known.system["system_id"])


def _needs(known: _Known) -> list[str]:
    return [] if known.target is None else list(json.loads(known.target["dependencies"] or "{}"))
