-- The last word is the family name; who has one word has no given name.
ALTER TABLE contacts ADD COLUMN given_name text, ADD COLUMN family_name text;
UPDATE contacts
SET given_name = nullif(regexp_replace(btrim(full_name), '\s*\S+$', ''), ''),
    family_name = coalesce(substring(btrim(full_name) FROM '\S+$'), full_name);
ALTER TABLE contacts
    ALTER COLUMN family_name SET NOT NULL,
    ADD CONSTRAINT contacts_family_name_check CHECK (family_name <> ''),
    DROP COLUMN full_name;

-- The oldest contact keeps an address that several have; what the others had is kept here, for people to sort out.
CREATE TABLE contact_email_conflicts (
    contact_id uuid PRIMARY KEY REFERENCES contacts (id) ON DELETE CASCADE,
    email      text NOT NULL
);
COMMENT ON TABLE contact_email_conflicts IS 'Addresses taken from contacts because an older contact has the same';

INSERT INTO contact_email_conflicts (contact_id, email)
SELECT id, email
FROM (
    SELECT id, email, row_number() OVER (PARTITION BY lower(email) ORDER BY created_at, id) AS place
    FROM contacts WHERE email IS NOT NULL
) ranked
WHERE place > 1;
UPDATE contacts SET email = NULL FROM contact_email_conflicts c WHERE c.contact_id = contacts.id;

DROP INDEX contacts_email_idx;
CREATE UNIQUE INDEX contacts_email_key ON contacts (lower(email));
CREATE INDEX contacts_family_name_idx ON contacts (lower(family_name));
