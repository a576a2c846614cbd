-- The one table that grows without bound: it carries its organization itself,
-- its ids ascend, and every index on it must earn its keep.
CREATE TABLE patient_health_metrics (
    id              TEXT PRIMARY KEY NOT NULL,
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    patient_id      TEXT NOT NULL REFERENCES patients (id),
    type            TEXT NOT NULL,
    code            TEXT,
    value           TEXT,
    systolic        TEXT,
    diastolic       TEXT,
    unit            TEXT,
    occurred_at     TIMESTAMP NOT NULL,
    created_at      TIMESTAMP NOT NULL,
    updated_at      TIMESTAMP NOT NULL,
    created_by      TEXT,
    updated_by      TEXT
);

CREATE INDEX patient_health_metrics_by_organization ON patient_health_metrics (organization_id, id);
-- Without the patient in it, a list of one patient reads its whole organization.
CREATE INDEX patient_health_metrics_of_patient ON patient_health_metrics (organization_id, patient_id, id);
-- What a duplicate is told by.
CREATE INDEX patient_health_metrics_by_patient ON patient_health_metrics (patient_id, occurred_at, type);
