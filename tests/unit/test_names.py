from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prismicx.errors import InvalidInput
from prismicx.names import (
    MONGO_DATABASE_LIMIT,
    POSTGRES_LIMIT,
    Names,
    check_namespace,
    check_system_type,
    check_tenant_id,
    shorten,
)

ids = st.from_regex(r"\A[a-z0-9]+(-[a-z0-9]+)*\Z").filter(lambda text: len(text) <= 50)
types = st.from_regex(r"\A[a-z][a-z0-9]{0,49}\Z")
namespaces = st.one_of(st.just(""), st.from_regex(r"\A[a-z][a-z0-9]{0,11}\Z"))


@given(ids, types, namespaces)
def test_every_name_fits_its_engine(tenant: str, kind: str, namespace: str) -> None:
    names = Names(namespace)
    for name in (
        names.tenant_role(tenant),
        names.tenant_owner(tenant),
        names.schema(tenant, kind),
        names.extensions_view(tenant),
        names.service("extensions"),
    ):
        assert 0 < len(name.encode()) <= POSTGRES_LIMIT
    assert len(names.tenant_database(tenant).encode()) <= MONGO_DATABASE_LIMIT


@given(st.lists(st.tuples(ids, types), min_size=2, max_size=12, unique=True))
def test_no_two_tenants_or_types_share_a_schema(pairs: list[tuple[str, str]]) -> None:
    names = Names()
    assert len({names.schema(*pair) for pair in pairs}) == len(pairs)


@given(st.lists(ids, min_size=2, max_size=12, unique=True), namespaces)
def test_no_two_tenants_share_a_role_database_or_view(tenants: list[str], namespace: str) -> None:
    names = Names(namespace)
    for make in (names.tenant_database, names.extensions_view):
        assert len({make(tenant) for tenant in tenants}) == len(tenants)
    roles = [make(tenant) for tenant in tenants for make in (names.tenant_role, names.tenant_owner)]
    assert len(set(roles)) == len(roles)


@given(ids, ids, namespaces, namespaces)
def test_platforms_of_different_namespaces_share_no_database_and_no_role(a: str, b: str, one: str, two: str) -> None:
    if one != two:
        first, second = Names(one), Names(two)
        assert first.tenant_database(a) != second.tenant_database(b)
        assert first.tenant_role(a) != second.tenant_role(b)
        assert first.service("users") != second.service("users")


def test_near_misses_stay_apart() -> None:
    names = Names()
    assert names.schema("a-b", "c") != names.schema("a", "bc")
    assert names.schema("a", "b1") == "tenant_a_b1"
    assert names.schema("a-b", "c") == "tenant_a_b_c"
    assert names.tenant_role("a-owner") != names.tenant_owner("a")
    long = "a" * 50
    assert names.schema(long, "marketing") != names.schema(f"{long[:-1]}b", "marketing")


def test_the_examples_of_the_reference() -> None:
    names = Names()
    assert names.schema("tenant-001", "crm") == "tenant_tenant_001_crm"
    assert names.tenant_database("001") == "tenant_001_db"
    assert names.extensions_view("001") == "tenant_001_extensions"


@given(st.text(min_size=64, max_size=200), st.text(min_size=64, max_size=200))
def test_a_shortened_name_is_marked_and_keeps_apart(first: str, second: str) -> None:
    short = shorten("a" * 40 + first.encode().hex(), POSTGRES_LIMIT)
    assert "__" in short
    assert len(short) == POSTGRES_LIMIT
    if first != second:
        assert short != shorten("a" * 40 + second.encode().hex(), POSTGRES_LIMIT)


BAD_IDS = [
    *("", "a" * 51, "Acme", "acme_x", "-a", "a-", "a--b", "a.b", "..", "../etc", "a b", "a\0b", "a\n", "\na", "é"),
    *("a'; DROP SCHEMA public; --", 'a"b', "$ne", "a$", "tenant/1", "%", "*", "acme ", "ⅷ", "١"),
]


@pytest.mark.parametrize("bad", [*BAD_IDS, None, 7, True, b"acme", ["acme"], {"$ne": ""}, {"$gt": ""}, object()])
def test_what_is_no_tenant_id_is_named_and_refused(bad: object) -> None:
    with pytest.raises(InvalidInput) as caught:
        check_tenant_id(bad)
    assert caught.value.code == "tenant.id_invalid"
    assert caught.value.remedy
    assert "\0" not in str(caught.value)
    assert "\n" not in caught.value.message


@given(st.text(max_size=60))
def test_an_accepted_id_never_needs_quoting(text: str) -> None:
    try:
        accepted = check_tenant_id(text)
    except InvalidInput:
        return
    assert accepted == text
    assert set(accepted) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")
    assert "--" not in accepted


@pytest.mark.parametrize("bad", ["", "CRM", "c-r", "c_r", "1a", "a" * 51, None, {"$ne": 1}, "a\0"])
def test_what_is_no_system_type_is_refused(bad: object) -> None:
    with pytest.raises(InvalidInput):
        check_system_type(bad)


@pytest.mark.parametrize("bad", ["1a", "a_b", "A", "a" * 13, "a-b", None, 3])
def test_what_is_no_namespace_is_refused(bad: object) -> None:
    with pytest.raises(InvalidInput):
        check_namespace(bad)
