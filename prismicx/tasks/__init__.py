"""Background tasks of a tenant, as documents. Reference: Task Repository Database."""
