"""What sealed fields cost: a 200-byte value sealed and opened, and a user that has one against a user that has none."""

from __future__ import annotations

import secrets
from itertools import count

from benchmarks.measure import Claim, Work, in_turns
from prismicx.engines.endpoints import locate
from prismicx.platform import Platform
from prismicx.sealing.fields import PRIVATE
from prismicx.sealing.sealer import Sealer
from prismicx.settings import Settings

_SIZE = 200
_ROUNDS = 100
"""Values at once: one alone takes less time than giving way to another task."""


async def measure(settings: Settings, quick: bool) -> list[Claim]:
    """The keyset is open, as it is but once in ``keyset_cache`` seconds."""
    platform = Platform(settings, locate(settings))
    try:
        await platform.tenants.create("sealing", name="Sealing", isolation="shared")
        return [await _values(platform, quick), await _users(platform, quick)]
    finally:
        await platform.close()


async def _values(platform: Platform, quick: bool) -> Claim:
    sealer = Sealer(platform._keysets, "sealing", PRIVATE)
    writer = await sealer.writer()
    value = "x" * (_SIZE - 2)  # with its quotes
    text = writer.seal("row", "private", value)
    tink, data = writer.keyset._primitive, b"x" * _SIZE

    async def alone() -> None:
        for _ in range(_ROUNDS):
            tink.encrypt(data, b"")

    async def seal() -> None:
        for _ in range(_ROUNDS):
            writer.seal("row", "private", value)

    async def open_() -> None:
        for _ in range(_ROUNDS):
            await sealer.open("row", "private", text)

    figures = await in_turns(
        {"AES-256-GCM of Tink alone": alone, "sealing a field": seal, "opening a field": open_},
        operations=20 if quick else 300,
        tasks=1,
        turns=3 if quick else 7,
    )
    times = [f"{figure.name} {1e6 / figure.median / _ROUNDS:.1f} µs" for figure in figures[1:]]
    return Claim(
        f"A field of {_SIZE} bytes, by the hundred",
        "AES-256-GCM of Tink alone",
        figures,
        {},
        [f"One: {', '.join(times)}. Stored it has {len(text)} bytes. The rates are of hundreds of fields."],
    )


async def _users(platform: Platform, quick: bool) -> Claim:
    numbers = count()
    async with platform.tenant("sealing") as scope:

        async def make(**metadata: object) -> object:
            email = f"{next(numbers)}@sealing.test"
            return (await scope.users.create(username="ada", email=email, metadata=metadata)).id

        value = secrets.token_urlsafe(_SIZE)[: _SIZE - 2]
        users = {
            "a user without metadata": await make(),
            "with 200 bytes of metadata": await make(public=value),
            "with 200 bytes sealed": await make(private=value),
        }

        def read(user: object) -> Work:
            async def work() -> None:
                await scope.users.get(user)  # type: ignore[arg-type]

            return work

        figures = await in_turns(
            {name: read(user) for name, user in users.items()},
            operations=200,
            tasks=4,
            turns=3 if quick else 135,
        )
    rates = [figure.median for figure in figures]
    return Claim(
        "Reading a user with a sealed field",
        "with 200 bytes of metadata",
        figures,
        {},
        [
            f"Opening costs a read {1e6 * (1 / rates[2] - 1 / rates[1]):.0f} µs, with four tasks on one thread. A user "
            "without a sealed field is read as before: nothing is asked of keys."
        ],
    )
