DROP VIEW current_results;
DROP VIEW all_results;
DROP TABLE results;
DROP TABLE bundle_actions;
DROP TABLE bundles;
DROP TABLE actions;
DROP TABLE patient_plan_summaries;
