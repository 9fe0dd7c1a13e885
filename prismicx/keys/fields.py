"""What is asked of the transit engine, as values: every field is checked before a key is touched."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from prismicx.errors import InvalidInput
from prismicx.keys.wrapping import decode

LIMIT = 4 * 1024 * 1024
"""Bytes a request may have."""


@dataclass(frozen=True, slots=True)
class Item:
    """One text to seal or to open; ``version`` 0 means the latest."""

    text: str
    associated: bytes
    version: int
    reference: str

    @classmethod
    def of(cls, body: Mapping[str, Any], what: str, purpose: str) -> Item:
        """From the fields of a request, or of one item of a batch.

        Raises:
            InvalidInput: ``keys.request_invalid``.
        """
        text = string(body, what)
        if text is None or (not text and what == "ciphertext"):
            raise InvalidInput("keys.request_invalid", f"missing {what} to {purpose}")
        try:
            associated = decode(string(body, "associated_data") or "")
        except ValueError:
            raise InvalidInput("keys.request_invalid", "associated_data is no base64") from None
        for other in ("context", "nonce"):
            if string(body, other):
                raise InvalidInput("keys.request_invalid", f"{other} is not supported: keys are not derived")
        return cls(text, associated, number(body, "key_version") or 0, string(body, "reference") or "")


def body_of(content: bytes) -> dict[str, Any]:
    """A request's JSON object; an empty one where there is nothing.

    Raises:
        InvalidInput: ``keys.request_invalid``.
    """
    if not content.strip():
        return {}
    try:
        body = json.loads(content)
    except (ValueError, RecursionError):
        raise InvalidInput("keys.request_invalid", "failed to decode JSON input") from None
    if not isinstance(body, dict):
        raise InvalidInput("keys.request_invalid", "the request is no JSON object")
    return body


def batch_of(body: Mapping[str, Any]) -> list[Mapping[str, Any]] | None:
    """The items of a batch; None where the request is none.

    Raises:
        InvalidInput: ``keys.request_invalid``.
    """
    batch = body.get("batch_input")
    if batch is None:
        return None
    if not isinstance(batch, list) or not all(isinstance(item, dict) for item in batch):
        raise InvalidInput("keys.request_invalid", "batch_input is no list of objects")
    if not batch:
        raise InvalidInput("keys.request_invalid", "missing batch input to process")
    return batch


def string(body: Mapping[str, Any], name: str) -> str | None:
    """A field that is a text.

    Raises:
        InvalidInput: ``keys.request_invalid``.
    """
    value = body.get(name)
    if value is None or isinstance(value, str):
        return value
    raise InvalidInput("keys.request_invalid", f"{name} is no text")


def number(body: Mapping[str, Any], name: str) -> int | None:
    """A field that is a whole number, or its text.

    Raises:
        InvalidInput: ``keys.request_invalid``.
    """
    value = body.get(name)
    if isinstance(value, str) and value.isascii() and value.removeprefix("-").isdigit() and len(value) < 10:
        value = int(value)
    if value is None or (isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**31):
        return value
    raise InvalidInput("keys.request_invalid", f"{name} is no whole number")


def truth(body: Mapping[str, Any], name: str) -> bool | None:
    """A field that is true or false.

    Raises:
        InvalidInput: ``keys.request_invalid``.
    """
    value = {"true": True, "false": False}.get(str(body.get(name)).lower()) if name in body else None
    if name in body and value is None and body[name] is not None:
        raise InvalidInput("keys.request_invalid", f"{name} is neither true nor false")
    return value
