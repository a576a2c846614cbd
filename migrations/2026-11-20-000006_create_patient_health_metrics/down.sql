DROP TABLE patient_health_metrics;
