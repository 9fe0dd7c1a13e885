"""Roles, rights and schemas of tenants, broken one at a time."""

from __future__ import annotations

from collections.abc import Iterator

from prismicx.isolation.catalogue import Live
from prismicx.isolation.mutations import Mutation
from prismicx.isolation.roles import READS_ALL
from prismicx.names import Names
from prismicx.reference.definitions import OWNER

SCHEMAS = ("catalogue", "schemas")

_STRANGER = "planted_by_check"
_FIRST, _SECOND = "check-mutant-a", "check-mutant-b"
"""Tenants whose roles are there while a break is."""


def role_mutations(live: Live, names: Names) -> Iterator[Mutation]:
    """Breaks of every login that may connect to a database, and of what it may do there."""
    owner = names.service(OWNER)
    for row in live.roles:
        role = row["name"]
        for attribute in ("SUPERUSER", "BYPASSRLS", "CREATEROLE", "CREATEDB", "REPLICATION"):
            yield Mutation(f"{role} is {attribute}", f'ALTER ROLE "{role}" {attribute}')
        yield Mutation(f"{role} is a member of the owner", f'GRANT "{owner}" TO "{role}"')
        yield Mutation(f"{role} is a member of an administrator", _as_me(f'GRANT %I TO "{role}"'))
        yield Mutation(f"{role} may create tables", f'GRANT CREATE ON SCHEMA prismicx TO "{role}"')
        if row["hidden"]:
            yield Mutation(f"what {role} runs is shown", f'ALTER ROLE "{role}" RESET track_activities')
    login, other = live.roles[0]["name"], live.roles[-1]["name"]
    yield Mutation(f"{login} is a member of {other}", f'GRANT "{other}" TO "{login}"')
    yield Mutation("the owner logs in", f'ALTER ROLE "{owner}" LOGIN')
    for role in live.server_roles:
        yield Mutation(f"{login} is a member of {role}", f'GRANT {role} TO "{login}"')
    yield from _of_strangers(login, owner)
    yield from _of_rights(login)
    yield Mutation(
        "a function with other rights",
        "CREATE FUNCTION prismicx.leak() RETURNS BIGINT LANGUAGE sql SECURITY DEFINER AS 'SELECT 1::bigint'; "
        "GRANT USAGE ON SCHEMA prismicx TO PUBLIC",
    )


def _of_strangers(login: str, owner: str) -> Iterator[Mutation]:
    """Roles that the platform did not make."""
    make = f"CREATE ROLE {_STRANGER} LOGIN "
    for attribute in ("SUPERUSER", "BYPASSRLS"):
        yield Mutation(f"a stranger is {attribute}", make + attribute)
        yield Mutation(
            f"{login} is a member of a role that is {attribute}",
            f'CREATE ROLE {_STRANGER} {attribute}; GRANT {_STRANGER} TO "{login}"',
        )
    for role in (*sorted(READS_ALL), f'"{login}"', f'"{owner}"'):
        yield Mutation(f"a stranger is a member of {role}", f"{make}; GRANT {role} TO {_STRANGER}")


def _of_rights(login: str) -> Iterator[Mutation]:
    """Rights on what the server keeps for itself, and on the key of proofs."""
    for who in (f'"{login}"', "PUBLIC"):
        for what in (
            "SELECT ON pg_authid", "SELECT (rolpassword) ON pg_authid", "SELECT ON pg_statistic",
            "SELECT ON pg_statistic_ext_data", "EXECUTE ON FUNCTION pg_read_file(text)",
            "SET ON PARAMETER session_replication_role", "CREATE ON SCHEMA pg_catalog",
            "SELECT ON prismicx.context_key", "SELECT (pads) ON prismicx.context_key",
            "UPDATE ON prismicx.context_key", "EXECUTE ON FUNCTION prismicx.context_pad(integer)",
        ):  # fmt: skip
            # Rights on the server's own tables are given by an administrator.
            yield Mutation(f"{who} has {what}", f"SET LOCAL allow_system_table_mods = on; GRANT {what} TO {who}")


def tenant_mutations(live: Live, names: Names) -> Iterator[Mutation]:
    """Breaks of tenants' roles, their schemas, and what runs their migrations."""
    user, other = (names.tenant_role(one) for one in (_FIRST, _SECOND))
    owner = names.tenant_owner(_FIRST)
    make = "".join(
        f"SELECT prismicx.create_tenant_roles('{names.tenant_role(one)}', '{names.tenant_owner(one)}'); "
        for one in (_FIRST, _SECOND)
    )
    systems, login = names.service("systems"), live.roles[0]["name"]
    for role in (user, owner):
        for attribute in ("SUPERUSER", "BYPASSRLS", "LOGIN", "CREATEROLE", "CREATEDB"):
            yield Mutation(f"{role} is {attribute}", f'{make}ALTER ROLE "{role}" {attribute}')
    for granted, to in (
        (user, other), (user, login), (user, names.service("fleet")), (owner, systems), (owner, other), (owner, user),
        (systems, owner), (names.service("fleet"), other), ("pg_read_all_stats", user),
    ):  # fmt: skip
        yield Mutation(f"{to} is a member of {granted}", f'{make}GRANT "{granted}" TO "{to}"')
    yield Mutation(f"{user} reads a table of all", f'{make}GRANT SELECT ON public.tenant_systems TO "{user}"')
    schema = f'{make}CREATE SCHEMA tenant_check_mutant_a_x AUTHORIZATION "{owner}"; '
    yield Mutation("a schema is of no tenant", schema, SCHEMAS)
    inside = f'{schema}SET LOCAL ROLE "{owner}"; CREATE TABLE tenant_check_mutant_a_x.items (id INTEGER); '
    for who in (f'"{login}"', f'"{other}"', "PUBLIC"):
        yield Mutation(
            f"{who} may use a tenant's schema",
            f"{schema}GRANT USAGE ON SCHEMA tenant_check_mutant_a_x TO {who}",
            SCHEMAS,
        )
        yield Mutation(
            f"{who} may read a tenant's table",
            f"{inside}GRANT SELECT ON tenant_check_mutant_a_x.items TO {who}; RESET ROLE",
            SCHEMAS,
        )
    yield Mutation(
        "a tenant's schema has a function with other rights",
        f"{schema}CREATE FUNCTION tenant_check_mutant_a_x.leak() RETURNS BIGINT LANGUAGE sql SECURITY DEFINER "
        "AS 'SELECT 1::bigint'",
    )
    yield from _of_runners(make, owner, login)
    yield from _of_made_roles(login)


def _of_runners(make: str, owner: str, login: str) -> Iterator[Mutation]:
    runner = f'runners."{owner}"(text[])'
    made = f"{make}SELECT prismicx.make_runner('{owner}'); "
    body = (
        f'CREATE OR REPLACE FUNCTION runners."{owner}"(statements text[]) RETURNS void LANGUAGE {{}} '
        f"SECURITY DEFINER AS '{{}}'"
    )
    for name, change in {
        "is an administrator's": f"ALTER FUNCTION {runner} OWNER TO CURRENT_USER",
        "runs as the one who calls": f"ALTER FUNCTION {runner} SECURITY INVOKER",
        "has settings": f"ALTER FUNCTION {runner} SET search_path = public",
        "does something else": body.format("sql", "SELECT runners.perform(statements); SELECT 1"),
        "is in another language": body.format("plpgsql", "BEGIN EXECUTE statements[1]; END"),
        "may be called by everybody": f"GRANT EXECUTE ON FUNCTION {runner} TO PUBLIC",
        "may be called by another service": f'GRANT EXECUTE ON FUNCTION {runner} TO "{login}"',
        "has another beside it": "CREATE FUNCTION runners.another(text[]) RETURNS void LANGUAGE sql AS ''",
    }.items():
        yield Mutation(f"a tenant's runner {name}", made + change)
    yield Mutation("what runners call has other rights", "ALTER FUNCTION runners.perform(text[]) SECURITY DEFINER")
    yield Mutation("what runners call is led astray", "ALTER FUNCTION runners.perform(text[]) RESET search_path")


def _of_made_roles(login: str) -> Iterator[Mutation]:
    """Ways into a tenant's schema, by the function that makes tenants' roles."""
    for name, added in {
        "a tenant's role is everybody's": f"EXECUTE format('GRANT %I TO \"{login}\"', tenant_role);",
        "tenants' roles are members of one another": "IF to_regrole('planted') IS NULL THEN "
        "CREATE ROLE planted; END IF; EXECUTE format('GRANT %I TO planted', tenant_owner); "
        "EXECUTE format('GRANT planted TO %I', tenant_role); EXECUTE format('ALTER ROLE %I INHERIT', tenant_role); "
        "EXECUTE format('ALTER ROLE %I INHERIT', 'planted');",
        "a tenant's role is superuser": "EXECUTE format('ALTER ROLE %I SUPERUSER', tenant_role);",
    }.items():
        yield Mutation(
            name,
            "CREATE OR REPLACE FUNCTION prismicx.create_tenant_roles(tenant_role TEXT, tenant_owner TEXT) RETURNS VOID "
            "LANGUAGE plpgsql AS $$ BEGIN "
            "EXECUTE format('CREATE ROLE %I NOLOGIN NOINHERIT', tenant_role); "
            f"EXECUTE format('CREATE ROLE %I NOLOGIN NOINHERIT', tenant_owner); {added} END $$",
            SCHEMAS,
        )


def _as_me(statement: str) -> str:
    """A statement with the name of who is logged in for ``%I``."""
    return f"DO $$ BEGIN EXECUTE format('{statement}', session_user); END $$"
