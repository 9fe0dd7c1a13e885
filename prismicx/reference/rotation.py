"""`prismicx credentials rotate`: new passwords for every service, while the old ones go on working.

An engine keeps one password for a login. So each service has two logins, ``prismicx_users`` and ``prismicx_users_b``,
the second a member of the first with all its rights; one of them is in use, and a rotation passes to the other.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass

from prismicx.audit.once import recorded_apart
from prismicx.credentials import CONTEXT, SECOND, Credentials, generate, scram_verifier
from prismicx.engines import mongo, postgres
from prismicx.engines.endpoints import Endpoints
from prismicx.engines.mongo import Client
from prismicx.engines.postgres import Connection
from prismicx.errors import Conflict
from prismicx.names import Names
from prismicx.reference.apply import application_lock
from prismicx.reference.context_key import retire_context_keys, set_context_key
from prismicx.reference.definitions import POSTGRES_DATABASES, Service, services
from prismicx.settings import Settings
from prismicx.statements import Statements

_sql = Statements(__package__, "rotation.sql")
_POLL = 0.2


@dataclass(frozen=True, slots=True)
class Rotated:
    """What a rotation did: the logins in use now, and those that stopped working."""

    current: Sequence[str]
    retired: Sequence[str]


@recorded_apart("credentials.rotate")
async def rotate(
    settings: Settings,
    endpoints: Endpoints,
    *,
    grace: float | None = 30.0,
    progress: Callable[[str], None] = lambda _: None,
) -> Rotated:
    """Pass every service to its other login, and the proofs of tenants to a new key.

    Args:
        grace: seconds for running processes to pass over, at most; then the old logins stop working and their
            sessions end. None leaves them as they are, until `retire`.

    Raises:
        Conflict: ``reference.busy``, or ``credentials.rotated`` when the logins of the rotation before still work.
        Unavailable, Denied: an engine cannot be used.
    """
    names, credentials = Names(settings.namespace), Credentials(settings.credentials_file)
    async with _engines(settings, endpoints, names) as (admin, client):
        credentials.reload()
        old = _logins(names, credentials)
        await _check_retired(admin, old)
        fresh: list[tuple[str, str, str, str]] = []
        for service in services():
            role = names.service(service.name)
            for engine in _engines_of(service):
                login = credentials.standby(engine, role)
                password = generate()
                if engine == "postgres":
                    await _postgres_login(admin, role, login, password, hidden=service.hidden)
                else:
                    await _mongo_login(client, service, role, login, password)
                fresh.append((engine, role, login, password))
                progress(f"{engine}: {login}")
        secret = generate()
        for database in POSTGRES_DATABASES:
            async with _database(settings, endpoints, names, database) as connection:
                await set_context_key(connection, names, secret)
        # The engines know all of them: from here on the file may say so, and it says so at once.
        credentials.pass_to(fresh, {(CONTEXT, names.service(CONTEXT)): secret})
    if grace is None:
        return Rotated([login for _, _, login, _ in fresh], [])
    progress(f"waiting for running processes, {grace:g} s at most")
    retired = await retire(settings, endpoints, grace=grace)
    return Rotated([login for _, _, login, _ in fresh], retired.retired)


@recorded_apart("credentials.retire")
async def retire(settings: Settings, endpoints: Endpoints, *, grace: float = 0.0) -> Rotated:
    """Let the logins that are not in use any more stop working, end their sessions, and take no proofs of tenants by
    the key before.

    Args:
        grace: seconds to wait, at most, until nobody has a session of theirs and everybody had the time to look.

    Raises:
        Conflict: ``reference.busy``.
        Unavailable, Denied: an engine cannot be used; ``credentials.missing`` when the file has no key of proofs.
    """
    names, credentials = Names(settings.namespace), Credentials(settings.credentials_file)
    begun = time.monotonic()
    end = begun + grace
    # Processes that use MongoDB alone have no session that is counted: they pass over once they have looked.
    looked = min(end, begun + 2 * mongo.LOOKS_EVERY)
    async with _engines(settings, endpoints, names) as (admin, client):
        # Only now: a rotation that was waited for may have taken into use what was unused before.
        credentials.reload()
        current = _logins(names, credentials)
        unused = {engine: _unused(logins) for engine, logins in current.items()}
        # Sessions of other processes: there is nothing to wait on but the clock.
        while (now := time.monotonic()) < end and (  # noqa: ASYNC110
            now < looked or await admin.fetchval(_sql.sessions, unused["postgres"])
        ):
            await asyncio.sleep(_POLL)
        done = []
        for row in await admin.fetch(_sql.open_logins, unused["postgres"]):
            await admin.execute(f'ALTER ROLE "{row["name"]}" NOLOGIN PASSWORD NULL')
            done.append(f"postgres: {row['name']}")
        await admin.execute(_sql.end_sessions, unused["postgres"])
        for login in unused["mongo"]:
            if await mongo.is_user(client, login):
                await client[mongo.USERS].command("dropUser", login)
                done.append(f"mongo: {login}")
        # The file says which key is in use: after a rotation that was cut off it may be the one that the databases call
        # the key before.
        secret = credentials.require(CONTEXT, names.service(CONTEXT))
        for database in POSTGRES_DATABASES:
            async with _database(settings, endpoints, names, database) as connection:
                if await retire_context_keys(connection, names, secret):
                    done.append(f"{database}: key of tenants' proofs")
        credentials.drop(unused)  # under the lock, too: a rotation gives the same logins new passwords
    return Rotated([*current["postgres"].values(), *current["mongo"].values()], done)


@asynccontextmanager
async def _engines(settings: Settings, endpoints: Endpoints, names: Names) -> AsyncIterator[tuple[Connection, Client]]:
    async with postgres.connect(endpoints.postgres.url, settings.connect_timeout) as admin:
        await application_lock(admin, names)
        async with mongo.connect(endpoints.mongo.url, settings.connect_timeout) as client:
            yield admin, client


def _database(
    settings: Settings, endpoints: Endpoints, names: Names, database: str
) -> AbstractAsyncContextManager[Connection]:
    """The administrator's connection to a database of the reference."""
    return postgres.connect(endpoints.postgres.postgres(names.server_wide(database)), settings.connect_timeout)


def _engines_of(service: Service) -> list[str]:
    return [engine for engine, used in (("postgres", service.postgres), ("mongo", service.mongo)) if used]


def _logins(names: Names, credentials: Credentials) -> dict[str, dict[str, str]]:
    """By engine and role, the login in use."""
    found: dict[str, dict[str, str]] = {"postgres": {}, "mongo": {}}
    for service in services():
        role = names.service(service.name)
        for engine in _engines_of(service):
            found[engine][role] = credentials.login(engine, role)[0]
    return found


def _unused(logins: dict[str, str]) -> list[str]:
    """The other logins of the services whose logins in use these are, by role."""
    return [login for role in logins for login in (role, role + SECOND) if login not in logins.values()]


async def _check_retired(admin: Connection, current: dict[str, dict[str, str]]) -> None:
    """See that no login that is to be made anew is still somebody's."""
    open_ones = [row["name"] for row in await admin.fetch(_sql.open_logins, _unused(current["postgres"]))]
    if open_ones:
        raise Conflict(
            "credentials.rotated",
            f"the logins before the last rotation still work: {', '.join(open_ones)}",
            "prismicx credentials retire, then rotate again",
        )


async def _postgres_login(admin: Connection, role: str, login: str, password: str, *, hidden: bool) -> None:
    if login != role and not await admin.fetchval(_sql.role_exists, login):
        await admin.execute(f'CREATE ROLE "{login}" NOLOGIN INHERIT IN ROLE "{role}"')
    if hidden and await admin.fetchval(_sql.is_superuser):
        await admin.execute(f'ALTER ROLE "{login}" SET track_activities = off')
    await admin.execute(f"ALTER ROLE \"{login}\" LOGIN PASSWORD '{scram_verifier(password)}'")


async def _mongo_login(client: Client, service: Service, role: str, login: str, password: str) -> None:
    granted = [{"role": name, "db": mongo.USERS} for name in (role, *service.mongo_roles)]
    verb = "updateUser" if await mongo.is_user(client, login) else "createUser"
    await client[mongo.USERS].command(verb, login, pwd=password, roles=granted)
