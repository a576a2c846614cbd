-- Whom a patient is related to, as the API shows it: resource identifiers, in
-- order. patient_groups and patient_coaches are the index to it.
ALTER TABLE patients ADD COLUMN groups TEXT NOT NULL DEFAULT '[]';
ALTER TABLE patients ADD COLUMN coaches TEXT NOT NULL DEFAULT '[]';

UPDATE patients SET
    groups = (
        SELECT coalesce('[' || string_agg('{"type":"group","id":"' || group_id || '"}', ',' ORDER BY position) || ']', '[]')
        FROM patient_groups WHERE patient_id = patients.id
    ),
    coaches = (
        SELECT coalesce('[' || string_agg(
            '{"type":"coach","id":"' || coach_id || '"' ||
            CASE WHEN is_primary THEN ',"meta":{"primary":true}}' ELSE '}' END, ',' ORDER BY position) || ']', '[]')
        FROM patient_coaches WHERE patient_id = patients.id
    );
