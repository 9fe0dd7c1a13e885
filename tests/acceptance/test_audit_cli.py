"""The audit trail through the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from prismicx.settings import load
from tests.acceptance.conftest import Prismicx
from tests.support import administrator


def events(prismicx: Prismicx, *words: str) -> list[dict[str, Any]]:
    return list(prismicx.json("audit", "list", *words)["events"])[::-1]


def test_what_commands_do_is_in_the_trail(prismicx: Prismicx, tmp_path: Path) -> None:
    prismicx("tenant", "create", "acme", "--name", "Acme")
    assert prismicx.error("tenant", "create", "acme", "--name", "Acme", code=4)["code"] == "tenant.exists"
    user = prismicx.json("user", "create", "--tenant", "acme", "--username", "ada", "--email", "ada@acme.test")["id"]
    prismicx("user", "export", str(tmp_path / "users.csv"), "--tenant", "acme")
    prismicx("tenant", "suspend", "acme")
    assert prismicx.error("user", "list", "--tenant", "acme", code=5)["code"] == "tenant.suspended"
    found = events(prismicx, "--tenant", "acme")
    assert [(event["operation"], event["outcome"], event["code"]) for event in found] == [
        ("tenant.create", "begun", None),
        ("tenant.create", "done", None),
        ("tenant.create", "begun", None),
        ("tenant.create", "failed", "tenant.exists"),
        ("user.create", "done", None),
        ("user.export", "begun", None),
        ("user.export", "done", None),
        ("tenant.suspend", "begun", None),
        ("tenant.suspend", "done", None),
        ("scope.open", "denied", "tenant.suspended"),
    ]
    assert found[4]["subject"] == user
    assert found[6]["details"] == {"count": 1, "private": False}
    assert {event["door"] for event in found} == {"cli"}
    assert "@" in found[0]["actor"]
    assert events(prismicx)[0]["operation"] == "db.apply"
    assert "@127.0.0.1" in prismicx("status", "--show-secrets").stdout
    assert events(prismicx)[-1]["operation"] == "credentials.show"
    page = prismicx.json("audit", "list", "--limit", "3")
    assert len(page["events"]) == 3
    assert prismicx.json("audit", "list", "--after", page["next"], "--limit", "1")["events"][0]["sequence"] == (
        page["events"][-1]["sequence"] - 1
    )
    assert "user.export" in prismicx("audit", "list", "--operation", "user.export").stdout
    assert prismicx.error("audit", "list", "--operation", "user.exports", code=2)["code"] == "audit.operation_unknown"


def test_a_rollout_names_each_tenant(prismicx: Prismicx) -> None:
    for tenant in ("one", "two"):
        prismicx("tenant", "create", tenant, "--name", tenant, "--isolation", "shared", "--region", "rolled")
    prismicx("system", "publish", str(Path(__file__).parents[2] / "systems" / "crm"))
    prismicx("system", "install", "crm", "--region", "rolled")
    (done,) = events(prismicx, "--operation", "rollout.start", "--outcome", "done")
    assert done["details"]["status"] == "finished"
    for tenant in ("one", "two"):
        (event,) = events(prismicx, "--tenant", tenant, "--operation", "rollout.tenant")
        assert (event["subject"], event["outcome"]) == (done["subject"], "done")


async def test_a_trail_that_was_tampered_with_is_found_out(prismicx: Prismicx) -> None:
    for tenant in ("first", "second", "third"):
        prismicx("tenant", "create", tenant, "--name", tenant, "--isolation", "shared")
    head = prismicx.json("audit", "head")
    held = prismicx.json("audit", "verify", "--expect", head["hash"])
    assert (held["ok"], held["hash"], held["rows"]) == (True, head["hash"], head["sequence"])
    assert "the chain is unbroken" in prismicx("audit", "verify").stdout
    unknown = json.loads(prismicx("audit", "verify", "--expect", "0" * 63 + "1", "--json", check=1).stdout)
    assert unknown["broken"]["kind"] == "anchor"
    admin = await administrator(load({"data": prismicx.data}, environ={}).settings, "management_system_repository")
    try:
        await admin.execute("ALTER TABLE prismicx.audit_events DISABLE TRIGGER ALL")
        await admin.execute("UPDATE prismicx.audit_events SET actor = 'eve' WHERE sequence = 4")
        found = json.loads(prismicx("audit", "verify", "--json", check=1).stdout)
        assert (found["ok"], found["broken"]["sequence"], found["broken"]["kind"]) == (False, 4, "changed")
        assert "row 4" in prismicx("audit", "verify", check=1).stdout
        assert prismicx.json("audit", "verify", "--from", "6")["ok"] is True
        report = json.loads(prismicx("db", "verify", "--json", check=1).stdout)
        assert [item["subject"] for item in report["missing"]] == [
            "prismicx.audit_events: audit_events_append_only"
        ]  # that the trigger was disabled, too
    finally:
        await admin.close()
