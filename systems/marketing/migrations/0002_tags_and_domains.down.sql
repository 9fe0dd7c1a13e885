DROP INDEX subscribers_domain_idx;
DROP INDEX subscribers_address_key;
ALTER TABLE subscribers ADD COLUMN email text;
UPDATE subscribers SET email = local_part || coalesce('@' || domain, '');
ALTER TABLE subscribers ALTER COLUMN email SET NOT NULL, DROP COLUMN local_part, DROP COLUMN domain;
CREATE UNIQUE INDEX subscribers_email_key ON subscribers (lower(email));

ALTER TABLE campaigns ADD COLUMN tags text;
COMMENT ON COLUMN campaigns.tags IS 'Separated by commas';
UPDATE campaigns SET tags = (
    SELECT string_agg(t.name, ', ' ORDER BY ct.position)
    FROM campaign_tags ct JOIN tags t ON t.id = ct.tag_id
    WHERE ct.campaign_id = campaigns.id
);
DROP TABLE campaign_tags, tags;
