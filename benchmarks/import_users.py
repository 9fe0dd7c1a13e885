"""100,000 users imported from JSON lines, against a raw `unnest` insert of the same rows."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import uuid
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

import asyncpg

from benchmarks.measure import Bound, Claim, in_turns
from prismicx.credentials import Credentials
from prismicx.engines.endpoints import locate
from prismicx.platform import Platform
from prismicx.settings import Settings
from prismicx.users.repository import queries

BATCH = 2_000


async def measure(settings: Settings, quick: bool) -> Claim:
    """Both read the same file line by line; the raw insert checks nothing and trusts every value."""
    count = 5_000 if quick else 100_000
    platform = Platform(settings, locate(settings))
    await platform.tenants.create("crowd", name="Crowd", isolation="shared")
    login = "prismicx_users"
    password = Credentials(settings.credentials_file).require("postgres", login)
    admin = await asyncpg.connect(locate(settings).postgres.postgres("system_users"))
    connection = await asyncpg.connect(locate(settings).postgres.postgres("system_users", login, password))
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "users.jsonl"
        with file.open("w") as target:
            for n in range(count):
                row = {
                    "username": f"user{n}",
                    "email": f"user{n}@crowd.example",
                    "first_name": "Ada",
                    "metadata": {"n": n},
                }
                target.write(json.dumps(row) + "\n")

        async def empty() -> None:
            # Each turn begins with a table as it is made; rows that were deleted would slow down the next one's.
            await admin.execute("TRUNCATE user_data.users CASCADE")

        async def raw() -> None:
            moment = datetime.now(UTC).replace(tzinfo=None)
            with file.open() as source:
                async with connection.transaction():
                    await connection.execute(platform._postgres.context(connection, "crowd"))
                    while rows := [json.loads(line) for line in islice(source, BATCH)]:
                        await connection.execute(
                            queries.add_many, "crowd", "!", moment, [uuid.uuid4() for _ in rows],
                            [row["username"] for row in rows], [row["email"] for row in rows],
                            [row["first_name"] for row in rows], [None] * len(rows), ["user"] * len(rows),
                            ["active"] * len(rows), [json.dumps(row["metadata"]) for row in rows],
                        )  # fmt: skip

        async def imported() -> None:
            with file.open() as source:
                async with platform.tenant("crowd") as tenant:
                    await tenant.user_transfer.read(source, "jsonl")

        try:
            figures = await in_turns(
                {"raw unnest insert": raw, "user import": imported}, operations=1, tasks=1, turns=2 if quick else 5,
                before=empty,
            )  # fmt: skip
            await empty()
            peak = _peak_of_the_command(settings, file)
        finally:
            await empty()
            await connection.close()
            await admin.close()
            await platform.close()
    return Claim(
        f"{count:,} users imported",
        "raw unnest insert",
        figures,
        {"user import": 0.70},
        ["Rates are imports a second."],
        [Bound("Most resident memory of `prismicx user import` of it", peak, 150, "MB")],
    )


def _peak_of_the_command(settings: Settings, file: Path) -> float:
    """MB, of a million bytes, of resident memory that the command needed at most."""
    # Not `getrusage`: what it tells begins with the memory of the process that started this one.
    program = (
        "import sys; from pathlib import Path; from prismicx.cli import main; "
        "main(sys.argv[1:], standalone_mode=False); "
        "print(Path('/proc/self/status').read_text().partition('VmHWM:')[2].split()[0], file=sys.stderr)"
    )
    words = ["user", "import", str(file), "--tenant", "crowd", "--data", str(settings.data)]
    done = subprocess.run([sys.executable, "-c", program, *words], check=True, capture_output=True, text=True)
    return int(done.stderr.split()[-1]) * 1024 / 1_000_000
