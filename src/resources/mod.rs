//! The types of the API, a file each, named as the type is on the wire.
//!
//! Every file has the same parts in the same order: the row, which is also the
//! attributes; what a client may send; `visible`, where every query on the
//! table starts; an `impl` for each verb.

pub mod action;
pub mod bundle;
pub mod calendar_event;
pub mod calendar_event_response;
pub mod coach;
mod counts;
pub mod decimal;
pub mod email_history;
pub mod group;
pub mod health_profile;
pub mod health_profile_answer;
pub mod health_profile_question;
pub mod health_question_definition;
pub mod identifier;
pub mod in_plan;
pub mod loinc;
pub mod lookup;
pub mod organization;
pub mod patient;
pub mod patient_health_metric;
pub mod patient_plan_summary;
pub mod reach;
pub mod result;
pub mod reward;
pub mod reward_earning;
pub mod reward_earning_fulfillment;
pub mod reward_program;
pub mod reward_program_activation;
pub mod token;
