"""The platform: it owns the connections and hands out scopes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, Literal

from prismicx.audit.reading import Audit
from prismicx.audit.tracing import Trace
from prismicx.audit.trail import Trail
from prismicx.categories.repository import Categories
from prismicx.categories.transfer import CategoryTransfer
from prismicx.credentials import Credentials
from prismicx.engines.endpoints import Endpoints, locate, locate_keys
from prismicx.engines.mongo import Mongo
from prismicx.engines.postgres import Postgres
from prismicx.engines.scoped_documents import ScopedCollection
from prismicx.engines.scoped_sql import Sql, in_tenant_schema
from prismicx.errors import Denied, InvalidInput, NotFound, PrismicXError, quoted
from prismicx.extensions.repository import Extensions
from prismicx.fleet.fleet import Fleet
from prismicx.insights.repository import Insights
from prismicx.names import Names, check_system_type
from prismicx.reference.definitions import CATEGORIES, PLATFORM, TASKS
from prismicx.remembered import Remembered
from prismicx.sealed_places import SealedPlaces
from prismicx.sealing.administration import KeyAdministration
from prismicx.sealing.erasure import Erasure
from prismicx.sealing.fields import CONFIGURATION, CONNECTION, PAYLOAD, PREFERENCE, PRIVATE, Field
from prismicx.sealing.keysets import Keysets
from prismicx.sealing.rotation import Rotation
from prismicx.sealing.sealer import Sealer
from prismicx.settings import Settings, load
from prismicx.systems.catalogue import DATABASE, Catalogue
from prismicx.systems.installation import Installations
from prismicx.systems.installed import Installation
from prismicx.tasks.repository import Tasks
from prismicx.tenants.connection import connection_string
from prismicx.tenants.provisioning import Provisioning
from prismicx.tenants.registry import Registry
from prismicx.tenants.tenants import Tenants
from prismicx.tenants.values import Entry, Tenant
from prismicx.users.preferences import Preferences, PreferenceTypes
from prismicx.users.repository import Users
from prismicx.users.transfer import Transfer

SqlDatabase = Literal["system_users", "management_system_repository"]
CollectionName = Literal["tasks", "categories", "user_insights"]

_SQL_SERVICES: dict[str, tuple[str, ...]] = {
    "system_users": ("users", "extensions"),
    "management_system_repository": ("systems",),
}
"""The services a tenant's transaction may run as, by database; the first is the default."""

_SHARED_COLLECTIONS = {"tasks": (TASKS, "tasks"), "categories": (CATEGORIES, "categories")}
"""The shared collections: their database and the service that reads and writes them."""


class Platform:
    """One platform over both engines, made by `connect`.

    Attributes:
        tenants: makes, lists and changes tenants, and lets them in or not.
        catalogue: the management systems that can be installed.
        audit: who did what to which tenant.
        fleet: plans and rollouts over many tenants, and where each one stands.
        preference_types: what services register of the preferences they read.
        keys: rotates and destroys the keys of tenants' sealed fields.
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
        trace = Trace(self._trail)
        self.audit = Audit(self._postgres)
        self._keysets = Keysets(self._mongo, names, lambda: locate_keys(settings), settings.keyset_cache)
        self.catalogue = Catalogue(self._postgres, names, trace)
        self.preference_types = PreferenceTypes()
        self.fleet = Fleet(self._postgres, self._registry, names, self._installations, trace)
        self.tenants = Tenants(
            self._registry,
            Provisioning(
                self._registry, self._postgres, self._mongo, endpoints.mongo, names, settings.shared_capacity,
                self._keysets,
            ),
            trace,
        )  # fmt: skip
        places = SealedPlaces(self._postgres, self._mongo, names, self._registry, self._keysets, self.preference_types)
        self.keys = KeyAdministration(
            self._status_of, Rotation(self._keysets, places.of), Erasure(self._keysets, self._flush)
        )

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


class ScopeOpening:
    """Opens the scope of a tenant when its ``async with`` block begins, and closes it when the block ends."""

    __slots__ = ("_platform", "_scope", "_tenant_id")

    def __init__(self, platform: Platform, tenant_id: str) -> None:
        self._platform = platform
        self._tenant_id = tenant_id

    async def __aenter__(self) -> TenantScope:
        registry = self._platform._registry
        entry = registry.known(self._tenant_id) or await self._asked()
        self._scope = TenantScope(self._platform, entry)
        return self._scope

    async def _asked(self) -> Entry:
        try:
            return await self._platform._registry.routable(self._tenant_id)
        except Denied as error:
            self._platform._trail.denied("scope.open", error.code, self._tenant_id)
            raise
        except NotFound as error:
            self._platform._trail.denied("scope.open", error.code, subject=self._tenant_id)
            raise

    async def __aexit__(self, *_: object) -> None:
        if self._scope._held is not None:
            await self._scope._close()


class TenantScope:
    """Everything of one tenant, and nothing of another.

    Attributes:
        tenant_id: the tenant's id.
    """

    __slots__ = ("_entry", "_held", "_insights", "_platform", "_trace", "tenant_id")

    def __init__(self, platform: Platform, entry: Entry) -> None:
        self._platform = platform
        self._entry = entry
        self.tenant_id = entry.tenant.tenant_id
        self._trace = Trace(platform._trail, self.tenant_id)
        self._held: str | None = None  # the URL of the tenant's own client, while it is used
        self._insights: ScopedCollection | None = None

    @property
    def tenant(self) -> Tenant:
        """What the registry knew of it when the scope was opened."""
        return self._entry.tenant

    @property
    def users(self) -> Users:
        """Its users."""
        return Users(self.tenant_id, self._users_sql, self._sealer(PRIVATE), self._trace)

    @property
    def preferences(self) -> Preferences:
        """What its users prefer."""
        types, sealer = self._platform.preference_types, self._sealer(PREFERENCE)
        return Preferences(self._users_sql, types, self._preference_defaults, sealer, self._trace)

    @property
    def extensions(self) -> Extensions:
        """Extensions of its users, and how practical they are."""
        return Extensions(self.tenant_id, lambda: self.sql("system_users", service="extensions"), self._trace)

    @property
    def tasks(self) -> Tasks:
        """Its background tasks."""
        return Tasks(lambda: self.collection("tasks"), self._sealer(PAYLOAD))

    @property
    def categories(self) -> Categories:
        """Its category trees."""
        return Categories(
            lambda: self.collection("categories"),
            lambda: self._shared_collection("category_trees", PLATFORM, "categories"),
            self._trace,
        )

    @property
    def category_transfer(self) -> CategoryTransfer:
        """Whole trees of categories, from and to files."""
        return CategoryTransfer(self.categories, lambda: self.collection("categories"), self._trace)

    @property
    def insights(self) -> Insights:
        """What is known about the interests of its users."""
        return Insights(lambda: self.collection("user_insights"), self._trace)

    @property
    def user_transfer(self) -> Transfer:
        """Many of its users at once, from and to files."""
        return Transfer(self.tenant_id, self.users, self._users_sql, self._sealer(PRIVATE), self._trace)

    @property
    def systems(self) -> Installations:
        """The management systems it has installed."""
        return self._platform._installations(self.tenant_id)

    def sql(self, database: SqlDatabase, *, service: str | None = None) -> Sql:
        """A transaction on the shared tables of a database, under row-level security:
        ``async with tenant.sql("system_users") as sql``.

        Args:
            service: whose rights it has: ``users`` (the default) or ``extensions`` in ``system_users``.

        Raises:
            InvalidInput: ``scope.database_unknown`` or ``scope.service_unknown``.
            BoundaryViolation, Conflict, Unavailable: see `prismicx.engines.scoped_sql.Sql`.
        """
        services = _SQL_SERVICES.get(database)
        if services is None:
            raise InvalidInput(
                "scope.database_unknown",
                f"there is no database {quoted(database)}",
                f"databases are {', '.join(_SQL_SERVICES)}",
            )
        if service is not None and service not in services:
            raise InvalidInput(
                "scope.service_unknown",
                f"{quoted(service)} is no service of {database}",
                f"services are {', '.join(services)}",
            )
        return Sql(
            self._platform._postgres,
            service or services[0],
            database,
            self.tenant_id,
            refused=self._trace.statement_refused,
        )

    def system(self, system_type: str) -> SystemScope:
        """The tenant's installation of a type of management system, such as ``crm``.

        Raises:
            InvalidInput: ``system.type_invalid``.
        """
        return SystemScope(self, check_system_type(system_type))

    async def collection(self, name: CollectionName) -> ScopedCollection:
        """A collection, as far as it is this tenant's: ``tasks``, ``categories`` or ``user_insights``.

        Raises:
            InvalidInput: ``scope.collection_unknown``.
            Unavailable, Denied: MongoDB cannot be used.
        """
        if name == "user_insights":
            return await self._insights_collection()
        if name not in _SHARED_COLLECTIONS:
            known = ", ".join([*_SHARED_COLLECTIONS, "user_insights"])
            raise InvalidInput(
                "scope.collection_unknown", f"there is no collection {quoted(name)}", f"collections are {known}"
            )
        return await self._shared_collection(name, *_SHARED_COLLECTIONS[name])

    async def _shared_collection(self, name: str, database: str, service: str) -> ScopedCollection:
        client = await self._platform._mongo.service(service)
        collection = client[self._platform._names.server_wide(database)][name]
        return ScopedCollection(collection, self.tenant_id, [name], refused=self._trace.documents_refused)

    def _sealer(self, field: Field) -> Sealer:
        return Sealer(self._platform._keysets, self.tenant_id, field)

    def _users_sql(self) -> Sql:
        return self.sql("system_users")

    def _preference_defaults(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.tenant.settings.get("preferences", {})
        return found

    async def _insights_collection(self) -> ScopedCollection:
        if self._insights is None:
            if self.tenant.placement == "dedicated":
                url = await self._platform._connection_string(self._entry)
                client = self._platform._mongo.hold(url)
                self._held = url
            else:
                client = await self._platform._mongo.service("insights")
            collection = client[self.tenant.database]["user_insights"]
            self._insights = ScopedCollection(
                collection, self.tenant_id, ["user_insights"], refused=self._trace.documents_refused
            )
        return self._insights

    async def _close(self) -> None:
        held, self._held = self._held, None
        if held is not None:
            await self._platform._mongo.release(held)


class SystemScope:
    """One installed system of one tenant."""

    def __init__(self, scope: TenantScope, system_type: str) -> None:
        self._scope = scope
        self._type = system_type

    @property
    def schema(self) -> str:
        """The schema that holds its tables."""
        return self._scope._platform._names.schema(self._scope.tenant_id, self._type)

    def sql(self) -> Sql:
        """A transaction in the schema, as the tenant's own role, which reaches that tenant's schemas only:
        ``async with tenant.system("crm").sql() as sql``.

        Raises:
            NotFound: ``system.not_installed``.
            BoundaryViolation, Conflict, Unavailable: see `prismicx.engines.scoped_sql.Sql`.
        """
        scope = self._scope
        platform = scope._platform
        schema = self.schema
        becoming = in_tenant_schema(platform._names.tenant_role(scope.tenant_id), schema)

        async def label() -> str:
            installed = await scope.systems.place_of_type(self._type)
            # With the time: going back to a version does not give back the very same tables.
            return f"/* {schema} {installed.version} {installed.updated_at:%Y%m%dT%H%M%S.%f} */ "

        refused = scope._trace.statement_refused
        return Sql(platform._postgres, "systems", DATABASE, scope.tenant_id, becoming, label=label, refused=refused)


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
