-- Rights of the service roles: the verbs their statements use, and nothing that could change a structure.
REVOKE ALL ON SCHEMA public FROM PUBLIC;
REVOKE ALL ON FUNCTION prismicx.create_extensions_view(TEXT, TEXT) FROM PUBLIC;

GRANT USAGE ON SCHEMA user_data, user_preferences TO prismicx_users;
GRANT SELECT, INSERT, UPDATE, DELETE ON user_data.users TO prismicx_users;
GRANT SELECT, INSERT, UPDATE, DELETE ON user_preferences.preferences TO prismicx_users;

GRANT USAGE ON SCHEMA user_data, user_extensions TO prismicx_extensions;
GRANT SELECT (id, tenant_id, username, status) ON user_data.users TO prismicx_extensions;
GRANT SELECT, INSERT, UPDATE, DELETE
    ON user_extensions.extensions, user_extensions.extension_metrics, user_extensions.practicality_factors
    TO prismicx_extensions;
GRANT SELECT ON user_extensions.extension_practicality TO prismicx_extensions;

GRANT USAGE ON SCHEMA prismicx TO prismicx_registry;
GRANT EXECUTE ON FUNCTION prismicx.create_extensions_view(TEXT, TEXT) TO prismicx_registry;
