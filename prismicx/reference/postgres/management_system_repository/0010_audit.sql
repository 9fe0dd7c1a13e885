-- The audit trail: rows are only ever added, each holds the hash of the one before, and the chain is made here, so that
-- no two processes can fork it.
CREATE TABLE prismicx.audit_events (
    sequence      BIGINT       PRIMARY KEY CHECK (sequence > 0),
    recorded_at   TIMESTAMP    NOT NULL,
    door          VARCHAR(20)  NOT NULL,
    actor         VARCHAR(200) NOT NULL,
    operation     VARCHAR(50)  NOT NULL,
    tenant_id     VARCHAR(50),
    subject       VARCHAR(200),
    outcome       VARCHAR(10)  NOT NULL CHECK (outcome IN ('begun', 'done', 'failed', 'denied')),
    code          VARCHAR(100),
    begun         BIGINT,
    details       JSON         NOT NULL,
    previous_hash CHAR(64)     NOT NULL,
    hash          CHAR(64)     NOT NULL
);

CREATE INDEX audit_events_tenant_idx ON prismicx.audit_events (tenant_id, sequence);
CREATE INDEX audit_events_begun_idx ON prismicx.audit_events (begun);

COMMENT ON TABLE prismicx.audit_events IS 'Who did what to which tenant; only ever added to, chained by hash';
COMMENT ON COLUMN prismicx.audit_events.sequence IS 'Place in the chain, from 1 on without gaps';
COMMENT ON COLUMN prismicx.audit_events.recorded_at IS 'When it was written down, by this server''s clock, UTC';
COMMENT ON COLUMN prismicx.audit_events.door IS 'Where the request came in: cli, library, api';
COMMENT ON COLUMN prismicx.audit_events.actor IS 'Who says to have done it';
COMMENT ON COLUMN prismicx.audit_events.operation IS 'What was done, such as tenant.create';
COMMENT ON COLUMN prismicx.audit_events.tenant_id IS 'To which tenant; NULL where it is about the platform';
COMMENT ON COLUMN prismicx.audit_events.subject IS 'Id of what was touched';
COMMENT ON COLUMN prismicx.audit_events.outcome IS 'begun, done, failed or denied';
COMMENT ON COLUMN prismicx.audit_events.code IS 'Error code of what failed or was denied';
COMMENT ON COLUMN prismicx.audit_events.begun IS 'The row that says it began; NULL where none does';
COMMENT ON COLUMN prismicx.audit_events.details IS 'Ids, numbers and states; never contents';
COMMENT ON COLUMN prismicx.audit_events.previous_hash IS 'Hash of the row before; 64 zeros in the first';
COMMENT ON COLUMN prismicx.audit_events.hash IS 'SHA-256 of all other columns';

-- Where the chain ends. Its row is what appenders wait for: an advisory lock could be taken by any login, a tenant's too.
CREATE TABLE prismicx.audit_head (
    one      BOOLEAN  PRIMARY KEY CHECK (one),
    sequence BIGINT   NOT NULL,
    hash     CHAR(64) NOT NULL
);

COMMENT ON TABLE prismicx.audit_head IS 'Where the audit chain ends';
COMMENT ON COLUMN prismicx.audit_head.one IS 'There is one row';
COMMENT ON COLUMN prismicx.audit_head.sequence IS 'The last row of the chain; 0 where there is none';
COMMENT ON COLUMN prismicx.audit_head.hash IS 'Its hash';

INSERT INTO prismicx.audit_head (one, sequence, hash) VALUES (true, 0, repeat('0', 64));

CREATE FUNCTION prismicx.refuse_audit_change() RETURNS TRIGGER
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RAISE EXCEPTION 'the audit trail is only ever added to' USING ERRCODE = '42501';
END
$$;
COMMENT ON FUNCTION prismicx.refuse_audit_change() IS 'Keeps the audit trail as it was written, from its owner too';
REVOKE ALL ON FUNCTION prismicx.refuse_audit_change() FROM PUBLIC;

CREATE TRIGGER audit_events_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON prismicx.audit_events
    FOR EACH STATEMENT EXECUTE FUNCTION prismicx.refuse_audit_change();
CREATE TRIGGER audit_head_stays BEFORE DELETE OR TRUNCATE ON prismicx.audit_head
    FOR EACH STATEMENT EXECUTE FUNCTION prismicx.refuse_audit_change();
-- Also in a session that calls itself a replica.
ALTER TABLE prismicx.audit_events ENABLE ALWAYS TRIGGER audit_events_append_only;
ALTER TABLE prismicx.audit_head ENABLE ALWAYS TRIGGER audit_head_stays;

-- Each value with its length before it and a comma after it, NULL as a dash: no two rows read the same.
CREATE FUNCTION prismicx.audit_hash(parts TEXT[]) RETURNS TEXT
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT encode(sha256(convert_to(string_agg(
        coalesce(octet_length(convert_to(part, 'UTF8')) || ':' || part, '-') || ',', '' ORDER BY place
    ), 'UTF8')), 'hex')
    FROM unnest(parts) WITH ORDINALITY AS listed (part, place)
$$;
COMMENT ON FUNCTION prismicx.audit_hash(TEXT[]) IS 'The hash of a row of the audit trail';
REVOKE ALL ON FUNCTION prismicx.audit_hash(TEXT[]) FROM PUBLIC;

-- Adds events, an array of objects, all or none; gives the place of each.
CREATE FUNCTION prismicx.append_audit(events JSON) RETURNS BIGINT[]
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    event  JSON;
    place  BIGINT;
    before TEXT;
    hashed TEXT;
    moment TIMESTAMP;
    places BIGINT[] := '{}';
BEGIN
    SELECT sequence, hash INTO STRICT place, before FROM prismicx.audit_head FOR UPDATE;
    FOR event IN SELECT value FROM json_array_elements(events) LOOP
        place := place + 1;
        moment := clock_timestamp() AT TIME ZONE 'UTC';
        hashed := prismicx.audit_hash(ARRAY[
            place::text, to_char(moment, 'YYYY-MM-DD"T"HH24:MI:SS.US'), event->>'door', event->>'actor',
            event->>'operation', event->>'tenant_id', event->>'subject', event->>'outcome', event->>'code',
            event->>'begun', (event->'details')::text, before
        ]);
        INSERT INTO prismicx.audit_events (
            sequence, recorded_at, door, actor, operation, tenant_id, subject, outcome, code, begun, details,
            previous_hash, hash
        ) VALUES (
            place, moment, event->>'door', event->>'actor', event->>'operation', event->>'tenant_id',
            event->>'subject', event->>'outcome', event->>'code', (event->>'begun')::bigint, event->'details',
            before, hashed
        );
        before := hashed;
        places := places || place;
    END LOOP;
    UPDATE prismicx.audit_head SET sequence = place, hash = before;
    RETURN places;
END
$$;
COMMENT ON FUNCTION prismicx.append_audit(JSON) IS 'Adds to the audit trail';
REVOKE ALL ON FUNCTION prismicx.append_audit(JSON) FROM PUBLIC;

GRANT USAGE ON SCHEMA prismicx TO prismicx_audit;
GRANT EXECUTE ON FUNCTION prismicx.append_audit(JSON) TO prismicx_audit;
GRANT SELECT ON prismicx.audit_events, prismicx.audit_head TO prismicx_audit;
