"""Runs the claims on embedded servers of their own and writes what was measured."""

from __future__ import annotations

import argparse
import asyncio
import shutil
import sys
import tempfile
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import (
    apply,
    boundary_mongo,
    boundary_postgres,
    categories,
    context,
    fleet,
    import_users,
    insights,
    isolation,
    provisioning,
    sealing,
)
from benchmarks.measure import Claim, machine
from prismicx import doctor
from prismicx.engines import embedded
from prismicx.engines.endpoints import locate
from prismicx.reference.apply import apply as apply_reference
from prismicx.settings import Settings, load

CLAIMS: dict[str, Callable[[Settings, bool], Awaitable[Claim | list[Claim]]]] = {
    "postgres": boundary_postgres.measure,
    "mongo": boundary_mongo.measure,
    "provisioning": provisioning.measure,
    "apply": apply.measure,
    "import": import_users.measure,
    "categories": categories.measure,
    "insights": insights.measure,
    "fleet": fleet.measure,
    "context": context.measure,
    "isolation": isolation.measure,
    "sealing": sealing.measure,
}
FILES = {"fleet.md": ["fleet"], "security.md": ["context", "isolation"], "sealing.md": ["sealing"]}
FILES["foundation.md"] = [name for name in CLAIMS if name not in {name for names in FILES.values() for name in names}]
"""Where what was measured is written, when all that belongs there was."""
RESULTS = Path(__file__).parent / "results"


async def run(settings: Settings, names: list[str], quick: bool) -> dict[str, list[Claim]]:
    """Measure the claims, one after another."""
    await apply_reference(settings, locate(settings))
    claims: dict[str, list[Claim]] = {}
    for name in names:
        print(f"measuring {name} …", file=sys.stderr)
        found = await CLAIMS[name](settings, quick)
        claims[name] = found if isinstance(found, list) else [found]
        for claim in claims[name]:
            print("\n".join(claim.lines()))
    return claims


def main() -> int:
    """Exit code 0 when every aim was reached."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("names", nargs="*", choices=[*CLAIMS, []], help="the claims to measure; all unless named")
    parser.add_argument("--quick", action="store_true", help="few operations, to see that it works; writes nothing")
    words = parser.parse_args()
    data = Path(tempfile.mkdtemp(prefix="prismicx-bench-"))
    settings = load({"data": data}).settings
    try:
        embedded.start(settings)
        state = asyncio.run(doctor.state(settings))
        claims = asyncio.run(run(settings, words.names or list(CLAIMS), words.quick))
    finally:
        embedded.stop(settings)
        shutil.rmtree(data, ignore_errors=True)
    if not words.quick:
        head = [
            "# Figures",
            "",
            f"Measured on {datetime.now(UTC):%Y-%m-%d} by `make bench`: {machine()}; {state.postgres.version}, "
            f"{state.mongo.version}. The contenders took turns on the same servers; ratios are medians over the turns. "
            "Rates are of this machine and say little about another; the ratios are the claims.",
            "",
        ]
        RESULTS.mkdir(exist_ok=True)
        for file, names in FILES.items():
            if all(name in claims for name in names):
                lines = [line for name in names for claim in claims[name] for line in claim.lines()]
                (RESULTS / file).write_text("\n".join([*head, *lines]).rstrip() + "\n", encoding="utf-8")
    return 0 if all(claim.held for found in claims.values() for claim in found) else 1


if __name__ == "__main__":
    sys.exit(main())
