-- name: all
SELECT preference_key AS key, value_schema::text AS schema, default_value::text AS value, secret, registered_at
FROM prismicx.preference_types ORDER BY preference_key

-- name: register
INSERT INTO prismicx.preference_types (preference_key, value_schema, default_value, secret, registered_at)
VALUES ($1, $2::text::jsonb, $3::text::jsonb, $4, $5)
ON CONFLICT (preference_key) DO UPDATE
SET value_schema = excluded.value_schema, default_value = excluded.default_value, secret = excluded.secret,
    registered_at = greatest(excluded.registered_at, preference_types.registered_at + interval '1 microsecond')

-- name: unregister
DELETE FROM prismicx.preference_types WHERE preference_key = $1 RETURNING preference_key
