-- What a version lets a tenant choose. The reference's tables have no place for it, and so it is bookkeeping.
CREATE TABLE prismicx.version_declarations (
    version_id    VARCHAR(50) PRIMARY KEY REFERENCES public.system_versions (version_id),
    configuration JSONB,
    features      JSONB
);

COMMENT ON TABLE prismicx.version_declarations IS 'What a version of a system lets a tenant choose';
COMMENT ON COLUMN prismicx.version_declarations.version_id IS 'The version; one that declares nothing has no row';
COMMENT ON COLUMN prismicx.version_declarations.configuration IS 'JSON Schema of the configuration; NULL takes none';
COMMENT ON COLUMN prismicx.version_declarations.features IS 'Features by name, with description and default';

GRANT USAGE ON SCHEMA prismicx TO prismicx_catalogue, prismicx_fleet;
GRANT SELECT, INSERT ON prismicx.version_declarations TO prismicx_catalogue;
GRANT SELECT ON prismicx.version_declarations TO prismicx_fleet;
