"""What is asked of a key service, with the client of others: ours keeps it, and OpenBao and Vault do.

``PRISMICX_TEST_KEY_URL`` names another service than the embedded one, ``PRISMICX_TEST_KEY_TOKEN`` and
``PRISMICX_TEST_KEY_ADMIN_TOKEN`` its tokens, of the policies in docs/keys.md. Its transit engine must be mounted at
``transit``.
"""

from __future__ import annotations

import base64
import os
import secrets
from collections.abc import Callable, Iterator
from typing import Any

import hvac
import pytest
from hvac import exceptions
from hypothesis import given, settings
from hypothesis import strategies as st

from prismicx.keys.client import Keys

OURS = "PRISMICX_TEST_KEY_URL" not in os.environ
TEXT = base64.b64encode(b"a keyset").decode()
BOUND = base64.b64encode(b"acme").decode()


def opened(client: hvac.Client) -> Any:
    return client.secrets.transit


@pytest.fixture(scope="module")
def clients(keys: Keys) -> Iterator[tuple[hvac.Client, hvac.Client]]:
    """One that seals and one that administers."""
    where = keys.endpoint
    made = [hvac.Client(where.url, token) for token in (where.token, where.admin_token or where.token)]
    yield made[0], made[1]
    for client in made:
        client.adapter.close()


@pytest.fixture(scope="module")
def sealing(clients: tuple[hvac.Client, hvac.Client]) -> Any:
    return opened(clients[0])


@pytest.fixture(scope="module")
def admin(clients: tuple[hvac.Client, hvac.Client]) -> Any:
    return opened(clients[1])


@pytest.fixture(scope="module")
def new_key(sealing: Any, admin: Any) -> Iterator[Callable[[], str]]:
    made: list[str] = []

    def make() -> str:
        made.append(f"tenant_{secrets.token_hex(6)}")
        sealing.create_key(made[-1])
        return made[-1]

    yield make
    for name in made:
        try:
            admin.update_key_configuration(name, deletion_allowed=True)
            admin.delete_key(name)
        except exceptions.InvalidRequest:
            pass  # the test destroyed it


def sealed(sealing: Any, name: str, text: str = TEXT, bound: str | None = None) -> str:
    return str(sealing.encrypt_data(name, text, associated_data=bound)["data"]["ciphertext"])


def test_the_service_answers_and_knows_our_tokens(clients: tuple[hvac.Client, hvac.Client]) -> None:
    health = clients[0].sys.read_health_status(method="GET")
    assert (health["initialized"], health["sealed"]) == (True, False)
    assert all(client.is_authenticated() for client in clients)


def test_a_key_is_created_once_and_read(sealing: Any, new_key: Callable[[], str]) -> None:
    name = new_key()
    sealing.create_key(name)
    held = sealing.read_key(name)["data"]
    assert held["name"] == name
    assert held["type"] == "aes256-gcm96"
    assert list(held["keys"]) == ["1"]
    assert (held["latest_version"], held["min_decryption_version"], held["min_encryption_version"]) == (1, 1, 0)
    assert (held["deletion_allowed"], held["exportable"], held["derived"]) == (False, False, False)


def test_what_is_sealed_is_opened_and_never_sealed_alike(sealing: Any, new_key: Callable[[], str]) -> None:
    name = new_key()
    first, second = sealed(sealing, name), sealed(sealing, name)
    assert first != second
    assert first.startswith("vault:v1:")
    for text in (first, second):
        assert sealing.decrypt_data(name, text)["data"]["plaintext"] == TEXT
    nothing = sealed(sealing, name, "")
    assert sealing.decrypt_data(name, nothing)["data"]["plaintext"] == ""


def test_associated_data_binds(sealing: Any, new_key: Callable[[], str]) -> None:
    name = new_key()
    text = sealed(sealing, name, bound=BOUND)
    assert sealing.decrypt_data(name, text, associated_data=BOUND)["data"]["plaintext"] == TEXT
    for other in (None, base64.b64encode(b"globex").decode()):
        with pytest.raises(exceptions.InvalidRequest, match="message authentication failed"):
            sealing.decrypt_data(name, text, associated_data=other)


def test_after_a_rotation_old_and_new_are_opened_and_the_new_version_seals(
    sealing: Any, admin: Any, new_key: Callable[[], str]
) -> None:
    name = new_key()
    old = sealed(sealing, name)
    admin.rotate_key(name)
    new = sealed(sealing, name)
    assert new.startswith("vault:v2:")
    assert [sealing.decrypt_data(name, text)["data"]["plaintext"] for text in (old, new)] == [TEXT, TEXT]
    rewrapped = admin.rewrap_data(name, old)["data"]
    assert rewrapped["ciphertext"].startswith("vault:v2:")
    assert rewrapped["key_version"] == 2
    assert sealing.decrypt_data(name, rewrapped["ciphertext"])["data"]["plaintext"] == TEXT
    assert sorted(sealing.read_key(name)["data"]["keys"]) == ["1", "2"]


def test_below_the_least_version_nothing_is_opened_until_it_is_set_back(
    sealing: Any, admin: Any, new_key: Callable[[], str]
) -> None:
    name = new_key()
    old = sealed(sealing, name)
    admin.rotate_key(name)
    admin.update_key_configuration(name, min_decryption_version=2)
    assert sealing.read_key(name)["data"]["min_decryption_version"] == 2
    for refused in (lambda: sealing.decrypt_data(name, old), lambda: admin.rewrap_data(name, old)):
        with pytest.raises(exceptions.InvalidRequest, match="too old"):
            refused()
    admin.update_key_configuration(name, min_decryption_version=1)
    assert sealing.decrypt_data(name, old)["data"]["plaintext"] == TEXT


def test_the_least_version_that_seals(sealing: Any, admin: Any, new_key: Callable[[], str]) -> None:
    name = new_key()
    admin.rotate_key(name)
    first = sealing.encrypt_data(name, TEXT, key_version=1)["data"]
    assert first["ciphertext"].startswith("vault:v1:")
    admin.update_key_configuration(name, min_encryption_version=2)
    with pytest.raises(exceptions.InvalidRequest):
        sealing.encrypt_data(name, TEXT, key_version=1)
    with pytest.raises(exceptions.InvalidRequest, match="higher than the latest"):
        sealing.encrypt_data(name, TEXT, key_version=3)


@pytest.mark.parametrize(
    "wrong",
    [{"min_decryption_version": 9}, {"min_encryption_version": 9}, {"min_decryption_version": -1}],
    ids=lambda given: " ".join(f"{name}={value}" for name, value in given.items()),
)
def test_a_version_that_is_not_there_cannot_be_the_least(
    admin: Any, sealing: Any, new_key: Callable[[], str], wrong: dict[str, int]
) -> None:
    name = new_key()
    before = sealing.read_key(name)["data"]
    with pytest.raises(exceptions.InvalidRequest):
        admin.update_key_configuration(name, **wrong)
    assert sealing.read_key(name)["data"] == before


def test_a_key_is_destroyed_only_when_that_was_allowed(sealing: Any, admin: Any, new_key: Callable[[], str]) -> None:
    name = new_key()
    text = sealed(sealing, name)
    with pytest.raises(exceptions.InvalidRequest, match="deletion is not allowed"):
        admin.delete_key(name)
    assert sealing.decrypt_data(name, text)["data"]["plaintext"] == TEXT
    admin.update_key_configuration(name, deletion_allowed=True)
    admin.delete_key(name)
    with pytest.raises((exceptions.InvalidPath, exceptions.InvalidRequest)):
        sealing.read_key(name)
    with pytest.raises(exceptions.InvalidRequest):
        sealing.decrypt_data(name, text)
    with pytest.raises(exceptions.InvalidRequest):
        admin.delete_key(name)
    try:
        assert name not in admin.list_keys()["data"]["keys"]
    except exceptions.InvalidPath:
        assert not OURS  # the others say so where there is no key at all


def test_a_batch_is_done_whole_and_tells_which_item_was_refused(
    sealing: Any, admin: Any, new_key: Callable[[], str]
) -> None:
    name = new_key()
    texts = [base64.b64encode(f"text {number}".encode()).decode() for number in range(5)]
    batch = [{"plaintext": text, "associated_data": BOUND} for text in texts]
    done = sealing.encrypt_data(name, "", batch_input=batch)["data"]["batch_results"]
    assert [item["key_version"] for item in done] == [1] * 5
    back = [{"ciphertext": item["ciphertext"], "associated_data": BOUND} for item in done]
    found = sealing.decrypt_data(name, "", batch_input=back)["data"]["batch_results"]
    assert [item["plaintext"] for item in found] == texts
    back[2]["associated_data"] = TEXT
    with pytest.raises(exceptions.InvalidRequest) as caught:
        sealing.decrypt_data(name, "", batch_input=back)
    results = caught.value.json["data"]["batch_results"]
    assert [bool(item.get("error")) for item in results] == [False, False, True, False, False]
    assert [item["plaintext"] for item in results if not item.get("error")] == [*texts[:2], *texts[3:]]
    admin.rotate_key(name)
    plain = [{"ciphertext": sealed(sealing, name)} for _ in range(3)]
    rewrapped = admin.rewrap_data(name, "", batch_input=plain)["data"]["batch_results"]
    assert all(item["ciphertext"].startswith("vault:v2:") for item in rewrapped)


@pytest.mark.parametrize(
    "text",
    [
        *("", "x", "vault", "vault:v1", "vault:v1:", "vault:v1:%%", "vault:v1:AAAA", "vault:v9:AAAA", "vault:vx:AAAA"),
        *("vault:v0:AAAA", "vault:v-1:AAAA", "vault:v99999999999999999999:AAAA", "Vault:v1:AAAA", "plain words"),
        "vault:v1:" + base64.b64encode(bytes(27)).decode(),
        "vault:v1:" + base64.b64encode(bytes(60)).decode(),
    ],
)
def test_what_is_no_ciphertext_is_refused(sealing: Any, new_key: Callable[[], str], text: str) -> None:
    with pytest.raises(exceptions.InvalidRequest):
        sealing.decrypt_data(new_key(), text)


def test_another_keys_ciphertext_is_refused(sealing: Any, new_key: Callable[[], str]) -> None:
    mine, other = new_key(), new_key()
    with pytest.raises(exceptions.InvalidRequest, match="message authentication failed"):
        sealing.decrypt_data(other, sealed(sealing, mine))


def test_every_flipped_bit_and_every_cut_is_refused(sealing: Any, new_key: Callable[[], str]) -> None:
    name = new_key()
    text = sealed(sealing, name, bound=BOUND)
    data = base64.b64decode(text.removeprefix("vault:v1:"))
    flipped = [
        data[: bit // 8] + bytes([data[bit // 8] ^ 1 << bit % 8]) + data[bit // 8 + 1 :] for bit in range(len(data) * 8)
    ]
    cut = [data[:length] for length in range(len(data))]
    wrong = [f"vault:v1:{base64.b64encode(item).decode()}" for item in [*flipped, *cut, data + b"\0"]]
    batch = [{"ciphertext": item, "associated_data": BOUND} for item in wrong]
    results: list[dict[str, Any]] = []
    for start in range(0, len(batch), 100):  # OpenBao takes no JSON of more than a thousand strings
        with pytest.raises(exceptions.InvalidRequest) as caught:
            sealing.decrypt_data(name, "", batch_input=batch[start : start + 100])
        results += caught.value.json["data"]["batch_results"]
    assert len(results) == len(data) * 9 + 1
    assert all(item["error"] and not item.get("plaintext") for item in results)
    assert sealing.decrypt_data(name, text, associated_data=BOUND)["data"]["plaintext"] == TEXT


def test_any_bytes_come_back(sealing: Any, new_key: Callable[[], str]) -> None:
    name = new_key()

    @settings(max_examples=40)
    @given(st.binary(max_size=3000), st.binary(min_size=1, max_size=300))
    def back(text: bytes, bound: bytes) -> None:
        plain, associated = base64.b64encode(text).decode(), base64.b64encode(bound).decode()
        ciphertext = sealed(sealing, name, plain, associated)
        assert sealing.decrypt_data(name, ciphertext, associated_data=associated)["data"]["plaintext"] == plain

    back()


def test_a_missing_key_is_not_made_by_using_it(sealing: Any, admin: Any) -> None:
    name = f"tenant_missing{secrets.token_hex(6)}"
    with pytest.raises(exceptions.InvalidPath):
        sealing.read_key(name)
    for use in (lambda: sealing.decrypt_data(name, "vault:v1:AAAA"), lambda: admin.rotate_key(name)):
        with pytest.raises(exceptions.InvalidRequest, match="not found"):
            use()
    # OpenBao and Vault make it, unless the token's policy forbids that, as the one in docs/keys.md does.
    with pytest.raises((exceptions.InvalidRequest, exceptions.Forbidden)):
        sealing.encrypt_data(name, TEXT)
    with pytest.raises(exceptions.InvalidPath):
        sealing.read_key(name)


@pytest.mark.parametrize("token", ["", "s.unknown", "pxk." + "A" * 43])
def test_a_token_that_is_none_may_do_nothing(keys: Keys, new_key: Callable[[], str], token: str) -> None:
    client = hvac.Client(keys.endpoint.url, token)
    try:
        for use in (
            lambda: client.secrets.transit.read_key(new_key()),
            lambda: client.secrets.transit.create_key("tenant_mine"),
            lambda: client.secrets.transit.list_keys(),
            lambda: client.auth.token.lookup_self(),
        ):
            with pytest.raises(exceptions.Forbidden):
                use()
    finally:
        client.adapter.close()


@pytest.mark.parametrize("name", ["-", "-x", "a b", "x-", "é"])
def test_a_name_that_is_none_is_refused(admin: Any, name: str) -> None:
    with pytest.raises((exceptions.InvalidRequest, exceptions.InvalidPath, exceptions.UnexpectedError)):
        admin.rotate_key(name)


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"{", "JSON"),
        (b"[" * 100_000, "JSON"),
        (b"[]", ""),
        (b'{"plaintext": "%%"}', ""),
        (b"{}", "missing plaintext"),
        (b'{"batch_input": []}', "missing batch input"),
        (b'{"batch_input": 7}', ""),
        (b'{"plaintext": "AAAA", "key_version": "x"}', ""),
        (b'{"plaintext": {"a": 1}}', ""),
    ],
)
def test_a_bad_request_is_named(
    clients: tuple[hvac.Client, hvac.Client], new_key: Callable[[], str], body: bytes, why: str
) -> None:
    with pytest.raises(exceptions.VaultError) as caught:
        clients[0].adapter.post(f"/v1/transit/encrypt/{new_key()}", data=body)
    assert isinstance(caught.value, exceptions.InvalidRequest) or not OURS
    assert why in str(caught.value)
