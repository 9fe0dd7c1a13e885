"""PostgreSQL and MongoDB: where they are, the connections to them, and what a tenant may do with those."""
