-- A setting says whose transaction it is, and whoever can send a statement can change a setting. So every table of
-- tenants also asks for a proof: HMAC-SHA-256 over tenant and backend, with a key that no service role can read.
CREATE TABLE prismicx.context_key (
    only_row BOOLEAN PRIMARY KEY DEFAULT TRUE CHECK (only_row),
    pads     BYTEA[] NOT NULL,
    set_at   TIMESTAMP NOT NULL
);

COMMENT ON TABLE prismicx.context_key IS 'The key of the proofs: inner and outer pad of HMAC, now and before the last rotation';
COMMENT ON COLUMN prismicx.context_key.pads IS 'Inner and outer pad of the key, then of the key before it';
COMMENT ON COLUMN prismicx.context_key.set_at IS 'When the key was set, UTC';

-- Declared IMMUTABLE so that the planner asks once a session and keeps the answer as a constant in the plans of
-- `proven`: a statement then pays for two hashes, not for a query. Whoever changes the key touches `proven`, and all
-- sessions make those plans anew.
CREATE FUNCTION prismicx.context_pad(number INTEGER) RETURNS BYTEA
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS 'SELECT pads[number] FROM prismicx.context_key';
REVOKE ALL ON FUNCTION prismicx.context_pad(INTEGER) FROM PUBLIC;

-- Whether the transaction may be the tenant's that it says. NULL, and so no row, while there is no key. As few
-- expressions as can be: each is made ready anew in every transaction.
CREATE FUNCTION prismicx.proven() RETURNS BOOLEAN
LANGUAGE plpgsql STABLE PARALLEL RESTRICTED SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF current_setting('app.tenant_proof', TRUE) = encode(sha256(prismicx.context_pad(2) || sha256(
        prismicx.context_pad(1)
        || convert_to(current_setting('app.current_tenant_id', TRUE) || ' ' || pg_backend_pid(), 'UTF8'))), 'hex') THEN
        RETURN TRUE;
    END IF;
    RETURN current_setting('app.tenant_proof', TRUE) = encode(sha256(prismicx.context_pad(4) || sha256(
        prismicx.context_pad(3)
        || convert_to(current_setting('app.current_tenant_id', TRUE) || ' ' || pg_backend_pid(), 'UTF8'))), 'hex');
END
$$;
COMMENT ON FUNCTION prismicx.proven() IS 'Whether the proof in app.tenant_proof is of this tenant and this backend';
REVOKE ALL ON FUNCTION prismicx.proven() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION prismicx.proven() TO prismicx_users, prismicx_extensions;
GRANT USAGE ON SCHEMA prismicx TO prismicx_users, prismicx_extensions;

-- Asked once a statement: the subquery depends on no row.
CREATE POLICY proven_context ON user_data.users AS RESTRICTIVE USING ((SELECT prismicx.proven()));
CREATE POLICY proven_context ON user_preferences.preferences AS RESTRICTIVE USING ((SELECT prismicx.proven()));
CREATE POLICY proven_context ON user_extensions.extensions AS RESTRICTIVE USING ((SELECT prismicx.proven()));
CREATE POLICY proven_context ON user_extensions.extension_metrics AS RESTRICTIVE USING ((SELECT prismicx.proven()));
CREATE POLICY proven_context ON user_extensions.practicality_factors AS RESTRICTIVE USING ((SELECT prismicx.proven()));
