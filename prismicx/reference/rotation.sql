-- name: role_exists
SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1)

-- name: is_superuser
SELECT rolsuper FROM pg_roles WHERE rolname = current_user

-- name: open_logins
SELECT rolname AS name FROM pg_roles WHERE rolname = ANY ($1::text[]) AND rolcanlogin ORDER BY 1

-- name: sessions
SELECT count(*) FROM pg_stat_activity WHERE usename = ANY ($1::text[])

-- name: end_sessions
SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = ANY ($1::text[])
