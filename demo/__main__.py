"""The main job, end to end, on embedded servers of its own: watch it with `make demo`.

Starts PostgreSQL and MongoDB, brings the reference alive, provisions tenants in both engines, installs the management
systems, puts real data in, and then lets one tenant try to reach another's. The exit code is 0 when all of it held.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import shutil
import signal
import sys
import tempfile
import uuid
from pathlib import Path
from typing import Any

from demo import attempts, business, taxonomy
from demo.business import COMPANIES
from demo.show import Show
from prismicx import Platform, PrismicXError, connect, doctor
from prismicx.engines import embedded
from prismicx.engines.endpoints import locate
from prismicx.names import Names
from prismicx.reference.apply import apply
from prismicx.reference.verify import verify
from prismicx.settings import Settings, load

SYSTEMS = Path(__file__).parents[1] / "systems"


async def play(settings: Settings, show: Show) -> None:
    """The whole story."""
    with show.step("The reference comes alive"):
        await apply(settings, locate(settings), progress=show.say)
        report = await verify(settings, locate(settings))
        show.check(f"{len(report.findings)} facts of the reference, read from the live catalogues, are held", report.ok)
    async with connect(config=None, data=settings.data) as px:
        await tenants(px, show)
        await systems(px, show)
        users = await people(px, show)
        await documents(px, show, users)
        await upgrade(px, show)
        before = await everything(px)
        found = await theft(px, settings, show, users)
        with show.step("Afterwards"):
            show.check("every tenant's data is as it was, counted and compared", await everything(px) == before)
            report = await verify(settings, locate(settings))
            show.check(f"{len(report.findings)} facts are held, those of every tenant included", report.ok)
        await summary(px, show, found)


async def tenants(px: Platform, show: Show) -> None:
    with show.step("Tenants are provisioned in both engines"):
        for company in COMPANIES:
            made = await px.tenants.create(
                company.tenant_id, name=company.name, tier=company.tier, region=company.region,
                isolation=company.isolation,
            )  # fmt: skip
            show.say(f"{made.tenant_id:<13} {made.name:<20} {made.placement:<10} insights in {made.database}")
        active = (await px.tenants.list(status="active")).items
        show.check(f"{len(active)} tenants are active", len(active) == len(COMPANIES))


async def systems(px: Platform, show: Show) -> None:
    with show.step("Management systems are published, and installed as tenants want them"):
        for folder in sorted(SYSTEMS.iterdir()):
            published = await px.catalogue.publish(folder)
            show.say(f"published {folder.name}: {', '.join(published.added)}")
        for company in COMPANIES:
            async with px.tenant(company.tenant_id) as tenant:
                for system in company.systems:
                    # The CRM begins with its first version, to be upgraded with data in it.
                    await tenant.systems.install(system, version="1.0.0" if system == "crm" else None)
                held = await tenant.systems.list()
                wanted = ", ".join(f"{item.system_id} {item.version}" for item in held)
                show.check(f"{company.tenant_id} has {wanted}", len(held) == len(company.systems))


async def people(px: Platform, show: Show) -> dict[str, dict[str, uuid.UUID]]:
    users = {}
    with show.step("Users, preferences, extensions and how practical they are"):
        for company in COMPANIES:
            async with px.tenant(company.tenant_id) as tenant:
                mine = users[company.tenant_id] = await business.add_users(tenant, company)
                rated = await business.add_extensions(tenant, next(iter(mine.values())))
                async with tenant.sql("system_users") as sql:
                    counts = await sql.fetchrow(business.statements.counts)
            expected = {name: business.practicality(name) for name in business.FACTORS}
            held = {row["name"]: row["practicality_score"] for row in rated}
            right = held.keys() == expected.keys() and all(abs(held[name] - expected[name]) < 1e-9 for name in held)
            seen = counts is not None and tuple(counts) == (len(mine), 2 * len(mine))
            scores = ", ".join(f"{name} {score:.2f}" for name, score in held.items())
            show.check(f"{company.tenant_id} sees its {len(mine)} users; practicality: {scores}", right and seen)
    return users


async def documents(px: Platform, show: Show, users: dict[str, dict[str, uuid.UUID]]) -> None:
    nodes = taxonomy.load()
    with show.step(f"{len(nodes)} categories: {taxonomy.ATTRIBUTION}"):
        for company in COMPANIES[:2]:
            async with px.tenant(company.tenant_id) as tenant:
                done = await tenant.category_transfer.read(io.StringIO(taxonomy.text()))
                roots = len(await tenant.categories.subtree(levels=1))
                problems = await tenant.categories.check()
            held = len(done.changes)
            right = (held, roots, problems) == (704, 37, [])
            show.check(f"{company.tenant_id}: {held} categories under {roots} roots, each in its place", right)
    with show.step("Background tasks are enqueued, claimed and completed"):
        for company in COMPANIES:
            async with px.tenant(company.tenant_id) as tenant:
                states = await business.work_off_tasks(tenant, company.people)
            right = states == {"completed": len(company.people) - 1, "running": 1}
            show.check(f"{company.tenant_id}: {states.get('completed')} completed, 1 still running", right)
    with show.step("Insights, in a database of one's own or in a shared one"):
        for company in COMPANIES:
            async with px.tenant(company.tenant_id) as tenant:
                count = await business.record_insights(tenant, users[company.tenant_id], nodes)
                where = tenant.tenant.database
            show.check(f"{company.tenant_id}: {count} profiles in {where}", count == len(company.people))


async def upgrade(px: Platform, show: Show) -> None:
    read = business.statements
    with show.step("A CRM is filled, and upgraded with its data from 1.0.0 to 2.0.0"):
        for company in COMPANIES:
            async with px.tenant(company.tenant_id) as tenant:
                await business.fill_crm(tenant, company)
                if company is not COMPANIES[0]:
                    continue
                async with tenant.system("crm").sql() as sql:
                    before = await sql.fetchrow(read.crm_before)
                version = (await tenant.systems.migrate("crm")).version
                async with tenant.system("crm").sql() as sql:
                    after = await sql.fetchrow(read.crm_after)
                    rows = await sql.fetch(read.crm_report)
                if before is not None and after is not None:
                    show.check(
                        f"{after['contacts']} contacts have {after['given_names']} given names, split from full names; "
                        f"addresses and parts in deals have tables of their own",
                        after["contacts"] == before["contacts"] == after["given_names"] == after["deal_contacts"]
                        and after["addresses"] == len(COMPANIES) - 1,
                    )
                show.check(f"{company.tenant_id} runs crm {version}; the others stay on 1.0.0", version == "2.0.0")
        cells = [(row["name"], row["deals"], f"{row['worth']:,.2f}") for row in rows]
        show.table(f"Deals of {COMPANIES[0].name}", ["customer", "deals", "worth, EUR"], cells)


async def theft(
    px: Platform, settings: Settings, show: Show, users: dict[str, dict[str, uuid.UUID]]
) -> list[attempts.Attempt]:
    thief, victim = COMPANIES[1], COMPANIES[0]
    names = Names(settings.namespace)
    database = (await px.tenants.get(victim.tenant_id)).database
    known = attempts.Victim(
        victim.tenant_id,
        next(iter(users[victim.tenant_id].values())),
        names.tenant_role(victim.tenant_id),
        names.schema(victim.tenant_id, "crm"),
        names.extensions_view(victim.tenant_id),
    )
    found = []
    with show.step(f"{thief.name} tries to reach the data of {victim.name}"):
        async with px.tenant(thief.tenant_id) as scope:
            found += [attempt async for attempt in attempts.in_postgres(scope, known)]
            found += [attempt async for attempt in attempts.in_mongo(scope, known)]
        found += [attempt async for attempt in attempts.with_own_logins(settings, thief.tenant_id, database)]
        await px.tenants.suspend(thief.tenant_id)
        found.append(await attempts.tried("both", "open a scope while suspended", _open(px, thief.tenant_id)))
        await px.tenants.resume(thief.tenant_id)
        for wrong in ("nobody", "NORTHWIND", "north'wind", "../northwind", "x" * 51, {"$ne": ""}):
            found.append(await attempts.tried("both", f"open a scope of {wrong!s:.20}", _open(px, wrong)))
        for engine in dict.fromkeys(attempt.engine for attempt in found):
            mine = [attempt for attempt in found if attempt.engine == engine]
            show.table(engine, ["attempt", "what came of it"], [(one.what, one.outcome) for one in mine])
        got = [attempt for attempt in found if not attempt.held]
        show.check(f"{len(found)} attempts, {len(got)} got through", not got)
    return found


async def _open(px: Platform, tenant_id: Any) -> str:
    async with px.tenant(tenant_id) as scope:
        return scope.tenant_id


async def everything(px: Platform) -> dict[tuple[str, str], Any]:
    """What each tenant sees of itself, as values that can be compared."""
    found: dict[tuple[str, str], Any] = {}
    for company in COMPANIES:
        async with px.tenant(company.tenant_id) as tenant:
            async with tenant.sql("system_users") as sql:
                columns = "id, username, email, first_name, last_name, role, status, updated_at, metadata::text"
                users = await sql.fetch(f"SELECT {columns} FROM user_data.users ORDER BY id")
                found[company.tenant_id, "users"] = users
            async with tenant.system("crm").sql() as sql:
                found[company.tenant_id, "crm"] = await sql.fetch("SELECT * FROM contacts ORDER BY id")
            for name in ("tasks", "categories", "user_insights"):
                where = await tenant.collection(name)
                found[company.tenant_id, name] = await where.find(sort=[("_id", 1)]).to_list()
    return found


async def summary(px: Platform, show: Show, found: list[attempts.Attempt]) -> None:
    rows = []
    for company in COMPANIES:
        async with px.tenant(company.tenant_id) as tenant:
            counts = [await (await tenant.collection(name)).count_documents() for name in _COLLECTIONS]  # type: ignore[arg-type]
            async with tenant.sql("system_users") as sql:
                users = await sql.fetchval("SELECT count(*) FROM user_data.users")
            installed = ", ".join(f"{item.system_id} {item.version}" for item in await tenant.systems.list())
        rows.append((company.tenant_id, company.isolation, users, *counts, installed))
    show.table("Summary", ["tenant", "insights", "users", "categories", "tasks", "profiles", "systems"], rows)
    show.say("")
    show.say(f"{show.checked} checks, {len(show.failed)} not held; {len(found)} attempts, "
             f"{sum(not one.held for one in found)} got through; {show.seconds:.0f} s")  # fmt: skip


_COLLECTIONS = ("categories", "tasks", "user_insights")


def run(data: Path, show: Show) -> None:
    """Start the servers and play."""
    settings = load({"data": data}).settings
    with show.step("Servers start"):
        embedded.start(settings, show.say)
        state = asyncio.run(doctor.state(settings))
        show.say(f"{state.postgres.version} and {state.mongo.version}, on loopback, each behind a generated password")
    asyncio.run(play(settings, show))


def main() -> int:
    """Play the story; stop the servers whatever happens."""
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep data and servers in this directory")
    keep: Path | None = parser.parse_args().keep
    data = keep or Path(tempfile.mkdtemp(prefix="prismicx-demo-"))
    show = Show()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the servers are stopped then, too
    try:
        run(data, show)
    except KeyboardInterrupt:
        show.check("interrupted", False)
    except PrismicXError as error:
        show.check(str(error), False)
    finally:
        if keep is None:
            embedded.stop(load({"data": data}).settings)
            shutil.rmtree(data, ignore_errors=True)
    show.say(
        "Where to look next: docs/quickstart.md does this by command line, docs/architecture.md tells how it works."
    )
    if keep:
        show.say(f"The servers run on: prismicx status --data {keep}; stop them with: prismicx down --data {keep}")
    return 1 if show.failed else 0


if __name__ == "__main__":
    sys.exit(main())
