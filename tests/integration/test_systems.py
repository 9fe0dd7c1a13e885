"""Publishing and installing: one transaction with the ledger row, as a role that owns one tenant's schema."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from prismicx import Conflict, InvalidInput, NotFound, Platform, Unavailable
from prismicx.names import Names
from prismicx.platform import open_platform
from prismicx.settings import Settings
from prismicx.systems import installation
from tests.support import administrator, make_package

ROOT = Path(__file__).parents[2]
SYSTEMS = ("crm", "sales", "marketing")
Id = Callable[[], str]

CHECKS = [
    pytest.param(system, check, id=f"{system}: {check['what']}")
    for system in SYSTEMS
    for check in tomllib.loads((ROOT / "tests/data/systems" / system / "checks.toml").read_text())["check"]
]


async def load(px: Platform, settings: Settings, tenant: str, system: str) -> None:
    """The awkward rows of version 1.0.0, as the tenant's own role inserts them."""
    names = Names(settings.namespace)
    admin = await administrator(settings, "management_system_repository")
    try:
        async with admin.transaction():
            await admin.execute(f'SET LOCAL ROLE "{names.tenant_role(tenant)}"')
            await admin.execute(f'SET LOCAL search_path = "{names.schema(tenant, system)}"')
            await admin.execute((ROOT / "tests/data/systems" / system / "1.0.0.sql").read_text())
    finally:
        await admin.close()


async def snapshot(settings: Settings, schema: str) -> list[tuple[Any, ...]]:
    """What a schema holds: columns, constraints, indexes, views, functions, triggers, comments."""
    admin = await administrator(settings, "management_system_repository")
    try:
        rows = await admin.fetch(
            """
            SELECT 'column', c.relname, a.attname, format_type(a.atttypid, a.atttypmod) || a.attnotnull::text
                || coalesce(pg_get_expr(d.adbin, d.adrelid), '') || a.attidentity::text || a.attgenerated::text
                || coalesce(col_description(c.oid, a.attnum), '')
            FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
            LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
            WHERE c.relnamespace = $1::text::regnamespace AND c.relkind IN ('r', 'v')
                AND a.attnum > 0 AND NOT a.attisdropped
            UNION ALL
            SELECT 'constraint', conrelid::regclass::text, conname, pg_get_constraintdef(oid)
            FROM pg_constraint WHERE connamespace = $1::text::regnamespace AND contype IN ('p', 'u', 'f', 'c')
            UNION ALL
            SELECT 'index', tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = $1::text
            UNION ALL
            SELECT 'view', viewname, '', definition FROM pg_views WHERE schemaname = $1::text
            UNION ALL
            SELECT 'function', proname, '', prosrc FROM pg_proc WHERE pronamespace = $1::text::regnamespace
            UNION ALL
            SELECT 'trigger', tgrelid::regclass::text, tgname, pg_get_triggerdef(t.oid) FROM pg_trigger t
            JOIN pg_class c ON c.oid = t.tgrelid WHERE c.relnamespace = $1::text::regnamespace AND NOT tgisinternal
            UNION ALL
            SELECT 'comment', relname, '', obj_description(oid, 'pg_class') FROM pg_class
            WHERE relnamespace = $1::text::regnamespace AND obj_description(oid, 'pg_class') IS NOT NULL
            ORDER BY 1, 2, 3, 4
            """,
            schema,
        )
        return [tuple(row) for row in rows]
    finally:
        await admin.close()


@pytest.mark.parametrize("system", SYSTEMS)
async def test_every_migration_and_its_rollback_meet_in_the_same_schema(
    published: Platform, settings: Settings, new_id: Id, system: str
) -> None:
    tenant = new_id()
    await published.tenants.create(tenant, name="Up and down", isolation="shared")
    versions = [item.version for item in await published.catalogue.versions(system)]
    assert len(versions) >= 3
    async with published.tenant(tenant) as scope:
        schema = (await scope.systems.install(system, versions[0])).schema
        await load(published, settings, tenant, system)
        shapes = [await snapshot(settings, schema)]
        assert len({row[1] for row in shapes[0] if row[0] == "column"}) >= 6
        for version in versions[1:]:
            assert (await scope.systems.migrate(system, version)).version == version
            shapes.append(await snapshot(settings, schema))
            assert shapes[-1] != shapes[-2]
        for number in range(len(versions) - 2, -1, -1):
            await scope.systems.migrate(system, versions[number])
            assert await snapshot(settings, schema) == shapes[number], versions[number]
        await scope.systems.migrate(system)
        assert await snapshot(settings, schema) == shapes[-1]


@pytest.mark.parametrize(("system", "check"), CHECKS)
async def test_migrations_carry_the_rows(
    published: Platform, settings: Settings, new_id: Id, system: str, check: dict[str, str]
) -> None:
    tenant = new_id()
    await published.tenants.create(tenant, name="Rows", isolation="shared")
    async with published.tenant(tenant) as scope:
        await scope.systems.install(system, "1.0.0")
        await load(published, settings, tenant, system)
        for version in filter(None, (check.get("via"), check["at"])):
            await scope.systems.migrate(system, version)
        async with scope.system(system).sql() as sql:
            if "before" in check:
                await sql.execute(check["before"])
            assert str(await sql.fetchval(check["sql"])) == check["expected"]


async def test_an_installation_straight_to_the_latest_is_the_same_as_by_steps(
    published: Platform, settings: Settings, new_id: Id
) -> None:
    first, second = new_id(), new_id()
    shapes = []
    for tenant, steps in ((first, [None]), (second, ["1.0.0", None])):
        await published.tenants.create(tenant, name="Direct", isolation="shared")
        async with published.tenant(tenant) as scope:
            installed = await scope.systems.install("crm", steps[0])
            for step in steps[1:]:
                installed = await scope.systems.migrate("crm", step)
            shape = await snapshot(settings, installed.schema)
            shapes.append([tuple(str(part).replace(installed.schema, "") for part in row) for row in shape])
    assert shapes[0] == shapes[1]


async def test_one_statement_serves_tenants_of_different_versions(published: Platform, new_id: Id) -> None:
    """Plans are kept by connection and text: the same text means other tables, of other columns."""
    old, new = new_id(), new_id()
    for tenant, version in ((old, "1.0.0"), (new, "2.0.0")):
        await published.tenants.create(tenant, name=tenant, isolation="shared")
        async with published.tenant(tenant) as scope:
            await scope.systems.install("crm", version)

    async def columns(tenant: str) -> set[str]:
        async with published.tenant(tenant) as scope, scope.system("crm").sql() as sql:
            await sql.execute("INSERT INTO companies (name) VALUES ('x')")
            row = await sql.fetchrow("SELECT * FROM companies")
            assert row is not None
            return set(row.keys())

    for _ in range(8):
        assert "address" in await columns(old)
        assert "address" not in await columns(new)
    async with published.tenant(old) as scope:
        await scope.systems.migrate("crm")
        assert "address" not in await columns(old)
        await scope.systems.migrate("crm", "1.0.0")
        assert "address" in await columns(old)


async def test_a_change_by_another_process_is_a_conflict_once(
    published: Platform, settings: Settings, new_id: Id
) -> None:
    tenant = new_id()
    await published.tenants.create(tenant, name=tenant, isolation="shared")
    read = "SELECT * FROM companies"
    async with published.tenant(tenant) as scope:
        await scope.systems.install("crm", "1.0.0")
        async with scope.system("crm").sql() as sql:
            await sql.fetch(read)
        async with open_platform(settings) as elsewhere, elsewhere.tenant(tenant) as other:
            await other.systems.migrate("crm")
        with pytest.raises(Conflict) as caught:
            async with scope.system("crm").sql() as sql:
                await sql.fetch(read)
        assert caught.value.code == "sql.changed"
        async with scope.system("crm").sql() as sql:
            assert await sql.fetch(read) == []


async def test_a_system_that_is_not_installed_is_not_found(published: Platform, pair: tuple[str, str]) -> None:
    async with published.tenant(pair[0]) as scope:
        with pytest.raises(NotFound) as caught:
            async with scope.system("warehouse").sql():
                pass
        assert caught.value.code == "system.not_installed"
        with pytest.raises(NotFound):
            await scope.systems.migrate("sales", "1.0.0")
        with pytest.raises(InvalidInput):
            scope.system("CRM; DROP")


async def test_a_failed_migration_leaves_the_schema_and_tells_the_operator(
    px: Platform, settings: Settings, new_id: Id, tmp_path: Path
) -> None:
    folder = make_package(
        tmp_path / "s", "failing",
        ("CREATE TABLE a (b int);", "DROP TABLE a;"),
        ("ALTER TABLE a ADD c int; CREATE UNIQUE INDEX u ON a (b);", "DROP INDEX u; ALTER TABLE a DROP c;"),
        # What only tenants' schemas have: a role that uses them of that name.
        ("DO $$ BEGIN IF current_schema NOT LIKE '%trial%' THEN RAISE EXCEPTION 'no' USING ERRCODE = '23505'; "
         "END IF; END $$;", "SELECT 1;"),
    )  # fmt: skip
    await px.catalogue.publish(folder)
    tenant, fresh = new_id(), new_id()
    for one in (tenant, fresh):
        await px.tenants.create(one, name="F", isolation="shared")
    async with px.tenant(tenant) as scope:
        schema = (await scope.systems.install("failing", "1.0")).schema
        async with scope.system("failing").sql() as sql:
            await sql.execute("INSERT INTO a VALUES (1), (1)")
        before = await snapshot(settings, schema)
        with pytest.raises(Conflict) as caught:
            await scope.systems.migrate("failing")
        assert caught.value.code == "system.migration_failed"
        assert "23505" in caught.value.message
        assert await snapshot(settings, schema) == before
        (row,) = await scope.systems.list()
        assert (row.version, row.status) == ("1.0", "installed")
        assert row.error_message is not None
        assert "23505" in row.error_message
    async with px.tenant(fresh) as scope:
        with pytest.raises(Conflict):
            await scope.systems.install("failing")
        (row,) = await scope.systems.list()
        assert row.status == "failed"
        with pytest.raises(NotFound):
            async with scope.system("failing").sql():
                pass
        assert (await scope.systems.install("failing", "1.0")).error_message is None


async def test_what_is_nobodys_data_is_not_written_down(
    px: Platform, settings: Settings, new_id: Id, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(installation, "_PATIENCE", 0.5)
    folder = make_package(
        tmp_path / "s", "passing",
        ("CREATE TABLE a (b int);", None),
        ("ALTER TABLE a ADD c int;", None),
        # A server that ends the session, as it does when it is stopped; the trial goes on.
        ("DO $$ BEGIN IF current_schema NOT LIKE '%trial%' THEN RAISE EXCEPTION 'stop' USING ERRCODE = '57P01'; "
         "END IF; END $$;", None),
    )  # fmt: skip
    await px.catalogue.publish(folder)
    tenant = new_id()
    await px.tenants.create(tenant, name="P", isolation="shared")
    admin = await administrator(settings, "management_system_repository")
    try:
        async with px.tenant(tenant) as scope:
            schema = (await scope.systems.install("passing", "1.0")).schema
            async with admin.transaction():
                await admin.execute(f'SELECT * FROM "{schema}".a')
                with pytest.raises(Conflict) as busy:
                    await scope.systems.migrate("passing", "2.0")
            assert busy.value.code == "system.busy"
            assert "lock timeout" in busy.value.message
            with pytest.raises(Unavailable) as gone:
                await scope.systems.migrate("passing")
            assert gone.value.code == "postgres.lost"
            (row,) = await scope.systems.list()
            assert (row.version, row.status, row.error_message) == ("1.0", "installed", None)
            assert (await scope.systems.migrate("passing", "2.0")).version == "2.0"
    finally:
        await admin.close()


async def test_unknown_systems_and_versions_are_named(px: Platform, published: Platform, pair: tuple[str, str]) -> None:
    async with px.tenant(pair[0]) as scope:
        for system, version, code in (
            ("nothing", None, "system.unknown"),
            ("crm", "9.9.9", "system.version_unknown"),
            ("crm' OR true --", None, "system.unknown"),
        ):
            with pytest.raises(NotFound) as caught:
                await scope.systems.install(system, version)
            assert caught.value.code == code
    with pytest.raises(NotFound):
        await px.catalogue.versions("nothing")


async def test_a_failure_does_not_overwrite_what_another_command_installed(
    px: Platform, new_id: Id, tmp_path: Path
) -> None:
    await px.catalogue.publish(make_package(tmp_path, "raced", ("CREATE TABLE t (a int);", None), ("SELECT 1;", None)))
    tenant = new_id()
    await px.tenants.create(tenant, name="R", isolation="shared")
    async with px.tenant(tenant) as scope:
        await scope.systems.install("raced", "1.0")
        for version, told in (("1.0", None), ("2.0", "22012: division by zero")):
            await scope.systems.record_failure("raced", version, True, "22012: division by zero")
            (row,) = await scope.systems.list()
            assert (row.version, row.status, row.error_message) == ("1.0", "installed", told)
        for wrong in ({"$ne": ""}, ["raced"], None):
            with pytest.raises(InvalidInput):
                await scope.systems.of_type(wrong)  # type: ignore[arg-type]
            with pytest.raises(NotFound):
                await px.catalogue.path("raced", wrong, "1.0")  # type: ignore[arg-type]
