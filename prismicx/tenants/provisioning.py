"""Provisioning: the steps that bring a tenant into being in both engines.

Every step can be taken twice, and is written down when it is done. A tenant becomes ``active`` only after the last
one, so what a killed provisioning leaves is not routable, and the same call once more finishes it.
Reference: Multi-Tenancy Implementation.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from pymongo.errors import DuplicateKeyError, OperationFailure

from prismicx.clock import utc_milliseconds
from prismicx.credentials import generate
from prismicx.engines.endpoints import Endpoint, login_of
from prismicx.engines.mongo import USERS, Client, Mongo
from prismicx.engines.postgres import Postgres
from prismicx.errors import Conflict
from prismicx.names import Names
from prismicx.reference.apply import ensure_collection, ensure_role
from prismicx.reference.definitions import INSIGHTS, PLATFORM, collection, services
from prismicx.statements import Statements
from prismicx.tenants.registry import Registry
from prismicx.tenants.values import NewTenant, Tenant, entry_of

Document = dict[str, Any]
Step = tuple[str, Callable[[], Awaitable[object]]]

_sql = Statements(__package__, "provisioning.sql")
_USER_EXISTS = 51003
_INSIGHTS = collection(f"{INSIGHTS}.user_insights")
_INSIGHTS_SERVICE = next(service for service in services() if service.name == "insights")


class Provisioning:
    """Makes tenants."""

    def __init__(
        self,
        registry: Registry,
        postgres: Postgres,
        mongo: Mongo,
        endpoint: Endpoint,
        names: Names,
        shared_capacity: int,
    ) -> None:
        self._registry = registry
        self._postgres = postgres
        self._mongo = mongo
        self._endpoint = endpoint
        self._names = names
        self._shared_capacity = shared_capacity

    async def create(self, new: NewTenant) -> Tenant:
        """Make a tenant, or finish making it where an earlier call was cut off.

        Raises:
            Conflict: ``tenant.exists``, or ``tenant.provisioning_differs`` when it is half made with other values.
            Unavailable: an engine cannot be used; nothing routable is left, and the call can be repeated.
        """
        document = await self._begin(new)
        steps = _Steps(await self._mongo.service("registry"), self._names, document["tenant_id"])
        done = await steps.begin(self._names_used(document))
        # The engines do not depend on one another: their steps run side by side.
        await asyncio.gather(
            *(self._take(lane, steps, done) for lane in (self._in_postgres(document), self._in_mongo(document)))
        )
        await self._take([("registry_database", lambda: self._join_database(document))], steps, done)
        return await self._activate(document, steps)

    async def _begin(self, new: NewTenant) -> Document:
        tenants = await self._registry.collection("tenants")
        found = await tenants.find_one({"tenant_id": new.tenant_id})
        if found is None:
            document = await self._document(new)
            try:
                await tenants.insert_one(document)
                return document
            except DuplicateKeyError:
                found = await tenants.find_one({"tenant_id": new.tenant_id}) or document
        tenant = entry_of(found).tenant
        if tenant.status != "provisioning":
            raise Conflict(
                "tenant.exists",
                f"the tenant {new.tenant_id} exists already and is {tenant.status}",
                "choose another id",
            )
        begun = NewTenant(tenant.tenant_id, tenant.name, tenant.placement, tenant.tier, tenant.region)
        if begun != new:
            raise Conflict(
                "tenant.provisioning_differs",
                f"the tenant {new.tenant_id} is half made with other values: {begun}",
                "finish it with those values, then change them",
            )
        return found

    async def _document(self, new: NewTenant) -> Document:
        if new.placement == "dedicated":
            name = self._names.tenant_database(new.tenant_id)
            login = self._names.tenant_role(new.tenant_id)
            config = {"connection_string": self._endpoint.mongo(name, login, generate())}
        else:
            name = await self._shared_database()
            # The service's login opens it; a secret that many share is not copied into each tenant's document.
            config = {"connection_string": f"mongodb://{self._endpoint.host}/{name}", "shard_key": "tenant_id"}
        labels = {"tier": new.tier, "region": new.region}
        return {
            "tenant_id": new.tenant_id,
            "name": new.name,
            "database_config": {"type": new.placement, "database_name": name, **config},
            "created_at": utc_milliseconds(),
            "status": "provisioning",
            "settings": {},
            **{label: value for label, value in labels.items() if value is not None},
        }

    async def _shared_database(self) -> str:
        databases = await self._registry.collection("tenant_databases")
        full = f"tenants.{self._shared_capacity - 1}"
        roomy = await databases.find_one({"type": "shared", "status": "active", full: {"$exists": False}})
        if roomy is not None:
            return str(roomy["database_name"])
        return self._names.shared_database(await databases.count_documents({"type": "shared"}) + 1)

    def _names_used(self, document: Document) -> dict[str, str]:
        tenant_id = document["tenant_id"]
        return {
            "postgres_role": self._names.tenant_role(tenant_id),
            "postgres_owner": self._names.tenant_owner(tenant_id),
            "extensions_view": self._names.extensions_view(tenant_id),
            "insights_database": document["database_config"]["database_name"],
        }

    def _in_postgres(self, document: Document) -> list[Step]:
        tenant_id = document["tenant_id"]
        used = self._names_used(document)

        async def roles() -> None:
            pool = await self._postgres.pool("registry", "management_system_repository")
            await pool.execute(_sql.create_roles, used["postgres_role"], used["postgres_owner"])

        async def view() -> None:
            pool = await self._postgres.pool("registry", "system_users")
            await pool.execute(_sql.create_extensions_view, tenant_id, used["extensions_view"])

        return [("postgres_roles", roles), ("postgres_extensions_view", view)]

    def _in_mongo(self, document: Document) -> list[Step]:
        config = document["database_config"]
        name, shared = config["database_name"], config["type"] == "shared"

        async def insights() -> None:
            client = await self._mongo.service("registry")
            await ensure_collection(client[name], _INSIGHTS, shared)

        async def user() -> None:
            client = await self._mongo.service("registry")
            held = login_of(config["connection_string"])
            roles = [{"role": "readWrite", "db": name}]
            try:
                await client[name].command("createUser", held.login, pwd=held.password, roles=roles)
            except OperationFailure as error:
                if error.code != _USER_EXISTS:
                    raise
                # It is ours, from a call that was cut off, or left by a tenant that had the id before.
                await client[name].command("updateUser", held.login, pwd=held.password, roles=roles)

        async def right() -> None:
            client = await self._mongo.service("registry")
            databases = await self._registry.collection("tenant_databases")
            rows = databases.find({"type": "shared"})
            shared_databases = {name, *[row["database_name"] async for row in rows]}
            await ensure_role(client[USERS], _INSIGHTS_SERVICE, self._names, shared_databases)

        return [("mongo_insights", insights), ("mongo_right", right) if shared else ("mongo_user", user)]

    async def _join_database(self, document: Document) -> None:
        config = document["database_config"]
        databases = await self._registry.collection("tenant_databases")
        region = {"region": document["region"]} if "region" in document and config["type"] == "dedicated" else {}
        await databases.update_one(
            {"database_name": config["database_name"]},
            {
                "$addToSet": {"tenants": document["tenant_id"]},
                "$setOnInsert": {
                    "type": config["type"],
                    "status": "active",
                    "created_at": utc_milliseconds(),
                    "server": self._endpoint.host,
                    **region,
                },
            },
            upsert=True,
        )

    async def _take(self, lane: list[Step], steps: _Steps, done: set[str]) -> None:
        for name, step in lane:
            if name not in done:
                await step()
                await steps.record(name)

    async def _activate(self, document: Document, steps: _Steps) -> Tenant:
        tenant_id = document["tenant_id"]
        tenants = await self._registry.collection("tenants")
        await tenants.update_one(
            {"tenant_id": tenant_id, "status": "provisioning"},
            {"$set": {"status": "active", "updated_at": utc_milliseconds()}},
        )
        await steps.finish()
        self._registry.forget(tenant_id)
        return await self._registry.get(tenant_id)


class _Steps:
    """The journal of one tenant: which steps are done, and when."""

    def __init__(self, client: Client, names: Names, tenant_id: str) -> None:
        self._collection = client[names.server_wide(PLATFORM)]["provisioning"]
        self._tenant = {"tenant_id": tenant_id}

    async def begin(self, used: dict[str, str]) -> set[str]:
        """The steps that are done already."""
        fresh = {"steps": {}, "names": used, "started_at": utc_milliseconds()}
        began = await self._collection.update_one(self._tenant, {"$setOnInsert": fresh}, upsert=True)
        if began.upserted_id is not None:
            return set()
        held = await self._collection.find_one(self._tenant)
        return set(held["steps"]) if held else set()

    async def record(self, step: str) -> None:
        await self._collection.update_one(self._tenant, {"$set": {f"steps.{step}": utc_milliseconds()}})

    async def finish(self) -> None:
        await self._collection.update_one(self._tenant, {"$set": {"finished_at": utc_milliseconds()}})
