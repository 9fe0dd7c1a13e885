-- name: append
SELECT prismicx.append_audit($1::json)

-- name: appendable
-- By the catalogue: before the trail is there, its login may not look into the schema.
SELECT EXISTS (
    SELECT FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
    WHERE n.nspname = 'prismicx' AND p.proname = 'append_audit'
)

-- name: head
SELECT sequence, hash FROM prismicx.audit_head

-- name: list
SELECT sequence, recorded_at, door, actor, operation, tenant_id, subject, outcome, code, begun, details, hash
FROM prismicx.audit_events e
WHERE sequence < $1
  AND ($2::text IS NULL OR tenant_id = $2)
  AND ($3::text IS NULL OR operation = $3)
  AND ($4::text IS NULL OR actor = $4)
  AND ($5::text IS NULL OR outcome = $5)
  AND ($6::timestamp IS NULL OR recorded_at >= $6)
  AND (NOT $7 OR (outcome = 'begun' AND NOT EXISTS (SELECT FROM prismicx.audit_events o WHERE o.begun = e.sequence)))
ORDER BY sequence DESC
LIMIT $8

-- name: walk
SELECT sequence, recorded_at, door, actor, operation, tenant_id, subject, outcome, code, begun, details, previous_hash,
       hash
FROM prismicx.audit_events
WHERE sequence >= $1
ORDER BY sequence
