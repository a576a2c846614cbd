CREATE TABLE organizations (
    id         TEXT PRIMARY KEY NOT NULL,
    name       TEXT NOT NULL COLLATE "binary",
    created_at TIMESTAMP NOT NULL,
    updated_at TIMESTAMP NOT NULL
);
