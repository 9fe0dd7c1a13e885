"""Whose transaction it is, said to PostgreSQL with a proof.

Policies read the tenant from a setting, and whoever can send a statement can change a setting. So they also ask for a
proof: HMAC-SHA-256 over the tenant and the backend that runs the transaction, with a key that the library has and no
service role can read. SQL that was smuggled in can name another tenant, and then sees nothing.
"""

from __future__ import annotations

import hmac
from hashlib import sha256

_BLOCK = 64
"""Bytes of a block of SHA-256."""
_REMEMBERED = 4096
"""Pairs of a tenant and a backend whose statements are kept, in some 1.5 MiB: to make them costs a point read 5 %."""


class ContextKey:
    """The key of the proofs.

    Args:
        secret: as the credentials file holds it.
    """

    __slots__ = ("_kept", "_key")

    def __init__(self, secret: str) -> None:
        self._key = sha256(secret.encode()).digest()
        self._kept: dict[tuple[str, int], str] = {}

    def proof(self, tenant_id: str, backend: int) -> str:
        """What shows a backend, named by its process id, that a transaction may be the tenant's; hexadecimal."""
        return hmac.digest(self._key, b"%b %d" % (tenant_id.encode(), backend), "sha256").hex()

    def settings(self, tenant_id: str, backend: int) -> str:
        """The statements that make a transaction of a backend the tenant's, until it ends. The id was checked by
        `names.check_tenant_id` when the scope was opened: it holds nothing that needs quoting."""
        kept = self._kept.get((tenant_id, backend))
        if kept is None:
            if len(self._kept) >= _REMEMBERED:
                self._kept.clear()
            kept = self._kept[tenant_id, backend] = (
                f"SET LOCAL app.current_tenant_id = '{tenant_id}'; "
                f"SET LOCAL app.tenant_proof = '{self.proof(tenant_id, backend)}'"
            )
        return kept

    def pads(self) -> tuple[bytes, bytes]:
        """The key as the database holds it: the inner and the outer pad of HMAC."""
        block = self._key.ljust(_BLOCK, b"\0")
        return bytes(byte ^ 0x36 for byte in block), bytes(byte ^ 0x5C for byte in block)
