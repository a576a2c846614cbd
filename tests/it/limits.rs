//! What one request may take: sizes, numbers, depths, time and turns.

use std::time::Duration;

use actix_web::http::Method;
use actix_web::rt::time::sleep;
use diesel::connection::SimpleConnection;
use retwine::db::{Conn, Target};
use serde_json::{Value, json};

use crate::support::{Client, Database, Response, TestApp, config, each, on_each_database};

const PATIENT: &str = "64062e37741e089d927ad224";

fn groups(app: &TestApp) -> String {
    format!("/pub/group?filter[organization]={}", app.demo.organization)
}

/// A path with the known groups and so many bytes in all.
fn of_length(app: &TestApp, length: usize) -> String {
    let path = format!("{}&_=", groups(app));
    format!("{path}{}", "x".repeat(length - path.len()))
}

#[actix_web::test]
async fn a_request_target_that_is_too_long_is_414() {
    on_each_database(async |app| {
        let client = app.organization().await;
        client.get(&of_length(&app, 32_768)).await.expect_status(200);
        let answer = client.get(&of_length(&app, 32_769)).await.expect_status(414);
        assert_eq!(
            answer.errors(),
            "414 - -: The path and the parameters have 32769 bytes; this server takes 32768. Ask for fewer things at a \
             time."
        );
        assert_eq!(answer.header("content-type"), "application/vnd.api+json");
        assert_eq!(answer.body["meta"]["req_id"], answer.header("x-request-id"));
    })
    .await;
}

#[actix_web::test]
async fn headers_that_are_too_large_are_431() {
    for database in each() {
        let app = TestApp::with_config(database, config(&["--head-limit", "2000"])).await;
        let client = app.organization().await;
        let with = |length: usize| {
            let request = client.request(Method::GET, &groups(&app));
            client.send(request.insert_header(("Cookie", "c".repeat(length))))
        };
        with(1500).await.expect_status(200);
        let answer = with(2000).await.expect_status(431);
        let errors = answer.errors();
        assert!(errors.starts_with("431 - -: The headers have 20"), "{errors}");
        assert!(errors.ends_with(" bytes; this server takes 2000. Send fewer or shorter ones."), "{errors}");

        let form =
            app.anonymous().request(Method::POST, "/pub/oauth/token").insert_header(("Cookie", "c".repeat(2000)));
        let form = form.insert_header(("Content-Type", "application/x-www-form-urlencoded"));
        let answer = client.send(form).await.expect_status(431);
        assert_eq!(answer.body["error"], "invalid_request");
    }
}

#[actix_web::test]
async fn more_parameters_than_any_operation_has_are_refused() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let with = |count| groups(&app) + &"&_=1".repeat(count);
        client.get(&with(99)).await.expect_status(200);
        let answer = client.get(&with(100)).await.expect_status(409);
        assert_eq!(
            answer.errors(),
            "409 InvalidParameter -: More than 100 query parameters were sent, which is the most that are taken. Send \
             lists with commas, in one parameter."
        );
        app.anonymous().get(&with(100)).await.expect_status(401);
    })
    .await;
}

#[actix_web::test]
async fn a_filter_lists_at_most_a_thousand_values() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let with = |count| format!("/pub/patient?filter[groups]={}", vec![app.demo.group.as_str(); count].join(","));
        assert_eq!(client.get(&with(1000)).await.expect_status(200).count(), client.get(&with(1)).await.count());
        let answer = client.get(&with(1001)).await.expect_status(409);
        assert_eq!(
            answer.errors(),
            "409 InvalidParameter filter[groups]: must list at most 1000 values, not 1001; ask for them in several \
             requests"
        );
    })
    .await;
}

#[actix_web::test]
async fn what_is_sorted_by_already_is_not_sorted_by_again() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let list = format!("/pub/patient?filter[organization]={}&page[size]=50&sort=", app.demo.organization);
        let once = client.get(&format!("{list}last_name,-first_name")).await.expect_status(200);
        let again = format!("{list}last_name,-first_name{}", ",-last_name,first_name".repeat(1200));
        assert_eq!(client.get(&again).await.expect_status(200).ids(), once.ids());
    })
    .await;
}

async fn post_metric(client: &Client, value: &str) -> Response {
    let body = format!(
        r#"{{"data": {{"type": "patient_health_metric",
            "attributes": {{"type": "weight", "value": {value}, "occurred_at": "2026-02-11T08:15:00Z"}},
            "relationships": {{"patient": {{"data": {{"type": "patient", "id": "{PATIENT}"}}}}}}}}}}"#
    );
    let request = client.request(Method::POST, "/pub/patient_health_metric");
    client.send(request.insert_header(("Content-Type", "application/json")).set_payload(body)).await
}

#[actix_web::test]
async fn values_that_other_programs_could_not_read_are_refused() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let nested = |depth| format!("{}7{}", r#"{"a": ["#.repeat(depth), "]}".repeat(depth));
        let number = "holds a number beyond those that other programs can read, which end at some 1.8e308";
        for (value, expected) in [
            ("1e999999".to_owned(), number),
            ("-1e400".into(), number),
            ("1".repeat(400), number),
            ("[1, 1e400]".into(), number),
            (nested(51), "must be nested at most 100 levels deep, not 102"),
            ("[".repeat(100_000 / 2) + &"]".repeat(100_000 / 2), "must be nested at most 100 levels deep, not 50000"),
            (format!("\"{}\"", "x".repeat(99_999)), "must have at most 100000 characters, not 100001"),
        ] {
            let answer = post_metric(&client, &value).await.expect_status(409);
            assert_eq!(answer.errors(), format!("409 InvalidBodyParameter /data/attributes/value: {expected}"));
        }
        let half = post_metric(&client, r#""\ud800""#).await.expect_status(409);
        assert!(half.text.contains("holds an escape that stands for no Unicode character"), "{}", half.text);
        for value in
            ["1".repeat(300), format!("0.{}", "1".repeat(400)), "1e-999".into(), r#""a\u0000b""#.into(), nested(50)]
        {
            let stored = post_metric(&client, &value).await.expect_status(200);
            let shown = client.get(&format!("/pub/patient_health_metric/{}", stored.id())).await.expect_status(200);
            assert!(shown.text.contains(&value), "{value} in {}", shown.text);
        }
    })
    .await;
}

#[actix_web::test]
async fn large_bodies_of_strangers_are_answered_like_small_ones() {
    on_each_database(async |app| {
        let stranger = app.caller("made up".into());
        for size in [10, 200_000] {
            let send = async |client: &Client, method, path: &str, content_type| {
                let body = json!({"data": {"type": "group", "attributes": {"name": "G", "bio": "b".repeat(size)}}});
                let request = client.request(method, path).insert_header(("Content-Type", content_type));
                client.send(request.set_payload(body.to_string())).await
            };
            for client in [stranger.clone(), app.anonymous()] {
                for (path, method, content_type, status) in [
                    ("/pub/group", Method::POST, "application/json", 401),
                    ("/pub/group", Method::POST, "text/plain", 415),
                    ("/pub/group", Method::PUT, "application/json", 405),
                    (groups(&app).as_str(), Method::GET, "application/json", 401),
                    ("/pub/nothing", Method::POST, "application/json", 404),
                ] {
                    send(&client, method, path, content_type).await.expect_status(status);
                }
            }
            let token = send(&stranger, Method::POST, "/pub/oauth/token", "application/json").await;
            assert_eq!(token.status, if size > 65_536 { 413 } else { 409 });
        }
        // Somebody who is known may send as much of a text as is taken.
        let client = app.organization().await;
        let body = json!({"data": {"type": "group", "attributes": {"name": "G", "bio": "b".repeat(100_000)}}});
        let stored = client.post("/pub/group", &body).await.expect_status(201);
        assert_eq!(stored.body["data"]["attributes"]["bio"].as_str().map(str::len), Some(100_000));
    })
    .await;
}

#[actix_web::test]
async fn requests_wait_for_no_turn_but_are_told_to_come_again() {
    for database in each() {
        let app = TestApp::with_config(database, config(&["--max-requests", "2"])).await;
        let client = app.organization().await;
        let (first, second) = (app.app.limits.turns.take(), app.app.limits.turns.take());
        assert!(first.is_some() && second.is_some());
        let body = json!({"data": {"type": "group", "attributes": {"name": "Too many"}}});
        for answer in [client.get(&groups(&app)).await, client.post("/pub/group", &body).await] {
            let answer = answer.expect_status(503);
            assert_eq!(
                answer.errors(),
                "503 - -: The server is carrying out 2 requests, as many as it takes at once; nothing was stored. Try \
                 again after the seconds that Retry-After names."
            );
            assert_eq!(answer.header("retry-after"), "5");
        }
        for path in ["/healthz", "/readyz"] {
            client.get(path).await.expect_status(200);
        }
        drop(first);
        assert_eq!(client.get(&groups(&app)).await.expect_status(200).count(), 4, "nothing was stored");
        client.post("/pub/group", &body).await.expect_status(201);
    }
}

#[actix_web::test]
async fn a_write_that_has_not_begun_in_time_is_never_stored() {
    let app = TestApp::with_config(Database::sqlite(), config(&["--request-timeout", "1"])).await;
    let client = app.organization().await;
    let Target::Sqlite(file) = &app.database.target else { unreachable!() };
    let other = rusqlite::Connection::open(file).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let answer = client.post("/pub/group", &group("Too late")).await.expect_status(503);
    assert_eq!(
        answer.errors(),
        "503 - -: This write took longer than the 1 s that it is given: nothing was stored. Try again after the seconds \
         that Retry-After names, or ask for less at a time."
    );
    assert_eq!(answer.header("retry-after"), "5");
    other.execute_batch("ROLLBACK").unwrap();
    // Writes queue: behind this one, that one would be stored by now.
    client.post("/pub/group", &group("In time")).await.expect_status(201);
    let names = names(&client.get(&groups(&app)).await.expect_status(200));
    assert!(names.contains(&"In time".to_owned()) && !names.contains(&"Too late".to_owned()), "{names:?}");
}

#[actix_web::test]
async fn a_write_that_has_begun_may_be_stored_after_its_time() {
    let Some(database) = Database::postgres() else { return };
    let app = TestApp::with_config(database, config(&["--request-timeout", "1"])).await;
    let client = app.organization().await;
    let Conn::Postgres(mut other) = app.database.connect() else { unreachable!() };
    other.batch_execute("BEGIN; LOCK TABLE groups IN EXCLUSIVE MODE").unwrap();
    let answer = client.post("/pub/group", &group("Late")).await.expect_status(503);
    assert_eq!(
        answer.errors(),
        "503 - -: This write took longer than the 1 s that it is given: it may still be stored, or not. Wait the seconds \
         that Retry-After names and look before you send it again."
    );
    other.batch_execute("ROLLBACK").unwrap();
    for _ in 0..50 {
        if names(&client.get(&groups(&app)).await.expect_status(200)).contains(&"Late".to_owned()) {
            return;
        }
        sleep(Duration::from_millis(50)).await;
    }
    panic!("the write that had begun did not end");
}

fn group(name: &str) -> Value {
    json!({"data": {"type": "group", "attributes": {"name": name}}})
}

fn names(groups: &Response) -> Vec<String> {
    let groups = groups.body["data"].as_array().unwrap();
    groups.iter().map(|group| group["attributes"]["name"].as_str().unwrap().to_owned()).collect()
}
