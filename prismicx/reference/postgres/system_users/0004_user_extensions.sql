-- Reference: User Extensions Database, schema user_extensions.
CREATE SCHEMA user_extensions;

CREATE TABLE user_extensions.extensions (
    id             UUID         PRIMARY KEY,
    user_id        UUID         NOT NULL,
    tenant_id      VARCHAR(50)  NOT NULL,
    extension_type VARCHAR(50)  NOT NULL,
    name           VARCHAR(100) NOT NULL,
    description    TEXT,
    enabled        BOOLEAN      NOT NULL DEFAULT TRUE,
    priority       INTEGER      NOT NULL DEFAULT 0,
    created_at     TIMESTAMP    NOT NULL,
    updated_at     TIMESTAMP    NOT NULL,
    metadata       JSONB,
    CONSTRAINT extensions_tenant_id_not_empty CHECK (tenant_id <> '')
);

-- Foreign keys are checked without row-level security. The one with the tenant comes first, because keys are
-- checked in the order they were made: a user of another tenant gives the same error as a user that is not there.
ALTER TABLE user_extensions.extensions
    ADD CONSTRAINT extensions_tenant_id_user_id_fkey
    FOREIGN KEY (tenant_id, user_id) REFERENCES user_data.users (tenant_id, id);
ALTER TABLE user_extensions.extensions
    ADD CONSTRAINT extensions_user_id_fkey FOREIGN KEY (user_id) REFERENCES user_data.users (id);

CREATE INDEX extensions_user_id_idx ON user_extensions.extensions (user_id);
CREATE INDEX extensions_tenant_id_idx ON user_extensions.extensions (tenant_id);
CREATE INDEX extensions_extension_type_idx ON user_extensions.extensions (extension_type);
CREATE INDEX extensions_enabled_idx ON user_extensions.extensions (enabled);

CREATE TABLE user_extensions.extension_metrics (
    id             UUID      PRIMARY KEY,
    extension_id   UUID      NOT NULL REFERENCES user_extensions.extensions (id),
    usage_count    INTEGER   NOT NULL DEFAULT 0,
    last_used_at   TIMESTAMP,
    feedback_score FLOAT,
    created_at     TIMESTAMP NOT NULL,
    updated_at     TIMESTAMP NOT NULL
);

CREATE INDEX extension_metrics_extension_id_idx ON user_extensions.extension_metrics (extension_id);

CREATE TABLE user_extensions.practicality_factors (
    id            UUID         PRIMARY KEY,
    extension_id  UUID         NOT NULL REFERENCES user_extensions.extensions (id),
    factor_name   VARCHAR(100) NOT NULL,
    factor_value  INTEGER      NOT NULL CHECK (factor_value BETWEEN 1 AND 10),
    factor_weight FLOAT        NOT NULL DEFAULT 1.0,
    created_at    TIMESTAMP    NOT NULL,
    updated_at    TIMESTAMP    NOT NULL,
    UNIQUE (extension_id, factor_name)
);

CREATE INDEX practicality_factors_extension_id_idx ON user_extensions.practicality_factors (extension_id);

COMMENT ON SCHEMA user_extensions IS 'Add-ons of users and how practical they are';
COMMENT ON TABLE user_extensions.extensions IS 'User extension metadata';
COMMENT ON COLUMN user_extensions.extensions.id IS 'Unique identifier for the extension';
COMMENT ON COLUMN user_extensions.extensions.user_id IS 'The user the extension belongs to';
COMMENT ON COLUMN user_extensions.extensions.tenant_id IS 'Tenant identifier';
COMMENT ON COLUMN user_extensions.extensions.extension_type IS 'Type of extension';
COMMENT ON COLUMN user_extensions.extensions.name IS 'Name of the extension';
COMMENT ON COLUMN user_extensions.extensions.description IS 'What the extension is for';
COMMENT ON COLUMN user_extensions.extensions.enabled IS 'Whether the extension is switched on';
COMMENT ON COLUMN user_extensions.extensions.priority IS 'Order among the extensions of a user';
COMMENT ON COLUMN user_extensions.extensions.created_at IS 'When the row was made, UTC';
COMMENT ON COLUMN user_extensions.extensions.updated_at IS 'When the row last changed, UTC';
COMMENT ON COLUMN user_extensions.extensions.metadata IS 'Additional extension data';
COMMENT ON TABLE user_extensions.extension_metrics IS 'Extension usage metrics';
COMMENT ON COLUMN user_extensions.extension_metrics.id IS 'Unique identifier for the metrics';
COMMENT ON COLUMN user_extensions.extension_metrics.extension_id IS 'The extension that is measured';
COMMENT ON COLUMN user_extensions.extension_metrics.usage_count IS 'How often the extension was used';
COMMENT ON COLUMN user_extensions.extension_metrics.last_used_at IS 'Last use, UTC';
COMMENT ON COLUMN user_extensions.extension_metrics.feedback_score IS 'Score given by users';
COMMENT ON COLUMN user_extensions.extension_metrics.created_at IS 'When the row was made, UTC';
COMMENT ON COLUMN user_extensions.extension_metrics.updated_at IS 'When the row last changed, UTC';
COMMENT ON TABLE user_extensions.practicality_factors IS 'Rated factors of how practical an extension is';
COMMENT ON COLUMN user_extensions.practicality_factors.id IS 'Unique identifier for the factor';
COMMENT ON COLUMN user_extensions.practicality_factors.extension_id IS 'The extension that is rated';
COMMENT ON COLUMN user_extensions.practicality_factors.factor_name IS 'Name of the factor';
COMMENT ON COLUMN user_extensions.practicality_factors.factor_value IS 'Rating from 1 to 10';
COMMENT ON COLUMN user_extensions.practicality_factors.factor_weight IS 'Weight of the rating in the mean';
COMMENT ON COLUMN user_extensions.practicality_factors.created_at IS 'When the row was made, UTC';
COMMENT ON COLUMN user_extensions.practicality_factors.updated_at IS 'When the row last changed, UTC';
