-- Whoever makes a schema lets every session plan all its statements anew, so what is done with each tenant of an
-- installation is done in as few statements as can be: each of them is one plan, and each condition, too.
CREATE OR REPLACE FUNCTION prismicx.take_step(
    in_schema TEXT, in_system TEXT, expected TEXT, target TEXT, phase INTEGER, phases INTEGER, moment TIMESTAMP,
    configuration TEXT, features TEXT, guard TEXT DEFAULT NULL
) RETURNS VOID
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF NOT pg_try_advisory_xact_lock(hashtextextended(in_schema, 0)) THEN
        RAISE EXCEPTION '% is being changed by another command', in_schema USING ERRCODE = '55P03';
    END IF;
    -- What nearly all steps are, in one statement; what is not as it should be is looked at by the other function. The
    -- lock that is held is the schema's, and of one type only one system has it: so who else could take the schema waits.
    IF phases = 1 AND expected IS NULL AND target IS NOT NULL THEN
        INSERT INTO public.tenant_systems
            (tenant_id, system_id, version_id, status, installed_at, updated_at, configurations, features_enabled)
        SELECT current_setting('app.current_tenant_id'), in_system, target, 'installed', moment, moment,
            configuration::jsonb, features::jsonb
        WHERE NOT EXISTS (
            SELECT FROM public.tenant_systems t JOIN public.management_systems s USING (system_id)
            WHERE t.status = 'installed'
              AND s.type = (SELECT type FROM public.management_systems WHERE system_id = in_system)
        ) AND NOT EXISTS (SELECT FROM prismicx.unfinished_steps)
        ON CONFLICT DO NOTHING;
    ELSIF phases = 1 AND target IS NOT NULL THEN
        UPDATE public.tenant_systems
        SET version_id = target, updated_at = moment, error_message = NULL,
            configurations = coalesce(configuration::jsonb, configurations),
            features_enabled = coalesce(features::jsonb, features_enabled)
        WHERE system_id = in_system AND version_id = expected AND status = 'installed'
          AND NOT EXISTS (SELECT FROM prismicx.unfinished_steps u WHERE u.system_id = in_system);
    END IF;
    IF FOUND AND guard IS NULL THEN
        RETURN;
    END IF;
    IF FOUND THEN
        -- After the row is locked, by a statement that sees what was done before.
        PERFORM prismicx.check_others(in_system, FALSE, guard::jsonb);
    ELSE
        PERFORM prismicx.take_rare_step(in_system, expected, target, phase, phases, moment, configuration, features, guard);
    END IF;
END
$$;

CREATE FUNCTION prismicx.take_rare_step(
    in_system TEXT, expected TEXT, target TEXT, phase INTEGER, phases INTEGER, moment TIMESTAMP,
    configuration TEXT, features TEXT, guard TEXT
) RETURNS VOID
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    tenant CONSTANT TEXT := current_setting('app.current_tenant_id');
    held   public.tenant_systems%ROWTYPE;
    begun  prismicx.unfinished_steps%ROWTYPE;
    found_version TEXT;
BEGIN
    SELECT * INTO held FROM public.tenant_systems WHERE system_id = in_system FOR UPDATE;
    found_version := CASE WHEN held.status = 'installed' THEN held.version_id END;
    SELECT * INTO begun FROM prismicx.unfinished_steps WHERE system_id = in_system FOR UPDATE;
    IF found_version IS DISTINCT FROM expected THEN
        RAISE EXCEPTION '% has % now, not %', tenant, coalesce(found_version, 'nothing of ' || in_system),
            coalesce(expected, 'nothing of ' || in_system) USING ERRCODE = 'PX001';
    END IF;
    -- Whatever is half done goes away with the schema.
    IF target IS NOT NULL
        AND (coalesce(begun.phases_done, 0) <> phase OR (phase > 0 AND begun.version_to IS DISTINCT FROM target)) THEN
        RAISE EXCEPTION '% is between % and %, with % phases done', tenant, coalesce(begun.version_from, 'nothing'),
            coalesce(begun.version_to, target), coalesce(begun.phases_done, 0) USING ERRCODE = 'PX002';
    END IF;
    IF guard IS NOT NULL OR expected IS NULL THEN
        PERFORM prismicx.check_others(in_system, expected IS NULL, guard::jsonb);
    END IF;
    IF phase + 1 < phases THEN
        INSERT INTO prismicx.unfinished_steps
            (tenant_id, system_id, version_from, version_to, phases_done, updated_at)
        VALUES (tenant, in_system, expected, target, phase + 1, moment)
        ON CONFLICT (tenant_id, system_id) DO UPDATE SET phases_done = excluded.phases_done, updated_at = moment;
        RETURN;
    END IF;
    IF phases > 1 OR target IS NULL THEN
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
COMMENT ON FUNCTION prismicx.take_rare_step(TEXT, TEXT, TEXT, INTEGER, INTEGER, TIMESTAMP, TEXT, TEXT, TEXT) IS
    'One phase of one step of the current tenant, whatever it is';
REVOKE ALL ON FUNCTION prismicx.take_rare_step(TEXT, TEXT, TEXT, INTEGER, INTEGER, TIMESTAMP, TEXT, TEXT, TEXT)
    FROM PUBLIC;
GRANT EXECUTE ON FUNCTION prismicx.take_rare_step(TEXT, TEXT, TEXT, INTEGER, INTEGER, TIMESTAMP, TEXT, TEXT, TEXT)
    TO prismicx_fleet;

CREATE OR REPLACE FUNCTION prismicx.end_step(in_schema TEXT) RETURNS VOID
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    -- By what the relations depend on, as nothing in pg_constraint is found by its schema; and not by a join, which takes
    -- three times as long to plan.
    IF EXISTS (
        SELECT FROM pg_constraint
        WHERE conrelid = ANY (ARRAY(
                SELECT objid FROM pg_depend
                WHERE refclassid = 'pg_namespace'::regclass AND refobjid = quote_ident(in_schema)::regnamespace
                  AND classid = 'pg_class'::regclass))
          AND condeferrable AND contype NOT IN ('f', 'u', 'p')
    ) THEN
        RAISE EXCEPTION 'a deferrable trigger or exclusion constraint would run outside the step'
            USING ERRCODE = '0A000';
    END IF;
    IF EXISTS (SELECT FROM pg_cursor() WHERE is_holdable) OR EXISTS (SELECT FROM pg_prepared_statement() WHERE from_sql)
    THEN
        RAISE EXCEPTION 'a cursor WITH HOLD or a prepared statement would run outside the step'
            USING ERRCODE = '0A000';
    END IF;
END
$$;

-- Who owns the tables looks up what they refer to with each row that comes. It may as the owner of the database, too,
-- but that is asked among all the roles it made: of two for each tenant.
GRANT USAGE ON SCHEMA public TO prismicx_owner;
