DROP TABLE identifiers;
DROP TABLE patient_coaches;
DROP TABLE patient_groups;
DROP TABLE patients;
