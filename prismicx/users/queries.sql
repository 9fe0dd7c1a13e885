-- name: add
INSERT INTO user_data.users
    (id, tenant_id, username, email, password_hash, first_name, last_name, role, status, created_at, updated_at, metadata)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $10, $11::text::jsonb)
RETURNING id, username, email, first_name, last_name, role, status, created_at, updated_at, last_login_at,
          metadata::text AS metadata

-- name: add_many
INSERT INTO user_data.users
    (id, tenant_id, username, email, password_hash, first_name, last_name, role, status, created_at, updated_at, metadata)
SELECT given.id, $1, given.username, given.email, $2, given.first_name, given.last_name, given.role, given.status, $3, $3,
       given.metadata::jsonb
FROM unnest($4::uuid[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[], $10::text[], $11::text[])
     AS given (id, username, email, first_name, last_name, role, status, metadata)

-- name: add_new
INSERT INTO user_data.users
    (id, tenant_id, username, email, password_hash, first_name, last_name, role, status, created_at, updated_at, metadata)
SELECT given.id, $1, given.username, given.email, $2, given.first_name, given.last_name, given.role, given.status, $3, $3,
       given.metadata::jsonb
FROM unnest($4::uuid[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[], $10::text[], $11::text[])
     AS given (id, username, email, first_name, last_name, role, status, metadata)
ON CONFLICT (tenant_id, email) DO NOTHING

-- name: get
SELECT id, username, email, first_name, last_name, role, status, created_at, updated_at, last_login_at,
       metadata::text AS metadata
FROM user_data.users WHERE id = $1

-- name: get_for_update
SELECT id, username, email, first_name, last_name, role, status, created_at, updated_at, last_login_at,
       metadata::text AS metadata
FROM user_data.users WHERE id = $1 FOR UPDATE

-- name: by_email
SELECT id, username, email, first_name, last_name, role, status, created_at, updated_at, last_login_at,
       metadata::text AS metadata
FROM user_data.users WHERE tenant_id = $1 AND email = $2

-- name: by_username
SELECT id, username, email, first_name, last_name, role, status, created_at, updated_at, last_login_at,
       metadata::text AS metadata
FROM user_data.users WHERE tenant_id = $1 AND username = $2 ORDER BY email LIMIT 2

-- name: list
SELECT id, username, email, first_name, last_name, role, status, created_at, updated_at, last_login_at,
       metadata::text AS metadata
FROM user_data.users
WHERE tenant_id = $1 AND email > $2
  AND ($3::text IS NULL OR status = $3)
  AND ($4::text IS NULL OR role = $4)
  AND ($5::text IS NULL OR username ILIKE $5 OR email ILIKE $5 OR first_name ILIKE $5 OR last_name ILIKE $5)
ORDER BY tenant_id, email
LIMIT $6

-- name: update
UPDATE user_data.users
SET username = $2, email = $3, first_name = $4, last_name = $5, role = $6, status = $7, metadata = $8::text::jsonb,
    updated_at = $9
WHERE id = $1
RETURNING id, username, email, first_name, last_name, role, status, created_at, updated_at, last_login_at,
          metadata::text AS metadata

-- name: lock
SELECT id FROM user_data.users WHERE id = $1 FOR UPDATE

-- name: delete_preferences
DELETE FROM user_preferences.preferences WHERE user_id = $1

-- name: delete
DELETE FROM user_data.users WHERE id = $1

-- name: secret
SELECT id, status, password_hash FROM user_data.users WHERE id = $1

-- name: secret_of_email
SELECT id, status, password_hash FROM user_data.users WHERE tenant_id = $1 AND email = $2

-- name: set_password
UPDATE user_data.users SET password_hash = $2, updated_at = greatest($3, updated_at + interval '1 microsecond')
WHERE id = $1

-- name: rehash
UPDATE user_data.users SET password_hash = $3 WHERE id = $1 AND password_hash = $2

-- name: logged_in
UPDATE user_data.users SET last_login_at = $3, password_hash = coalesce($4, password_hash)
WHERE id = $1 AND password_hash = $2 AND status = 'active'
RETURNING id, username, email, first_name, last_name, role, status, created_at, updated_at, last_login_at,
          metadata::text AS metadata

-- name: known
SELECT email FROM user_data.users WHERE tenant_id = $1 AND email = ANY ($2::text[]) ORDER BY email
