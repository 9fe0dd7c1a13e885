-- Rights of the service roles: the verbs their statements use, and nothing that could change a structure.
REVOKE ALL ON SCHEMA public FROM PUBLIC;
REVOKE ALL ON FUNCTION prismicx.create_tenant_roles(TEXT, TEXT) FROM PUBLIC;

GRANT USAGE ON SCHEMA public TO prismicx_catalogue, prismicx_fleet, prismicx_systems;

GRANT SELECT, INSERT, UPDATE ON public.management_systems, public.system_versions TO prismicx_catalogue;
GRANT SELECT, INSERT ON public.schema_migrations TO prismicx_catalogue;

GRANT SELECT ON public.management_systems, public.system_versions, public.schema_migrations TO prismicx_fleet;
GRANT SELECT, INSERT, UPDATE, DELETE ON public.tenant_systems TO prismicx_fleet;

-- What a scope asks before it opens a tenant's schema: is the system installed, and which version.
GRANT SELECT ON public.management_systems, public.system_versions, public.tenant_systems TO prismicx_systems;

GRANT USAGE ON SCHEMA prismicx TO prismicx_registry;
GRANT EXECUTE ON FUNCTION prismicx.create_tenant_roles(TEXT, TEXT) TO prismicx_registry;
