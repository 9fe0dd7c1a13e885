"""Which statements let a transaction end with the short reset."""

from __future__ import annotations

import pytest

from prismicx.engines.scoped_sql import leaves_settings_only


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT id FROM user_data.users WHERE id = $1",
        "\n  insert into user_data.users VALUES ($1)",
        "WITH a AS (SELECT 1) DELETE FROM user_data.users",
        "SELECT set_config('app.x', 'y', false)",
    ],
)
def test_ordinary_statements_leave_settings_at_most(statement: str) -> None:
    assert leaves_settings_only(statement)


@pytest.mark.parametrize(
    "statement",
    [
        "LISTEN somebody",
        "-- SELECT\nLISTEN somebody",
        "DO $$ BEGIN END $$",
        "CALL procedure()",
        "DECLARE c CURSOR WITH HOLD FOR SELECT 1",
        "PREPARE p AS SELECT 1",
        "SELECT pg_advisory_lock(1)",
        "SELECT\n pg_catalog.Pg_Try_Advisory_Lock(1)",
        'SELECT U&"pg_\\0061dvisory_lock"(1)',
        'SELECT u& "pg_\\0061dvisory_lock"(1)',
        "SELECT query_to_xml('SELECT pg_adv' || 'isory_lock(1)', true, true, '')",
        "SELECT * FROM ts_stat('SELECT 1')",
        "SELECT ts_rewrite('a', 'SELECT 1')",
        "",
    ],
)
def test_whatever_else_gets_the_thorough_reset(statement: str) -> None:
    assert not leaves_settings_only(statement)
