"""The right to call `set_config` where transactions become roles of tenants.

The login behind such a transaction may become any tenant's role, and every function that a system brought runs in it:
one call of `set_config` and it is another tenant's. So the roles of tenants, and those that own their schemas, have no
right to that function, which the server gives to everybody; the services keep it.
"""

from __future__ import annotations

from prismicx.engines.postgres import Connection
from prismicx.names import Names
from prismicx.reference.definitions import services
from prismicx.statements import Statements

TENANT_SCHEMAS = "management_system_repository"
"""The database with the schemas of tenants."""

_sql = Statements(__package__, "role_change.sql")


async def keep_roles(connection: Connection, names: Names) -> bool:
    """Take the right from everybody and give it to the services; True if something changed. Only a superuser can: an
    administrator who is none leaves it as it is.

    Args:
        connection: an administrator's, to `TENANT_SCHEMAS`.
    """
    if not await connection.fetchval(_sql.is_superuser):
        return False
    used = [names.service(service.name) for service in services() if TENANT_SCHEMAS in service.postgres]
    without = [row["name"] for row in await connection.fetch(_sql.may_not, used)]
    open_to_all = await connection.fetchval(_sql.anybody_may)
    async with connection.transaction():
        for role in without:
            await connection.execute(_sql.grant.format(role=f'"{role}"'))
        if open_to_all:
            await connection.execute(_sql.revoke)
    return bool(without or open_to_all)
