-- What was looked at when a step was planned is looked at again where it is taken: between the two, other commands may
-- have changed the other systems of the tenant.

-- `guard` is {"needs": {system: [version ids that will do]}, "against": [version ids of others that do not take the
-- version this leads to]}. Called when this tenant's row of the system is locked, so that whoever comes to need the
-- system waits, and what is needed is locked until the end.
CREATE FUNCTION prismicx.check_others(in_system TEXT, is_new BOOLEAN, guard JSONB) RETURNS VOID
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    tenant CONSTANT TEXT := current_setting('app.current_tenant_id');
    needed RECORD;
    other  TEXT;
BEGIN
    IF is_new THEN
        -- One schema for each type, and the lock that is held is that schema's. Nor is one's schema another's to drop.
        SELECT held.system_id INTO other
        FROM (
            SELECT system_id FROM public.tenant_systems WHERE status = 'installed'
            UNION ALL
            SELECT system_id FROM prismicx.unfinished_steps
        ) AS held JOIN public.management_systems s ON s.system_id = held.system_id
        WHERE held.system_id <> in_system
          AND s.type = (SELECT type FROM public.management_systems WHERE system_id = in_system);
        IF FOUND THEN
            RAISE EXCEPTION '% has %, which is of the same type as %', tenant, other, in_system USING ERRCODE = 'PX003';
        END IF;
    END IF;
    FOR needed IN SELECT key AS system_id, value AS versions FROM jsonb_each(guard -> 'needs') LOOP
        PERFORM FROM public.tenant_systems t
        WHERE t.system_id = needed.system_id AND t.status = 'installed' AND needed.versions ? t.version_id
        FOR SHARE;
        IF NOT FOUND OR EXISTS (
            SELECT FROM prismicx.unfinished_steps u
            WHERE u.system_id = needed.system_id AND NOT needed.versions ? u.version_to
        ) THEN
            RAISE EXCEPTION '% needs % in a version that % does not have', in_system, needed.system_id, tenant
                USING ERRCODE = 'PX004';
        END IF;
    END LOOP;
    SELECT held.version_id INTO other
    FROM (
        SELECT version_id FROM public.tenant_systems WHERE status = 'installed'
        UNION ALL
        SELECT version_to FROM prismicx.unfinished_steps
    ) AS held
    WHERE guard -> 'against' ? held.version_id;
    IF FOUND THEN
        RAISE EXCEPTION '% of % needs %', replace(other, ':', ' '), tenant, in_system USING ERRCODE = 'PX004';
    END IF;
END
$$;
COMMENT ON FUNCTION prismicx.check_others(TEXT, BOOLEAN, JSONB) IS
    'Sees that the other systems of the current tenant let a step be taken';
REVOKE ALL ON FUNCTION prismicx.check_others(TEXT, BOOLEAN, JSONB) FROM PUBLIC;

DROP FUNCTION prismicx.take_step(TEXT, TEXT, TEXT, TEXT, INTEGER, INTEGER, TIMESTAMP, TEXT, TEXT);

CREATE FUNCTION prismicx.take_step(
    in_schema TEXT, in_system TEXT, expected TEXT, target TEXT, phase INTEGER, phases INTEGER, moment TIMESTAMP,
    configuration TEXT, features TEXT, guard TEXT DEFAULT NULL
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
            -- After the row is locked, by a statement that sees what was done before.
            IF guard IS NOT NULL THEN
                PERFORM prismicx.check_others(in_system, FALSE, guard::jsonb);
            END IF;
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
COMMENT ON FUNCTION prismicx.take_step(TEXT, TEXT, TEXT, TEXT, INTEGER, INTEGER, TIMESTAMP, TEXT, TEXT, TEXT) IS
    'One phase of one step of the current tenant, with its ledger row';
REVOKE ALL ON FUNCTION prismicx.take_step(TEXT, TEXT, TEXT, TEXT, INTEGER, INTEGER, TIMESTAMP, TEXT, TEXT, TEXT)
    FROM PUBLIC;

GRANT EXECUTE ON FUNCTION prismicx.check_others(TEXT, BOOLEAN, JSONB),
    prismicx.take_step(TEXT, TEXT, TEXT, TEXT, INTEGER, INTEGER, TIMESTAMP, TEXT, TEXT, TEXT) TO prismicx_fleet;
