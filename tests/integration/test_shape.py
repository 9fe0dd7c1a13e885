"""Shapes: equal for two tenants, other after any change by hand; named differences, and statements that mend them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from prismicx import InvalidInput, NotFound
from prismicx.settings import Settings
from prismicx.systems import package
from prismicx.systems.ddl import ddl, remake, repair
from prismicx.systems.definitions import definitions_of
from prismicx.systems.differences import differences
from prismicx.systems.mend import Roles
from prismicx.systems.shape import Shape, hashes, shape_of
from prismicx.systems.step import Place, opening_statements
from tests.support import administrator

ROOT = Path(__file__).parents[2]
RICH = (ROOT / "tests/data/shape/rich.sql").read_text(encoding="utf-8")


async def make(admin: Any, roles: Roles, script: str) -> None:
    """A schema with its roles and the usual grants, in which the owner ran a script."""
    for role in (roles.owner, roles.user):
        if not await admin.fetchval("SELECT count(*) FROM pg_roles WHERE rolname = $1", role):
            await admin.execute(f'CREATE ROLE "{role}"')
    async with admin.transaction():
        schema = roles.schema.replace('"', '""')
        await admin.execute(
            f'CREATE SCHEMA "{schema}" AUTHORIZATION "{roles.owner}"; '
            f'SET LOCAL search_path = "{schema}"; SET LOCAL ROLE "{roles.owner}"; '
            f'GRANT USAGE ON SCHEMA "{schema}" TO "{roles.user}"; '
            f'ALTER DEFAULT PRIVILEGES IN SCHEMA "{schema}" '
            f'GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO "{roles.user}"; '
            f'ALTER DEFAULT PRIVILEGES IN SCHEMA "{schema}" GRANT USAGE, SELECT ON SEQUENCES TO "{roles.user}"'
        )
        await admin.execute(f"{script}\n; SELECT 1; RESET ROLE; RESET search_path")


def roles_of(settings: Settings, schema: str, tenant: str) -> Roles:
    return Roles(schema, f"{settings.namespace}__owner_{tenant}", f"{settings.namespace}__tenant_{tenant}")


def triple(roles: Roles) -> tuple[str, str, str]:
    return roles.schema, roles.owner, roles.user


@pytest.fixture
async def admin(settings: Settings) -> AsyncIterator[Any]:
    """A connection in a transaction that is rolled back."""
    connection = await administrator(settings, "management_system_repository")
    transaction = connection.transaction()
    await transaction.start()
    yield connection
    await transaction.rollback()
    await connection.close()


@pytest.fixture(scope="module")
async def rich(settings: Settings) -> AsyncIterator[tuple[Roles, Roles]]:
    """Two tenants' schemas, the name of one of which begins the other's, as do their roles'."""
    connection = await administrator(settings, "management_system_repository")
    both = roles_of(settings, "tenant_drift_crm", "drift"), roles_of(settings, "tenant_drift_crm2", "drift_2")
    for roles in both:
        await make(connection, roles, RICH)
    yield both
    for roles in both:
        await connection.execute(f'DROP SCHEMA "{roles.schema}" CASCADE')
    await connection.close()


async def test_two_tenants_have_one_shape(admin: Any, settings: Settings, rich: tuple[Roles, Roles]) -> None:
    odd = roles_of(settings, 'Odd-"Größe".x', "drift-odd")
    await make(admin, odd, RICH)
    found = await hashes(admin, [*map(triple, (*rich, odd)), ("tenant_nobody", "a", "b")])
    assert set(found) == {rich[0].schema, rich[1].schema, odd.schema}
    shapes = [await shape_of(admin, *triple(roles)) for roles in (*rich, odd)]
    assert [differences(shapes[0], shape) for shape in shapes] == [[], [], []]
    assert shapes[0] == shapes[1] == shapes[2]
    assert set(found.values()) == {shapes[0].hash} == set((await hashes(admin, [triple(rich[0])])).values())
    assert await admin.fetchval("SHOW search_path") == '"$user", public'


async def test_shapes_are_stored(admin: Any, rich: tuple[Roles, Roles]) -> None:
    shape = await shape_of(admin, *triple(rich[0]))
    assert Shape.from_json(await admin.fetchval("SELECT $1::jsonb::text", shape.to_json())) == shape
    with pytest.raises(InvalidInput) as caught:
        Shape.from_json("[]")
    assert caught.value.code == "shape.invalid"
    with pytest.raises(NotFound) as missing:
        await shape_of(admin, "tenant_nobody", "a", "b")
    assert missing.value.code == "schema.missing"


MENDED, LOOK = True, False
CHANGES: list[tuple[str, str, bool]] = [
    # What is done by hand, the differences, and whether statements mend them.
    ("CREATE TABLE planted (a int)", "extra table planted", LOOK),
    ("DROP TABLE cache", "missing table cache", MENDED),
    ('DROP MATERIALIZED VIEW totals; DROP TABLE "Order Items"',
     'missing materialised view totals, missing table "Order Items"', MENDED),
    ("ALTER TABLE people ADD planted text", "extra column people.planted", LOOK),
    ("ALTER TABLE people DROP born", "missing column people.born", MENDED),
    ("ALTER TABLE cache RENAME value TO worth", "missing column cache.value, extra column cache.worth", LOOK),
    ("ALTER TABLE cache ALTER value TYPE varchar(9)", "type of column cache.value", LOOK),
    ('ALTER TABLE people ALTER code TYPE varchar(9)',
     "collation of column people.code, type of column people.code", LOOK),
    ("ALTER TABLE cache ALTER value SET NOT NULL", "required of column cache.value", MENDED),
    ("ALTER TABLE people ALTER name DROP NOT NULL", "required of column people.name", MENDED),
    ("ALTER TABLE people ALTER score SET DEFAULT 3", "default of column people.score", MENDED),
    ("ALTER TABLE people ALTER number DROP DEFAULT", "default of column people.number", MENDED),
    ("ALTER TABLE people ALTER born SET DEFAULT now()", "default of column people.born", MENDED),
    ("ALTER TABLE people ALTER id SET GENERATED BY DEFAULT", "identity of column people.id", LOOK),
    ("ALTER TABLE people ALTER twice DROP EXPRESSION", "generated of column people.twice", LOOK),
    ('ALTER TABLE people ALTER code TYPE varchar(8) COLLATE "POSIX"', "collation of column people.code", LOOK),
    ("ALTER TABLE people ALTER extra SET STORAGE MAIN", "storage of column people.extra", MENDED),
    ("ALTER TABLE people ALTER name SET COMPRESSION pglz", "compression of column people.name", MENDED),
    ("ALTER TABLE people ALTER name SET STATISTICS 100", "statistics target of column people.name", MENDED),
    ("ALTER TABLE people ALTER name SET (n_distinct = 5)", "options of column people.name", MENDED),
    ('ALTER TABLE "Order Items" DROP CONSTRAINT priced', 'missing constraint "Order Items".priced', MENDED),
    ("ALTER TABLE people ADD CONSTRAINT planted CHECK (score < 9)", "extra constraint people.planted", MENDED),
    ('ALTER TABLE "Order Items" VALIDATE CONSTRAINT priced', 'validated of constraint "Order Items".priced', LOOK),
    ("ALTER TABLE log DROP CONSTRAINT lined",
     "missing constraint log.lined, missing constraint log_new.lined, missing constraint log_old.lined", LOOK),
    ('ALTER TABLE "Order Items" ALTER CONSTRAINT of_person NOT DEFERRABLE',
     'definition of constraint "Order Items".of_person', MENDED),
    ("ALTER TABLE cache DROP CONSTRAINT cache_pkey; ALTER TABLE cache ADD PRIMARY KEY (key) WITH (fillfactor = 50)",
     "options of index cache.cache_pkey", MENDED),
    ("DROP INDEX people_name", "missing index people.people_name", MENDED),
    ("CREATE INDEX planted ON people (born)", "extra index people.planted", MENDED),
    ('DROP INDEX "Items Idx"; CREATE INDEX "Items Idx" ON "Order Items" (price DESC, person)',
     'definition of index "Order Items"."Items Idx"', MENDED),
    ('DROP INDEX people_code; CREATE UNIQUE INDEX people_code ON people (code, feels)',
     "definition of index people.people_code", MENDED),
    ("ALTER INDEX people_name SET (fillfactor = 50)",
     "definition of index people.people_name, options of index people.people_name", MENDED),
    ("ALTER TABLE people CLUSTER ON people_code", "clustered of index people.people_code", MENDED),
    ("ADMIN UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'people_code'::regclass",
     "valid of index people.people_code", MENDED),
    ('DROP POLICY "see all" ON "Order Items"', 'missing policy "Order Items"."see all"', MENDED),
    ('ALTER POLICY "see all" ON "Order Items" TO {user}', 'roles of policy "Order Items"."see all"', MENDED),
    ('ALTER POLICY "see all" ON "Order Items" USING (true)', 'condition of policy "Order Items"."see all"', MENDED),
    ('ALTER TABLE "Order Items" DISABLE ROW LEVEL SECURITY', 'row security of table "Order Items"', MENDED),
    ('ALTER TABLE "Order Items" NO FORCE ROW LEVEL SECURITY', 'forced row security of table "Order Items"', MENDED),
    ("REVOKE DELETE ON people FROM {user}", "grants of table people", MENDED),
    ("GRANT SELECT ON people TO PUBLIC", "grants of table people", MENDED),
    ("GRANT TRUNCATE ON people TO {user}", "grants of table people", MENDED),
    ("GRANT SELECT ON people TO {user} WITH GRANT OPTION", "grants of table people", MENDED),
    ("REVOKE INSERT ON people FROM {owner}", "grants of table people", MENDED),
    ("GRANT SELECT ON cache TO PUBLIC", "grants of table cache", MENDED),
    ("REVOKE SELECT ON base FROM {user}", "grants of table base", MENDED),
    ("GRANT SELECT (name) ON people TO PUBLIC", "grants of column people.name", MENDED),
    ("REVOKE USAGE ON SEQUENCE numbers FROM {user}", "grants of sequence numbers", MENDED),
    ("REVOKE EXECUTE ON FUNCTION touched() FROM PUBLIC", "grants of function touched()", MENDED),
    ("REVOKE USAGE ON TYPE mood FROM PUBLIC", "grants of type mood", MENDED),
    ("GRANT CREATE ON SCHEMA {schema} TO {user}", "grants of schema", MENDED),
    ("ALTER DEFAULT PRIVILEGES IN SCHEMA {schema} REVOKE DELETE ON TABLES FROM {user}",
     "grants of default privileges {owner} tables", MENDED),
    ("ALTER DEFAULT PRIVILEGES IN SCHEMA {schema} GRANT EXECUTE ON FUNCTIONS TO {user}",
     "extra default privileges {owner} functions", MENDED),
    ("CREATE OR REPLACE FUNCTION doubled(value integer, more integer DEFAULT 1) RETURNS integer LANGUAGE sql IMMUTABLE "
     "AS 'SELECT 1'", "body of function doubled(value integer, more integer)", MENDED),
    ("ALTER FUNCTION touched() SECURITY DEFINER", "security of function touched()", MENDED),
    ("ALTER FUNCTION touched() STABLE", "volatility of function touched()", MENDED),
    ("ALTER FUNCTION touched() SET work_mem = '1MB'", "settings of function touched()", MENDED),
    ("CREATE OR REPLACE FUNCTION happiest() RETURNS mood LANGUAGE sql STABLE RETURN 'sad'::mood",
     "body of function happiest()", MENDED),
    ("DROP PROCEDURE tidy()", "missing function tidy()", MENDED),
    ("CREATE FUNCTION planted() RETURNS int LANGUAGE sql AS 'SELECT 1'", "extra function planted()", MENDED),
    ("ALTER TABLE people DISABLE TRIGGER people_touched", "enabled of trigger people.people_touched", MENDED),
    ("DROP TRIGGER people_touched ON people", "missing trigger people.people_touched", MENDED),
    ("ADMIN ALTER TABLE \"Order Items\" DISABLE TRIGGER ALL", 'triggers of constraint "Order Items".of_person', LOOK),
    ("ALTER SEQUENCE numbers INCREMENT 7", "definition of sequence numbers", MENDED),
    ("ALTER SEQUENCE numbers OWNED BY NONE", "owned by of sequence numbers", MENDED),
    ("CREATE SEQUENCE planted", "extra sequence planted", LOOK),
    ("CREATE OR REPLACE VIEW a_first_view WITH (security_barrier = true) AS SELECT id FROM a_view",
     "definition of view a_first_view", MENDED),
    ("ALTER VIEW a_first_view RESET (security_barrier)", "options of view a_first_view", MENDED),
    ("DROP VIEW a_first_view", "missing view a_first_view", MENDED),
    ("DROP VIEW a_first_view; DROP VIEW a_view", "missing view a_first_view, missing view a_view", MENDED),
    ("ALTER TYPE mood ADD VALUE 'glad' BEFORE 'happy'", "labels of type mood", LOOK),
    ("ALTER TYPE mood RENAME VALUE 'sad' TO 'blue'",
     "definition of trigger people.people_touched, labels of type mood", LOOK),
    ("ALTER DOMAIN short DROP CONSTRAINT small", "missing domain constraint short.small", MENDED),
    ("ALTER DOMAIN email DROP DEFAULT", "default of domain email", MENDED),
    ("ALTER DOMAIN email DROP NOT NULL", "required of domain email", MENDED),
    ("ALTER TYPE address ADD ATTRIBUTE planted text", "extra attribute address.planted", LOOK),
    ("CREATE TYPE planted AS RANGE (SUBTYPE = date)", "extra type planted", LOOK),
    ("DROP RULE no_delete ON base", "missing rule base.no_delete", MENDED),
    ("DROP STATISTICS people_stats", "missing statistics people_stats", MENDED),
    ("ALTER STATISTICS people_stats SET STATISTICS 10", "statistics target of statistics people_stats", MENDED),
    ("COMMENT ON TABLE people IS NULL", "comment of table people", MENDED),
    ("COMMENT ON COLUMN people.born IS 'When'", "comment of column people.born", MENDED),
    ("COMMENT ON INDEX people_name IS 'Planted'", "comment of index people.people_name", MENDED),
    ("COMMENT ON POLICY \"see all\" ON \"Order Items\" IS 'x'", 'comment of policy "Order Items"."see all"', MENDED),
    ('ALTER TABLE "Order Items" SET (fillfactor = 70)', 'options of table "Order Items"', MENDED),
    ('ALTER TABLE "Order Items" RESET (fillfactor)', 'options of table "Order Items"', MENDED),
    ("ALTER TABLE cache SET LOGGED", "unlogged of table cache", LOOK),
    ("ALTER TABLE log DETACH PARTITION log_old", "inherited of column log_old.at, inherited of column log_old.id, "
     "inherited of column log_old.line, inherited of constraint log_old.lined, "
     "partition of of index log_old.log_old_at_idx, bounds of table log_old, parents of table log_old", LOOK),
    ("ALTER TABLE derived NO INHERIT base",
     "inherited of column derived.id, inherited of column derived.note, parents of table derived", LOOK),
    ('ALTER TABLE "Order Items" REPLICA IDENTITY DEFAULT', 'replica identity of table "Order Items"', MENDED),
    ("ADMIN ALTER TABLE cache OWNER TO CURRENT_USER", "grants of table cache, owner of table cache", MENDED),
]  # fmt: skip


def told(found: list[Any]) -> str:
    return ", ".join(
        (
            f"{item.aspect} of {item.kind} {item.object}"
            if item.aspect
            else f"{item.problem} {item.kind} {item.object}"
        ).strip()
        for item in found
    )


@pytest.mark.parametrize(("change", "expected", "mended"), CHANGES, ids=[item[0][:70] for item in CHANGES])
async def test_a_change_is_named_and_mended(
    admin: Any, rich: tuple[Roles, Roles], change: str, expected: str, mended: bool
) -> None:
    definitions = await definitions_of(admin, *triple(rich[0]))
    roles = rich[1]
    names = {"{user}": f'"{roles.user}"', "{owner}": f'"{roles.owner}"', "{schema}": roles.schema}
    script = change.removeprefix("ADMIN ")
    for mark, name in names.items():
        script = script.replace(mark, name)
    await admin.execute(f'SET LOCAL search_path = "{roles.schema}"')
    if not change.startswith("ADMIN "):
        await admin.execute(f'SET LOCAL ROLE "{roles.owner}"')
    await admin.execute(script)
    await admin.execute("SET LOCAL ROLE NONE")
    found = await shape_of(admin, *triple(roles))
    assert found.hash != definitions.shape.hash
    # Tables that look alike are looked at once: the other schema's must not be taken for this one's.
    together = await hashes(admin, [triple(rich[0]), triple(roles), triple(roles)])
    assert together == {rich[0].schema: definitions.shape.hash, roles.schema: found.hash}
    differing = differences(definitions.shape, found)
    assert told(differing) == expected
    statements = repair(differing, definitions, roles)
    assert any(not line.startswith("-- ") for line in statements)
    assert mended == (not any(line.startswith("-- ") for line in statements)), statements
    # As the administrator, statement by statement, as it is printed: the text says who it is to be.
    assert (statements[0], statements[-1]) == ("BEGIN", "COMMIT")
    await admin.execute("RESET search_path")
    if "RENAME VALUE" in change:
        return  # what uses the old value cannot be made before somebody did what the comment says
    await perform(admin, statements[1:-1])
    await admin.execute("SET LOCAL ROLE NONE; RESET check_function_bodies")
    if not mended:
        return
    after = await shape_of(admin, *triple(roles))
    assert differences(definitions.shape, after) == [], statements
    assert after.hash == definitions.shape.hash


async def perform(admin: Any, statements: list[str]) -> None:
    """What the server would do with printed statements; the driver knows no statement that is a comment."""
    for statement in statements:
        if not statement.startswith("-- "):
            await admin.execute(statement)


async def test_a_schema_that_is_gone_is_made_again(admin: Any, rich: tuple[Roles, Roles]) -> None:
    roles = rich[1]
    definitions = await definitions_of(admin, *triple(rich[0]))
    await admin.execute(f'DROP SCHEMA "{roles.schema}" CASCADE')
    await perform(admin, remake(definitions, opening_statements(Place("t", "s", *triple(roles))), roles)[1:-1])
    await admin.execute("SET LOCAL ROLE NONE; RESET check_function_bodies; RESET search_path")
    again = await shape_of(admin, *triple(roles))
    assert differences(definitions.shape, again) == []


async def remade(admin: Any, settings: Settings, roles: Roles) -> tuple[Shape, Shape]:
    definitions = await definitions_of(admin, *triple(roles))
    other = roles_of(settings, "tenant_again_crm", "again")
    statements = ddl(definitions, other)
    assert not any(f"{roles.schema}." in text.replace(f"'{roles.schema}.", "") for text in statements), statements
    await make(admin, other, ";\n".join(statements))
    return definitions.shape, await shape_of(admin, *triple(other))


async def test_ddl_makes_the_shape_again(admin: Any, settings: Settings, rich: tuple[Roles, Roles]) -> None:
    shape, again = await remade(admin, settings, rich[1])
    assert differences(shape, again) == []
    assert shape == again


@pytest.mark.parametrize("system", ["crm", "sales", "marketing"])
async def test_ddl_makes_a_first_party_system_again(admin: Any, settings: Settings, system: str) -> None:
    roles = roles_of(settings, f"tenant_first_{system}", "first")
    releases = package.read(ROOT / "systems" / system).releases
    await make(admin, roles, ";\n".join(release.migration.up for release in releases))
    shape, again = await remade(admin, settings, roles)
    assert differences(shape, again) == []
    assert shape == again
