"""`isolation verify` by the command line, on a data directory as `prismicx up` makes it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.acceptance.conftest import Prismicx
from tests.support import make_package


def test_nothing_gets_through_where_a_system_is_installed(prismicx: Prismicx, tmp_path: Path) -> None:
    prismicx("tenant", "create", "acme", "--name", "Acme")
    prismicx(
        "system",
        "publish",
        str(make_package(tmp_path, "crm", ("CREATE TABLE items (id INTEGER);", "DROP TABLE items;"))),
    )
    prismicx("system", "install", "crm", "--tenant", "acme")
    done = prismicx("isolation", "verify", "--json", "--html", str(tmp_path / "isolation.html"))
    assert '"ok": true' in done.stdout
    assert "does not open" not in done.stderr, "refusals that are meant are no news"
    assert len(done.stderr.splitlines()) < 30
    assert "nothing got through" in (tmp_path / "isolation.html").read_text()


@pytest.mark.timeout(900)  # hundreds of protections, on two cores that others use
def test_every_break_is_noticed(prismicx: Prismicx) -> None:
    found = prismicx.json("isolation", "verify", "--self-test", seconds=600)
    assert found["survivors"] == []
    assert found["idle"] == [], "a check that no break turns red"
    assert found["ok"] is True
    assert found["made"] > 400
