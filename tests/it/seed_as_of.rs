//! Fixtures told as of another day: the demo always is, files are when asked.

use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};
use chrono_tz::Tz;
use retwine::demo;
use retwine::time::Instant;
use serde_json::{Value, json};

use crate::command_line::Operator;
use crate::lists::{fixtures, id};
use crate::support::{Client, Database, NOW, TestApp};

const DEMO: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/demo.json");
/// A Thursday in summer, 71 weeks and 3 days after the day that the demo was written for.
const LATER: &str = "2027-07-15T20:00:00Z";
/// At ten in the morning in New York, in winter.
const CALL: &str = "695bcb0393c0e51b7e7b0019";

/// Loads the demo into a database without anything, as `retwine demo` would
/// then; the report's numbers.
fn load(database: &Database, now: &str) -> Vec<(&'static str, usize, usize)> {
    let reports = demo::load(&mut database.connect(), false, Instant::parse(now).unwrap()).unwrap();
    reports.into_iter().flat_map(|report| report.counts).collect()
}

/// The application at this time.
async fn at(database: Database, now: &str) -> TestApp {
    let app = TestApp::new(database).await;
    app.advance(Instant::parse(now).unwrap().seconds() - Instant::parse(NOW).unwrap().seconds());
    app
}

async fn list(app: &TestApp, client: &Client, kind: &str) -> Vec<Value> {
    let path = format!("/pub/{kind}?filter[organization]={}&page[limit]=1000", app.demo.organization);
    client.get(&path).await.expect_status(200).body["data"].as_array().unwrap().clone()
}

async fn start(client: &Client, event: &str) -> String {
    let event = client.get(&format!("/pub/calendar_event/{event}")).await.expect_status(200);
    event.body["data"]["attributes"]["start_at"].as_str().unwrap().to_owned()
}

fn instant(attribute: &Value) -> DateTime<Utc> {
    DateTime::parse_from_rfc3339(attribute.as_str().unwrap()).unwrap().to_utc()
}

#[actix_web::test]
async fn the_demo_has_a_past_and_a_future_on_whatever_day_it_is_started() {
    for (database, _) in Operator::each(true) {
        load(&database, LATER);
        let app = at(database, LATER).await;
        let client = app.organization().await;
        let now = instant(&json!(LATER));

        let events = list(&app, &client, "calendar_event").await;
        let starts = |event: &Value| instant(&event["attributes"]["start_at"]);
        assert!(events.iter().filter(|event| starts(event) < now).count() >= 10);
        assert!(events.iter().filter(|event| starts(event) > now).count() >= 10);
        let last = |resources: &[Value], name: &str| {
            let times = resources.iter().filter(|resource| !resource["attributes"][name].is_null());
            times.map(|resource| instant(&resource["attributes"][name])).max().unwrap()
        };
        let metrics = list(&app, &client, "patient_health_metric").await;
        assert_eq!(metrics.len(), fixtures("patient_health_metric").len());
        let latest = last(&metrics, "occurred_at");
        assert!(latest <= now && latest > now - TimeDelta::days(8), "{latest}");
        let metrics =
            metrics.iter().filter(|metric| instant(&metric["attributes"]["occurred_at"]) > now - TimeDelta::weeks(4));
        assert!(metrics.count() > 30, "weeks of results");

        assert!(last(&events, "completed_at") <= now);
        assert!(last(&events, "created_at") <= now);
        let activations = list(&app, &client, "reward_program_activation").await;
        assert!(last(&activations, "activated_at") <= now);
        assert!(activations.iter().any(|activation| activation["attributes"]["active"] == true));
        for patient in list(&app, &client, "patient").await {
            let emails =
                client.get(&format!("/pub/email_history?filter[receiver]={}", id(&patient))).await.body["data"].clone();
            let results = client
                .get(&format!("/pub/result?filter[patient]={}&page[limit]=1000", id(&patient)))
                .await
                .body["data"]
                .clone();
            for (resources, name) in [(emails, "send_time"), (results, "occurred_at")] {
                let resources = resources.as_array().unwrap();
                assert!(resources.is_empty() || last(resources, name) <= now);
            }
        }
    }
}

#[actix_web::test]
async fn all_is_moved_by_the_same_weeks_and_keeps_its_time_of_day() {
    for (database, _) in Operator::each(true) {
        load(&database, LATER);
        let app = at(database, LATER).await;
        let client = app.organization().await;
        let moved = list(&app, &client, "calendar_event").await;
        let written = fixtures("calendar_event");
        assert_eq!(moved.len(), written.len());
        for (written, moved) in written.iter().zip(&moved) {
            assert_eq!(id(written), id(moved));
            let attributes = &written["attributes"];
            let zone: Tz = attributes["time_zone"].as_str().unwrap().parse().unwrap();
            let local = |event: &Value, name: &str| -> Option<NaiveDateTime> {
                let attribute = &event["attributes"][name];
                // This one begins at midnight UTC.
                let in_utc = name == "start_at" && id(event) == "6993335293c0e51b7e7b0022";
                let zone = if in_utc { Tz::UTC } else { zone };
                (!attribute.is_null()).then(|| instant(attribute).with_timezone(&zone).naive_local())
            };
            for name in ["start_at", "end_at", "completed_at", "created_at"] {
                let expected = local(written, name).map(|at| at + TimeDelta::weeks(71));
                assert_eq!(local(moved, name), expected, "{name} of {attributes}");
            }
        }
        // Who has no time zone has that of the file. Dates of birth stay.
        let (written, moved) = (fixtures("patient"), list(&app, &client, "patient").await);
        for (written, moved) in written.iter().zip(&moved) {
            assert_eq!(written["attributes"]["birth_date"], moved["attributes"]["birth_date"]);
            let local = |patient: &Value| {
                instant(&patient["attributes"]["enrolled_at"]).with_timezone(&Tz::America__New_York).naive_local()
            };
            assert_eq!(local(moved), local(written) + TimeDelta::weeks(71));
        }
    }
}

#[actix_web::test]
async fn what_is_there_is_not_moved_again_and_what_is_added_fits_to_it() {
    for (database, _) in Operator::each(true) {
        let first = load(&database, LATER);
        let app = at(database, LATER).await;
        let client = app.organization().await;
        let before = start(&client, CALL).await;
        client.delete(&format!("/pub/calendar_event/{CALL}")).await.expect_status(200);
        let again = load(&app.database, "2027-11-30T08:00:00Z");
        for ((kind, all, _), (_, stored, there)) in first.into_iter().zip(again) {
            // A response that stands in a deleted event is gone with it.
            assert_eq!(stored + there, all, "{kind}");
            assert!(stored == 0 || (kind, stored) == ("calendar_event", 1), "{kind}: {stored}");
        }
        assert_eq!(start(&client, CALL).await, before);
    }
}

#[actix_web::test]
async fn a_file_is_loaded_as_written_or_as_of_the_day_that_is_asked_for() {
    for (database, operator) in Operator::each(true) {
        operator.run(&["seed", DEMO]).done();
        let app = TestApp::new(database).await;
        for (as_of, expected) in [
            (None, "2026-01-08T15:00:00.000Z"),
            (Some("2026-03-08"), "2026-01-08T15:00:00.000Z"),
            (Some("2026-03-09"), "2026-01-15T15:00:00.000Z"),
            // Into summer time, and backwards.
            (Some("2026-06-17"), "2026-04-23T14:00:00.000Z"),
            (Some("2026-03-01"), "2026-01-01T15:00:00.000Z"),
            (None, "2026-01-08T15:00:00.000Z"),
        ] {
            let as_of: Vec<_> = as_of.iter().flat_map(|day| ["--as-of", day]).collect();
            operator.run(&[&["seed", "--reset", DEMO][..], &as_of].concat()).done();
            let client = app.organization().await;
            assert_eq!(start(&client, CALL).await, expected, "{as_of:?}");
        }
        operator.run(&["seed", "--reset", "--as-of", "today", DEMO]).done();
        let moved = instant(&json!(start(&app.organization().await, CALL).await));
        let age = Utc::now() - moved;
        assert!((53..62).contains(&age.num_days()), "{age}");
    }
}

#[test]
fn what_is_wrong_about_the_day_is_said() {
    for (_database, operator) in Operator::each(true) {
        assert!(operator.run(&["seed", "--as-of", "soon", DEMO]).refused(2).contains("write YYYY-MM-DD, or today"));
        let file = |meta: &str| {
            let organization =
                r#"{"type": "organization", "id": "65b000000000000000000001", "attributes": {"name": "Night Clinic"}}"#;
            operator.file("fixture.json", &format!(r#"{{"meta": {meta}, "data": [{organization}]}}"#))
        };
        let broken = file(r#"{"as_of": "2026-02-30", "time_zone": "Mars/Olympus"}"#);
        let complaint = operator.run(&["seed", &broken]).refused(1);
        for place in ["/meta/as_of", "/meta/time_zone"] {
            assert!(complaint.contains(&format!("{broken}#{place}: ")), "{complaint}");
        }
        let timeless = file(r#"{"time_zone": "America/New_York"}"#);
        let complaint = operator.run(&["seed", "--as-of", "2026-03-09", &timeless]).refused(1);
        assert!(complaint.contains(&format!("{timeless}#/meta/as_of: ")), "{complaint}");
        let far = file(r#"{"as_of": "0001-01-01"}"#);
        let complaint = operator.run(&["seed", "--as-of", "9999-12-31", &far]).refused(1);
        assert!(complaint.contains("beyond the years 1 to 9999"), "{complaint}");
        assert_eq!(operator.run(&["organization", "list"]).done(), "", "something was stored");
        let more = file(r#"{"as_of": "2026-03-02", "weather": "fine"}"#);
        assert!(operator.run(&["seed", &more]).done().contains("without effect: /meta/weather"));
    }
}
