//! The tables, column for column as the migrations leave them.
#![expect(missing_docs, reason = "the migrations say what the columns mean")]

diesel::table! {
    organizations (id) {
        id -> Text,
        name -> Text,
        created_at -> Timestamp,
        updated_at -> Timestamp,
    }
}

diesel::table! {
    groups (id) {
        id -> Text,
        organization_id -> Text,
        name -> Text,
        bio -> Nullable<Text>,
        created_at -> Timestamp,
        updated_at -> Timestamp,
        created_by -> Nullable<Text>,
        updated_by -> Nullable<Text>,
    }
}

diesel::table! {
    coaches (id) {
        id -> Text,
        organization_id -> Text,
        first_name -> Nullable<Text>,
        last_name -> Nullable<Text>,
        created_at -> Timestamp,
        updated_at -> Timestamp,
    }
}

diesel::table! {
    coach_groups (coach_id, group_id) {
        coach_id -> Text,
        group_id -> Text,
    }
}

diesel::table! {
    clients (id) {
        id -> Text,
        organization_id -> Text,
        name -> Text,
        scope -> Text,
        secret_hash -> Text,
        created_at -> Timestamp,
        revoked_at -> Nullable<Timestamp>,
    }
}

diesel::table! {
    client_groups (client_id, group_id) {
        client_id -> Text,
        group_id -> Text,
    }
}

diesel::table! {
    tokens (id) {
        id -> Text,
        client_id -> Text,
        family -> Text,
        access_hash -> Text,
        refresh_hash -> Text,
        created_at -> Timestamp,
        expires_at -> Timestamp,
        refreshable_until -> Timestamp,
        spent_at -> Nullable<Timestamp>,
        revoked_at -> Nullable<Timestamp>,
    }
}

diesel::table! {
    patients (id) {
        id -> Text,
        organization_id -> Text,
        first_name -> Nullable<Text>,
        last_name -> Nullable<Text>,
        email_address -> Nullable<Text>,
        birth_date -> Nullable<Date>,
        gender -> Nullable<Text>,
        note -> Nullable<Text>,
        phone_numbers -> Text,
        addresses -> Text,
        identifiers -> Text,
        archived -> Bool,
        archive_history -> Text,
        statement -> Nullable<Text>,
        invited_at -> Nullable<Timestamp>,
        enrolled_at -> Timestamp,
        first_access_at -> Nullable<Timestamp>,
        last_access_at -> Nullable<Timestamp>,
        created_at -> Timestamp,
        updated_at -> Timestamp,
        created_by -> Nullable<Text>,
        updated_by -> Nullable<Text>,
        groups -> Text,
        coaches -> Text,
    }
}

diesel::table! {
    patient_groups (patient_id, group_id) {
        patient_id -> Text,
        group_id -> Text,
        position -> Integer,
    }
}

diesel::table! {
    patient_coaches (patient_id, coach_id) {
        patient_id -> Text,
        coach_id -> Text,
        is_primary -> Bool,
        position -> Integer,
    }
}

diesel::table! {
    metric_counts (organization_id, patient_id) {
        organization_id -> Text,
        patient_id -> Text,
        metrics -> Integer,
    }
}

diesel::table! {
    patient_counts (organization_id) {
        organization_id -> Text,
        patients -> Integer,
    }
}

diesel::table! {
    identifiers (id) {
        id -> Text,
        organization_id -> Text,
        patient_id -> Nullable<Text>,
        coach_id -> Nullable<Text>,
        system -> Text,
        value -> Text,
        is_unique -> Bool,
    }
}

diesel::table! {
    patient_health_metrics (id) {
        id -> Text,
        organization_id -> Text,
        patient_id -> Text,
        #[sql_name = "type"]
        kind -> Text,
        code -> Nullable<Text>,
        value -> Nullable<Text>,
        systolic -> Nullable<Text>,
        diastolic -> Nullable<Text>,
        unit -> Nullable<Text>,
        occurred_at -> Timestamp,
        created_at -> Timestamp,
        updated_at -> Timestamp,
        created_by -> Nullable<Text>,
        updated_by -> Nullable<Text>,
    }
}

diesel::table! {
    calendar_events (id) {
        id -> Text,
        organization_id -> Text,
        owner_id -> Text,
        #[sql_name = "type"]
        kind -> Text,
        time_zone -> Text,
        all_day -> Bool,
        start_at -> Timestamp,
        end_at -> Nullable<Timestamp>,
        title -> Text,
        location -> Nullable<Text>,
        description -> Nullable<Text>,
        completed_at -> Nullable<Timestamp>,
        completed_by -> Nullable<Text>,
        created_at -> Timestamp,
        updated_at -> Timestamp,
        created_by -> Nullable<Text>,
        updated_by -> Nullable<Text>,
    }
}

diesel::table! {
    calendar_event_attendees (id) {
        id -> Text,
        event_id -> Text,
        coach_id -> Nullable<Text>,
        patient_id -> Nullable<Text>,
        response_status -> Text,
        position -> Integer,
    }
}

diesel::table! {
    reward_programs (id) {
        id -> Text,
        organization_id -> Text,
        group_id -> Text,
        name -> Text,
        tagline -> Nullable<Text>,
        description -> Nullable<Text>,
        start_at -> Timestamp,
        end_at -> Timestamp,
        budget_value -> BigInt,
        budget_unit -> Text,
        duration_active -> BigInt,
        fulfill_as_earned -> Bool,
        frozen -> Bool,
        created_at -> Timestamp,
        updated_at -> Timestamp,
        created_by -> Nullable<Text>,
        updated_by -> Nullable<Text>,
    }
}

diesel::table! {
    reward_program_activations (id) {
        id -> Text,
        organization_id -> Text,
        group_id -> Text,
        patient_id -> Text,
        reward_program_id -> Text,
        activated_at -> Timestamp,
        deactivated_at -> Nullable<Timestamp>,
        expires_at -> Timestamp,
        ends_at -> Timestamp,
        fulfill_as_earned -> Bool,
        budget_unit -> Text,
        created_at -> Timestamp,
        updated_at -> Timestamp,
        created_by -> Nullable<Text>,
        updated_by -> Nullable<Text>,
    }
}

diesel::table! {
    rewards (id) {
        id -> Text,
        organization_id -> Text,
        group_id -> Text,
        patient_id -> Text,
        reward_program_activation_id -> Text,
        thread -> Nullable<Text>,
        description -> Text,
        allocated_value -> BigInt,
        allocated_unit -> Text,
        allocated_at -> Timestamp,
        target_at -> Nullable<Timestamp>,
        created_at -> Timestamp,
        updated_at -> Timestamp,
        created_by -> Nullable<Text>,
        updated_by -> Nullable<Text>,
    }
}

diesel::table! {
    reward_earnings (id) {
        id -> Text,
        organization_id -> Text,
        group_id -> Text,
        patient_id -> Text,
        reward_program_activation_id -> Text,
        reward_id -> Text,
        earned_value -> BigInt,
        earned_unit -> Text,
        earned_at -> Timestamp,
        created_at -> Timestamp,
        updated_at -> Timestamp,
        created_by -> Nullable<Text>,
        updated_by -> Nullable<Text>,
    }
}

diesel::table! {
    reward_earning_fulfillments (id) {
        id -> Text,
        organization_id -> Text,
        group_id -> Text,
        patient_id -> Text,
        reward_earning_id -> Text,
        fulfilled_value -> BigInt,
        fulfilled_unit -> Text,
        fulfilled_at -> Timestamp,
        created_at -> Timestamp,
        updated_at -> Timestamp,
        created_by -> Nullable<Text>,
        updated_by -> Nullable<Text>,
    }
}

diesel::table! {
    health_question_definitions (organization_id, id) {
        organization_id -> Text,
        id -> Text,
        category -> Text,
        format -> Text,
        requirements -> Text,
        text -> Text,
        created_at -> Timestamp,
        updated_at -> Timestamp,
    }
}

diesel::table! {
    health_profiles (id) {
        id -> Text,
        organization_id -> Text,
        patient_id -> Text,
        created_at -> Timestamp,
        updated_at -> Timestamp,
    }
}

diesel::table! {
    health_profile_questions (id) {
        id -> Text,
        organization_id -> Text,
        patient_id -> Text,
        definition_id -> Text,
        created_at -> Timestamp,
    }
}

diesel::table! {
    health_profile_answers (id) {
        id -> Text,
        organization_id -> Text,
        patient_id -> Text,
        question_id -> Text,
        latest -> Text,
        history -> Text,
        created_at -> Timestamp,
        updated_at -> Timestamp,
    }
}

diesel::table! {
    email_histories (id) {
        id -> Text,
        organization_id -> Text,
        receiver_id -> Text,
        sender_id -> Nullable<Text>,
        twine_email_id -> Text,
        email_address -> Text,
        email_type -> Text,
        send_time -> Timestamp,
        status_times -> Text,
        created_at -> Timestamp,
        updated_at -> Timestamp,
        created_by -> Nullable<Text>,
        updated_by -> Nullable<Text>,
    }
}

diesel::table! {
    patient_plan_summaries (id) {
        id -> Text,
        organization_id -> Text,
        patient_id -> Text,
        critical -> Nullable<Text>,
        time_zone -> Nullable<Text>,
        window_order -> Text,
        effective_from -> Timestamp,
        created_at -> Timestamp,
        updated_at -> Timestamp,
        created_by -> Nullable<Text>,
        updated_by -> Nullable<Text>,
    }
}

diesel::table! {
    actions (id) {
        id -> Text,
        organization_id -> Text,
        plan_id -> Text,
        #[sql_name = "type"]
        kind -> Text,
        title -> Text,
        static_title -> Nullable<Text>,
        effective_from -> Timestamp,
        effective_to -> Nullable<Timestamp>,
        tracking -> Bool,
        thread -> Text,
        frequency_goal -> Nullable<Text>,
        identifiers -> Text,
        details -> Nullable<Text>,
        intake -> Nullable<Text>,
        metric_required -> Bool,
        metrics -> Text,
        windows -> Text,
        created_at -> Timestamp,
        updated_at -> Timestamp,
        created_by -> Nullable<Text>,
        updated_by -> Nullable<Text>,
    }
}

diesel::table! {
    bundles (id) {
        id -> Text,
        organization_id -> Text,
        plan_id -> Text,
        #[sql_name = "type"]
        kind -> Text,
        title -> Text,
        effective_from -> Timestamp,
        effective_to -> Nullable<Timestamp>,
        thread -> Text,
        created_at -> Timestamp,
        updated_at -> Timestamp,
        created_by -> Nullable<Text>,
        updated_by -> Nullable<Text>,
    }
}

diesel::table! {
    bundle_actions (bundle_id, action_id) {
        bundle_id -> Text,
        action_id -> Text,
        position -> Integer,
    }
}

diesel::table! {
    results (id) {
        id -> Text,
        organization_id -> Text,
        patient_id -> Text,
        action_id -> Text,
        #[sql_name = "type"]
        kind -> Text,
        thread -> Text,
        value -> Nullable<Text>,
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

diesel::table! {
    audit_entries (id) {
        id -> Text,
        at -> Timestamp,
        organization_id -> Text,
        client_id -> Text,
        req_id -> Nullable<Text>,
        action -> Text,
        records -> Text,
        old -> Nullable<Text>,
        new -> Nullable<Text>,
    }
}

diesel::table! {
    idempotency_records (id) {
        id -> Text,
        client_id -> Text,
        request -> Text,
        scope -> Text,
        status -> Integer,
        etag -> Nullable<Text>,
        body -> Text,
        expires_at -> Timestamp,
    }
}

diesel::joinable!(tokens -> clients (client_id));

diesel::joinable!(reward_earnings -> rewards (reward_id));
diesel::joinable!(reward_earnings -> reward_program_activations (reward_program_activation_id));
diesel::joinable!(reward_earning_fulfillments -> reward_earnings (reward_earning_id));
diesel::joinable!(health_profile_questions -> patients (patient_id));
diesel::allow_tables_to_appear_in_same_query!(
    organizations,
    groups,
    coaches,
    coach_groups,
    clients,
    client_groups,
    tokens,
    idempotency_records,
    patients,
    patient_groups,
    patient_coaches,
    metric_counts,
    patient_counts,
    identifiers,
    patient_health_metrics,
    calendar_events,
    calendar_event_attendees,
    reward_programs,
    reward_program_activations,
    rewards,
    reward_earnings,
    reward_earning_fulfillments,
    health_question_definitions,
    health_profiles,
    health_profile_questions,
    health_profile_answers,
    email_histories,
    patient_plan_summaries,
    actions,
    bundles,
    bundle_actions,
    results,
);
