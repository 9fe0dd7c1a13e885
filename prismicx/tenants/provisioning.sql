-- name: create_roles
SELECT prismicx.create_tenant_roles($1, $2)

-- name: create_extensions_view
SELECT prismicx.create_extensions_view($1, $2)
