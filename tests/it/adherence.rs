//! Adherence: what is due and done in the week of the plan's time zone.

use chrono::Duration;
use retwine::time::Instant;
use serde_json::{Value, json};

use crate::support::{Client, on_each_database};

/// Without anything in the fixture but the patient.
const THIRUNELVAN: &str = "66d9fb297458db2ebf7ad248";

/// Another patient.
const ACHTERBERG: &str = "6409ea55741e089d927ad227";

/// An action that is due every day, since Sunday a week ago.
async fn act(client: &Client, kind: &str, attributes: Value) -> String {
    act_of(THIRUNELVAN, client, kind, attributes).await
}

async fn act_of(patient: &str, client: &Client, kind: &str, attributes: Value) -> String {
    let mut sent = json!({"type": kind, "title": kind, "effective_from": "2026-02-22T12:00:00Z",
        "frequency_goal": {"weeks": {"days": [0, 1, 2, 3, 4, 5, 6]}}});
    for (name, value) in attributes.as_object().unwrap() {
        sent[name] = value.clone();
    }
    let plan = json!({"plan": {"data": {"type": "patient_plan_summary", "id": patient}}});
    let action = json!({"data": {"type": "action", "attributes": sent, "relationships": plan}});
    client.post("/pub/action", &action).await.expect_status(201).id()
}

async fn weigh(client: &Client, occurred_at: impl ToString) {
    let metric = json!({"data": {"type": "patient_health_metric",
        "attributes": {"type": "weight", "value": 80, "occurred_at": occurred_at.to_string()},
        "relationships": {"patient": {"data": {"type": "patient", "id": THIRUNELVAN}}}}});
    client.post("/pub/patient_health_metric", &metric).await.expect_status(200);
}

async fn adherence(client: &Client, path: &str) -> Value {
    client.get(path).await.expect_status(200).body["data"]["attributes"]["adherence"].clone()
}

#[actix_web::test]
async fn days_are_those_of_the_plans_time_zone() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let path = format!("/pub/action/{}", act(&client, "weight", json!({})).await);
        let plan = format!("/pub/patient_plan_summary/{THIRUNELVAN}");
        // It is Monday, 09:30 UTC.
        assert_eq!(adherence(&client, &path).await, json!({"due": 2, "complete": 0, "streak": {"count": 0}}));
        weigh(&client, "2026-03-01T01:00:00Z").await;
        weigh(&client, "2026-03-02T04:00:00Z").await;
        weigh(&client, "2026-03-02T03:00:00Z").await;
        let both = json!({"due": 2, "complete": 2, "streak": {"count": 2, "updated_at": "2026-03-02T04:00:00.000Z"}});
        assert_eq!(adherence(&client, &path).await, both);
        assert_eq!(adherence(&client, &plan).await, both);

        // In New York these were Saturday and Sunday, and Monday is due but not done.
        let zone = json!({"data": {"type": "patient_plan_summary", "attributes": {"time_zone": "America/New_York"}}});
        let changed = client.patch(&plan, &zone).await.expect_status(200);
        let expected = json!({"due": 2, "complete": 1, "streak": {"count": 0}});
        assert_eq!(changed.body["data"]["attributes"]["adherence"], expected);
        assert_eq!(adherence(&client, &path).await, expected);
        weigh(&client, "2026-03-02T09:00:00Z").await;
        let three = json!({"due": 2, "complete": 2, "streak": {"count": 3, "updated_at": "2026-03-02T09:00:00.000Z"}});
        assert_eq!(adherence(&client, &path).await, three);

        // Two hours before Tuesday there, and two hours later.
        for (hours, due) in [(17, 2), (4, 3)] {
            app.advance(60 * 60 * hours);
            assert_eq!(adherence(&app.organization().await, &path).await["due"], due);
        }
    })
    .await;
}

#[actix_web::test]
async fn a_plan_adds_up_its_tracked_actions() {
    on_each_database(async |app| {
        let client = app.organization().await;
        act(&client, "weight", json!({})).await;
        act(&client, "heart_rate", json!({})).await;
        act(&client, "blood_glucose", json!({"tracking": false})).await;
        act(&client, "pain_level", json!({"frequency_goal": null})).await;
        let done = act(&client, "walk", json!({"_thread": "weight", "effective_to": "2026-03-01T12:00:00Z"})).await;
        for at in ["2026-02-28T10:00:00Z", "2026-03-01T10:00:00Z", "2026-03-02T08:00:00Z"] {
            weigh(&client, at).await;
        }
        let of_done = adherence(&client, &format!("/pub/action/{done}")).await;
        assert_eq!(
            of_done,
            json!({"due": 1, "complete": 1, "streak": {"count": 2, "updated_at": "2026-03-01T10:00:00.000Z"}})
        );
        let plan = format!("/pub/patient_plan_summary/{THIRUNELVAN}");
        let sum = json!({"due": 5, "complete": 3, "streak": {"count": 5, "updated_at": "2026-03-02T08:00:00.000Z"}});
        assert_eq!(adherence(&client, &plan).await, sum);
        let listed = client.get(&format!("/pub/patient_plan_summary?filter[patient]={THIRUNELVAN}")).await;
        assert_eq!(listed.body["data"][0]["attributes"]["adherence"], sum);
    })
    .await;
}

#[actix_web::test]
async fn results_count_for_the_actions_of_their_own_patient() {
    on_each_database(async |app| {
        let client = app.organization().await;
        for patient in [THIRUNELVAN, ACHTERBERG] {
            act_of(patient, &client, "weight", json!({})).await;
        }
        let plans = format!("/pub/patient_plan_summary?filter[organization]={}", app.demo.organization);
        let complete = async |patient: &str| {
            let listed = client.get(&plans).await.expect_status(200).body;
            let plan = listed["data"].as_array().unwrap().iter().find(|plan| plan["id"] == patient).unwrap();
            plan["attributes"]["adherence"]["complete"].as_u64().unwrap()
        };
        let before = [complete(THIRUNELVAN).await, complete(ACHTERBERG).await];
        weigh(&client, "2026-03-02T08:00:00Z").await;
        assert_eq!([complete(THIRUNELVAN).await, complete(ACHTERBERG).await], [before[0] + 1, before[1]]);
    })
    .await;
}

#[actix_web::test]
async fn what_was_skipped_is_not_done() {
    on_each_database(async |app| {
        // Metformin, taken on 10, 11 and 13 November and skipped on the 12th; now it is Friday, the 14th.
        app.advance(-(60 * 60 * 24 * 108));
        let client = app.organization().await;
        let found = adherence(&client, "/pub/action/64133148741e089d927ad507").await;
        assert_eq!(found, json!({"due": 6, "complete": 3, "streak": {"count": 0}}));
    })
    .await;
}

#[actix_web::test]
async fn a_streak_is_as_long_as_it_is() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let id = act(&client, "weight", json!({"effective_from": "2025-06-01T03:00:00Z"})).await;
        let zone = json!({"data": {"type": "patient_plan_summary", "attributes": {"time_zone": "America/New_York"}}});
        client.patch(&format!("/pub/patient_plan_summary/{THIRUNELVAN}"), &zone).await.expect_status(200);
        let path = format!("/pub/action/{id}");
        let streak = async || adherence(&client, &path).await["streak"]["count"].clone();
        let weigh_in = |days_ago: i64| {
            let at = Instant::parse("2026-03-02T09:00:00Z").unwrap().earlier(Duration::days(days_ago));
            weigh(&client, at)
        };
        // Around the day, 35 days ago, before which results are only read to see a streak to its end.
        for (days_ago, expected) in [(0..34, 34), (34..35, 35), (36..60, 35), (35..36, 60)] {
            for day in days_ago {
                weigh_in(day).await;
            }
            assert_eq!(streak().await, expected);
        }
        // Since the first day, which in New York is the 31st of May; a result of it came before the action did.
        for day in 60..275 {
            weigh_in(day).await;
        }
        assert_eq!(streak().await, 275);
        weigh(&client, "2025-05-31T05:00:00Z").await;
        assert_eq!(streak().await, 276);
    })
    .await;
}
