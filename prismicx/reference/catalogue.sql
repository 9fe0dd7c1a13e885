-- What a PostgreSQL database really holds, from pg_catalog. Extensions' and the system's own objects are left out,
-- and so are the schemas and roles of tenants, which are checked by another query.

-- name: schemas
SELECT n.nspname AS name, obj_description(n.oid, 'pg_namespace') AS comment
FROM pg_namespace n
WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND n.nspname !~ '^tenant_'
ORDER BY 1

-- name: relations
SELECT n.nspname || '.' || c.relname AS name, c.relkind::text AS kind,
       c.relrowsecurity AS row_security, c.relforcerowsecurity AS force_row_security,
       coalesce('security_invoker=true' = ANY (c.reloptions) OR 'security_invoker=on' = ANY (c.reloptions), false)
           AS security_invoker,
       CASE WHEN c.relkind IN ('v', 'm') THEN pg_get_viewdef(c.oid) END AS definition,
       obj_description(c.oid, 'pg_class') AS comment
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f')
  AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND n.nspname !~ '^tenant_'
ORDER BY 1

-- name: columns
SELECT n.nspname || '.' || c.relname AS relation, a.attname AS name,
       format_type(a.atttypid, a.atttypmod) AS type, a.attnotnull AS required,
       pg_get_expr(d.adbin, d.adrelid) AS value, col_description(c.oid, a.attnum) AS comment
FROM pg_attribute a
JOIN pg_class c ON c.oid = a.attrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
  AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND n.nspname !~ '^tenant_'
ORDER BY 1, a.attnum

-- name: constraints
SELECT n.nspname || '.' || c.relname AS relation, k.contype::text AS kind,
       pg_get_constraintdef(k.oid) AS definition, k.convalidated AS valid,
       coalesce((SELECT bool_and(t.tgenabled <> 'D') FROM pg_trigger t WHERE t.tgconstraint = k.oid), true) AS enabled
FROM pg_constraint k
JOIN pg_class c ON c.oid = k.conrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE k.contype IN ('p', 'u', 'f', 'c', 'x')
  AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND n.nspname !~ '^tenant_'
ORDER BY 1, 3

-- name: indexes
SELECT n.nspname || '.' || c.relname AS relation, i.relname AS name, x.indisunique AS is_unique,
       x.indisvalid AND x.indisready AS valid, m.amname AS method,
       regexp_replace(pg_get_indexdef(x.indexrelid), '^.* USING \w+ ', '') AS definition
FROM pg_index x
JOIN pg_class c ON c.oid = x.indrelid
JOIN pg_class i ON i.oid = x.indexrelid
JOIN pg_am m ON m.oid = i.relam
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND n.nspname !~ '^tenant_'
ORDER BY 1, 2

-- name: policies
SELECT n.nspname || '.' || c.relname AS relation, p.polname AS name, p.polpermissive AS permissive,
       CASE p.polcmd WHEN '*' THEN 'ALL' WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE'
           ELSE 'DELETE' END AS command,
       ARRAY(SELECT coalesce(r.rolname, 'public')
             FROM unnest(p.polroles) o LEFT JOIN pg_roles r ON r.oid = o ORDER BY 1) AS roles,
       pg_get_expr(p.polqual, p.polrelid) AS condition, pg_get_expr(p.polwithcheck, p.polrelid) AS with_check
FROM pg_policy p
JOIN pg_class c ON c.oid = p.polrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname !~ '^tenant_'
ORDER BY 1, 2

-- name: functions
-- Those that run the scripts of tenants are left out where they are as they should be, each its owner's.
SELECT n.nspname || '.' || p.proname || '(' || pg_get_function_identity_arguments(p.oid) || ')' AS name,
       oidvectortypes(p.proargtypes) AS arguments, n.nspname || '.' || p.proname AS short_name,
       p.prosecdef AS definer, array_to_string(p.proconfig, '; ') AS settings, p.prosrc AS source
FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND n.nspname !~ '^tenant_'
  AND NOT (n.nspname = 'runners' AND p.prosecdef AND p.proname = pg_get_userbyid(p.proowner))
ORDER BY 1

-- name: triggers
SELECT n.nspname || '.' || c.relname AS relation, t.tgname AS name,
       format('%s %s for each %s: %s, %s',
              CASE WHEN t.tgtype & 2 > 0 THEN 'before' WHEN t.tgtype & 64 > 0 THEN 'instead of' ELSE 'after' END,
              concat_ws(', ', CASE WHEN t.tgtype & 8 > 0 THEN 'delete' END, CASE WHEN t.tgtype & 4 > 0 THEN 'insert' END,
                        CASE WHEN t.tgtype & 32 > 0 THEN 'truncate' END,
                        CASE WHEN t.tgtype & 16 > 0 THEN 'update' END),
              CASE WHEN t.tgtype & 1 > 0 THEN 'row' ELSE 'statement' END, f.nspname || '.' || p.proname,
              CASE t.tgenabled WHEN 'A' THEN 'always' WHEN 'O' THEN 'enabled' WHEN 'R' THEN 'on replicas'
                  ELSE 'disabled' END) AS definition
FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_proc p ON p.oid = t.tgfoid JOIN pg_namespace f ON f.oid = p.pronamespace
WHERE NOT t.tgisinternal AND n.nspname !~ '^pg_' AND n.nspname !~ '^tenant_'
ORDER BY 1, 2

-- name: rights
-- Every right that somebody other than the owner holds on something of this database.
SELECT coalesce(r.rolname, 'public') AS role, g.object, string_agg(DISTINCT g.privilege, ', ' ORDER BY g.privilege)
           AS privileges
FROM (
    SELECT 'database ' || d.datname AS object, a.grantee, a.privilege_type AS privilege, d.datdba AS owner
    FROM pg_database d, aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) a
    WHERE d.datname = current_database()
    UNION ALL
    SELECT 'schema ' || n.nspname, a.grantee, a.privilege_type, n.nspowner
    FROM pg_namespace n, aclexplode(coalesce(n.nspacl, acldefault('n', n.nspowner))) a
    WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND n.nspname !~ '^tenant_'
    UNION ALL
    SELECT 'table ' || n.nspname || '.' || c.relname, a.grantee, a.privilege_type, c.relowner
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace,
         aclexplode(coalesce(c.relacl, acldefault('r', c.relowner))) a
    WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f')
      AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND n.nspname !~ '^tenant_'
      AND c.relname !~ '^tenant_.*_extensions$' AND c.relname !~ '^tenant_.*__[0-9a-f]{16}$'
    UNION ALL
    SELECT 'function ' || n.nspname || '.' || p.proname || '(' || oidvectortypes(p.proargtypes) || ')',
           a.grantee, a.privilege_type, p.proowner
    FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace,
         aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a
    WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND n.nspname !~ '^tenant_'
      AND NOT (n.nspname = 'runners' AND p.prosecdef AND p.proname = pg_get_userbyid(p.proowner)
               AND pg_get_userbyid(a.grantee) ~ '^([a-z][a-z0-9]*__)?prismicx_fleet$')
) g
LEFT JOIN pg_roles r ON r.oid = g.grantee
WHERE g.grantee <> g.owner
GROUP BY 1, 2
UNION ALL
SELECT coalesce(r.rolname, 'public'), 'columns ' || n.nspname || '.' || c.relname,
       a.privilege_type || ' (' || string_agg(t.attname, ', ' ORDER BY t.attnum) || ')'
FROM pg_attribute t JOIN pg_class c ON c.oid = t.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace,
     aclexplode(t.attacl) a LEFT JOIN pg_roles r ON r.oid = a.grantee
WHERE t.attnum > 0 AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND n.nspname !~ '^tenant_'
GROUP BY 1, 2, a.privilege_type
ORDER BY 1, 2

-- name: owners
SELECT DISTINCT 'schema ' || n.nspname AS object, pg_get_userbyid(n.nspowner) AS owner
FROM pg_namespace n WHERE n.nspname = ANY ($1::text[]) AND n.nspname <> 'public'
UNION ALL
SELECT 'table ' || n.nspname || '.' || c.relname, pg_get_userbyid(c.relowner)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = ANY ($1::text[]) AND c.relkind IN ('r', 'p', 'v', 'm')
ORDER BY 1

-- name: roles
SELECT rolname AS name, rolcanlogin AS login, rolsuper AS superuser, rolbypassrls AS bypassrls,
       rolcreaterole AS createrole, rolcreatedb AS createdb, rolinherit AS inherit, rolreplication AS replication,
       ARRAY(SELECT g.rolname FROM pg_auth_members m JOIN pg_roles g ON g.oid = m.roleid
             WHERE m.member = r.oid AND g.rolname !~ $2 ORDER BY 1) AS member_of
FROM pg_roles r
WHERE rolname ~ $1
ORDER BY 1

-- name: tenant_roles
SELECT r.rolname AS name, r.rolcanlogin OR r.rolsuper OR r.rolbypassrls OR r.rolcreaterole OR r.rolcreatedb AS too_much,
       ARRAY(SELECT g.rolname FROM pg_auth_members m JOIN pg_roles g ON g.oid = m.member
             WHERE m.roleid = r.oid ORDER BY 1) AS members
FROM pg_roles r
WHERE r.rolname = ANY ($1::text[])

-- name: tenant_views
SELECT c.relname AS name, pg_get_viewdef(c.oid) AS definition,
       coalesce('security_invoker=true' = ANY (c.reloptions), false) AS security_invoker,
       has_table_privilege($1, c.oid, 'SELECT') AS readable
FROM pg_class c
WHERE c.relnamespace = to_regnamespace('user_extensions') AND c.relkind = 'v' AND c.relname ~ '^tenant_'
