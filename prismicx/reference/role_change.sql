-- name: is_superuser
SELECT rolsuper FROM pg_roles WHERE rolname = current_user

-- name: anybody_may
SELECT has_function_privilege('public', 'pg_catalog.set_config(text, text, boolean)', 'EXECUTE')

-- name: may_not
SELECT name FROM unnest($1::text[]) name
WHERE NOT EXISTS (
    SELECT FROM pg_proc p, aclexplode(p.proacl) a
    WHERE p.oid = 'pg_catalog.set_config(text, text, boolean)'::regprocedure AND a.grantee = to_regrole(quote_ident(name))
)

-- name: grant
GRANT EXECUTE ON FUNCTION pg_catalog.set_config(TEXT, TEXT, BOOLEAN) TO {role}

-- name: revoke
REVOKE EXECUTE ON FUNCTION pg_catalog.set_config(TEXT, TEXT, BOOLEAN) FROM PUBLIC
