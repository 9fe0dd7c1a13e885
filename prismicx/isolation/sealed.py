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
from prismicx.sealing.fields import CONFIGURATION, CONNECTION, FIELDS, PAYLOAD, PREFERENCE, PRIVATE
from prismicx.sealing.keysets import LOG
from prismicx.sealing.sealer import Sealer
from prismicx.sealing.values import MARK
from prismicx.settings import Settings
from prismicx.systems.declarations import Choices, Declaration
from prismicx.systems.secrets import changed_choices

COPIED = Check("sealed.copied", "Keys", "A sealed value copied to another tenant, row, name or field does not open")
CHANGED = Check("sealed.changed", "Keys", "A sealed value with any character changed or cut off does not open")
PLAIN = Check("sealed.plain", "Keys", "Nothing that is declared sealed is stored as plain text")
ERASED = Check("sealed.erased", "Keys", "After its keys are destroyed nothing of a tenant that was sealed opens")
CHECKS = (COPIED, CHANGED, PLAIN, ERASED)

_VALUE = {"card": "4000 0000 0000 0002"}


async def attack_sealed(px: Platform, made: Made, settings: Settings, tally: Tally) -> None:
    """Seal values and try to open them where they do not belong, look at what is stored, and destroy the keys of the
    second shared tenant."""
    await attack_values(px, made, tally)
    await attack_stored(px, made, tally)
    await attack_destroyed(px, made, settings, tally)


async def attack_values(px: Platform, made: Made, tally: Tally) -> None:
    """Copy a sealed value to where it does not belong, and change it."""
    row, name = str(uuid.uuid4()), "private"
    own, other = (Sealer(px._keysets, tenant_id, PRIVATE) for tenant_id in (made.shared, made.own))
    text = await other.seal(row, name, _VALUE)
    await own.seal(row, name, _VALUE)
    elsewhere = {
        "another tenant": (own, row, name),
        "another row": (other, str(uuid.uuid4()), name),
        "another name": (other, row, "public"),
        "another field": (Sealer(px._keysets, made.own, PREFERENCE), row, name),
        "a field that is declared otherwise": (
            Sealer(px._keysets, made.own, replace(PRIVATE, place="elsewhere")), row, name,
        ),
    }  # fmt: skip
    with _unlogged():
        for target, (sealer, there, called) in elsewhere.items():
            tally.note(COPIED, "a copy", target, "open", await _opened(sealer, there, called, text))
        for at, sign in enumerate(text):
            changed = text[:at] + ("B" if sign == "A" else "A") + text[at + 1 :]
            how = await _opened(other, row, name, changed)
            tally.note(CHANGED, "an attacker", "a sealed value", "change a character", how)
            tally.note(CHANGED, "an attacker", "a sealed value", "cut it", await _opened(other, row, name, text[:at]))
        how = "" if await _opened(other, row, name, text) else "its owner cannot open it"
    tally.note(CHANGED, "the tenant itself", "a sealed value", "open", how)


async def attack_destroyed(px: Platform, made: Made, settings: Settings, tally: Tally) -> None:
    """Destroy the keys of the second shared tenant, and try to open what was sealed before."""
    row, name = str(uuid.uuid4()), "private"
    other = Sealer(px._keysets, made.other_shared, PRIVATE)
    text = await other.seal(row, name, _VALUE)
    with _unlogged():
        await px.keys.destroy(made.other_shared)
        tally.note(ERASED, "this process", "a sealed value", "open", await _opened(other, row, name, text))
        async with open_platform(settings) as fresh:
            late = Sealer(fresh._keysets, made.other_shared, PRIVATE)
            tally.note(ERASED, "another process", "a sealed value", "open", await _opened(late, row, name, text))
            tally.note(ERASED, "another process", "a new value", "seal", await _sealed(late))


async def attack_stored(px: Platform, made: Made, tally: Tally) -> None:
    """Store a value in each field that is declared sealed, and look for it past the library."""
    mark = uuid.uuid4().hex
    async with px.tenant(made.own) as tenant:
        user = await tenant.users.create(
            username="sealed", email=f"{uuid.uuid4()}@check.invalid", password=uuid.uuid4().hex,
            metadata={"private": {"secret": mark}},
        )  # fmt: skip
        await tenant.preferences.set(user.id, {"token": mark}, secret=True)
        async with tenant.sql("system_users") as sql:
            metadata = await sql.fetchval("SELECT metadata::text FROM user_data.users WHERE id = $1", user.id)
            kept = await sql.fetchval(
                "SELECT string_agg(preference_value::text, '') FROM user_preferences.preferences WHERE user_id = $1",
                user.id,
            )
        task = await tenant.tasks.enqueue(service="check", type="check", payload={"token": mark}, secret=["token"])
        document = await (await tenant.collection("tasks")).find_one({"task_id": task.task_id})
    # What an installation stores of a configuration; a system to install would stay in the catalogue.
    declared = Declaration({"type": "object", "properties": {"token": {"type": "string", "secret": True}}}, {})
    sealer = Sealer(px._keysets, made.own, CONFIGURATION)
    chosen = await changed_choices(sealer, "check", declared, Choices(), {"token": mark}, None)
    stored = {
        PRIVATE: metadata,
        PREFERENCE: kept,
        PAYLOAD: str((document or {}).get("payload")),
        CONFIGURATION: str(chosen.configuration),
        CONNECTION: str.__str__((await px._registry.entry(made.own)).connection_string),
    }
    for field in FIELDS:
        text = stored.get(field) or ""
        how = "it is there in plain" if mark in text or "mongodb://" in text else ""
        how = how or ("" if MARK in text else "it is not there at all")
        tally.note(PLAIN, "a reader of the database", field.path, "read", how)


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
