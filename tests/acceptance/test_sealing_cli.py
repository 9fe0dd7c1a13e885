"""Sealed fields, and the keys of tenants, by the command line."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from prismicx.settings import MASK
from tests.acceptance.conftest import Prismicx
from tests.support import make_package

SECRET = "the-cat-is-on-the-mat"
DECLARED = """
[versions.configuration]
type = "object"
properties.url = { type = "string" }
properties.token = { type = "string", secret = true }
"""


@pytest.fixture(scope="module")
def ada(prismicx: Prismicx) -> str:
    """A user of the tenant ``sealed``, with something private."""
    prismicx("tenant", "create", "sealed", "--name", "Sealed")
    words = ("--tenant", "sealed", "--username", "ada", "--email", "ada@sealed.test")
    made = prismicx.json("user", "create", *words, "--metadata", json.dumps({"a": 1, "private": SECRET}))
    assert made["metadata"] == {"a": 1, "private": SECRET}
    return str(made["id"])


def test_what_is_private_leaves_only_when_asked_for(prismicx: Prismicx, ada: str, tmp_path: Path) -> None:
    file = tmp_path / "users.jsonl"
    done = prismicx("user", "export", str(file), "--tenant", "sealed")
    assert "--with-private" in done.stderr and SECRET not in file.read_text() and "pxsealed" not in file.read_text()
    prismicx("user", "export", str(file), "--tenant", "sealed", "--with-private")
    assert SECRET in file.read_text()


def test_secrets_of_preferences_tasks_and_systems(prismicx: Prismicx, ada: str, tmp_path: Path) -> None:
    prismicx("preference", "set", ada, f'pin="{SECRET}"', "--secret", "--tenant", "sealed")
    assert prismicx.json("preference", "list", ada, "--tenant", "sealed") == {"pin": SECRET}
    payload = json.dumps({"to": "ada", "token": SECRET})
    words = ("--service", "s", "--type", "t", "--payload", payload, "--secret", "token")
    task = prismicx.json("task", "enqueue", "--tenant", "sealed", *words)
    assert prismicx.json("task", "show", task["task_id"], "--tenant", "sealed")["payload"]["token"] == SECRET
    package = make_package(tmp_path, "mailer", ("SELECT 1;", "SELECT 1;"), declared={1: DECLARED})
    prismicx("system", "publish", str(package))
    chosen = json.dumps({"url": "u", "token": SECRET})
    installed = prismicx("system", "install", "mailer", "--tenant", "sealed", "--configuration", chosen, "--json")
    shown = prismicx("system", "installed", "--tenant", "sealed")
    assert SECRET not in installed.stdout + shown.stdout and MASK in shown.stdout
    assert json.loads(installed.stdout)["configuration"] == {"url": "u", "token": MASK}


def test_keys_are_rotated(prismicx: Prismicx, ada: str) -> None:
    before = prismicx.json("key", "status", "--tenant", "sealed")
    (rotated,) = prismicx.json("key", "rotate", "--tenant", "sealed")
    assert rotated["wrapping_version"] == before["wrapping_key"]["version"] + 1
    assert rotated["left"] == 0 and rotated["sealed"] >= 2 and rotated["older_keys_until"]
    after = prismicx.json("key", "status", "--tenant", "sealed")
    assert after["wrapping_key"]["oldest_version"] == rotated["wrapping_version"]
    held = {item["data_class"]: item for item in after["keysets"]}
    assert held["users"]["values"] == {str(held["users"]["primary"]): 1} and len(held["users"]["older"]) == 1
    assert prismicx.json("user", "show", ada, "--tenant", "sealed")["metadata"]["private"] == SECRET
    (only,) = prismicx.json("key", "rotate", "--tenant", "sealed", "--wrapping-keys")
    assert "sealed" not in only and only["wrapping_version"] == rotated["wrapping_version"] + 1
    assert [row["tenant_id"] for row in prismicx.json("key", "seal", "--all-tenants")] == ["sealed"]
    assert "data class" in prismicx("key", "status", "--tenant", "sealed").stdout
    for words in (["rotate"], ["rotate", "--tenant", "sealed", "--all-tenants"], ["seal"]):
        assert prismicx("key", *words, check=2).stdout == ""
    for command in ("rotate", "seal", "status"):
        assert prismicx.error("key", command, "--tenant", "nobody", code=3)["code"] == "tenant.unknown"


def test_keys_are_destroyed(prismicx: Prismicx) -> None:
    prismicx("tenant", "create", "leaving", "--name", "Leaving", "--isolation", "shared")
    words = ("--tenant", "leaving", "--username", "eve", "--email", "eve@leaving.test")
    eve = prismicx.json("user", "create", *words, "--metadata", json.dumps({"a": 1, "private": SECRET}))["id"]
    assert "--yes" in prismicx("key", "destroy", "--tenant", "leaving", check=2).stderr
    assert prismicx.json("user", "show", eve, "--tenant", "leaving")["metadata"]["private"] == SECRET
    assert prismicx.error("key", "destroy", "--tenant", "nobody", "--yes", code=3)["code"] == "tenant.unknown"
    done = prismicx.json("key", "destroy", "--tenant", "leaving", "--yes")
    assert hashlib.sha256(done["text"].encode()).hexdigest() == done["digest"]
    assert json.loads(done["text"]) == done["receipt"]
    assert {item["opening"] for item in done["receipt"]["proof"]} == {"keys.destroyed"}
    assert prismicx.json("key", "destroy", "--tenant", "leaving", "--yes") == done
    found = prismicx.json("user", "show", eve, "--tenant", "leaving")
    assert found["metadata"] == {"a": 1, "private": "(keys.destroyed)"} and found["username"] == "eve"
    assert "(keys.destroyed)" in prismicx("user", "show", eve, "--tenant", "leaving").stdout
    change = ("user", "update", eve, "--tenant", "leaving", "--metadata", '{"private": 1}')
    assert prismicx.error(*change, code=4)["code"] == "keys.destroyed"
    assert prismicx.error("key", "rotate", "--tenant", "leaving", code=4)["code"] == "keys.destroyed"
    assert prismicx.json("key", "status", "--tenant", "leaving")["receipt"]["digest"] == done["digest"]
    assert "destroyed" in prismicx("key", "status", "--tenant", "leaving").stdout
    rows = {row["tenant_id"]: row for row in prismicx.json("key", "rotate", "--all-tenants", "--wrapping-keys")}
    assert rows["leaving"]["error"] == "keys.destroyed" and "error" not in rows["sealed"]
