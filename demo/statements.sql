-- name: add_user
INSERT INTO user_data.users
    (id, tenant_id, username, email, password_hash, first_name, last_name, role, status, created_at, updated_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 'active', $9, $9)

-- name: add_preference
INSERT INTO user_preferences.preferences (user_id, preference_key, preference_value, created_at, updated_at)
VALUES ($1, $2, $3::text::jsonb, $4, $4)

-- name: add_extension
INSERT INTO user_extensions.extensions
    (id, user_id, tenant_id, extension_type, name, description, priority, created_at, updated_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8)

-- name: add_metrics
INSERT INTO user_extensions.extension_metrics
    (id, extension_id, usage_count, last_used_at, feedback_score, created_at, updated_at)
VALUES ($1, $2, $3, $4, $5, $4, $4)

-- name: add_factor
INSERT INTO user_extensions.practicality_factors
    (id, extension_id, factor_name, factor_value, factor_weight, created_at, updated_at)
VALUES ($1, $2, $3, $4, $5, $6, $6)

-- name: practicality
SELECT name, practicality_score, factor_count, total_weight
FROM user_extensions.extension_practicality ORDER BY name

-- name: counts
SELECT (SELECT count(*) FROM user_data.users) AS users,
       (SELECT count(*) FROM user_preferences.preferences) AS preferences

-- name: add_company
INSERT INTO companies (name, website, address) VALUES ($1, $2, $3) RETURNING id

-- name: add_contact
INSERT INTO contacts (company_id, full_name, email) VALUES ($1, $2, $3) RETURNING id

-- name: add_pipeline
WITH pipeline AS (INSERT INTO pipelines (name) VALUES ('Direct sales') RETURNING id)
INSERT INTO stages (pipeline_id, name, position, probability)
SELECT pipeline.id, stage.name, stage.position, stage.probability
FROM pipeline, (VALUES ('Lead', 1, 0.10), ('Offer', 2, 0.50), ('Signed', 3, 1.00)) AS stage (name, position, probability)

-- name: add_deal
INSERT INTO deals (company_id, contact_id, stage_id, title, amount)
SELECT $1, $2, id, $3, $4 FROM stages WHERE name = $5

-- name: crm_before
SELECT count(*) AS contacts, count(*) FILTER (WHERE full_name LIKE '% %') AS full_names FROM contacts

-- name: crm_after
SELECT (SELECT count(*) FROM contacts) AS contacts,
       (SELECT count(*) FROM contacts WHERE given_name IS NOT NULL) AS given_names,
       (SELECT count(*) FROM addresses) AS addresses,
       (SELECT count(*) FROM deal_contacts) AS deal_contacts

-- name: crm_report
SELECT companies.name, count(deals.id) AS deals, sum(deals.amount) AS worth
FROM companies JOIN deals ON deals.company_id = companies.id
GROUP BY companies.name ORDER BY worth DESC
