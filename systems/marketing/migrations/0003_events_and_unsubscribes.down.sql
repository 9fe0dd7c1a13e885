DROP VIEW reachable_members;

-- An unsubscription without a message has no place among the events: it is lost.
ALTER TABLE events DROP CONSTRAINT events_kind_known;
UPDATE events SET kind = reported_kind WHERE reported_kind IS NOT NULL;
ALTER TABLE events DROP COLUMN reported_kind;
INSERT INTO events (message_id, subscriber_id, kind, occurred_at)
SELECT message_id, subscriber_id, 'unsubscribe', occurred_at FROM unsubscribes WHERE message_id IS NOT NULL;
DROP TABLE unsubscribes;
