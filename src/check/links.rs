//! What refers to what: that it is there, and of the same organization.
//!
//! PostgreSQL's references can be off, after a restore without triggers or
//! through replication, and SQLite's are off for whoever opens the file without
//! asking for them. That a reference stays within an organization no database
//! can say; every write of the program sees to it.

use super::Check;

/// A table and its references.
struct Table {
    name: &'static str,
    /// What a fault calls a row `c` of it.
    id: &'static str,
    /// Whether it says itself which organization a row is of. Otherwise the row
    /// that its first reference leads to does.
    own: bool,
    /// Columns, and the tables that they refer to.
    references: &'static [(&'static str, &'static str)],
}

const ORGANIZATION: (&str, &str) = ("organization_id", "organizations");
const PATIENT: (&str, &str) = ("patient_id", "patients");
const GROUP: (&str, &str) = ("group_id", "groups");
const DEFINITIONS: &str = "health_question_definitions";

const fn table(name: &'static str, references: &'static [(&'static str, &'static str)]) -> Table {
    Table { name, id: "c.id", own: true, references }
}

const fn joining(name: &'static str, id: &'static str, references: &'static [(&'static str, &'static str)]) -> Table {
    Table { name, id, own: false, references }
}

const TABLES: [Table; 31] = [
    table("audit_entries", &[]),
    table("organizations", &[]),
    table("groups", &[ORGANIZATION]),
    table("coaches", &[ORGANIZATION]),
    joining("coach_groups", "c.coach_id || '/' || c.group_id", &[("coach_id", "coaches"), GROUP]),
    table("clients", &[ORGANIZATION]),
    joining("client_groups", "c.client_id || '/' || c.group_id", &[("client_id", "clients"), GROUP]),
    joining("tokens", "c.id", &[("client_id", "clients")]),
    joining("idempotency_records", "c.id", &[("client_id", "clients")]),
    table("patients", &[ORGANIZATION]),
    joining("patient_groups", "c.patient_id || '/' || c.group_id", &[PATIENT, GROUP]),
    joining("patient_coaches", "c.patient_id || '/' || c.coach_id", &[PATIENT, ("coach_id", "coaches")]),
    table("identifiers", &[ORGANIZATION, PATIENT, ("coach_id", "coaches")]),
    table("patient_health_metrics", &[ORGANIZATION, PATIENT]),
    table("calendar_events", &[ORGANIZATION, ("owner_id", "patients"), ("completed_by", "coaches")]),
    joining("calendar_event_attendees", "c.id", &[("event_id", "calendar_events"), ("coach_id", "coaches"), PATIENT]),
    table("reward_programs", &[ORGANIZATION, GROUP]),
    table("reward_program_activations", &[ORGANIZATION, GROUP, PATIENT, ("reward_program_id", "reward_programs")]),
    table("rewards", &[ORGANIZATION, GROUP, PATIENT, ("reward_program_activation_id", "reward_program_activations")]),
    table(
        "reward_earnings",
        &[
            ORGANIZATION,
            GROUP,
            PATIENT,
            ("reward_program_activation_id", "reward_program_activations"),
            ("reward_id", "rewards"),
        ],
    ),
    table("reward_earning_fulfillments", &[ORGANIZATION, GROUP, PATIENT, ("reward_earning_id", "reward_earnings")]),
    table("patient_plan_summaries", &[ORGANIZATION, PATIENT]),
    table("actions", &[ORGANIZATION, ("plan_id", "patient_plan_summaries")]),
    table("bundles", &[ORGANIZATION, ("plan_id", "patient_plan_summaries")]),
    joining(
        "bundle_actions",
        "c.bundle_id || '/' || c.action_id",
        &[("bundle_id", "bundles"), ("action_id", "actions")],
    ),
    table("results", &[ORGANIZATION, PATIENT, ("action_id", "actions")]),
    table(DEFINITIONS, &[ORGANIZATION]),
    table("health_profiles", &[ORGANIZATION, PATIENT]),
    table("health_profile_questions", &[PATIENT, ("definition_id", DEFINITIONS)]),
    table("health_profile_answers", &[PATIENT, ("question_id", DEFINITIONS)]),
    table("email_histories", &[ORGANIZATION, ("receiver_id", "patients"), ("sender_id", "coaches")]),
];

/// Counts belong to organizations and patients and have no ids.
const COUNTS: [Table; 2] = [
    Table { name: "metric_counts", id: "c.patient_id", own: true, references: &[ORGANIZATION, PATIENT] },
    Table { name: "patient_counts", id: "c.organization_id", own: true, references: &[ORGANIZATION] },
];

fn tables() -> impl Iterator<Item = &'static Table> {
    TABLES.iter().chain(&COUNTS)
}

/// The names of all tables.
pub fn names() -> Vec<&'static str> {
    tables().map(|table| table.name).collect()
}

/// What is referred to is there, and of the same organization.
pub fn all() -> [Check; 2] {
    let dangling = tables().flat_map(|table| table.references.iter().map(|reference| table.dangling(*reference)));
    let crossings = tables().flat_map(Table::crossings);
    [
        Check { name: "references", tables: names(), faults: dangling.collect() },
        Check { name: "organizations", tables: names(), faults: crossings.collect() },
    ]
}

impl Table {
    fn dangling(&self, (column, parent): (&str, &str)) -> String {
        let Self { name, id, .. } = self;
        // The numbers of definitions are each organization's own.
        let within = if parent == DEFINITIONS { "AND p.organization_id = c.organization_id" } else { "" };
        format!(
            "SELECT '{name} ' || {id} || ': {column} ' || c.{column} || ' is not there' AS text \
             FROM {name} c LEFT JOIN {parent} p ON p.id = c.{column} {within} \
             WHERE c.{column} IS NOT NULL AND p.id IS NULL"
        )
    }

    fn crossings(&self) -> Vec<String> {
        let Self { name, id, own, references } = self;
        let owner = references.first().filter(|_| !own);
        let (join, organization) = match owner {
            Some((column, parent)) => (format!("JOIN {parent} o ON o.id = c.{column}"), "o.organization_id"),
            None => (String::new(), "c.organization_id"),
        };
        let crossing = |(column, parent): &(&str, &str)| {
            format!(
                "SELECT '{name} ' || {id} || ' of organization ' || {organization} || ': {column} ' || c.{column} || \
                 ' is of organization ' || p.organization_id AS text \
                 FROM {name} c {join} JOIN {parent} p ON p.id = c.{column} \
                 WHERE p.organization_id <> {organization}"
            )
        };
        let others = references.iter().filter(|(_, parent)| ![ORGANIZATION.1, DEFINITIONS].contains(parent));
        others.skip(usize::from(owner.is_some())).map(crossing).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use diesel::sql_types::Text;
    use diesel::{QueryableByName, RunQueryDsl};

    use super::{names, tables};
    use crate::db::{Target, connect, migrate};

    #[derive(QueryableByName)]
    struct Key {
        #[diesel(sql_type = Text)]
        of_table: String,
        #[diesel(sql_type = Text)]
        of_column: String,
        #[diesel(sql_type = Text)]
        parent: String,
    }

    #[test]
    fn every_foreign_key_of_the_schema_is_followed_and_every_table_counted() {
        let folder = tempfile::tempdir().unwrap();
        let mut db = connect(&Target::Sqlite(folder.path().join("a.sqlite").display().to_string())).unwrap();
        migrate(&mut db).unwrap();
        let query = "SELECT m.name AS of_table, coalesce(k.\"from\", '') AS of_column, coalesce(k.\"table\", '') AS parent \
                     FROM sqlite_master m LEFT JOIN pragma_foreign_key_list(m.name) k \
                     WHERE m.type = 'table' AND m.name NOT LIKE '\\_\\_%' ESCAPE '\\'";
        let keys: Vec<Key> = diesel::sql_query(query).load(&mut db).unwrap();
        let of_schema: BTreeSet<_> = keys.iter().map(|key| key.of_table.as_str()).collect();
        assert_eq!(names().into_iter().collect::<BTreeSet<_>>(), of_schema);
        // Of a key of two columns the organization is the one that both sides have.
        let composite = |key: &&Key| key.of_column == "organization_id" && key.parent == super::DEFINITIONS;
        let wanted: BTreeSet<_> = keys
            .iter()
            .filter(|key| !key.parent.is_empty() && !composite(key))
            .map(|key| (key.of_table.as_str(), key.of_column.as_str(), key.parent.as_str()))
            .collect();
        let followed: BTreeSet<_> = tables()
            .flat_map(|table| table.references.iter().map(|(column, parent)| (table.name, *column, *parent)))
            .collect();
        assert_eq!(followed, wanted);
    }
}
