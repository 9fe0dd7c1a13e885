"""What a version of a system needs: other systems of the tenant, a server, a release of the platform."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from asyncpg import ServerVersion
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import Version

from prismicx.engines.scoped_sql import Record
from prismicx.errors import Conflict, NotFound, quoted
from prismicx.reference.apply import RELEASE
from prismicx.systems.manifest import ID_RULE, Checker, is_system_id

Specifiers = Mapping[str, str]
"""By name of a system or of a part of the platform, which versions of it will do: ``>=1.0,<2``."""

PARTS = ("postgres", "prismicx")
"""What ``compatibility`` may speak of: the server's version and the platform's release."""

_LIMIT = 16 * 1024


@dataclass(frozen=True, slots=True)
class Held:
    """A system that a tenant has installed, and which others its version needs."""

    system_id: str
    version: str
    dependencies: Specifiers


def read_dependencies(check: Checker, item: dict[str, Any], where: str) -> Specifiers | None:
    """The table ``dependencies`` of a version.

    Raises:
        InvalidInput: ``package.invalid``.
    """
    held = check.table(item, "dependencies", where, _LIMIT)
    for system_id in held or ():
        if not is_system_id(system_id):
            raise check.wrong(f"a system in dependencies{where}", system_id, ID_RULE)
    return _checked(check, held, f"dependencies{where}")


def read_compatibility(check: Checker, item: dict[str, Any], where: str) -> Specifiers | None:
    """The table ``compatibility`` of a version.

    Raises:
        InvalidInput: ``package.invalid``.
    """
    held = check.table(item, "compatibility", where, _LIMIT)
    check.fields(held or {}, PARTS, f"compatibility{where}")
    return _checked(check, held, f"compatibility{where}")


def fits(specifiers: object, version: str) -> bool:
    """Whether a version will do; nothing does where the specifiers cannot be read. Pre-releases count as versions."""
    try:
        return SpecifierSet(specifiers).contains(version, prereleases=True) if isinstance(specifiers, str) else False
    except InvalidSpecifier:
        return False


def check_published(system_id: str, wanted: Iterable[tuple[str, Specifiers]], latest: Mapping[str, Specifiers]) -> None:
    """See that what versions depend on is published, and that no system depends on itself, through others or at once.

    Cycles are looked for between the latest versions of all systems.

    Args:
        wanted: the versions of the system that are published now, and their dependencies.
        latest: by system, the dependencies of its latest version, that of this system included.

    Raises:
        Conflict: ``package.dependency``.
    """
    for version, dependencies in wanted:
        for other in dependencies:
            if other == system_id:
                raise Conflict(
                    "package.dependency", f"{system_id} {version} depends on itself", "take it out of dependencies"
                )
            if other not in latest:
                raise Conflict(
                    "package.dependency",
                    f"{system_id} {version} depends on {other}, which is not published",
                    f"publish {other} first: prismicx system publish DIR",
                )
    cycle = _cycle(system_id, latest)
    if cycle:
        raise Conflict(
            "package.dependency",
            f"the latest versions depend on one another: {' → '.join(cycle)}",
            f"take {cycle[1]} out of the dependencies of {system_id}, or {system_id} out of those of {cycle[-2]}",
        )


def held_of(system_id: str, version: Record) -> Held:
    """A version of a system, of its row, as one that is installed."""
    return Held(system_id, version["version"], json.loads(version["dependencies"] or "{}"))


def by_system(versions: Iterable[Record]) -> Mapping[str, Sequence[str]]:
    """The versions of rows by their systems."""
    found: dict[str, list[str]] = {}
    for row in versions:
        found.setdefault(row["system_id"], []).append(row["version"])
    return found


def platform_parts(server: ServerVersion) -> Mapping[str, str]:
    """The parts of the platform that ``compatibility`` may speak of, as they are."""
    return {"postgres": f"{server.major}.{server.minor}", "prismicx": RELEASE}


def not_installed(tenant_id: str, system_id: str) -> NotFound:
    """The error for a system that a tenant has not."""
    return NotFound(
        "system.not_installed",
        f"{tenant_id} has no {system_id}",
        f"prismicx system install {system_id} --tenant {tenant_id}",
    )


def check_direction(system_id: str, action: str, here: str, there: str) -> None:
    """See that an upgrade leads forward and a rollback back; the same version will do for both.

    Raises:
        Conflict: ``system.direction``.
    """
    ahead = Version(here) < Version(there)
    if here != there and ahead != (action == "upgrade"):
        other = "upgrade" if ahead else "rollback"
        raise Conflict(
            "system.direction",
            f"{system_id} {there} is {'above' if ahead else 'below'} {here}, which the tenant has: that is no {action}",
            f"prismicx system {other} {system_id} --to {there}",
        )


def check_offered(system_id: str, *, deprecated: bool) -> None:
    """See that a system may be installed anew.

    Raises:
        Conflict: ``system.deprecated``.
    """
    if deprecated:
        raise Conflict(
            "system.deprecated",
            f"{system_id} is deprecated, so it is not installed anew",
            f"choose another system, or prismicx system restore {system_id}",
        )


def check_absent(tenant_id: str, system_id: str, version: str | None) -> None:
    """See that a tenant has no version of a system.

    Raises:
        Conflict: ``system.installed``.
    """
    if version is not None:
        raise Conflict(
            "system.installed",
            f"{tenant_id} has {system_id} {version} already",
            f"prismicx system upgrade {system_id} --tenant {tenant_id}",
        )


def check_type_free(tenant_id: str, system_type: str, other: str | None) -> None:
    """See that a tenant has no other system of a type.

    Args:
        other: the id of one.

    Raises:
        Conflict: ``system.type_taken``.
    """
    if other is not None:
        raise Conflict(
            "system.type_taken",
            f"{tenant_id} has {other}, which is of the type {system_type} as well",
            "one system of a type has the schema: a tenant can have only one",
        )


def check_compatible(system_id: str, version: str, needed: Mapping[str, Any], found: Mapping[str, str]) -> None:
    """See that a version takes the parts of the platform as they are.

    Raises:
        Conflict: ``system.incompatible``.
    """
    for part, specifiers in needed.items():
        if part not in found or not fits(specifiers, found[part]):
            raise Conflict(
                "system.incompatible",
                f"{system_id} {version} needs {part} {_plain(specifiers)}; this is {found.get(part, 'not there')}",
                f"choose a version of {system_id} that takes it (prismicx system show {system_id}), or change {part}",
            )


def check_dependencies(
    tenant_id: str, wanted: Held, installed: Mapping[str, Held], published: Mapping[str, Iterable[str]]
) -> None:
    """See that a tenant has what a version of a system needs, and that what needs the system takes that version.

    Args:
        installed: what the tenant has, by system.
        published: by system that is needed, its versions.

    Raises:
        Conflict: ``system.dependency``, which names all that is missing and the commands that mend it.
    """
    missing, commands = [], []
    for other, specifiers in wanted.dependencies.items():
        held = installed.get(other)
        if held is None or not fits(specifiers, held.version):
            found = f"has {held.version}" if held else "has none"
            missing.append(
                f"{wanted.system_id} {wanted.version} needs {other} {_plain(specifiers)}; {tenant_id} {found}"
            )
            commands.append(_mending(tenant_id, other, specifiers, held, published.get(other, ())))
    if missing:
        raise Conflict("system.dependency", "; ".join(missing), "; ".join(commands))
    for held in installed.values():
        needed = held.dependencies.get(wanted.system_id)
        if needed is not None and not fits(needed, wanted.version):
            raise Conflict(
                "system.dependency",
                f"{held.system_id} {held.version} of {tenant_id} needs {wanted.system_id} {_plain(needed)}, "
                f"not {wanted.version}",
                f"choose a version that is {_plain(needed)}, or bring {held.system_id} to one that takes it: "
                f"prismicx system upgrade {held.system_id} --tenant {tenant_id}",
            )


def check_unneeded(tenant_id: str, system_id: str, installed: Mapping[str, Held]) -> None:
    """See that nothing else a tenant has needs a system.

    Raises:
        Conflict: ``system.dependency``.
    """
    needing = [held.system_id for held in installed.values() if system_id in held.dependencies]
    if needing:
        raise Conflict(
            "system.dependency",
            f"{', '.join(needing)} of {tenant_id} needs {system_id}",
            f"remove it first: prismicx system uninstall {needing[0]} --tenant {tenant_id} --yes",
        )


def _checked(check: Checker, held: dict[str, Any] | None, label: str) -> Specifiers | None:
    for name, specifiers in (held or {}).items():
        try:
            if not isinstance(specifiers, str) or not specifiers.strip():
                raise check.wrong(f"{name} in {label}", specifiers, "give version specifiers such as >=1.0,<2")
            SpecifierSet(specifiers)
        except InvalidSpecifier as error:
            raise check.wrong(
                f"{name} in {label}", specifiers, "give version specifiers such as >=1.0,<2 (PEP 440)"
            ) from error
    return held


def _cycle(start: str, latest: Mapping[str, Specifiers]) -> list[str]:
    """A way along dependencies from a system back to itself; empty where there is none."""
    ways, seen = [[start]], set()
    while ways:
        way = ways.pop()
        for other in latest.get(way[-1], {}):
            if other == start:
                return [*way, other]
            if other not in seen:
                seen.add(other)
                ways.append([*way, other])
    return []


def _mending(tenant_id: str, system_id: str, specifiers: str, held: Held | None, published: Iterable[str]) -> str:
    fitting = [Version(version) for version in published if fits(specifiers, version)]
    if not fitting:
        return f"publish a version of {system_id} that is {_plain(specifiers)}"
    best = max(fitting)
    if held is None:
        return f"prismicx system install {system_id} --version {best} --tenant {tenant_id}"
    verb = "upgrade" if Version(held.version) < best else "rollback"
    return f"prismicx system {verb} {system_id} --to {best} --tenant {tenant_id}"


def _plain(specifiers: object) -> str:
    return specifiers if isinstance(specifiers, str) else quoted(specifiers)
