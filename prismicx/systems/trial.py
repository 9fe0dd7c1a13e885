"""Trying a package before it is published: every new version installed, rolled back and installed again in a schema of
its own, as the role that owns it and nothing else, comparing what the schema holds.

So a rollback that leaves something behind is found here and not in a tenant's schema, and what each step locks and
rewrites is known before it runs. The trial's schema belongs to nobody and is dropped at the end.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import asyncpg
import postgast
from postgast import PgQueryError

from prismicx.engines.postgres import Connection
from prismicx.errors import Conflict, InvalidInput
from prismicx.names import TRIAL, Names
from prismicx.statements import Statements
from prismicx.systems.definitions import Definitions, definitions_of
from prismicx.systems.differences import differences
from prismicx.systems.failure import failure_of, statement_of
from prismicx.systems.package import Package, Release, Source
from prismicx.systems.phases import locked_alone, with_placeholder, with_schema
from prismicx.systems.shape import Shape, shape_of
from prismicx.systems.snapshot import Content, Length, Snapshot, content_of, is_pure, length_of, snapshot_of
from prismicx.systems.step import Limits, Phase, Place, making, opening, phases_of_step, place_of, run, settings

queries = Statements(__package__, "trial.sql")

_LIMITS = Limits(lock=5_000, statement=600_000)
_PATIENCE = 60
"""Seconds to wait for another trial of a system of the same type."""
_SHOWN = 5

_MODES = ("ShareUpdateExclusiveLock", "ShareLock", "ShareRowExclusiveLock", "ExclusiveLock", "AccessExclusiveLock")
"""The modes that a trial tells of, the weakest first."""


@dataclass(frozen=True, slots=True)
class Held:
    """A lock that a step takes on a table that was there before.

    Attributes:
        mode: as PostgreSQL calls it; `AccessExclusiveLock` stops readers, too, `ShareUpdateExclusiveLock` nobody,
            the others writers.
        rewrites: the table is written anew.
    """

    table: str
    mode: str
    rewrites: bool


@dataclass(slots=True)
class Trial:
    """What a trial of a version found out.

    Attributes:
        definitions: what a schema of this version holds, and how it is made again.
        content: what the history leaves there besides the shape.
        snapshot: what makes the version at once; None where only its history does.
        up, down: locks of the step to this version and of the way back.
        milliseconds: how long the step took on empty tables.
    """

    version: str
    definitions: Definitions
    content: Content
    snapshot: Snapshot | None = None
    up: list[Held] = field(default_factory=list)
    down: list[Held] = field(default_factory=list)
    milliseconds: float = 0.0


async def try_package(connection: Connection, names: Names, package: Package, added: Collection[str]) -> list[Trial]:
    """Try the versions of a package that are to be published, in the order of their history.

    Args:
        connection: of the service that changes schemas, in no transaction.
        added: those to be published; the others are only replayed.

    Raises:
        InvalidInput: ``package.trial`` when a script fails, ``package.rollback`` when a way back leaves something
            behind or takes too much away.
        Conflict: ``package.busy``.
    """
    place = place_of(names, TRIAL, package.system_id, package.type)
    trials: list[Trial] = []
    async with _schema(connection, place):
        before = await _shape(connection, place)
        for release in package.releases:
            trial = await _forward(connection, place, release)
            if release.version in added:
                if release.migration.down is not None:
                    await _back_and_again(connection, place, release, before, trial)
                trials.append(trial)
            before = trial.definitions.shape
        history = Length()
        wanted = {trial.version: trial for trial in trials}
        for release in package.releases:
            if not is_pure([release.migration.up]):
                break  # nor is what leads further
            history += length_of(release.migration.up)
            if release.version in wanted:
                trial = wanted[release.version]
                snapshot = await snapshot_of(connection, place, trial.definitions, trial.content, _LIMITS)
                trial.snapshot = snapshot if snapshot and length_of(snapshot.script) < history else None
    return trials


def locks_of(trial: Trial) -> dict[str, Any]:
    """Locks of a trial, and the time its snapshot took, as they are stored."""

    def plain(held: list[Held]) -> dict[str, list[Mapping[str, Any]]]:
        return {"locks": [{"table": item.table, "mode": item.mode, "rewrites": item.rewrites} for item in held]}

    found: dict[str, Any] = {"up": plain(trial.up), "down": plain(trial.down)}
    return found if trial.snapshot is None else {**found, "snapshot": trial.snapshot.milliseconds}


@asynccontextmanager
async def _schema(connection: Connection, place: Place) -> AsyncIterator[None]:
    """An empty schema with the lock on it, gone afterwards; and one that a killed trial left, before."""
    end = time.monotonic() + _PATIENCE
    while not await connection.fetchval(queries.try_lock, place.schema):
        if time.monotonic() > end:
            raise Conflict("package.busy", f"{place.schema} is in use by another publication", "try again later")
        await asyncio.sleep(0.1)
    try:
        await connection.execute(queries.roles, place.user, place.owner)
        await _drop(connection, place)
        await connection.execute(making(place.owner))
        await connection.execute(f"BEGIN; {settings(_LIMITS)} {opening(place)} COMMIT; RESET ALL")
        yield
    finally:
        if not connection.is_closed():
            await connection.execute("ROLLBACK; RESET ALL; RESET ROLE")
            await _drop(connection, place)
            await connection.execute(queries.unlock, place.schema)


async def _drop(connection: Connection, place: Place) -> None:
    await connection.execute(f'SET ROLE "{place.owner}"; DROP SCHEMA IF EXISTS "{place.schema}" CASCADE; RESET ROLE')


async def _shape(connection: Connection, place: Place) -> Shape:
    return await shape_of(connection, place.schema, place.owner, place.user)


async def _forward(connection: Connection, place: Place, release: Release) -> Trial:
    begun = time.perf_counter()
    held = await _perform(connection, place, release, release.migration.up, release.migration.up_source)
    milliseconds = (time.perf_counter() - begun) * 1000
    # As the owner: names in definitions stand alone only for one who may use the schema.
    await connection.execute(f'SET ROLE "{place.owner}"')
    found = await definitions_of(connection, place.schema, place.owner, place.user)
    content = await content_of(connection, place)
    await connection.execute("RESET ROLE")
    return Trial(release.version, found, content, up=held, milliseconds=milliseconds)


async def _back_and_again(connection: Connection, place: Place, release: Release, before: Shape, trial: Trial) -> None:
    script, source = release.migration.down, release.migration.down_source
    if script is None or source is None:
        return
    trial.down = await _perform(connection, place, release, script, source)
    _same(before, await _shape(connection, place), release, source, "the way back leaves another schema")
    up, up_source = release.migration.up, release.migration.up_source
    await _perform(connection, place, release, up, up_source)
    _same(
        trial.definitions.shape,
        await _shape(connection, place),
        release,
        up_source,
        "after the way back it makes another schema",
    )


def _same(expected: Shape, found: Shape, release: Release, source: Source, what: str) -> None:
    if expected.hash != found.hash:
        shown = [str(item) for item in differences(expected, found)]
        more = f" and {len(shown) - _SHOWN} more" if len(shown) > _SHOWN else ""
        raise InvalidInput(
            "package.rollback",
            f"{source.file}: {release.version}: {what}: {'; '.join(shown[:_SHOWN])}{more}",
            "mend the way back, or remove it: the step is irreversible then",
        )


async def _perform(connection: Connection, place: Place, release: Release, script: str, source: Source) -> list[Held]:
    """Run a script as it will run for tenants; the locks it takes on tables that were there before."""
    held: dict[str, Held] = {}
    begin = 0
    for phase in phases_of_step(None, None, script):
        try:
            for item in await _take(connection, place, phase):
                held[item.table] = _both(held.get(item.table, item), item)
        except asyncpg.PostgresError as error:
            at = _begin_of_failed(phase, place, error)
            line = "" if at is None else f":{source.line + script.count(chr(10), 0, begin + at)}"
            raise InvalidInput(
                "package.trial",
                f"{source.file}{line}: {release.version}: {failure_of(error)}",
                "mend the script; it was tried in a schema of its own and nothing was published",
            ) from error
        begin += len(phase.script)  # phases are the script, to the letter
    return sorted(held.values(), key=lambda item: item.table)


def _both(one: Held, other: Held) -> Held:
    """What two phases do to a table: the stronger lock is what others wait for."""
    stronger = max(one, other, key=lambda item: _MODES.index(item.mode))
    return replace(stronger, rewrites=one.rewrites or other.rewrites)


async def _take(connection: Connection, place: Place, phase: Phase) -> list[Held]:
    """Run a phase; the locks it takes."""
    if phase.concurrent:
        table = await connection.fetchval(queries.table_of, place.schema, locked_alone(phase.script))
        await connection.execute(f'SET ROLE "{place.owner}"; SET search_path = "{place.schema}"')
        await connection.execute(with_schema(phase.script, place.schema))
        await connection.execute("RESET ALL; RESET ROLE")
        return [Held(table, "ShareUpdateExclusiveLock", False)]
    await connection.execute(f"BEGIN; {settings(_LIMITS)}")
    tables = await connection.fetch(queries.tables, place.schema)
    await connection.execute(run(place, phase.script))
    rows = await connection.fetch(
        queries.locks, [row["oid"] for row in tables], [row["name"] for row in tables],
        [row["filenode"] for row in tables],
    )  # fmt: skip
    await connection.execute("COMMIT; RESET ALL")
    return [Held(row["name"], row["mode"], row["rewrites"]) for row in rows]


def _begin_of_failed(phase: Phase, place: Place, error: asyncpg.PostgresError) -> int | None:
    """Where in a phase the statement begins that failed, in characters; None where the server does not tell."""
    try:
        statements = postgast.parse(with_placeholder(phase.script)[0]).stmts
        texts = postgast.split(with_schema(phase.script, place.schema))
    except PgQueryError:
        return None  # the server has said what is wrong with it
    # A statement that is run by itself has no context, and of one whose names the server does not find it tells apart.
    told = texts[0] if phase.concurrent else statement_of(error) or getattr(error, "internal_query", None) or ""
    # The context has quotes around the statement, so that one in it may seem to be its end.
    found = [number for number, text in enumerate(texts) if text == told] or [
        number for number, text in enumerate(texts) if told and text.startswith(f'{told}"')
    ]
    if not found:
        return None
    return len(phase.script.encode()[: statements[found[0]].stmt_location].decode())
