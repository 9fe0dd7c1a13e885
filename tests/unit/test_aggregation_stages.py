"""The table of stages has all of them, and each is treated as it says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from prismicx.engines.aggregation_stages import STAGES, table
from prismicx.engines.document_rules import scoped_pipeline, scoped_update, watched_pipeline
from prismicx.errors import BoundaryViolation

LISTED = Path(__file__).parents[1] / "data" / "mongodb" / "stages.txt"
REGISTERED = frozenset(line for line in LISTED.read_text().splitlines() if line.startswith("$"))
BODIES = {"$facet": {}, "$lookup": {"from": "categories", "as": "x"}, "$unionWith": "categories"}


def test_the_table_has_every_stage_that_mongodb_registers() -> None:
    assert REGISTERED - STAGES.keys() == set()


def test_the_table_has_every_stage_of_the_embedded_server() -> None:
    source = Path(pytest.importorskip("secantus.aggregate").__file__).read_text()
    table_of_server = source[source.index("\n_STAGES = {") :]
    names = set(re.findall(r'^    "(\$\w+)":', table_of_server[: table_of_server.index("\n}")], re.MULTILINE))
    assert len(names) > 30
    assert names - STAGES.keys() == set()


def test_nothing_that_leaves_the_collection_is_plain() -> None:
    plain = {name for name, stage in STAGES.items() if stage.treatment == "plain"}
    assert plain == {
        *("$addFields", "$bucket", "$bucketAuto", "$count", "$densify", "$fill", "$group", "$limit", "$match"),
        *("$project", "$redact", "$replaceRoot", "$replaceWith", "$sample", "$set", "$setWindowFields", "$skip"),
        *("$sort", "$sortByCount", "$unset", "$unwind"),
    }
    assert {name for name, stage in STAGES.items() if stage.treatment == "rewritten"} == BODIES.keys()


@pytest.mark.parametrize("name", [*STAGES, "$unheardOf"])
def test_each_stage_is_treated_as_the_table_says(name: str) -> None:
    stage = STAGES.get(name)
    pipeline = [{name: BODIES.get(name, {})}]
    if stage is None or stage.treatment == "refused":
        with pytest.raises(BoundaryViolation, match=re.escape(name)):
            scoped_pipeline("acme", pipeline, ["categories"])
    else:
        assert name in {key for made in scoped_pipeline("acme", pipeline, ["categories"]) for key in made}
    for allowed, call in (("in_update", scoped_update), ("in_stream", watched_pipeline)):
        if stage is not None and getattr(stage, allowed):
            assert pipeline[0] in call("acme", pipeline)
        else:
            with pytest.raises(BoundaryViolation):
                call("acme", pipeline)


def test_the_page_has_a_row_for_each() -> None:
    assert table().count("\n| `$") == len(STAGES)
