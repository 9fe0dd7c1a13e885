"""The scopes of tenants: everything of one tenant, and nothing of another."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from prismicx.audit.tracing import Trace
from prismicx.engines.scoped_documents import ScopedCollection
from prismicx.engines.scoped_sql import Sql, in_tenant_schema
from prismicx.errors import Denied, InvalidInput, NotFound, quoted
from prismicx.names import check_system_type
from prismicx.reference.definitions import CATEGORIES, PLATFORM, TASKS
from prismicx.sealing.fields import PAYLOAD, PREFERENCE, PRIVATE, Field
from prismicx.sealing.sealer import Sealer
from prismicx.systems.records import DATABASE
from prismicx.tenants.values import Entry, Tenant

if TYPE_CHECKING:
    from prismicx.categories.repository import Categories
    from prismicx.categories.transfer import CategoryTransfer
    from prismicx.engines.mongo import Client
    from prismicx.extensions.repository import Extensions
    from prismicx.insights.repository import Insights
    from prismicx.platform import Platform
    from prismicx.systems.installation import Installations
    from prismicx.tasks.repository import Tasks
    from prismicx.users.preferences import Preferences
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
        from prismicx.users.repository import Users

        secrets = partial(self._sql, "system_users", "passwords")  # nobody else's statements run as that login
        return Users(self.tenant_id, self._users_sql, secrets, self._sealer(PRIVATE), self._trace)

    @property
    def preferences(self) -> Preferences:
        """What its users prefer."""
        from prismicx.users.preferences import Preferences

        types, sealer = self._platform.preference_types, self._sealer(PREFERENCE)
        return Preferences(self._users_sql, types, self._preference_defaults, sealer, self._trace)

    @property
    def extensions(self) -> Extensions:
        """Extensions of its users, and how practical they are."""
        from prismicx.extensions.repository import Extensions

        return Extensions(self.tenant_id, lambda: self.sql("system_users", service="extensions"), self._trace)

    @property
    def tasks(self) -> Tasks:
        """Its background tasks."""
        from prismicx.tasks.repository import Tasks

        return Tasks(lambda: self.collection("tasks"), self._sealer(PAYLOAD))

    @property
    def categories(self) -> Categories:
        """Its category trees."""
        from prismicx.categories.repository import Categories

        return Categories(
            lambda: self.collection("categories"),
            lambda: self._shared_collection("category_trees", PLATFORM, "categories"),
            self._trace,
        )

    @property
    def category_transfer(self) -> CategoryTransfer:
        """Whole trees of categories, from and to files."""
        from prismicx.categories.transfer import CategoryTransfer

        return CategoryTransfer(self.categories, lambda: self.collection("categories"), self._trace)

    @property
    def insights(self) -> Insights:
        """What is known about the interests of its users."""
        from prismicx.insights.repository import Insights

        return Insights(lambda: self.collection("user_insights"), self._trace)

    @property
    def user_transfer(self) -> Transfer:
        """Many of its users at once, from and to files."""
        from prismicx.users.transfer import Transfer

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
        return self._sql(database, service or services[0])

    def _sql(self, database: SqlDatabase, service: str) -> Sql:
        return Sql(
            self._platform._postgres,
            service,
            database,
            self.tenant_id,
            view=self._platform._names.extensions_view(self.tenant_id),
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
        found = self.tenant.settings.get("preferences")
        return found if isinstance(found, Mapping) else {}

    async def _insights_collection(self) -> ScopedCollection:
        if self.tenant.placement != "dedicated":
            # Asked for each time: the credentials may have been rotated since.
            return self._insights_by(await self._platform._mongo.service("insights"))
        if self._insights is None:
            url = await self._platform._connection_string(self._entry)
            if self._insights is not None:
                return self._insights  # another one was faster, and it is held once
            self._insights = self._insights_by(self._platform._mongo.hold(url))
            self._held = url
        return self._insights

    def _insights_by(self, client: Client) -> ScopedCollection:
        collection = client[self.tenant.database]["user_insights"]
        return ScopedCollection(collection, self.tenant_id, ["user_insights"], refused=self._trace.documents_refused)

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
