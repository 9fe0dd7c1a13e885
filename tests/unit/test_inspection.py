"""What a migration may not hold is found when it is published, with its place."""

from __future__ import annotations

import pytest

from prismicx.errors import InvalidInput
from prismicx.systems.inspection import inspect

GOOD = """
CREATE TABLE contacts (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), name text NOT NULL);
CREATE INDEX ON contacts (lower(name));
INSERT INTO contacts (name) SELECT 'ä' || n FROM generate_series(1, 3) n;
ALTER TABLE contacts ADD COLUMN email text, ADD CONSTRAINT c CHECK (email LIKE '%@%');
UPDATE contacts SET email = pg_catalog.lower(name) || '@x';
CREATE VIEW v AS SELECT * FROM contacts;
CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.name := 'x'; RETURN NEW; END $$;
CREATE FUNCTION g() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    -- SET ROLE is only a word here, and 'EXECUTE' a value
    UPDATE contacts SET name = 'EXECUTE', role = 'x' WHERE id = NEW.id;
    INSERT INTO contacts (name) VALUES ('x') ON CONFLICT DO NOTHING;
    NEW.name := lower(NEW.name);
    RETURN NEW;
END $$;
CREATE AGGREGATE joined(text) (SFUNC = textcat, STYPE = text, INITCOND = '', PARALLEL = SAFE);
CREATE TYPE span AS RANGE (SUBTYPE = float8, SUBTYPE_DIFF = float8mi);
CREATE COLLATION plain FROM "C";
DO $$ BEGIN CREATE TYPE mood AS ENUM ('good'); EXCEPTION WHEN duplicate_object THEN null; END $$;
DO $$ BEGIN
    IF NOT EXISTS (SELECT FROM contacts) THEN
        ALTER TABLE contacts ADD COLUMN more text;
        EXECUTE 'CREATE INDEX more ON contacts (more)';
        CREATE TRIGGER again BEFORE INSERT ON contacts FOR EACH ROW EXECUTE FUNCTION f();
    END IF;
END $$;
CREATE POLICY everybody ON contacts TO PUBLIC USING (id = currval('numbers')::text::uuid);
CREATE TABLE copies AS SELECT * FROM contacts;
CREATE TRIGGER t BEFORE INSERT ON contacts FOR EACH ROW EXECUTE FUNCTION f();
COMMENT ON TABLE contacts IS 'people; and ''quotes''';
COMMENT ON COLUMN contacts.name IS 'x';
CREATE FUNCTION h(x contacts.name%TYPE) RETURNS int LANGUAGE sql AS 'SELECT 1';
DROP TRIGGER t ON contacts;
CREATE INDEX CONCURRENTLY contacts_name ON contacts (lower(name));
REINDEX INDEX CONCURRENTLY contacts_name;
DROP INDEX CONCURRENTLY IF EXISTS contacts_name;
"""
OWN = """
CREATE TYPE ${schema}.mood AS ENUM ('good', 'bad');
CREATE TABLE ${schema}.people (id int PRIMARY KEY, mood ${schema}.mood);
CREATE TABLE "${schema}".notes (id int REFERENCES ${schema}.people);
CREATE FUNCTION ${schema}.f(x ${schema}.mood) RETURNS int LANGUAGE sql AS $$ SELECT 1 FROM ${schema}.people $$;
CREATE INDEX CONCURRENTLY i ON ${schema}.people (${schema}.f(mood));
COMMENT ON COLUMN ${schema}.people.mood IS 'x';
DROP INDEX CONCURRENTLY ${schema}.i;
DROP TABLE ${schema}.notes;
"""


def test_ordinary_ddl_passes() -> None:
    inspect(GOOD, "good.sql")


def test_the_own_schema_may_be_named() -> None:
    inspect(OWN, "own.sql")


def test_what_stands_for_the_schema_is_no_name_that_a_script_could_use() -> None:
    for text in ("SELECT * FROM s000000.a", "SELECT * FROM ${schema}.a, s000000.b"):
        with pytest.raises(InvalidInput, match="s000000"):
            inspect(text, "m.sql")


def test_lines_are_those_of_the_file_when_the_script_is_a_part_of_it() -> None:
    with pytest.raises(InvalidInput, match=r"m\.sql:12:3: a migration may not hold: vacuum"):
        inspect("SELECT 1;\n\n  VACUUM;", "m.sql", 10)
    with pytest.raises(InvalidInput, match=r"m\.sql:11:21: syntax"):
        inspect("SELECT 1;\nSELECT ${schema}.f( FROM", "m.sql", 10)


@pytest.mark.parametrize(
    ("statement", "word"),
    [
        ("BEGIN", "transaction"),
        ("COMMIT", "transaction"),
        ("SAVEPOINT a", "transaction"),
        ("SET search_path = public", "variable set"),
        ("SET ROLE postgres", "variable set"),
        ("RESET ROLE", "variable set"),
        ("SELECT set_config('role', 'postgres', true)", "set_config"),
        ("SELECT pg_catalog.set_config('role', 'postgres', true)", "set_config"),
        ("INSERT INTO a SELECT set_config('x.y', 'z', false)", "set_config"),
        ("CREATE ROLE evil SUPERUSER", "create role"),
        ("ALTER ROLE evil SUPERUSER", "alter role"),
        ("GRANT SELECT ON a TO PUBLIC", "grant"),
        ("GRANT a TO b", "grant"),
        ("CREATE EXTENSION dblink", "create extension"),
        ("CREATE SCHEMA other", "create schema"),
        ("CREATE DATABASE d", "createdb"),
        ("DROP DATABASE d", "dropdb"),
        ("COPY a FROM PROGRAM 'id'", "copy"),
        ("COPY a TO '/tmp/x'", "copy"),
        ("ALTER SYSTEM SET a = 1", "alter system"),
        ("LISTEN a", "listen"),
        ("VACUUM", "vacuum"),
        ("LOAD 'x'", "load"),
        ("COPY a FROM '/tmp/x'", "files of the server"),
        ("COPY a TO PROGRAM 'id'", "program"),
        ("COPY a FROM STDIN", "INSERT"),
        ("COPY (SELECT 1) TO STDOUT", "INSERT"),
        ("ROLLBACK", "transaction"),
        ("START TRANSACTION", "transaction"),
        ("PREPARE TRANSACTION 'x'", "transaction"),
        ("SET LOCAL search_path TO other", "search_path"),
        ("SET work_mem = '1GB'", "variable set"),
        ("SET SESSION AUTHORIZATION postgres", "variable set"),
        ("RESET ALL", "variable set"),
        ("DISCARD ALL", "discard"),
        ("DROP ROLE evil", "drop role"),
        ("DROP EXTENSION dblink", "extension"),
        ("ALTER DATABASE d SET a = 1", "alter database"),
        ("DROP SCHEMA public", "schema"),
        ("ALTER SCHEMA a RENAME TO b", "schema"),
        ("ALTER ROLE a RENAME TO b", "role"),
        ("COMMENT ON DATABASE a IS 'x'", "database"),
        ("CREATE INDEX CONCURRENTLY ON a (b)", "without a name"),
        ("CREATE INDEX CONCURRENTLY i ON other.a (b)", "other"),
        ("CREATE INDEX CONCURRENTLY i ON a (set_config(b, 'c', false))", "set_config"),
        ("DROP INDEX CONCURRENTLY other.i", "other"),
        ("REINDEX TABLE a", "reindex"),
        ("REINDEX DATABASE CONCURRENTLY d", "reindex"),
        ("REINDEX SCHEMA CONCURRENTLY public", "reindex"),
        ("REINDEX INDEX CONCURRENTLY other.i", "other"),
        ("ALTER TABLE a DETACH PARTITION other.b CONCURRENTLY", "other"),
        ("DROP TABLE other.a", "other"),
        ("DROP FUNCTION other.f(int)", "other"),
        ("DROP TYPE other.t", "other"),
        ("DROP TRIGGER t ON other.a", "other"),
        ("COMMENT ON COLUMN other.a.b IS 'x'", "other"),
        ("CREATE TYPE other.t AS ENUM ('a')", "other"),
        ("CREATE DOMAIN other.d AS int", "other"),
        ("CREATE FUNCTION other.f() RETURNS int LANGUAGE sql AS 'SELECT 1'", "other"),
        ("CREATE FUNCTION f(x other.t) RETURNS int LANGUAGE sql AS 'SELECT 1'", "other"),
        ("CREATE TRIGGER t BEFORE INSERT ON a FOR EACH ROW EXECUTE FUNCTION other.f()", "other"),
        ("ALTER TYPE other.t ADD VALUE 'x'", "other"),
        ("ALTER FUNCTION other.f() RENAME TO g", "other"),
        ("SELECT '1'::other.t", "other"),
        ("SELECT 1 OPERATOR(other.+) 2", "other"),
        ("SELECT 'a' COLLATE other.c", "other"),
        ("SELECT * FROM user_data.users", "user_data"),
        ("INSERT INTO public.tenant_systems DEFAULT VALUES", "public"),
        ("CREATE TABLE other.a (b int)", "other"),
        ("CREATE TABLE a (b int REFERENCES other.c)", "other"),
        ("CREATE VIEW v AS SELECT * FROM (SELECT * FROM other.c) x", "other"),
        ("SELECT other.f()", "other"),
        ("ALTER TABLE a SET SCHEMA public", "alter object schema"),
        ("CREATE PUBLICATION p FOR ALL TABLES", "publication"),
        ("CREATE SERVER s FOREIGN DATA WRAPPER w", "foreign server"),
        ("SECURITY LABEL ON TABLE a IS 'x'", "sec label"),
        ("DO $$ BEGIN EXECUTE 'SET LOCAL ROLE owner_b'; END $$", "variable set"),
        ("DO $$ BEGIN EXECUTE 'SET LOCAL ' || 'ROLE owner_b'; END $$", "put together"),
        ("DO $$ BEGIN EXECUTE 'COMMIT'; END $$", "transaction"),
        ("DO $$ BEGIN EXECUTE 'CREATE INDEX CONCURRENTLY i ON a (b)'; END $$", "transaction"),
        ("DO $$ BEGIN CREATE ROLE evil; END $$", "create role"),
        ("DO $$ BEGIN /* x */ CREATE /* y */ ROLE evil; -- z\n ALTER ROLE a SUPERUSER; END $$", "create role"),
        ("DO $$ BEGIN IF true THEN NULL; ELSE <<x>> BEGIN DROP ROLE a; END; END IF; END $$", "drop role"),
        ("DO $$ BEGIN IF true THEN ALTER TABLE other.a ADD b int; END IF; END $$", "other"),
        ("DO $$ BEGIN EXECUTE format('DROP TABLE %I', 'a'); END $$", "put together"),
        (
            "CREATE FUNCTION f() RETURNS SETOF int LANGUAGE plpgsql AS $$ BEGIN RETURN QUERY EXECUTE x; END $$",
            "EXECUTE",
        ),
        ("ALTER TABLE a OWNER TO app_user", "app_user"),
        ("CREATE POLICY p ON a TO app_user", "app_user"),
        ("CREATE TABLE c (b int) TABLESPACE fast", "fast"),
        ("CREATE INDEX ON a (b) TABLESPACE fast", "fast"),
        ("ALTER TABLE a SET TABLESPACE fast", "fast"),
        ("ALTER TABLE a ALTER b SET DEFAULT nextval('other.s')", "other"),
        ("SELECT nextval('other.s'::regclass)", "other"),
        ("DO $$ BEGIN SET LOCAL ROLE owner_b; END $$", "SET"),
        ("DO $$ BEGIN /* x */ SET -- y\n ROLE owner_b; END $$", "SET"),
        ("DO 'BEGIN RESET ROLE; END'", "RESET"),
        ("DO $$ BEGIN IF true THEN RESET ROLE; END IF; END $$", "RESET"),
        ("DO $$ DECLARE r record; BEGIN FOR r IN EXECUTE 'x' LOOP END LOOP; END $$", "cannot be read"),
        ("DO $$ BEGIN PERFORM set_config('role', 'b', true); END $$", "set_config"),
        ("DO $$ BEGIN PERFORM U&\"set!005fconfig\" UESCAPE '!' ('role', 'b', true); END $$", "plainly"),
        ("DO $$ BEGIN UPDATE pg_settings SET setting = 'b' WHERE name = 'role'; END $$", "pg_settings"),
        ("DO $$ BEGIN CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SET ROLE b'; END $$", "SET"),
        ("CREATE FUNCTION f() RETURNS void LANGUAGE sql AS 'SET ROLE b'", "SET"),
        ("CREATE FUNCTION f() RETURNS void LANGUAGE sql SET role = 'b' AS 'SELECT 1'", "sets role"),
        ("CREATE FUNCTION f() RETURNS void LANGUAGE plpython3u AS 'pass'", "plpython3u"),
        ("CREATE FUNCTION f() RETURNS text BEGIN ATOMIC SELECT set_config('role', 'b', true); END", "set_config"),
        ("ALTER FUNCTION f() SET role = 'b'", "sets role"),
        ("UPDATE pg_settings SET setting = 'b' WHERE name = 'role'", "pg_settings"),
        ("SELECT ('SELECT 1'::text).ts_stat", "ts_stat"),
        ("CREATE OPERATOR @@@ (FUNCTION = f, RIGHTARG = text)", "operator"),
        ("CREATE OPERATOR @@@ (PROCEDURE = query_to_xml, LEFTARG = text, RIGHTARG = text)", "operator"),
        ("CREATE TYPE t", "type"),
        ("CREATE TYPE t (INPUT = f, OUTPUT = g)", "type"),
        ("CREATE TEXT SEARCH DICTIONARY d (TEMPLATE = simple)", "tsdictionary"),
        ("CREATE TEXT SEARCH CONFIGURATION c (PARSER = p)", "tsconfiguration"),
        ("CREATE TEXT SEARCH PARSER p (START = f, GETTOKEN = g, END = h, LEXTYPES = i)", "tsparser"),
        ("CREATE TEXT SEARCH TEMPLATE t (LEXIZE = f)", "tstemplate"),
        ("CREATE OPERATOR CLASS c FOR TYPE int USING btree AS FUNCTION 1 f(int, int)", "create op class"),
        ("CREATE CAST (a AS b) WITH FUNCTION f(a)", "create cast"),
        ("CREATE CONVERSION c FOR 'a' TO 'b' FROM f", "create conversion"),
        ("CREATE ACCESS METHOD m TYPE INDEX HANDLER f", "create am"),
        ("CREATE EVENT TRIGGER e ON ddl_command_start EXECUTE FUNCTION f()", "create event trig"),
        ("CREATE LANGUAGE l HANDLER f", "create plang"),
        ("CREATE TRANSFORM FOR a LANGUAGE sql (FROM SQL WITH FUNCTION f(internal))", "create transform"),
        ("ALTER OPERATOR @@ (int, int) SET (RESTRICT = f)", "alter operator"),
        ("CREATE FUNCTION f() RETURNS int LANGUAGE sql SUPPORT g AS 'SELECT 1'", "SUPPORT"),
        ("ALTER FUNCTION f() SUPPORT g", "SUPPORT"),
        (
            "CREATE FUNCTION f(a text, b text, c boolean) RETURNS text LANGUAGE internal AS 'set_config_by_name'",
            "internal",
        ),
        ("CREATE TABLE a AS EXECUTE p", "prepared"),
        ("CREATE AGGREGATE g(text) (SFUNC = other.f, STYPE = text)", "other"),
    ],
)
def test_what_leaves_the_schema_is_refused_with_its_line(statement: str, word: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        inspect(f"-- a comment\nCREATE TABLE a (b int);\n\n{statement};\n", "m.sql")
    assert caught.value.code == "package.sql"
    assert word in caught.value.message
    assert "m.sql:4:1:" in caught.value.message


NAMED = [
    "CREATE AGGREGATE g(text, boolean) (SFUNC = {}, STYPE = text, INITCOND = 'role')",
    "CREATE OR REPLACE AGGREGATE g(text) (SFUNC = textcat, STYPE = text, FINALFUNC = {})",
    "CREATE AGGREGATE g(text) (SFUNC = textcat, STYPE = text, COMBINEFUNC = {})",
    "CREATE AGGREGATE g(text) (SFUNC = textcat, STYPE = internal, SERIALFUNC = {})",
    "CREATE AGGREGATE g(text) (SFUNC = textcat, STYPE = internal, DESERIALFUNC = {})",
    "CREATE AGGREGATE g(text) (SFUNC = textcat, STYPE = text, MSTYPE = text, MINVFUNC = f, MSFUNC = {})",
    "CREATE AGGREGATE g(text) (SFUNC = textcat, STYPE = text, MSTYPE = text, MSFUNC = f, MINVFUNC = {})",
    "CREATE AGGREGATE g(text) (SFUNC = textcat, STYPE = text, MSTYPE = text, MSFUNC = f, MFINALFUNC = {})",
    "CREATE AGGREGATE g(BASETYPE = text, SFUNC1 = {}, STYPE1 = text)",
    "CREATE AGGREGATE g(text ORDER BY text) (SFUNC = {}, STYPE = text)",
    "CREATE TYPE t AS RANGE (SUBTYPE = text, SUBTYPE_DIFF = {})",
    "CREATE TYPE t AS RANGE (SUBTYPE = text, CANONICAL = {})",
    "CREATE TRIGGER t BEFORE INSERT ON a FOR EACH ROW EXECUTE FUNCTION {}()",
    "CREATE CONSTRAINT TRIGGER t AFTER INSERT ON a FOR EACH ROW EXECUTE PROCEDURE {}()",
    "CREATE TRIGGER t BEFORE INSERT ON a FOR EACH ROW WHEN ({}(NEW.b)) EXECUTE FUNCTION f()",
    "ALTER TYPE t SET (RECEIVE = {})",
    "ALTER FUNCTION {}(text, text, boolean) STABLE",
    "DROP FUNCTION {}(text)",
    "COMMENT ON FUNCTION {}(text) IS 'x'",
    "ALTER TABLE a ALTER b SET DEFAULT {}('x')",
    "ALTER TABLE a ALTER b TYPE text USING {}(b)",
    "ALTER TABLE a ADD CHECK ({}(b))",
    "ALTER TABLE a ADD EXCLUDE USING gist (b WITH &&) WHERE ({}(b))",
    "CREATE TABLE t (a text DEFAULT {}('x'))",
    "CREATE TABLE t (a text GENERATED ALWAYS AS ({}('x')) STORED)",
    "CREATE TABLE t (a text) PARTITION BY LIST (({}(a)))",
    "CREATE TABLE t PARTITION OF a FOR VALUES IN ({}('x'))",
    "CREATE INDEX ON a ({}(b))",
    "CREATE INDEX ON a (b) WHERE {}(b)",
    "CREATE STATISTICS s ON ({}(b)) FROM a",
    "CREATE DOMAIN d AS text CHECK ({}(VALUE))",
    "CREATE DOMAIN d AS text DEFAULT {}('x')",
    "CREATE POLICY p ON a USING ({}(b))",
    "CREATE POLICY p ON a WITH CHECK ({}(b))",
    "ALTER POLICY p ON a USING ({}(b))",
    "CREATE RULE r AS ON INSERT TO a DO ALSO SELECT {}('x')",
    "CREATE VIEW v AS SELECT {}('x')",
    "CREATE MATERIALIZED VIEW v AS SELECT {}('x')",
    "CREATE FUNCTION f(a text DEFAULT {}('x')) RETURNS int RETURN 1",
    "CREATE FUNCTION f() RETURNS text RETURN {}('x')",
    "CREATE FUNCTION f() RETURNS text LANGUAGE sql AS 'SELECT {}(1)'",
    "CREATE PROCEDURE f() LANGUAGE plpgsql AS $$ BEGIN PERFORM {}(1); END $$",
    "CALL {}('x')",
    "SELECT b FROM a ORDER BY {}(b)",
    "SELECT sum(b) OVER (PARTITION BY {}(b)) FROM a",
    "SELECT * FROM {}('x')",
    "SELECT * FROM ROWS FROM ({}('x'))",
    "SELECT count(*) FILTER (WHERE {}(b)) FROM a",
    "SELECT * FROM a TABLESAMPLE {}(1)",
    "MERGE INTO a USING c ON true WHEN MATCHED THEN UPDATE SET b = {}('x')",
]
"""Each place where the grammar takes the name of a function."""


@pytest.mark.parametrize(
    "function", ["set_config", "pg_catalog.set_config", '"set_config"', "pg_read_file", "lo_manage"]
)
@pytest.mark.parametrize("statement", NAMED)
def test_no_statement_names_a_function_that_leaves_the_schema(statement: str, function: str) -> None:
    inspect(statement.format("f"), "m.sql")
    with pytest.raises(InvalidInput) as caught:
        inspect(statement.format(function), "m.sql")
    assert function.strip('"').rpartition(".")[2] in caught.value.message


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("CREATE TBLE a (b int);", "m.sql:1:8:"),
        ("CREATE TABLE a (b int);\nSELEC 1;", "m.sql:2:1:"),
        ("SELECT 'ä' ;\n  CREATE TABLE ß (b int,);", "m.sql:2:23:"),
        ("SELECT 'unterminated", "m.sql:1:8:"),
        ("SELECT 1;\n\0; DROP DATABASE x", "m.sql:2:1:"),
    ],
)
def test_a_syntax_error_has_line_and_column(text: str, place: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        inspect(text, "m.sql")
    assert place in caught.value.message
