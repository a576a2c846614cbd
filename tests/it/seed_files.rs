//! Fixture files, loaded by `retwine seed`: once, again, reset, and refused
//! whole when anything is wrong with them.

use crate::command_line::Operator;
use crate::support::each;

const DEMO: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/demo.json");
const STRANGER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/stranger.json");

/// What a report says of each type: how many were stored, how many were there.
fn counts(report: &str) -> Vec<String> {
    let lines = report.lines().filter(|line| line.starts_with("  "));
    lines.map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
}

const STORED: [&str; 21] = [
    "organization 1 stored",
    "group 4 stored",
    "coach 5 stored",
    "client 2 stored",
    "patient 34 stored",
    "reward_program 4 stored",
    "reward_program_activation 6 stored",
    "reward 11 stored",
    "reward_earning 8 stored",
    "reward_earning_fulfillment 4 stored",
    "patient_health_metric 531 stored",
    "calendar_event 25 stored",
    "health_question_definition 20 stored",
    "health_profile 34 stored",
    "health_profile_question 20 stored",
    "health_profile_answer 185 stored",
    "email_history 99 stored",
    "patient_plan_summary 5 stored",
    "action 12 stored",
    "bundle 2 stored",
    "result 43 stored",
];

#[test]
fn a_fixture_is_stored_once_however_often_it_is_loaded() {
    for (_database, operator) in Operator::each(true) {
        let first = operator.run(&["seed", DEMO, STRANGER]).done();
        assert!(first.contains("Riverbend Health Partners") && first.contains("Harbor Street Clinic"), "{first}");
        assert_eq!(counts(&first)[..STORED.len()], STORED);
        let again = STORED.map(|line| {
            let (kind, number) = line.trim_end_matches(" stored").split_once(' ').unwrap();
            format!("{kind} 0 stored, {number} there already")
        });
        assert_eq!(counts(&operator.run(&["seed", DEMO]).done()), again);
    }
}

#[test]
fn a_reset_puts_an_organization_back_to_its_fixture_and_leaves_others_alone() {
    for database in each() {
        let operator = Operator::of(&database);
        let list =
            |what: &str, organization: &str| operator.run(&[what, "list", "--organization", organization]).done();
        let (demo, stranger) = ("63dab3ff741e089d927ad216", "645bc23c86f89266d12f13e9");
        let before = (list("coach", demo), list("group", demo));
        for organization in [demo, stranger] {
            operator.run(&["coach", "add", "--organization", organization, "--last-name", "Framsden"]).done();
        }
        operator.run(&["client", "revoke", "7d2f1c3a-5b0e-4e0b-9c56-1a8f0f6d2b41"]).done();
        assert_eq!(counts(&operator.run(&["seed", "--reset", DEMO]).done()), STORED);
        assert_eq!((list("coach", demo), list("group", demo)), before);
        assert!(!list("client", demo).contains("revoked"));
        assert!(list("coach", stranger).contains("Framsden"));
    }
}

#[test]
fn a_broken_fixture_is_refused_whole_with_each_place_named() {
    for (_database, operator) in Operator::each(true) {
        let broken = operator.file(
            "broken.json",
            r#"{"data": [
            {"type": "organization", "id": "65b000000000000000000001", "attributes": {"name": "Night Clinic"}},
            {"type": "group", "id": "65b000000000000000000002", "attributes": {"name": " "}},
            {"type": "patient", "id": "65b000000000000000000004", "attributes": {"gender": "f"}},
            {"type": "weather", "id": "65b000000000000000000003"}
        ]}"#,
        );
        let complaint = operator.run(&["seed", DEMO, &broken]).refused(1);
        for place in ["/data/1/attributes/name", "/data/2/attributes/gender", "/data/2/relationships/groups", "/data/3"]
        {
            assert!(complaint.contains(&format!("{broken}#{place}: ")), "{place}: {complaint}");
        }
        assert_eq!(operator.run(&["organization", "list"]).done(), "", "something was stored");
    }
}

#[test]
fn a_bad_id_in_a_fixture_hides_no_other_fault() {
    for (_database, operator) in Operator::each(true) {
        let broken = operator.file(
            "broken.json",
            r#"{"data": [
            {"type": "organization", "id": "65b000000000000000000001", "attributes": {"name": "Night Clinic"}},
            {"type": "patient", "id": "17", "attributes": {"gender": "f"}}
        ]}"#,
        );
        let complaint = operator.run(&["seed", &broken]).refused(1);
        for place in ["/data/1/id", "/data/1/attributes/gender", "/data/1/relationships/groups"] {
            assert!(complaint.contains(&format!("{broken}#{place}: ")), "{place}: {complaint}");
        }
    }
}

#[test]
fn an_id_that_stands_in_a_fixture_twice_is_named() {
    for (_database, operator) in Operator::each(true) {
        let broken = operator.file(
            "broken.json",
            r#"{"data": [
            {"type": "organization", "id": "65b000000000000000000001", "attributes": {"name": "Night Clinic"}},
            {"type": "group", "id": "65b000000000000000000002", "attributes": {"name": "Nights"}},
            {"type": "group", "id": "65b000000000000000000002", "attributes": {"name": "Days"}}
        ]}"#,
        );
        let complaint = operator.run(&["seed", &broken]).refused(1);
        assert_eq!(operator.run(&["organization", "list"]).done(), "", "something was stored");
        assert!(complaint.contains(&format!("{broken}#/data/2/id: ")), "{complaint}");
    }
}

#[test]
fn a_fixture_that_names_what_is_not_there_is_refused_whole() {
    for (_database, operator) in Operator::each(true) {
        let broken = operator.file(
            "broken.json",
            r#"{"data": [
            {"type": "organization", "id": "65b000000000000000000001", "attributes": {"name": "Night Clinic"}},
            {"type": "patient", "id": "65b000000000000000000002",
             "relationships": {"groups": {"data": [{"type": "group", "id": "65b0000000000000000000ff"}]}}}
        ]}"#,
        );
        let complaint = operator.run(&["seed", &broken]).refused(1);
        assert!(complaint.contains(&format!("{broken}#/data/1/relationships/groups/data/0/id: ")), "{complaint}");
        assert_eq!(operator.run(&["organization", "list"]).done(), "", "something was stored");
    }
}

#[test]
fn a_fixture_that_cannot_be_read_is_named() {
    for (_database, operator) in Operator::each(true) {
        assert!(operator.run(&["seed", DEMO, "no-such.json"]).refused(1).contains("no-such.json: "));
        let (no_json, no_document) = (operator.file("no.json", "{\"data\": ["), operator.file("none.json", "[]"));
        for file in [no_json, no_document] {
            let complaint = operator.run(&["seed", DEMO, &file]).refused(1);
            assert!(complaint.contains(&format!("{file}#")), "{complaint}");
        }
        assert_eq!(operator.run(&["organization", "list"]).done(), "", "something was stored");
    }
}
