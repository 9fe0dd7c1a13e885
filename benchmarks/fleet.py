"""Rollouts over many tenants against the raw statements on as many connections, and against django-tenants."""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from statistics import median
from typing import Any

import asyncpg

from benchmarks import django_fleet
from benchmarks.chart import Line, write_chart
from benchmarks.crowd import crowd
from benchmarks.measure import Claim, Figure, in_turns
from benchmarks.watch import Watch
from prismicx.engines.endpoints import locate
from prismicx.fleet.values import Options, Plan, Selection
from prismicx.platform import Platform
from prismicx.settings import Settings

CONNECTIONS = 4
NEW, UPGRADED, WATCHED, STANDING = 500, 2_000, 3_000, 10_000
SIZES, PEERS, REMEMBERED, HELD = (100, 300, 1_000, 3_000, 10_000), (30, 100, 300, 1_000), 5_000, 1_000
"""Numbers of tenants: of the chart, ours and the peer's; that memory is watched over; that one is read of."""
RESULTS = Path(__file__).parent / "results"

TABLES = "".join(
    f"CREATE TABLE t{n} (id bigint PRIMARY KEY, a text, b int, c timestamp, d text); "
    f"CREATE INDEX t{n}_a ON t{n} (a); CREATE INDEX t{n}_b ON t{n} (b); CREATE INDEX t{n}_c ON t{n} (c); "
    for n in range(8)
)
"""Eight tables and, beside their primary keys, 24 indexes."""
STEP = "ALTER TABLE t0 ADD COLUMN e text; ALTER TABLE t0 ADD COLUMN f int; CREATE INDEX t0_e ON t0 (e);"
UNDO = "ALTER TABLE t0 DROP COLUMN e; ALTER TABLE t0 DROP COLUMN f;"
SMALL = "CREATE TABLE t0 (id bigint PRIMARY KEY, a text);"


async def measure(settings: Settings, quick: bool) -> list[Claim]:
    """Everything on one server: the raw statements as its administrator, ours as the services."""
    platform = Platform(settings, locate(settings))
    bench = _Bench(platform, settings, quick)
    try:
        await bench.open()
        claims = []
        # Installations late, since their tables are removed: for six minutes from then on each new file makes ext4 look
        # at all that were. The chart begins with tenants, which take longer than that.
        for claim in (bench.upgrades, bench.drift, bench.nothing, bench.installs, bench.chart, bench.reader):
            claims.append(await claim())
            print("\n".join(claims[-1].lines()), file=sys.stderr)  # now: the next may take minutes
    finally:
        await bench.close()
        await platform.close()
    return claims


class _Bench:
    def __init__(self, platform: Platform, settings: Settings, quick: bool) -> None:
        self._px, self._quick = platform, quick
        self._url = locate(settings).postgres.postgres("management_system_repository")
        self._admin: Any = None
        self._everybody: list[str] = []

    def _some(self, number: int) -> int:
        return number // 50 if self._quick else number

    async def open(self) -> None:
        for system_id, first in (("shop", TABLES), ("kiosk", SMALL)):
            with tempfile.TemporaryDirectory() as folder:
                await self._px.catalogue.publish(_package(Path(folder), system_id, first))
        self._admin = await asyncpg.connect(self._url)
        # None in the turn of one of the contenders: it takes the files of dropped tables away.
        for setting in ("checkpoint_timeout = '1h'", "max_wal_size = '16GB'"):
            await self._admin.execute(f"ALTER SYSTEM SET {setting}")
        await self._admin.execute("SELECT pg_reload_conf()")

    async def close(self) -> None:
        if self._admin is not None:
            await self._admin.close()

    async def installs(self) -> Claim:
        """Into tenants that are new in each turn: tables that were dropped before would make the next ones slower."""
        number, turns = self._some(NEW), 1 if self._quick else 5
        crowds = [await crowd(self._px, f"new{turn}", number) for turn in range(turns + 1)]
        taken = {"raw DDL": 0, "rollout": 0}

        async def raw() -> None:
            tenants = crowds[taken["raw DDL"]]
            taken["raw DDL"] += 1
            await self._everywhere(
                tenants, lambda name: f'BEGIN; CREATE SCHEMA "raw_{name}"; {_within(f"raw_{name}", TABLES)}'
            )

        async def ours() -> None:
            tier = f"new{taken['rollout']}"
            taken["rollout"] += 1
            await self._roll("install", "1.0", tier)

        figures = await in_turns({"raw DDL": raw, "rollout": ours}, operations=1, tasks=1, turns=turns, before=_written)
        for turn, tenants in enumerate(crowds):
            await self._everywhere(tenants, lambda name: f'DROP SCHEMA "raw_{name}" CASCADE')
            await self._roll("uninstall", None, f"new{turn}")
        await self._admin.execute("CHECKPOINT")  # now, and not in what is measured next
        figures = [Figure(item.name, tuple(rate * number for rate in item.rates)) for item in figures]
        peer = django_fleet.rates(self._url, self._some(100))
        figures.append(Figure("django-tenants", (peer.install,) * len(figures[0].rates)))
        ours_rate = figures[1].median
        return Claim(
            f"8 tables and 24 indexes installed for {number} new tenants", "raw DDL", figures, {"rollout": 0.85},
            [f"Tenants a second, {CONNECTIONS} connections each, opened in the turn. The rollout makes "
             f"{ours_rate / peer.install:.1f} times the tenants of django-tenants (aim: 7). PostgreSQL made no "
             f"checkpoint in anybody's turn, on this whole page."],
        )  # fmt: skip

    async def upgrades(self) -> Claim:
        number = self._some(UPGRADED)
        tenants = await crowd(self._px, "old", number)
        await self._roll("install", "1.0", "old")
        schemas = {name: self._px._names.schema(name, "shop") for name in tenants}
        standing = "1.0"

        async def raw() -> None:
            await self._everywhere(
                tenants, lambda name: f'BEGIN; SET LOCAL search_path = "{schemas[name]}"; {STEP} COMMIT'
            )

        planned, stepped = [], []

        async def ours() -> None:
            nonlocal standing
            plan, steps = await self._roll("upgrade", "2.0", "old")
            planned.append(plan)
            stepped.append(steps)
            standing = "2.0"

        async def back() -> None:
            nonlocal standing
            if standing == "2.0":
                await self._roll("rollback", "1.0", "old")
                standing = "1.0"
            else:
                undo = UNDO.replace("DROP COLUMN", "DROP COLUMN IF EXISTS")
                await self._everywhere(
                    tenants, lambda name: f'BEGIN; SET LOCAL search_path = "{schemas[name]}"; {undo} COMMIT'
                )
            await _written()

        figures = await in_turns({"raw statements": raw, "rollout": ours}, operations=1, tasks=1,
                                 turns=1 if self._quick else 7, before=back)  # fmt: skip
        await back()
        figures = [Figure(item.name, tuple(rate * number for rate in item.rates)) for item in figures]
        peer = django_fleet.rates(self._url, self._some(100))
        figures.append(Figure("django-tenants migrate_schemas", (peer.upgrade,) * len(figures[0].rates)))
        ratio = figures[1].median / peer.upgrade
        alone = tuple(number / seconds for seconds in stepped[-len(figures[0].rates) :])
        figures.append(Figure("rollout of a plan that was made before", alone))
        return Claim(
            f"Two columns and an index added for {number:,} tenants", "raw statements", figures, {"rollout": 0.6},
            [f"Tenants a second, {CONNECTIONS} connections each; {ratio:.0f} times `migrate_schemas` (aim: 30), "
             f"{median(alone) / peer.upgrade:.0f} times where the plan was made before. The plan, which compares every "
             f"schema with what its version makes, took {median(planned):.2f} s of each rollout."],
        )  # fmt: skip

    async def drift(self) -> Claim:
        """Over the tenants of `upgrades` and some more, nothing of which differs."""
        more, all_of_them = self._some(WATCHED - UPGRADED), self._some(WATCHED)
        await crowd(self._px, "more", more)
        await self._roll("install", "1.0", "more")
        await self._admin.execute("ANALYZE")

        async def raw() -> None:
            await self._admin.fetch("SELECT relnamespace, count(*) FROM pg_class GROUP BY 1")

        async def ours() -> None:
            found = await self._px.fleet.drift("shop")
            if found.drifted or found.checked < all_of_them // 2:
                raise AssertionError(f"{found.checked} looked at, {len(found.drifted)} differ")

        figures = await in_turns({"raw count of relations": raw, "drift": ours}, operations=1, tasks=1, turns=5)
        return Claim(
            f"Drift over {all_of_them:,} schemas of 8 tables and 24 indexes", "raw count of relations", figures,
            notes=[f"It took {1 / figures[1].median:.2f} s (aim: under 2 s), by one query over two connections."],
        )  # fmt: skip

    async def nothing(self) -> Claim:
        number = self._some(STANDING)
        admin = self._admin
        await admin.execute(
            "INSERT INTO tenant_systems (tenant_id, system_id, version_id, status, installed_at, updated_at) "
            "SELECT 'still-' || n, 'kiosk', 'kiosk:2.0', 'installed', now(), now() FROM generate_series(1, $1::int) n",
            number,
        )
        await admin.execute("ANALYZE tenant_systems")

        async def raw() -> None:
            await admin.fetch("SELECT version_id, count(*) FROM tenant_systems WHERE system_id = 'kiosk' GROUP BY 1")

        async def ours() -> None:
            plan = await self._px.fleet.plan("kiosk", selection=Selection(all_tenants=True))
            if (plan.tenants, plan.done) != (0, number):
                raise AssertionError(f"the plan is {plan}")

        figures = await in_turns({"raw count": raw, "no-op plan": ours}, operations=20, tasks=1, turns=3)
        begun = time.perf_counter()
        await self._roll("upgrade", "2.0", None, system_id="kiosk")
        seconds = time.perf_counter() - begun
        await admin.execute("DELETE FROM tenant_systems WHERE system_id = 'kiosk'")
        return Claim(
            f"A rollout over {number:,} tenants that has nothing to do", "raw count", figures,
            notes=[f"The whole rollout took {seconds * 1000:.0f} ms (aim: under 1 s)."],
        )  # fmt: skip

    async def chart(self) -> Claim:
        """Rates against numbers of tenants, and memory over many schemas."""
        sizes = [10, 20] if self._quick else [*SIZES]
        tags = (*sizes, self._some(REMEMBERED), self._some(HELD))
        ours, raw = Line("PrismicX", []), Line("raw statements", [])
        self._everybody = await crowd(self._px, "c", self._some(SIZES[-1]), tags)
        await self._roll("install", "1.0", "c", system_id="kiosk")
        schemas = {name: self._px._names.schema(name, "kiosk") for name in self._everybody}
        for size in sizes:
            tenants = self._everybody[:size]
            seconds = await _timed(self._everywhere(tenants, lambda name: "BEGIN; " + _within(schemas[name], STEP)))
            raw.points.append((size, size / seconds))
            await self._everywhere(tenants, lambda name: "BEGIN; " + _within(schemas[name], UNDO))
            planned, stepped = await self._roll("upgrade", "2.0", "c", system_id="kiosk", tag=str(size))
            ours.points.append((size, size / (planned + stepped)))
            await self._roll("rollback", "1.0", "c", system_id="kiosk", tag=str(size))
        watch, many = Watch("prismicx_fleet"), self._some(REMEMBERED)
        with watch:
            await self._roll("upgrade", "2.0", "c", system_id="kiosk", tag=str(many))
        await self._roll("rollback", "1.0", "c", system_id="kiosk", tag=str(many))
        peers = Line("django-tenants", [])
        for size in [5] if self._quick else PEERS:
            peers.points.append((size, django_fleet.rates(self._url, size, tables=1).upgrade))
        if not self._quick:
            write_chart(RESULTS / "fleet.svg", "Tenants upgraded a second, by number of tenants", [raw, ours, peers])
        figures = [Figure(line.name, tuple(rate for _, rate in line.points)) for line in (raw, ours)]
        return Claim(
            f"Rate by number of tenants, {sizes[0]:,} to {sizes[-1]:,}", "raw statements", figures,
            notes=[f"One table, two columns and an index added, the plan included; drawn in fleet.svg, with "
                   f"django-tenants at {', '.join(f'{size:,}: {rate:.0f}' for size, rate in peers.points)} a second. "
                   f"Over {many:,} tenants the process had at most {watch.process:.0f} MiB and one of its backends "
                   f"{watch.backend:.0f} MiB."],
        )  # fmt: skip

    async def reader(self) -> Claim:
        """How long the others take while somebody reads a table of one tenant for as long as that."""
        number = self._some(HELD)
        held = f'"{self._px._names.schema(self._everybody[number // 2], "kiosk")}".t0'
        admin = self._admin

        async def upgrade(to_be_done: int) -> float:
            plan = await self._px.fleet.plan(
                "kiosk", version="2.0", selection=Selection(tiers=("c",), tags=(str(number),)),
                options=Options(waves=(), concurrency=CONNECTIONS),
            )  # fmt: skip
            there, begun = asyncio.Event(), time.perf_counter()
            running = asyncio.create_task(
                self._px.fleet.start(plan, progress=lambda told: there.set() if told.done >= to_be_done else None)
            )
            await there.wait()
            seconds = time.perf_counter() - begun
            if admin.is_in_transaction():
                await admin.execute("ROLLBACK")
            done = await running
            if done.status != "finished" or done.failed:
                raise AssertionError(f"the rollout ended as {done}")
            await self._roll("rollback", "1.0", "c", system_id="kiosk", tag=str(number))
            return seconds

        alone, beside = [], []
        for _ in range(1 if self._quick else 5):
            alone.append(await upgrade(number))
            await admin.execute(f"BEGIN; LOCK TABLE {held} IN ACCESS SHARE MODE")
            beside.append(await upgrade(number - 1))
        later = median(beside) - median(alone)
        rates = {"nobody reads": alone, "the others, while one is read": beside}
        figures = [Figure(name, tuple(number / seconds for seconds in found)) for name, found in rates.items()]
        return Claim(
            f"{number:,} tenants upgraded, with a reader that holds a table of one of them", "nobody reads", figures,
            notes=[f"The others were done {later * 1000:+.0f} ms later (aim: at most the lock time-out, "
                   f"{Options().lock_milliseconds} ms); the one, when its reader had ended."],
        )  # fmt: skip

    async def _everywhere(self, tenants: list[str], text: Callable[..., str]) -> None:
        """A message for each tenant, over raw connections, which are opened for that as a rollout's are: those that
        stay would go on being told of every table that others make."""
        waiting = iter(tenants)

        async def work() -> None:
            connection = await asyncpg.connect(self._url)
            for name in waiting:
                await connection.execute(text(name))
            await connection.close()

        await asyncio.gather(*(work() for _ in range(CONNECTIONS)))

    async def _roll(
        self, action: Any, version: str | None, tier: str | None, system_id: str = "shop", tag: str = ""
    ) -> tuple[float, float]:
        """Seconds that the plan and the rollout took."""
        begun = time.perf_counter()
        plan: Plan = await self._px.fleet.plan(
            system_id, action, version=version, options=Options(waves=(), concurrency=CONNECTIONS),
            selection=Selection(tiers=(tier,), tags=(tag,) if tag else ()) if tier else Selection(all_tenants=True),
        )  # fmt: skip
        planned = time.perf_counter()
        done = await self._px.fleet.start(plan)
        if done.status != "finished" or done.failed:
            raise AssertionError(f"the rollout ended as {done}")
        return planned - begun, time.perf_counter() - planned


def _within(schema: str, script: str) -> str:
    return f'SET LOCAL search_path = "{schema}"; {script} COMMIT'


async def _written() -> None:
    """Wait until what was done so far is on disk, so that it is in nobody's turn."""
    await asyncio.to_thread(os.sync)


async def _timed(work: Awaitable[object]) -> float:
    begun = time.perf_counter()
    await work
    return time.perf_counter() - begun


def _package(folder: Path, system_id: str, first: str) -> Path:
    (folder / "migrations").mkdir()
    text = f'id = "{system_id}"\ntype = "{system_id}"\nname = "Bench"\nvendor = "Bench"\n'
    for number, up, down in ((1, first, None), (2, STEP, UNDO)):
        text += f'\n[[versions]]\nversion = "{number}.0"\nschema_version = {number}\nrelease_date = 2026-01-01\n'
        (folder / "migrations" / f"{number:04d}_step.up.sql").write_text(up)
        if down is not None:
            (folder / "migrations" / f"{number:04d}_step.down.sql").write_text(down)
    (folder / "system.toml").write_text(text)
    return folder
