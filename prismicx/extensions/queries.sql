-- name: add
INSERT INTO user_extensions.extensions
    (id, user_id, tenant_id, extension_type, name, description, enabled, priority, created_at, updated_at, metadata)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9, $10::text::jsonb)

-- name: get
SELECT e.id, e.user_id, e.extension_type, e.name, e.description, e.enabled, e.priority, e.created_at, e.updated_at,
       e.metadata::text AS metadata, coalesce(m.usage_count, 0) AS usage_count, m.last_used_at, m.feedback_score
FROM user_extensions.extensions e
LEFT JOIN user_extensions.extension_metrics m ON m.extension_id = e.id
WHERE e.id = $1

-- name: lock
SELECT id, updated_at FROM user_extensions.extensions WHERE id = $1 FOR UPDATE

-- name: list
SELECT e.id, e.user_id, e.extension_type, e.name, e.description, e.enabled, e.priority, e.created_at, e.updated_at,
       e.metadata::text AS metadata, coalesce(m.usage_count, 0) AS usage_count, m.last_used_at, m.feedback_score
FROM user_extensions.extensions e
LEFT JOIN user_extensions.extension_metrics m ON m.extension_id = e.id
WHERE e.tenant_id = $1 AND (e.priority, e.id) > ($2, $3)
  AND ($4::uuid IS NULL OR e.user_id = $4)
  AND ($5::text IS NULL OR e.extension_type = $5)
  AND ($6::boolean IS NULL OR e.enabled = $6)
ORDER BY e.priority, e.id
LIMIT $7

-- name: update
UPDATE user_extensions.extensions
SET extension_type = $2, name = $3, description = $4, enabled = $5, priority = $6,
    metadata = coalesce($7::text::jsonb, metadata), updated_at = $8
WHERE id = $1

-- name: of_user
SELECT id FROM user_extensions.extensions WHERE user_id = $1 ORDER BY id FOR UPDATE

-- name: user_exists
SELECT id FROM user_data.users WHERE id = $1

-- name: reorder
UPDATE user_extensions.extensions
SET priority = given.place - 1, updated_at = greatest($2, updated_at + interval '1 microsecond')
FROM unnest($1::uuid[]) WITH ORDINALITY AS given (id, place)
WHERE extensions.id = given.id

-- name: delete_metrics
DELETE FROM user_extensions.extension_metrics WHERE extension_id = $1

-- name: delete_factors
DELETE FROM user_extensions.practicality_factors WHERE extension_id = $1

-- name: delete
DELETE FROM user_extensions.extensions WHERE id = $1

-- name: count_use
UPDATE user_extensions.extension_metrics
SET usage_count = least(usage_count::bigint + $2, 2147483647), last_used_at = greatest($3, last_used_at),
    updated_at = greatest($3, updated_at + interval '1 microsecond')
WHERE extension_id = $1

-- name: set_feedback
UPDATE user_extensions.extension_metrics
SET feedback_score = $2, updated_at = greatest($3, updated_at + interval '1 microsecond')
WHERE extension_id = $1

-- name: add_metrics
INSERT INTO user_extensions.extension_metrics
    (id, extension_id, usage_count, last_used_at, feedback_score, created_at, updated_at)
VALUES ($1, $2, $3, $4, $5, $6, $6)

-- name: factors
SELECT factor_name, factor_value, factor_weight
FROM user_extensions.practicality_factors WHERE extension_id = $1 ORDER BY factor_name

-- name: set_factor
INSERT INTO user_extensions.practicality_factors
    (id, extension_id, factor_name, factor_value, factor_weight, created_at, updated_at)
VALUES ($1, $2, $3, $4, $5, $6, $6)
ON CONFLICT (extension_id, factor_name) DO UPDATE
SET factor_value = excluded.factor_value, factor_weight = excluded.factor_weight,
    updated_at = greatest(excluded.updated_at, practicality_factors.updated_at + interval '1 microsecond')

-- name: remove_factor
DELETE FROM user_extensions.practicality_factors WHERE extension_id = $1 AND factor_name = $2

-- name: practicality
SELECT practicality_score, factor_count, total_weight
FROM user_extensions.extension_practicality WHERE extension_id = $1

-- name: ranking
SELECT p.extension_id, p.user_id, p.name, p.practicality_score, coalesce(m.usage_count, 0) AS usage_count,
       m.feedback_score
FROM user_extensions.extension_practicality p
LEFT JOIN user_extensions.extension_metrics m ON m.extension_id = p.extension_id
ORDER BY CASE $1 WHEN 'practicality' THEN p.practicality_score
                 WHEN 'use' THEN coalesce(m.usage_count, 0)::double precision
                 ELSE m.feedback_score END DESC NULLS LAST,
         p.name, p.extension_id
LIMIT $2
