"""Users and preferences through the command line."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.acceptance.conftest import COMMAND, Prismicx


@pytest.fixture(scope="module")
def ada(prismicx: Prismicx) -> str:
    """A user of the tenant ``people``."""
    prismicx("tenant", "create", "people", "--name", "People", "--isolation", "shared")
    made = prismicx.json("user", "create", "--tenant", "people", "--username", "ada", "--email", "Ada@People.test")
    assert made["email"] == "ada@people.test"
    assert "password" not in json.dumps(made)
    return str(made["id"])


def typed(prismicx: Prismicx, text: str, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [COMMAND, *words, "--data", prismicx.data], input=text, capture_output=True, text=True, timeout=120, check=False
    )


def test_a_password_is_read_from_standard_input(prismicx: Prismicx, ada: str) -> None:
    assert typed(prismicx, "a good password\n", "user", "set-password", ada, "--tenant", "people").returncode == 0
    done = typed(prismicx, "a good password\n", "user", "login", "ada@people.test", "--tenant", "people")
    assert done.returncode == 0, done.stderr
    done = typed(prismicx, "a bad password\n", "user", "login", "ada@people.test", "--tenant", "people", "--json")
    assert done.returncode == 5
    assert json.loads(done.stderr)["error"]["code"] == "user.login_refused"
    verify = ("user", "verify-password", ada, "--tenant", "people", "--json")
    done = typed(prismicx, "a good password\n", *verify)
    assert (done.returncode, json.loads(done.stdout)) == (0, {"matches": True}), done.stderr
    done = typed(prismicx, "a bad password\n", *verify)
    assert (done.returncode, json.loads(done.stdout)) == (5, {"matches": False}), done.stderr
    done = typed(prismicx, "short\n", "user", "set-password", ada, "--tenant", "people")
    assert done.returncode == 2
    assert "short\n" not in done.stderr


def test_a_user_is_changed_and_found(prismicx: Prismicx, ada: str) -> None:
    before = prismicx.json("user", "show", ada, "--tenant", "people")
    words = ("user", "update", ada, "--tenant", "people", "--version", before["version"], "--last-name", "Lovelace")
    after = prismicx.json(*words, "--metadata", '{"a": [1]}')
    assert (after["last_name"], after["metadata"]) == ("Lovelace", {"a": [1]})
    assert prismicx.error(*words, code=4)["code"] == "user.changed"
    cleared = prismicx.json("user", "update", ada, "--tenant", "people", "--first-name", "", "--last-name", "")
    assert (cleared["first_name"], cleared["last_name"], cleared["metadata"]) == (None, None, {"a": [1]})
    for who in ("ada", "ADA@people.test", ada):
        assert prismicx.json("user", "show", who, "--tenant", "people")["id"] == ada
    assert prismicx.json("user", "deactivate", ada, "--tenant", "people")["status"] == "inactive"
    assert [u["id"] for u in prismicx.json("user", "list", "--tenant", "people", "--status", "inactive")["users"]] == [
        ada
    ]
    assert prismicx.json("user", "activate", ada, "--tenant", "people")["status"] == "active"


def test_files_go_in_and_out(prismicx: Prismicx, ada: str, tmp_path: Path) -> None:
    people = tmp_path / "people.csv"
    people.write_bytes("\ufeffusername,email\nlin,lin@people.test\n".encode())
    assert prismicx.json("user", "import", str(people), "--tenant", "people") == {"added": 1, "skipped": 0}
    assert prismicx.error("user", "import", str(people), "--tenant", "people", code=4)["code"] == "import.known"
    done = typed(prismicx, "", "user", "export", "-", "--format", "jsonl", "--tenant", "people")
    assert [json.loads(line)["username"] for line in done.stdout.splitlines()] == ["ada", "lin"]
    lin = prismicx.json("user", "show", "lin", "--tenant", "people")["id"]
    prismicx("user", "delete", lin, "--tenant", "people")
    assert prismicx.error("user", "show", lin, "--tenant", "people", code=3)["code"] == "user.unknown"


def test_preferences(prismicx: Prismicx, ada: str) -> None:
    prismicx("preference", "set", ada, "--tenant", "people", 'theme="dark"', "columns=3")
    assert prismicx.json("preference", "list", ada, "--tenant", "people") == {"theme": "dark", "columns": 3}
    assert prismicx.json("preference", "merge", ada, "box", '{"w": 1}', "--tenant", "people") == {"w": 1}
    assert prismicx.json("preference", "unset", ada, "box", "theme", "--tenant", "people") == {"unset": 2}
    assert prismicx.json("preference", "get", ada, "columns", "--tenant", "people") == 3


def test_types_of_preferences(prismicx: Prismicx, ada: str, tmp_path: Path) -> None:
    at = ("--tenant", "people")
    schema = tmp_path / "schema.json"
    schema.write_text('{"enum": ["en", "de"]}')
    assert prismicx.json("preference", "types") == {"types": []}
    words = ("preference", "register", "language", "--schema", str(schema))
    assert prismicx.error(*words, "--default", '"fr"', code=2)["code"] == "preference.invalid"
    assert prismicx.json(*words, "--default", '"en"') == {"registered": "language"}
    (held,) = prismicx.json("preference", "types")["types"]
    assert (held["key"], held["schema"], held["default"], held["secret"]) == (
        "language", {"enum": ["en", "de"]}, "en", False,
    )  # fmt: skip
    assert prismicx.json("preference", "get", ada, "language", *at) == "en"
    assert prismicx.error("preference", "set", ada, 'language="fr"', *at, code=2)["code"] == "preference.invalid"
    defaults = ("tenant", "update", "people", "--settings")
    for wrong in ('{"preferences": {"language": "fr"}}', '{"preferences": 5}'):
        assert prismicx.error(*defaults, wrong, code=2)["code"] == "preference.invalid"
    assert prismicx.json("preference", "unregister", "language") == {"unregistered": "language"}
    missing = prismicx.error("preference", "unregister", "language", code=3)
    assert missing["code"] == "preference.type_unknown"
    prismicx("preference", "set", ada, 'language="fr"', *at)
    schema.write_text("{")
    assert prismicx.error(*words, code=2)["code"] == "usage.json"


def test_users_are_found_by_what_is_secret(prismicx: Prismicx, ada: str) -> None:
    at = ("--tenant", "people")
    prismicx("preference", "set", ada, 'token="abc"', "--secret", *at)
    assert prismicx.json("preference", "find", "token", '"abc"', *at) == {"users": [ada]}
    assert prismicx.json("preference", "find", "token", '"abd"', *at) == {"users": []}
    assert prismicx("preference", "find", "token", '"abc"', *at).stdout == f"{ada}\n"


def test_one_key_is_given_once(prismicx: Prismicx, ada: str) -> None:
    done = prismicx("preference", "set", ada, "a=1", "a=2", "--tenant", "people", check=2)
    assert "a is given twice" in done.stderr
    assert "a" not in prismicx.json("preference", "list", ada, "--tenant", "people")


@pytest.mark.parametrize(
    ("words", "exit_code", "code"),
    [
        (("user", "create", "--username", "x", "--email", "nothing"), 2, "user.invalid"),
        (("user", "create", "--username", "", "--email", "x@y.z"), 2, "user.invalid"),
        (("user", "create", "--username", "x", "--email", "x@y.z", "--metadata", "{"), 2, "usage.json"),
        (("user", "create", "--username", "x", "--email", "x@y.z", "--metadata", "[]"), 2, "usage.json"),
        (("user", "show", "nobody"), 3, "user.unknown"),
        (("user", "show", "nobody@people.test"), 3, "user.unknown"),
        (("user", "update", "no-id", "--role", "x"), 2, "user.id_invalid"),
        (("user", "delete", "00000000-0000-0000-0000-000000000000"), 3, "user.unknown"),
        (("user", "list", "--after", "x"), 2, "page.cursor_invalid"),
        (("user", "list", "--limit", "0"), 2, "page.limit_invalid"),
        (("user", "list", "--text", "\udcff"), 2, "user.invalid"),
        (("user", "show", "\udcff"), 2, "user.invalid"),
        (
            ("user", "create", "--username", "x", "--email", "x@y.z", "--metadata", '{"a": ' + "1" * 5_000 + "}"),
            2,
            "usage.json",
        ),
        (("preference", "list", "x"), 2, "user.id_invalid"),
        (("preference", "set", "00000000-0000-0000-0000-000000000000", "a=1"), 3, "user.unknown"),
        (("preference", "set", "00000000-0000-0000-0000-000000000000", "a=dark"), 2, "usage.json"),
    ],
)
def test_wrong_words(prismicx: Prismicx, ada: str, words: tuple[str, ...], exit_code: int, code: str) -> None:
    error = prismicx.error(*words, "--tenant", "people", code=exit_code)
    assert error["code"] == code
    assert error["message"]
