-- Reference: User Extensions Database, Views. With the rights of the one who asks: a view of its owner's rights
-- would step over the policies of the one who asks.
CREATE VIEW user_extensions.extension_practicality WITH (security_invoker = true) AS
SELECT
    extensions.id AS extension_id,
    extensions.tenant_id,
    extensions.user_id,
    extensions.name,
    sum(practicality_factors.factor_value * practicality_factors.factor_weight)
        / nullif(sum(practicality_factors.factor_weight), 0) AS practicality_score,
    count(practicality_factors.id) AS factor_count,
    coalesce(sum(practicality_factors.factor_weight), 0) AS total_weight
FROM user_extensions.extensions
LEFT JOIN user_extensions.practicality_factors ON practicality_factors.extension_id = extensions.id
GROUP BY extensions.id;

COMMENT ON VIEW user_extensions.extension_practicality IS
    'Calculated practicality of each extension: the weighted mean of its factors';
COMMENT ON COLUMN user_extensions.extension_practicality.practicality_score IS
    'Weighted mean of the factors, 1 to 10; NULL without factors or with a total weight of 0';
COMMENT ON COLUMN user_extensions.extension_practicality.factor_count IS 'Number of factors';
COMMENT ON COLUMN user_extensions.extension_practicality.total_weight IS 'Sum of the weights';

-- tenant_<id>_extensions: one view a tenant, made when the tenant is provisioned. A function of the owner, because
-- no service may create anything in this schema.
CREATE FUNCTION prismicx.create_extensions_view(for_tenant TEXT, view_name TEXT) RETURNS VOID
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF for_tenant !~ '^[a-z0-9]+(-[a-z0-9]+)*$' OR view_name !~ '^tenant_[a-z0-9_]+$' THEN
        RAISE EXCEPTION 'not a tenant and its view: %, %', for_tenant, view_name USING ERRCODE = '22023';
    END IF;
    IF to_regclass(format('user_extensions.%I', view_name)) IS NULL THEN
        EXECUTE format(
            'CREATE VIEW user_extensions.%I WITH (security_invoker = true) AS '
            'SELECT id, user_id, tenant_id, extension_type, name, description, enabled, priority, '
            'created_at, updated_at, metadata FROM user_extensions.extensions WHERE tenant_id = %L',
            view_name, for_tenant);
        EXECUTE format('GRANT SELECT ON user_extensions.%I TO prismicx_extensions', view_name);
    END IF;
EXCEPTION WHEN duplicate_table THEN
    NULL;  -- another session made the same view meanwhile
END
$$;
