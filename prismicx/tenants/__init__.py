"""The registry of tenants, and how a tenant comes into being in both engines."""
