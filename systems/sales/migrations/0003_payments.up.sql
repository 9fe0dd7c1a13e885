CREATE TABLE payments (
    id         uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    invoice_id uuid NOT NULL REFERENCES invoices (id) ON DELETE RESTRICT,
    amount     numeric(16, 2) NOT NULL CHECK (amount <> 0),
    paid_at    timestamptz NOT NULL DEFAULT now(),
    method     text
);
CREATE INDEX payments_invoice_id_idx ON payments (invoice_id);
COMMENT ON COLUMN payments.amount IS 'Below zero for money that was given back';

-- An invoice over nothing has nothing to be paid; when it was settled is kept with the invoice.
ALTER TABLE invoices ADD COLUMN settled_at timestamptz;
UPDATE invoices SET settled_at = paid_at;
INSERT INTO payments (invoice_id, amount, paid_at) SELECT id, total, paid_at FROM invoices
WHERE paid_at IS NOT NULL AND total <> 0;
DROP INDEX invoices_unpaid_idx;
ALTER TABLE invoices DROP COLUMN paid_at;
CREATE INDEX invoices_open_idx ON invoices (due_on) WHERE settled_at IS NULL;

-- The first invoice keeps a number that several have; the others get it with -2, -3 …, which may be taken as well,
-- so their new number ends with a part of their id.
CREATE TABLE invoice_number_corrections (
    invoice_id uuid PRIMARY KEY REFERENCES invoices (id) ON DELETE CASCADE,
    number     text NOT NULL
);
COMMENT ON TABLE invoice_number_corrections IS 'Numbers of invoices that an earlier invoice has as well';
INSERT INTO invoice_number_corrections (invoice_id, number)
SELECT id, number
FROM (SELECT id, number, row_number() OVER (PARTITION BY number ORDER BY issued_on, id) AS place FROM invoices) ranked
WHERE place > 1;
UPDATE invoices SET number = c.number || '-' || right(invoices.id::text, 12)
FROM invoice_number_corrections c WHERE c.invoice_id = invoices.id;
DROP INDEX invoices_number_idx;
ALTER TABLE invoices ADD CONSTRAINT invoices_number_key UNIQUE (number);

CREATE VIEW invoice_balances AS
SELECT i.id AS invoice_id, i.number, i.total, coalesce(sum(p.amount), 0) AS paid,
       i.total - coalesce(sum(p.amount), 0) AS open
FROM invoices i LEFT JOIN payments p ON p.invoice_id = i.id
GROUP BY i.id;
