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
        ("DO $$ BEGIN EXECUTE 'SET LOCAL ROLE owner_b'; END $$", "EXECUTE"),
        ("DO $$ BEGIN SET LOCAL ROLE owner_b; END $$", "SET"),
        ("DO $$ BEGIN /* x */ SET -- y\n ROLE owner_b; END $$", "SET"),
        ("DO 'BEGIN RESET ROLE; END'", "RESET"),
        ("DO $$ BEGIN IF true THEN RESET ROLE; END IF; END $$", "RESET"),
        ("DO $$ DECLARE r record; BEGIN FOR r IN EXECUTE 'x' LOOP END LOOP; END $$", "EXECUTE"),
        ("DO $$ BEGIN PERFORM set_config('role', 'b', true); END $$", "set_config"),
        ("DO $$ BEGIN PERFORM U&\"set!005fconfig\" UESCAPE '!' ('role', 'b', true); END $$", "plainly"),
        ("DO $$ BEGIN UPDATE pg_settings SET setting = 'b' WHERE name = 'role'; END $$", "pg_settings"),
        ("DO $$ BEGIN CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'; END $$", "CREATE"),
        ("CREATE FUNCTION f() RETURNS void LANGUAGE sql AS 'SET ROLE b'", "SET"),
        ("CREATE FUNCTION f() RETURNS void LANGUAGE sql SET role = 'b' AS 'SELECT 1'", "sets role"),
        ("CREATE FUNCTION f() RETURNS void LANGUAGE plpython3u AS 'pass'", "plpython3u"),
        ("CREATE FUNCTION f() RETURNS text BEGIN ATOMIC SELECT set_config('role', 'b', true); END", "set_config"),
        ("ALTER FUNCTION f() SET role = 'b'", "sets role"),
        ("UPDATE pg_settings SET setting = 'b' WHERE name = 'role'", "pg_settings"),
        ("SELECT ('SELECT 1'::text).ts_stat", "ts_stat"),
    ],
)
def test_what_leaves_the_schema_is_refused_with_its_line(statement: str, word: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        inspect(f"-- a comment\nCREATE TABLE a (b int);\n\n{statement};\n", "m.sql")
    assert caught.value.code == "package.sql"
    assert word in caught.value.message
    assert "m.sql:4:1:" in caught.value.message


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
