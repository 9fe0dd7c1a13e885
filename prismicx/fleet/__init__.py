"""The fleet: plans and rollouts over many tenants, and where each one stands."""
