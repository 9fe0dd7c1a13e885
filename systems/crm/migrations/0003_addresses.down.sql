ALTER TABLE deals DROP CONSTRAINT deals_amount_not_negative;
UPDATE deals SET amount = c.amount FROM deal_amount_corrections c WHERE c.deal_id = deals.id AND deals.amount = 0;
DROP TABLE deal_amount_corrections;

-- A company had one address: the main one, else the first by its kind. Others end here as notes.
ALTER TABLE companies ADD COLUMN address text;
UPDATE companies SET address = (
    SELECT a.lines FROM addresses a WHERE a.company_id = companies.id ORDER BY a.kind <> 'main', a.kind LIMIT 1
);
INSERT INTO notes (company_id, body)
SELECT a.company_id, initcap(a.kind) || ' address: ' || a.lines
FROM addresses a
WHERE a.id <> (
    SELECT b.id FROM addresses b WHERE b.company_id = a.company_id ORDER BY b.kind <> 'main', b.kind LIMIT 1
);
DROP TABLE addresses;
