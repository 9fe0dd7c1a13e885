CREATE TABLE addresses (
    id         uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    company_id uuid NOT NULL REFERENCES companies (id) ON DELETE CASCADE,
    kind       text NOT NULL DEFAULT 'main' CHECK (kind IN ('main', 'billing', 'delivery')),
    lines      text NOT NULL,
    UNIQUE (company_id, kind)
);
INSERT INTO addresses (company_id, lines) SELECT id, address FROM companies WHERE address IS NOT NULL;
ALTER TABLE companies DROP COLUMN address;

-- Credit notes had been written as deals below zero. They become 0, and what they were is kept.
CREATE TABLE deal_amount_corrections (
    deal_id uuid PRIMARY KEY REFERENCES deals (id) ON DELETE CASCADE,
    amount  numeric(14, 2) NOT NULL
);
COMMENT ON TABLE deal_amount_corrections IS 'Amounts below zero from before version 1.2.0';
INSERT INTO deal_amount_corrections (deal_id, amount) SELECT id, amount FROM deals WHERE amount < 0;
UPDATE deals SET amount = 0 WHERE amount < 0;
ALTER TABLE deals ADD CONSTRAINT deals_amount_not_negative CHECK (amount >= 0);
