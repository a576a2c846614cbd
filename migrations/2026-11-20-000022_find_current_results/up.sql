-- The latest of each thread of a patient is found by skipping from one thread
-- to the next. The view that was here read all that a patient has.
DROP VIEW current_results;
CREATE INDEX patient_health_metrics_by_type ON patient_health_metrics (patient_id, type, occurred_at);
CREATE INDEX results_by_thread ON results (patient_id, thread, occurred_at);

-- Duplicates are found without the type, too, and this index is one of each row.
DROP INDEX patient_health_metrics_by_patient;
CREATE INDEX patient_health_metrics_by_occurred_at ON patient_health_metrics (patient_id, occurred_at);

-- With a type for each column: SQLite then sorts each half by its index and
-- merges the two, where it read and sorted all of both.
DROP VIEW all_results;
CREATE VIEW all_results AS
    SELECT id, organization_id, patient_id, CAST(NULL AS TEXT) AS action_id, id AS metric_id, type,
           type AS metric_type, type AS thread, value, systolic, diastolic, unit, CAST(FALSE AS BOOLEAN) AS skipped,
           CAST('[]' AS TEXT) AS annotations, CAST(NULL AS TEXT) AS time_zone, CAST(NULL AS TEXT) AS window_id,
           CAST(NULL AS TEXT) AS channel, CAST(NULL AS TEXT) AS external_id, CAST(NULL AS TEXT) AS source,
           CAST(NULL AS TEXT) AS aggregation, occurred_at, created_at, updated_at, created_by, updated_by
    FROM patient_health_metrics
    UNION ALL
    SELECT id, organization_id, patient_id, action_id, CAST(NULL AS TEXT), type,
           CAST(NULL AS TEXT), thread, value, CAST(NULL AS TEXT), CAST(NULL AS TEXT), unit, skipped,
           annotations, time_zone, window_id,
           channel, external_id, source,
           aggregation, occurred_at, created_at, updated_at, created_by, updated_by
    FROM results;
