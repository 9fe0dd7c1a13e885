"""Management systems: folders that are published, the catalogue of them, and their installation for tenants."""
