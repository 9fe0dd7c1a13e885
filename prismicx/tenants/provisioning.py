"""Provisioning: the steps that bring a tenant into being in both engines.

Every step can be taken twice, and is written down when it is done. A tenant becomes ``active`` only after the last
one, so what a killed provisioning leaves is not routable, and the same call once more finishes it.
Reference: Multi-Tenancy Implementation.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.errors import DuplicateKeyError, OperationFailure

from prismicx.clock import utc_milliseconds
from prismicx.credentials import generate
from prismicx.engines.endpoints import Endpoint, login_of
from prismicx.engines.lost import told_when_lost
from prismicx.engines.mongo import USERS, Client, Mongo
from prismicx.engines.postgres import Postgres
from prismicx.errors import Conflict
from prismicx.names import Names
from prismicx.reference.apply import ensure_collection, shared_databases, widen_role
from prismicx.reference.definitions import INSIGHTS, PLATFORM, collection, services
from prismicx.sealing.fields import CONNECTION
from prismicx.sealing.keysets import Keysets
from prismicx.sealing.sealer import Sealer, Writer
from prismicx.secret import Secret
from prismicx.statements import Statements
from prismicx.tenants.connection import CONNECTION_STRING, connection_string
from prismicx.tenants.registry import Registry
from prismicx.tenants.values import NewTenant, Tenant, entry_of

Document = dict[str, Any]
Step = tuple[str, Callable[[], Awaitable[object]]]

_sql = Statements(__package__, "provisioning.sql")
_USER_EXISTS = 51003
_TRIES = 20
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
        keysets: Keysets,
    ) -> None:
        self._keysets = keysets
        self._registry = registry
        self._postgres = postgres
        self._mongo = mongo
        self._endpoint = endpoint
        self._names = names
        self._shared_capacity = shared_capacity

    @told_when_lost
    async def create(self, new: NewTenant) -> Tenant:
        """Make a tenant, or finish making it where an earlier call was cut off.

        Raises:
            Conflict: ``tenant.exists``, or ``tenant.provisioning_differs`` when it is half made with other values.
            Unavailable: an engine or the key service cannot be used; nothing routable is left, and the call can be
                repeated.
        """
        steps = _Steps(await self._mongo.service("registry"), self._names, new.tenant_id)
        # Outside any transaction: what it needs of the key service is there when the document is sealed.
        writer = await self._sealer(new.tenant_id).writer()
        document, done = await self._begin(new, steps, writer)
        # The engines do not depend on one another: their steps run side by side. Where one fails the other is waited
        # for, so that it does not meet the call that is made again.
        lanes = [self._take(lane, steps, done) for lane in (self._in_postgres(document), self._in_mongo(document))]
        for ended in await asyncio.gather(*lanes, return_exceptions=True):
            if ended is not None:
                raise ended
        return await self._activate(document, steps)

    async def _begin(self, new: NewTenant, steps: _Steps, writer: Writer) -> tuple[Document, set[str]]:
        """The tenant's document, which is written if there is none, and the steps that are done already."""
        tenants = await self._registry.collection("tenants")
        for _ in range(_TRIES):
            found = await tenants.find_one({"tenant_id": new.tenant_id})
            if found is not None:
                _check_same(new, found)
                # Earlier releases put a tenant into its database at the end: one they left half made is not in it.
                await self._join(found["database_config"]["database_name"], found)
                return found, await steps.begin(self._names_used(found))
            try:
                return await self._registry.in_transaction(
                    lambda session: self._enter(new, steps, writer, session)
                ), set()
            except DuplicateKeyError:
                # Another call has just made the same tenant, or the same shared database: look again.
                continue
        raise Conflict("tenant.changed", f"the tenant {new.tenant_id} is being changed all the time", "try again")

    async def _enter(self, new: NewTenant, steps: _Steps, writer: Writer, session: AsyncClientSession) -> Document:
        """Write down a tenant, which database holds it, and its journal, all in the session's transaction."""
        name = (
            self._names.tenant_database(new.tenant_id)
            if new.placement == "dedicated"
            else await self._shared_database(session)
        )
        document = self._document(new, name, writer)
        await self._join(name, document, session)
        tenants = await self._registry.collection("tenants")
        await tenants.insert_one(document, session=session)
        await steps.begin(self._names_used(document), session)
        return document

    def _document(self, new: NewTenant, name: str, writer: Writer) -> Document:
        if new.placement == "dedicated":
            url = self._endpoint.mongo_for_all(name, self._names.tenant_role(new.tenant_id), generate())
            config: dict[str, str] = {}
        else:
            # The service's login opens it; a secret that many share is not copied into each tenant's document.
            url = self._endpoint.mongo_for_all(name)
            config = {"shard_key": "tenant_id"}
        config["connection_string"] = writer.seal(new.tenant_id, CONNECTION_STRING, url)
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

    async def _shared_database(self, session: AsyncClientSession) -> str:
        """A shared database with room, or the name of the next one. Two transactions that chose the same write to the
        same document, so that one of them is undone and chooses again."""
        databases = await self._registry.collection("tenant_databases")
        full = f"tenants.{self._shared_capacity - 1}"
        roomy = await databases.find_one(
            {"type": "shared", "status": {"$in": ["active", "provisioning"]}, full: {"$exists": False}},
            session=session,
        )
        if roomy is not None:
            return str(roomy["database_name"])
        count = await databases.count_documents({"type": "shared"}, session=session)
        return self._names.shared_database(count + 1)

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
            # Now, beside what is done in MongoDB, and not with the first system of the tenant.
            fleet = await self._postgres.pool("fleet", "management_system_repository")
            await fleet.execute(_sql.make_runner, used["postgres_owner"])

        async def view() -> None:
            pool = await self._postgres.pool("registry", "system_users")
            await pool.execute(_sql.create_extensions_view, tenant_id, used["extensions_view"])

        return [("postgres_roles", roles), ("postgres_extensions_view", view)]

    def _in_mongo(self, document: Document) -> list[Step]:
        tenant_id, config = document["tenant_id"], document["database_config"]
        name, shared = config["database_name"], config["type"] == "shared"

        async def insights() -> None:
            client = await self._mongo.service("registry")
            await ensure_collection(client[name], _INSIGHTS, shared)

        async def user() -> None:
            client = await self._mongo.service("registry")
            url = await connection_string(self._sealer(tenant_id), tenant_id, config["connection_string"])
            held = login_of(Secret(url))
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
            for _ in range(_TRIES):
                # All of them, so that it is mended here when this took another's right away that was given meanwhile.
                shared_ones = {name, *await shared_databases(client, self._names)}
                if not await widen_role(client[USERS], _INSIGHTS_SERVICE, self._names, shared_ones):
                    return
            raise Conflict("tenant.changed", f"the rights on {name} are being changed all the time", "try again")

        return [("mongo_insights", insights), ("mongo_right", right) if shared else ("mongo_user", user)]

    def _sealer(self, tenant_id: str) -> Sealer:
        return Sealer(self._keysets, tenant_id, CONNECTION)

    async def _join(self, name: str, document: Document, session: AsyncClientSession | None = None) -> None:
        """Put a tenant down as held by a database, which is put down itself if it is new."""
        placement = document["database_config"]["type"]
        databases = await self._registry.collection("tenant_databases")
        region = {"region": document["region"]} if "region" in document and placement == "dedicated" else {}
        await databases.update_one(
            {"database_name": name},
            {
                "$addToSet": {"tenants": document["tenant_id"]},
                "$setOnInsert": {
                    "type": placement,
                    "status": "provisioning",
                    "created_at": utc_milliseconds(),
                    "server": self._endpoint.host,
                    **region,
                },
            },
            upsert=True,
            session=session,
        )

    async def _take(self, lane: list[Step], steps: _Steps, done: set[str]) -> None:
        for name, step in lane:
            if name not in done:
                await step()
                await steps.record(name)

    async def _activate(self, document: Document, steps: _Steps) -> Tenant:
        """Make the tenant and its database ``active`` and close the journal, all at once."""
        tenant_id = document["tenant_id"]
        tenants = await self._registry.collection("tenants")
        databases = await self._registry.collection("tenant_databases")

        async def work(session: AsyncClientSession) -> None:
            await tenants.update_one(
                {"tenant_id": tenant_id, "status": "provisioning"},
                {"$set": {"status": "active", "updated_at": utc_milliseconds(after=document["created_at"])}},
                session=session,
            )
            await databases.update_one(
                {"database_name": document["database_config"]["database_name"], "status": "provisioning"},
                {"$set": {"status": "active"}},
                session=session,
            )

            await steps.finish(session)

        await self._registry.in_transaction(work)
        self._registry.forget(tenant_id)
        return await self._registry.get(tenant_id)


class _Steps:
    """The journal of one tenant: which steps are done, and when."""

    def __init__(self, client: Client, names: Names, tenant_id: str) -> None:
        self._collection = client[names.server_wide(PLATFORM)]["provisioning"]
        self._tenant = {"tenant_id": tenant_id}

    async def begin(self, used: dict[str, str], session: AsyncClientSession | None = None) -> set[str]:
        """The steps that are done already."""
        fresh = {"steps": {}, "names": used, "started_at": utc_milliseconds()}
        began = await self._collection.update_one(self._tenant, {"$setOnInsert": fresh}, upsert=True, session=session)
        if began.upserted_id is not None:
            return set()
        held = await self._collection.find_one(self._tenant, session=session)
        return set(held["steps"]) if held else set()

    async def record(self, step: str) -> None:
        await self._collection.update_one(self._tenant, {"$set": {f"steps.{step}": utc_milliseconds()}})

    async def finish(self, session: AsyncClientSession) -> None:
        moment = utc_milliseconds()
        await self._collection.update_one(self._tenant, {"$set": {"finished_at": moment}}, session=session)


def _check_same(new: NewTenant, found: Document) -> None:
    """See that a tenant that is there is half made, and was begun by such a call."""
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
