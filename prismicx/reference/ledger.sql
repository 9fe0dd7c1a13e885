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

-- name: context_exists
SELECT to_regclass('prismicx.context_key') IS NOT NULL

-- name: context_pads
SELECT pads FROM prismicx.context_key

-- name: set_context
INSERT INTO prismicx.context_key (pads, set_at) VALUES ($1, now() AT TIME ZONE 'UTC')
ON CONFLICT (only_row) DO UPDATE SET pads = excluded.pads, set_at = excluded.set_at

-- name: touch_context
-- Sessions keep the key in the plans of this function; now they make them anew. An older release does not have it.
DO $$
BEGIN
    IF to_regprocedure('prismicx.proven_tenant()') IS NOT NULL THEN
        ALTER FUNCTION prismicx.proven_tenant() STABLE;
    END IF;
END
$$

-- name: activity_hidden
SELECT 'track_activities=off' = ANY (rolconfig) IS TRUE FROM pg_roles WHERE rolname = $1
