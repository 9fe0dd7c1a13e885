"""Category trees of a tenant. Reference: Category Repository Database."""
