//! The views, column for column as the migrations leave them. Diesel has no
//! word for a view, and needs none to read one.
#![expect(missing_docs, reason = "the migrations say what the columns mean")]

use super::schema::{actions, patient_groups, patient_plan_summaries};

diesel::table! {
    all_results (id) {
        id -> Text,
        organization_id -> Text,
        patient_id -> Text,
        action_id -> Nullable<Text>,
        metric_id -> Nullable<Text>,
        #[sql_name = "type"]
        kind -> Text,
        metric_type -> Nullable<Text>,
        thread -> Text,
        value -> Nullable<Text>,
        systolic -> Nullable<Text>,
        diastolic -> Nullable<Text>,
        unit -> Nullable<Text>,
        skipped -> Bool,
        annotations -> Text,
        time_zone -> Nullable<Text>,
        window_id -> Nullable<Text>,
        channel -> Nullable<Text>,
        external_id -> Nullable<Text>,
        source -> Nullable<Text>,
        aggregation -> Nullable<Text>,
        occurred_at -> Timestamp,
        created_at -> Timestamp,
        updated_at -> Timestamp,
        created_by -> Nullable<Text>,
        updated_by -> Nullable<Text>,
    }
}

diesel::allow_tables_to_appear_in_same_query!(all_results, actions);
diesel::allow_tables_to_appear_in_same_query!(all_results, patient_groups);
diesel::allow_tables_to_appear_in_same_query!(all_results, patient_plan_summaries);
