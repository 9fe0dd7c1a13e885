DROP INDEX contacts_family_name_idx;
DROP INDEX contacts_email_key;
CREATE INDEX contacts_email_idx ON contacts (lower(email));

UPDATE contacts SET email = c.email
FROM contact_email_conflicts c WHERE c.contact_id = contacts.id AND contacts.email IS NULL;
DROP TABLE contact_email_conflicts;

ALTER TABLE contacts ADD COLUMN full_name text;
UPDATE contacts SET full_name = concat_ws(' ', given_name, family_name);
ALTER TABLE contacts
    ALTER COLUMN full_name SET NOT NULL,
    ADD CONSTRAINT contacts_full_name_check CHECK (full_name <> ''),
    DROP COLUMN given_name,
    DROP COLUMN family_name;
