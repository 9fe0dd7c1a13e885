-- name: system
SELECT system_id, type, status FROM public.management_systems WHERE system_id = $1

-- name: versions
SELECT v.version_id, v.version, v.schema_version, v.is_latest, v.dependencies, v.compatibility, d.configuration,
       d.features, t.locks, t.milliseconds, t.snapshot IS NOT NULL AS has_snapshot
FROM public.system_versions v
LEFT JOIN prismicx.version_declarations d ON d.version_id = v.version_id
LEFT JOIN prismicx.version_trials t ON t.version_id = v.version_id
WHERE v.system_id = $1

-- name: migrations
SELECT version_from, version_to, schema_version_from, schema_version_to, migration_sql, rollback_sql
FROM public.schema_migrations WHERE system_id = $1 ORDER BY schema_version_to

-- name: snapshot
SELECT snapshot FROM prismicx.version_trials WHERE version_id = $1

-- name: holding
SELECT asked.tenant_id, v.version, t.status, coalesce(u.phases_done, 0) AS phases_done
FROM (SELECT $1::text AS system_id, tenant_id FROM unnest($2::text[]) AS given (tenant_id)) AS asked
LEFT JOIN public.tenant_systems t ON t.tenant_id = asked.tenant_id AND t.system_id = asked.system_id
LEFT JOIN public.system_versions v ON v.version_id = t.version_id
LEFT JOIN prismicx.unfinished_steps u ON u.tenant_id = asked.tenant_id AND u.system_id = asked.system_id

-- name: not_at
SELECT t.tenant_id, t.status, v.version, t.configurations
FROM public.tenant_systems t JOIN public.system_versions v ON v.version_id = t.version_id
WHERE t.system_id = $1 AND (t.version_id IS DISTINCT FROM $2::text OR t.status <> 'installed')
ORDER BY t.tenant_id

-- name: count_at
SELECT count(*) FROM public.tenant_systems WHERE system_id = $1 AND version_id = $2 AND status = 'installed'

-- name: tenants_at
SELECT tenant_id FROM public.tenant_systems
WHERE system_id = $1 AND version_id = $2 AND status = 'installed' AND tenant_id = ANY ($3::text[])

-- name: holders
-- Those included whose first installation was cut off between two phases.
SELECT tenant_id, coalesce(t.status, 'unfinished') AS status, v.version, t.configurations
FROM (SELECT * FROM public.tenant_systems WHERE system_id = $1) t
FULL JOIN (SELECT tenant_id FROM prismicx.unfinished_steps WHERE system_id = $1) u USING (tenant_id)
LEFT JOIN public.system_versions v ON v.version_id = t.version_id

-- name: others
SELECT t.tenant_id, t.system_id, s.type, v.version, v.dependencies
FROM public.tenant_systems t
JOIN public.management_systems s ON s.system_id = t.system_id
JOIN public.system_versions v ON v.version_id = t.version_id
WHERE t.system_id <> $1 AND t.status = 'installed'
  AND (s.type = $2 OR t.system_id = ANY ($3::text[]) OR v.dependencies ? $1)

-- name: unfinished
SELECT tenant_id, version_from, version_to FROM prismicx.unfinished_steps WHERE system_id = $1

-- name: add_rollout
INSERT INTO prismicx.rollouts (rollout_id, system_id, action, version_id, status, options, created_at, updated_at)
VALUES ($1, $2, $3, $4, 'running', $5::text::jsonb, $6, $6)

-- name: add_tenants
INSERT INTO prismicx.rollout_tenants (rollout_id, tenant_id, wave, version_from, updated_at)
SELECT $1, given.tenant_id, given.wave, given.version_from, $2
FROM unnest($3::text[], $4::integer[], $5::text[]) AS given (tenant_id, wave, version_from)

-- name: rollout
SELECT r.rollout_id, r.system_id, r.action, v.version, r.status, r.reason, r.options::text AS options,
       r.created_at, r.updated_at, r.finished_at,
       -- The lock of `try_lock`, as its 64 bits are told.
       EXISTS (SELECT FROM pg_locks l JOIN pg_database d ON d.oid = l.database AND d.datname = current_database()
               WHERE l.locktype = 'advisory' AND l.objsubid = 1 AND l.classid::bigint << 32 | l.objid::bigint
                   = hashtextextended('prismicx rollout ' || r.rollout_id, 0)) AS is_worked_on
FROM prismicx.rollouts r LEFT JOIN public.system_versions v ON v.version_id = r.version_id
WHERE r.rollout_id = $1

-- name: rollouts
SELECT rollout_id FROM prismicx.rollouts WHERE ($1::text IS NULL OR system_id = $1) ORDER BY created_at DESC LIMIT $2

-- name: of_rollout
-- The tenants of the rollout $1, and which of them are where it leads, as the ledger has it now; the three below begin
-- with it.
WITH of_rollout AS (
    SELECT rt.tenant_id, rt.wave, rt.error_code, rt.error_message,
           CASE WHEN r.version_id IS NULL THEN t.tenant_id IS NULL AND NOT EXISTS (
                    SELECT FROM prismicx.unfinished_steps u
                    WHERE u.tenant_id = rt.tenant_id AND u.system_id = r.system_id)
                ELSE t.version_id = r.version_id AND t.status = 'installed' END IS TRUE AS done
    FROM prismicx.rollout_tenants rt
    JOIN prismicx.rollouts r ON r.rollout_id = rt.rollout_id
    LEFT JOIN public.tenant_systems t ON t.tenant_id = rt.tenant_id AND t.system_id = r.system_id
    WHERE rt.rollout_id = $1
)

-- name: counts
SELECT count(*) AS tenants, count(*) FILTER (WHERE done) AS done,
       count(*) FILTER (WHERE NOT done AND error_code IS NOT NULL) AS failed
FROM of_rollout

-- name: open_tenants
SELECT tenant_id, wave FROM of_rollout WHERE NOT done AND error_code IS NULL ORDER BY wave, tenant_id

-- name: failures
SELECT tenant_id, error_code, error_message FROM of_rollout
WHERE NOT done AND error_code IS NOT NULL
ORDER BY tenant_id

-- name: note_failure
UPDATE prismicx.rollout_tenants
SET attempts = attempts + 1, error_code = $3, error_message = $4, updated_at = $5
WHERE rollout_id = $1 AND tenant_id = $2

-- name: forget_failures
UPDATE prismicx.rollout_tenants SET error_code = NULL, error_message = NULL, updated_at = $2
WHERE rollout_id = $1 AND error_code IS NOT NULL

-- name: set_status
UPDATE prismicx.rollouts
SET status = $2::text, reason = $3, updated_at = $4::timestamp,
    finished_at = CASE WHEN $2::text IN ('finished', 'aborted') THEN $4::timestamp END
WHERE rollout_id = $1 AND status = ANY ($5::text[])
RETURNING rollout_id

-- name: status
SELECT status FROM prismicx.rollouts WHERE rollout_id = $1

-- name: try_lock
SELECT pg_try_advisory_lock(hashtextextended('prismicx rollout ' || $1, 0))

-- name: overview
SELECT t.system_id, v.version, v.schema_version, t.status, count(*) AS tenants,
       count(*) FILTER (WHERE t.error_message IS NOT NULL) AS with_error
FROM public.tenant_systems t JOIN public.system_versions v ON v.version_id = t.version_id
WHERE $1::text IS NULL OR t.system_id = $1
GROUP BY t.system_id, v.version, v.schema_version, t.status
ORDER BY t.system_id, v.schema_version DESC, t.status

-- name: errors
SELECT t.system_id, t.tenant_id, t.error_message
FROM public.tenant_systems t
WHERE t.error_message IS NOT NULL AND ($1::text IS NULL OR t.system_id = $1)
ORDER BY t.system_id, t.error_message, t.tenant_id

-- name: unfinished_steps
SELECT u.system_id, u.tenant_id, u.version_from, u.version_to
FROM prismicx.unfinished_steps u WHERE $1::text IS NULL OR u.system_id = $1
ORDER BY u.system_id, u.tenant_id

-- name: versions_of
SELECT system_id, version FROM public.system_versions WHERE system_id = ANY ($1::text[])

-- name: standing_shapes
SELECT t.tenant_id, t.system_id, s.type, v.version, v.version_id, r.shape_hash
FROM public.tenant_systems t
JOIN public.management_systems s ON s.system_id = t.system_id
JOIN public.system_versions v ON v.version_id = t.version_id
LEFT JOIN prismicx.version_trials r ON r.version_id = t.version_id
WHERE t.status = 'installed' AND ($1::text IS NULL OR t.system_id = $1)
  AND ($2::text[] IS NULL OR t.tenant_id = ANY ($2))
ORDER BY t.system_id, t.tenant_id

-- name: shape
SELECT shape::text FROM prismicx.version_trials WHERE version_id = $1

-- name: shape_hashes
SELECT v.version, r.shape_hash
FROM prismicx.version_trials r JOIN public.system_versions v ON v.version_id = r.version_id
WHERE v.system_id = $1
