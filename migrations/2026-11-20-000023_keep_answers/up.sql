-- Answers to writes that were sent with an Idempotency-Key, for when they are
-- sent again. The id is the hash of the key and its client; request and scope
-- are hashes of what was asked for, and of what the client could see then.
CREATE TABLE idempotency_records (
    id         TEXT PRIMARY KEY NOT NULL,
    client_id  TEXT NOT NULL REFERENCES clients (id),
    request    TEXT NOT NULL,
    scope      TEXT NOT NULL,
    status     INTEGER NOT NULL,
    etag       TEXT,
    body       TEXT NOT NULL,
    expires_at TIMESTAMP NOT NULL
);

CREATE INDEX idempotency_records_by_expires_at ON idempotency_records (expires_at);
