-- What a login may as a member of others takes longer with every tenant, as the logins that change and read schemas are
-- members of tenants' roles. So whether it reads for reports is asked once a statement, and only where a row is not the
-- proven tenant's.
ALTER POLICY proven_context ON public.tenant_systems
    USING (tenant_id IS NOT DISTINCT FROM (SELECT prismicx.proven_tenant())
           OR (SELECT pg_has_role('prismicx_reporting', 'USAGE')));
ALTER POLICY proven_context ON prismicx.unfinished_steps
    USING (tenant_id IS NOT DISTINCT FROM (SELECT prismicx.proven_tenant())
           OR (SELECT pg_has_role('prismicx_reporting', 'USAGE')));
