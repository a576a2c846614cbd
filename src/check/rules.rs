//! What the program keeps true between rows: counts, what rows show of other
//! tables, one of each for a patient, budgets.

use super::Check;

/// All of it.
pub fn all() -> Vec<Check> {
    let check = |name, tables: &[&'static str], faults| Check { name, tables: tables.to_vec(), faults };
    let rewards = ["reward_programs", "reward_program_activations", "rewards", "reward_earnings"];
    vec![
        check(
            "counts",
            &["organizations", "patients", "patient_health_metrics", "metric_counts", "patient_counts"],
            counts(),
        ),
        check("linkage", &["patients", "patient_groups", "patient_coaches"], linkage()),
        check(
            "profiles",
            &["patients", "patient_plan_summaries", "health_profiles", "health_profile_questions"],
            profiles(),
        ),
        check("plans", &["bundle_actions", "results"], plans()),
        check(
            "rewards",
            &[&rewards[..], &["reward_earning_fulfillments"]].concat(),
            totals().into_iter().chain(carried()).collect(),
        ),
    ]
}

/// A query for the rows `c` of a table that are at fault, and what is said of each.
fn rule(table: &str, says: &str, found: &str) -> String {
    format!("SELECT {says} AS text FROM {table} c {found}")
}

/// The counts that lists show.
fn counts() -> Vec<String> {
    let metrics = "(SELECT count(*) FROM patient_health_metrics m \
                   WHERE m.organization_id = c.organization_id AND m.patient_id = c.patient_id)";
    let patients = "(SELECT count(*) FROM patients p WHERE p.organization_id = c.organization_id)";
    vec![
        rule(
            "metric_counts",
            &format!("'patient ' || c.patient_id || ': counted ' || c.metrics || ' metrics, has ' || {metrics}"),
            &format!("WHERE c.metrics <> {metrics}"),
        ),
        rule(
            "patients",
            "'patient ' || c.id || ': its metrics are not counted'",
            "WHERE NOT EXISTS (SELECT 1 FROM metric_counts k \
             WHERE k.organization_id = c.organization_id AND k.patient_id = c.id)",
        ),
        rule(
            "patient_counts",
            &format!(
                "'organization ' || c.organization_id || ': counted ' || c.patients || ' patients, has ' || {patients}"
            ),
            &format!("WHERE c.patients <> {patients}"),
        ),
        rule(
            "organizations",
            "'organization ' || c.id || ': its patients are not counted'",
            "WHERE EXISTS (SELECT 1 FROM patients p WHERE p.organization_id = c.id) \
             AND NOT EXISTS (SELECT 1 FROM patient_counts k WHERE k.organization_id = c.id)",
        ),
    ]
}

/// The groups and coaches that a patient's row shows.
fn linkage() -> Vec<String> {
    let shown = |column: &str, each: &str, order: &str| {
        rule(
            "patients",
            &format!("'patient ' || c.id || ': the {column} in its row are not those in patient_{column}'"),
            &format!(
                "WHERE c.{column} <> (SELECT coalesce('[' || string_agg({each}, ',' ORDER BY {order}) || ']', '[]') \
                 FROM patient_{column} l WHERE l.patient_id = c.id)"
            ),
        )
    };
    let coach = r#"'{"type":"coach","id":"' || coach_id || '"' || CASE WHEN is_primary THEN ',"meta":{"primary":true}}' ELSE '}' END"#;
    vec![
        shown("groups", r#"'{"type":"group","id":"' || group_id || '"}'"#, "position, group_id"),
        shown("coaches", coach, "position, coach_id"),
    ]
}

/// What every patient has.
fn profiles() -> Vec<String> {
    let one = |table: &str, what: &str| {
        let has = format!("(SELECT count(*) FROM {table} t WHERE t.patient_id = c.id)");
        rule(
            "patients",
            &format!("'patient ' || c.id || ': has ' || {has} || ' {what}, not one'"),
            &format!("WHERE {has} <> 1"),
        )
    };
    vec![
        one("patient_plan_summaries", "plans"),
        one("health_profiles", "health profiles"),
        rule(
            "patients",
            "'patient ' || c.id || ': has no question of the definition ' || d.id",
            "JOIN health_question_definitions d ON d.organization_id = c.organization_id \
             WHERE NOT EXISTS (SELECT 1 FROM health_profile_questions q \
             WHERE q.patient_id = c.id AND q.definition_id = d.id)",
        ),
    ]
}

/// What is within one plan or of one patient.
fn plans() -> Vec<String> {
    vec![
        rule(
            "bundle_actions",
            "'bundle ' || b.id || ' of the plan ' || b.plan_id || ': action ' || a.id || ' is of the plan ' || a.plan_id",
            "JOIN bundles b ON b.id = c.bundle_id JOIN actions a ON a.id = c.action_id WHERE a.plan_id <> b.plan_id",
        ),
        rule(
            "results",
            "'result ' || c.id || ' of the patient ' || c.patient_id || ': action ' || a.id || ' is of the patient ' || \
             s.patient_id",
            "JOIN actions a ON a.id = c.action_id JOIN patient_plan_summaries s ON s.id = a.plan_id \
             WHERE s.patient_id <> c.patient_id",
        ),
    ]
}

/// No step of a reward gives more than the one before.
fn totals() -> Vec<String> {
    vec![
        rule(
            "reward_program_activations",
            "'reward_program_activation ' || c.id || ': allocates more than the budget of its program ' || p.id",
            "JOIN reward_programs p ON p.id = c.reward_program_id WHERE p.budget_value < \
             (SELECT sum(r.allocated_value) FROM rewards r WHERE r.reward_program_activation_id = c.id)",
        ),
        rule(
            "reward_earnings",
            "'reward_earning ' || c.id || ': earns more than its reward ' || r.id || ' allocates'",
            "JOIN rewards r ON r.id = c.reward_id WHERE c.earned_value > r.allocated_value",
        ),
        rule(
            "reward_earning_fulfillments",
            "'reward_earning_fulfillment ' || c.id || ': fulfills more than its earning ' || e.id || ' earns'",
            "JOIN reward_earnings e ON e.id = c.reward_earning_id WHERE c.fulfilled_value > e.earned_value",
        ),
    ]
}

/// What hangs on a program carries its group and unit, and the patient.
fn carried() -> Vec<String> {
    let same = |table: &str, what: &str, (column, parent): (&str, &str), differs: &str| {
        rule(
            table,
            &format!("'{what} ' || c.id || ': differs in group, patient, activation or unit from {parent} ' || p.id"),
            &format!("JOIN {parent} p ON p.id = c.{column} WHERE {differs}"),
        )
    };
    vec![
        same(
            "reward_program_activations",
            "reward_program_activation",
            ("reward_program_id", "reward_programs"),
            "c.group_id <> p.group_id OR c.budget_unit <> p.budget_unit",
        ),
        same(
            "rewards",
            "reward",
            ("reward_program_activation_id", "reward_program_activations"),
            "c.group_id <> p.group_id OR c.patient_id <> p.patient_id OR c.allocated_unit <> p.budget_unit",
        ),
        same(
            "reward_earnings",
            "reward_earning",
            ("reward_id", "rewards"),
            "c.group_id <> p.group_id OR c.patient_id <> p.patient_id OR c.earned_unit <> p.allocated_unit \
             OR c.reward_program_activation_id <> p.reward_program_activation_id",
        ),
        same(
            "reward_earning_fulfillments",
            "reward_earning_fulfillment",
            ("reward_earning_id", "reward_earnings"),
            "c.group_id <> p.group_id OR c.patient_id <> p.patient_id OR c.fulfilled_unit <> p.earned_unit",
        ),
    ]
}
