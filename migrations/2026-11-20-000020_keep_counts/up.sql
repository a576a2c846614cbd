-- Counts that every list shows, kept because counting takes as long as the rows
-- are many. Whatever writes the rows writes these in the same transaction.
CREATE TABLE metric_counts (
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    patient_id      TEXT NOT NULL REFERENCES patients (id),
    metrics         INTEGER NOT NULL,
    PRIMARY KEY (organization_id, patient_id)
);

INSERT INTO metric_counts
    SELECT organization_id, id, (SELECT count(*) FROM patient_health_metrics WHERE patient_id = patients.id)
    FROM patients;

CREATE TABLE patient_counts (
    organization_id TEXT PRIMARY KEY NOT NULL REFERENCES organizations (id),
    patients        INTEGER NOT NULL
);

INSERT INTO patient_counts
    SELECT id, (SELECT count(*) FROM patients WHERE organization_id = organizations.id) FROM organizations;
