-- name: try_lock
SELECT pg_try_advisory_lock(hashtextextended($1, 0))

-- name: unlock
SELECT pg_advisory_unlock(hashtextextended($1, 0))

-- name: roles
SELECT prismicx.create_tenant_roles($1, $2)

-- name: tables
SELECT c.oid, c.relname::text AS name, pg_relation_filenode(c.oid)::bigint AS filenode
FROM pg_class c
WHERE c.relnamespace = quote_ident($1)::regnamespace AND c.relkind IN ('r', 'p', 'm')

-- name: locks
SELECT given.name, coalesce(strongest.mode, 'none') AS mode,
       given.filenode IS NOT NULL AND now_there.oid IS NOT NULL
           AND pg_relation_filenode(now_there.oid)::bigint IS DISTINCT FROM given.filenode AS rewrites
FROM unnest($1::oid[], $2::text[], $3::bigint[]) AS given (oid, name, filenode)
LEFT JOIN pg_class now_there ON now_there.oid = given.oid
JOIN LATERAL (
    SELECT l.mode FROM pg_locks l
    WHERE l.pid = pg_backend_pid() AND l.relation = given.oid AND l.granted
      AND l.mode IN ('ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')
    ORDER BY l.mode = 'AccessExclusiveLock' DESC, l.mode = 'ExclusiveLock' DESC, l.mode DESC
    LIMIT 1
) AS strongest ON true
ORDER BY given.name

-- name: table_of
-- The table that $2 of the schema $1 is, or is an index of.
SELECT coalesce(t.relname, c.relname, $2)::text
FROM (VALUES (1)) AS always
LEFT JOIN pg_class c ON c.relname = $2 AND c.relnamespace = quote_ident($1)::regnamespace
LEFT JOIN pg_index x ON x.indexrelid = c.oid
LEFT JOIN pg_class t ON t.oid = x.indrelid
