-- name: configurations
SELECT t.system_id, t.configurations::text AS configurations, d.configuration::text AS configuration
FROM public.tenant_systems t LEFT JOIN prismicx.version_declarations d ON d.version_id = t.version_id
ORDER BY t.system_id

-- name: configurations_for_update
SELECT t.system_id, t.configurations::text AS configurations, d.configuration::text AS configuration
FROM public.tenant_systems t LEFT JOIN prismicx.version_declarations d ON d.version_id = t.version_id
ORDER BY t.system_id
FOR UPDATE OF t

-- name: set_configuration
UPDATE public.tenant_systems SET configurations = $2::text::jsonb WHERE system_id = $1
