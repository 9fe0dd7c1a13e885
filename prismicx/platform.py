"""The platform: it owns the connections and hands out scopes.

The code of a room is read when somebody enters it: reading all of it takes longer than most commands do.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prismicx.audit.reading import Audit
from prismicx.audit.tracing import Trace
from prismicx.audit.trail import Trail
from prismicx.credentials import Credentials
from prismicx.engines.endpoints import Endpoints, locate, locate_keys
from prismicx.engines.mongo import Mongo
from prismicx.engines.postgres import Postgres
from prismicx.errors import Denied, PrismicXError
from prismicx.names import Names
from prismicx.remembered import Remembered
from prismicx.scopes import ScopeOpening
from prismicx.sealing.fields import CONFIGURATION, CONNECTION
from prismicx.sealing.keysets import Keysets
from prismicx.sealing.sealer import Sealer
from prismicx.settings import Settings, load
from prismicx.systems.installed import Installation
from prismicx.tenants.connection import connection_string
from prismicx.tenants.registry import Registry
from prismicx.tenants.values import Entry

if TYPE_CHECKING:
    from prismicx.fleet.fleet import Fleet
    from prismicx.sealing.administration import KeyAdministration
    from prismicx.systems.catalogue import Catalogue
    from prismicx.systems.installation import Installations
    from prismicx.tenants.tenants import Tenants
    from prismicx.users.preference_types import PreferenceTypes


class Platform:
    """One platform over both engines, made by `connect`.

    Attributes:
        audit: who did what to which tenant.
    """

    def __init__(self, settings: Settings, endpoints: Endpoints) -> None:
        names = Names(settings.namespace)
        credentials = Credentials(settings.credentials_file)
        self._names = names
        self._postgres = Postgres(endpoints.postgres, names, credentials, settings)
        self._mongo = Mongo(endpoints.mongo, names, credentials, settings)
        self._registry = Registry(self._mongo, names, settings.registry_cache)
        self._installed: Remembered[tuple[str, str], Installation] = Remembered(settings.registry_cache)
        self._trail = Trail(self._postgres, settings.actor)
        self._trace = Trace(self._trail)
        self._endpoints, self._settings = endpoints, settings
        self.audit = Audit(self._postgres)
        self._keysets = Keysets(self._mongo, names, lambda: locate_keys(settings), settings.keyset_cache)

    @cached_property
    def tenants(self) -> Tenants:
        """Makes, lists and changes tenants, and lets them in or not."""
        from prismicx.tenants.provisioning import Provisioning
        from prismicx.tenants.tenants import Tenants

        provisioning = Provisioning(
            self._registry, self._postgres, self._mongo, self._endpoints.mongo, self._names,
            self._settings.shared_capacity, self._keysets,
        )  # fmt: skip
        return Tenants(self._registry, provisioning, self.preference_types.check_defaults, self._trace)

    @cached_property
    def catalogue(self) -> Catalogue:
        """The management systems that can be installed."""
        from prismicx.systems.catalogue import Catalogue

        return Catalogue(self._postgres, self._names, self._trace)

    @cached_property
    def fleet(self) -> Fleet:
        """Plans and rollouts over many tenants, and where each one stands."""
        from prismicx.fleet.fleet import Fleet

        return Fleet(self._postgres, self._registry, self._names, self._installations, self._trace)

    @cached_property
    def preference_types(self) -> PreferenceTypes:
        """What services register of the preferences they read."""
        from prismicx.users.preference_types import PreferenceTypes

        return PreferenceTypes(self._postgres, self._settings.registry_cache, self._trace)

    @cached_property
    def keys(self) -> KeyAdministration:
        """Rotates and destroys the keys of tenants' sealed fields."""
        from prismicx.sealed_places import SealedPlaces
        from prismicx.sealing.administration import KeyAdministration
        from prismicx.sealing.erasure import Erasure
        from prismicx.sealing.rotation import Rotation

        places = SealedPlaces(
            self._postgres, self._mongo, self._names, self._registry, self._keysets, self.preference_types
        )
        rotation, erasure = Rotation(self._keysets, places.of), Erasure(self._keysets, self._flush)
        return KeyAdministration(self._status_of, rotation, erasure, self._trace)

    def tenant(self, tenant_id: str) -> ScopeOpening:
        """The scope of a tenant: ``async with px.tenant("acme") as tenant``, the only way to its data.

        The registry is asked once, when the scope is opened, through a cache no older than ``registry_cache``
        seconds.

        Raises:
            InvalidInput: ``tenant.id_invalid``.
            NotFound: ``tenant.unknown``.
            Denied: ``tenant.suspended`` or ``tenant.inactive``.
            Conflict: ``tenant.provisioning``.
        """
        return ScopeOpening(self, tenant_id)

    def _installations(self, tenant_id: str) -> Installations:
        from prismicx.systems.installation import Installations

        sealer, trace = Sealer(self._keysets, tenant_id, CONFIGURATION), Trace(self._trail, tenant_id)
        return Installations(tenant_id, self._postgres, self._names, self._installed, sealer, trace)

    async def _connection_string(self, entry: Entry) -> str:
        tenant_id = entry.tenant.tenant_id
        sealer = Sealer(self._keysets, tenant_id, CONNECTION)
        try:
            return await connection_string(sealer, tenant_id, entry.connection_string)
        except Denied:
            # What the registry was remembered to hold may have been sealed by a key that is retired by now.
            now = await self._registry.entry(tenant_id)
            if now.connection_string == entry.connection_string:
                raise
            return await connection_string(sealer, tenant_id, now.connection_string)

    async def _status_of(self, tenant_id: str) -> str:
        return (await self._registry.get(tenant_id)).status

    async def _flush(self, tenant_id: str) -> None:
        """End what is open of a tenant whose keys are to be destroyed."""
        entry = await self._registry.entry(tenant_id)
        self._registry.forget(tenant_id)
        if entry.tenant.placement == "dedicated":
            try:
                await self._mongo.forget(await self._connection_string(entry))
            except PrismicXError as error:
                # A destruction that was cut off is finished: the string does not open any more.
                if error.code not in ("keys.destroyed", "keys.unknown", "keys.cannot_open"):
                    raise

    async def close(self) -> None:
        """Write what the audit trail waits for, and close every connection."""
        self._keysets.close()
        try:
            await self._trail.close()
        finally:
            await self._postgres.close()
            await self._mongo.close()


def connect(*, config: Path | None = None, **flags: Any) -> AbstractAsyncContextManager[Platform]:
    """A platform, with settings from the arguments, the environment, ``prismicx.toml`` and the defaults.

    The engines must run: those named by URL, or the embedded ones that ``prismicx up`` started.

    Args:
        config: the settings file, if not ``prismicx.toml`` in the working directory.
        flags: any setting by its name, such as ``data`` or ``postgres_url``.

    Raises:
        InvalidInput: ``settings.*``.
        Unavailable: ``engine.not_running``.
    """
    return open_platform(load(flags, file=config).settings)


@asynccontextmanager
async def open_platform(settings: Settings) -> AsyncIterator[Platform]:
    """A platform with these settings."""
    platform = Platform(settings, locate(settings))
    try:
        yield platform
    finally:
        await platform.close()
