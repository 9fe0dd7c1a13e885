"""Users of a tenant and what they prefer. Reference: System Users Database."""
