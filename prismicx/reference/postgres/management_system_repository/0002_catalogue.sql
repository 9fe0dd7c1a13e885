-- Reference: Management System Repository Database, schema public.
CREATE TABLE public.management_systems (
    system_id   VARCHAR(50)  PRIMARY KEY,
    name        VARCHAR(100) NOT NULL,
    description TEXT,
    type        VARCHAR(50)  NOT NULL,
    vendor      VARCHAR(100) NOT NULL,
    status      VARCHAR(20)  NOT NULL,
    created_at  TIMESTAMP    NOT NULL,
    updated_at  TIMESTAMP    NOT NULL,
    metadata    JSONB
);

CREATE INDEX management_systems_type_idx ON public.management_systems (type);
CREATE INDEX management_systems_vendor_idx ON public.management_systems (vendor);
CREATE INDEX management_systems_status_idx ON public.management_systems (status);

CREATE TABLE public.system_versions (
    version_id     VARCHAR(50) PRIMARY KEY,
    system_id      VARCHAR(50) NOT NULL REFERENCES public.management_systems (system_id),
    version        VARCHAR(20) NOT NULL,
    release_notes  TEXT,
    schema_version INTEGER     NOT NULL,
    is_latest      BOOLEAN     NOT NULL,
    release_date   TIMESTAMP   NOT NULL,
    created_at     TIMESTAMP   NOT NULL,
    dependencies   JSONB,
    compatibility  JSONB,
    CONSTRAINT system_versions_system_id_version_key UNIQUE (system_id, version)
);

CREATE INDEX system_versions_system_id_idx ON public.system_versions (system_id);
CREATE INDEX system_versions_system_id_is_latest_idx ON public.system_versions (system_id, is_latest);
CREATE INDEX system_versions_schema_version_idx ON public.system_versions (schema_version);
-- Two publishers at once cannot both leave a latest version.
CREATE UNIQUE INDEX system_versions_one_latest_idx ON public.system_versions (system_id) WHERE is_latest;

CREATE TABLE public.tenant_systems (
    tenant_id        VARCHAR(50) NOT NULL,
    system_id        VARCHAR(50) NOT NULL REFERENCES public.management_systems (system_id),
    version_id       VARCHAR(50) NOT NULL REFERENCES public.system_versions (version_id),
    status           VARCHAR(20) NOT NULL,
    installed_at     TIMESTAMP   NOT NULL,
    updated_at       TIMESTAMP   NOT NULL,
    configurations   JSONB,
    features_enabled JSONB,
    error_message    TEXT,
    PRIMARY KEY (tenant_id, system_id),
    CONSTRAINT tenant_systems_tenant_id_not_empty CHECK (tenant_id <> '')
);

CREATE INDEX tenant_systems_tenant_id_idx ON public.tenant_systems (tenant_id);
CREATE INDEX tenant_systems_system_id_idx ON public.tenant_systems (system_id);
CREATE INDEX tenant_systems_status_idx ON public.tenant_systems (status);

CREATE TABLE public.schema_migrations (
    migration_id        VARCHAR(50) PRIMARY KEY,
    system_id           VARCHAR(50) NOT NULL REFERENCES public.management_systems (system_id),
    version_from        VARCHAR(20) NOT NULL,
    version_to          VARCHAR(20) NOT NULL,
    schema_version_from INTEGER     NOT NULL,
    schema_version_to   INTEGER     NOT NULL,
    migration_sql       TEXT        NOT NULL,
    rollback_sql        TEXT,
    description         TEXT,
    created_at          TIMESTAMP   NOT NULL
);

CREATE INDEX schema_migrations_system_id_idx ON public.schema_migrations (system_id);
CREATE INDEX schema_migrations_path_idx
    ON public.schema_migrations (system_id, version_from, version_to);

COMMENT ON TABLE public.management_systems IS 'Core management system metadata';
COMMENT ON COLUMN public.management_systems.system_id IS 'Unique identifier for the management system';
COMMENT ON COLUMN public.management_systems.name IS 'Name of the system';
COMMENT ON COLUMN public.management_systems.description IS 'What the system is for';
COMMENT ON COLUMN public.management_systems.type IS 'Type, such as crm, sales or marketing';
COMMENT ON COLUMN public.management_systems.vendor IS 'Who makes the system';
COMMENT ON COLUMN public.management_systems.status IS 'State, such as active or deprecated';
COMMENT ON COLUMN public.management_systems.created_at IS 'When the row was made, UTC';
COMMENT ON COLUMN public.management_systems.updated_at IS 'When the row last changed, UTC';
COMMENT ON COLUMN public.management_systems.metadata IS 'Additional system metadata';
COMMENT ON TABLE public.system_versions IS 'Management system version information';
COMMENT ON COLUMN public.system_versions.version_id IS 'Unique identifier for the version';
COMMENT ON COLUMN public.system_versions.system_id IS 'The system the version belongs to';
COMMENT ON COLUMN public.system_versions.version IS 'Version string, such as 1.0.0';
COMMENT ON COLUMN public.system_versions.release_notes IS 'Release notes';
COMMENT ON COLUMN public.system_versions.schema_version IS 'Number of the schema, rising by migration';
COMMENT ON COLUMN public.system_versions.is_latest IS 'Whether this is the latest version';
COMMENT ON COLUMN public.system_versions.release_date IS 'When the version was released, UTC';
COMMENT ON COLUMN public.system_versions.created_at IS 'When the row was made, UTC';
COMMENT ON COLUMN public.system_versions.dependencies IS 'Other systems the version needs';
COMMENT ON COLUMN public.system_versions.compatibility IS 'What the version works with';
COMMENT ON TABLE public.tenant_systems IS 'Which version of which system each tenant has';
COMMENT ON COLUMN public.tenant_systems.tenant_id IS 'Tenant identifier';
COMMENT ON COLUMN public.tenant_systems.system_id IS 'The installed system';
COMMENT ON COLUMN public.tenant_systems.version_id IS 'The installed version';
COMMENT ON COLUMN public.tenant_systems.status IS 'State of the installation';
COMMENT ON COLUMN public.tenant_systems.installed_at IS 'When the system was installed, UTC';
COMMENT ON COLUMN public.tenant_systems.updated_at IS 'When the row last changed, UTC';
COMMENT ON COLUMN public.tenant_systems.configurations IS 'Configuration of the system for the tenant';
COMMENT ON COLUMN public.tenant_systems.features_enabled IS 'Features that are switched on';
COMMENT ON COLUMN public.tenant_systems.error_message IS 'What went wrong, if the installation failed';
COMMENT ON TABLE public.schema_migrations IS 'Scripts that lead from one version to the next';
COMMENT ON COLUMN public.schema_migrations.migration_id IS 'Unique identifier for the migration';
COMMENT ON COLUMN public.schema_migrations.system_id IS 'The system the migration belongs to';
COMMENT ON COLUMN public.schema_migrations.version_from IS 'Version before; 0 where there was none';
COMMENT ON COLUMN public.schema_migrations.version_to IS 'Version after';
COMMENT ON COLUMN public.schema_migrations.schema_version_from IS 'Schema version before; 0 where there was none';
COMMENT ON COLUMN public.schema_migrations.schema_version_to IS 'Schema version after';
COMMENT ON COLUMN public.schema_migrations.migration_sql IS 'SQL that leads forward';
COMMENT ON COLUMN public.schema_migrations.rollback_sql IS 'SQL that leads back; NULL where nothing does';
COMMENT ON COLUMN public.schema_migrations.description IS 'What the migration does';
COMMENT ON COLUMN public.schema_migrations.created_at IS 'When the row was made, UTC';
