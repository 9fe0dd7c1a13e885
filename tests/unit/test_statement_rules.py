"""Which statements a tenant's transaction takes."""

from __future__ import annotations

import pytest

from prismicx.engines.statement_rules import ELSEWHERE, check
from prismicx.errors import BoundaryViolation, InvalidInput


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT id FROM user_data.users WHERE id = $1",
        "\n  insert into user_data.users VALUES ($1) ON CONFLICT DO NOTHING RETURNING id;",
        "WITH a AS (DELETE FROM x RETURNING *) SELECT * FROM a",
        "MERGE INTO a USING b ON a.i = b.i WHEN MATCHED THEN DELETE",
        "VALUES (1), (2)",
        "TABLE user_data.users",
        "SHOW statement_timeout",
        "SET LOCAL statement_timeout = '2s'",
        "SET CONSTRAINTS ALL DEFERRED",
        "NOTIFY a, 'b'",
        "SELECT current_setting('app.current_tenant_id')",
        "SELECT 'set_config(''a'', ''b'', true)'",
        "SELECT 1 -- set_config('a', 'b', true)",
        "SELECT u.region, u.acl FROM user_data.users u WHERE u.region = $1::region",
        "SELECT to_tsvector('english'::regconfig, a) FROM b WHERE c = $1::pg_lsn",
        "SELECT * FROM public.tenant_systems",
    ],
)
def test_statements_of_data_are_taken(statement: str) -> None:
    check(statement)


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT set_config('app.current_tenant_id', 'other', true)",
        "SELECT * FROM a WHERE set_config('app.current_tenant_id', 'other', true) <> ''",
        "UPDATE a SET b = (SELECT pg_catalog.set_config('role', 'other', false))",
        "EXPLAIN ANALYZE SELECT set_config('a.b', 'c', true)",
        "SELECT u&\"set\\005fconfig\"('a.b', 'c', true)",
        "SELECT \"set_config\"('a.b', 'c', true)",
        "SET app.current_tenant_id = 'other'",
        "SET LOCAL app.current_tenant_id = 'other'",
        "SET LOCAL ROLE other",
        "SET SESSION AUTHORIZATION other",
        "SET statement_timeout = 1",
        "SET LOCAL search_path = other",
        "SET LOCAL row_security = off",
        "RESET ROLE",
        "RESET ALL",
        "DISCARD ALL",
        "SET TRANSACTION READ ONLY",
        "BEGIN",
        "COMMIT",
        "ROLLBACK TO SAVEPOINT a",
        "DO $$ BEGIN EXECUTE 'RESET ' || 'ROLE'; END $$",
        "CALL f()",
        "LISTEN a",
        "DECLARE c CURSOR WITH HOLD FOR SELECT 1",
        "PREPARE p AS SELECT 1",
        "EXECUTE p",
        "COPY a TO PROGRAM 'x'",
        "CREATE TEMP TABLE a (b int)",
        "CREATE TEMP TABLE a AS SELECT 1",
        "SELECT * INTO TEMP a FROM b",
        "EXPLAIN ANALYZE CREATE TEMP TABLE a AS SELECT 1",
        "TRUNCATE a",
        "GRANT SELECT ON a TO PUBLIC",
        "SELECT query_to_xml('SELECT set_' || 'config(...)', true, true, '')",
        "SELECT * FROM ts_stat('SELECT 1')",
        "SELECT ts_rewrite('a', 'SELECT 1')",
        "SELECT pg_terminate_backend(1)",
        "SELECT pg_advisory_lock(1)",
        "SELECT pg_advisory_xact_lock(hashtextextended('tenant_b_crm', 0))",
        "SELECT pg_advisory_xact_lock_shared(1, 2)",
        "SELECT pg_try_advisory_xact_lock(1)",
        "SELECT ('1'::bigint).pg_try_advisory_xact_lock_shared",
        "SELECT pg_catalog.pg_try_advisory_lock(1, 2)",
        "SELECT ('SELECT 1'::text).ts_stat",
        "SELECT q.ts_stat FROM unnest(array['SELECT 1'::text]) q",
        "SELECT (q).ts_stat FROM unnest(array['SELECT 1'::text]) q",
        "SELECT (1).pg_terminate_backend",
        "SELECT (98::bigint).pg_advisory_lock",
        "UPDATE pg_settings SET setting = 'off' WHERE name = 'standard_conforming_strings'",
        "WITH a AS (UPDATE pg_catalog.pg_settings SET setting = 'x' RETURNING 1) SELECT 1",
        'UPDATE "pg_settings" SET setting = 1',
        "UPDATE U&\"pg!005fsettings\" UESCAPE '!' SET setting = 1",
        "MERGE INTO pg_settings USING a ON true WHEN MATCHED THEN UPDATE SET setting = 1",
        "SELECT statement FROM pg_prepared_statements",
        "SELECT query FROM pg_stat_activity",
        "SELECT * FROM information_schema.tables",
        "TABLE pg_roles",
        "SELECT lo_from_bytea(0, 'x')",
        "SELECT 'tenant_other'::regrole",
        "SELECT to_regclass('a')",
        "SELECT setseed(0.5)",
        "SELECT pg_stat_get_xact_tuples_fetched(1)",
        "EXPLAIN ANALYZE SELECT 1",
        "EXPLAIN SELECT 1",
        "LOCK TABLE a",
        "SHOW app.tenant_proof",
        "SHOW App.Tenant_Proof",
        "SELECT current_setting('app.tenant_proof')",
        "SELECT current_setting('APP.Tenant_proof', true)",
        "SELECT pg_catalog.current_setting('app.' || 'tenant_proof')",
        "SELECT current_setting($1)",
        "SELECT current_setting(setting_name => 'app.tenant_proof')",
        "SELECT current_setting(VARIADIC ARRAY['app.tenant_proof'])",
        "SELECT ('app.tenant_proof'::text).current_setting",
        "SELECT s.current_setting FROM (VALUES ('app.tenant_proof')) s (x)",
        "SELECT current_setting(E'app.tenant\\137proof')",
        "SELECT has_schema_privilege('tenant_other_crm', 'USAGE')",
        "SELECT pg_catalog.has_table_privilege('tenant_other_crm.a', 'SELECT')",
        "SELECT has_any_column_privilege(1, 'SELECT')",
        "SELECT has_parameter_privilege('work_mem', 'SET')",
        "SELECT 'tenant_other_crm.mood'::regtype",
        "SELECT 16500::regtype",
        "SELECT regtypein('tenant_other_crm.mood')",
        "SELECT regclassout(16500::oid)",
        "SELECT format_type(16500, NULL)",
        "SELECT obj_description(16500, 'pg_class')",
        "SELECT array_agg(g::oid)::_regrole::text FROM generate_series(16384,20000) g",
        "SELECT array_agg(g::oid)::pg_catalog._regclass::text FROM generate_series(16384,20000) g",
        "SELECT '{tenant_globex}'::_regrole",
        "SELECT _regrole('{tenant_globex}')",
        "SELECT 'f(integer)'::regprocedure",
        "SELECT '+(integer,integer)'::regoperator[]",
        "SELECT 'tenant_globex=r/postgres'::aclitem",
        "SELECT '{tenant_globex=r/postgres}'::_aclitem",
        "SELECT makeaclitem(g::oid, 10::oid, 'SELECT', false)::text FROM generate_series(16384,20000) g",
        "SELECT acldefault('r', 16500)",
        "SELECT COALESCE(NULLIF(pg_typeof(1), pg_typeof(1)), '16500')",
        "SELECT pg_input_is_valid('tenant_globex', 'regrole')",
        "SELECT array_in('{tenant_globex}', 4096, -1)::text",
        'SELECT (jsonb_populate_record(NULL::pg_class, \'{"relacl": ["tenant_globex=r/postgres"]}\')).relacl',
        "SELECT brin_summarize_new_values(16500::oid)",
    ],
)
def test_what_could_change_the_session_is_refused(statement: str) -> None:
    with pytest.raises(BoundaryViolation) as caught:
        check(statement)
    assert caught.value.code == "boundary.statement"


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM tenant_other_crm.companies",
        "SELECT * FROM postgres.tenant_other_crm.companies",
        "SELECT NULL::tenant_other_crm.companies",
        "SELECT NULL::tenant_other_crm.companies[]",
        "SELECT CAST('a' AS tenant_other_crm.mood)",
        "SELECT tenant_other_crm.f(1)",
        "SELECT 1 OPERATOR(tenant_other_crm.+) 2",
        "SELECT 'a' COLLATE tenant_other_crm.c",
        "SELECT * FROM a WHERE b IN (SELECT 1 FROM public.c)",
        "WITH a AS (INSERT INTO tenant_other_crm.b VALUES (1) RETURNING 1) SELECT * FROM a",
        "SELECT * FROM ROWS FROM (tenant_other_crm.f()) AS (a int)",
        "SELECT * FROM json_to_record('{}') AS x (a tenant_other_crm.mood)",
        "MERGE INTO tenant_other_crm.b USING a ON true WHEN MATCHED THEN DELETE",
    ],
)
def test_another_schema_is_refused_whether_it_exists_or_not(statement: str) -> None:
    check(statement.replace("tenant_other_crm", "tenant_own_crm").replace("public.", ""), schema="tenant_own_crm")
    with pytest.raises(BoundaryViolation) as caught:
        check(statement, schema="tenant_own_crm")
    assert (caught.value.code, caught.value.message) == ("boundary.refused", ELSEWHERE)


@pytest.mark.parametrize(
    "statement",
    ["SELECT * FROM {}.companies", "SELECT NULL::{}.companies", "SELECT {}.f(1)", "SELECT 1 OPERATOR({}.+) 2"],
)
def test_on_shared_tables_the_schema_of_a_tenant_is_refused_whether_it_exists_or_not(statement: str) -> None:
    check(statement.format("shop"), view="tenant_own_extensions")  # an operator's own
    with pytest.raises(BoundaryViolation) as caught:
        check(statement.format("tenant_other_crm"), view="tenant_own_extensions")
    assert (caught.value.code, caught.value.message) == ("boundary.refused", ELSEWHERE)


@pytest.mark.parametrize(
    "statement",
    ["SELECT * FROM user_extensions.{}", "SELECT NULL::user_extensions.{}", "SELECT user_extensions.{}(1)"],
)
def test_the_view_of_another_tenant_is_refused_whether_it_exists_or_not(statement: str) -> None:
    check(statement.format("tenant_own_extensions"), view="tenant_own_extensions")
    check(statement.format("extension_practicality"), view="tenant_own_extensions")
    for view in ("tenant_other_extensions", '"tenant_other_extensions"'):
        with pytest.raises(BoundaryViolation) as caught:
            check(statement.format(view), view="tenant_own_extensions")
        assert (caught.value.code, caught.value.message) == ("boundary.refused", ELSEWHERE)


@pytest.mark.parametrize(
    ("statement", "word"),
    [
        (type("Text", (str,), {})("SELECT 1"), "no text"),
        (b"SELECT 1", "no text"),
        ("SELECT '\ud800'", "no text"),
        ("SELECT 1; SELECT 2", "2 statements"),
        ("SELECT 1; SET ROLE other", "2 statements"),
        ("", "0 statements"),
        ("-- nothing", "0 statements"),
        ("SELEC 1", "SELEC"),
        ("SELECT 'open", "unterminated"),
        ("SELECT '\0'", "holds NUL"),
    ],
)
def test_what_is_not_one_statement_is_named(statement: str, word: str) -> None:
    with pytest.raises(InvalidInput, match=word) as caught:
        check(statement)
    assert caught.value.code == "sql.invalid"
