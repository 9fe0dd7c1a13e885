-- The proof and the tenant it proves are one value. A policy that only asks whether there is a proof is answered once a
-- statement, but the setting beside it is read again with every row, and the statement itself may change it between. So
-- what rows are compared with is what was proved, read in the moment in which it was proved. Not by `=`: the planner would
-- see that the setting and what was proved are equal to the same column, compare these two once, and rows with the
-- setting alone.
CREATE FUNCTION prismicx.proven_tenant() RETURNS TEXT
LANGUAGE plpgsql STABLE PARALLEL RESTRICTED SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    -- As few expressions as can be: each is made ready anew in every transaction.
    IF current_setting('app.tenant_proof', TRUE) = encode(sha256(prismicx.context_pad(2) || sha256(
        prismicx.context_pad(1)
        || convert_to(current_setting('app.current_tenant_id', TRUE) || ' ' || pg_backend_pid(), 'UTF8'))), 'hex') THEN
        RETURN current_setting('app.current_tenant_id', TRUE);
    END IF;
    IF current_setting('app.tenant_proof', TRUE) = encode(sha256(prismicx.context_pad(4) || sha256(
        prismicx.context_pad(3)
        || convert_to(current_setting('app.current_tenant_id', TRUE) || ' ' || pg_backend_pid(), 'UTF8'))), 'hex') THEN
        RETURN current_setting('app.current_tenant_id', TRUE);
    END IF;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION prismicx.proven_tenant() IS 'The tenant that app.tenant_proof proves on this backend; NULL where it proves none';
REVOKE ALL ON FUNCTION prismicx.proven_tenant() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION prismicx.proven_tenant() TO prismicx_fleet, prismicx_systems, prismicx_reporting;

-- Reports are read over all tenants, so they prove none; who reads them writes nothing.
ALTER POLICY proven_context ON public.tenant_systems
    USING (pg_has_role('prismicx_reporting', 'USAGE') OR tenant_id IS NOT DISTINCT FROM (SELECT prismicx.proven_tenant()))
    WITH CHECK (tenant_id IS NOT DISTINCT FROM (SELECT prismicx.proven_tenant()));
ALTER POLICY proven_context ON prismicx.unfinished_steps
    USING (pg_has_role('prismicx_reporting', 'USAGE') OR tenant_id IS NOT DISTINCT FROM (SELECT prismicx.proven_tenant()))
    WITH CHECK (tenant_id IS NOT DISTINCT FROM (SELECT prismicx.proven_tenant()));

DROP FUNCTION prismicx.proven();
