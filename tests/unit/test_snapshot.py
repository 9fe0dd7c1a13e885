"""Which histories do nothing that the catalogue does not show, so that a snapshot may take their place."""

from __future__ import annotations

import pytest

from prismicx.systems.snapshot import is_pure


@pytest.mark.parametrize(
    "script",
    [
        "",
        "CREATE TABLE a (b int); CREATE INDEX ON a (b); ALTER TABLE a ADD c int DEFAULT 1; COMMENT ON TABLE a IS 'x'",
        "CREATE SEQUENCE s START 5; ALTER SEQUENCE s INCREMENT 2; ALTER TABLE a ALTER b SET GENERATED ALWAYS",
        "CREATE MATERIALIZED VIEW m AS SELECT 1; CREATE VIEW ${schema}.v AS SELECT nextval('s')",
        "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT setval(''s'', 9)::int'; CREATE INDEX ON a (b)",
        "CREATE TYPE t AS ENUM ('a'); ALTER TYPE t ADD VALUE 'b'; ALTER TABLE a RENAME TO c; DROP TABLE c",
    ],
)
def test_ddl_is_pure(script: str) -> None:
    assert is_pure([script])


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO a VALUES (1)",
        "UPDATE a SET b = 1",
        "DELETE FROM a",
        "TRUNCATE a RESTART IDENTITY",
        "CREATE TABLE c AS SELECT 1 AS x",
        "SELECT 1 AS x INTO c",
        "CREATE TABLE c AS EXECUTE p",
        "SELECT setval('s', 9)",
        "ALTER SEQUENCE s RESTART WITH 9",
        "ALTER TABLE a ALTER COLUMN b RESTART",
        "ALTER TABLE a ALTER COLUMN b SET GENERATED ALWAYS RESTART WITH 9",
        "DO $$ BEGIN PERFORM 1; END $$",
        "CALL p()",
        "MERGE INTO a USING c ON true WHEN NOT MATCHED THEN INSERT VALUES (1)",
        "WITH x AS (INSERT INTO a VALUES (1) RETURNING 1) SELECT * FROM x",
        "REFRESH MATERIALIZED VIEW m",
    ],
)
def test_what_may_leave_more_is_not(statement: str) -> None:
    assert not is_pure(["CREATE TABLE a (b int)", statement])
