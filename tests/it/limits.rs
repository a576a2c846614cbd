//! What one request may take: sizes, numbers, depths.

use actix_web::http::Method;

use crate::support::{Client, Response, TestApp, on_each_database};

const PATIENT: &str = "64062e37741e089d927ad224";

fn groups(app: &TestApp) -> String {
    format!("/pub/group?filter[organization]={}", app.demo.organization)
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
