-- name: create_roles
SELECT prismicx.create_tenant_roles($1, $2)

-- name: make_runner
-- One transaction at a time makes such a function, in a millisecond or two.
SELECT prismicx.make_runner($1)

-- name: create_extensions_view
SELECT prismicx.create_extensions_view($1, $2)
