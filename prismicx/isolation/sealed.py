"""Attacks on sealed values: copied elsewhere, changed, cut, and opened after the keys were destroyed."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from prismicx.errors import PrismicXError
from prismicx.isolation.tenants import Made
from prismicx.isolation.values import Check, Tally
from prismicx.platform import Platform, open_platform
from prismicx.sealing.fields import PREFERENCE, PRIVATE
from prismicx.sealing.keysets import LOG
from prismicx.sealing.sealer import Sealer
from prismicx.settings import Settings

COPIED = Check("sealed.copied", "Keys", "A sealed value copied to another tenant, row, name or field does not open")
CHANGED = Check("sealed.changed", "Keys", "A sealed value with any character changed or cut off does not open")
PLAIN = Check("sealed.plain", "Keys", "Nothing that is declared sealed is stored as plain text")
ERASED = Check("sealed.erased", "Keys", "After its keys are destroyed nothing of a tenant that was sealed opens")
CHECKS = (COPIED, CHANGED, PLAIN, ERASED)

_VALUE = {"card": "4000 0000 0000 0002"}


async def attack_sealed(px: Platform, made: Made, settings: Settings, tally: Tally) -> None:
    """Seal a value for each of two tenants and try to open it where it does not belong. It destroys the keys of the
    second shared tenant."""
    row, name = str(uuid.uuid4()), "private"
    own, other = (Sealer(px._keysets, tenant_id, PRIVATE) for tenant_id in (made.shared, made.other_shared))
    text = await other.seal(row, name, _VALUE)
    await own.seal(row, name, _VALUE)
    elsewhere = {
        "another tenant": (own, row, name),
        "another row": (other, str(uuid.uuid4()), name),
        "another name": (other, row, "public"),
        "another field": (Sealer(px._keysets, made.other_shared, PREFERENCE), row, name),
        "a field that is declared otherwise": (
            Sealer(px._keysets, made.other_shared, replace(PRIVATE, place="elsewhere")), row, name,
        ),
    }  # fmt: skip
    for target, (sealer, there, called) in elsewhere.items():
        tally.note(COPIED, "a copy", target, "open", await _opened(sealer, there, called, text))
    for at, sign in enumerate(text):
        changed = text[:at] + ("B" if sign == "A" else "A") + text[at + 1 :]
        tally.note(
            CHANGED, "an attacker", "a sealed value", "change a character", await _opened(other, row, name, changed)
        )
        tally.note(CHANGED, "an attacker", "a sealed value", "cut it", await _opened(other, row, name, text[:at]))
    how = "" if await _opened(other, row, name, text) else "its owner cannot open it"
    tally.note(CHANGED, "the tenant itself", "a sealed value", "open", how)
    await _plain(px, made, tally)
    await px.keys.destroy(made.other_shared)
    tally.note(ERASED, "this process", "a sealed value", "open", await _opened(other, row, name, text))
    async with open_platform(settings) as fresh:
        late = Sealer(fresh._keysets, made.other_shared, PRIVATE)
        tally.note(ERASED, "another process", "a sealed value", "open", await _opened(late, row, name, text))
        tally.note(ERASED, "another process", "a new value", "seal", await _sealed(late))


async def _plain(px: Platform, made: Made, tally: Tally) -> None:
    mark = uuid.uuid4().hex
    async with px.tenant(made.own) as tenant:
        user = await tenant.users.create(
            username="sealed", email=f"{mark}@check.invalid", password=mark, metadata={"private": {"secret": mark}}
        )
        await tenant.preferences.set(user.id, {"token": mark}, secret=True)
        async with tenant.sql("system_users") as sql:
            metadata = await sql.fetchval("SELECT metadata::text FROM user_data.users WHERE id = $1", user.id)
            kept = await sql.fetchval(
                "SELECT string_agg(preference_value::text, '') FROM user_preferences.preferences WHERE user_id = $1",
                user.id,
            )
    entry = await px._registry.entry(made.own)
    stored = {
        "users.metadata.private": metadata or "",
        "preferences.preference_value": kept or "",
        "tenants.connection_string": str.__str__(entry.connection_string),
    }
    for field, text in stored.items():
        shown = mark in text or "mongodb://" in text
        tally.note(PLAIN, "a reader of the database", field, "read", "it is there in plain" if shown else "")


@contextmanager
def _unlogged() -> Iterator[None]:
    """Hundreds of refusals that are meant are no news for whoever reads the log."""
    level = LOG.level
    LOG.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        LOG.setLevel(level)


async def _opened(sealer: Sealer, row: str, name: str, text: str) -> str:
    """How it was opened; empty where it was refused."""
    try:
        await sealer.open(row, name, text)
    except PrismicXError:
        return ""
    return "it was opened"


async def _sealed(sealer: Sealer) -> str:
    try:
        await sealer.seal(str(uuid.uuid4()), "private", _VALUE)
    except PrismicXError:
        return ""
    return "a new key was made"
