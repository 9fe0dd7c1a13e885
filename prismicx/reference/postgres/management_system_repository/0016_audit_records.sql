-- An event is read once, as a row, and not once for each of its values. What is hashed is what is stored, as before.
CREATE OR REPLACE FUNCTION prismicx.append_audit(events JSON) RETURNS BIGINT[]
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    event  RECORD;
    place  BIGINT;
    before TEXT;
    moment TIMESTAMP;
    places BIGINT[] := '{}';
BEGIN
    SELECT sequence, hash INTO STRICT place, before FROM prismicx.audit_head FOR UPDATE;
    FOR event IN
        SELECT * FROM json_to_recordset(events) AS e (door TEXT, actor TEXT, operation TEXT, tenant_id TEXT, subject TEXT,
            outcome TEXT, code TEXT, begun BIGINT, details JSON)
    LOOP
        IF length(event.door) > 20 OR length(event.actor) > 200 OR length(event.operation) > 50
            OR length(event.tenant_id) > 50 OR length(event.subject) > 200
            OR length(event.outcome) > 10 OR length(event.code) > 100 THEN
            RAISE EXCEPTION 'a value is too long for the audit trail' USING ERRCODE = '22001';
        END IF;
        place := place + 1;
        moment := clock_timestamp() AT TIME ZONE 'UTC';
        INSERT INTO prismicx.audit_events (
            sequence, recorded_at, door, actor, operation, tenant_id, subject, outcome, code, begun, details,
            previous_hash, hash
        ) VALUES (
            place, moment, event.door, event.actor, event.operation, event.tenant_id,
            event.subject, event.outcome, event.code, event.begun, event.details, before,
            prismicx.audit_hash(ARRAY[
                place::text, to_char(moment, 'YYYY-MM-DD"T"HH24:MI:SS.US'), event.door, event.actor, event.operation,
                event.tenant_id, event.subject, event.outcome, event.code, event.begun::text, event.details::text, before
            ])
        ) RETURNING hash INTO before;
        places := places || place;
    END LOOP;
    UPDATE prismicx.audit_head SET sequence = place, hash = before;
    RETURN places;
END
$$;
