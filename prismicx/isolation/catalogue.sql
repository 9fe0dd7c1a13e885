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

-- name: triggers
SELECT tgrelid AS oid, tgname AS name FROM pg_trigger WHERE NOT tgisinternal

-- name: server_roles
-- Those that the server brings and that can be granted.
SELECT rolname AS name FROM pg_roles WHERE rolname ~ '^pg_' AND rolname <> 'pg_database_owner' ORDER BY 1

-- name: rights
-- Who has which of some rights on which relation.
SELECT r.rolname AS role, c.oid, privilege
FROM pg_roles r, pg_class c, unnest($3::text[]) privilege
WHERE r.rolname = ANY ($1::text[]) AND c.oid = ANY ($2::oid[]) AND has_table_privilege(r.oid, c.oid, privilege)

-- name: some_column
-- Column rights count as rights.
SELECT r.rolname AS role, c.oid, has_any_column_privilege(r.oid, c.oid, 'SELECT') AS reads,
       has_any_column_privilege(r.oid, c.oid, 'INSERT') OR has_any_column_privilege(r.oid, c.oid, 'UPDATE')
           OR has_table_privilege(r.oid, c.oid, 'DELETE') AS writes
FROM pg_roles r, pg_class c WHERE r.rolname = ANY ($1::text[]) AND c.oid = ANY ($2::oid[])

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
WHERE n.nspname !~ '^(pg_temp|pg_toast|tenant_)'

-- name: tenant_definers
SELECT p.oid::regprocedure::text AS name, pg_get_userbyid(p.proowner) AS owner
FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE p.prosecdef AND n.nspname ~ '^tenant_'

-- name: runners
SELECT p.proname AS name, pg_get_userbyid(p.proowner) AS owner, p.prosecdef AS definer, p.proconfig AS settings,
       (SELECT string_agg(format_type(t, NULL), ', ') FROM unnest(p.proargtypes) t) AS arguments,
       format_type(p.prorettype, NULL) AS result, l.lanname AS language, pg_get_function_sqlbody(p.oid) AS body,
       ARRAY(SELECT coalesce(g.rolname, 'public') FROM aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a
             LEFT JOIN pg_roles g ON g.oid = a.grantee)::text[] AS callers
FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang
WHERE p.pronamespace = to_regnamespace('runners') ORDER BY 1

-- name: unique_keys
-- Every unique index and exclusion constraint: its columns, and how it was said.
SELECT i.indrelid AS oid, coalesce(pg_get_constraintdef(c.oid), pg_get_indexdef(i.indexrelid)) AS key,
       ARRAY(SELECT a.attname FROM pg_attribute a
             WHERE a.attrelid = i.indrelid AND a.attnum = ANY ((i.indkey::int2[])[0:i.indnkeyatts - 1]))::text[] AS columns
FROM pg_index i
LEFT JOIN pg_constraint c ON c.conindid = i.indexrelid AND c.conrelid = i.indrelid AND c.contype IN ('u', 'p', 'x')
WHERE (i.indisunique OR i.indisexclusion) AND i.indrelid >= 16384

-- name: foreign_key_columns
SELECT c.conrelid AS oid, c.confrelid AS parent, pg_get_constraintdef(c.oid) AS key,
       ARRAY(SELECT a.attname FROM pg_attribute a WHERE a.attrelid = c.conrelid AND a.attnum = ANY (c.conkey))::text[] AS columns
FROM pg_constraint c WHERE c.contype = 'f'

-- name: is_superuser
SELECT rolsuper FROM pg_roles WHERE rolname = current_user

-- name: everybody
-- Every role but those that the server brings. Administrators are who asks, and who made the server.
SELECT r.rolname AS name, r.rolsuper AS superuser, r.rolbypassrls AS bypassrls, r.rolcanlogin AS login,
       r.rolcreaterole OR r.rolcreatedb OR r.rolreplication AS creates,
       r.oid = 10 OR r.rolname = session_user AS administrator,
       ARRAY(SELECT p.rolname FROM pg_roles p
             WHERE (p.rolsuper OR p.rolbypassrls) AND p.oid <> r.oid AND pg_has_role(r.oid, p.oid, 'MEMBER'))::text[] AS powers
FROM pg_roles r WHERE r.rolname !~ '^pg_' ORDER BY 1

-- name: memberships
SELECT g.rolname AS role, m.rolname AS member, m.oid = 10 OR m.rolname = session_user AS administrator
FROM pg_auth_members a JOIN pg_roles g ON g.oid = a.roleid JOIN pg_roles m ON m.oid = a.member
WHERE m.rolname !~ '^pg_' ORDER BY 1, 2

-- name: added_rights
-- Rights that things did not come with, outside the schemas of tenants; those of owners aside.
WITH things AS (
    SELECT 'pg_class'::regclass AS kind, c.oid, 0 AS part, c.relnamespace AS schema, c.relname AS name, c.relowner AS owner,
           c.relacl AS held, NULL::aclitem[] AS usual
    FROM pg_class c WHERE c.relacl IS NOT NULL
    UNION ALL
    SELECT 'pg_class'::regclass, c.oid, a.attnum, c.relnamespace, c.relname || '.' || a.attname, c.relowner, a.attacl, NULL
    FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid WHERE a.attacl IS NOT NULL
    UNION ALL
    -- Functions outside the server's own schemas are looked at by what they do.
    SELECT 'pg_proc'::regclass, p.oid, 0, p.pronamespace, p.proname, p.proowner, p.proacl, acldefault('f', p.proowner)
    FROM pg_proc p WHERE p.proacl IS NOT NULL AND p.pronamespace = 'pg_catalog'::regnamespace
)
SELECT n.nspname || '.' || t.name AS name, coalesce(g.rolname, 'public') AS role, a.privilege_type AS privilege
FROM things t
JOIN pg_namespace n ON n.oid = t.schema AND n.nspname !~ '^(tenant_|pg_temp|pg_toast)'
LEFT JOIN pg_init_privs i ON i.classoid = t.kind AND i.objoid = t.oid AND i.objsubid = t.part
CROSS JOIN LATERAL aclexplode(t.held) a
LEFT JOIN pg_roles g ON g.oid = a.grantee
WHERE a.grantee NOT IN (t.owner, 10) AND coalesce(g.rolname, '') !~ '^pg_' AND NOT EXISTS (
    SELECT FROM aclexplode(coalesce(i.initprivs, t.usual)) b
    WHERE b.grantee IN (0, a.grantee) AND b.privilege_type = a.privilege_type)
  -- What the standard wants everybody to read came with the server, which did not write that down.
  AND NOT (n.nspname = 'information_schema' AND a.grantee = 0 AND a.privilege_type = 'SELECT')
UNION ALL
SELECT 'parameter ' || p.parname, coalesce(g.rolname, 'public'), a.privilege_type
FROM pg_parameter_acl p CROSS JOIN LATERAL aclexplode(p.paracl) a LEFT JOIN pg_roles g ON g.oid = a.grantee
WHERE a.grantee <> 10
ORDER BY 1, 2, 3

-- name: key_rights
-- Who may read or change the key of proofs, whatever the right comes from; its owner and superusers aside.
SELECT r.rolname AS role, coalesce(
           has_any_column_privilege(r.oid, to_regclass('prismicx.context_key'), 'SELECT, INSERT, UPDATE, REFERENCES')
           OR has_table_privilege(r.oid, to_regclass('prismicx.context_key'), 'DELETE, TRUNCATE, TRIGGER')
           OR has_function_privilege(r.oid, to_regprocedure('prismicx.context_pad(integer)'), 'EXECUTE'), false) AS held
FROM pg_roles r
WHERE r.rolname !~ '^pg_' AND NOT r.rolsuper AND NOT pg_has_role(r.oid, $1::name, 'MEMBER') ORDER BY 1

-- name: tenant_schemas
SELECT nspname AS name, pg_get_userbyid(nspowner) AS owner FROM pg_namespace WHERE nspname ~ '^tenant_'

-- name: system_types
SELECT DISTINCT type FROM public.management_systems

-- name: proofs
-- The functions that policies ask for a proof, and what they give.
SELECT DISTINCT n.nspname || '.' || p.proname AS name, format_type(p.prorettype, NULL) AS result
FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
JOIN pg_policy y ON coalesce(pg_get_expr(y.polqual, y.polrelid), '') ~ (n.nspname || '\.' || p.proname || '\(\)')
WHERE n.nspname = 'prismicx' AND p.pronargs = 0

-- name: strangers
-- Rights in schemas of tenants, and on what is in them, that are held by whom.
SELECT n.nspname AS schema, n.nspname AS name, coalesce(g.rolname, 'public') AS role, a.privilege_type AS privilege,
       pg_get_userbyid(n.nspowner) AS owner
FROM pg_namespace n
CROSS JOIN LATERAL aclexplode(coalesce(n.nspacl, acldefault('n', n.nspowner))) a
LEFT JOIN pg_roles g ON g.oid = a.grantee
WHERE n.nspname ~ '^tenant_'
UNION
SELECT n.nspname, n.nspname || '.' || c.relname, coalesce(g.rolname, 'public'), a.privilege_type, pg_get_userbyid(n.nspowner)
FROM pg_namespace n JOIN pg_class c ON c.relnamespace = n.oid
CROSS JOIN LATERAL aclexplode(c.relacl) a
LEFT JOIN pg_roles g ON g.oid = a.grantee
WHERE n.nspname ~ '^tenant_'
