"""Proofs of whose transaction it is."""

from __future__ import annotations

import hashlib

from hypothesis import given
from hypothesis import strategies as st

from prismicx.engines.context import ContextKey

tenants = st.from_regex(r"[a-z0-9]{1,10}(-[a-z0-9]{1,5}){0,3}", fullmatch=True)
backends = st.integers(1, 2**31 - 1)


@given(st.text(min_size=1), tenants, backends)
def test_the_database_computes_the_same_from_the_pads(secret: str, tenant: str, backend: int) -> None:
    key = ContextKey(secret)
    inner, outer = key.pads()
    message = f"{tenant} {backend}".encode()
    assert len(inner) == len(outer) == 64
    assert key.proof(tenant, backend) == hashlib.sha256(outer + hashlib.sha256(inner + message).digest()).hexdigest()


@given(st.tuples(st.text(min_size=1), tenants, backends), st.tuples(st.text(min_size=1), tenants, backends))
def test_no_two_claims_have_one_proof(one: tuple[str, str, int], other: tuple[str, str, int]) -> None:
    same = ContextKey(one[0]).proof(*one[1:]) == ContextKey(other[0]).proof(*other[1:])
    assert same == (one == other)


@given(st.text(min_size=1), st.lists(st.tuples(tenants, backends), min_size=2, max_size=9))
def test_what_is_kept_is_what_would_be_made(secret: str, claims: list[tuple[str, int]]) -> None:
    key = ContextKey(secret)
    for tenant, backend in claims * 2:
        assert key.settings(tenant, backend) == (
            f"SET LOCAL app.current_tenant_id = '{tenant}'; SET LOCAL app.tenant_proof = '{key.proof(tenant, backend)}'"
        )


def test_a_process_that_serves_many_keeps_few() -> None:
    key = ContextKey("a secret")
    for backend in range(20_000):
        key.settings("acme", backend)
    assert len(key._kept) <= 4096
