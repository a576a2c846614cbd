DROP TABLE email_histories;
DROP TABLE health_profile_answers;
DROP TABLE health_profile_questions;
DROP TABLE health_profiles;
DROP TABLE health_question_definitions;
