"""A wrapping key opens what it sealed, and nothing else."""

from __future__ import annotations

import base64
from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from prismicx.errors import InvalidInput
from prismicx.keys.names import check_name
from prismicx.keys.wrapping import WrappingKey, decode, new_version

KEY = WrappingKey("acme", (new_version(0.0), new_version(1.0), new_version(2.0)))
OTHER = WrappingKey("globex", (new_version(0.0), new_version(1.0), new_version(2.0)))


@given(st.binary(max_size=2000), st.binary(max_size=200), st.integers(0, 3))
def test_what_was_sealed_is_opened(text: bytes, bound: bytes, version: int) -> None:
    ciphertext, used = KEY.encrypt(text, bound, version)
    assert used == (version or 3)
    assert ciphertext.startswith(f"vault:v{used}:")
    assert KEY.decrypt(ciphertext, bound) == text
    assert KEY.encrypt(text, bound, version)[0] != ciphertext
    assert KEY.rotated(3.0).decrypt(ciphertext, bound) == text


@given(st.binary(max_size=200), st.binary(max_size=50), st.binary(max_size=50))
def test_other_associated_data_is_refused(text: bytes, bound: bytes, other: bytes) -> None:
    assume(bound != other)
    with pytest.raises(InvalidInput) as caught:
        KEY.decrypt(KEY.encrypt(text, bound)[0], other)
    assert caught.value.code == "keys.refused"


@given(st.binary(max_size=100), st.data())
def test_any_flipped_bit_of_the_text_is_refused(text: bytes, data: st.DataObject) -> None:
    ciphertext = KEY.encrypt(text)[0].encode()
    bit = data.draw(st.integers(0, len(ciphertext) * 8 - 1))
    changed = bytearray(ciphertext)
    changed[bit // 8] ^= 1 << bit % 8
    with pytest.raises(InvalidInput) as caught:
        KEY.decrypt(changed.decode("latin-1"))
    assert caught.value.code == "keys.refused"


@given(st.binary(max_size=100), st.data())
def test_any_cut_or_added_text_is_refused(text: bytes, data: st.DataObject) -> None:
    ciphertext = KEY.encrypt(text)[0]
    cut = data.draw(st.integers(0, len(ciphertext) - 1))
    more = data.draw(st.text(min_size=1, max_size=5))
    for wrong in (ciphertext[:cut], ciphertext[cut + 1 :], ciphertext + more, more + ciphertext):
        assume(wrong != ciphertext)
        with pytest.raises(InvalidInput):
            KEY.decrypt(wrong)


@given(st.text(max_size=80))
def test_no_text_breaks_it(text: str) -> None:
    for wrong in (text, f"vault:v1:{text}", f"vault:v{text}:AAAA"):
        with pytest.raises(InvalidInput):
            KEY.decrypt(wrong)


@given(st.binary(max_size=50), st.integers(1, 3), st.integers(1, 3))
def test_another_key_or_version_is_refused(text: bytes, made: int, claimed: int) -> None:
    ciphertext, _ = KEY.encrypt(text, version=made)
    with pytest.raises(InvalidInput):
        OTHER.decrypt(ciphertext)
    if made != claimed:
        with pytest.raises(InvalidInput):
            KEY.decrypt(ciphertext.replace(f"vault:v{made}:", f"vault:v{claimed}:"))


@given(st.integers(-2, 5), st.integers(-2, 5))
def test_least_versions_are_held_or_refused(decryption: int, encryption: int) -> None:
    try:
        key = KEY.configured(decryption, encryption, None)
    except InvalidInput as error:
        assert error.code == "keys.version_invalid"
        assert decryption < 0 or encryption < 0 or max(decryption, encryption) > 3 or 0 < encryption < decryption
        return
    for version in (1, 2, 3):
        ciphertext, _ = KEY.encrypt(b"x", version=version)
        if version < decryption:
            with pytest.raises(InvalidInput, match="too old"):
                key.decrypt(ciphertext)
        else:
            assert key.decrypt(ciphertext) == b"x"
        if version < max(decryption, encryption):
            with pytest.raises(InvalidInput):
                key.encrypt(b"x", version=version)
        else:
            assert key.encrypt(b"x", version=version)[1] == version


def test_a_key_survives_being_written_and_read() -> None:
    key = replace(KEY, min_decryption_version=2, deletion_allowed=True)
    assert WrappingKey.from_document("acme", key.as_document()) == key
    assert "material" not in repr(key)
    assert repr(key.versions[0].material) not in repr(key)


@given(st.binary(max_size=40))
def test_base64_has_one_form(data: bytes) -> None:
    text = base64.b64encode(data).decode()
    assert decode(text) == data
    for wrong in (f"{text}\n", f" {text}", text + "=", text.rstrip("=") if text.endswith("=") else text + "A"):
        with pytest.raises(ValueError, match=r".+"):
            decode(wrong)


@given(st.text(max_size=140))
def test_a_name_is_a_file_of_its_own(name: str) -> None:
    try:
        check_name(name)
    except InvalidInput as error:
        assert error.code == "keys.name_invalid"
        return
    assert "/" not in name
    assert "\0" not in name
    assert not name.startswith(".")
    assert name.isascii()
    assert 0 < len(name) <= 128
