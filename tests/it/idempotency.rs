//! `Idempotency-Key`: a write that is sent again is carried out once, and
//! answered as it was the first time.

use actix_web::http::Method;
use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use futures_util::future::join_all;
use retwine::db::schema::idempotency_records as records;
use retwine::demo;
use retwine::time::Instant;
use serde_json::{Value, json};

use crate::command_line::Operator;
use crate::people::{
    CASTELLANOS, DIABETES, HEART, OSTRANDER, attributes, change, count_patients, document, patient, places,
};
use crate::serving::Server;
use crate::support::{Client, Response, TestApp, each, on_each_database};

const KEY: &str = "8e03978e-40d5-43dd-bc93-6894a57f9324";

async fn send(client: &Client, key: &str, method: Method, path: &str, body: &Value) -> Response {
    client.send_with(method, path, &[("Idempotency-Key", key)], Some(body).filter(|body| !body.is_null())).await
}

async fn post(client: &Client, key: &str, path: &str, body: &Value) -> Response {
    send(client, key, Method::POST, path, body).await
}

fn named(name: &str) -> Value {
    document(&patient(&json!({"first_name": name})))
}

fn metric(value: usize) -> Value {
    json!({"type": "patient_health_metric",
        "attributes": {"type": "weight", "value": value, "unit": "kg", "occurred_at": "2026-03-01T07:10:00Z"},
        "relationships": {"patient": {"data": {"type": "patient", "id": OSTRANDER}}}})
}

async fn count_metrics(client: &Client) -> i64 {
    let path = format!("/pub/patient_health_metric?filter[patient]={OSTRANDER}&page[size]=0");
    client.get(&path).await.expect_status(200).count()
}

fn count_records(app: &TestApp) -> i64 {
    records::table.count().get_result(&mut app.database.connect()).unwrap()
}

/// Fails the test unless this is the first answer again.
#[track_caller]
fn expect_replay(first: &Response, again: &Response) {
    assert_eq!((first.status, first.header("idempotency-replayed")), (again.status, ""), "{}", again.text);
    assert_eq!(again.header("idempotency-replayed"), "true");
    assert_eq!(again.text, first.text);
    for same in ["etag", "content-type"] {
        assert_eq!(again.header(same), first.header(same), "{same}");
    }
    // The document is of the first request, the header of this one.
    assert_eq!(first.header("x-request-id"), first.body["meta"]["req_id"]);
    assert_ne!(again.header("x-request-id"), first.header("x-request-id"));
}

#[actix_web::test]
async fn a_write_of_whatever_kind_that_is_sent_again_is_answered_again_and_not_carried_out() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let event = json!({"type": "calendar_event",
            "attributes": {"type": "reminder", "title": "Call", "start_at": "2026-03-05T15:00:00Z",
                "attendees": [{"user": CASTELLANOS}]},
            "relationships": {"owner": {"data": {"type": "patient", "id": OSTRANDER}}}});
        let event = client.post("/pub/calendar_event", &document(&event)).await.expect_status(201);
        let event = format!("/pub/calendar_event/{}", event.id());
        let path = format!("/pub/patient/{OSTRANDER}");
        let upsert = json!({"data": patient(&json!({"first_name": "Una"})),
            "meta": {"query": {"identifier": {"system": "emr", "value": "once"}, "groups": [DIABETES]}}});
        let bulk: Vec<_> = (0..40).map(metric).collect();
        let (people, metrics) = (count_patients(&app).await, count_metrics(&client).await);
        let writes = [
            (Method::POST, "/pub/patient", named("Ann"), 201),
            (Method::POST, "/pub/patient?fields[patient]=first_name", named("Bea"), 201),
            (Method::POST, "/pub/patient_health_metric", document(&json!(bulk)), 200),
            (Method::PUT, "/pub/patient", upsert, 200),
            (Method::PATCH, &*path, change(OSTRANDER, &json!({"last_name": "Once"})), 200),
            (Method::DELETE, &*event, Value::Null, 200),
        ];
        for (number, (method, path, body, status)) in writes.into_iter().enumerate() {
            let key = format!("write-{number}");
            let first = send(&client, &key, method.clone(), path, &body).await.expect_status(status);
            let second = send(&client, &key, method.clone(), path, &body).await;
            expect_replay(&first, &second);
            // With another token of the same client, by another spelling of path and key.
            let quoted = format!("\"{key}\"");
            let doubled = path.replace("/pub/", "//pub//");
            let third = send(&app.organization().await, &quoted, method, &doubled, &body).await;
            expect_replay(&first, &third);
        }
        assert_eq!(count_patients(&app).await, people + 3);
        assert_eq!(count_metrics(&client).await, metrics + 40);
        client.get(&event).await.expect_status(404);
        assert_eq!(count_records(&app), 6);
        let checked = Operator::of(&app.database).run(&["check"]);
        assert_eq!(checked.code, Some(0), "{}", checked.out);
    })
    .await;
}

#[actix_web::test]
async fn a_key_is_of_one_request() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let first = post(&client, KEY, "/pub/patient", &named("Ann")).await.expect_status(201);
        let before = count_patients(&app).await;
        let others = [
            post(&client, KEY, "/pub/patient", &named("Bea")).await,
            post(&client, KEY, "/pub/patient?fields[patient]=first_name", &named("Ann")).await,
            post(&client, KEY, "/pub/group", &named("Ann")).await,
            send(&client, KEY, Method::PUT, "/pub/patient", &named("Ann")).await,
        ];
        for other in others {
            assert_eq!(places(&other.expect_status(409)), ["409 InvalidParameter -"]);
        }
        assert_eq!(count_patients(&app).await, before);
        expect_replay(&first, &post(&client, KEY, "/pub/patient", &named("Ann")).await);
        // The same again under a new key is a new request.
        post(&client, "another", "/pub/patient", &named("Ann")).await.expect_status(201);
        assert_eq!(count_patients(&app).await, before + 1);
    })
    .await;
}

#[actix_web::test]
async fn a_key_is_of_one_client() {
    on_each_database(async |app| {
        let (client, restricted, stranger) = (app.organization().await, app.group().await, app.stranger().await);
        let first = post(&client, KEY, "/pub/patient", &named("Ann")).await.expect_status(201);
        let second = post(&restricted, KEY, "/pub/patient", &named("Ann")).await.expect_status(201);
        assert_ne!(second.id(), first.id());
        assert_eq!(second.header("idempotency-replayed"), "");
        // Neither that the key is known elsewhere nor what was sent with it shows.
        let group = document(&json!({"type": "group", "attributes": {"name": "Own"}}));
        let third = post(&stranger, KEY, "/pub/group", &group).await.expect_status(201);
        expect_replay(&first, &post(&client, KEY, "/pub/patient", &named("Ann")).await);
        expect_replay(&second, &post(&restricted, KEY, "/pub/patient", &named("Ann")).await);
        expect_replay(&third, &post(&stranger, KEY, "/pub/group", &group).await);
    })
    .await;
}

#[actix_web::test]
async fn who_has_no_good_token_is_shown_nothing_again() {
    on_each_database(async |app| {
        let client = app.organization().await;
        post(&client, KEY, "/pub/patient", &named("Ann")).await.expect_status(201);
        for key in [KEY, "no key at all"] {
            post(&app.anonymous(), key, "/pub/patient", &named("Ann")).await.expect_status(401);
            let unknown = app.caller("00000000-0000-4000-8000-000000000000".into());
            post(&unknown, key, "/pub/patient", &named("Ann")).await.expect_status(401);
        }
        let now = app.app.clock.now();
        retwine::admin::revoke_client(&mut app.database.connect(), &app.demo.client_id, now).unwrap();
        app.advance(2);
        post(&client, KEY, "/pub/patient", &named("Ann")).await.expect_status(401);
    })
    .await;
}

#[actix_web::test]
async fn a_client_that_sees_less_by_now_is_not_shown_what_it_saw() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let rename = change(OSTRANDER, &json!({"last_name": "Unseen"}));
        let path = format!("/pub/patient/{OSTRANDER}");
        send(&client, KEY, Method::PATCH, &path, &rename).await.expect_status(200);
        let id = &app.demo.client_id;
        let narrow = format!(
            "UPDATE clients SET scope = 'group' WHERE id = '{id}'; \
             INSERT INTO client_groups (client_id, group_id) VALUES ('{id}', '{HEART}');"
        );
        app.database.connect().batch_execute(&narrow).unwrap();
        app.advance(2);
        let refused = send(&client, KEY, Method::PATCH, &path, &rename).await.expect_status(409);
        assert_eq!(places(&refused), ["409 InvalidParameter -"]);
        assert!(refused.errors().contains("scope") && !refused.text.contains("Unseen"), "{}", refused.text);
    })
    .await;
}

#[actix_web::test]
async fn a_key_lasts_a_day_and_leaves_nothing_behind() {
    const DAY: i64 = 24 * 3600;
    on_each_database(async |app| {
        let client = app.organization().await;
        let first = post(&client, KEY, "/pub/patient", &named("Ann")).await.expect_status(201);
        for number in 0..10 {
            post(&client, &format!("old-{number}"), "/pub/patient", &named("Old")).await.expect_status(201);
        }
        app.advance(DAY - 1);
        let client = app.organization().await;
        expect_replay(&first, &post(&client, KEY, "/pub/patient", &named("Ann")).await);
        assert_eq!(count_records(&app), 11);

        // The next day it is free for anything, and every write takes old ones along.
        app.advance(1);
        let again = post(&client, KEY, "/pub/patient", &named("Bea")).await.expect_status(201);
        assert_ne!(again.id(), first.id());
        assert_eq!(count_records(&app), 7);
        expect_replay(&again, &post(&client, KEY, "/pub/patient", &named("Bea")).await);
        for number in 0..2 {
            post(&client, &format!("new-{number}"), "/pub/patient", &named("New")).await.expect_status(201);
        }
        assert_eq!(count_records(&app), 3);
        // Where nobody sends keys any more, whoever gets a token does.
        app.advance(DAY);
        app.stranger().await;
        assert_eq!(count_records(&app), 0);
    })
    .await;
}

#[actix_web::test]
async fn of_many_at_once_one_is_carried_out_and_all_are_answered_alike() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let (people, metrics) = (count_patients(&app).await, count_metrics(&client).await);
        // One that checks what is there first, and one that does not.
        let known = json!({"first_name": "Ann", "identifiers": [{"system": "emr", "value": "at-once"}]});
        let bodies =
            [("/pub/patient", document(&patient(&known))), ("/pub/patient_health_metric", document(&metric(80)))];
        for (path, body) in bodies {
            let answers = join_all((0..16).map(|_| post(&client, path, path, &body))).await;
            let (first, replays): (Vec<_>, Vec<_>) =
                answers.into_iter().partition(|answer| answer.header("idempotency-replayed").is_empty());
            assert_eq!((first.len(), replays.len()), (1, 15), "{}", first[0].text);
            for replay in &replays {
                expect_replay(&first[0], replay);
            }
        }
        assert_eq!((count_patients(&app).await, count_metrics(&client).await), (people + 1, metrics + 1));
    })
    .await;
}

#[actix_web::test]
async fn what_was_refused_may_be_sent_again_mended() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let path = format!("/pub/patient/{OSTRANDER}");
        let wrong = change(OSTRANDER, &json!({"birth_date": "yesterday"}));
        for _ in 0..2 {
            send(&client, KEY, Method::PATCH, &path, &wrong).await.expect_status(409);
        }
        assert_eq!(count_records(&app), 0);
        let right = change(OSTRANDER, &json!({"birth_date": "1961-08-19"}));
        let first = send(&client, KEY, Method::PATCH, &path, &right).await.expect_status(200);
        expect_replay(&first, &send(&client, KEY, Method::PATCH, &path, &right).await);
        assert_eq!(attributes(&client, OSTRANDER).await["birth_date"], "1961-08-19");
        assert!(
            send(&client, KEY, Method::PATCH, &path, &wrong).await.expect_status(409).errors().contains("belongs to")
        );
    })
    .await;
}

#[actix_web::test]
async fn a_change_of_what_was_seen_is_repeated_like_any_other() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let path = format!("/pub/patient/{OSTRANDER}");
        let seen = client.get(&path).await.expect_status(200);
        let body = change(OSTRANDER, &json!({"last_name": "Once"}));
        let headers = [("Idempotency-Key", KEY), ("If-Match", seen.header("etag"))];
        let first = client.send_with(Method::PATCH, &path, &headers, Some(&body)).await.expect_status(200);
        // The resource is no longer what was seen, through this very request.
        let second = client.send_with(Method::PATCH, &path, &headers, Some(&body)).await;
        expect_replay(&first, &second);
        let late = [("Idempotency-Key", "late"), ("If-Match", seen.header("etag"))];
        client.send_with(Method::PATCH, &path, &late, Some(&body)).await.expect_status(412);
        assert_eq!(count_records(&app), 1);
    })
    .await;
}

#[actix_web::test]
async fn what_cannot_be_a_key_is_refused_where_keys_count() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let before = count_patients(&app).await;
        let long = "k".repeat(256);
        for malformed in ["", "\"\"", "two words", "\"open", "\"a\"; b=1", "schlüssel", &long] {
            let answer = post(&client, malformed, "/pub/patient", &named("Ann")).await.expect_status(400);
            assert_eq!(places(&answer), ["400 InvalidParameter -"], "{malformed}");
            // Nothing is repeated here that a key would be needed for.
            send(&client, malformed, Method::GET, &format!("/pub/patient/{OSTRANDER}"), &Value::Null)
                .await
                .expect_status(200);
        }
        let twice = [("Idempotency-Key", "a"), ("Idempotency-Key", "b")];
        client.send_with(Method::POST, "/pub/patient", &twice, Some(&named("Ann"))).await.expect_status(400);
        assert_eq!(count_patients(&app).await, before);
    })
    .await;
}

#[actix_web::test]
async fn a_token_is_never_kept() {
    on_each_database(async |app| {
        let credentials = json!({"grant_type": "client_credentials", "client_id": app.demo.client_id,
            "client_secret": app.demo.client_secret});
        let body = json!({"data": {"type": "token", "attributes": credentials}});
        let first = post(&app.anonymous(), KEY, "/pub/oauth/token", &body).await.expect_status(201);
        let second = post(&app.anonymous(), KEY, "/pub/oauth/token", &body).await.expect_status(201);
        assert_ne!(first.id(), second.id());
        post(&app.anonymous(), "no key", "/pub/oauth/token", &body).await.expect_status(201);
        assert_eq!((count_records(&app), second.header("etag")), (0, ""));
    })
    .await;
}

#[actix_web::test]
async fn an_organization_takes_its_records_along() {
    on_each_database(async |app| {
        let client = app.organization().await;
        post(&client, KEY, "/pub/patient", &named("Ann")).await.expect_status(201);
        post(
            &app.stranger().await,
            KEY,
            "/pub/group",
            &document(&json!({"type": "group", "attributes": {"name": "Own"}})),
        )
        .await
        .expect_status(201);
        assert_eq!(count_records(&app), 2);
        let now = Instant::parse(crate::support::NOW).unwrap();
        app.database.connect().transaction(|db| demo::load(db, true, now)).unwrap();
        assert_eq!(count_records(&app), 0);
    })
    .await;
}

#[test]
fn a_server_that_is_killed_and_started_again_answers_as_it_did() {
    for database in each() {
        let operator = Operator::of(&database);
        let serve = ["serve", "--bind", "127.0.0.1:0"];
        let body = named("Ann");
        let send = |server: &Server| {
            let headers = format!("{}Idempotency-Key: {KEY}\r\n", server.authorization());
            server.send("POST", "/pub/patient", &headers, &body)
        };
        let mut server = Server::start(&operator, &serve);
        let first = send(&server);
        assert_eq!(first.status(), 201, "{}", first.head());
        server.kill();
        let again = send(&Server::start(&operator, &serve));
        assert!(again.head().contains("idempotency-replayed: true"), "{}", again.head());
        assert_eq!((again.status(), again.json()), (201, first.json()));
        // The lifetime is the operator's.
        let short = Server::start(&operator, &[&serve[..], &["--idempotency-lifetime", "1"]].concat());
        let headers = format!("{}Idempotency-Key: short\r\n", short.authorization());
        let first = short.send("POST", "/pub/patient", &headers, &body).json();
        std::thread::sleep(std::time::Duration::from_millis(1100));
        assert_ne!(short.send("POST", "/pub/patient", &headers, &body).json()["data"]["id"], first["data"]["id"]);
    }
}
