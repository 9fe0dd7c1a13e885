"""`db verify` turns red for anything that is taken away: each thing is taken away, one by one.

The breaks are made from the live catalogue, so what is added tomorrow is broken tomorrow.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

import asyncpg
import pytest

from prismicx.engines import mongo
from prismicx.engines.endpoints import locate
from prismicx.names import Names
from prismicx.reference import catalogue, facts
from prismicx.reference.apply import apply, ensure_collection
from prismicx.reference.definitions import POSTGRES_DATABASES, Collection, collections, services
from prismicx.reference.verify import Report, verify
from prismicx.settings import Settings
from tests.support import administrator


@pytest.fixture(scope="module")
async def empty(new_namespace: Callable[[], Settings]) -> Settings:
    """A platform without data: rows would refuse some of the breaks."""
    mine = new_namespace()
    await apply(mine, locate(mine))
    return mine


async def compared(connection: asyncpg.Connection, database: str, names: Names) -> Report:
    report = Report()
    live = await catalogue.read(connection, database, names)
    report.compare(facts.of_postgres(database), facts.in_postgres(live), database)
    rows = await connection.fetch(
        catalogue.sql.roles, f"^{names.namespace}__prismicx_", f"^{names.namespace}__(tenant|owner)_"
    )
    plain = catalogue.without_namespace(names)
    report.compare(facts.of_roles(), facts.in_roles(rows, plain), "postgres")
    return report


async def breaks(connection: asyncpg.Connection, database: str, names: Names) -> list[str]:
    """A statement for each way in which something of the live database can be taken away or opened."""
    found: list[str] = []
    live = await catalogue.read(connection, database, names)
    for relation in live.relations.values():
        if relation.is_view:
            found.append(f"DROP VIEW {relation.name}")
            found.append(f"ALTER VIEW {relation.name} RESET (security_invoker)")
            found.append(f"CREATE OR REPLACE VIEW {relation.name} AS {relation.definition} LIMIT 1")
            continue
        found.append(f"DROP TABLE {relation.name} CASCADE")
        found.append(f"ALTER TABLE {relation.name} OWNER TO CURRENT_USER")
        for column in relation.columns:
            found.append(f"ALTER TABLE {relation.name} DROP COLUMN {column.name} CASCADE")
            found.append(f"ALTER TABLE {relation.name} RENAME COLUMN {column.name} TO other")
            if column.default is not None:
                found.append(f"ALTER TABLE {relation.name} ALTER COLUMN {column.name} DROP DEFAULT")
            else:
                found.append(
                    f"ALTER TABLE {relation.name} ALTER COLUMN {column.name} SET DEFAULT {_some_value(column.type)}"
                )
            if column.required and not _in_primary_key(relation, column.name):
                found.append(f"ALTER TABLE {relation.name} ALTER COLUMN {column.name} DROP NOT NULL")
            if not column.required and relation.name != "prismicx.audit_events":  # which has a row with NULLs
                found.append(f"ALTER TABLE {relation.name} ALTER COLUMN {column.name} SET NOT NULL")
        found += await _lists(
            connection,
            "SELECT format('ALTER TABLE %s DROP CONSTRAINT %I CASCADE', conrelid::regclass, conname) "
            "FROM pg_constraint WHERE conrelid = $1::regclass AND contype IN ('p', 'u', 'f', 'c')",
            relation.name,
        )
        found += await _lists(
            connection,
            "SELECT format('DROP INDEX %s', indexrelid::regclass) FROM pg_index x WHERE indrelid = $1::regclass "
            "AND NOT EXISTS (SELECT FROM pg_constraint c WHERE c.conindid = x.indexrelid)",
            relation.name,
        )
        found += await _lists(
            connection,
            "SELECT format('ALTER TABLE %s DISABLE TRIGGER ALL', $1::regclass) "
            "WHERE EXISTS (SELECT FROM pg_trigger WHERE tgrelid = $1::regclass)",
            relation.name,
        )
        found += await _lists(
            connection,
            "SELECT format('DROP TRIGGER %I ON %s', tgname, tgrelid::regclass) FROM pg_trigger "
            "WHERE tgrelid = $1::regclass AND NOT tgisinternal UNION ALL "
            "SELECT format('ALTER TABLE %s ENABLE TRIGGER %I', tgrelid::regclass, tgname) FROM pg_trigger "
            "WHERE tgrelid = $1::regclass AND NOT tgisinternal",
            relation.name,
        )
        for policy in relation.policies:
            found.append(f"DROP POLICY {policy.name} ON {relation.name}")
            other = "false" if policy.using == "true" else "true"
            found.append(f"ALTER POLICY {policy.name} ON {relation.name} USING ({other})")
            if policy.command != "SELECT":
                found.append(f"ALTER POLICY {policy.name} ON {relation.name} WITH CHECK (true)")
            found.append(f'ALTER POLICY {policy.name} ON {relation.name} TO "{names.service("users")}"')
            found.append(f"CREATE POLICY another ON {relation.name} USING (true)")
        if relation.row_security:
            found.append(f"ALTER TABLE {relation.name} DISABLE ROW LEVEL SECURITY")
            found.append(f"ALTER TABLE {relation.name} NO FORCE ROW LEVEL SECURITY")
    for (role, thing), rights in live.rights.items():
        kind, _, name = thing.partition(" ")
        if kind in ("table", "schema", "function"):
            if role == "public":
                found.append(f"REVOKE {rights} ON {kind} {name} FROM PUBLIC")
                continue
            member = names.service(role.removeprefix("prismicx_"))
            found.append(f'REVOKE {rights} ON {kind} {name} FROM "{member}"')
            found.append(f"GRANT {rights} ON {kind} {name} TO PUBLIC")
    for function in live.functions:
        found.append(f"DROP FUNCTION {function} CASCADE")
        found.append(f"ALTER FUNCTION {function} RESET search_path")
        other = "DEFINER" if live.functions[function].startswith("security invoker") else "INVOKER"
        found.append(f"ALTER FUNCTION {function} SECURITY {other}")
    for schema in live.schemas:
        if schema not in ("public",):
            found.append(f"DROP SCHEMA {schema} CASCADE")
    for service in services():
        if database in service.postgres:
            role = names.service(service.name)
            for attribute in ("BYPASSRLS", "SUPERUSER", "CREATEROLE", "CREATEDB", "NOLOGIN", "INHERIT", "REPLICATION"):
                found.append(f'ALTER ROLE "{role}" {attribute}')
            found.append(f'GRANT "{names.service("owner")}" TO "{role}"')
            found.append(f'GRANT TRUNCATE ON ALL TABLES IN SCHEMA prismicx TO "{role}"')
            found.append(f'GRANT CREATE ON SCHEMA prismicx TO "{role}"')
    return found


@pytest.mark.parametrize("database", POSTGRES_DATABASES)
async def test_every_break_of_postgres_turns_it_red(empty: Settings, database: str) -> None:
    names = Names(empty.namespace)
    connection = await administrator(empty, database)
    try:
        async with connection.transaction():
            assert (await compared(connection, database, names)).ok
            statements = await breaks(connection, database, names)
        assert len(statements) > 100
        survivors = []
        for statement in statements:
            trial = connection.transaction()
            await trial.start()
            try:
                await connection.execute(statement)
                if (await compared(connection, database, names)).ok:
                    survivors.append(statement)
            finally:
                await trial.rollback()
        assert survivors == []
        async with connection.transaction():
            assert (await compared(connection, database, names)).ok
    finally:
        await connection.close()


async def test_every_type_of_a_column_is_noticed(settings: Settings) -> None:
    names = Names(settings.namespace)
    for database in POSTGRES_DATABASES:
        connection = await administrator(settings, database)
        try:
            async with connection.transaction():
                live = await catalogue.read(connection, database, names)
            for relation in live.relations.values():
                for column in relation.columns:
                    other = "varchar(7)" if column.type != "character varying(7)" else "text"
                    trial = connection.transaction()
                    await trial.start()
                    try:
                        await connection.execute(f"ALTER TABLE {relation.name} DROP COLUMN {column.name} CASCADE")
                        await connection.execute(f"ALTER TABLE {relation.name} ADD COLUMN {column.name} {other}")
                    except asyncpg.PostgresError:
                        if not relation.is_view:
                            raise
                        await trial.rollback()
                        continue
                    report = await compared(connection, database, names)
                    missing = [item.fact.subject for item in report.missing]
                    assert f"{relation.name}.{column.name}" in missing
                    await trial.rollback()
        finally:
            await connection.close()


def broken_validators(item: Collection) -> Iterator[tuple[str, dict[str, Any]]]:
    """The validator with one thing taken away, for each thing there is."""

    def walk(schema: dict[str, Any], path: str) -> Iterator[tuple[str, dict[str, Any]]]:
        for field in list(schema.get("properties", {})):
            rules = schema["properties"].pop(field)
            yield f"without {path}.{field}", whole
            schema["properties"][field] = rules
            kind = rules["bsonType"]
            rules["bsonType"] = "int" if kind != "int" else "string"
            yield f"other type of {path}.{field}", whole
            rules["bsonType"] = kind
            for value in list(rules.get("enum", ())):
                kept = rules["enum"]
                rules["enum"] = [other for other in kept if other != value]
                yield f"without {value} in {path}.{field}", whole
                rules["enum"] = [*kept, "more"]
                yield f"with more in {path}.{field}", whole
                rules["enum"] = kept
            yield from walk(rules.get("items", rules), f"{path}.{field}")
        for field in list(schema.get("required", ())):
            kept = schema["required"]
            rest = [other for other in kept if other != field]
            if rest:
                schema["required"] = rest
            else:
                del schema["required"]
            yield f"{path}.{field} not required", whole
            schema["required"] = kept

    whole = copy.deepcopy(dict(item.validator))
    yield from walk(whole["$jsonSchema"], item.name)
    yield "no validator", {}


@pytest.mark.parametrize("item", collections(), ids=lambda item: item.path)
async def test_every_break_of_a_collection_turns_it_red(settings: Settings, item: Collection) -> None:
    shared = item.database != "tenant_XXX_db"

    async def report(database: Any) -> Report:
        made = Report()
        async for found in await database.list_collections(filter={"name": item.name}):
            indexes = [index async for index in await database[item.name].list_indexes()]
            live = facts.in_collection(found.get("options", {}), list(indexes), item.name)
            made.compare(facts.of_collection(item, shared), live, item.database)
        return made

    async with mongo.connect(locate(settings).mongo.url, 10) as client:
        database = client[f"{settings.namespace}__scratch_{item.name}"]
        try:
            assert await ensure_collection(database, item, shared)
            assert (await report(database)).ok
            survivors = []
            count = 0
            for what, validator in broken_validators(item):
                await database.command("collMod", item.name, validator=copy.deepcopy(validator))
                count += 1
                if (await report(database)).ok:
                    survivors.append(what)
            await ensure_collection(database, item, shared)
            for change in ({"validationLevel": "off"}, {"validationLevel": "moderate"}, {"validationAction": "warn"}):
                await database.command("collMod", item.name, **change)
                if (await report(database)).ok:
                    survivors.append(str(change))
                await ensure_collection(database, item, shared)
            assert (await report(database)).ok
            for index in item.indexes_for(shared):
                await database[item.name].drop_index(index.name)
                if (await report(database)).ok:
                    survivors.append(f"without {index.name}")
                plain = {**index.specification(), "unique": not index.unique}
                await database.command("createIndexes", item.name, indexes=[plain])
                if (await report(database)).ok:
                    survivors.append(f"other uniqueness of {index.name}")
                await database[item.name].drop_index(index.name)
                await ensure_collection(database, item, shared)
            assert survivors == []
            assert count >= 7
        finally:
            await client.drop_database(database.name)


async def test_what_a_tenant_loses_is_noticed(settings: Settings, px: Any, new_id: Any) -> None:
    names = Names(settings.namespace)
    tenant = new_id()
    await px.tenants.create(tenant, name="Broken")
    endpoints = locate(settings)
    assert (await verify(settings, endpoints)).ok
    view, role = names.extensions_view(tenant), names.tenant_role(tenant)
    owner, owner_role = names.service("systems"), names.tenant_owner(tenant)
    admin = await administrator(settings, "system_users")
    breaks_and_repairs = [
        (f"ALTER VIEW user_extensions.{view} RESET (security_invoker)",
         f"ALTER VIEW user_extensions.{view} SET (security_invoker = true)"),
        (f'REVOKE SELECT ON user_extensions.{view} FROM "{names.service("extensions")}"',
         f'GRANT SELECT ON user_extensions.{view} TO "{names.service("extensions")}"'),
        (f'ALTER ROLE "{role}" BYPASSRLS', f'ALTER ROLE "{role}" NOBYPASSRLS'),
        (f'ALTER ROLE "{owner_role}" CREATEROLE', f'ALTER ROLE "{owner_role}" NOCREATEROLE'),
        (f'GRANT "{role}" TO "{names.service("users")}"', f'REVOKE "{role}" FROM "{names.service("users")}"'),
        (f'REVOKE "{role}" FROM "{owner}" GRANTED BY "{names.service("owner")}"', f'GRANT "{role}" TO "{owner}"'),
    ]  # fmt: skip
    try:
        for statement, repair in breaks_and_repairs:
            try:
                await admin.execute(statement)
            except asyncpg.PostgresError:
                if "GRANTED BY" not in statement:
                    raise
                continue  # PostgreSQL 15 does not know who granted a membership
            assert not (await verify(settings, endpoints)).ok, statement
            await admin.execute(repair)
            report = await verify(settings, endpoints)
            assert report.ok, report.as_json()["missing"]
        await admin.execute(f"DROP VIEW user_extensions.{view}")
        assert not (await verify(settings, endpoints)).ok
    finally:
        await admin.execute(f"DROP VIEW IF EXISTS user_extensions.{view}")
        await admin.execute(
            f"CREATE VIEW user_extensions.{view} WITH (security_invoker = true) AS SELECT id, user_id, tenant_id, "
            "extension_type, name, description, enabled, priority, created_at, updated_at, metadata "
            f"FROM user_extensions.extensions WHERE tenant_id = '{tenant}'"
        )
        await admin.execute(f'GRANT SELECT ON user_extensions.{view} TO "{names.service("extensions")}"')
        await admin.close()
    assert (await verify(settings, endpoints)).ok


def _some_value(kind: str) -> str:
    values = {
        "uuid": "gen_random_uuid()", "timestamp": "now()", "json": "'{}'", "jsonb": "'{}'", "integer": "1",
        "bigint": "1", "boolean": "true",
    }  # fmt: skip
    if kind.endswith("[]"):
        return "'{}'"
    return values.get(kind.split(" ")[0], "1.5" if kind == "double precision" else "'x'")


def _in_primary_key(relation: catalogue.Relation, column: str) -> bool:
    return any(item.kind == "p" and column in item.definition for item in relation.constraints)


async def _lists(connection: asyncpg.Connection, query: str, relation: str) -> list[str]:
    return [row[0] for row in await connection.fetch(query, relation)]
