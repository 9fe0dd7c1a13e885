CREATE TABLE tags (
    id   uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    name text NOT NULL CHECK (name <> '')
);
CREATE UNIQUE INDEX tags_name_key ON tags (lower(name));

CREATE TABLE campaign_tags (
    campaign_id uuid NOT NULL REFERENCES campaigns (id) ON DELETE CASCADE,
    tag_id      uuid NOT NULL REFERENCES tags (id) ON DELETE CASCADE,
    position    integer NOT NULL,
    PRIMARY KEY (campaign_id, tag_id)
);
CREATE INDEX campaign_tags_tag_id_idx ON campaign_tags (tag_id);

INSERT INTO tags (name)
SELECT DISTINCT ON (lower(btrim(part))) btrim(part)
FROM campaigns, unnest(string_to_array(tags, ',')) part
WHERE btrim(part) <> ''
ORDER BY lower(btrim(part)), btrim(part);

INSERT INTO campaign_tags (campaign_id, tag_id, position)
SELECT c.id, t.id, min(p.place)
FROM campaigns c, unnest(string_to_array(c.tags, ',')) WITH ORDINALITY p (part, place)
JOIN tags t ON lower(t.name) = lower(btrim(p.part))
GROUP BY c.id, t.id;
ALTER TABLE campaigns DROP COLUMN tags;

-- The part after the last @; an address without one is all local part.
ALTER TABLE subscribers ADD COLUMN local_part text, ADD COLUMN domain text;
UPDATE subscribers
SET local_part = CASE WHEN email LIKE '%@%' THEN regexp_replace(email, '@[^@]*$', '') ELSE email END,
    domain = lower(substring(email FROM '@([^@]*)$'));
ALTER TABLE subscribers ALTER COLUMN local_part SET NOT NULL, DROP COLUMN email;
CREATE UNIQUE INDEX subscribers_address_key ON subscribers (lower(local_part), coalesce(domain, ''));
CREATE INDEX subscribers_domain_idx ON subscribers (domain);
