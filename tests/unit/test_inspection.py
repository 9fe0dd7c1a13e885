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
"""


def test_ordinary_ddl_passes() -> None:
    inspect(GOOD, "good.sql")


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
        ("CREATE INDEX CONCURRENTLY i ON a (b)", "CONCURRENTLY"),
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
    ],
)
def test_a_syntax_error_has_line_and_column(text: str, place: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        inspect(text, "m.sql")
    assert place in caught.value.message
