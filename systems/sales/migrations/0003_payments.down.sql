DROP VIEW invoice_balances;

ALTER TABLE invoices DROP CONSTRAINT invoices_number_key;
UPDATE invoices SET number = c.number FROM invoice_number_corrections c WHERE c.invoice_id = invoices.id;
DROP TABLE invoice_number_corrections;
CREATE INDEX invoices_number_idx ON invoices (number);

-- An invoice was either paid or not: it is when its payments reach its total, on the day of the last one.
ALTER TABLE invoices ADD COLUMN paid_at timestamptz;
UPDATE invoices SET paid_at = coalesce(
    settled_at,
    (SELECT max(p.paid_at) FROM payments p WHERE p.invoice_id = invoices.id HAVING sum(p.amount) >= invoices.total)
);
DROP INDEX invoices_open_idx;
ALTER TABLE invoices DROP COLUMN settled_at;
CREATE INDEX invoices_unpaid_idx ON invoices (due_on) WHERE paid_at IS NULL;
DROP TABLE payments;
