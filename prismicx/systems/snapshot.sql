-- What is in the schema of a trial besides its shape.

-- name: sizes
SELECT quote_ident(c.relname) AS name, pg_relation_size(c.oid) AS size
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = $1 AND c.relkind IN ('r', 'm')

-- name: sequences
SELECT format('%I.%I', n.nspname, c.relname) AS name
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = $1 AND c.relkind = 'S'

-- name: state
SELECT last_value, is_called FROM {sequence}
