DROP TABLE coach_groups;
DROP TABLE coaches;
