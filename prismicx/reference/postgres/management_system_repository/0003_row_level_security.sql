-- The catalogue is everybody's; which tenant installed what is that tenant's.
ALTER TABLE public.tenant_systems ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.tenant_systems FORCE ROW LEVEL SECURITY;

CREATE POLICY tenant_isolation_policy ON public.tenant_systems
    USING (tenant_id = current_setting('app.current_tenant_id', TRUE));
