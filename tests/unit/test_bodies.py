"""Bodies of functions and DO blocks are read whole, in each language, and ordinary ones pass."""

from __future__ import annotations

import pytest

from prismicx.errors import InvalidInput
from prismicx.systems.inspection import inspect

TRIGGER = "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $b$ {} $b$"
FUNCTION = "CREATE FUNCTION f(a int, b text) RETURNS int LANGUAGE plpgsql AS $b$ {} $b$"
SQL = "CREATE FUNCTION f(a int, b text) RETURNS SETOF int LANGUAGE sql AS $b$ {} $b$"
BLOCK = "DO $b$ {} $b$"

TRIGGERS = [
    "BEGIN NEW.x := lower(NEW.y); NEW.tags[2] = 5; NEW.a.b := 3; RETURN NEW; END",
    "BEGIN IF TG_OP = 'INSERT' AND NEW.x > 3 THEN RETURN NEW; END IF; "
    "RAISE EXCEPTION 'no % %', NEW.id, TG_NAME USING ERRCODE = '23514', HINT = 'x'; END",
    "BEGIN NEW.search := setweight(to_tsvector('simple', coalesce(NEW.title, '')), 'A'); RETURN NEW; END",
    "BEGIN PERFORM pg_notify('x', row_to_json(NEW)::text); NOTIFY changed; RETURN NULL; END",
    "BEGIN LOCK TABLE contacts IN SHARE ROW EXCLUSIVE MODE; RETURN NULL; END",
    "BEGIN IF (TG_OP = 'DELETE') THEN INSERT INTO log SELECT 'D', now(), current_user, OLD.*; "
    "ELSIF (TG_OP = 'UPDATE') THEN INSERT INTO log SELECT 'U', now(), user, NEW.*; END IF; RETURN NULL; END",
    "BEGIN UPDATE contacts c SET n = c.n + 1 FROM deals d WHERE d.contact = c.id AND c.id = NEW.id; "
    "IF NOT FOUND THEN INSERT INTO contacts (id) VALUES (NEW.id) ON CONFLICT (id) DO UPDATE SET n = excluded.n; "
    "END IF; RETURN NEW; END",
    "DECLARE r contacts%ROWTYPE; m mood; n int; l contacts[]; BEGIN r.a := 1; SELECT a, b INTO m, n FROM contacts; "
    "SELECT * INTO STRICT r FROM contacts WHERE id = NEW.id; l[1] := r; RETURN NEW; END",
    "DECLARE m ${schema}.mood; c ${schema}.contacts%ROWTYPE; d ${schema}.contacts.name%TYPE; e contacts.name%TYPE; "
    "BEGIN c.a := 1; INSERT INTO ${schema}.contacts VALUES (NEW.*) RETURNING id, x INTO c.a, m; RETURN OLD; END",
    "DECLARE n int; DECLARE k bool = false; w int; v w%TYPE; x contacts; BEGIN x.a := 3; v := '{}},'; RETURN x; END",
    "DECLARE x double precision; y timestamp(3) with time zone; z interval day to second; q varchar(30)[]; "
    'w int ARRAY[3]; r "Mixed"; h hstore; v NEW.x%TYPE; BEGIN RETURN NEW; END',
    r"BEGIN NEW.x := E'a\n\'b'; NEW.y := '\d+'; NEW.z := $q$it's {{}},$q$; RETURN NEW; END -- costs $",
    "begin\r\n\tnew.x := 1;\r\n\treturn new;\r\nend;",
    "BEGIN EXECUTE 'INSERT INTO log VALUES ($1)' USING NEW.x; RETURN NEW; END",
    "BEGIN CREATE TEMP TABLE w (id int) ON COMMIT DROP; DROP TABLE w; RETURN NULL; END",
]
FUNCTIONS = [
    'DECLARE total numeric(10, 2) NOT NULL := 0; c CONSTANT int := 3; s text COLLATE "C"; '
    "BEGIN total := sum(x) FROM items WHERE id = a; total = total + 1; RETURN total; "
    "EXCEPTION WHEN unique_violation OR others THEN GET STACKED DIAGNOSTICS s = MESSAGE_TEXT; RAISE; END",
    "<<lo>> DECLARE x int; BEGIN <<li>> DECLARE x int; BEGIN lo.x := 1; li.x := lo.x; END; "
    "FOR i IN REVERSE 10..1 BY 2 LOOP CONTINUE WHEN i = 3; EXIT; END LOOP; "
    "WHILE x > 3 LOOP x := x - 1; END LOOP; RETURN f.a; END lo",
    "#variable_conflict use_column\nDECLARE m mood; n int; BEGIN SELECT x, y INTO m, n FROM t; "
    "CASE m WHEN 'a', 'b' THEN n := 1; ELSE n := 2; END CASE; CASE WHEN n > 1 THEN NULL; END CASE; RETURN n; END",
    "DECLARE c CURSOR (k int) FOR SELECT * FROM t WHERE id = k; d refcursor; r record; "
    "BEGIN OPEN c(3); FETCH c INTO r; MOVE NEXT FROM c; UPDATE t SET x = 1 WHERE CURRENT OF c; CLOSE c; "
    "OPEN d FOR SELECT 1; CLOSE d; FOR r IN c(k := 3) LOOP NULL; END LOOP; "
    "FOR r IN SELECT * FROM t LOOP UPDATE t SET a = r.x; END LOOP; RETURN 1; END",
    "DECLARE x int[] := '{}'; i int; BEGIN FOREACH i IN ARRAY x LOOP x[i] := i; x[array_length(x, 1) + 1] := 3; "
    "END LOOP; x := x || 1; x := array(SELECT id FROM t); ASSERT i > 1, 'x'; GET DIAGNOSTICS i = ROW_COUNT; "
    "RETURN CASE WHEN a = 1 THEN 2 ELSE 3 END; END",
    "DECLARE one ALIAS FOR $1; timestamp timestamptz; BEGIN $1 := 3; one := 4; timestamp := now(); RETURN a; END",
    "BEGIN INSERT INTO w SELECT id FROM t; CALL p(a); TRUNCATE t; REFRESH MATERIALIZED VIEW v; "
    "PERFORM 1 FROM t FOR UPDATE; RETURN count(*) FROM w; END",
    "DECLARE r record; BEGIN WITH d AS (DELETE FROM t RETURNING *) SELECT count(*) INTO a FROM d; "
    "SELECT INTO r * FROM t; r.x := jsonb_build_object('a', r.x); RETURN (r.x->>'a')::int; END",
    "BEGIN EXECUTE 'SELECT $1' INTO a USING b; EXECUTE 'CREATE TABLE z (a int)'; RETURN nextval('numbers'); END",
]
QUERIES = [
    "SELECT id FROM contacts WHERE id = $1 AND name = b; ",
    "INSERT INTO contacts (name) VALUES (b); UPDATE contacts SET n = a WHERE name = f.b RETURNING id",
    "WITH RECURSIVE up AS (SELECT id, parent FROM nodes WHERE id = a UNION ALL "
    "SELECT n.id, n.parent FROM nodes n JOIN up ON up.parent = n.id) SELECT id FROM up",
    "CREATE TABLE z (a int); SELECT 1",
    "-- nothing\n",
    "",
]
HEADS = [
    "FUNCTION f(p contacts, VARIADIC v int[], OUT o mood, OUT q ${schema}.mood) LANGUAGE plpgsql AS "
    "$b$ BEGIN p.name := 'x'; o := p.m; SELECT a, b INTO o, q FROM t; END $b$",
    "FUNCTION f(VARIADIC v text[]) RETURNS mood[] LANGUAGE plpgsql AS 'BEGIN RETURN v; END'",
    "FUNCTION f(a contacts.b%TYPE) RETURNS contacts.b%TYPE LANGUAGE plpgsql AS 'BEGIN RETURN a; END'",
    "FUNCTION f(a ${schema}.mood) RETURNS TABLE (x ${schema}.mood) LANGUAGE plpgsql AS "
    "'BEGIN RETURN QUERY SELECT a; x := a; RETURN NEXT; END'",
    "FUNCTION f(a int) RETURNS TABLE (x ${schema}.mood, y contacts) LANGUAGE plpgsql AS "
    "'BEGIN RETURN QUERY EXECUTE ''SELECT * FROM t''; y.z := a; RETURN NEXT; END'",
    "FUNCTION f(a ${schema}.mood) RETURNS void LANGUAGE plpgsql AS 'BEGIN RETURN; END'",
    "FUNCTION f(c refcursor) RETURNS refcursor LANGUAGE plpgsql AS 'BEGIN OPEN c FOR SELECT 1; RETURN c; END'",
    "FUNCTION f(a int) RETURNS SETOF contacts LANGUAGE plpgsql AS 'BEGIN RETURN NEXT ROW(1, 2); RETURN; END'",
    "FUNCTION f(a anyelement, b anyarray) RETURNS anyelement LANGUAGE plpgsql AS 'BEGIN RETURN b[1]; END'",
    "PROCEDURE f(INOUT a ${schema}.mood, ${schema}.mood) LANGUAGE plpgsql AS 'BEGIN a := $2; RETURN; END'",
    "FUNCTION f() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN RAISE NOTICE ''x %'', tg_tag; END'",
]


@pytest.mark.parametrize(
    "statement",
    [
        *(TRIGGER.replace("{}", body, 1) for body in TRIGGERS),
        *(FUNCTION.replace("{}", body, 1) for body in FUNCTIONS),
        *(SQL.replace("{}", body, 1) for body in QUERIES),
        *(f"CREATE {head}" for head in HEADS),
        "DO $$ DECLARE r record; BEGIN FOR r IN SELECT a FROM t LOOP INSERT INTO u VALUES (r.a); END LOOP; END $$",
    ],
)
def test_ordinary_bodies_pass(statement: str) -> None:
    inspect(statement, "m.sql")


LEAVE = "the schema other"


@pytest.mark.parametrize(
    ("form", "body", "word"),
    [
        (SQL, "ALTER ROLE x SUPERUSER", "alter role"),
        (SQL, "DROP SCHEMA other CASCADE", "schema"),
        (SQL, "CREATE TABLE other.t ()", LEAVE),
        (SQL, "SELECT 1; DELETE FROM other.t", LEAVE),
        (SQL, "SELECT a FROM information_schema.tables", "information_schema"),
        (SQL, "COMMIT", "transaction"),
        (SQL, "ANALYZE t", "vacuum"),
        (SQL, "SELECT 1 FROM", "cannot be read"),
        (BLOCK, "BEGIN DELETE FROM other.t; END", LEAVE),
        (BLOCK, "BEGIN COMMIT; END", "transaction"),
        (BLOCK, "BEGIN IF true THEN ROLLBACK AND CHAIN; END IF; END", "transaction"),
        (BLOCK, "BEGIN SAVEPOINT a; END", "transaction"),
        (BLOCK, "BEGIN CALL other.p(1); END", "other.p"),
        (BLOCK, "BEGIN x := 1; END", "not a known variable"),
        (BLOCK, "BEGIN PERFORM nextval('other.s'); END", LEAVE),
        (FUNCTION, "BEGIN RETURN other.f(a); END", "other.f"),
        (FUNCTION, "BEGIN a := 1 FROM other.t; RETURN a; END", LEAVE),
        (FUNCTION, "BEGIN WHILE (SELECT true FROM other.t) LOOP NULL; END LOOP; END", LEAVE),
        (FUNCTION, "BEGIN EXECUTE 'SELECT $1' USING (SELECT 1 FROM other.t); END", LEAVE),
        (FUNCTION, "DECLARE c CURSOR FOR SELECT 1 FROM other.t; BEGIN OPEN c; END", LEAVE),
        (FUNCTION, "BEGIN NULL; EXCEPTION WHEN others THEN DELETE FROM other.t; END", LEAVE),
        (TRIGGER, "BEGIN DELETE FROM other.t; RETURN NEW; END", LEAVE),
        (TRIGGER, "BEGIN CREATE ROLE x; RETURN NEW; END", "create role"),
        (TRIGGER, "BEGIN NEW.x := (SELECT 1 FROM other.t); RETURN NEW; END", LEAVE),
        (TRIGGER, "BEGIN NEW.x[(SELECT 1 FROM other.t)] := 1; RETURN NEW; END", LEAVE),
        (TRIGGER, "BEGIN IF (SELECT true FROM other.t) THEN RETURN NEW; END IF; END", LEAVE),
        (TRIGGER, "DECLARE x int := (SELECT 1 FROM other.t); BEGIN RETURN NEW; END", LEAVE),
        (TRIGGER, "DECLARE x other.t; BEGIN RETURN NEW; END", LEAVE),
        (TRIGGER, "DECLARE x other.t%ROWTYPE; BEGIN RETURN NEW; END", LEAVE),
        (TRIGGER, "DECLARE x other.t.a%TYPE; BEGIN RETURN NEW; END", LEAVE),
        (TRIGGER, "DECLARE x text COLLATE other.c; BEGIN RETURN NEW; END", LEAVE),
        # Of a type that only the server knows, so that the library has to be given another one.
        (TRIGGER, "DECLARE m mood; n int; BEGIN SELECT x, y INTO m, n FROM other.t; RETURN NEW; END", LEAVE),
        (TRIGGER, "BEGIN IF THEN; END", "cannot be read"),
    ],
)
def test_what_leaves_the_schema_is_found_in_a_body(form: str, body: str, word: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        inspect("SELECT 1;\n" + form.replace("{}", body, 1), "m.sql")
    assert caught.value.code == "package.sql"
    assert word in caught.value.message
    assert caught.value.message.startswith("m.sql:2:1:")


def test_a_body_within_a_body_is_read_too() -> None:
    with pytest.raises(InvalidInput, match=LEAVE):
        inspect("DO $$ BEGIN CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'DELETE FROM other.t'; END $$", "m.sql")
