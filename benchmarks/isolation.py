"""How much `isolation verify` tries in what time, and whether its self-test leaves a break unnoticed."""

from __future__ import annotations

from benchmarks.measure import Claim, Figure
from prismicx.engines.endpoints import locate
from prismicx.isolation.selftest import self_test
from prismicx.isolation.verify import verify
from prismicx.settings import Settings


async def measure(settings: Settings, quick: bool) -> Claim:
    """The whole platform is attacked a few times, then every protection is broken once."""
    endpoints = locate(settings)
    reports = [await verify(settings, endpoints, seed=turn) for turn in range(1 if quick else 3)]
    broken = await self_test(settings, endpoints)
    rates = tuple(sum(report.attempts.values()) / report.seconds for report in reports)
    made = sum(reports[-1].attempts.values())
    through = sum(len(report.breaches) for report in reports)
    if through or broken.survivors:
        raise AssertionError(f"{through} attempts got through, and nobody noticed {broken.survivors}")
    seconds = sorted(report.seconds for report in reports)[len(reports) // 2]
    return Claim(
        "`isolation verify`",
        "attempts",
        [Figure("attempts", rates)],
        {},
        [
            f"{made:,} attempts in {seconds:.1f} s, {through} got through. The self-test made {len(broken.mutations)} "
            f"mutations in {broken.seconds:.0f} s, {len(broken.survivors)} survived."
        ],
    )
