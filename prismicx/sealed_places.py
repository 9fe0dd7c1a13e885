"""Where all the sealed values of a tenant are, in both engines, whatever the tenant's state."""

from __future__ import annotations

from prismicx.engines.mongo import Mongo
from prismicx.engines.postgres import Postgres
from prismicx.engines.scoped_documents import ScopedCollection
from prismicx.engines.scoped_sql import Sql
from prismicx.names import Names
from prismicx.reference.definitions import TASKS
from prismicx.sealing.fields import CONFIGURATION, CONNECTION, PAYLOAD, PREFERENCE, PRIVATE, Field
from prismicx.sealing.keysets import Keysets
from prismicx.sealing.places import Place
from prismicx.sealing.sealer import Sealer
from prismicx.systems.records import DATABASE
from prismicx.systems.secrets import SecretConfigurations
from prismicx.tasks.secret import SecretPayloads
from prismicx.tenants.connection import SealedConnection
from prismicx.tenants.registry import Registry
from prismicx.users.preference_types import PreferenceTypes
from prismicx.users.private import PrivateMetadata
from prismicx.users.secret_preferences import SecretPreferences


class SealedPlaces:
    """Finds them, for rotating keys."""

    def __init__(
        self,
        postgres: Postgres,
        mongo: Mongo,
        names: Names,
        registry: Registry,
        keysets: Keysets,
        types: PreferenceTypes,
    ) -> None:
        self._postgres = postgres
        self._mongo = mongo
        self._names = names
        self._registry = registry
        self._keysets = keysets
        self._types = types

    def of(self, tenant_id: str) -> list[Place]:
        """The places of a tenant: one for each declared field."""

        def sealer(field: Field) -> Sealer:
            return Sealer(self._keysets, tenant_id, field)

        def users() -> Sql:
            return Sql(self._postgres, "users", "system_users", tenant_id)

        def systems() -> Sql:
            return Sql(self._postgres, "fleet", DATABASE, tenant_id)

        async def tasks() -> ScopedCollection:
            client = await self._mongo.service("tasks")
            return ScopedCollection(client[self._names.server_wide(TASKS)]["tasks"], tenant_id, ["tasks"])

        return [
            SealedConnection(tenant_id, lambda: self._registry.collection("tenants"), sealer(CONNECTION)),
            PrivateMetadata(tenant_id, users, sealer(PRIVATE)),
            SecretPreferences(tenant_id, users, sealer(PREFERENCE), self._types),
            SecretConfigurations(systems, sealer(CONFIGURATION)),
            SecretPayloads(tasks, sealer(PAYLOAD)),
        ]
