-- Reference: System Users Database, schema user_preferences.
CREATE SCHEMA user_preferences;

CREATE TABLE user_preferences.preferences (
    user_id          UUID         NOT NULL REFERENCES user_data.users (id),
    preference_key   VARCHAR(100) NOT NULL,
    preference_value JSONB        NOT NULL,
    created_at       TIMESTAMP    NOT NULL,
    updated_at       TIMESTAMP    NOT NULL,
    PRIMARY KEY (user_id, preference_key)
);

CREATE INDEX preferences_user_id_idx ON user_preferences.preferences (user_id);

COMMENT ON SCHEMA user_preferences IS 'What users prefer';
COMMENT ON TABLE user_preferences.preferences IS 'Stores user preferences';
COMMENT ON COLUMN user_preferences.preferences.user_id IS 'The user the preference belongs to';
COMMENT ON COLUMN user_preferences.preferences.preference_key IS 'Name of the preference';
COMMENT ON COLUMN user_preferences.preferences.preference_value IS 'Value of the preference';
COMMENT ON COLUMN user_preferences.preferences.created_at IS 'When the row was made, UTC';
COMMENT ON COLUMN user_preferences.preferences.updated_at IS 'When the row last changed, UTC';
