CREATE TABLE groups (
    id              TEXT PRIMARY KEY NOT NULL,
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    name            TEXT NOT NULL COLLATE "binary",
    bio             TEXT,
    created_at      TIMESTAMP NOT NULL,
    updated_at      TIMESTAMP NOT NULL,
    created_by      TEXT,
    updated_by      TEXT
);

-- Lists run in id order; meta.query and filter[name] look a name up.
CREATE INDEX groups_by_organization ON groups (organization_id, id);
CREATE INDEX groups_by_name ON groups (organization_id, name, id);
