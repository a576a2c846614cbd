//! Asking for a token in vain: what is wrong is said in the form of the request.

use actix_web::http::Method;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::support::{Response, TestApp, config, each, on_each_database};

const JSON_API: &str = "application/vnd.api+json";
const JSON: &str = "application/json";
const FORM: &str = "application/x-www-form-urlencoded";

async fn ask(app: &TestApp, content_type: &str, body: impl Into<Vec<u8>>) -> Response {
    let client = app.anonymous();
    let request = client.request(Method::POST, "/pub/oauth/token").insert_header(("Content-Type", content_type));
    client.send(request.set_payload(body.into())).await
}

async fn ask_by_document(app: &TestApp, attributes: &Value) -> Response {
    ask(app, JSON_API, json!({"data": {"type": "token", "attributes": attributes}}).to_string()).await
}

async fn ask_by_form(app: &TestApp, members: &Value) -> Response {
    let pairs = members.as_object().unwrap().iter().map(|(name, value)| (name, value.as_str().unwrap()));
    ask(app, FORM, form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()).await
}

/// `status code place` of each error, sorted.
fn places(answer: &Response) -> Vec<String> {
    let mut places: Vec<_> = answer.errors().lines().map(|line| line.split_once(": ").unwrap().0.to_owned()).collect();
    places.sort();
    places
}

/// Checks the status, and the `error` of RFC 6749 with a description that it
/// allows, in an answer that nobody may keep.
#[track_caller]
fn assert_plain_error(answer: &Response, status: u16, error: &str) {
    assert_eq!((answer.status, &answer.body["error"]), (status, &json!(error)), "{}", answer.text);
    let description = answer.body["error_description"].as_str().unwrap();
    assert!(description.chars().all(|c| matches!(c, ' '..='~') && !matches!(c, '"' | '\\')), "{description}");
    assert_eq!(answer.header("content-type"), JSON);
    assert_eq!(answer.header("cache-control"), "no-store");
}

/// Credentials that are no good: of a client that is not there, with the secret
/// of another, with none but white space, with the case changed.
fn bad_credentials(app: &TestApp) -> [(String, String); 4] {
    let (id, secret) = (app.demo.client_id.clone(), app.demo.client_secret.clone());
    [
        ("0f6a2c84-9d31-4e57-8b60-c2d5e7f1a394".into(), secret.clone()),
        (id.clone(), app.stranger.client_secret.clone()),
        (id.clone(), " ".into()),
        (id, secret.to_uppercase()),
    ]
}

#[actix_web::test]
async fn unknown_client_and_wrong_secret_are_the_same_401_to_a_document() {
    on_each_database(async |app| {
        for (client_id, client_secret) in bad_credentials(&app) {
            let attributes =
                json!({"grant_type": "client_credentials", "client_id": client_id, "client_secret": client_secret});
            let answer = ask_by_document(&app, &attributes).await.expect_status(401);
            assert_eq!(
                answer.errors(),
                "401 InvalidCredentials -: There is no client of this id and secret, or it was revoked. \
                 Check both with the operator of this server."
            );
            assert_eq!(answer.header("content-type"), JSON_API);
            assert_eq!(answer.header("cache-control"), "no-store");
            assert!(answer.body.get("error").is_none(), "{}", answer.text);
        }
    })
    .await;
}

#[actix_web::test]
async fn unknown_client_and_wrong_secret_are_the_same_invalid_client_to_the_plain_forms() {
    on_each_database(async |app| {
        for (client_id, client_secret) in bad_credentials(&app) {
            let members =
                json!({"grant_type": "client_credentials", "client_id": client_id, "client_secret": client_secret});
            for answer in [ask(&app, JSON, members.to_string()).await, ask_by_form(&app, &members).await] {
                assert_plain_error(&answer, 401, "invalid_client");
                assert_eq!(places(&answer), ["401 InvalidCredentials -"]);
            }
        }
    })
    .await;
}

#[actix_web::test]
async fn another_grant_type_is_409_to_a_document_and_to_flat_json() {
    on_each_database(async |app| {
        for grant_type in ["password", "authorization_code", "", "CLIENT_CREDENTIALS"] {
            let members = json!({
                "grant_type": grant_type,
                "client_id": app.demo.client_id,
                "client_secret": app.demo.client_secret,
            });
            let answer = ask_by_document(&app, &members).await.expect_status(409);
            assert_eq!(
                answer.errors(),
                format!(
                    "409 InvalidGrantType /data/attributes/grant_type: {grant_type:?} is not offered; \
                     the grant types are client_credentials and refresh_token"
                )
            );
            let flat = ask(&app, JSON, members.to_string()).await;
            assert_plain_error(&flat, 409, "unsupported_grant_type");
            assert_eq!(places(&flat), ["409 InvalidGrantType /grant_type"]);
        }
    })
    .await;
}

#[actix_web::test]
async fn another_grant_type_is_400_to_a_form() {
    on_each_database(async |app| {
        let members = json!({
            "grant_type": "password",
            "client_id": app.demo.client_id,
            "client_secret": app.demo.client_secret,
        });
        let answer = ask_by_form(&app, &members).await;
        assert_plain_error(&answer, 400, "unsupported_grant_type");
    })
    .await;
}

#[actix_web::test]
async fn members_that_are_missing_are_named_to_a_document_and_to_flat_json() {
    on_each_database(async |app| {
        let (id, secret) = (&app.demo.client_id, &app.demo.client_secret);
        let credentials = "client_credentials";
        let requests = [
            (json!({"client_id": id, "client_secret": secret}), vec!["grant_type"]),
            (json!({"grant_type": credentials, "client_secret": secret}), vec!["client_id"]),
            (json!({"grant_type": credentials, "client_id": id}), vec!["client_secret"]),
            (json!({"grant_type": credentials, "client_id": id, "client_secret": null}), vec!["client_secret"]),
            (json!({"grant_type": "refresh_token", "client_id": id}), vec!["refresh_token"]),
            (json!({"grant_type": "refresh_token"}), vec!["client_id", "refresh_token"]),
        ];
        for (members, missing) in requests {
            let expected = |place: &str| -> Vec<_> {
                missing.iter().map(|name| format!("409 InvalidBodyParameter {place}/{name}")).collect()
            };
            let answer = ask_by_document(&app, &members).await.expect_status(409);
            assert_eq!(places(&answer), expected("/data/attributes"), "{members}");
            let flat = ask(&app, JSON, members.to_string()).await;
            assert_plain_error(&flat, 409, "invalid_request");
            assert_eq!(places(&flat), expected(""), "{members}");
        }
    })
    .await;
}

#[actix_web::test]
async fn all_members_that_are_missing_are_named_at_once() {
    on_each_database(async |app| {
        let answer = ask_by_document(&app, &json!({"grant_type": "client_credentials"})).await.expect_status(409);
        assert_eq!(
            places(&answer),
            [
                "409 InvalidBodyParameter /data/attributes/client_id",
                "409 InvalidBodyParameter /data/attributes/client_secret",
            ]
        );
    })
    .await;
}

#[actix_web::test]
async fn members_that_are_missing_are_400_to_a_form() {
    on_each_database(async |app| {
        let (id, secret) = (&app.demo.client_id, &app.demo.client_secret);
        let requests = [
            json!({}),
            json!({"client_id": id, "client_secret": secret}),
            json!({"grant_type": "client_credentials", "client_secret": secret}),
            json!({"grant_type": "client_credentials", "client_id": id}),
            json!({"grant_type": "refresh_token", "client_id": id, "refresh_token": ""}),
        ];
        for members in requests {
            assert_plain_error(&ask_by_form(&app, &members).await, 400, "invalid_request");
        }
    })
    .await;
}

#[actix_web::test]
async fn a_member_of_the_wrong_type_is_one_fault_at_its_place() {
    on_each_database(async |app| {
        let attributes = json!({"grant_type": "client_credentials", "client_id": 7, "client_secret": "s3cret"});
        let answer = ask_by_document(&app, &attributes).await.expect_status(409);
        assert_eq!(
            answer.errors(),
            "409 InvalidBodyParameter /data/attributes/client_id: must be a string, not a number"
        );
    })
    .await;
}

#[actix_web::test]
async fn a_body_that_is_no_token_request_is_409_at_the_place_of_the_fault() {
    on_each_database(async |app| {
        let bodies = [
            ("{\"data\": ", ""),
            ("", ""),
            ("[]", ""),
            ("\"client_credentials\"", ""),
            ("{}", "/data"),
            ("{\"data\": null}", "/data"),
            ("{\"data\": []}", "/data"),
            ("{\"data\": {\"type\": \"token\"}}", "/data/attributes"),
            ("{\"data\": {\"type\": \"token\", \"attributes\": 7}}", "/data/attributes"),
        ];
        for (body, place) in bodies {
            let answer = ask(&app, JSON_API, body).await.expect_status(409);
            assert_eq!(places(&answer), [format!("409 InvalidBodyParameter {place}")], "{body}");
            assert_eq!(answer.header("cache-control"), "no-store");
        }
        let members = json!({
            "grant_type": "client_credentials",
            "client_id": app.demo.client_id,
            "client_secret": app.demo.client_secret,
        });
        let other_type = json!({"data": {"type": "session", "attributes": members}});
        let answer = ask(&app, JSON_API, other_type.to_string()).await.expect_status(409);
        assert_eq!(
            answer.errors(),
            "409 InvalidBodyParameter /data/type: \"session\" is not one of token, oauth/token"
        );
    })
    .await;
}

#[actix_web::test]
async fn flat_json_that_cannot_be_read_is_409_invalid_request() {
    on_each_database(async |app| {
        for body in ["{\"grant_type\": ", "", "[]", "7"] {
            assert_plain_error(&ask(&app, JSON, body).await, 409, "invalid_request");
        }
    })
    .await;
}

#[actix_web::test]
async fn characters_that_no_client_has_are_refused_like_any_other() {
    on_each_database(async |app| {
        let client = app.anonymous();
        let request = || client.request(Method::POST, "/pub/oauth/token").insert_header(("Content-Type", FORM));
        let in_form = "grant_type=client_credentials&client_id=a%00b&client_secret=x%00y";
        let in_form = client.send(request().set_payload(in_form)).await;
        let by_basic = request().insert_header(("Authorization", format!("Basic {}", STANDARD.encode("a\0b:x\0y"))));
        let by_basic = client.send(by_basic.set_payload("grant_type=client_credentials")).await;
        for answer in [in_form, by_basic] {
            assert!([400, 401].contains(&answer.status), "{}", answer.text);
        }
        let attributes = json!({"grant_type": "client_credentials", "client_id": "a\0b", "client_secret": "x"});
        let answer = ask_by_document(&app, &attributes).await.expect_status(409);
        assert!(places(&answer).contains(&"409 InvalidBodyParameter /data/attributes/client_id".to_owned()));
    })
    .await;
}

#[actix_web::test]
async fn another_content_type_is_403() {
    on_each_database(async |app| {
        let members = json!({
            "grant_type": "client_credentials",
            "client_id": app.demo.client_id,
            "client_secret": app.demo.client_secret,
        });
        let body = json!({"data": {"type": "token", "attributes": members}}).to_string();
        for content_type in ["text/plain", "multipart/form-data; boundary=x", "application/xml", "text/json", ""] {
            let answer = ask(&app, content_type, body.clone()).await.expect_status(403);
            assert_eq!(
                answer.errors(),
                format!(
                    "403 Forbidden -: The Content-Type {content_type:?} is not taken here. Send \"Content-Type: \
                     application/vnd.api+json\", or application/json."
                )
            );
            assert_eq!(answer.header("cache-control"), "no-store");
        }
        let client = app.anonymous();
        let without = client.request(Method::POST, "/pub/oauth/token").set_payload(body);
        let answer = client.send(without).await.expect_status(403);
        assert_eq!(places(&answer), ["403 Forbidden -"]);
    })
    .await;
}

#[actix_web::test]
async fn an_unknown_include_is_400_in_the_form_of_the_request() {
    on_each_database(async |app| {
        let members = json!({
            "grant_type": "client_credentials",
            "client_id": app.demo.client_id,
            "client_secret": app.demo.client_secret,
        });
        let client = app.anonymous();
        let request = client.request(Method::POST, "/pub/oauth/token?include=patients");
        let flat = request.insert_header(("Content-Type", JSON)).set_payload(members.to_string());
        let answer = client.send(flat).await;
        assert_plain_error(&answer, 400, "invalid_request");
        assert_eq!(places(&answer), ["400 InvalidParameter include"]);
    })
    .await;
}

#[actix_web::test]
async fn a_form_that_is_too_large_is_413_in_the_form_of_the_request() {
    for database in each() {
        let app = TestApp::with_config(database, config(&["--body-limit", "1000"])).await;
        let members = json!({
            "grant_type": "client_credentials",
            "client_id": app.demo.client_id,
            "client_secret": "x".repeat(1000),
        });
        for answer in [ask(&app, JSON, members.to_string()).await, ask_by_form(&app, &members).await] {
            assert_plain_error(&answer, 413, "invalid_request");
            assert_eq!(places(&answer), ["413 - -"]);
        }
    }
}

#[actix_web::test]
async fn nothing_that_the_token_endpoint_answers_may_be_kept() {
    for database in each() {
        let app = TestApp::with_config(database, config(&["--body-limit", "1000"])).await;
        let client = app.anonymous();
        let request = || client.request(Method::POST, "/pub/oauth/token").insert_header(("Content-Type", JSON_API));
        let large = client.send(request().set_payload(" ".repeat(1001))).await.expect_status(413);
        assert_eq!(large.header("cache-control"), "no-store");
        let accept = ("Accept", "application/vnd.api+json; ext=\"https://example.com/ext\"");
        let refused = client.send(request().insert_header(accept).set_payload("{}")).await.expect_status(406);
        assert_eq!(refused.header("cache-control"), "no-store");
    }
}
