CREATE TABLE coaches (
    id              TEXT PRIMARY KEY NOT NULL,
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    first_name      TEXT COLLATE "binary",
    last_name       TEXT COLLATE "binary",
    created_at      TIMESTAMP NOT NULL,
    updated_at      TIMESTAMP NOT NULL
);

CREATE INDEX coaches_by_organization ON coaches (organization_id, id);

CREATE TABLE coach_groups (
    coach_id TEXT NOT NULL REFERENCES coaches (id),
    group_id TEXT NOT NULL REFERENCES groups (id),
    PRIMARY KEY (coach_id, group_id)
);

CREATE INDEX coach_groups_by_group ON coach_groups (group_id, coach_id);
