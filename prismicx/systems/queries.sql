-- name: add_system
INSERT INTO public.management_systems
    (system_id, name, description, type, vendor, status, created_at, updated_at, metadata)
VALUES ($1, $2, $3, $4, $5, 'active', $6, $6, NULL)
ON CONFLICT (system_id) DO UPDATE
SET name = excluded.name, description = excluded.description, vendor = excluded.vendor,
    updated_at = excluded.updated_at
RETURNING type

-- name: lock_catalogue
LOCK TABLE public.system_versions IN SHARE ROW EXCLUSIVE MODE

-- name: versions
SELECT v.version_id, v.version, v.schema_version, v.is_latest, v.release_date, v.release_notes, v.dependencies,
       v.compatibility, d.configuration, d.features
FROM public.system_versions v LEFT JOIN prismicx.version_declarations d ON d.version_id = v.version_id
WHERE v.system_id = $1

-- name: same_declaration
SELECT nullif(v.dependencies, '{}'::jsonb) IS NOT DISTINCT FROM $2::jsonb
       AND nullif(v.compatibility, '{}'::jsonb) IS NOT DISTINCT FROM $3::jsonb
       AND d.configuration IS NOT DISTINCT FROM $4::jsonb
       AND d.features IS NOT DISTINCT FROM $5::jsonb
FROM public.system_versions v LEFT JOIN prismicx.version_declarations d ON d.version_id = v.version_id
WHERE v.version_id = $1

-- name: latest_dependencies
SELECT system_id, dependencies FROM public.system_versions WHERE is_latest

-- name: migrations
SELECT migration_id, version_from, version_to, schema_version_from, schema_version_to, migration_sql, rollback_sql,
       description
FROM public.schema_migrations WHERE system_id = $1 ORDER BY schema_version_to

-- name: add_version
INSERT INTO public.system_versions
    (version_id, system_id, version, release_notes, schema_version, is_latest, release_date, created_at,
     dependencies, compatibility)
VALUES ($1, $2, $3, $4, $5, false, $6, $7, $8::jsonb, $9::jsonb)

-- name: add_declaration
INSERT INTO prismicx.version_declarations (version_id, configuration, features) VALUES ($1, $2::jsonb, $3::jsonb)

-- name: add_migration
INSERT INTO public.schema_migrations
    (migration_id, system_id, version_from, version_to, schema_version_from, schema_version_to, migration_sql,
     rollback_sql, description, created_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)

-- name: unmark_latest
UPDATE public.system_versions SET is_latest = false WHERE system_id = $1 AND is_latest AND version_id <> $2

-- name: mark_latest
UPDATE public.system_versions SET is_latest = true WHERE version_id = $1 AND NOT is_latest

-- name: set_status
UPDATE public.management_systems SET status = $2, updated_at = $3 WHERE system_id = $1 AND status <> $2

-- name: systems
SELECT s.system_id, s.name, s.type, s.vendor, s.status, s.description,
       (SELECT v.version FROM public.system_versions v WHERE v.system_id = s.system_id AND v.is_latest) AS latest,
       (SELECT count(*) FROM public.system_versions v WHERE v.system_id = s.system_id) AS versions
FROM public.management_systems s
WHERE ($1::text IS NULL OR s.type = $1) AND ($2::text IS NULL OR s.status = $2) AND ($3::text IS NULL OR s.vendor = $3)
  AND ($4::text IS NULL OR s.system_id = $4)
ORDER BY s.system_id

-- name: system
SELECT system_id, name, type, vendor, status, description FROM public.management_systems WHERE system_id = $1

-- name: installations
SELECT t.system_id, s.type, v.version, t.status, t.installed_at, t.updated_at, t.error_message, t.configurations,
       t.features_enabled, d.configuration, d.features
FROM public.tenant_systems t
JOIN public.management_systems s ON s.system_id = t.system_id
JOIN public.system_versions v ON v.version_id = t.version_id
LEFT JOIN prismicx.version_declarations d ON d.version_id = t.version_id
ORDER BY t.system_id

-- name: installation
SELECT t.status, v.version, t.configurations, t.features_enabled, t.updated_at
FROM public.tenant_systems t JOIN public.system_versions v ON v.version_id = t.version_id
WHERE t.system_id = $1
FOR UPDATE OF t

-- name: hold_versions
SELECT system_id FROM public.tenant_systems WHERE system_id = ANY ($1::text[]) FOR SHARE

-- name: installed_dependencies
SELECT t.system_id, v.version, v.dependencies
FROM public.tenant_systems t JOIN public.system_versions v ON v.version_id = t.version_id
WHERE t.status = 'installed'
ORDER BY t.system_id

-- name: related_versions
SELECT system_id, version_id, version, dependencies
FROM public.system_versions WHERE system_id = ANY ($2::text[]) OR dependencies ? $1

-- name: same_type
SELECT t.system_id
FROM public.tenant_systems t JOIN public.management_systems s ON s.system_id = t.system_id
WHERE s.type = $1 AND t.system_id <> $2 AND t.status = 'installed'

-- name: note_failed_installation
INSERT INTO public.tenant_systems
    (tenant_id, system_id, version_id, status, installed_at, updated_at, error_message)
VALUES (current_setting('app.current_tenant_id'), $1, $2, 'failed', $3, $3, $4)
ON CONFLICT (tenant_id, system_id) DO UPDATE
SET version_id = CASE tenant_systems.status WHEN 'installed' THEN tenant_systems.version_id ELSE excluded.version_id END,
    updated_at = excluded.updated_at, error_message = excluded.error_message
-- What is installed may be a version on the way, from which the next step failed; or this one, which another command has
-- installed meanwhile.
WHERE tenant_systems.status <> 'installed' OR tenant_systems.version_id <> excluded.version_id

-- name: set_choices
UPDATE public.tenant_systems SET configurations = $2::jsonb, features_enabled = $3::jsonb, updated_at = $4
WHERE system_id = $1

-- name: note_failure
UPDATE public.tenant_systems SET error_message = $2, updated_at = $3 WHERE system_id = $1

-- name: try_lock
SELECT pg_try_advisory_xact_lock(hashtextextended($1, 0))

-- name: unfinished
SELECT version_from, version_to, phases_done FROM prismicx.unfinished_steps WHERE system_id = $1

-- name: add_trial
INSERT INTO prismicx.version_trials (version_id, shape, shape_hash, snapshot, locks, milliseconds, tried_at)
VALUES ($1, $2::text::jsonb, $3, $4, $5::text::jsonb, $6, $7)

-- name: snapshot
SELECT snapshot FROM prismicx.version_trials WHERE version_id = $1

-- name: trial
SELECT shape_hash, shape::text AS shape FROM prismicx.version_trials WHERE version_id = $1
