-- What services registered of the values of preferences. It is the same for all tenants, and so it is bookkeeping.
CREATE TABLE prismicx.preference_types (
    preference_key VARCHAR(100) PRIMARY KEY,
    value_schema   JSONB        NOT NULL,
    default_value  JSONB,
    secret         BOOLEAN      NOT NULL,
    registered_at  TIMESTAMP    NOT NULL
);

COMMENT ON TABLE prismicx.preference_types IS 'What services registered of the values of preferences; no tenant data';
COMMENT ON COLUMN prismicx.preference_types.preference_key IS 'The key of the preferences';
COMMENT ON COLUMN prismicx.preference_types.value_schema IS 'JSON Schema that their values obey';
COMMENT ON COLUMN prismicx.preference_types.default_value IS 'What counts where nothing is set; NULL for nothing';
COMMENT ON COLUMN prismicx.preference_types.secret IS 'Whether their values are sealed where they are stored';
COMMENT ON COLUMN prismicx.preference_types.registered_at IS 'When it was registered last, UTC';

-- Statements of tenants run as the login of users, so it reads only.
GRANT SELECT ON prismicx.preference_types TO prismicx_users;
GRANT SELECT, INSERT, UPDATE, DELETE ON prismicx.preference_types TO prismicx_registry;
