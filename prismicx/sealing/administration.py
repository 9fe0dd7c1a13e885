"""What operators do with the keys of tenants."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from prismicx.audit.tracing import Trace, audited
from prismicx.sealing.erasure import Erasure, Receipt
from prismicx.sealing.keysets import destroyed
from prismicx.sealing.rotation import KeysetStatus, Progress, Rotation, Sealing, WrappingKey


def _counted(done: Sealing) -> dict[str, Any]:
    return {"sealed": sum(done.sealed.values()), "left": done.left, "retired": len(done.retired)}


@dataclass(frozen=True, slots=True)
class KeyStatus:
    """The keys of a tenant.

    Attributes:
        wrapping_key: None when it was destroyed.
        receipt: of its destruction.
    """

    tenant_id: str
    wrapping_key: WrappingKey | None
    keysets: list[KeysetStatus]
    receipt: Receipt | None


class KeyAdministration:
    """Rotates, destroys and tells of the keys of tenants.

    Args:
        status_of: the state of a tenant; raises where there is none.

    Every method may raise what `prismicx.sealing.keysets.Keysets.open` does, and:
        InvalidInput: ``tenant.id_invalid``.
        NotFound: ``tenant.unknown``.
    """

    def __init__(
        self, status_of: Callable[[str], Awaitable[str]], rotation: Rotation, erasure: Erasure, trace: Trace
    ) -> None:
        self._trace = trace
        self._status_of = status_of
        self._rotation = rotation
        self._erasure = erasure

    async def status(self, tenant_id: str) -> KeyStatus:
        """Which keys a tenant has, and how many values each of them sealed. It reads all of them."""
        await self._status_of(tenant_id)
        receipt = await self._erasure.receipt(tenant_id)
        wrapping = None if receipt is not None else await self._rotation.wrapping_key(tenant_id)
        return KeyStatus(tenant_id, wrapping, await self._rotation.status(tenant_id), receipt)

    @audited("key.rotate_wrapping", tenant="tenant_id", told=lambda made: {"version": made.version})
    async def rotate_wrapping_key(self, tenant_id: str) -> WrappingKey:
        """Give a tenant's wrapping key another version; the ones before open nothing any more.

        Raises:
            Conflict: ``keys.destroyed`` or ``keys.busy``.
        """
        await self._check(tenant_id)
        return await self._rotation.rotate_wrapping_key(tenant_id)

    @audited("key.rotate_data", tenant="tenant_id", told=_counted)
    async def rotate_data_keys(self, tenant_id: str, progress: Progress = lambda _field, _count: None) -> Sealing:
        """Give a tenant's keysets a new key each, and seal everything anew; see `seal`.

        Raises:
            Conflict: ``keys.destroyed`` or ``keys.busy``.
        """
        await self._check(tenant_id)
        await self._rotation.add_data_keys(tenant_id)
        return await self._rotation.seal(tenant_id, progress)

    @audited("key.seal", tenant="tenant_id", told=_counted)
    async def seal(self, tenant_id: str, progress: Progress = lambda _field, _count: None) -> Sealing:
        """Seal what is plain or under older keys with the keys that seal now, and retire keys that are unused, once no
        process may hold them. Cut off, it is called once more and goes on.

        Raises:
            Conflict: ``keys.destroyed``.
        """
        await self._check(tenant_id)
        return await self._rotation.seal(tenant_id, progress)

    @audited("key.destroy", tenant="tenant_id", told=lambda receipt: {"receipt": receipt.number})
    async def destroy(self, tenant_id: str) -> Receipt:
        """Destroy a tenant's wrapping key: nothing that was sealed for it opens any more, in this process at once, in
        every other after at most the time for which it holds keysets (``keyset_cache``), nor from a backup of the
        databases. What is not sealed stays as it is. A second call gives the receipt of the first, unless the key is
        there again.

        Raises:
            NotFound: ``keys.unknown`` when another key service is asked than the one that has the key.
            Conflict: ``keys.another`` when that one has a key of the same name.
            Conflict: ``keys.not_destroyed``.
        """
        return await self._erasure.destroy(tenant_id, await self._status_of(tenant_id))

    async def _check(self, tenant_id: str) -> None:
        await self._status_of(tenant_id)
        if await self._erasure.receipt(tenant_id) is not None:
            raise destroyed(tenant_id)
