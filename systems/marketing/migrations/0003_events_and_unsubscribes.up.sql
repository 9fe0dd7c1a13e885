-- Senders reported kinds in their own words. Known words are brought to one form, others become 'other'; what was
-- reported is kept beside it.
ALTER TABLE events ADD COLUMN reported_kind text;
UPDATE events SET reported_kind = kind;
UPDATE events SET kind = CASE
    WHEN lower(btrim(kind)) IN ('open', 'opened') THEN 'open'
    WHEN lower(btrim(kind)) IN ('click', 'clicked') THEN 'click'
    WHEN lower(btrim(kind)) IN ('bounce', 'bounced') THEN 'bounce'
    WHEN lower(btrim(kind)) IN ('unsubscribe', 'unsubscribed') THEN 'unsubscribe'
    WHEN lower(btrim(kind)) IN ('complaint', 'spam') THEN 'complaint'
    ELSE 'other'
END;
ALTER TABLE events ADD CONSTRAINT events_kind_known
    CHECK (kind IN ('open', 'click', 'bounce', 'unsubscribe', 'complaint', 'other'));

CREATE TABLE unsubscribes (
    subscriber_id uuid PRIMARY KEY REFERENCES subscribers (id) ON DELETE CASCADE,
    message_id    uuid REFERENCES messages (id) ON DELETE SET NULL,
    occurred_at   timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX unsubscribes_message_id_idx ON unsubscribes (message_id);
COMMENT ON TABLE unsubscribes IS 'Who asked not to be written to again, and by which message first';

-- The first time counts. Later ones, and those of nobody known, stay events.
INSERT INTO unsubscribes (subscriber_id, message_id, occurred_at)
SELECT DISTINCT ON (subscriber_id) subscriber_id, message_id, occurred_at
FROM events WHERE kind = 'unsubscribe' AND subscriber_id IS NOT NULL
ORDER BY subscriber_id, occurred_at, id;
DELETE FROM events USING unsubscribes u
WHERE events.kind = 'unsubscribe' AND events.subscriber_id = u.subscriber_id
  AND events.message_id = u.message_id AND events.occurred_at = u.occurred_at;

CREATE VIEW reachable_members AS
SELECT m.audience_id, m.subscriber_id
FROM audience_members m
WHERE NOT EXISTS (SELECT FROM unsubscribes u WHERE u.subscriber_id = m.subscriber_id);
