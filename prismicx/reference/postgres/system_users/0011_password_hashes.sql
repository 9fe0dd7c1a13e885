-- A hash is read by the login that compares it, which runs the library's own statements only. The login that runs what
-- callers of a scope write may set one, but reads all the other columns.
REVOKE SELECT ON user_data.users FROM prismicx_users;
GRANT SELECT (id, tenant_id, username, email, first_name, last_name, role, status, created_at, updated_at, last_login_at,
              metadata)
    ON user_data.users TO prismicx_users;

GRANT USAGE ON SCHEMA user_data, prismicx TO prismicx_passwords;
GRANT EXECUTE ON FUNCTION prismicx.proven_tenant() TO prismicx_passwords;
GRANT SELECT, UPDATE (password_hash, last_login_at) ON user_data.users TO prismicx_passwords;
