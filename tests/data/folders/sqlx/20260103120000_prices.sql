ALTER TABLE items ADD COLUMN price numeric(12, 2) NOT NULL DEFAULT 0;
CREATE INDEX items_price ON items (price);
