"""Protections broken on purpose, one at a time: each must turn a check red."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from prismicx.isolation.catalogue import TENANT, Live, Relation
from prismicx.isolation.structure import forbidden_rights

ROWS = ("catalogue", "rows")


@dataclass(frozen=True, slots=True)
class Mutation:
    """A break of a PostgreSQL database.

    Attributes:
        name: what is broken, in words.
        statement: breaks it; as an administrator, in a transaction that is rolled back.
        areas: what of `prismicx.isolation.verify.AREAS` is tried then.
        only: the relation whose rows are attacked; all unless given.
    """

    name: str
    statement: str
    areas: tuple[str, ...] = ("catalogue",)
    only: str = ""


def mutations(live: Live) -> Iterator[Mutation]:
    """Every break of what the live catalogue knows, so that a table that is added tomorrow is broken tomorrow."""
    login = live.roles[0]["name"]
    for relation in live.of_tenants:
        readers = ", ".join(f'"{row["name"]}"' for row in live.roles)
        if relation.is_table:
            yield from _of_table(relation, login, live.version)
            for name, result in live.proofs.items():
                yield from _of_comparisons(relation, name, result)
        elif relation.kind == "v":
            yield Mutation(
                f"{relation.name} has the rights of its owner",
                f"ALTER VIEW {relation.name} RESET (security_invoker); "
                f"ALTER VIEW {relation.name} OWNER TO CURRENT_USER",
                ROWS,
                relation.name,
            )
        yield Mutation(
            f"everybody reads a copy of {relation.name}",
            f"CREATE MATERIALIZED VIEW public.copied AS SELECT * FROM {relation.name}; "
            f"GRANT USAGE ON SCHEMA public TO {readers}; GRANT SELECT ON public.copied TO {readers}",
        )
        yield Mutation(f"everybody may read {relation.name}", f"GRANT SELECT ON {relation.name} TO PUBLIC")
    for name, result in live.proofs.items():
        yield from _of_proofs(name, result)
    yield from _of_new_tables(login)
    for relation in live.relations.values():
        for trigger in relation.triggers:
            yield from _of_trigger(relation.name, trigger)


def _of_table(relation: Relation, login: str, version: int) -> Iterator[Mutation]:
    name = relation.name
    if relation.secured:
        yield Mutation(f"{name} has no row security", f"ALTER TABLE {name} DISABLE ROW LEVEL SECURITY", ROWS, name)
    if relation.forced:
        yield Mutation(f"{name} does not force it", f"ALTER TABLE {name} NO FORCE ROW LEVEL SECURITY")
    yield Mutation(f"{name} has another policy", f"CREATE POLICY another ON {name} USING (true)", ROWS, name)
    for right in forbidden_rights(version):
        yield Mutation(f"{name} may be used for {right}", f'GRANT {right} ON {name} TO "{login}"')
    yield Mutation(f"{name} may be emptied", f'GRANT TRUNCATE ON {name} TO "{login}"', ROWS, name)
    yield Mutation(f"{name} belongs to a login", f'ALTER TABLE {name} OWNER TO "{login}"', ROWS, name)
    for policy in relation.policies:
        yield from _of_policy(name, policy)
    by = next((column.name for column in relation.columns if column.name not in (*relation.key, TENANT)), None)
    if relation.has_tenant and by is not None:
        # Named differently by each: an index of that name may be there.
        yield Mutation(f"{name} has a unique index without the tenant", f'CREATE UNIQUE INDEX ON {name} ("{by}")')
    if len(relation.key) == 1 and relation.key[0] != TENANT and not relation.is_part:
        kind = next(column.type for column in relation.columns if column.name == relation.key[0])
        for label, tenant in (("a table of tenants", "tenant_id VARCHAR(50) NOT NULL, "), ("a table of two", "")):
            second = "" if tenant else f", second {kind} REFERENCES {name}"
            yield Mutation(
                f"{label} refers to {name} without the tenant",
                f"CREATE TABLE prismicx.tomorrow ({tenant}first {kind} REFERENCES {name}{second})",
            )


def _of_policy(name: str, policy: Any) -> Iterator[Mutation]:
    if policy["condition"] == "true":
        return  # reports over all tenants: it is open to one login already
    called = f'"{policy["name"]}" ON {name}'
    kind = "" if policy["permissive"] else " (restrictive)"
    yield Mutation(f"{name} is open in {policy['name']}{kind}", f"ALTER POLICY {called} USING (true)", ROWS, name)
    if not policy["permissive"]:
        yield Mutation(f"{name} has lost {policy['name']}", f"DROP POLICY {called}", ROWS, name)
        yield Mutation(f"{name} asks one login for a proof", f"ALTER POLICY {called} TO CURRENT_USER", ROWS, name)
    elif policy["command"] != "r":
        yield Mutation(
            f"{name} takes any row in {policy['name']}", f"ALTER POLICY {called} WITH CHECK (true)", ROWS, name
        )
        yield Mutation(f"{name} is closed in {policy['name']}", f"ALTER POLICY {called} USING (false)", ROWS, name)


def _of_comparisons(relation: Relation, proof: str, result: str) -> Iterator[Mutation]:
    """What is proved is asked once a statement, and rows are compared with a setting that is read again with each."""
    asked = {f"(SELECT {proof}())" + ("" if result == "boolean" else " IS NOT NULL"): "compares with the setting"}
    if result != "boolean":  # the planner compares the two with one another, once
        asked[f"{TENANT} = (SELECT {proof}())"] = "is equal to both"
    for policy in relation.policies:
        if relation.has_tenant and not policy["permissive"]:
            called = f'"{policy["name"]}" ON {relation.name}'
            for condition, what in asked.items():
                yield Mutation(
                    f"{relation.name} {what} in {policy['name']}",
                    f"ALTER POLICY {called} USING ({condition}) WITH CHECK ({condition})",
                    ROWS,
                    relation.name,
                )


def _of_trigger(table: str, trigger: str) -> Iterator[Mutation]:
    for name, change in {
        "is disabled": f'ALTER TABLE {table} DISABLE TRIGGER "{trigger}"',
        "does not fire in a replica": f'ALTER TABLE {table} ENABLE TRIGGER "{trigger}"',
        "is gone": f'DROP TRIGGER "{trigger}" ON {table}',
    }.items():
        yield Mutation(f"{trigger} of {table} {name}", change)


def _of_proofs(name: str, result: str) -> Iterator[Mutation]:
    """Ways in which what policies ask for a proof takes a wrong one.

    Args:
        name: of the function.
        result: the type it gives: whether there is a proof, or the tenant that is proved.
    """
    path = "SET search_path = pg_catalog, pg_temp AS "
    tenant, proof = "current_setting('app.current_tenant_id', true)", "current_setting('app.tenant_proof', true)"
    gives = "true" if result == "boolean" else tenant
    begin = f"CREATE OR REPLACE FUNCTION {name}() RETURNS {result} LANGUAGE sql STABLE SECURITY DEFINER {path}"

    def taken(what: str, condition: str) -> Mutation:
        return Mutation(f"{name}: {what}", f"{begin}$$SELECT {gives} WHERE {condition}$$", ROWS)

    def hashed(text: str, source: str) -> str:
        return (
            f"{proof} IN (SELECT encode(sha256(prismicx.context_pad(2) || sha256(prismicx.context_pad(1) || "
            f"convert_to({text}, 'UTF8'))), 'hex') FROM {source})"
        )

    yield taken("every proof is taken", "true")
    yield taken("any proof is taken", f"{proof} <> ''")
    yield taken(
        "a proof of any backend is taken",
        hashed(f"{tenant} || ' ' || n", "generate_series(pg_backend_pid() - 2, pg_backend_pid() + 2) n"),
    )
    yield taken(
        "a proof of any tenant is taken",
        hashed("t || ' ' || pg_backend_pid()", f"unnest(ARRAY[{tenant}, 'prismicx-check-own']) t"),
    )
    yield Mutation(f"{name} may be led astray", f"ALTER FUNCTION {name}() RESET search_path")
    yield Mutation(
        f"{name}: there is no key", f"DELETE FROM prismicx.context_key; ALTER FUNCTION {name}() STABLE", ROWS
    )


def _of_new_tables(login: str) -> Iterator[Mutation]:
    """Tables as somebody might add them tomorrow, who forgot something."""
    table = "prismicx.tomorrow"
    make = f"CREATE TABLE {table} (id UUID PRIMARY KEY, tenant_id VARCHAR(50) NOT NULL, note TEXT NOT NULL); "
    grant = f'GRANT USAGE ON SCHEMA prismicx TO "{login}"; GRANT ALL ON prismicx.tomorrow TO "{login}"; '
    give = grant + 'ALTER TABLE prismicx.tomorrow OWNER TO "{}"; '
    secure = f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY; ALTER TABLE {table} FORCE ROW LEVEL SECURITY; "
    policy = f"CREATE POLICY p ON {table} USING (tenant_id = current_setting('app.current_tenant_id', true)); "
    yield Mutation("a new table without policies", make + grant, ROWS, table)
    yield Mutation("a new table whose policies ask for no proof", make + grant + secure + policy, ROWS, table)
    yield Mutation("a new table that is a login's own", make + give.format(login) + secure + policy, ROWS, table)
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
