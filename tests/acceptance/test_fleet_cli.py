"""The fleet at the command line: plans, rollouts that are stopped and go on, refusals with their exit codes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import postgast
import pytest

from prismicx.settings import load
from tests.acceptance.conftest import Prismicx
from tests.support import administrator, make_package

TENANTS = ("ann", "bob", "cat", "dan")
SCRIPTS = (
    ("CREATE TABLE items (id int PRIMARY KEY, price int);", "DROP TABLE items;"),
    ("ALTER TABLE items ALTER COLUMN price TYPE bigint; CREATE INDEX items_price ON items (price);",
     "DROP INDEX items_price; ALTER TABLE items ALTER COLUMN price TYPE int;"),
    ("CREATE INDEX CONCURRENTLY items_both ON items (id, price);", None),
)  # fmt: skip


@pytest.fixture(scope="module")
def prismicx(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prismicx]:
    folder = tmp_path_factory.mktemp("fleet")
    command = Prismicx(folder / "data")
    command("up", "--detach")
    for name in TENANTS:
        command("tenant", "create", name, "--name", name, "--tier", "gold" if name < "c" else "tin", "--isolation",
                "shared")  # fmt: skip
    command("system", "publish", str(make_package(folder / "shop", "shop", *SCRIPTS)))
    command("system", "install", "shop", "--version", "1.0", "--tenant", "ann", "--tenant", "bob", "--tenant", "cat")
    yield command
    command("down", check=None)


def sql(prismicx: Prismicx, *texts: str) -> None:
    """Statements as an administrator sends them, one by one."""

    async def send() -> None:
        admin = await administrator(load({"data": prismicx.data}, environ={}).settings, "management_system_repository")
        try:
            for text in texts:
                await admin.execute(text)
        finally:
            await admin.close()

    asyncio.run(send())


def test_a_plan_is_what_runs(prismicx: Prismicx) -> None:
    plan = prismicx.json("system", "plan", "shop", "--to", "3.0", "--tier", "gold", "--canary", "bob")
    (group,) = plan["groups"]
    assert (plan["tenants"], plan["done"], group["path"], plan["waves"][0]) == (2, 0, ["2.0", "3.0"], ["bob"])
    (lock,) = group["locks"]["2.0"]["locks"]
    assert lock == {"table": "items", "mode": "AccessExclusiveLock", "rewrites": True}
    (alone,) = group["locks"]["3.0"]["locks"]
    assert (alone["mode"], alone["rewrites"]) == ("ShareUpdateExclusiveLock", False)
    shown = prismicx("system", "plan", "shop", "--to", "3.0", "--tier", "gold", "--canary", "bob").stdout
    assert "2.0: AccessExclusiveLock on items, stops readers and writers, writes it anew" in shown
    assert plan["digest"] in shown
    words = ("system", "upgrade", "shop", "--to", "3.0", "--tier", "gold", "--canary", "bob")
    assert prismicx.json(*words, "--dry-run")["digest"] == plan["digest"]
    assert prismicx.error(*words, "--expect", "0123456789abcdef", code=4)["code"] == "rollout.plan_changed"
    for canary, code in (("nosuch", 3), ("cat", 2)):
        assert prismicx.error(*words[:-1], canary, code=code)["code"] in ("tenant.unknown", "rollout.invalid")
    done = prismicx(*words, "--expect", plan["digest"], "--json")
    assert json.loads(done.stdout)["done"] == 2
    told = [json.loads(line) for line in done.stderr.splitlines() if line.startswith("{")]
    assert told[-1]["done"] == 2
    assert {"done", "failed", "rate", "tenants", "wave", "waves"} <= set(told[-1])
    # Those that are there are counted among those that are meant, and told when they are named.
    assert prismicx.json("system", "plan", "shop", "--to", "3.0", "--tier", "tin")["done"] == 0
    named = prismicx.json("system", "plan", "shop", "--to", "3.0", "--tenant", "ann", "--tenant", "cat")
    assert (named["done"], named["tenants"], named["blocked"]) == (1, 1, [])


def test_a_refusal_is_told_by_the_exit_code(prismicx: Prismicx) -> None:
    for words, code, reason in (
        (("upgrade", "shop", "--tenant", "dan"), 3, "system.not_installed"),
        (("upgrade", "shop", "--tenant", "dan", "--tenant", "ann"), 3, "system.not_installed"),
        (("rollback", "shop", "--to", "1.0", "--tenant", "ann"), 4, "system.irreversible"),
        (("rollback", "shop", "--to", "1.0", "--tenant", "ann", "--tenant", "bob"), 4, "system.irreversible"),
        (("rollback", "shop", "--to", "1.0", "--tier", "gold"), 4, "system.irreversible"),
        (("upgrade", "shop", "--to", "1.0", "--tenant", "ann"), 4, "system.direction"),
        (("upgrade", "shop", "--to", "1.0", "--tenant", "ann", "--tenant", "bob"), 4, "system.direction"),
        (("rollback", "shop", "--to", "3.0", "--tenant", "cat"), 4, "system.direction"),
    ):
        done = prismicx("system", *words, "--json", check=code)
        if done.stdout:
            assert reason in {item["code"] for item in json.loads(done.stdout)["blocked"]}
        else:
            assert reason in done.stderr
    for words in (("status", "nosuch"), ("rollouts", "nosuch"), ("drift", "nosuch"), ("plan", "nosuch", "--tier", "x")):
        assert prismicx.error("system", *words, code=3)["code"] == "system.unknown"
    prismicx("system", "upgrade", "shop", "--tenant", "ann", "--tenant", "bob")  # they are there: nothing is wrong


def test_one_that_was_named_and_left_out_is_told_by_the_exit_code(prismicx: Prismicx, tmp_path: Path) -> None:
    scripts = (("CREATE TABLE a (b int);", None), ("ALTER TABLE a ADD COLUMN c int;", None))
    prismicx("system", "publish", str(make_package(tmp_path / "pair", "pair", *scripts)))
    named = ("--tenant", "ann", "--tenant", "bob")
    prismicx("system", "install", "pair", "--version", "1.0", *named)
    prismicx("tenant", "suspend", "bob")
    done = json.loads(prismicx("system", "upgrade", "pair", *named, "--json", check=5).stdout)
    assert (done["done"], [item["code"] for item in done["blocked"]]) == (1, ["tenant.suspended"])
    prismicx("tenant", "resume", "bob")
    assert json.loads(prismicx("system", "upgrade", "pair", *named, "--json").stdout)["done"] == 1


def test_the_limits_hold_for_one_tenant(prismicx: Prismicx) -> None:
    program = "SELECT pg_sleep(0.3);"
    folder = prismicx.data.parent / "slow"
    prismicx("system", "publish", str(make_package(folder, "slow", ("CREATE TABLE a (b int);", None), (program, None))))
    prismicx("system", "install", "slow", "--version", "1.0", "--tenant", "dan")
    error = prismicx.error("system", "upgrade", "slow", "--tenant", "dan", "--statement-timeout", "50", code=4)
    assert "57014" in error["message"]
    assert prismicx.error("system", "upgrade", "slow", "--tenant", "dan", "--lock-timeout", "0", code=2)
    prismicx("system", "upgrade", "slow", "--tenant", "dan")


def test_what_went_wrong_is_one_command_from_a_retry(prismicx: Prismicx, tmp_path: Path) -> None:
    scripts = (("CREATE TABLE a (b int);", None), ("ALTER TABLE a ADD CHECK (b > 0);", None))
    prismicx("system", "publish", str(make_package(tmp_path / "x", "checked", *scripts)))
    prismicx("system", "install", "checked", "--version", "1.0", "--tier", "gold")
    sql(prismicx, "INSERT INTO tenant_ann_checked.a VALUES (0)")
    words = ("system", "upgrade", "checked", "--tier", "gold", "--max-failures", "1", "--wave", "100%")
    assert json.loads(prismicx(*words, "--json", check=1).stdout)["failed"] == 1
    told = prismicx("system", "status", "checked")
    assert "23514" in told.stdout
    (rollout,) = prismicx.json("system", "rollouts", "checked", "--limit", "1")
    assert f"prismicx system resume {rollout['rollout_id']} --retry-failed" in told.stderr
    # As if its process had been killed: nobody holds its lock.
    sql(
        prismicx,
        "UPDATE prismicx.rollouts SET status = 'running', finished_at = NULL "
        f"WHERE rollout_id = '{rollout['rollout_id']}'",
    )
    (gone,) = prismicx.json("system", "rollouts", "checked", "--limit", "1")
    assert gone["status"] == "interrupted"
    assert f"resume {rollout['rollout_id']}" in prismicx("system", "status", "checked").stderr
    assert prismicx.json("system", "pause", rollout["rollout_id"])["status"] == "paused"
    sql(prismicx, "DELETE FROM tenant_ann_checked.a")
    assert prismicx.json("system", "resume", rollout["rollout_id"], "--retry-failed")["status"] == "finished"
    assert "resume" not in prismicx("system", "status", "checked").stderr
    assert prismicx.error("system", "abort", rollout["rollout_id"], code=4)["code"] == "rollout.ended"


def test_printed_repairs_mend(prismicx: Prismicx) -> None:
    sql(
        prismicx,
        "DROP INDEX tenant_ann_shop.items_price",
        "ALTER TABLE tenant_bob_shop.items ALTER COLUMN price SET DEFAULT 3",
        "GRANT SELECT ON tenant_bob_shop.items TO tenant_bob WITH GRANT OPTION",
        "DROP SCHEMA IF EXISTS tenant_cat_shop CASCADE",
    )
    found = prismicx("system", "drift", "shop", check=1).stdout
    assert "index items.items_price is missing" in found
    assert "schema tenant_cat_shop is missing" in found
    assert prismicx("system", "drift", "shop", "--tenant", "dan").stdout == ""
    printed = prismicx("system", "drift", "shop", "--repair-sql", check=1).stdout
    sql(prismicx, *postgast.split(printed))
    assert prismicx("system", "drift", "shop").stdout == ""
    sql(prismicx, "DROP SCHEMA tenant_cat_shop CASCADE")
    prismicx("system", "uninstall", "shop", "--tenant", "cat", "--yes")  # what is gone can be removed
    assert prismicx("system", "drift", "shop").stdout == ""
