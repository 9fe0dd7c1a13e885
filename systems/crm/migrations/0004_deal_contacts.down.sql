DROP TRIGGER deals_note_stage_change ON deals;
DROP TRIGGER deals_note_first_stage ON deals;
DROP FUNCTION note_stage_change();
DROP TABLE deal_stage_changes;

-- A deal had one contact: the one that decides, else the first by its part. The others' parts are lost.
ALTER TABLE deals ADD COLUMN contact_id uuid REFERENCES contacts (id) ON DELETE SET NULL;
UPDATE deals SET contact_id = (
    SELECT d.contact_id FROM deal_contacts d WHERE d.deal_id = deals.id
    ORDER BY array_position(ARRAY['decides', 'advises', 'uses'], d.part), d.contact_id LIMIT 1
);
CREATE INDEX deals_contact_id_idx ON deals (contact_id);
DROP TABLE deal_contacts;
