-- name: secret
SELECT p.user_id, p.preference_key AS key, p.preference_value::text AS value
FROM user_preferences.preferences p JOIN user_data.users u ON u.id = p.user_id
WHERE u.tenant_id = $1 AND (p.user_id, p.preference_key) > ($2, $3)
  AND (p.preference_value::text LIKE '"pxsealed:%' OR p.preference_key = ANY ($4::text[]))
ORDER BY p.user_id, p.preference_key
LIMIT $5

-- name: secret_for_update
SELECT p.user_id, p.preference_key AS key, p.preference_value::text AS value
FROM user_preferences.preferences p JOIN user_data.users u ON u.id = p.user_id
WHERE u.tenant_id = $1 AND (p.user_id, p.preference_key) > ($2, $3)
  AND (p.preference_value::text LIKE '"pxsealed:%' OR p.preference_key = ANY ($4::text[]))
ORDER BY p.user_id, p.preference_key
LIMIT $5
FOR UPDATE OF p

-- name: set_secret
UPDATE user_preferences.preferences SET preference_value = $3::text::jsonb WHERE user_id = $1 AND preference_key = $2
