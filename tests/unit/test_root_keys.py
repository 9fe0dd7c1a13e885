"""The root key of the embedded key service: where it comes from, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from prismicx.errors import InvalidInput, Unavailable
from prismicx.keys import root
from prismicx.keys.root import RootKey


def test_parameters_of_a_passphrase_that_would_take_all_memory_are_refused() -> None:
    words = RootKey("passphrase", b"correct horse battery")
    with pytest.raises(ValueError, match="out of range"):
        words.derive({**words.parameters(), "memory": 2**31})


def test_the_root_key_of_each_source(tmp_path: Path) -> None:
    file = tmp_path / "root.key"
    root.make_file(file)
    assert file.stat().st_mode & 0o777 == 0o600
    made = root.from_file(file)
    assert made.kind == "key"
    environ = {root.VARIABLE: file.read_text(), "OTHER": "1"}
    assert root.from_environment(environ) == made
    assert environ == {"OTHER": "1"}
    with pytest.raises(Unavailable) as caught:
        root.make_file(file)
    assert root.from_file(file) == made
    words = tmp_path / "words"
    words.write_text("correct horse battery\nsecond line\n")
    words.chmod(0o600)
    assert root.from_passphrase_file(words) == RootKey("passphrase", b"correct horse battery")
    assert "correct" not in repr(root.from_passphrase_file(words))
    with pytest.raises(InvalidInput) as both:
        root.choose(file, words)
    assert both.value.code == "keys.root_ambiguous"
    for loose in (file, words):
        loose.chmod(0o640)
        with pytest.raises(Unavailable) as caught:
            root.choose(file if loose == file else None, words if loose == words else None)
        assert caught.value.code == "keys.exposed"


@pytest.mark.parametrize("content", [b"", b"\0" * 32, b"AAAA", b"not base64 at all %%%", b"A" * 100])
def test_what_is_no_root_key_is_refused(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "root.key"
    file.write_bytes(content)
    file.chmod(0o600)
    with pytest.raises(Unavailable) as caught:
        root.from_file(file)
    assert caught.value.code == "keys.root_invalid"


def test_a_short_passphrase_is_refused() -> None:
    with pytest.raises(Unavailable) as caught:
        root.from_passphrase(b"password")
    assert caught.value.code == "keys.root_invalid"


def test_no_root_key_at_all_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(root.VARIABLE, raising=False)
    for choose in (lambda: root.choose(), lambda: root.choose(tmp_path / "none")):
        with pytest.raises(Unavailable) as caught:
            choose()
        assert caught.value.code == "keys.root_missing"
