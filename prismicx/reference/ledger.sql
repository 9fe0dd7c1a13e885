-- name: ledger_exists
SELECT to_regclass('prismicx.schema_files') IS NOT NULL

-- name: applied
SELECT file, checksum, release FROM prismicx.schema_files

-- name: record
INSERT INTO prismicx.schema_files (file, checksum, release) VALUES ($1, $2, $3)
ON CONFLICT (file) DO UPDATE
SET checksum = excluded.checksum, release = excluded.release, applied_at = now() AT TIME ZONE 'UTC'

-- name: database_exists
SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)

-- name: role_exists
SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1)

-- name: try_lock
SELECT pg_try_advisory_lock(hashtextextended($1, 0))

-- name: is_superuser
SELECT rolsuper FROM pg_roles WHERE rolname = current_user

-- name: activity_hidden
SELECT 'track_activities=off' = ANY (rolconfig) IS TRUE FROM pg_roles WHERE rolname = $1
