-- Hashed is what is stored. A column of limited length cuts off blanks at the end without a word, so what is too long is
-- refused, whatever it ends with; and a number is hashed as the number that it is, not as it was written.
CREATE OR REPLACE FUNCTION prismicx.append_audit(events JSON) RETURNS BIGINT[]
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    event  JSON;
    place  BIGINT;
    before TEXT;
    hashed TEXT;
    moment TIMESTAMP;
    earlier BIGINT;
    places BIGINT[] := '{}';
BEGIN
    SELECT sequence, hash INTO STRICT place, before FROM prismicx.audit_head FOR UPDATE;
    FOR event IN SELECT value FROM json_array_elements(events) LOOP
        IF length(event->>'door') > 20 OR length(event->>'actor') > 200 OR length(event->>'operation') > 50
            OR length(event->>'tenant_id') > 50 OR length(event->>'subject') > 200
            OR length(event->>'outcome') > 10 OR length(event->>'code') > 100 THEN
            RAISE EXCEPTION 'a value is too long for the audit trail' USING ERRCODE = '22001';
        END IF;
        place := place + 1;
        moment := clock_timestamp() AT TIME ZONE 'UTC';
        earlier := (event->>'begun')::bigint;
        hashed := prismicx.audit_hash(ARRAY[
            place::text, to_char(moment, 'YYYY-MM-DD"T"HH24:MI:SS.US'), event->>'door', event->>'actor',
            event->>'operation', event->>'tenant_id', event->>'subject', event->>'outcome', event->>'code',
            earlier::text, (event->'details')::text, before
        ]);
        INSERT INTO prismicx.audit_events (
            sequence, recorded_at, door, actor, operation, tenant_id, subject, outcome, code, begun, details,
            previous_hash, hash
        ) VALUES (
            place, moment, event->>'door', event->>'actor', event->>'operation', event->>'tenant_id',
            event->>'subject', event->>'outcome', event->>'code', earlier, event->'details',
            before, hashed
        );
        before := hashed;
        places := places || place;
    END LOOP;
    UPDATE prismicx.audit_head SET sequence = place, hash = before;
    RETURN places;
END
$$;
