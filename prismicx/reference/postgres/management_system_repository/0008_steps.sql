-- What runs the scripts of tenants: for each role that owns a tenant's schemas one function of that role, SECURITY
-- DEFINER, made once, in a schema that such a role can neither use nor fill, so that no script can reach its own one.
CREATE SCHEMA runners;

COMMENT ON SCHEMA runners IS 'Functions that run migrations as the role that owns the tenant''s schemas';

-- Statement by statement, so that an error tells which one it was. What was put off to the transaction's end would run
-- with the rights of the login there; so it runs now, and prismicx.end_step refuses what could still be put off. The
-- first statement says where the names of a script are looked for; what it says ends with this function.
CREATE FUNCTION runners.perform(statements TEXT[]) RETURNS VOID
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    statement TEXT;
BEGIN
    FOREACH statement IN ARRAY statements LOOP
        EXECUTE statement;
    END LOOP;
    SET CONSTRAINTS ALL IMMEDIATE;
END
$$;
COMMENT ON FUNCTION runners.perform(TEXT[]) IS 'Runs statements with the rights of the one who calls it';

-- The function of a role, unless it is there. The role may make one in the schema within this transaction only, in
-- which nothing of a tenant runs.
CREATE FUNCTION prismicx.make_runner(tenant_owner TEXT) RETURNS VOID
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    runner CONSTANT TEXT := format('runners.%I(text[])', tenant_owner);
BEGIN
    IF EXISTS (
        SELECT FROM pg_proc
        WHERE oid = to_regprocedure(runner) AND prosecdef AND pg_get_userbyid(proowner) = tenant_owner
          AND has_function_privilege(oid, 'EXECUTE')
    ) THEN
        RETURN;
    END IF;
    -- Two who change the rights of a schema at once would fail.
    PERFORM pg_advisory_xact_lock(hashtextextended('runners', 0));
    EXECUTE format('GRANT USAGE, CREATE ON SCHEMA runners TO %I', tenant_owner);
    EXECUTE format('SET LOCAL ROLE %I', tenant_owner);
    EXECUTE format(
        'CREATE OR REPLACE FUNCTION runners.%I(statements text[]) RETURNS void LANGUAGE sql SECURITY DEFINER '
        'BEGIN ATOMIC SELECT runners.perform(statements); END', tenant_owner
    );
    EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', runner);
    EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO prismicx_fleet', runner);
    SET LOCAL ROLE NONE;
    EXECUTE format('REVOKE USAGE, CREATE ON SCHEMA runners FROM %I', tenant_owner);
END
$$;
COMMENT ON FUNCTION prismicx.make_runner(TEXT) IS 'Makes what runs the scripts of a tenant, where it is not there';
REVOKE ALL ON FUNCTION prismicx.make_runner(TEXT) FROM PUBLIC;

GRANT EXECUTE ON FUNCTION prismicx.make_runner(TEXT) TO prismicx_fleet;
GRANT USAGE, CREATE ON SCHEMA runners TO prismicx_fleet WITH GRANT OPTION;

-- Besides what was put off: a cursor that outlives its transaction asks its question when that ends, and a prepared
-- statement may take the place of one that the login has.
CREATE OR REPLACE FUNCTION prismicx.end_step(in_schema TEXT) RETURNS VOID
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    -- By what the relations depend on: nothing in pg_constraint is found by its schema.
    IF EXISTS (
        SELECT FROM pg_depend d JOIN pg_constraint c ON c.conrelid = d.objid
        WHERE d.refclassid = 'pg_namespace'::regclass AND d.refobjid = quote_ident(in_schema)::regnamespace
          AND d.classid = 'pg_class'::regclass AND c.condeferrable AND c.contype NOT IN ('f', 'u', 'p')
    ) THEN
        RAISE EXCEPTION 'a deferrable trigger or exclusion constraint would run outside the step'
            USING ERRCODE = '0A000';
    END IF;
    IF EXISTS (SELECT FROM pg_cursors WHERE is_holdable) OR EXISTS (SELECT FROM pg_prepared_statements WHERE from_sql)
    THEN
        RAISE EXCEPTION 'a cursor WITH HOLD or a prepared statement would run outside the step'
            USING ERRCODE = '0A000';
    END IF;
END
$$;
