"""The key store: what was written is there, whole, for the right root key, and for nobody else."""

from __future__ import annotations

import base64
import os
import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from prismicx.errors import Conflict, InvalidInput, NotFound, PrismicXError, Unavailable
from prismicx.keys import files, store
from prismicx.keys.root import RootKey
from prismicx.keys.store import Store
from prismicx.keys.tokens import ROLES, Tokens
from prismicx.keys.uselog import UseLog

ROOT = RootKey("key", bytes(range(32)))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture
def held(path: Path) -> Store:
    """A store with two keys, one of them rotated, and a token."""
    made = Store.create(path, ROOT)
    made.create_key("acme")
    made.create_key("globex")
    made.rotate("acme")
    Tokens(made).create("sealing", ROLES["sealing"])
    return made


def test_what_was_written_is_there_for_the_next_one(path: Path, held: Store) -> None:
    text = held.key("acme").encrypt(b"x")[0]
    held.configure("acme", min_decryption_version=2, deletion_allowed=True)
    again = Store.open(path, ROOT)
    assert again.names() == ["acme", "globex"]
    assert again.key("acme") == held.key("acme")
    assert again.key("acme").decrypt(text) == b"x"
    assert again.damage() == []
    assert (path.stat().st_mode | (path / "keys").stat().st_mode) & 0o077 == 0
    assert all(file.stat().st_mode & 0o777 == 0o600 for file in path.rglob("*") if file.is_file())


def test_nothing_secret_lies_open(path: Path, held: Store) -> None:
    material = [version.material for name in held.names() for version in held.key(name).versions]
    for file in path.rglob("*"):
        if file.is_file():
            content = file.read_bytes()
            assert not any(one in content or base64.b64encode(one) in content for one in material)
            assert b"pxk." not in content


def test_a_destroyed_key_is_gone_and_its_name_taken(path: Path, held: Store) -> None:
    text = held.key("acme").encrypt(b"x")[0]
    with pytest.raises(Conflict) as caught:
        held.destroy("acme")
    assert caught.value.code == "keys.deletion_forbidden"
    held.configure("acme", deletion_allowed=True)
    held.destroy("acme")
    for opened in (held, Store.open(path, ROOT)):
        uses: list[Callable[[], object]] = [lambda: opened.key("acme"), lambda: opened.create_key("acme")]  # noqa: B023
        uses += [lambda: opened.rotate("acme"), lambda: opened.destroy("acme")]  # noqa: B023
        for use in uses:
            with pytest.raises(Conflict) as caught:
                use()
            assert caught.value.code == "keys.destroyed"
        assert opened.names() == ["globex"]
    fresh = held.create_key("acme", again=True)
    with pytest.raises(InvalidInput):
        fresh.decrypt(text)


def test_a_destroyed_keys_old_bytes_are_overwritten(path: Path, held: Store) -> None:
    file = path / "keys" / "acme.key"
    held.configure("acme", deletion_allowed=True)
    before = file.read_bytes()
    watched = os.open(file, os.O_RDONLY)  # the very place on disk that held it
    held.destroy("acme")
    now = os.read(watched, len(before) + 100)
    os.close(watched)
    assert len(now) == len(before)
    assert before[:40] not in now


def test_an_unknown_key_is_named(held: Store) -> None:
    with pytest.raises(NotFound) as caught:
        held.key("initech")
    assert caught.value.code == "keys.unknown"
    with pytest.raises(InvalidInput):
        held.key("../tokens")


@pytest.mark.parametrize(
    "wrong", [RootKey("key", bytes(32)), RootKey("passphrase", b"correct horse battery")], ids=["key", "kind"]
)
def test_a_wrong_root_key_is_told_from_a_damaged_store(path: Path, held: Store, wrong: RootKey) -> None:
    before = {file: file.read_bytes() for file in path.rglob("*") if file.is_file()}
    with pytest.raises(Unavailable) as caught:
        Store.open(path, wrong)
    assert caught.value.code == "keys.root_wrong"
    assert {file: file.read_bytes() for file in path.rglob("*") if file.is_file()} == before
    assert Store.open(path, ROOT).names() == ["acme", "globex"]


@pytest.mark.parametrize("file", ["store.json", "tokens.json", "keys/acme.key"])
def test_a_file_cut_anywhere_is_refused_and_the_rest_is_served(path: Path, held: Store, file: str) -> None:
    content = (path / file).read_bytes()
    for length in range(len(content) - 1):  # the last byte is the end of the line
        (path / file).write_bytes(content[:length])
        _refused(path, file)
    (path / file).write_bytes(content)
    assert Store.open(path, ROOT).key("acme") == held.key("acme")


@pytest.mark.parametrize("file", ["store.json", "tokens.json", "keys/acme.key"])
def test_a_file_with_a_flipped_bit_is_refused_or_means_the_same(path: Path, held: Store, file: str) -> None:
    content = (path / file).read_bytes()
    harmless = 0
    for position in range(len(content)):
        for bit in range(8):
            changed = bytearray(content)
            changed[position] ^= 1 << bit
            (path / file).write_bytes(bytes(changed))
            if not _same(path, held):
                _refused(path, file)
            else:  # blanks between the parts, or the unused bits at the end of base64
                harmless += 1
    assert harmless < 60


def _same(path: Path, held: Store) -> bool:
    try:
        opened = Store.open(path, ROOT)
        return opened.key("acme") == held.key("acme") and opened.tokens() == held.tokens()
    except PrismicXError:
        return False


def _refused(path: Path, file: str) -> None:
    with pytest.raises(Unavailable) as caught:
        opened = Store.open(path, ROOT)
        assert opened.key("globex").latest == 1
        assert opened.damage() != []
        opened.key("acme")
    assert caught.value.code in ("keys.store_damaged", "keys.root_wrong", "keys.store_version")
    if file != "store.json":
        assert caught.value.code == "keys.store_damaged"
        assert file in caught.value.message


def test_a_damaged_key_is_not_made_anew(path: Path, held: Store) -> None:
    file = path / "keys" / "acme.key"
    file.write_bytes(file.read_bytes()[:100])
    opened = Store.open(path, ROOT)
    for use in (lambda: opened.create_key("acme"), lambda: opened.create_key("acme", again=True)):
        with pytest.raises(Unavailable, match="cut or changed"):
            use()
    assert len(file.read_bytes()) == 100
    assert opened.names() == ["acme", "globex"]


def test_files_cannot_take_one_anothers_place(path: Path, held: Store, tmp_path: Path) -> None:
    acme, globex = path / "keys" / "acme.key", path / "keys" / "globex.key"
    kept = acme.read_bytes()
    for other in (globex.read_bytes(), (path / "tokens.json").read_bytes()):
        acme.write_bytes(other)
        with pytest.raises(Unavailable) as caught:
            Store.open(path, ROOT).key("acme")
        assert caught.value.code == "keys.store_damaged"
    stranger = Store.create(tmp_path / "stranger", ROOT)  # of the same root key
    stranger.create_key("acme")
    acme.write_bytes((tmp_path / "stranger" / "keys" / "acme.key").read_bytes())
    with pytest.raises(Unavailable):
        Store.open(path, ROOT).key("acme")
    acme.write_bytes(kept)
    for name in ("store.json", "tokens.json"):
        saved = (path / name).read_bytes()
        (path / name).write_bytes((tmp_path / "stranger" / name).read_bytes())
        with pytest.raises(Unavailable):
            Store.open(path, ROOT).key("acme")
        (path / name).write_bytes(saved)
    assert Store.open(path, ROOT).key("acme").latest == 2


@pytest.mark.parametrize("what", ["", "keys", "store.json", "tokens.json", "keys/acme.key"])
@pytest.mark.parametrize("mode", [0o040, 0o004, 0o020, 0o002])
def test_what_others_can_read_or_write_is_refused(path: Path, held: Store, what: str, mode: int) -> None:
    file = path / what
    file.chmod(file.stat().st_mode | mode)
    with pytest.raises(Unavailable) as caught:
        Store.open(path, ROOT).key("acme")
    assert caught.value.code == "keys.exposed"
    assert "chmod" in caught.value.remedy


def test_a_store_is_never_made_over_another_nor_opened_where_none_is(path: Path, held: Store, tmp_path: Path) -> None:
    with pytest.raises(Conflict) as caught:
        Store.create(path, ROOT)
    assert caught.value.code == "keys.store_exists"
    assert held.names() == ["acme", "globex"]
    with pytest.raises(Unavailable) as missing:
        Store.open(tmp_path / "nowhere", ROOT)
    assert missing.value.code == "keys.store_missing"
    assert not (tmp_path / "nowhere").exists()
    assert [item.name for item in tmp_path.iterdir()] == ["store"]


def test_one_service_serves_a_store(path: Path, held: Store) -> None:
    (path / "keys" / ".part-0011223344556677").write_bytes(b"left by a killed one")
    with held.serving():
        assert not list((path / "keys").glob(".part*"))
        with pytest.raises(Unavailable) as caught, Store.open(path, ROOT).serving():
            pass
        assert caught.value.code == "keys.store_locked"
    with Store.open(path, ROOT).serving():
        pass


def test_a_write_that_fails_changes_nothing(path: Path, held: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    before = held.key("acme")
    with monkeypatch.context() as patched:
        patched.setattr(files.os, "fsync", full)  # type: ignore[attr-defined]
        uses: list[Callable[[], object]] = [lambda: held.rotate("acme"), lambda: held.create_key("new")]
        uses.append(lambda: Tokens(held).create("more", ("read",)))
        for use in uses:
            with pytest.raises(Unavailable) as caught:
                use()
            assert caught.value.code == "keys.unwritable"
    assert held.key("acme") == before == Store.open(path, ROOT).key("acme")
    assert held.names() == ["acme", "globex"]
    assert not list(path.rglob(".part*"))
    assert held.rotate("acme").latest == 3


def test_rotations_of_many_threads_are_all_there(path: Path, held: Store) -> None:
    threads = [threading.Thread(target=lambda: [held.rotate("acme") for _ in range(10)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert held.key("acme").latest == 42
    assert Store.open(path, ROOT).key("acme") == held.key("acme")


@pytest.mark.parametrize("moment", [0.0, -(2.0**40), 2.0**40])
def test_the_clock_decides_nothing(path: Path, held: Store, monkeypatch: pytest.MonkeyPatch, moment: float) -> None:
    text = held.key("acme").encrypt(b"x")[0]
    monkeypatch.setattr(store.time, "time", lambda: moment)
    secret = Tokens(held).create("made-then", ROLES["keyadmin"])
    held.rotate("acme")
    held.create_key("made-then")
    monkeypatch.undo()
    opened = Store.open(path, ROOT)
    assert opened.key("acme").decrypt(text) == b"x"
    assert opened.key("made-then").latest == 1
    known = Tokens(opened).known(secret)
    assert known is not None
    assert known.permits("rotate", "acme")


def test_another_root_key_can_be_given(path: Path, held: Store) -> None:
    held.reseal(RootKey("passphrase", b"six words that nobody else knows"))
    with pytest.raises(Unavailable) as caught:
        Store.open(path, ROOT)
    assert caught.value.code == "keys.root_wrong"
    with pytest.raises(Unavailable):
        Store.open(path, RootKey("passphrase", b"six words that nobody else know"))
    opened = Store.open(path, RootKey("passphrase", b"six words that nobody else knows"))
    assert opened.key("acme") == held.key("acme")


def test_tokens_are_known_by_hash_and_may_what_they_may(path: Path, held: Store) -> None:
    tokens = Tokens(held)
    secret = tokens.create("reader", ("read", "encrypt"), ("tenant_a*", "other"))
    known = tokens.known(secret)
    assert known is not None
    assert (known.permits("read", "tenant_acme"), known.permits("encrypt", "other")) == (True, True)
    assert not any((known.permits("read", "tenant_b"), known.permits("delete", "other"), known.permits("list", "")))
    assert tokens.known(secret[:-1]) is None
    assert tokens.known("") is None
    with pytest.raises(Conflict):
        tokens.create("reader", ("read",))
    # Another process revokes it: a service that runs sees that at its next request.
    Tokens(Store.open(path, ROOT)).revoke("reader")
    revoked = tokens.known(secret)
    assert revoked is not None
    assert revoked.name == "reader"
    assert not revoked.permits("read", "other")
    with pytest.raises(NotFound):
        tokens.revoke("reader")
    assert tokens.create("reader", ("read",)) != secret
    assert [token.name for token in tokens.list()] == ["sealing", "reader", "reader"]


@pytest.mark.parametrize(
    ("name", "operations", "keys", "code"),
    [
        ("", ("read",), ("*",), "keys.name_invalid"),
        ("a/b", ("read",), ("*",), "keys.name_invalid"),
        ("a", (), ("*",), "keys.operation_unknown"),
        ("a", ("fly",), ("*",), "keys.operation_unknown"),
        ("a", ("read",), ("",), "keys.pattern_invalid"),
        ("a", ("read",), ("[a]",), "keys.pattern_invalid"),
        ("a", ("read",), ("é*",), "keys.pattern_invalid"),
    ],
)
def test_a_token_that_makes_no_sense_is_refused(
    held: Store, name: str, operations: tuple[str, ...], keys: tuple[str, ...], code: str
) -> None:
    with pytest.raises(InvalidInput) as caught:
        Tokens(held).create(name, operations, keys)
    assert caught.value.code == code
    assert len(held.tokens()) == 1


def test_the_log_follows_a_file_that_was_moved(tmp_path: Path) -> None:
    log = UseLog(tmp_path / "use.log")
    log.write(operation="one")
    (tmp_path / "use.log").rename(tmp_path / "use.log.1")
    log.write(operation="two")
    log.close()
    assert '"one"' in (tmp_path / "use.log.1").read_text()
    assert '"two"' in (tmp_path / "use.log").read_text()
    (tmp_path / "use.log").chmod(0o644)
    with pytest.raises(Unavailable) as caught:
        UseLog(tmp_path / "use.log")
    assert caught.value.code == "keys.exposed"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no such device here")
def test_a_log_that_is_full_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = UseLog(tmp_path / "use.log")
    full = os.open("/dev/full", os.O_WRONLY)
    monkeypatch.setattr(log, "_descriptor", full)
    monkeypatch.setattr(log, "_follow", lambda: None)
    with pytest.raises(Unavailable) as caught:
        log.write(operation="one")
    assert caught.value.code == "keys.log_unwritable"
    os.close(full)


def test_a_store_can_be_put_back_from_a_copy(path: Path, held: Store, tmp_path: Path) -> None:
    text = held.key("acme").encrypt(b"x")[0]
    shutil.copytree(path, tmp_path / "copy")
    held.configure("acme", deletion_allowed=True)
    held.destroy("acme")
    # What docs/keys.md warns of: a copy made before still holds the key.
    assert Store.open(tmp_path / "copy", ROOT).key("acme").decrypt(text) == b"x"
