-- name: roles
-- Who may log in and connect here, but for superusers and the platform's owner.
SELECT r.rolname AS name, r.rolsuper AS superuser, r.rolbypassrls AS bypassrls, r.rolcreaterole OR r.rolcreatedb AS creates,
       pg_has_role(r.rolname, $2, 'MEMBER') AS owner,
       coalesce('track_activities=off' = ANY (r.rolconfig), false) AS hidden
FROM pg_roles r
WHERE r.rolname ~ $1 AND r.rolname <> $2 AND has_database_privilege(r.rolname, current_database(), 'CONNECT')
ORDER BY 1

-- name: relations
SELECT c.oid, n.nspname || '.' || c.relname AS name, c.relkind::text AS kind, c.relrowsecurity AS secured,
       c.relforcerowsecurity AS forced, c.relispartition AS is_part,
       coalesce(c.reloptions::text ~ 'security_invoker=(true|on)', false) AS as_invoker,
       pg_get_userbyid(c.relowner) AS owner,
       ARRAY(SELECT a.attname FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey)
             WHERE i.indrelid = c.oid AND i.indisprimary)::text[] AS key
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname !~ '^(pg_|tenant_)' AND n.nspname <> 'information_schema'
ORDER BY 2

-- name: columns
SELECT a.attrelid AS oid, a.attname AS name, format_type(a.atttypid, a.atttypmod) AS type, a.attnotnull AS required,
       a.atthasdef OR a.attidentity <> '' OR a.attgenerated <> '' AS filled
FROM pg_attribute a WHERE a.attrelid = ANY ($1::oid[]) AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attrelid, a.attnum

-- name: foreign_keys
SELECT c.conrelid AS oid, a.attname AS name, c.confrelid AS parent, p.attname AS parent_column
FROM pg_constraint c
JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = c.conkey[1]
JOIN pg_attribute p ON p.attrelid = c.confrelid AND p.attnum = c.confkey[1]
WHERE c.contype = 'f' AND array_length(c.conkey, 1) = 1

-- name: checks
SELECT conrelid AS oid, pg_get_constraintdef(oid) AS text FROM pg_constraint WHERE contype = 'c' AND conrelid <> 0

-- name: policies
SELECT polrelid AS oid, polname AS name, polpermissive AS permissive, polcmd::text AS command,
       coalesce(pg_get_expr(polqual, polrelid), '') AS condition, coalesce(pg_get_expr(polwithcheck, polrelid), '') AS checked,
       ARRAY(SELECT coalesce(r.rolname, 'public') FROM unnest(polroles) o LEFT JOIN pg_roles r ON r.oid = o)::text[] AS roles
FROM pg_policy

-- name: rights
SELECT privilege FROM unnest($3::text[]) privilege WHERE has_table_privilege($1::text, $2::oid, privilege)

-- name: some_column
-- Column rights count as rights.
SELECT has_any_column_privilege($1::text, $2::oid, 'SELECT') AS reads,
       has_any_column_privilege($1::text, $2::oid, 'INSERT') OR has_any_column_privilege($1::text, $2::oid, 'UPDATE')
           OR has_table_privilege($1::text, $2::oid, 'DELETE') AS writes

-- name: definers
SELECT n.nspname || '.' || p.proname AS name, coalesce(array_to_string(p.proconfig, ' '), '') AS settings, r.rolname AS role
FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
JOIN pg_roles r ON r.rolname = ANY ($1::text[]) AND has_function_privilege(r.rolname, p.oid, 'EXECUTE')
    AND has_schema_privilege(r.rolname, n.oid, 'USAGE')
WHERE p.prosecdef AND n.nspname !~ '^(pg_|tenant_)' AND n.nspname <> 'information_schema'
ORDER BY 1, 3

-- name: creators
SELECT n.nspname AS schema, r.rolname AS role
FROM pg_namespace n JOIN pg_roles r ON r.rolname = ANY ($1::text[]) AND has_schema_privilege(r.rolname, n.oid, 'CREATE')
WHERE n.nspname !~ '^(pg_|tenant_)'

-- name: shared_keys
-- Unique keys of tables that have a tenant column, without it.
SELECT c.conrelid::regclass::text AS name, pg_get_constraintdef(c.oid) AS key
FROM pg_constraint c
WHERE c.contype IN ('u', 'p') AND EXISTS (
    SELECT FROM pg_attribute a WHERE a.attrelid = c.conrelid AND a.attname = 'tenant_id' AND NOT a.attnum = ANY (c.conkey))

-- name: strangers
-- Rights in schemas of tenants that are held by somebody else than the two roles of the tenant.
SELECT n.nspname AS schema, coalesce(g.rolname, 'public') AS role, a.privilege_type AS privilege,
       pg_get_userbyid(n.nspowner) AS owner
FROM pg_namespace n
CROSS JOIN LATERAL aclexplode(coalesce(n.nspacl, acldefault('n', n.nspowner))) a
LEFT JOIN pg_roles g ON g.oid = a.grantee
WHERE n.nspname ~ '^tenant_'
