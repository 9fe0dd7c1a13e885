CREATE TABLE customers (
    id         uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    name       text NOT NULL,
    email      text,
    created_at timestamptz NOT NULL DEFAULT now()
);
-- Two customers are the same when both name and e-mail address are, whatever the case. Exactly one row for each.
CREATE UNIQUE INDEX customers_name_email_key ON customers (lower(name), lower(coalesce(email, '')));

INSERT INTO customers (name, email)
SELECT DISTINCT ON (lower(customer_name), lower(coalesce(customer_email, ''))) customer_name, customer_email
FROM (
    SELECT customer_name, customer_email, created_at AS seen_at FROM quotes
    UNION ALL
    SELECT customer_name, customer_email, placed_at FROM orders
) seen
ORDER BY lower(customer_name), lower(coalesce(customer_email, '')), seen_at, customer_name, customer_email;

ALTER TABLE quotes ADD COLUMN customer_id uuid REFERENCES customers (id) ON DELETE RESTRICT;
ALTER TABLE orders ADD COLUMN customer_id uuid REFERENCES customers (id) ON DELETE RESTRICT;
UPDATE quotes SET customer_id = c.id FROM customers c
WHERE lower(c.name) = lower(customer_name) AND lower(coalesce(c.email, '')) = lower(coalesce(customer_email, ''));
UPDATE orders SET customer_id = c.id FROM customers c
WHERE lower(c.name) = lower(customer_name) AND lower(coalesce(c.email, '')) = lower(coalesce(customer_email, ''));

ALTER TABLE quotes ALTER COLUMN customer_id SET NOT NULL, DROP COLUMN customer_name, DROP COLUMN customer_email;
ALTER TABLE orders ALTER COLUMN customer_id SET NOT NULL, DROP COLUMN customer_name, DROP COLUMN customer_email;
CREATE INDEX quotes_customer_id_idx ON quotes (customer_id);
CREATE INDEX orders_customer_id_idx ON orders (customer_id);
