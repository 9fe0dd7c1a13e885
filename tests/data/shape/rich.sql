-- A schema with every kind of object that a migration can make, and names that need quoting.
CREATE TYPE mood AS ENUM ('sad', 'it''s ok', 'happy');
CREATE DOMAIN email AS text COLLATE "C" DEFAULT 'x@example.test' NOT NULL CONSTRAINT has_at CHECK (VALUE LIKE '%@%');
CREATE DOMAIN short AS text CONSTRAINT small CHECK (length(VALUE) < 9);
CREATE TYPE address AS (street text, town varchar(40));
CREATE TYPE span AS RANGE (SUBTYPE = float8, SUBTYPE_DIFF = float8mi);
CREATE SEQUENCE numbers AS integer START 10 INCREMENT 5 MAXVALUE 9000 CACHE 3 CYCLE;
CREATE FUNCTION doubled(value integer, more integer DEFAULT 1) RETURNS integer LANGUAGE sql IMMUTABLE
    AS $$ SELECT value * 2 + more -- it's said
    $$;
CREATE FUNCTION happiest() RETURNS mood LANGUAGE sql STABLE RETURN 'happy'::mood;
CREATE FUNCTION touched() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.score := 1; RETURN NEW; END $$;
CREATE PROCEDURE tidy() LANGUAGE plpgsql AS $$ BEGIN DELETE FROM people WHERE false; END $$;

CREATE TABLE people (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    gone integer,
    name text NOT NULL CHECK (name <> 'tenant_drift_crm.people'),
    mail email,
    feels mood DEFAULT 'happy',
    feelings mood[],
    home address,
    code varchar(8) COLLATE "C",
    score integer DEFAULT doubled(2),
    number integer DEFAULT nextval('numbers'),
    twice integer GENERATED ALWAYS AS (score * 2) STORED,
    extra jsonb,
    born date
);
ALTER TABLE people DROP COLUMN gone;
ALTER SEQUENCE numbers OWNED BY people.number;
ALTER TABLE people ALTER COLUMN extra SET STORAGE EXTERNAL, ALTER COLUMN name SET STATISTICS 200;
CREATE INDEX people_name ON people (lower(name) DESC NULLS LAST) INCLUDE (code) WHERE score > 0;
CREATE UNIQUE INDEX people_code ON people (code, feels) NULLS NOT DISTINCT;
CREATE INDEX people_extra ON people USING gin (extra jsonb_path_ops);
CREATE STATISTICS people_stats (dependencies) ON name, code FROM people;
CREATE TRIGGER people_touched BEFORE UPDATE OF name ON people FOR EACH ROW WHEN (NEW.feels = 'sad'::mood)
    EXECUTE FUNCTION touched();

CREATE TABLE "Order Items" (
    "Größe" serial PRIMARY KEY,
    "a.b" text DEFAULT 'tenant_drift_crm.x',
    person bigint NOT NULL CONSTRAINT of_person REFERENCES people (id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED,
    price numeric(10, 2),
    during span,
    UNIQUE (person, "a.b"),
    CONSTRAINT no_overlap EXCLUDE USING gist (during WITH &&)
) WITH (fillfactor = 80);
ALTER TABLE "Order Items" ADD CONSTRAINT priced CHECK (price > 0) NOT VALID;
ALTER TABLE "Order Items" ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY "see all" ON "Order Items" AS RESTRICTIVE FOR SELECT USING (price > 1);
CREATE INDEX "Items Idx" ON "Order Items" (price, person);
ALTER TABLE "Order Items" REPLICA IDENTITY FULL;

CREATE TABLE log (id integer, at date NOT NULL, line text, CONSTRAINT lined CHECK (line <> '')) PARTITION BY RANGE (at);
CREATE TABLE log_old PARTITION OF log FOR VALUES FROM (MINVALUE) TO ('2026-01-01');
CREATE TABLE log_new PARTITION OF log FOR VALUES FROM ('2026-01-01') TO (MAXVALUE);
CREATE INDEX log_at ON log (at);
CREATE TABLE base (id integer, note text);
CREATE TABLE derived (more text) INHERITS (base);
CREATE UNLOGGED TABLE cache (key text PRIMARY KEY, value text);

CREATE VIEW a_view AS SELECT v.id, v.name FROM (SELECT id, name FROM people) v;
CREATE VIEW a_first_view WITH (security_barrier = true) AS SELECT id FROM a_view WHERE name <> 'tenant_drift_crm.x';
CREATE MATERIALIZED VIEW totals AS SELECT person, sum(price) AS total FROM "Order Items" GROUP BY person;
CREATE UNIQUE INDEX totals_person ON totals (person);
CREATE RULE no_delete AS ON DELETE TO base DO INSTEAD NOTHING;
COMMENT ON TABLE people IS 'Who''s who';
COMMENT ON COLUMN people.name IS 'As on the passport';
COMMENT ON FUNCTION doubled(integer, integer) IS 'Twice and more';
COMMENT ON CONSTRAINT priced ON "Order Items" IS 'Not for free';
GRANT SELECT (value) ON cache TO PUBLIC;
