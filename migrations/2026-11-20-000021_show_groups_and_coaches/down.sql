ALTER TABLE patients DROP COLUMN coaches;
ALTER TABLE patients DROP COLUMN groups;
