-- A first step asks whether the schema is there, not which systems of its type are: that question took longer to plan,
-- anew for each tenant, than its row takes to write.
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
    -- lock that is held is the schema's, and of one type only one system has it: so who else could take the schema waits,
    -- and where the schema is not there no system of the type is there, nor half of one. It is looked for by the
    -- statement that takes a lock of a table first: from then on this session knows of schemas made by others.
    IF phases = 1 AND expected IS NULL AND target IS NOT NULL THEN
        INSERT INTO public.tenant_systems
            (tenant_id, system_id, version_id, status, installed_at, updated_at, configurations, features_enabled)
        SELECT current_setting('app.current_tenant_id'), in_system, target, 'installed', moment, moment,
            configuration::jsonb, features::jsonb
        WHERE to_regnamespace(quote_ident(in_schema)) IS NULL
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
