-- Who did what to which records. Rows are added and never changed; they outlive
-- what they tell of, so they refer to nothing. Ids ascend, which is the index by
-- time; any other would slow down every write.
CREATE TABLE audit_entries (
    id              TEXT PRIMARY KEY NOT NULL,
    at              TIMESTAMP NOT NULL,
    organization_id TEXT NOT NULL,
    client_id       TEXT NOT NULL,
    -- Of a change over the API.
    req_id          TEXT,
    action          TEXT NOT NULL,
    -- Ids by type; of reads, a list of requests, each with its own.
    records         TEXT NOT NULL,
    -- The record before and after, where there was only one and it was not new.
    old             TEXT,
    new             TEXT
);
