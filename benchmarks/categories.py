"""Category trees: the IAB taxonomy imported, its largest subtree read, a subtree of 200 moved."""

from __future__ import annotations

import io
import json
from collections import Counter
from typing import Any

from benchmarks.measure import Claim, in_turns
from demo import taxonomy
from prismicx.credentials import Credentials
from prismicx.engines.endpoints import locate
from prismicx.engines.mongo import USERS, open_client
from prismicx.platform import Platform
from prismicx.scopes import TenantScope
from prismicx.settings import Settings

TENANT = "trees"
MOVED = 200


async def measure(settings: Settings, quick: bool) -> list[Claim]:
    """The raw driver sends the statements that cannot be done without, as the same service, and checks nothing."""
    platform = Platform(settings, locate(settings))
    await platform.tenants.create(TENANT, name="Trees", isolation="shared")
    login = "prismicx_categories"
    password = Credentials(settings.credentials_file).require("mongo", login)
    client = open_client(locate(settings).mongo.mongo(USERS, login, password), settings.connect_timeout)
    raw = client["category_repository"]["categories"]
    turns = 2 if quick else 7
    try:
        async with platform.tenant(TENANT) as scope:
            return [await _imported(scope, raw, turns), await _read(scope, raw, turns), await _moved(scope, raw, turns)]
    finally:
        await client.close()
        await platform.close()


async def _imported(scope: TenantScope, raw: Any, turns: int) -> Claim:
    text = taxonomy.text()
    await scope.category_transfer.read(io.StringIO(text))
    documents = await raw.find({"tenant_id": TENANT}, {"_id": 0}).to_list()

    async def empty() -> None:
        await raw.delete_many({"tenant_id": TENANT})

    async def plain() -> None:
        json.loads(text)
        await raw.insert_many([dict(document) for document in documents])

    async def ours() -> None:
        await scope.category_transfer.read(io.StringIO(text))

    figures = await in_turns(
        {"raw insert_many": plain, "category import": ours}, operations=1, tasks=1, turns=turns, before=empty
    )
    await empty()
    await ours()
    return Claim(
        f"The {len(documents)} categories of the IAB taxonomy imported", "raw insert_many", figures,
        notes=["Imports a second. Ours reads the file, compares it with what is there, and takes the tree's turn."],
    )  # fmt: skip


async def _read(scope: TenantScope, raw: Any, turns: int) -> Claim:
    found = await scope.categories.subtree()
    sizes = Counter(key for category in found for key in category.ancestors)
    key, size = sizes.most_common(1)[0]

    async def plain() -> None:
        await raw.find({"tenant_id": TENANT, "ancestors": key}).to_list()

    async def ours() -> None:
        await scope.categories.subtree(key)

    figures = await in_turns({"raw find": plain, "subtree": ours}, operations=50, tasks=1, turns=turns)
    note = "Reads a second. Ours reads the category itself first, and gives all in the order of the tree."
    return Claim(f"A subtree of {size + 1} read", "raw find", figures, notes=[note])


async def _moved(scope: TenantScope, raw: Any, turns: int) -> Claim:
    homes = [await scope.categories.create(name) for name in ("home 1", "home 2")]
    top = await scope.categories.create("moved", parent_id=homes[0].category_id)
    held = [{"name": f"n{n}", "children": [{"name": f"c{m}"} for m in range(9)]} for n in range(MOVED // 10)]
    await scope.category_transfer.read(io.StringIO(json.dumps(held)), under=top.category_id)
    key, place = top.category_id, 0

    async def plain() -> None:
        nonlocal place
        place = 1 - place
        above = [homes[place].category_id]
        await raw.update_one(
            {"tenant_id": TENANT, "category_id": key}, {"$set": {"parent_id": above[0], "ancestors": above}}
        )
        rewritten = {"$concatArrays": [above, {"$slice": ["$ancestors", {"$indexOfArray": ["$ancestors", key]}, 30]}]}
        await raw.update_many({"tenant_id": TENANT, "ancestors": key}, [{"$set": {"ancestors": rewritten}}])

    async def ours() -> None:
        nonlocal place
        place = 1 - place
        await scope.categories.move(key, homes[place].category_id)

    figures = await in_turns({"raw updates": plain, "move": ours}, operations=10, tasks=1, turns=turns)
    if await scope.categories.check():
        raise AssertionError("the moves left a tree that is not sound")
    note = "Moves a second. The raw driver sends two updates, without a transaction; ours cannot make a cycle."
    return Claim(f"A subtree of {MOVED + 1} moved", "raw updates", figures, notes=[note])
