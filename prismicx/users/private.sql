-- name: private
SELECT id, (metadata -> 'private')::text AS private
FROM user_data.users
WHERE tenant_id = $1 AND id > $2 AND metadata -> 'private' IS NOT NULL
ORDER BY id
LIMIT $3

-- name: private_for_update
SELECT id, (metadata -> 'private')::text AS private
FROM user_data.users
WHERE tenant_id = $1 AND id > $2 AND metadata -> 'private' IS NOT NULL
ORDER BY id
LIMIT $3
FOR UPDATE

-- name: set_private
UPDATE user_data.users SET metadata = jsonb_set(metadata, '{private}', $2::text::jsonb) WHERE id = $1
