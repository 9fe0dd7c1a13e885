"""Sealed fields: what is encrypted for a tenant before an engine stores it."""
