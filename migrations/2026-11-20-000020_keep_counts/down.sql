DROP TABLE patient_counts;
DROP TABLE metric_counts;
