-- name: add_system
INSERT INTO public.management_systems
    (system_id, name, description, type, vendor, status, created_at, updated_at, metadata)
VALUES ($1, $2, $3, $4, $5, 'active', $6, $6, NULL)
ON CONFLICT (system_id) DO UPDATE
SET name = excluded.name, description = excluded.description, vendor = excluded.vendor,
    updated_at = excluded.updated_at
RETURNING type

-- name: lock_system
SELECT type FROM public.management_systems WHERE system_id = $1 FOR UPDATE

-- name: versions
SELECT version_id, version, schema_version, is_latest, release_date, release_notes, dependencies, compatibility
FROM public.system_versions WHERE system_id = $1

-- name: migrations
SELECT migration_id, version_from, version_to, schema_version_from, schema_version_to, migration_sql, rollback_sql,
       description
FROM public.schema_migrations WHERE system_id = $1 ORDER BY schema_version_to

-- name: add_version
INSERT INTO public.system_versions
    (version_id, system_id, version, release_notes, schema_version, is_latest, release_date, created_at,
     dependencies, compatibility)
VALUES ($1, $2, $3, $4, $5, false, $6, $7, $8::jsonb, $9::jsonb)

-- name: add_migration
INSERT INTO public.schema_migrations
    (migration_id, system_id, version_from, version_to, schema_version_from, schema_version_to, migration_sql,
     rollback_sql, description, created_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)

-- name: unmark_latest
UPDATE public.system_versions SET is_latest = false WHERE system_id = $1 AND is_latest AND version_id <> $2

-- name: mark_latest
UPDATE public.system_versions SET is_latest = true WHERE version_id = $1 AND NOT is_latest

-- name: systems
SELECT s.system_id, s.name, s.type, s.vendor, s.status, s.description,
       (SELECT v.version FROM public.system_versions v WHERE v.system_id = s.system_id AND v.is_latest) AS latest,
       (SELECT count(*) FROM public.system_versions v WHERE v.system_id = s.system_id) AS versions
FROM public.management_systems s
ORDER BY s.system_id

-- name: system
SELECT system_id, name, type, vendor, status, description FROM public.management_systems WHERE system_id = $1

-- name: installations
SELECT t.system_id, s.type, v.version, t.status, t.installed_at, t.updated_at, t.error_message
FROM public.tenant_systems t
JOIN public.management_systems s ON s.system_id = t.system_id
JOIN public.system_versions v ON v.version_id = t.version_id
ORDER BY t.system_id

-- name: installation
SELECT t.status, v.version
FROM public.tenant_systems t JOIN public.system_versions v ON v.version_id = t.version_id
WHERE t.system_id = $1
FOR UPDATE OF t

-- name: same_type
SELECT t.system_id
FROM public.tenant_systems t JOIN public.management_systems s ON s.system_id = t.system_id
WHERE s.type = $1 AND t.system_id <> $2 AND t.status = 'installed'

-- name: set_installation
INSERT INTO public.tenant_systems
    (tenant_id, system_id, version_id, status, installed_at, updated_at, error_message)
VALUES (current_setting('app.current_tenant_id'), $1, $2, $3, $4, $4, $5)
ON CONFLICT (tenant_id, system_id) DO UPDATE
SET version_id = excluded.version_id, status = excluded.status, updated_at = excluded.updated_at,
    error_message = excluded.error_message

-- name: note_failure
UPDATE public.tenant_systems SET error_message = $2, updated_at = $3 WHERE system_id = $1

-- name: try_lock
SELECT pg_try_advisory_xact_lock(hashtextextended($1, 0))

-- name: transaction_id
SELECT pg_current_xact_id()::text || ' ' || current_user
