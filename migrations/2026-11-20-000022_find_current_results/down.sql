DROP INDEX patient_health_metrics_by_occurred_at;
CREATE INDEX patient_health_metrics_by_patient ON patient_health_metrics (patient_id, occurred_at, type);

DROP INDEX results_by_thread;
DROP INDEX patient_health_metrics_by_type;
DROP VIEW all_results;
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

CREATE VIEW current_results AS
    SELECT id, patient_id, thread
    FROM (
        SELECT id, patient_id, thread,
               ROW_NUMBER() OVER (PARTITION BY patient_id, thread ORDER BY occurred_at DESC, id DESC) AS place
        FROM all_results
    ) AS placed
    WHERE place = 1;
