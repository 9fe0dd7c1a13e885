-- The two policies the reference names, and those of the tables that reach their tenant through a parent.
-- FORCE, because an owner without it sees every row.
ALTER TABLE user_data.users ENABLE ROW LEVEL SECURITY;
ALTER TABLE user_data.users FORCE ROW LEVEL SECURITY;

CREATE POLICY tenant_isolation_policy ON user_data.users
    USING (tenant_id = current_setting('app.current_tenant_id', TRUE));

ALTER TABLE user_extensions.extensions ENABLE ROW LEVEL SECURITY;
ALTER TABLE user_extensions.extensions FORCE ROW LEVEL SECURITY;

CREATE POLICY tenant_isolation_policy ON user_extensions.extensions
    USING (tenant_id = current_setting('app.current_tenant_id', TRUE));

-- The parent's own policy would do for the next three. They name the tenant again, so that a child stays closed
-- should its parent ever be opened.
ALTER TABLE user_preferences.preferences ENABLE ROW LEVEL SECURITY;
ALTER TABLE user_preferences.preferences FORCE ROW LEVEL SECURITY;

CREATE POLICY tenant_isolation_policy ON user_preferences.preferences
    USING (EXISTS (
        SELECT 1 FROM user_data.users
        WHERE users.id = preferences.user_id
          AND users.tenant_id = current_setting('app.current_tenant_id', TRUE)));

ALTER TABLE user_extensions.extension_metrics ENABLE ROW LEVEL SECURITY;
ALTER TABLE user_extensions.extension_metrics FORCE ROW LEVEL SECURITY;

CREATE POLICY tenant_isolation_policy ON user_extensions.extension_metrics
    USING (EXISTS (
        SELECT 1 FROM user_extensions.extensions
        WHERE extensions.id = extension_metrics.extension_id
          AND extensions.tenant_id = current_setting('app.current_tenant_id', TRUE)));

ALTER TABLE user_extensions.practicality_factors ENABLE ROW LEVEL SECURITY;
ALTER TABLE user_extensions.practicality_factors FORCE ROW LEVEL SECURITY;

CREATE POLICY tenant_isolation_policy ON user_extensions.practicality_factors
    USING (EXISTS (
        SELECT 1 FROM user_extensions.extensions
        WHERE extensions.id = practicality_factors.extension_id
          AND extensions.tenant_id = current_setting('app.current_tenant_id', TRUE)));
