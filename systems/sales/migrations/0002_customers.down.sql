ALTER TABLE quotes ADD COLUMN customer_name text, ADD COLUMN customer_email text;
ALTER TABLE orders ADD COLUMN customer_name text, ADD COLUMN customer_email text;
UPDATE quotes SET customer_name = c.name, customer_email = c.email FROM customers c WHERE c.id = customer_id;
UPDATE orders SET customer_name = c.name, customer_email = c.email FROM customers c WHERE c.id = customer_id;
ALTER TABLE quotes ALTER COLUMN customer_name SET NOT NULL, DROP COLUMN customer_id;
ALTER TABLE orders ALTER COLUMN customer_name SET NOT NULL, DROP COLUMN customer_id;
DROP TABLE customers;
