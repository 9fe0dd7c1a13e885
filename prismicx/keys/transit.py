"""The operations of the transit engine on a store: a request's fields in, an answer's ``data`` out."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from prismicx.errors import InvalidInput
from prismicx.keys.fields import Item, batch_of, number, string, truth
from prismicx.keys.store import Store
from prismicx.keys.wrapping import WrappingKey, decode

TYPE = "aes256-gcm96"

Body = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Answer:
    """What comes of a request.

    Attributes:
        refused: how many items of a batch were refused.
        items: how many there were.
    """

    data: dict[str, Any] | None
    status: int = 200
    items: int = 1
    refused: int = 0


def create(store: Store, name: str, body: Body) -> Answer:
    """``POST keys/:name``; ``again`` is ours: it gives a destroyed key's name to a new one."""
    kind = string(body, "type") or TYPE
    if kind != TYPE:
        raise InvalidInput("keys.request_invalid", f"unknown key type {kind[:40]}: keys are of the type {TYPE}")
    for option in ("derived", "convergent_encryption", "exportable", "allow_plaintext_backup"):
        if truth(body, option):
            raise InvalidInput("keys.request_invalid", f"{option} is not supported: keys do not leave the service")
    if number(body, "auto_rotate_period"):
        raise InvalidInput("keys.request_invalid", "auto_rotate_period is not supported: rotate by a schedule")
    return Answer(_described(store.create_key(name, again=truth(body, "again") or False)))


def read(store: Store, name: str, _: Body) -> Answer:
    """``GET keys/:name``"""
    return Answer(_described(store.key(name)))


def rotate(store: Store, name: str, _: Body) -> Answer:
    """``POST keys/:name/rotate``"""
    return Answer(_described(store.rotate(name)))


def configure(store: Store, name: str, body: Body) -> Answer:
    """``POST keys/:name/config``"""
    for option in ("exportable", "allow_plaintext_backup"):
        if truth(body, option):
            raise InvalidInput("keys.request_invalid", f"{option} is not supported: keys do not leave the service")
    return Answer(
        _described(
            store.configure(
                name,
                number(body, "min_decryption_version"),
                number(body, "min_encryption_version"),
                truth(body, "deletion_allowed"),
            )
        )
    )


def delete(store: Store, name: str, _: Body) -> Answer:
    """``DELETE keys/:name``"""
    store.destroy(name)
    return Answer(None, 204)


def encrypt(store: Store, name: str, body: Body) -> Answer:
    """``POST encrypt/:name``; a missing key is not created."""

    def one(key: WrappingKey, fields: Body) -> dict[str, Any]:
        item = Item.of(fields, "plaintext", "encrypt")
        try:
            plaintext = decode(item.text)
        except ValueError:
            raise InvalidInput("keys.request_invalid", "plaintext is no base64") from None
        ciphertext, version = key.encrypt(plaintext, item.associated, item.version)
        return {"ciphertext": ciphertext, "key_version": version}

    return _each(store, name, body, one, 400)


def decrypt(store: Store, name: str, body: Body) -> Answer:
    """``POST decrypt/:name``"""

    def one(key: WrappingKey, fields: Body) -> dict[str, Any]:
        item = Item.of(fields, "ciphertext", "decrypt")
        return {"plaintext": base64.b64encode(key.decrypt(item.text, item.associated)).decode()}

    return _each(store, name, body, one, 400)


def rewrap(store: Store, name: str, body: Body) -> Answer:
    """``POST rewrap/:name``; unlike Vault's, with associated data, too."""

    def one(key: WrappingKey, fields: Body) -> dict[str, Any]:
        item = Item.of(fields, "ciphertext", "rewrap")
        ciphertext, version = key.encrypt(key.decrypt(item.text, item.associated), item.associated, item.version)
        return {"ciphertext": ciphertext, "key_version": version}

    return _each(store, name, body, one, 200)


def _each(
    store: Store, name: str, body: Body, one: Callable[[WrappingKey, Body], dict[str, Any]], partial: int
) -> Answer:
    """The one item of a request, or all of its batch; ``partial`` is the status where an item of it was refused."""
    batch = batch_of(body)
    key = store.key(name)
    if batch is None:
        return Answer(one(key, body))
    results: list[dict[str, Any]] = []
    for fields in batch:
        try:
            results.append(one(key, fields))
        except InvalidInput as error:
            results.append({"error": error.message})
        if isinstance(fields.get("reference"), str):
            results[-1]["reference"] = fields["reference"]
    refused = sum("error" in result for result in results)
    return Answer({"batch_results": results}, partial if refused else 200, len(results), refused)


def _described(key: WrappingKey) -> dict[str, Any]:
    versions = enumerate(key.versions, 1)
    return {
        "name": key.name,
        "type": TYPE,
        "keys": {str(n): int(held.created) for n, held in versions if n >= key.min_decryption_version},
        "latest_version": key.latest,
        "min_available_version": 0,
        "min_decryption_version": key.min_decryption_version,
        "min_encryption_version": key.min_encryption_version,
        "deletion_allowed": key.deletion_allowed,
        "derived": False,
        "exportable": False,
        "allow_plaintext_backup": False,
        "imported_key": False,
        "supports_encryption": True,
        "supports_decryption": True,
        "supports_derivation": False,
        "supports_signing": False,
    }
