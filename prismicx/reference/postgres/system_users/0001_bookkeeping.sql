-- What the platform knows about itself in this database: which files below were applied.
CREATE SCHEMA prismicx;

COMMENT ON SCHEMA prismicx IS 'Bookkeeping of the platform; no tenant data';

CREATE TABLE prismicx.schema_files (
    file       VARCHAR(100) PRIMARY KEY,
    checksum   CHAR(64)     NOT NULL,
    release    VARCHAR(20)  NOT NULL,
    applied_at TIMESTAMP    NOT NULL DEFAULT (now() AT TIME ZONE 'UTC')
);

COMMENT ON TABLE prismicx.schema_files IS 'Which files of the reference were applied, by which release';
