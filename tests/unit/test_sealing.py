"""Sealed values: every bit, length, place and key that is not right is refused."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prismicx.errors import Denied, InvalidInput, PrismicXError
from prismicx.sealing import fields
from prismicx.sealing.fields import FIELDS, PAYLOAD, PREFERENCE, PRIVATE
from prismicx.sealing.keyset import Keyset, generate, restored
from prismicx.sealing.values import (
    MARK,
    PartlyOpened,
    Spot,
    check_plain,
    encode,
    head_of,
    is_sealed,
    joined,
    keyset_associated,
    parse,
    shown,
)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)
SPOT = Spot("acme", PREFERENCE, "row-1", "token")
KEYS = generate("acme", "preferences")
SEARCH = generate("acme", "search")
TEXT = KEYS.seal(SPOT, {"token": "abc"}, SEARCH.digests(SPOT, {"token": "abc"})[0])


def forged(**changes: Any) -> str:
    """The text with another part."""
    sealed = parse(TEXT)
    assert sealed is not None
    parts = {name: getattr(sealed, name) for name in ("data_class", "digest", "key_id", "ciphertext")} | changes
    return head_of(parts["data_class"], parts["digest"], parts["key_id"]) + encode(parts["ciphertext"])


def refused(keyset: Keyset, spot: Spot, text: object) -> None:
    with pytest.raises(Denied) as caught:
        keyset.open(spot, text)
    assert caught.value.code == "keys.cannot_open"


@given(JSON)
def test_what_is_sealed_opens_as_it_was(value: Any) -> None:
    text = KEYS.seal(SPOT, value)
    assert is_sealed(text) and parse(text) is not None
    assert KEYS.open(SPOT, text) == value
    assert KEYS.seal(SPOT, value) != text  # equal values do not look equal


@given(st.integers(min_value=0, max_value=len(TEXT) - 1), st.integers(min_value=0, max_value=7))
def test_a_flipped_bit_anywhere_in_the_text_is_refused(place: int, bit: int) -> None:
    raw = bytearray(TEXT.encode())
    raw[place] ^= 1 << bit
    refused(KEYS, SPOT, raw.decode("latin-1"))


def test_a_flipped_bit_anywhere_in_the_ciphertext_is_refused() -> None:
    sealed = parse(TEXT)
    assert sealed is not None
    for place in range(len(sealed.ciphertext)):
        for bit in range(8):
            raw = bytearray(sealed.ciphertext)
            raw[place] ^= 1 << bit
            refused(KEYS, SPOT, forged(ciphertext=bytes(raw)))


@pytest.mark.parametrize("value", ["", "a", "ab", "abc"])
def test_other_ways_to_write_the_same_are_refused(value: str) -> None:
    written = KEYS.seal(SPOT, value)
    head, _, tail = written.rpartition(":")
    begin, _, key_id = head.rpartition(":")
    assert KEYS.open(SPOT, written) == value
    others = [f"{begin}:{number}:{tail}" for number in (f"0{key_id}", f"+{key_id}", int(key_id) + 2**32)]
    others += [f"{head}:{text}" for text in (f"{tail}=", f"\n{tail}", f"{tail}\n", f"{tail[:4]}={tail[4:]}")]
    others += [written.replace(":1:", mark, 1) for mark in (":01:", ":2:", "::", ":")]
    bare = tail.rstrip("=")
    signs = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_="
    others += [f"{head}:{bare[:-1]}{sign}{tail[len(bare) :]}" for sign in signs if sign != bare[-1]]
    others += [f"{head}:{bare}"] if bare != tail else []
    for text in others:
        assert text != written
        refused(KEYS, SPOT, text)


def test_every_other_length_is_refused() -> None:
    for length in range(len(TEXT)):
        refused(KEYS, SPOT, TEXT[:length])
    for more in ("A", "=", "==", "\n", " ", TEXT[-1], ":", TEXT):
        refused(KEYS, SPOT, TEXT + more)
        refused(KEYS, SPOT, more + TEXT)


@given(st.text() | st.binary() | st.integers() | st.none())
def test_what_is_no_sealed_value_is_refused(value: object) -> None:
    refused(KEYS, SPOT, value)


@pytest.mark.parametrize(
    "spot",
    [
        Spot("acme2", PREFERENCE, "row-1", "token"),
        Spot("acme", PREFERENCE, "row-2", "token"),
        Spot("acme", PREFERENCE, "row-1", "token2"),
        Spot("acme", PREFERENCE, "row-1", ""),
        Spot("acme", PREFERENCE, "token", "row-1"),
        Spot("acme", PREFERENCE, "row-1token", ""),
        *[Spot("acme", field, "row-1", "token") for field in FIELDS if field is not PREFERENCE],
    ],
)
def test_it_opens_at_its_own_spot_only(spot: Spot) -> None:
    assert KEYS.open(SPOT, TEXT) == {"token": "abc"}
    refused(KEYS, spot, TEXT)


def test_keys_of_another_tenant_or_class_open_nothing() -> None:
    refused(generate("other", "preferences"), SPOT, TEXT)
    refused(generate("acme", "users"), SPOT, TEXT)
    # Also when it is told that they do: the class and the id are bound into the ciphertext.
    users = generate("acme", "users")
    refused(users, SPOT, forged(data_class="users", key_id=users.primary))
    named = dataclasses.replace(KEYS, data_class="users")
    refused(named, SPOT, forged(data_class="users"))


def test_the_hash_is_bound_to_the_value() -> None:
    refused(KEYS, SPOT, forged(digest=SEARCH.digests(SPOT, "another")[0]))
    refused(KEYS, SPOT, forged(digest="-"))


@given(JSON, JSON)
def test_equal_values_hash_alike_and_others_do_not(first: Any, second: Any) -> None:
    elsewhere = dataclasses.replace(SPOT, row="row-2")
    assert SEARCH.digests(SPOT, first) == SEARCH.digests(elsewhere, first)
    # 1 and 1.0 and True are other JSON texts; Python calls them equal.
    if repr(first) != repr(second) and first != second:
        assert SEARCH.digests(SPOT, first) != SEARCH.digests(SPOT, second)


@given(JSON)
def test_hashes_of_other_tenants_and_fields_differ(value: Any) -> None:
    found = {
        SEARCH.digests(SPOT, value)[0].partition(".")[2],
        SEARCH.digests(dataclasses.replace(SPOT, name="other"), value)[0].partition(".")[2],
        SEARCH.digests(dataclasses.replace(SPOT, field=PAYLOAD), value)[0].partition(".")[2],
        generate("acme", "search").digests(SPOT, value)[0].partition(".")[2],
    }
    assert len(found) == 4


def test_a_new_key_seals_and_the_old_ones_still_open() -> None:
    rotated = KEYS.with_new_key()
    assert rotated.key_ids[1:] == KEYS.key_ids and rotated.primary != KEYS.primary
    assert rotated.open(SPOT, TEXT) == {"token": "abc"}
    newer = rotated.seal(SPOT, 2)
    refused(KEYS, SPOT, newer)
    assert rotated.with_new_key().open(SPOT, newer) == 2
    retired = rotated.without([KEYS.primary])
    assert retired.key_ids == (rotated.primary,) and retired.open(SPOT, newer) == 2
    refused(retired, SPOT, TEXT)
    assert rotated.without([rotated.primary]).key_ids == rotated.key_ids  # what seals stays
    again = restored("acme", "preferences", rotated.plain)
    assert again == rotated and again.open(SPOT, newer) == 2


def test_hashes_of_all_keys_find_what_older_ones_hashed() -> None:
    rotated = SEARCH.with_new_key()
    assert rotated.digests(SPOT, "x")[1] == SEARCH.digests(SPOT, "x")[0]


@pytest.mark.parametrize("plain", [b"", b"x", KEYS.plain[:-1], KEYS.plain[1:], SEARCH.plain])
def test_what_is_no_keyset_of_the_class_is_refused(plain: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        restored("acme", "users", plain)


@given(st.lists(st.text(), max_size=4), st.lists(st.text(), max_size=4))
def test_parts_never_run_into_one_another(first: list[str], second: list[str]) -> None:
    assert (joined(*first) == joined(*second)) == (first == second)


def test_keysets_are_bound_to_tenant_and_class() -> None:
    found = {keyset_associated(tenant, data) for tenant in ("a", "ab") for data in fields.DATA_CLASSES}
    assert len(found) == 2 * len(fields.DATA_CLASSES)


@given(st.text())
def test_no_caller_stores_what_looks_sealed(text: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        check_plain("preference.invalid", "it", MARK + text)
    assert caught.value.code == "preference.invalid"
    if not text.startswith(MARK):
        check_plain("preference.invalid", "it", text)


def test_what_did_not_open_raises_when_it_is_asked_for() -> None:
    held = PartlyOpened({"a": 1, "b": TEXT}, {"b": PrismicXError("keys.unavailable", "down")})
    assert held["a"] == 1 and "b" in held and list(held) == ["a", "b"] and len(held) == 2
    for ask in (lambda: held["b"], lambda: dict(held), lambda: held.get("b"), lambda: list(held.items())):
        with pytest.raises(PrismicXError):
            ask()
    assert shown(held) == {"a": 1, "b": "(keys.unavailable)"} and TEXT not in repr(held)
    assert shown({"a": 1}) == {"a": 1}


def test_the_declaration_names_every_field_once_with_its_reason() -> None:
    assert len({field.path for field in FIELDS}) == len(FIELDS) == 5
    assert all(field.reason and field.when for field in FIELDS)
    text = "\n".join(fields.table())
    assert all(f"`{field.path}`" in text for field in FIELDS)
    assert not PRIVATE.searchable
