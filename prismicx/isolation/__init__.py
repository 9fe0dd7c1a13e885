"""Isolation that is shown: attacks on the live platform, and protections broken on purpose to see them noticed."""
