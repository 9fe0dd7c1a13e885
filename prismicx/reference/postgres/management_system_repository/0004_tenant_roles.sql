-- Two roles a tenant: one that reads and writes its schemas, one that owns them and runs their migrations. A
-- function of the owner, because no service may create roles.
CREATE FUNCTION prismicx.create_tenant_roles(tenant_role TEXT, tenant_owner TEXT) RETURNS VOID
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    role_name TEXT;
BEGIN
    IF tenant_role !~ '^([a-z][a-z0-9]*__)?tenant_[a-z0-9_]+$'
        OR tenant_owner !~ '^([a-z][a-z0-9]*__)?owner_[a-z0-9_]+$' THEN
        RAISE EXCEPTION 'not roles of a tenant: %, %', tenant_role, tenant_owner USING ERRCODE = '22023';
    END IF;
    FOREACH role_name IN ARRAY ARRAY[tenant_role, tenant_owner] LOOP
        IF to_regrole(quote_ident(role_name)) IS NULL THEN
            BEGIN
                EXECUTE format('CREATE ROLE %I NOLOGIN NOINHERIT', role_name);
            EXCEPTION WHEN duplicate_object OR unique_violation THEN
                NULL;  -- another session made the same role meanwhile
            END;
        END IF;
    END LOOP;
    EXECUTE format('GRANT %I TO prismicx_systems', tenant_role);
    EXECUTE format('GRANT %I TO prismicx_fleet', tenant_owner);
END
$$;
