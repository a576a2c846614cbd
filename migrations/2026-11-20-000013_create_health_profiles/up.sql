CREATE TABLE health_question_definitions (
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    id              TEXT COLLATE "binary" NOT NULL,
    category        TEXT NOT NULL CHECK (category IN ('lifestyle_behaviors', 'mental_wellbeing', 'preventative_care')),
    format          TEXT NOT NULL,
    requirements    TEXT NOT NULL,
    text            TEXT NOT NULL,
    created_at      TIMESTAMP NOT NULL,
    updated_at      TIMESTAMP NOT NULL,
    PRIMARY KEY (organization_id, id)
);

CREATE TABLE health_profiles (
    id              TEXT PRIMARY KEY NOT NULL,
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    patient_id      TEXT UNIQUE NOT NULL REFERENCES patients (id),
    created_at      TIMESTAMP NOT NULL,
    updated_at      TIMESTAMP NOT NULL
);

CREATE INDEX health_profiles_by_organization ON health_profiles (organization_id, id);
CREATE INDEX health_profiles_by_patient ON health_profiles (organization_id, patient_id, id);

-- One for each patient and definition, whether or not the patient meets what
-- the definition requires: patients grow older.
CREATE TABLE health_profile_questions (
    id              TEXT PRIMARY KEY NOT NULL,
    organization_id TEXT NOT NULL,
    patient_id      TEXT NOT NULL REFERENCES patients (id),
    definition_id   TEXT COLLATE "binary" NOT NULL,
    created_at      TIMESTAMP NOT NULL,
    UNIQUE (patient_id, definition_id),
    FOREIGN KEY (organization_id, definition_id) REFERENCES health_question_definitions (organization_id, id)
);

CREATE INDEX health_profile_questions_by_patient ON health_profile_questions (patient_id, id);

CREATE TABLE health_profile_answers (
    id              TEXT PRIMARY KEY NOT NULL,
    organization_id TEXT NOT NULL,
    patient_id      TEXT NOT NULL REFERENCES patients (id),
    question_id     TEXT COLLATE "binary" NOT NULL,
    latest          TEXT NOT NULL,
    history         TEXT NOT NULL,
    created_at      TIMESTAMP NOT NULL,
    updated_at      TIMESTAMP NOT NULL,
    UNIQUE (patient_id, question_id),
    FOREIGN KEY (organization_id, question_id) REFERENCES health_question_definitions (organization_id, id)
);

CREATE INDEX health_profile_answers_by_organization ON health_profile_answers (organization_id, id);
CREATE INDEX health_profile_answers_by_patient ON health_profile_answers (organization_id, patient_id, id);

CREATE TABLE email_histories (
    id              TEXT PRIMARY KEY NOT NULL,
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    receiver_id     TEXT NOT NULL REFERENCES patients (id),
    sender_id       TEXT REFERENCES coaches (id),
    twine_email_id  TEXT NOT NULL,
    email_address   TEXT NOT NULL,
    email_type      TEXT NOT NULL,
    send_time       TIMESTAMP NOT NULL,
    status_times    TEXT NOT NULL,
    created_at      TIMESTAMP NOT NULL,
    updated_at      TIMESTAMP NOT NULL,
    created_by      TEXT,
    updated_by      TEXT
);

CREATE INDEX email_histories_by_receiver ON email_histories (receiver_id, id);
CREATE INDEX email_histories_by_sender ON email_histories (sender_id, id);
