//! Request bodies: their media types, sizes and characters, before anybody
//! looks at what they say.

use actix_web::http::Method;
use serde_json::{Value, json};

use crate::support::{Client, Response, TestApp, config, each, on_each_database};

const PATIENT: &str = "64062e37741e089d927ad224";

fn group(bio: &str) -> String {
    json!({"data": {"type": "group", "attributes": {"name": "Night shift", "bio": bio}}}).to_string()
}

async fn post_group(client: &Client, content_type: &str, body: impl Into<Vec<u8>>) -> Response {
    let request = client.request(Method::POST, "/pub/group").insert_header(("Content-Type", content_type));
    client.send(request.set_payload(body.into())).await
}

/// One write of each verb, without a content type.
async fn write_with(client: &Client, content_type: Option<&str>) -> [Response; 3] {
    let patient = json!({"type": "patient", "id": PATIENT, "attributes": {"note": "Reads the small print."}});
    let query = json!({"query": {
        "identifier": {"system": "medical-record-number", "value": "204417"},
        "groups": ["63e1356a741e089d927ad217"],
    }});
    let requests = [
        (Method::POST, "/pub/group".to_owned(), group("Night shift")),
        (Method::PATCH, format!("/pub/patient/{PATIENT}"), json!({"data": patient}).to_string()),
        (Method::PUT, "/pub/patient".to_owned(), json!({"data": patient, "meta": query}).to_string()),
    ];
    let mut answers = Vec::new();
    for (method, path, body) in requests {
        let mut request = client.request(method, &path).set_payload(body);
        if let Some(content_type) = content_type {
            request = request.insert_header(("Content-Type", content_type));
        }
        answers.push(client.send(request).await);
    }
    answers.try_into().unwrap()
}

#[actix_web::test]
async fn writes_take_json_api_and_json_with_the_charset_or_without() {
    on_each_database(async |app| {
        let client = app.organization().await;
        for content_type in [
            "application/vnd.api+json",
            "application/json",
            "application/json; charset=utf-8",
            "application/vnd.api+json; charset=utf-8",
            "application/vnd.api+json;charset=UTF-8",
            "Application/Vnd.Api+JSON; Charset=\"utf-8\"",
        ] {
            let [created, updated, upserted] = write_with(&client, Some(content_type)).await;
            assert_eq!([created.status, updated.status, upserted.status], [201, 200, 200], "{content_type}");
            assert_eq!(created.header("content-type"), "application/vnd.api+json");
        }
    })
    .await;
}

#[actix_web::test]
async fn writes_of_any_other_media_type_are_415() {
    on_each_database(async |app| {
        let client = app.organization().await;
        for content_type in [
            Some("application/vnd.api+json; ext=\"https://example.com/ext\""),
            Some("application/vnd.api+json; profile=x"),
            Some("application/vnd.api+json; charset=utf-8; version=1"),
            Some("application/vnd.api+json; charset=iso-8859-1"),
            Some("text/plain"),
            Some("text/json"),
            Some("application/x-www-form-urlencoded"),
            Some("application/vnd.api"),
            Some(""),
            None,
        ] {
            for answer in write_with(&client, content_type).await {
                let answer = answer.expect_status(415);
                let sent = content_type.unwrap_or_default();
                assert_eq!(
                    answer.errors(),
                    format!(
                        "415 - -: The Content-Type {sent:?} is not taken here. Send \"Content-Type: \
                         application/vnd.api+json\" without parameters, or application/json."
                    )
                );
                assert_eq!(answer.header("content-type"), "application/vnd.api+json");
            }
        }
        let groups = client.get(&format!("/pub/group?filter[organization]={}", app.demo.organization)).await;
        assert_eq!(groups.count(), 4, "nothing was stored");
    })
    .await;
}

#[actix_web::test]
async fn a_body_that_is_too_large_is_413() {
    for database in each() {
        let app = TestApp::with_config(database, config(&["--body-limit", "2000"])).await;
        let client = app.organization().await;
        let fill = |length: usize| group(&"n".repeat(length - group("").len()));
        let expected = "413 - -: The body is larger than the 2000 bytes that this server takes. Send fewer resources \
                        at a time.";

        let answer = post_group(&client, "application/json", fill(2001)).await.expect_status(413);
        assert_eq!(answer.errors(), expected);
        assert_eq!(answer.header("content-type"), "application/vnd.api+json");

        let announced = client.request(Method::POST, "/pub/group").insert_header(("Content-Length", "2001"));
        let announced = announced.insert_header(("Content-Type", "application/json"));
        let answer = client.send(announced).await.expect_status(413);
        assert_eq!(answer.errors(), expected);

        post_group(&client, "application/json", fill(2000)).await.expect_status(201);
    }
}

#[actix_web::test]
async fn a_body_that_is_no_json_is_409() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let bodies: [(&[u8], &str); 10] = [
            (b"", "is empty; a JSON:API document, {\"data\": ...}, is expected"),
            (b" \r\n\t", "is empty; a JSON:API document, {\"data\": ...}, is expected"),
            (b"\xef\xbb\xbf", "is empty; a JSON:API document, {\"data\": ...}, is expected"),
            (b"{\"data\": \xff}", "is not UTF-8: see byte 9"),
            (b"\xff\xfe{\x00}\x00", "is not UTF-8: see byte 0"),
            (b"{\"data\": ", "is not JSON: "),
            (b"{'data': 1}", "is not JSON: "),
            (b"{\"data\": 1,}", "is not JSON: "),
            (b"{} {}", "is not JSON: "),
            (b"data[type]=group", "is not JSON: "),
        ];
        for (body, expected) in bodies {
            let answer = post_group(&client, "application/vnd.api+json", body).await.expect_status(409);
            let errors = answer.errors();
            assert!(errors.starts_with(&format!("409 InvalidBodyParameter : {expected}")), "{errors}");
            assert_eq!(errors.lines().count(), 1, "{errors}");
        }
    })
    .await;
}

#[actix_web::test]
async fn json_that_is_no_document_is_409() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let bodies = [
            ("[]", " : must be an object, not an array"),
            ("7", " : must be an object, not a number"),
            ("\"group\"", " : must be an object, not a string"),
            ("null", " : must be an object, not null"),
            ("{}", " /data: is required"),
            ("{\"data\": null}", " /data: is required"),
            ("{\"data\": 7}", " /data: must be an object, not a number"),
            ("{\"data\": [7]}", " /data/0: must be an object, not a number"),
        ];
        for (body, expected) in bodies {
            let answer = post_group(&client, "application/vnd.api+json", body).await.expect_status(409);
            assert_eq!(answer.errors(), format!("409 InvalidBodyParameter{expected}"), "{body}");
        }
        for deep in ["[".repeat(100_000), format!("{{\"data\": {}", "{\"data\": ".repeat(100_000))] {
            let answer = post_group(&client, "application/vnd.api+json", deep).await.expect_status(409);
            assert!(answer.errors().starts_with("409 InvalidBodyParameter : is not JSON"), "{}", answer.text);
        }
    })
    .await;
}

#[actix_web::test]
async fn a_byte_order_mark_before_the_document_is_passed_over() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let body = format!("\u{feff}{}", group("Größe – 夜勤"));
        let created = post_group(&client, "application/json; charset=utf-8", body).await.expect_status(201);
        assert_eq!(created.body["data"]["attributes"]["bio"], "Größe – 夜勤");
        assert_eq!(created.body["meta"].get("ignored"), None::<&Value>);
    })
    .await;
}
