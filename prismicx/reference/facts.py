"""The facts of the reference, and the same facts as a live database has them, in one comparable form."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from prismicx.credentials import SECOND
from prismicx.reference.catalogue import Catalogue, Relation
from prismicx.reference.definitions import Collection, Index, services

Key = tuple[str, str]
"""Kind and subject, such as ``("column", "user_data.users.email")``."""

DANGEROUS = frozenset({"policy", "right", "role", "user role"})
"""Kinds of which anything beyond the reference opens something."""


@dataclass(frozen=True, slots=True)
class Fact:
    """One statement about one database.

    Attributes:
        origin: ``reference``, or ``boundary`` for what the tenant boundary adds.
        section: the part of the reference it belongs to.
        value: what is to be found.
    """

    database: str
    kind: str
    subject: str
    value: str
    origin: str
    section: str

    @property
    def key(self) -> Key:
        return self.kind, self.subject


@cache
def of_postgres(database: str) -> tuple[Fact, ...]:
    """What the reference says of a PostgreSQL database."""
    text = files(__package__).joinpath("facts", f"{database}.toml").read_text(encoding="utf-8")
    held = tomllib.loads(text)
    bookkeeping = "Bookkeeping of the platform"

    def facts() -> Iterator[Fact]:
        def fact(kind: str, subject: str, value: str, origin: str, section: str) -> Fact:
            return Fact(database, kind, subject, value, origin, section)

        for schema, origin in held["schemas"].items():
            yield fact("schema", schema, "present", origin, bookkeeping)
            if schema != "public":
                yield fact("owner", f"schema {schema}", "prismicx_owner", "boundary", bookkeeping)
        for table, item in held["tables"].items():
            yield from _table_facts(fact, table, item)
        for view, item in held.get("views", {}).items():
            section = item["section"]
            yield fact("view", view, item["definition"], "reference", section)
            yield fact("view rights", view, "of the invoker", "boundary", section)
            yield fact("owner", f"table {view}", "prismicx_owner", "boundary", section)
            for column, kind in item["columns"].items():
                yield fact("column", f"{view}.{column}", kind, "reference", section)
        for function, value in held["functions"].items():
            yield fact("function", function, value, "boundary", bookkeeping)
        for role, rights in held["grants"].items():
            for thing, privileges in rights.items():
                yield fact("right", f"{role} on {thing}", privileges, "boundary", "Security Considerations")

    return tuple(facts())


def in_postgres(catalogue: Catalogue) -> dict[Key, str]:
    """What a live PostgreSQL database has."""
    found: dict[Key, str] = {("schema", name): "present" for name in catalogue.schemas}
    for relation in catalogue.relations.values():
        if not _is_tenant_view(relation):
            found.update(_relation_facts(relation))
    found.update({("function", name): value for name, value in catalogue.functions.items()})
    found.update({("trigger", name): value for name, value in catalogue.triggers.items()})
    for (role, thing), privileges in catalogue.rights.items():
        found["right", f"{role} on {thing}"] = privileges
    for thing, owner in catalogue.owners.items():
        if not thing.startswith("table user_extensions.tenant_"):
            found["owner", thing] = owner
    return found


def of_collection(item: Collection, shared: bool) -> tuple[Fact, ...]:
    """What the reference says of a collection."""

    def fact(kind: str, subject: str, value: str) -> Fact:
        origin = "boundary" if item.section == "Bookkeeping of the platform" else "reference"
        return Fact(item.database, kind, subject, value, origin, item.section)

    described = _collection_facts(item.name, dict(item.validator), "strict", "error", item.indexes_for(shared))
    return tuple(fact(kind, subject, value) for (kind, subject), value in described.items())


def in_collection(options: Mapping[str, Any], indexes: list[Mapping[str, Any]], name: str) -> dict[Key, str]:
    """What a live collection has, from ``listCollections`` and ``listIndexes``."""
    found = _collection_facts(
        name,
        options.get("validator", {}),
        options.get("validationLevel", "strict"),
        options.get("validationAction", "error"),
        [],
    )
    for index in indexes:
        if index["name"] == "_id_":
            continue
        kept = {key for key in index if key not in ("v", "key", "name", "unique", "ns", "background")}
        extra = "".join(f", {key} {index[key]}" for key in sorted(kept))
        order = ", ".join(key if way == 1 else f"{key} {way}" for key, way in index["key"].items())
        found["index", f"{name} ({order})"] = ("unique" if index.get("unique") else "plain") + extra
    return found


@cache
def of_roles() -> tuple[Fact, ...]:
    """What the boundary says of PostgreSQL's service roles: none is owner, superuser or steps over policies."""
    section = "Security Considerations"
    logins = [f"prismicx_{service.name}" for service in services() if service.postgres]
    return (
        Fact("postgres", "role", "prismicx_owner", "createrole, inherit; in no role", "boundary", section),
        *(Fact("postgres", "role", role, "login; in no role", "boundary", section) for role in logins),
    )


def in_roles(rows: Iterable[Any], plain: Any) -> dict[Key, str]:
    """What the live roles are. The second login of a service, which a rotation makes, counts as the first if it has
    that one's rights and no others."""
    held = {plain(row["name"]): dict(row) for row in rows}
    for name in [name for name in held if name.endswith(SECOND)]:
        first = name.removesuffix(SECOND)
        if first in held and in_role({**held[name], "login": False}, plain)[1] == f"inherit; in {first}":
            second = held.pop(name)
            held[first]["login"] = held[first]["login"] or second["login"]
    return dict(in_role(row, plain) for row in held.values())


def in_role(row: Mapping[str, Any], plain: Any) -> tuple[Key, str]:
    """What a live role is."""
    flags = ("login", "superuser", "bypassrls", "createrole", "createdb", "inherit", "replication")
    held = ", ".join(flag for flag in flags if row[flag]) or "nothing"
    member = ", ".join(plain(role) for role in row["member_of"])
    return ("role", plain(row["name"])), f"{held}; {f'in {member}' if member else 'in no role'}"


def _table_facts(fact: Any, table: str, item: Mapping[str, Any]) -> Iterator[Fact]:
    section = item["section"]
    origin = item.get("origin", "reference")
    yield fact("table", table, "present", origin, section)
    yield fact("owner", f"table {table}", "prismicx_owner", "boundary", section)
    for column, kind in item["columns"].items():
        yield fact("column", f"{table}.{column}", kind, origin, section)
    for definition, source in item["constraints"].items():
        yield fact("constraint", f"{table}: {definition}", "enforced", source, section)
    for keys, text in item["indexes"].items():
        source, _, value = text.partition(": ")
        yield fact("index", f"{table} {keys}", value, source, section)
    for policy, text in item.get("policies", {}).items():
        source, _, value = text.partition(": ")
        yield fact("policy", f"{table}: {policy}", value, source, section)
    for trigger, value in item.get("triggers", {}).items():
        yield fact("trigger", f"{table}: {trigger}", value, "boundary", section)
    for key, kind in (("row_security", "row security"), ("force_row_security", "forced row security")):
        if key in item:
            source, _, value = item[key].partition(": ")
            yield fact(kind, table, value, source, section)


def _relation_facts(relation: Relation) -> dict[Key, str]:
    name = relation.name
    found: dict[Key, str] = {}
    if relation.is_view:
        found["view", name] = relation.definition
        found["view rights", name] = "of the invoker" if relation.security_invoker else "of the owner"
    else:
        found["table", name] = "present"
    for column in relation.columns:
        required = " not null" if column.required else ""
        default = f" default {column.default}" if column.default is not None else ""
        found["column", f"{name}.{column.name}"] = f"{column.type}{required}{default}"
    for constraint in relation.constraints:
        state = "enforced" if constraint.enforced else "not enforced"
        found["constraint", f"{name}: {constraint.definition}"] = state
    for index in relation.indexes:
        unique = "unique " if index.unique else ""
        invalid = "" if index.valid else " invalid"
        key = ("index", f"{name} {index.definition}")
        # Two on the same keys count as one, and a unique one stands for both.
        found[key] = max(f"{unique}{index.method}{invalid}", found.get(key, ""), key=len)
    for policy in relation.policies:
        found["policy", f"{name}: {policy.name}"] = str(policy)
    if relation.row_security:
        found["row security", name] = "enabled"
    if relation.force_row_security:
        found["forced row security", name] = "forced"
    return found


def _is_tenant_view(relation: Relation) -> bool:
    return relation.is_view and relation.name.startswith("user_extensions.tenant_")


def _collection_facts(
    name: str, validator: Mapping[str, Any], level: str, action: str, indexes: tuple[Index, ...] | list[Index]
) -> dict[Key, str]:
    found: dict[Key, str] = {("collection", name): "present"}
    rest = {key: value for key, value in validator.items() if key != "$jsonSchema"}
    found["validation", name] = f"{level}, {action}" + (f", and {sorted(rest)}" if rest else "")
    found.update(_field_facts(name, validator.get("$jsonSchema", {})))
    for index in indexes:
        found["index", f"{name} ({', '.join(index.keys)})"] = "unique" if index.unique else "plain"
    return found


def _field_facts(path: str, schema: Mapping[str, Any]) -> dict[Key, str]:
    found: dict[Key, str] = {}
    for field, rules in schema.get("properties", {}).items():
        words = [_kind(rules)]
        if field in schema.get("required", ()):
            words.append("required")
        if "enum" in rules:
            words.append(f"one of {', '.join(map(str, rules['enum']))}")
        words += [f"{word} {rules[word]}" for word in ("minLength", "maxLength") if word in rules]
        found["field", f"{path}.{field}"] = ", ".join(words)
        inner = rules.get("items", {}) if rules.get("bsonType") == "array" else rules
        found.update(_field_facts(f"{path}.{field}", inner))
    for field in schema.get("required", ()):
        # A required field without rules of its own is a fact as well.
        found.setdefault(("field", f"{path}.{field}"), "any, required")
    return found


def _kind(rules: Mapping[str, Any]) -> str:
    kind = rules.get("bsonType", "any")
    if kind == "array" and "items" in rules:
        return f"array of {rules['items'].get('bsonType', 'any')}"
    return str(kind)
