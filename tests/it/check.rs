//! `retwine check`: finds what does not hold together, and nothing else.

use std::collections::BTreeSet;

use diesel::connection::SimpleConnection;
use retwine::db::{Conn, Target};
use serde_json::{Value, json};

use crate::command_line::Operator;
use crate::people::{
    CASTELLANOS, DIABETES, DRAGUSIN, HEART, ODWYER, OSTRANDER, STRANGE_COACH, STRANGE_GROUP, STRANGE_PATIENT, UNKNOWN,
    coaches, document, groups, patient, patient_known_as,
};
use crate::support::{Client, Database, each, on_each_database};

const ORGANIZATION: &str = "63dab3ff741e089d927ad216";
const STRANGE: &str = "645bc23c86f89266d12f13e9";
/// Of the demo, and Ostrander's where nothing else is said.
const METRIC: &str = "(SELECT min(id) FROM patient_health_metrics WHERE patient_id = '64062e37741e089d927ad224')";
const EVENT: &str = "68b6ed3f93c0e51b7e7b0001";
const ACTIVATION: &str = "6451105846a2c9c7467ad504";
const PROGRAM: &str = "642ade4e46a2c9c7467ad500";
const EARNING: &str = "6474893446a2c9c7467ad506";
const FULFILLMENT: &str = "6478a46046a2c9c7467ad507";
const BUNDLE: &str = "641331c0741e089d927ad50b";
/// Of the plan of O'Dwyer.
const OTHER_ACTION: &str = "641afbd0741e089d927ad50f";
const OTHER_GROUP: &str = "643ebbbeb46c643c507ad219";

const CHECKS: [&str; 9] =
    ["references", "organizations", "counts", "linkage", "profiles", "plans", "rewards", "identifiers", "json"];

/// Runs statements on a database that has been told to let everything pass.
fn unguarded(database: &Database, statements: &str) {
    match database.connect() {
        Conn::Sqlite(mut db) => {
            let off = "PRAGMA foreign_keys = OFF; PRAGMA ignore_check_constraints = ON;";
            db.batch_execute(&format!("{off}{statements}")).unwrap();
        }
        Conn::Postgres(mut db) => {
            db.batch_execute(&format!("SET session_replication_role = replica; {statements}")).unwrap();
        }
    }
}

/// The checks that found faults, and what they found.
fn found(database: &Database) -> (BTreeSet<String>, String) {
    let outcome = Operator::of(database).run(&["check"]);
    assert_eq!(outcome.code, Some(1), "{}{}", outcome.out, outcome.err);
    assert!(outcome.err.contains("the database does not hold together; faults: "), "{}", outcome.err);
    let at_fault = outcome.out.lines().filter(|line| line.contains(" rows  faults: "));
    (at_fault.map(|line| line.split(' ').next().unwrap().to_owned()).collect(), outcome.out)
}

async fn post(client: &Client, kind: &str, data: Value) -> String {
    let answer = client.post(&format!("/pub/{kind}"), &document(&data)).await;
    assert!([200, 201].contains(&answer.status), "{}", answer.text);
    answer.id()
}

/// Writes of every kind that keeps something beside its rows.
async fn write(client: &Client) {
    let new = post(client, "patient", patient_known_as("emr", "check-1")).await;
    post(client, "patient", patient(&json!({"first_name": "Ann"}))).await;
    let attributes = json!({"identifiers": [
        {"system": "emr", "value": "check-2", "label": "EMR"},
        {"system": "a", "value": "z", "unique": false},
    ]});
    let mut primary = coaches(&[CASTELLANOS, DRAGUSIN]);
    primary[1]["meta"] = json!({"primary": true});
    let relationships = json!({"groups": {"data": groups(&[HEART, DIABETES])}, "coaches": {"data": primary}});
    let change = json!({"type": "patient", "id": new, "attributes": attributes, "relationships": relationships});
    client.patch(&format!("/pub/patient/{new}"), &document(&change)).await.expect_status(200);

    let of = |id: &str| json!({"patient": {"data": {"type": "patient", "id": id}}});
    let metric = |id: &str, value: u32| {
        json!({"type": "patient_health_metric", "relationships": of(id), "attributes": {
            "type": "weight", "value": value, "unit": "kg", "occurred_at": "2026-03-02T08:00:00Z"}})
    };
    let bulk: Value = (0..30).map(|n| metric([new.as_str(), OSTRANDER, ODWYER][n as usize % 3], n)).collect();
    client.post("/pub/patient_health_metric", &document(&bulk)).await.expect_status(200);

    let plan = json!({"data": {"type": "patient_plan_summary", "id": OSTRANDER}});
    let attributes = json!({"type": "fitness", "title": "Stairs", "effective_from": "2026-03-01T00:00:00Z"});
    let bundles = json!({"data": [{"type": "bundle", "id": BUNDLE}]});
    let relationships = json!({"plan": plan, "bundles": bundles});
    post(client, "action", json!({"type": "action", "attributes": attributes, "relationships": relationships})).await;

    let activation = json!({"data": {"type": "reward_program_activation", "id": "68c814d846a2c9c7467ad515"}});
    let attributes = json!({"description": "Walks", "allocated_value": 99.5, "allocated_at": "2026-03-01T12:00:00Z"});
    let relationships = json!({"reward_program_activation": activation});
    let reward = json!({"type": "reward", "attributes": attributes, "relationships": relationships});
    let reward = post(client, "reward", reward).await;
    let attributes = json!({"earned_value": 99.5, "earned_at": "2026-03-01T18:00:00Z"});
    let relationships = json!({"reward": {"data": {"type": "reward", "id": reward}}});
    post(
        client,
        "reward_earning",
        json!({"type": "reward_earning", "attributes": attributes, "relationships": relationships}),
    )
    .await;
}

#[actix_web::test]
async fn a_store_holds_together_after_writes_of_every_kind() {
    on_each_database(async |app| {
        let operator = Operator::of(&app.database);
        let rows = |report: &str, check: &str| -> u64 {
            let line = report.lines().find(|line| line.starts_with(check)).unwrap_or_else(|| panic!("{report}"));
            line.split_whitespace().nth(1).unwrap().parse().unwrap()
        };
        let before = operator.run(&["check"]).done();
        write(&app.organization().await).await;
        write_again(&app.group().await).await;
        let after = operator.run(&["check"]).done();
        assert!(after.lines().all(|line| line.ends_with("  sound")), "{after}");
        for check in CHECKS {
            assert!(rows(&before, check) > 0, "{check}: {before}");
        }
        // Three patients, thirty metrics.
        assert_eq!(rows(&after, "counts"), rows(&before, "counts") + 30 + 2 * 3, "{before}\n{after}");
        assert_eq!(after.contains("file "), matches!(app.database.target, Target::Sqlite(_)), "{after}");
    })
    .await;
}

/// A write of a client that does not see all groups of a patient.
async fn write_again(client: &Client) {
    let relationships = json!({"groups": {"data": groups(&[DIABETES])}});
    let change = json!({"type": "patient", "id": OSTRANDER, "relationships": relationships});
    client.patch(&format!("/pub/patient/{OSTRANDER}"), &document(&change)).await.expect_status(200);
    post(client, "patient", patient(&json!({"last_name": "Lee"}))).await;
}

/// Statements, the checks that must notice, and what one of them must say.
type Fault = (String, &'static [&'static str], String);

fn fault(statements: &str, checks: &'static [&'static str], said: &str) -> Fault {
    (statements.to_owned(), checks, said.to_owned())
}

/// References that lead nowhere, or to another organization.
fn crossed() -> Vec<Fault> {
    vec![
        fault(
            &format!("UPDATE calendar_events SET owner_id = '{UNKNOWN}' WHERE id = '{EVENT}'"),
            &["references"],
            &format!("calendar_events {EVENT}: owner_id {UNKNOWN} is not there"),
        ),
        fault(
            &format!("DELETE FROM health_question_definitions WHERE organization_id = '{ORGANIZATION}' AND id = '1'"),
            &["references"],
            "is not there",
        ),
        fault(
            &format!("UPDATE patient_health_metrics SET patient_id = '{STRANGE_PATIENT}' WHERE id = {METRIC}"),
            &["counts", "organizations"],
            &format!("of organization {ORGANIZATION}: patient_id {STRANGE_PATIENT} is of organization {STRANGE}"),
        ),
        fault(
            &format!("INSERT INTO patient_groups VALUES ('{ODWYER}', '{STRANGE_GROUP}', 9)"),
            &["linkage", "organizations"],
            &format!("patient_groups {ODWYER}/{STRANGE_GROUP} of organization {ORGANIZATION}: group_id"),
        ),
        fault(
            &format!("UPDATE calendar_events SET owner_id = '{STRANGE_PATIENT}' WHERE id = '{EVENT}'"),
            &["organizations"],
            &format!("calendar_events {EVENT} of organization {ORGANIZATION}: owner_id {STRANGE_PATIENT}"),
        ),
        fault(
            &format!(
                "UPDATE calendar_event_attendees SET coach_id = '{STRANGE_COACH}' WHERE id = \
                 (SELECT min(id) FROM calendar_event_attendees WHERE coach_id = '{CASTELLANOS}')"
            ),
            &["organizations"],
            &format!("coach_id {STRANGE_COACH} is of organization {STRANGE}"),
        ),
        fault(
            &format!("UPDATE patient_plan_summaries SET organization_id = '{STRANGE}' WHERE patient_id = '{ODWYER}'"),
            &["organizations"],
            &format!("patient_plan_summaries {ODWYER} of organization {STRANGE}: patient_id {ODWYER}"),
        ),
    ]
}

/// What the program keeps beside its rows.
fn kept() -> Vec<Fault> {
    vec![
        fault(
            &format!("UPDATE metric_counts SET metrics = metrics + 1 WHERE patient_id = '{ODWYER}'"),
            &["counts"],
            &format!("patient {ODWYER}: counted "),
        ),
        fault(
            &format!("DELETE FROM metric_counts WHERE patient_id = '{ODWYER}'"),
            &["counts"],
            &format!("patient {ODWYER}: its metrics are not counted"),
        ),
        fault(
            &format!("UPDATE patient_counts SET patients = 0 WHERE organization_id = '{STRANGE}'"),
            &["counts"],
            &format!("organization {STRANGE}: counted 0 patients, has 30"),
        ),
        fault(
            "DELETE FROM patient_counts",
            &["counts"],
            &format!("organization {STRANGE}: its patients are not counted"),
        ),
        fault(
            &format!("UPDATE patients SET groups = '[]' WHERE id = '{ODWYER}'"),
            &["linkage"],
            &format!("patient {ODWYER}: the groups in its row are not those in patient_groups"),
        ),
        fault(
            &format!("UPDATE patient_coaches SET is_primary = NOT is_primary WHERE patient_id = '{OSTRANDER}'"),
            &["linkage"],
            &format!("patient {OSTRANDER}: the coaches in its row are not those in patient_coaches"),
        ),
        fault(
            &format!("DELETE FROM identifiers WHERE patient_id = '{OSTRANDER}'"),
            &["identifiers"],
            &format!("patient {OSTRANDER}: the identifiers in its row are not those in identifiers"),
        ),
        fault(
            &format!(
                "UPDATE identifiers SET patient_id = '{ODWYER}' WHERE id = \
                 (SELECT min(id) FROM identifiers WHERE patient_id = '{OSTRANDER}')"
            ),
            &["identifiers"],
            &format!("patient {ODWYER}: the identifiers in its row"),
        ),
        fault(
            &format!("DELETE FROM health_profiles WHERE patient_id = '{ODWYER}'"),
            &["profiles"],
            &format!("patient {ODWYER}: has 0 health profiles, not one"),
        ),
        fault(
            &format!("DELETE FROM health_profile_questions WHERE patient_id = '{ODWYER}'"),
            &["profiles"],
            &format!("patient {ODWYER}: has no question of the definition "),
        ),
    ]
}

/// What is in another plan, is overdrawn or cannot be read.
fn wrong() -> Vec<Fault> {
    vec![
        fault(
            &format!("INSERT INTO bundle_actions VALUES ('{BUNDLE}', '{OTHER_ACTION}', 9)"),
            &["plans"],
            &format!("bundle {BUNDLE} of the plan {OSTRANDER}: action {OTHER_ACTION} is of the plan {ODWYER}"),
        ),
        fault(
            &format!("UPDATE reward_programs SET budget_value = 10000 WHERE id = '{PROGRAM}'"),
            &["rewards"],
            &format!("reward_program_activation {ACTIVATION}: allocates more than the budget of its program {PROGRAM}"),
        ),
        fault(
            &format!("UPDATE reward_earnings SET earned_value = earned_value + 1 WHERE id = '{EARNING}'"),
            &["rewards"],
            &format!("reward_earning {EARNING}: earns more than its reward"),
        ),
        fault(
            &format!("UPDATE reward_earning_fulfillments SET fulfilled_value = 400001 WHERE id = '{FULFILLMENT}'"),
            &["rewards"],
            &format!("reward_earning_fulfillment {FULFILLMENT}: fulfills more than its earning {EARNING}"),
        ),
        fault(
            &format!("UPDATE reward_earnings SET group_id = '{OTHER_GROUP}' WHERE id = '{EARNING}'"),
            &["rewards"],
            &format!("reward_earning {EARNING}: differs in group, patient, activation or unit from rewards "),
        ),
        fault(
            &format!("UPDATE patient_health_metrics SET value = '12,' WHERE id = {METRIC}"),
            &["json"],
            "value is not JSON",
        ),
        fault(
            "UPDATE health_question_definitions SET format = '' WHERE id = '1'",
            &["json"],
            &format!("health_question_definitions {STRANGE}/1: format is not JSON"),
        ),
    ]
}

#[test]
fn every_kind_of_fault_is_found_and_by_its_own_check() {
    for (statements, checks, said) in [crossed(), kept(), wrong()].concat() {
        for database in each() {
            unguarded(&database, &statements);
            let (at_fault, report) = found(&database);
            let expected: BTreeSet<_> = checks.iter().map(|check| (*check).to_owned()).collect();
            assert_eq!(at_fault, expected, "{statements} on {}:\n{report}", database.name());
            assert!(report.contains(&said), "{said:?} after {statements} on {}:\n{report}", database.name());
        }
    }
}

#[test]
fn a_row_that_breaks_a_condition_of_its_table_is_found_in_the_file() {
    let database = Database::sqlite();
    unguarded(&database, &format!("UPDATE patients SET gender = 'm' WHERE id = '{ODWYER}'"));
    let (at_fault, report) = found(&database);
    assert_eq!(at_fault, BTreeSet::from(["file".to_owned()]), "{report}");
    assert!(report.contains("  CHECK constraint failed in patients"), "{report}");
}

#[test]
fn a_hundred_faults_are_listed_and_all_are_counted() {
    for database in each() {
        unguarded(&database, &format!("UPDATE patient_health_metrics SET patient_id = '{UNKNOWN}', unit = '{{'"));
        let (_, report) = found(&database);
        let metrics = 531 + 120;
        for check in ["references", "json"] {
            let (_, part) = report.split_once(&format!("{check} ")).unwrap();
            let listed = part.lines().skip(1).take_while(|line| line.starts_with("  patient_health_metrics ")).count();
            assert_eq!(listed, 100, "{check}: {report}");
            assert!(part.starts_with(' ') && part.contains(&format!("  faults: {metrics}\n")), "{check}: {report}");
            assert!(part.contains(&format!("\n  and {} more", metrics - 100)), "{check}: {report}");
        }
    }
}

#[test]
fn a_check_changes_nothing_and_refuses_what_it_cannot_judge() {
    for (database, operator) in Operator::each(false) {
        match &database.target {
            Target::Sqlite(file) => {
                assert!(operator.run(&["check"]).refused(3).contains("there is no file"));
                assert!(!std::path::Path::new(file).exists(), "a database was made");
            }
            Target::Postgres(_) => assert!(operator.run(&["check"]).refused(1).contains("nothing of retwine's")),
        }
    }
    for (database, operator) in Operator::each(true) {
        operator.run(&["check"]).done();
        unguarded(&database, "INSERT INTO __diesel_schema_migrations (version) VALUES ('99991231000001')");
        assert!(operator.run(&["check"]).refused(1).contains("a later version of retwine"));
        unguarded(&database, "DELETE FROM __diesel_schema_migrations WHERE version > '20261120000010'");
        assert!(operator.run(&["check"]).refused(1).contains("run `retwine migrate`"));
    }
    let database = Database::sqlite();
    let Target::Sqlite(file) = &database.target else { unreachable!() };
    let before = std::fs::read(file).unwrap();
    Operator::of(&database).run(&["check"]).done();
    assert!(std::fs::read(file).unwrap() == before, "the file has changed");
}
