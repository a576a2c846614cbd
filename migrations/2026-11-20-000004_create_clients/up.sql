-- A client's id is whatever text it already uses; secrets and tokens are kept
-- as hashes only.
CREATE TABLE clients (
    id              TEXT PRIMARY KEY NOT NULL,
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    name            TEXT NOT NULL,
    scope           TEXT NOT NULL CHECK (scope IN ('organization', 'group')),
    secret_hash     TEXT NOT NULL,
    created_at      TIMESTAMP NOT NULL,
    revoked_at      TIMESTAMP
);

CREATE INDEX clients_by_organization ON clients (organization_id, id);

CREATE TABLE client_groups (
    client_id TEXT NOT NULL REFERENCES clients (id),
    group_id  TEXT NOT NULL REFERENCES groups (id),
    PRIMARY KEY (client_id, group_id)
);

CREATE INDEX client_groups_by_group ON client_groups (group_id);

-- One row per answer of POST /oauth/token. Rows of one family descend from the
-- same client_credentials grant by refresh.
CREATE TABLE tokens (
    id           TEXT PRIMARY KEY NOT NULL,
    client_id    TEXT NOT NULL REFERENCES clients (id),
    family       TEXT NOT NULL,
    access_hash  TEXT NOT NULL UNIQUE,
    refresh_hash TEXT NOT NULL UNIQUE,
    created_at   TIMESTAMP NOT NULL,
    expires_at   TIMESTAMP NOT NULL,
    refreshable_until TIMESTAMP NOT NULL,
    spent_at     TIMESTAMP,
    revoked_at   TIMESTAMP
);

CREATE INDEX tokens_by_family ON tokens (family);
CREATE INDEX tokens_by_client ON tokens (client_id, refreshable_until);
