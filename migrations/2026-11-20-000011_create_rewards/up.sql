-- Amounts and days are BIGINT, in ten-thousandths: they add up exactly.
CREATE TABLE reward_programs (
    id                TEXT PRIMARY KEY NOT NULL,
    organization_id   TEXT NOT NULL REFERENCES organizations (id),
    group_id          TEXT NOT NULL REFERENCES groups (id),
    name              TEXT NOT NULL,
    tagline           TEXT,
    description       TEXT,
    start_at          TIMESTAMP NOT NULL,
    end_at            TIMESTAMP NOT NULL CHECK (end_at > start_at),
    budget_value      BIGINT NOT NULL CHECK (budget_value > 0),
    budget_unit       TEXT NOT NULL CHECK (budget_unit IN ('dollar', 'point', 'credit')),
    duration_active   BIGINT NOT NULL CHECK (duration_active > 0),
    fulfill_as_earned BOOLEAN NOT NULL,
    frozen            BOOLEAN NOT NULL,
    created_at        TIMESTAMP NOT NULL,
    updated_at        TIMESTAMP NOT NULL,
    created_by        TEXT,
    updated_by        TEXT
);

CREATE INDEX reward_programs_by_organization ON reward_programs (organization_id, id);
CREATE INDEX reward_programs_by_group ON reward_programs (group_id, id);

-- What hangs on a program carries its group and the patient, which never
-- change; totals are never stored, they follow from the parts. An activation is
-- over at ends_at, the earlier of deactivated_at and expires_at.
CREATE TABLE reward_program_activations (
    id                TEXT PRIMARY KEY NOT NULL,
    organization_id   TEXT NOT NULL REFERENCES organizations (id),
    group_id          TEXT NOT NULL REFERENCES groups (id),
    patient_id        TEXT NOT NULL REFERENCES patients (id),
    reward_program_id TEXT NOT NULL REFERENCES reward_programs (id),
    activated_at      TIMESTAMP NOT NULL,
    deactivated_at    TIMESTAMP CHECK (deactivated_at > activated_at),
    expires_at        TIMESTAMP NOT NULL,
    ends_at           TIMESTAMP NOT NULL,
    fulfill_as_earned BOOLEAN NOT NULL,
    budget_unit       TEXT NOT NULL,
    created_at        TIMESTAMP NOT NULL,
    updated_at        TIMESTAMP NOT NULL,
    created_by        TEXT,
    updated_by        TEXT
);

CREATE INDEX reward_program_activations_by_organization ON reward_program_activations (organization_id, id);
CREATE INDEX reward_program_activations_by_group ON reward_program_activations (group_id, id);
CREATE INDEX reward_program_activations_by_patient ON reward_program_activations (patient_id, id);
CREATE INDEX reward_program_activations_by_program ON reward_program_activations (reward_program_id, patient_id, id);

CREATE TABLE rewards (
    id                           TEXT PRIMARY KEY NOT NULL,
    organization_id              TEXT NOT NULL REFERENCES organizations (id),
    group_id                     TEXT NOT NULL REFERENCES groups (id),
    patient_id                   TEXT NOT NULL REFERENCES patients (id),
    reward_program_activation_id TEXT NOT NULL REFERENCES reward_program_activations (id),
    thread                       TEXT,
    description                  TEXT NOT NULL,
    allocated_value              BIGINT NOT NULL CHECK (allocated_value >= 0),
    allocated_unit               TEXT NOT NULL,
    allocated_at                 TIMESTAMP NOT NULL,
    target_at                    TIMESTAMP CHECK (target_at >= allocated_at),
    created_at                   TIMESTAMP NOT NULL,
    updated_at                   TIMESTAMP NOT NULL,
    created_by                   TEXT,
    updated_by                   TEXT
);

CREATE INDEX rewards_by_organization ON rewards (organization_id, id);
CREATE INDEX rewards_by_group ON rewards (group_id, id);
CREATE INDEX rewards_by_patient ON rewards (patient_id, id);
CREATE INDEX rewards_by_activation ON rewards (reward_program_activation_id, id);
CREATE INDEX rewards_by_thread ON rewards (organization_id, thread, id);

CREATE TABLE reward_earnings (
    id                           TEXT PRIMARY KEY NOT NULL,
    organization_id              TEXT NOT NULL REFERENCES organizations (id),
    group_id                     TEXT NOT NULL REFERENCES groups (id),
    patient_id                   TEXT NOT NULL REFERENCES patients (id),
    reward_program_activation_id TEXT NOT NULL REFERENCES reward_program_activations (id),
    reward_id                    TEXT NOT NULL UNIQUE REFERENCES rewards (id),
    earned_value                 BIGINT NOT NULL CHECK (earned_value >= 0),
    earned_unit                  TEXT NOT NULL,
    earned_at                    TIMESTAMP NOT NULL,
    created_at                   TIMESTAMP NOT NULL,
    updated_at                   TIMESTAMP NOT NULL,
    created_by                   TEXT,
    updated_by                   TEXT
);

CREATE INDEX reward_earnings_by_organization ON reward_earnings (organization_id, id);
CREATE INDEX reward_earnings_by_group ON reward_earnings (group_id, id);
CREATE INDEX reward_earnings_by_patient ON reward_earnings (patient_id, id);
CREATE INDEX reward_earnings_by_activation ON reward_earnings (reward_program_activation_id, id);

CREATE TABLE reward_earning_fulfillments (
    id                TEXT PRIMARY KEY NOT NULL,
    organization_id   TEXT NOT NULL REFERENCES organizations (id),
    group_id          TEXT NOT NULL REFERENCES groups (id),
    patient_id        TEXT NOT NULL REFERENCES patients (id),
    reward_earning_id TEXT NOT NULL UNIQUE REFERENCES reward_earnings (id),
    fulfilled_value   BIGINT NOT NULL CHECK (fulfilled_value >= 0),
    fulfilled_unit    TEXT NOT NULL,
    fulfilled_at      TIMESTAMP NOT NULL,
    created_at        TIMESTAMP NOT NULL,
    updated_at        TIMESTAMP NOT NULL,
    created_by        TEXT,
    updated_by        TEXT
);

CREATE INDEX reward_earning_fulfillments_by_organization ON reward_earning_fulfillments (organization_id, id);
CREATE INDEX reward_earning_fulfillments_by_patient ON reward_earning_fulfillments (patient_id, id);
