"""The audit trail: who did what to which tenant, in a chain of hashes that is only ever added to."""
