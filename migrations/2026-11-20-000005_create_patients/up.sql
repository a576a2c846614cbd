CREATE TABLE patients (
    id              TEXT PRIMARY KEY NOT NULL,
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    first_name      TEXT COLLATE "binary",
    last_name       TEXT COLLATE "binary",
    email_address   TEXT,
    birth_date      DATE,
    gender          TEXT CHECK (gender IN ('male', 'female', 'other')),
    note            TEXT,
    phone_numbers   TEXT NOT NULL,
    addresses       TEXT NOT NULL,
    identifiers     TEXT NOT NULL,
    archived        BOOLEAN NOT NULL,
    archive_history TEXT NOT NULL,
    statement       TEXT,
    invited_at      TIMESTAMP,
    enrolled_at     TIMESTAMP NOT NULL,
    first_access_at TIMESTAMP,
    last_access_at  TIMESTAMP,
    created_at      TIMESTAMP NOT NULL,
    updated_at      TIMESTAMP NOT NULL,
    created_by      TEXT,
    updated_by      TEXT
);

CREATE INDEX patients_by_organization ON patients (organization_id, id);
CREATE INDEX patients_by_updated_at ON patients (organization_id, updated_at, id);

CREATE TABLE patient_groups (
    patient_id TEXT NOT NULL REFERENCES patients (id),
    group_id   TEXT NOT NULL REFERENCES groups (id),
    position   INTEGER NOT NULL,
    PRIMARY KEY (patient_id, group_id)
);

CREATE INDEX patient_groups_by_group ON patient_groups (group_id, patient_id);

CREATE TABLE patient_coaches (
    patient_id TEXT NOT NULL REFERENCES patients (id),
    coach_id   TEXT NOT NULL REFERENCES coaches (id),
    is_primary BOOLEAN NOT NULL,
    position   INTEGER NOT NULL,
    PRIMARY KEY (patient_id, coach_id)
);

CREATE INDEX patient_coaches_by_coach ON patient_coaches (coach_id, patient_id);

-- What patients and coaches are looked up by. The row of a person carries the
-- same identifiers as it shows them; this table is their index.
CREATE TABLE identifiers (
    id              TEXT PRIMARY KEY NOT NULL,
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    patient_id      TEXT REFERENCES patients (id),
    coach_id        TEXT REFERENCES coaches (id),
    system          TEXT NOT NULL,
    value           TEXT NOT NULL,
    is_unique       BOOLEAN NOT NULL,
    CHECK ((patient_id IS NULL) <> (coach_id IS NULL))
);

CREATE UNIQUE INDEX identifiers_unique ON identifiers (organization_id, system, value) WHERE is_unique;
CREATE INDEX identifiers_by_value ON identifiers (organization_id, system, value);
CREATE INDEX identifiers_by_patient ON identifiers (patient_id);
CREATE INDEX identifiers_by_coach ON identifiers (coach_id);
