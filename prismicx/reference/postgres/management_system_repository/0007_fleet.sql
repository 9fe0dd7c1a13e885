-- The fleet: which tenants run what, seen by one login over all tenants; one step of one tenant with its ledger row;
-- what a rollout was asked for. The reference's tables say what is installed; these say what is under way.
CREATE POLICY fleet_overview ON public.tenant_systems FOR SELECT TO prismicx_reporting USING (true);

CREATE TABLE prismicx.unfinished_steps (
    tenant_id    VARCHAR(50) NOT NULL CHECK (tenant_id <> ''),
    system_id    VARCHAR(50) NOT NULL REFERENCES public.management_systems (system_id),
    version_from VARCHAR(50),
    version_to   VARCHAR(50) NOT NULL REFERENCES public.system_versions (version_id),
    phases_done  INTEGER     NOT NULL CHECK (phases_done > 0),
    updated_at   TIMESTAMP   NOT NULL,
    PRIMARY KEY (tenant_id, system_id)
);

ALTER TABLE prismicx.unfinished_steps ENABLE ROW LEVEL SECURITY;
ALTER TABLE prismicx.unfinished_steps FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_isolation_policy ON prismicx.unfinished_steps
    USING (tenant_id = current_setting('app.current_tenant_id', TRUE));
CREATE POLICY fleet_overview ON prismicx.unfinished_steps FOR SELECT TO prismicx_reporting USING (true);

COMMENT ON TABLE prismicx.unfinished_steps IS 'Steps of which some phases are done and some are not';
COMMENT ON COLUMN prismicx.unfinished_steps.tenant_id IS 'The tenant whose schema is between two versions';
COMMENT ON COLUMN prismicx.unfinished_steps.system_id IS 'The system';
COMMENT ON COLUMN prismicx.unfinished_steps.version_from IS 'The version before; NULL where nothing was installed';
COMMENT ON COLUMN prismicx.unfinished_steps.version_to IS 'The version the step leads to';
COMMENT ON COLUMN prismicx.unfinished_steps.phases_done IS 'How many phases of the step are done';
COMMENT ON COLUMN prismicx.unfinished_steps.updated_at IS 'When the last of them was done, UTC';

CREATE TABLE prismicx.rollouts (
    rollout_id  UUID         PRIMARY KEY,
    system_id   VARCHAR(50)  NOT NULL REFERENCES public.management_systems (system_id),
    action      VARCHAR(20)  NOT NULL CHECK (action IN ('install', 'upgrade', 'rollback', 'uninstall')),
    version_id  VARCHAR(50)  REFERENCES public.system_versions (version_id),
    status      VARCHAR(20)  NOT NULL CHECK (status IN ('running', 'paused', 'finished', 'aborted')),
    reason      TEXT,
    options     JSONB        NOT NULL,
    created_at  TIMESTAMP    NOT NULL,
    updated_at  TIMESTAMP    NOT NULL,
    finished_at TIMESTAMP
);

CREATE INDEX rollouts_created_at_idx ON prismicx.rollouts (created_at);

COMMENT ON TABLE prismicx.rollouts IS 'What was asked for many tenants at once';
COMMENT ON COLUMN prismicx.rollouts.rollout_id IS 'Unique identifier for the rollout';
COMMENT ON COLUMN prismicx.rollouts.system_id IS 'The system';
COMMENT ON COLUMN prismicx.rollouts.action IS 'install, upgrade, rollback or uninstall';
COMMENT ON COLUMN prismicx.rollouts.version_id IS 'The version tenants are brought to; NULL where they lose the system';
COMMENT ON COLUMN prismicx.rollouts.status IS 'running, paused, finished or aborted';
COMMENT ON COLUMN prismicx.rollouts.reason IS 'Why it is paused or was aborted';
COMMENT ON COLUMN prismicx.rollouts.options IS 'Waves, concurrency, time-outs and the error budget';
COMMENT ON COLUMN prismicx.rollouts.created_at IS 'When it was asked for, UTC';
COMMENT ON COLUMN prismicx.rollouts.updated_at IS 'When its state last changed, UTC';
COMMENT ON COLUMN prismicx.rollouts.finished_at IS 'When it finished or was aborted, UTC';

CREATE TABLE prismicx.rollout_tenants (
    rollout_id    UUID        NOT NULL REFERENCES prismicx.rollouts (rollout_id),
    tenant_id     VARCHAR(50) NOT NULL CHECK (tenant_id <> ''),
    wave          INTEGER     NOT NULL,
    version_from  VARCHAR(50),
    attempts      INTEGER     NOT NULL DEFAULT 0,
    error_code    VARCHAR(50),
    error_message TEXT,
    updated_at    TIMESTAMP   NOT NULL,
    PRIMARY KEY (rollout_id, tenant_id)
);

COMMENT ON TABLE prismicx.rollout_tenants IS 'The tenants of a rollout. Whether one is done, the ledger tells';
COMMENT ON COLUMN prismicx.rollout_tenants.rollout_id IS 'The rollout';
COMMENT ON COLUMN prismicx.rollout_tenants.tenant_id IS 'The tenant';
COMMENT ON COLUMN prismicx.rollout_tenants.wave IS 'In which wave it is, from 0 on';
COMMENT ON COLUMN prismicx.rollout_tenants.version_from IS 'The version it had when the rollout was planned';
COMMENT ON COLUMN prismicx.rollout_tenants.attempts IS 'How often it failed';
COMMENT ON COLUMN prismicx.rollout_tenants.error_code IS 'SQLSTATE or code of the last failure; NULL while there is none';
COMMENT ON COLUMN prismicx.rollout_tenants.error_message IS 'What went wrong';
COMMENT ON COLUMN prismicx.rollout_tenants.updated_at IS 'When the row last changed, UTC';

-- What a publication found out by trying each version in a schema of its own.
CREATE TABLE prismicx.version_trials (
    version_id   VARCHAR(50) PRIMARY KEY REFERENCES public.system_versions (version_id),
    shape        JSONB       NOT NULL,
    shape_hash   CHAR(32)    NOT NULL,
    snapshot     TEXT,
    locks        JSONB       NOT NULL,
    milliseconds DOUBLE PRECISION NOT NULL,
    tried_at     TIMESTAMP   NOT NULL
);

COMMENT ON TABLE prismicx.version_trials IS 'What each version makes of a schema, tried at publication';
COMMENT ON COLUMN prismicx.version_trials.version_id IS 'The version';
COMMENT ON COLUMN prismicx.version_trials.shape IS 'Everything a schema of this version holds';
COMMENT ON COLUMN prismicx.version_trials.shape_hash IS 'Hash of the shape';
COMMENT ON COLUMN prismicx.version_trials.snapshot IS 'SQL that makes the shape at once; NULL where only its history does';
COMMENT ON COLUMN prismicx.version_trials.locks IS 'Locks and rewrites of the step to this version, and of the way back';
COMMENT ON COLUMN prismicx.version_trials.milliseconds IS 'How long the step took on empty tables';
COMMENT ON COLUMN prismicx.version_trials.tried_at IS 'When it was tried, UTC';

-- One phase of one step of the tenant in app.current_tenant_id: takes the schema's lock, sees that the tenant is where
-- the step begins, and writes the ledger. What is done to the schema follows in the same transaction.
CREATE FUNCTION prismicx.take_step(
    in_schema TEXT, in_system TEXT, expected TEXT, target TEXT, phase INTEGER, phases INTEGER, moment TIMESTAMP,
    configuration TEXT, features TEXT
) RETURNS VOID
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    tenant CONSTANT TEXT := current_setting('app.current_tenant_id');
    held   public.tenant_systems%ROWTYPE;
    begun  prismicx.unfinished_steps%ROWTYPE;
    found_version TEXT;
BEGIN
    IF NOT pg_try_advisory_xact_lock(hashtextextended(in_schema, 0)) THEN
        RAISE EXCEPTION '% is being changed by another command', in_schema USING ERRCODE = '55P03';
    END IF;
    IF phases = 1 AND expected IS NOT NULL AND target IS NOT NULL THEN
        -- What nearly all steps are, in one statement; what is not as it should be is looked at below.
        UPDATE public.tenant_systems
        SET version_id = target, updated_at = moment, error_message = NULL,
            configurations = coalesce(configuration::jsonb, configurations),
            features_enabled = coalesce(features::jsonb, features_enabled)
        WHERE system_id = in_system AND version_id = expected AND status = 'installed'
          AND NOT EXISTS (SELECT FROM prismicx.unfinished_steps u WHERE u.system_id = in_system);
        IF FOUND THEN
            RETURN;
        END IF;
    END IF;
    SELECT * INTO held FROM public.tenant_systems WHERE system_id = in_system FOR UPDATE;
    found_version := CASE WHEN held.status = 'installed' THEN held.version_id END;
    SELECT * INTO begun FROM prismicx.unfinished_steps WHERE system_id = in_system FOR UPDATE;
    IF found_version IS DISTINCT FROM expected THEN
        RAISE EXCEPTION '% has % now, not %', tenant, coalesce(found_version, 'nothing of ' || in_system),
            coalesce(expected, 'nothing of ' || in_system) USING ERRCODE = 'PX001';
    END IF;
    IF coalesce(begun.phases_done, 0) <> phase OR (phase > 0 AND begun.version_to IS DISTINCT FROM target) THEN
        RAISE EXCEPTION '% is between % and %, with % phases done', tenant, coalesce(begun.version_from, 'nothing'),
            coalesce(begun.version_to, target), coalesce(begun.phases_done, 0) USING ERRCODE = 'PX002';
    END IF;
    IF phase + 1 < phases THEN
        INSERT INTO prismicx.unfinished_steps
            (tenant_id, system_id, version_from, version_to, phases_done, updated_at)
        VALUES (tenant, in_system, expected, target, phase + 1, moment)
        ON CONFLICT (tenant_id, system_id) DO UPDATE SET phases_done = excluded.phases_done, updated_at = moment;
        RETURN;
    END IF;
    IF phases > 1 THEN
        DELETE FROM prismicx.unfinished_steps WHERE system_id = in_system;
    END IF;
    IF target IS NULL THEN
        DELETE FROM public.tenant_systems WHERE system_id = in_system;
    ELSIF held.system_id IS NULL THEN
        INSERT INTO public.tenant_systems
            (tenant_id, system_id, version_id, status, installed_at, updated_at, configurations, features_enabled)
        VALUES (tenant, in_system, target, 'installed', moment, moment, configuration::jsonb, features::jsonb);
    ELSE
        UPDATE public.tenant_systems
        SET version_id = target, status = 'installed', updated_at = moment, error_message = NULL,
            installed_at = CASE WHEN expected IS NULL THEN moment ELSE installed_at END,
            configurations = coalesce(configuration::jsonb, configurations),
            features_enabled = coalesce(features::jsonb, features_enabled)
        WHERE system_id = in_system;
    END IF;
END
$$;
COMMENT ON FUNCTION prismicx.take_step(TEXT, TEXT, TEXT, TEXT, INTEGER, INTEGER, TIMESTAMP, TEXT, TEXT) IS
    'One phase of one step of the current tenant, with its ledger row';
REVOKE ALL ON FUNCTION prismicx.take_step(TEXT, TEXT, TEXT, TEXT, INTEGER, INTEGER, TIMESTAMP, TEXT, TEXT) FROM PUBLIC;

-- What was put off runs when the transaction ends, outside of the function that keeps a script within its rights.
CREATE FUNCTION prismicx.end_step(in_schema TEXT) RETURNS VOID
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
END
$$;
COMMENT ON FUNCTION prismicx.end_step(TEXT) IS 'Sees that a step leaves nothing to run after it';
REVOKE ALL ON FUNCTION prismicx.end_step(TEXT) FROM PUBLIC;

GRANT EXECUTE ON FUNCTION prismicx.take_step(TEXT, TEXT, TEXT, TEXT, INTEGER, INTEGER, TIMESTAMP, TEXT, TEXT)
    TO prismicx_fleet;
GRANT EXECUTE ON FUNCTION prismicx.end_step(TEXT) TO prismicx_fleet;
-- For the schema of a trial.
GRANT EXECUTE ON FUNCTION prismicx.create_tenant_roles(TEXT, TEXT) TO prismicx_fleet;
GRANT SELECT, INSERT, UPDATE, DELETE ON prismicx.unfinished_steps TO prismicx_fleet;
GRANT SELECT, INSERT, UPDATE ON prismicx.rollouts, prismicx.rollout_tenants TO prismicx_fleet;
GRANT SELECT, INSERT, UPDATE ON prismicx.version_trials TO prismicx_catalogue;
GRANT SELECT ON prismicx.version_trials TO prismicx_fleet;

GRANT USAGE ON SCHEMA public, prismicx TO prismicx_reporting;
GRANT SELECT ON public.management_systems, public.system_versions, public.schema_migrations, public.tenant_systems,
    prismicx.unfinished_steps, prismicx.rollouts, prismicx.rollout_tenants, prismicx.version_declarations,
    prismicx.version_trials
    TO prismicx_reporting;
