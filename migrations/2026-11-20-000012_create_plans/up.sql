CREATE TABLE patient_plan_summaries (
    id              TEXT PRIMARY KEY NOT NULL,
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    patient_id      TEXT NOT NULL UNIQUE REFERENCES patients (id),
    critical        TEXT,
    time_zone       TEXT,
    window_order    TEXT NOT NULL,
    effective_from  TIMESTAMP NOT NULL,
    created_at      TIMESTAMP NOT NULL,
    updated_at      TIMESTAMP NOT NULL,
    created_by      TEXT,
    updated_by      TEXT
);

CREATE INDEX patient_plan_summaries_by_organization ON patient_plan_summaries (organization_id, id);

-- Each patient has one. SQL cannot make up ids, but the patient's own will do:
-- it is free among those of this table.
INSERT INTO patient_plan_summaries
    SELECT id, organization_id, id, NULL, NULL, '[]', created_at, created_at, created_at, created_by, created_by
    FROM patients;

CREATE TABLE actions (
    id              TEXT PRIMARY KEY NOT NULL,
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    plan_id         TEXT NOT NULL REFERENCES patient_plan_summaries (id),
    type            TEXT NOT NULL,
    title           TEXT NOT NULL,
    static_title    TEXT,
    effective_from  TIMESTAMP NOT NULL,
    effective_to    TIMESTAMP,
    tracking        BOOLEAN NOT NULL,
    thread          TEXT NOT NULL,
    frequency_goal  TEXT,
    identifiers     TEXT NOT NULL,
    details         TEXT,
    intake          TEXT,
    metric_required BOOLEAN NOT NULL,
    metrics         TEXT NOT NULL,
    windows         TEXT NOT NULL,
    created_at      TIMESTAMP NOT NULL,
    updated_at      TIMESTAMP NOT NULL,
    created_by      TEXT,
    updated_by      TEXT
);

CREATE INDEX actions_by_plan ON actions (plan_id, id);

CREATE TABLE bundles (
    id              TEXT PRIMARY KEY NOT NULL,
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    plan_id         TEXT NOT NULL REFERENCES patient_plan_summaries (id),
    type            TEXT NOT NULL,
    title           TEXT NOT NULL,
    effective_from  TIMESTAMP NOT NULL,
    effective_to    TIMESTAMP,
    thread          TEXT NOT NULL,
    created_at      TIMESTAMP NOT NULL,
    updated_at      TIMESTAMP NOT NULL,
    created_by      TEXT,
    updated_by      TEXT
);

CREATE INDEX bundles_by_plan ON bundles (plan_id, id);

CREATE TABLE bundle_actions (
    bundle_id TEXT NOT NULL REFERENCES bundles (id),
    action_id TEXT NOT NULL REFERENCES actions (id),
    position  INTEGER NOT NULL,
    PRIMARY KEY (bundle_id, action_id)
);

CREATE INDEX bundle_actions_by_action ON bundle_actions (action_id, bundle_id);

-- Results of actions without a metric. All others are the metrics themselves.
CREATE TABLE results (
    id              TEXT PRIMARY KEY NOT NULL,
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    patient_id      TEXT NOT NULL REFERENCES patients (id),
    action_id       TEXT NOT NULL REFERENCES actions (id),
    type            TEXT NOT NULL,
    thread          TEXT NOT NULL,
    value           TEXT,
    unit            TEXT,
    skipped         BOOLEAN NOT NULL,
    annotations     TEXT NOT NULL,
    time_zone       TEXT,
    window_id       TEXT,
    channel         TEXT,
    external_id     TEXT,
    source          TEXT,
    aggregation     TEXT,
    occurred_at     TIMESTAMP NOT NULL,
    created_at      TIMESTAMP NOT NULL,
    updated_at      TIMESTAMP NOT NULL,
    created_by      TEXT,
    updated_by      TEXT
);

CREATE INDEX results_by_patient ON results (patient_id, id);

CREATE VIEW all_results AS
    SELECT id, organization_id, patient_id, NULL AS action_id, id AS metric_id, type, type AS metric_type,
           type AS thread, value, systolic, diastolic, unit, FALSE AS skipped, '[]' AS annotations,
           NULL AS time_zone, NULL AS window_id, NULL AS channel, NULL AS external_id, NULL AS source,
           NULL AS aggregation, occurred_at, created_at, updated_at, created_by, updated_by
    FROM patient_health_metrics
    UNION ALL
    SELECT id, organization_id, patient_id, action_id, NULL, type, NULL,
           thread, value, NULL, NULL, unit, skipped, annotations,
           time_zone, window_id, channel, external_id, source,
           aggregation, occurred_at, created_at, updated_at, created_by, updated_by
    FROM results;

-- The latest of each thread of each patient.
CREATE VIEW current_results AS
    SELECT id, patient_id, thread
    FROM (
        SELECT id, patient_id, thread,
               ROW_NUMBER() OVER (PARTITION BY patient_id, thread ORDER BY occurred_at DESC, id DESC) AS place
        FROM all_results
    ) AS placed
    WHERE place = 1;
