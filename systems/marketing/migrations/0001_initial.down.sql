DROP TABLE events, messages, campaigns, audience_members, audiences, subscribers;
