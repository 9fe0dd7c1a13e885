-- migrate:up
CREATE TABLE items (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL,
    note text NOT NULL DEFAULT 'a; b'
);
INSERT INTO items (name) VALUES ('first');

-- migrate:down
DROP TABLE items;
