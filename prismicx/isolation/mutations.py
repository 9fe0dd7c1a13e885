"""Protections broken on purpose, one at a time: each must turn a check red."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from prismicx.isolation.catalogue import Live, Relation
from prismicx.names import Names


@dataclass(frozen=True, slots=True)
class Mutation:
    """A break of a PostgreSQL database.

    Attributes:
        name: what is broken, in words.
        statement: breaks it; as an administrator, in a transaction that is rolled back.
    """

    name: str
    statement: str


def mutations(live: Live, names: Names, database: str) -> Iterator[Mutation]:
    """Every break of what the live catalogue knows, so that a table that is added tomorrow is broken tomorrow."""
    users, owner = live.roles[0]["name"], names.service("owner")
    for relation in live.of_tenants:
        readers = ", ".join(f'"{row["name"]}"' for row in live.roles)
        if relation.is_table:
            yield from _of_table(relation, users)
        elif relation.kind == "v":
            yield Mutation(
                f"{relation.name} has the rights of its owner",
                f"ALTER VIEW {relation.name} RESET (security_invoker); "
                f"ALTER VIEW {relation.name} OWNER TO CURRENT_USER",
            )
        yield Mutation(
            f"everybody reads a copy of {relation.name}",
            f"CREATE MATERIALIZED VIEW public.copied AS SELECT * FROM {relation.name}; "
            f"GRANT USAGE ON SCHEMA public TO {readers}; GRANT SELECT ON public.copied TO {readers}",
        )
    yield from _of_functions(names)
    for row in live.roles:
        role = row["name"]
        for attribute in ("SUPERUSER", "BYPASSRLS", "CREATEROLE"):
            yield Mutation(f"{role} is {attribute}", f'ALTER ROLE "{role}" {attribute}')
        yield Mutation(f"{role} is a member of the owner", f'GRANT "{owner}" TO "{role}"')
        yield Mutation(f"{role} may create tables", f'GRANT CREATE ON SCHEMA prismicx TO "{role}"')
        if row["hidden"]:
            yield Mutation(f"what {role} runs is shown", f'ALTER ROLE "{role}" RESET track_activities')
    yield from _of_new_tables(users)
    if database == "management_system_repository":
        yield from _of_schemas(users)


def _of_table(relation: Relation, login: str) -> Iterator[Mutation]:
    name = relation.name
    if relation.secured:
        yield Mutation(f"{name} has no row security", f"ALTER TABLE {name} DISABLE ROW LEVEL SECURITY")
    if relation.forced:
        yield Mutation(f"{name} does not force it", f"ALTER TABLE {name} NO FORCE ROW LEVEL SECURITY")
    yield Mutation(f"{name} has another policy", f"CREATE POLICY another ON {name} USING (true)")
    yield Mutation(f"{name} may be emptied", f'GRANT TRUNCATE ON {name} TO "{login}"')
    yield Mutation(f"{name} belongs to a login", f'ALTER TABLE {name} OWNER TO "{login}"')
    for policy in relation.policies:
        if policy["condition"] == "true":
            continue  # reports over all tenants: it is open to one login already
        kind = "" if policy["permissive"] else " (restrictive)"
        yield Mutation(
            f"{name} is open in {policy['name']}{kind}", f"ALTER POLICY {policy['name']} ON {name} USING (true)"
        )
        if not policy["permissive"]:
            yield Mutation(f"{name} has lost {policy['name']}", f"DROP POLICY {policy['name']} ON {name}")
            yield Mutation(
                f"{name} asks one login for a proof", f"ALTER POLICY {policy['name']} ON {name} TO CURRENT_USER"
            )
        elif policy["command"] != "r":
            yield Mutation(
                f"{name} takes any row in {policy['name']}",
                f"ALTER POLICY {policy['name']} ON {name} WITH CHECK (true)",
            )


def _of_functions(names: Names) -> Iterator[Mutation]:
    begin = "CREATE OR REPLACE FUNCTION prismicx.proven_tenant() RETURNS TEXT LANGUAGE sql STABLE SECURITY DEFINER "
    path = "SET search_path = pg_catalog, pg_temp AS "
    tenant, proof = "current_setting('app.current_tenant_id', true)", "current_setting('app.tenant_proof', true)"
    yield Mutation("every proof is taken", f"{begin}{path}$$SELECT {tenant}$$")
    yield Mutation("any proof is taken", f"{begin}{path}$$SELECT {tenant} WHERE {proof} <> ''$$")
    yield Mutation(
        "a proof of any backend is taken",
        f"{begin}{path}$$SELECT {tenant} WHERE {proof} IN (SELECT encode(sha256(prismicx.context_pad(2) || "
        f"sha256(prismicx.context_pad(1) || convert_to({tenant} || ' ' || n, 'UTF8'))), 'hex') "
        "FROM generate_series(pg_backend_pid() - 2, pg_backend_pid() + 2) n)$$",
    )
    yield Mutation(
        "a proof of any tenant is taken",
        f"{begin}{path}$$SELECT {tenant} WHERE {proof} IN (SELECT encode(sha256(prismicx.context_pad(2) || "
        "sha256(prismicx.context_pad(1) || convert_to(t || ' ' || pg_backend_pid(), 'UTF8'))), 'hex') "
        f"FROM unnest(ARRAY[{tenant}, 'prismicx-check-own']) t)$$",
    )
    yield Mutation(
        "a function with other rights",
        "CREATE FUNCTION prismicx.leak() RETURNS BIGINT LANGUAGE sql SECURITY DEFINER AS 'SELECT 1::bigint'; "
        "GRANT USAGE ON SCHEMA prismicx TO PUBLIC",
    )
    yield Mutation("a function may be led astray", "ALTER FUNCTION prismicx.proven_tenant() RESET search_path")
    yield Mutation(
        "there is no key", "DELETE FROM prismicx.context_key; ALTER FUNCTION prismicx.proven_tenant() STABLE"
    )


def _of_new_tables(login: str) -> Iterator[Mutation]:
    """Tables as somebody might add them tomorrow, who forgot something."""
    table = "prismicx.tomorrow"
    make = f"CREATE TABLE {table} (id UUID PRIMARY KEY, tenant_id VARCHAR(50) NOT NULL, note TEXT NOT NULL); "
    grant = f'GRANT USAGE ON SCHEMA prismicx TO "{login}"; GRANT ALL ON prismicx.tomorrow TO "{login}"; '
    give = grant + 'ALTER TABLE prismicx.tomorrow OWNER TO "{}"; '
    secure = f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY; ALTER TABLE {table} FORCE ROW LEVEL SECURITY; "
    policy = f"CREATE POLICY p ON {table} USING (tenant_id = current_setting('app.current_tenant_id', true)); "
    yield Mutation("a new table without policies", make + grant)
    yield Mutation("a new table whose policies ask for no proof", make + grant + secure + policy)
    yield Mutation("a new table that is a login's own", make + give.format(login) + secure + policy)
    yield Mutation("a new view with other rights", make + grant + secure + policy + (
        f'CREATE VIEW prismicx.seen AS SELECT * FROM prismicx.tomorrow; GRANT SELECT ON prismicx.seen TO "{login}"'
    ))  # fmt: skip
    yield Mutation(
        "a new partition without policies",
        "CREATE TABLE prismicx.tomorrow (id UUID, tenant_id VARCHAR(50) NOT NULL) PARTITION BY LIST (tenant_id); "
        + secure + policy
        + "CREATE TABLE prismicx.part PARTITION OF prismicx.tomorrow DEFAULT; "
        f'GRANT USAGE ON SCHEMA prismicx TO "{login}"; GRANT SELECT ON prismicx.part TO "{login}"',
    )  # fmt: skip
    yield Mutation(
        "a new key without the tenant",
        "CREATE TABLE prismicx.tomorrow (tenant_id VARCHAR(50) NOT NULL, code TEXT UNIQUE)",
    )


def _of_schemas(login: str) -> Iterator[Mutation]:
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
        )
