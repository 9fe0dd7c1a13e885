CREATE TABLE deal_contacts (
    deal_id    uuid NOT NULL REFERENCES deals (id) ON DELETE CASCADE,
    contact_id uuid NOT NULL REFERENCES contacts (id) ON DELETE CASCADE,
    part       text NOT NULL DEFAULT 'decides' CHECK (part IN ('decides', 'advises', 'uses')),
    PRIMARY KEY (deal_id, contact_id)
);
CREATE INDEX deal_contacts_contact_id_idx ON deal_contacts (contact_id);
INSERT INTO deal_contacts (deal_id, contact_id) SELECT id, contact_id FROM deals WHERE contact_id IS NOT NULL;
DROP INDEX deals_contact_id_idx;
ALTER TABLE deals DROP COLUMN contact_id;

CREATE TABLE deal_stage_changes (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    deal_id    uuid NOT NULL REFERENCES deals (id) ON DELETE CASCADE,
    stage_id   uuid NOT NULL REFERENCES stages (id) ON DELETE CASCADE,
    changed_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX deal_stage_changes_deal_id_idx ON deal_stage_changes (deal_id, changed_at);
CREATE INDEX deal_stage_changes_stage_id_idx ON deal_stage_changes (stage_id);
INSERT INTO deal_stage_changes (deal_id, stage_id, changed_at) SELECT id, stage_id, created_at FROM deals;

CREATE FUNCTION note_stage_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO deal_stage_changes (deal_id, stage_id) VALUES (NEW.id, NEW.stage_id);
    RETURN NULL;
END
$$;
CREATE TRIGGER deals_note_first_stage AFTER INSERT ON deals
    FOR EACH ROW EXECUTE FUNCTION note_stage_change();
CREATE TRIGGER deals_note_stage_change AFTER UPDATE OF stage_id ON deals
    FOR EACH ROW WHEN (OLD.stage_id IS DISTINCT FROM NEW.stage_id) EXECUTE FUNCTION note_stage_change();
