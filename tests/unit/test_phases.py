"""Scripts are cut at statements that cannot run in a transaction, and nowhere else; nothing of them is lost."""

from __future__ import annotations

from itertools import pairwise

import postgast
from hypothesis import given
from hypothesis import strategies as st

from prismicx.systems.phases import Phase, phases_of, with_placeholder, with_schema

CONCURRENT = [
    "CREATE INDEX CONCURRENTLY i ON a (b)",
    'CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS "Ü" ON a (concurrently(b))',
    "DROP INDEX /* x */ concurrently i",
    "REINDEX TABLE CONCURRENTLY a",
    "REINDEX (VERBOSE) INDEX CONCURRENTLY i",
    "ALTER TABLE a DETACH PARTITION b CONCURRENTLY",
]
ORDINARY = [
    "SELECT 1",
    "SELECT 'CREATE INDEX CONCURRENTLY i ON a (b);'",
    'CREATE TABLE "concurrently;" (b int)',
    "CREATE FUNCTION f() RETURNS int LANGUAGE plpgsql AS $x$ BEGIN PERFORM ';'; RETURN 1; END; $x$",
    "CREATE FUNCTION g() RETURNS int BEGIN ATOMIC SELECT 1; SELECT 2; END",
    "INSERT INTO a VALUES ('ä;', $$;$$, E'\\';')",
    "CREATE INDEX i ON a (b)",
    "DROP INDEX i",
    "ALTER TABLE a DETACH PARTITION b",
]
BETWEEN = [";", ";\n", " ; -- concurrently;\n", ";;/* ; ü */\n\t"]


@given(
    st.lists(st.tuples(st.sampled_from(CONCURRENT + ORDINARY), st.sampled_from(BETWEEN)), max_size=8),
    st.sampled_from(["", "\n", "-- ä\n", "SELECT 7", "DROP INDEX CONCURRENTLY j"]),
)
def test_phases_are_the_script(parts: list[tuple[str, str]], end: str) -> None:
    script = "".join(statement + between for statement, between in parts) + end
    phases = phases_of(script)
    assert "".join(phase.sql for phase in phases) == script
    expected = [statement for statement, _ in parts] + ([end] if end.strip() and not end.startswith("--") else [])
    found = [(phase, raw) for phase in phases for raw in postgast.parse(phase.sql).stmts]
    assert len(found) == len(expected)
    for (phase, raw), statement in zip(found, expected, strict=True):
        assert phase.concurrent == (statement in [*CONCURRENT, "DROP INDEX CONCURRENTLY j"])
        # Places differ, so trees are compared as the texts they stand for.
        assert postgast.deparse(raw.stmt) == postgast.deparse(postgast.parse(statement).stmts[0].stmt)
    for before, after in pairwise(phases):
        assert before.concurrent or after.concurrent


def test_an_empty_script_is_a_phase() -> None:
    assert phases_of("") == [Phase(False, "")]
    assert phases_of("-- concurrently") == [Phase(False, "-- concurrently")]


def test_the_schema_is_filled_in_quoted() -> None:
    assert with_schema('${schema}.a "${schema}".b $schema ${ schema }', "t_1") == '"t_1".a "t_1".b $schema ${ schema }'
    assert with_schema("${schema}", 'a"\\1') == '"a""\\1"'
    assert with_schema("SELECT 1", "t") == "SELECT 1"


def test_a_placeholder_keeps_every_place() -> None:
    text = 'SELECT ${schema}.f(), "${schema}".s000000'
    filled, name = with_placeholder(text)
    assert len(filled) == len(text)
    assert (name, name in text) == ("s000001", False)
    assert filled == 'SELECT "s000001".f(), "s000001"  .s000000'
