"""`db apply` on a complete platform: under a second of work."""

from __future__ import annotations

from benchmarks.measure import Claim, in_turns
from prismicx.engines import mongo, postgres
from prismicx.engines.endpoints import locate
from prismicx.reference.apply import apply
from prismicx.settings import Settings


async def measure(settings: Settings, quick: bool) -> Claim:
    """Against doing nothing but connecting to the same databases; once a second is the aim, so a rate of 1."""
    endpoints = locate(settings)

    async def connect_only() -> None:
        for database in ("postgres", "system_users", "management_system_repository", "management_system_repository"):
            async with postgres.connect(endpoints.postgres.postgres(database), 10):
                pass
        async with mongo.connect(endpoints.mongo.url, 10):
            pass

    async def complete() -> None:
        assert (await apply(settings, endpoints)).changes == []

    figures = await in_turns(
        {"connecting alone": connect_only, "db apply, nothing to do": complete},
        operations=3 if quick else 10,
        tasks=1,
        turns=3 if quick else 5,
    )
    seconds = 1 / figures[1].median
    verdict = "held" if seconds < 1 else "MISSED"
    return Claim(
        "`db apply` on a complete platform",
        "connecting alone",
        figures,
        {},
        [
            f"One application takes {seconds:.2f} s (aim: under 1 s, {verdict}).",
            "That it waits for no reader and stops none is shown by tests/integration/test_apply.py.",
        ],
    )
