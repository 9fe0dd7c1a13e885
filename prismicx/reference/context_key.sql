-- name: exists
SELECT to_regclass('prismicx.context_key') IS NOT NULL

-- name: pads
SELECT pads FROM prismicx.context_key

-- name: put
INSERT INTO prismicx.context_key (pads, set_at) VALUES ($1, now() AT TIME ZONE 'UTC')
ON CONFLICT (only_row) DO UPDATE SET pads = excluded.pads, set_at = excluded.set_at

-- name: touch
-- Sessions keep the key in the plans of this function; now they make them anew. An older release does not have it.
DO $$
BEGIN
    IF to_regprocedure('prismicx.proven_tenant()') IS NOT NULL THEN
        ALTER FUNCTION prismicx.proven_tenant() STABLE;
    END IF;
END
$$
