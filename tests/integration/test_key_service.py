"""The key service as a process: who may do what, what it logs, and what it says when it cannot."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from prismicx.engines.embedded import process
from prismicx.errors import Conflict, Denied, InvalidInput, Unavailable
from prismicx.keys import root
from prismicx.keys.root import RootKey
from prismicx.keys.store import Store
from tests.key_service import KeyService


@pytest.fixture
def service(tmp_path: Path) -> Iterator[KeyService]:
    made = KeyService(tmp_path).make().start()
    yield made
    made.stop()


def ask(service: KeyService, method: str, path: str, body: bytes = b"", **headers: str) -> tuple[int, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=10.0)
    try:
        connection.request(method, path, body or None, {"X-Vault-Token": service.token, **headers})
        answer = connection.getresponse()
        content = answer.read()
        return answer.status, json.loads(content) if content else None
    finally:
        connection.close()


async def test_each_token_may_what_it_was_made_for(service: KeyService) -> None:
    everything = service.client()
    await everything.create("tenant_acme")
    await everything.create("other")
    sealing = service.client(service.tokens().create("sealing", ("encrypt", "read"), ("tenant_*",)))
    text = await sealing.encrypt("tenant_acme", b"x")
    for use in (
        lambda: sealing.decrypt("tenant_acme", text),
        lambda: sealing.rotate("tenant_acme"),
        lambda: sealing.destroy("tenant_acme"),
        lambda: sealing.names(),
        lambda: sealing.encrypt("other", b"x"),
        lambda: sealing.read("other"),
        lambda: sealing.create("tenant_new"),
    ):
        with pytest.raises(Denied) as caught:
            await use()
        assert caught.value.code == "keys.denied"
    assert await everything.decrypt("tenant_acme", text) == b"x"
    assert await everything.names() == ["other", "tenant_acme"]
    for client in (everything, sealing):
        client.close()


async def test_a_revoked_token_is_refused_at_once_and_named_in_the_log(service: KeyService) -> None:
    everything = service.client()
    await everything.create("tenant_acme")
    client = service.client(service.tokens().create("worker", ("read",)))
    await client.read("tenant_acme")
    service.tokens().revoke("worker")
    with pytest.raises(Denied):
        await client.read("tenant_acme")
    with pytest.raises(Denied):
        await client.check()
    # A service that was started anew refuses it, too.
    service.stop()
    service.start()
    with pytest.raises(Denied):
        await client.read("tenant_acme")
    assert (await everything.read("tenant_acme")).latest_version == 1
    refused = [use for use in service.uses() if use.get("token") == "worker (revoked)"]
    assert len(refused) == 3
    assert {use["result"] for use in refused} == {"refused"}
    for one in (everything, client):
        one.close()


async def test_every_use_is_logged_without_what_was_sealed(service: KeyService) -> None:
    client = service.client()
    await client.create("tenant_acme")
    text = await client.encrypt("tenant_acme", b"the words of the tenant", b"bound to this")
    await client.decrypt("tenant_acme", text, b"bound to this")
    with pytest.raises(InvalidInput):
        await client.decrypt("tenant_acme", text)
    await client.encrypt_many("tenant_acme", [(b"1", b""), (b"2", b"")])
    await client.destroy("tenant_acme")
    with pytest.raises(Conflict):
        await client.encrypt("tenant_acme", b"x")
    stranger = service.client("word-that-is-no-token")
    with pytest.raises(Denied):
        await stranger.read("tenant_acme")
    uses = [(use.get("token"), use["operation"], use["result"]) for use in service.uses()]
    mine = [(operation, result) for token, operation, result in uses if token == "everything"]
    assert mine == [
        ("create", "begun"), ("create", "done"), ("encrypt", "done"), ("decrypt", "done"), ("decrypt", "refused"),
        ("encrypt", "done"), ("config", "begun"), ("config", "done"), ("delete", "begun"), ("delete", "done"),
        ("encrypt", "refused"),
    ]  # fmt: skip
    assert ("-", "read", "refused") in uses
    assert uses[0][1:] == ("serve", "begun")
    assert [use["reason"] for use in service.uses() if use["result"] == "refused"] == [
        "keys.refused", "keys.destroyed", "keys.denied",
    ]  # fmt: skip
    log = (service.store / "use.log").read_text() + (service.folder / "log").read_text()
    for secret in (service.token, "word-that-is-no-token", text[9:], "the words", "bound to this", "dGhlIHdvcmRz"):
        assert secret not in log
    for one in (client, stranger):
        one.close()


async def test_what_cannot_be_logged_is_not_done(service: KeyService) -> None:
    client = service.client()
    await client.create("tenant_acme")
    (service.store / "use.log").rename(service.store / "use.log.1")
    (service.store / "use.log").mkdir()
    for use in (lambda: client.rotate("tenant_acme"), lambda: client.encrypt("tenant_acme", b"x")):
        with pytest.raises(Unavailable) as caught:
            await use()
        assert caught.value.code == "keys.failed"
    (service.store / "use.log").rmdir()
    assert (await client.read("tenant_acme")).latest_version == 1
    client.close()


async def test_a_damaged_key_is_refused_and_the_others_are_served(service: KeyService) -> None:
    client = service.client()
    for name in ("acme", "globex"):
        await client.create(name)
    text = await client.encrypt("acme", b"x")
    service.stop()
    file = service.store / "keys" / "acme.key"
    whole = file.read_bytes()
    file.write_bytes(whole[:-20])
    service.start()
    for use in (lambda: client.decrypt("acme", text), lambda: client.create("acme"), lambda: client.destroy("acme")):
        with pytest.raises(Unavailable) as caught:
            await use()
        assert caught.value.code == "keys.failed"
        assert "cut or changed" in caught.value.message
    assert await client.decrypt("globex", await client.encrypt("globex", b"y")) == b"y"
    file.write_bytes(whole)
    assert await client.decrypt("acme", text) == b"x"
    client.close()


@pytest.mark.parametrize(
    ("harm", "says"),
    [
        (lambda it: it.root_key.chmod(0o644), "keys.exposed"),
        (lambda it: it.store.chmod(0o750), "keys.exposed"),
        (lambda it: (it.store / "keys").chmod(0o701), "keys.exposed"),
        (lambda it: (it.store / "tokens.json").chmod(0o604), "keys.exposed"),
        (lambda it: it.root_key.write_text(root.generate()), "keys.root_wrong"),
        (lambda it: it.root_key.write_text("short"), "keys.root_invalid"),
        (lambda it: it.root_key.unlink(), "keys.root_missing"),
        (lambda it: os.truncate(it.store / "store.json", 50), "keys.store_damaged"),
        (lambda it: os.truncate(it.store / "tokens.json", 50), "keys.store_damaged"),
        (lambda it: shutil.rmtree(it.store), "keys.store_missing"),
    ],
    ids="root-read store-open keys-open tokens-read root-other root-cut root-gone header-cut tokens-cut gone".split(),
)
def test_it_does_not_start_on_what_is_not_right(tmp_path: Path, harm: Any, says: str) -> None:
    service = KeyService(tmp_path).make()
    harm(service)
    before = {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}
    with pytest.raises(Unavailable) as caught:
        service.start()
    assert says in caught.value.message
    assert {file: file.read_bytes() for file in before if file.name != "log"} == before


def test_two_services_cannot_serve_one_store(service: KeyService) -> None:
    second = KeyService(service.folder, port=process.choose_port(0))
    with pytest.raises(Unavailable, match=r"keys\.store_locked"):
        second.start()
    assert ask(service, "GET", "/v1/sys/health")[0] == 200


def test_what_others_send_is_answered_as_vault_does(service: KeyService) -> None:
    assert ask(service, "POST", "/v1/transit/keys/acme")[0] == 200
    for method, path, body, status in [
        ("GET", "/v1/transit/keys/none", b"", 404),
        ("GET", "/v1/nowhere", b"", 404),
        ("GET", "/v1/transit/keys", b"", 405),
        ("GET", "/v1/transit/keys?list=true", b"", 200),
        ("LIST", "/v1/transit/keys", b"", 200),
        ("GET", "/v1/transit/encrypt/acme", b"", 405),
        ("PUT", "/v1/transit/encrypt/acme", b'{"plaintext": "AAAA"}', 200),
        ("POST", "/v1/transit/encrypt/acme", b"\xff\xfe", 400),
        ("POST", "/v1/transit/encrypt/acme", b'{"plaintext": "' + b"A" * 5_000_000 + b'"}', 400),
        ("POST", "/v1/transit/encrypt/acme", b'{"plaintext": "AAAA", "nonce": "AAAA"}', 400),
        ("POST", "/v1/transit/encrypt/acme", b'{"plaintext": "AAAA", "context": "AAAA"}', 400),
        ("POST", "/v1/transit/keys/b", b'{"type": "rsa-2048"}', 400),
        ("POST", "/v1/transit/keys/b", b'{"exportable": true}', 400),
        ("POST", "/v1/transit/keys/b", b'{"derived": "true"}', 400),
        ("POST", "/v1/transit/keys/acme/config", b'{"exportable": true}', 400),
        ("POST", "/v1/transit/keys/acme/config", b'{"deletion_allowed": "maybe"}', 400),
        ("POST", "/v1/transit/keys/acme/config", b'{"min_decryption_version": 1.5}', 400),
        ("POST", "/v1/transit/keys/..%2f..%2ftokens", b"", 404),
        ("DELETE", "/v1/transit/keys/acme", b"", 400),
    ]:
        found, answer = ask(service, method, path, body)
        assert found == status, (method, path, answer)
        assert ("errors" in answer) == (status >= 400)
    assert ask(service, "GET", "/v1/transit/keys/acme", **{"X-Vault-Token": ""})[0] == 403
    bearer = {"X-Vault-Token": "", "Authorization": f"Bearer {service.token}"}
    assert ask(service, "GET", "/v1/transit/keys/acme", **bearer)[0] == 200
    assert ask(service, "GET", "/v1/auth/token/lookup-self")[1]["data"]["display_name"] == "everything"
    assert service.token not in json.dumps(ask(service, "GET", "/v1/auth/token/lookup-self"))


def test_a_root_key_of_another_kind_opens_the_store_after_it_was_resealed(tmp_path: Path) -> None:
    service = KeyService(tmp_path).make()
    store = service.open()
    store.create_key("acme")
    store.reseal(RootKey("passphrase", b"six words that nobody else knows"))
    with pytest.raises(Unavailable, match=r"keys\.root_wrong"):
        service.start()
    store = Store.open(service.store, RootKey("passphrase", b"six words that nobody else knows"))
    assert store.key("acme").latest == 1


async def test_an_answer_is_sent_at_once(service: KeyService) -> None:
    """Were its head and its body to wait for one another's acknowledgement, each would take 40 ms."""
    client = service.client()
    await client.create("acme")
    text = await client.encrypt("acme", b"x")
    taken = []
    for _ in range(20):
        begun = time.perf_counter()
        await client.decrypt("acme", text)
        taken.append(time.perf_counter() - begun)
    assert min(taken) < 0.03
    client.close()
