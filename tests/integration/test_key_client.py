"""Our client of the key service: what it gives, and what its errors are, of whichever service is given."""

from __future__ import annotations

import asyncio
import os
import secrets
import ssl
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from prismicx.engines.embedded import process
from prismicx.errors import Conflict, Denied, InvalidInput, NotFound, PrismicXError, Unavailable
from prismicx.keys.client import Keys, Sealed, version_of
from prismicx.keys.endpoint import KeyEndpoint
from tests.certificates import certificate

OURS = "PRISMICX_TEST_KEY_URL" not in os.environ


@pytest.fixture
async def name(keys: Keys) -> AsyncIterator[str]:
    made = f"tenant_{secrets.token_hex(6)}"
    await keys.create(made)
    yield made
    await keys.destroy(made)


async def test_a_key_from_its_making_to_its_end(keys: Keys) -> None:
    name = f"tenant_{secrets.token_hex(6)}"
    made = await keys.create(name)
    assert (made.name, made.latest_version, made.min_decryption_version) == (name, 1, 1)
    assert await keys.create(name) == made
    assert name in await keys.names()
    first = await keys.encrypt(name, b"a keyset", b"acme")
    assert await keys.decrypt(name, first, b"acme") == b"a keyset"
    assert (await keys.rotate(name)).latest_version == 2
    second = await keys.rewrap(name, first, b"acme")
    assert (version_of(first), Sealed(second).version) == (1, 2)
    assert await keys.decrypt(name, second, b"acme") == b"a keyset"
    assert version_of(await keys.rewrap(name, await keys.encrypt(name, b"unbound"))) == 2
    assert (await keys.configure(name, min_decryption_version=2)).min_decryption_version == 2
    with pytest.raises(InvalidInput, match="too old"):
        await keys.decrypt(name, first, b"acme")
    assert await keys.destroy(name) is True
    assert await keys.destroy(name) is False
    with pytest.raises((NotFound, Conflict)) as caught:
        await keys.decrypt(name, second, b"acme")
    assert caught.value.code == ("keys.destroyed" if OURS else "keys.unknown")
    assert name not in await keys.names()


@pytest.mark.skipif(not OURS, reason="OpenBao and Vault do not remember destroyed keys")
async def test_a_destroyed_name_stays_taken(keys: Keys) -> None:
    name = f"tenant_{secrets.token_hex(6)}"
    await keys.create(name)
    await keys.destroy(name)
    for use in (lambda: keys.create(name), lambda: keys.encrypt(name, b"x"), lambda: keys.rotate(name)):
        with pytest.raises(Conflict) as caught:
            await use()
        assert caught.value.code == "keys.destroyed"
    with pytest.raises(Denied):  # neither token may do that
        await keys.create(name, again=True)


async def test_many_at_once(keys: Keys, name: str) -> None:
    items = [(f"text {number}".encode(), str(number).encode()) for number in range(250)]
    texts = await keys.encrypt_many(name, items)
    sealed = [Sealed(text, associated) for text, (_, associated) in zip(texts, items, strict=True)]
    assert await keys.decrypt_many(name, sealed) == [text for text, _ in items]
    sealed[1], sealed[240] = replace(sealed[1], associated_data=b"x"), replace(sealed[240], ciphertext="vault:v1:AAAA")
    found = await keys.decrypt_many(name, sealed)
    refused = [number for number, one in enumerate(found) if isinstance(one, PrismicXError)]
    assert refused == [1, 240]
    assert {one.code for one in found if isinstance(one, PrismicXError)} == {"keys.refused"}
    assert await keys.encrypt_many(name, []) == []


@pytest.mark.parametrize("wrong", ["", ".", "..", "../../sys/seal", "a/b", "-x", "x" * 129, "a?b", "a\0", "é"])
async def test_a_name_that_would_ask_for_something_else_is_refused(keys: Keys, wrong: str) -> None:
    uses: list[Callable[[], object]] = [lambda: keys.read(wrong), lambda: keys.destroy(wrong)]
    uses += [lambda: keys.encrypt(wrong, b"x"), lambda: keys.create(wrong)]
    for use in uses:
        with pytest.raises(InvalidInput) as caught:
            await use()  # type: ignore[misc]
        assert caught.value.code == "keys.name_invalid"


async def test_errors_are_ours(keys: Keys, name: str) -> None:
    missing = f"tenant_missing{secrets.token_hex(6)}"
    for use in (
        lambda: keys.read(missing),
        lambda: keys.decrypt(missing, "vault:v1:AAAA"),
        lambda: keys.rotate(missing),
        lambda: keys.configure(missing, min_decryption_version=1),
    ):
        with pytest.raises(NotFound) as caught:
            await use()
        assert caught.value.code == "keys.unknown"
    with pytest.raises(InvalidInput) as wrong:
        await keys.decrypt(name, await keys.encrypt(name, b"x", b"acme"), b"globex")
    assert wrong.value.code == "keys.refused"
    with pytest.raises(InvalidInput):
        await keys.configure(name, min_decryption_version=9)
    stranger = Keys(replace(keys.endpoint, token="s.unknown", admin_token=""))
    for use in (lambda: stranger.read(name), lambda: stranger.names(), stranger.check):  # type: ignore[assignment]
        with pytest.raises(Denied) as denied:
            await use()
        assert denied.value.code == "keys.denied"
        assert "s.unknown" not in str(denied.value)
    assert await stranger.health()
    stranger.close()


async def test_the_token_of_a_file_is_read_at_every_use(keys: Keys, name: str, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(keys.endpoint.token + "\n")
    file.chmod(0o600)
    client = Keys(replace(keys.endpoint, token="", admin_token="", token_file=str(file)))
    assert (await client.read(name)).name == name
    file.write_text("s.revoked")
    with pytest.raises(Denied):
        await client.read(name)
    file.write_text(keys.endpoint.token)
    assert (await client.read(name)).name == name
    file.chmod(0o644)
    with pytest.raises(Unavailable, match="open to others"):
        await client.read(name)
    file.unlink()
    with pytest.raises(Unavailable) as caught:
        await client.read(name)
    assert caught.value.code == "keys.token_missing"
    client.close()


async def test_a_service_that_is_not_there_is_named() -> None:
    client = Keys(KeyEndpoint(f"http://127.0.0.1:{process.choose_port(0)}", "word-of-ours"), 2.0)
    for use in (lambda: client.encrypt("a", b"x"), client.health, client.check):
        with pytest.raises(Unavailable) as caught:
            await use()  # type: ignore[operator]
        assert caught.value.code == "keys.unavailable"
        assert "word-of-ours" not in str(caught.value)
    client.close()


async def test_a_service_that_says_nothing_or_nonsense_is_given_up() -> None:
    waits = [0.0]

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(10)
        await asyncio.sleep(waits[-1])
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nxyz")
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    client = Keys(KeyEndpoint(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", "t"), 0.5)
    for wait, code in ((0.0, "keys.failed"), (5.0, "keys.unavailable")):
        waits.append(wait)
        for use in (lambda: client.decrypt("a", "vault:v1:AAAA"), lambda: client.read("a"), lambda: client.names()):
            with pytest.raises(Unavailable) as caught:
                await use()  # type: ignore[misc]
            assert caught.value.code == code
    client.close()
    server.close()


@pytest.mark.parametrize(("begins", "ends", "trusted"), [(-20, -10, True), (10, 20, True), (-1, 1, False)])
async def test_a_certificate_that_is_not_valid_is_refused(
    tmp_path: Path, begins: int, ends: int, trusted: bool
) -> None:
    cert, key = certificate(tmp_path, begins, ends)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    heard: list[bytes] = []

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.read(1000))
        writer.close()

    server = await asyncio.start_server(listen, "127.0.0.1", 0, ssl=context)
    url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    client = Keys(KeyEndpoint(url, "word-of-ours", authority=str(cert) if trusted else ""), 5.0)
    with pytest.raises(Unavailable) as caught:
        await client.encrypt("a", b"x")
    assert caught.value.code == "keys.certificate"
    assert not any(heard)
    client.close()
    server.close()


async def test_a_certificate_of_ours_opens_the_way(tmp_path: Path) -> None:
    """A server that wants a certificate of the client, too, and hears the request then."""
    cert, key = certificate(tmp_path, -1, 1)
    both = tmp_path / "both.pem"
    both.write_bytes(cert.read_bytes() + key.read_bytes())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    context.load_verify_locations(cert)
    context.verify_mode = ssl.CERT_REQUIRED

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1000)
        body = b'{"data": {"ciphertext": "vault:v1:AAAA"}}'
        head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: %d\r\n\r\n"
        writer.write(head % len(body) + body)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context)
    endpoint = KeyEndpoint(f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}", "t", authority=str(cert))
    ours, nobody = Keys(replace(endpoint, certificate=str(both)), 5.0), Keys(endpoint, 5.0)
    assert await ours.encrypt("a", b"x") == "vault:v1:AAAA"
    missing = Keys(replace(endpoint, authority=str(tmp_path / "none.pem")), 5.0)
    for client in (nobody, missing):
        with pytest.raises(Unavailable) as caught:
            await client.encrypt("a", b"x")
        assert caught.value.code in ("keys.certificate", "keys.unavailable")
    for client in (ours, nobody, missing):
        client.close()
    server.close()
