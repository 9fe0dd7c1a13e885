-- name: all
SELECT preference_key AS key, preference_value::text AS value
FROM user_preferences.preferences WHERE user_id = $1 ORDER BY preference_key

-- name: some
SELECT preference_key AS key, preference_value::text AS value
FROM user_preferences.preferences WHERE user_id = $1 AND preference_key = ANY ($2::text[])

-- name: some_for_update
SELECT preference_key AS key, preference_value::text AS value
FROM user_preferences.preferences WHERE user_id = $1 AND preference_key = ANY ($2::text[]) FOR UPDATE

-- name: lock_user
-- Before any preference is, as who deletes the user does it: so none waits for another in turn, whatever keys they have.
SELECT id FROM user_data.users WHERE id = $1 FOR NO KEY UPDATE

-- name: set
INSERT INTO user_preferences.preferences (user_id, preference_key, preference_value, created_at, updated_at)
SELECT $1, given.key, given.value::jsonb, $2, $2 FROM unnest($3::text[], $4::text[]) AS given (key, value)
ORDER BY given.key -- as the pass that seals anew locks them
ON CONFLICT (user_id, preference_key) DO UPDATE
SET preference_value = excluded.preference_value,
    updated_at = greatest(excluded.updated_at, preferences.updated_at + interval '1 microsecond')

-- name: unset
DELETE FROM user_preferences.preferences WHERE user_id = $1 AND preference_key = ANY ($2::text[])

-- name: user_exists
SELECT id FROM user_data.users WHERE id = $1

-- name: secrets
SELECT preference_key AS key FROM user_preferences.preferences
WHERE user_id = $1 AND preference_key = ANY ($2::text[]) AND preference_value::text LIKE '"pxsealed:%'

-- name: find
SELECT p.user_id FROM user_data.users u
JOIN user_preferences.preferences p ON p.user_id = u.id AND p.preference_key = $1
WHERE EXISTS (SELECT FROM unnest($2::text[]) AS begins (text) WHERE starts_with(p.preference_value::text, begins.text))
ORDER BY p.user_id
