"""The key service: wrapping keys in a process of their own, behind the interface of Vault's transit engine."""
