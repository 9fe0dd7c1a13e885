-- What a statement that cannot run in a transaction has left behind where it was cut off.

-- name: index_is_valid
SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass($1)

-- name: is_there
SELECT to_regclass($1) IS NOT NULL

-- name: half_built
-- Of the table or of the table of the index $1, and of its partitions: what REINDEX builds and what it replaces. Those
-- behind TOAST tables PostgreSQL leaves alone itself.
SELECT coalesce(array_agg(format('%I.%I', n.nspname, c.relname) ORDER BY c.relname), '{}')
FROM (
    SELECT coalesce(x.indrelid, c.oid) AS oid
    FROM pg_class c LEFT JOIN pg_index x ON x.indexrelid = c.oid WHERE c.oid = to_regclass($1)
) AS given
CROSS JOIN LATERAL (SELECT given.oid UNION SELECT relid FROM pg_partition_tree(given.oid)) AS t
JOIN pg_index x ON x.indrelid = t.oid AND NOT x.indisvalid
JOIN pg_class c ON c.oid = x.indexrelid AND c.relname ~ '_cc(new|old)[0-9]*$'
JOIN pg_namespace n ON n.oid = c.relnamespace

-- name: detaching
-- Whether the partition $2 of $1 is on its way out; NULL where it is no partition of it any more.
SELECT inhdetachpending FROM pg_inherits WHERE inhparent = to_regclass($1) AND inhrelid = to_regclass($2)
