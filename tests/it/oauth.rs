//! Asking for a token with success: every form of `POST /oauth/token` and what is answered to it.

use actix_web::http::Method;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use retwine::admin::{self, NewClient};
use retwine::auth::Scope;
use retwine::db::Weight;
use retwine::id::Id;
use retwine::jsonapi::Notes;
use serde_json::{Value, json};

use crate::support::{Client, Response, TestApp, config, each, on_each_database};

const TOKEN: &str = "/pub/oauth/token";
const JSON_API: &str = "application/vnd.api+json";
const JSON: &str = "application/json";
const FORM: &str = "application/x-www-form-urlencoded";

/// The id and the secret of a client that an operator typed in.
const AWKWARD: (&str, &str) = ("river clinic/7+ü", "a b+c/d=é");

/// Asks for a token with further headers.
async fn ask_with(app: &TestApp, headers: &[(&str, &str)], body: String) -> Response {
    let client = app.anonymous();
    let request = client.request(Method::POST, TOKEN).set_payload(body);
    client.send(headers.iter().fold(request, |request, header| request.insert_header(*header))).await
}

async fn ask(app: &TestApp, content_type: &str, body: String) -> Response {
    ask_with(app, &[("Content-Type", content_type)], body).await
}

/// The members of a request for the demo's client, changed by `change`.
fn members(app: &TestApp, change: &Value) -> Value {
    let mut members = json!({
        "grant_type": "client_credentials",
        "client_id": app.demo.client_id,
        "client_secret": app.demo.client_secret,
    });
    for (name, value) in change.as_object().unwrap() {
        members[name] = value.clone();
    }
    members
}

fn document(members: &Value) -> String {
    json!({"data": {"type": "token", "attributes": members}}).to_string()
}

/// The members form-encoded, without those that are null.
fn form(members: &Value) -> String {
    let members = members.as_object().unwrap();
    let pairs = members.iter().filter_map(|(name, value)| Some((name, value.as_str()?)));
    form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}

fn basic(credentials: &str) -> String {
    format!("Basic {}", STANDARD.encode(credentials))
}

/// Makes the client with the awkward credentials.
async fn add_awkward_client(app: &TestApp) {
    let organization = Id::parse(&app.demo.organization).unwrap();
    let now = app.app.clock.now();
    let add = move |db: &mut retwine::db::Conn| {
        let scope = Scope { organization, groups: None, client: AWKWARD.0.into(), now, req_id: None };
        let new = NewClient {
            id: AWKWARD.0.to_owned(),
            name: "River clinic".to_owned(),
            secret: AWKWARD.1.to_owned(),
            groups: None,
        };
        admin::Client::add(db, &scope, &new, &Notes::default())
    };
    app.app.pool.write(Weight::Short, add).await.unwrap();
}

/// The status that a token opens the caller's own groups with.
async fn status_with(app: &TestApp, access_token: &Value) -> u16 {
    let client = Client::new(app.clone(), access_token.as_str().map(str::to_owned));
    client.get(&format!("/pub/group?filter[organization]={}", app.demo.organization)).await.status
}

/// Checks that the members of RFC 6749 stand at the top, beside the same ones
/// in the JSON:API document.
fn assert_both_readings(answer: &Response) {
    let mut plain = answer.body["data"]["attributes"].clone();
    plain["scope"] = json!("organization");
    let mut top = answer.body.clone();
    for name in ["meta", "data", "included"] {
        assert!(top.as_object_mut().unwrap().remove(name).is_some(), "{name} is missing");
    }
    assert_eq!(top, plain);
}

#[actix_web::test]
async fn a_document_is_answered_201_with_the_token_as_a_resource_of_the_type_that_was_sent() {
    on_each_database(async |app| {
        let kinds = [(json!("token"), "token"), (json!("oauth/token"), "oauth/token"), (Value::Null, "oauth/token")];
        for content_type in
            [JSON_API, JSON, "application/vnd.api+json; charset=utf-8", "application/json;charset=UTF-8"]
        {
            for (sent, kind) in &kinds {
                let mut body = json!({"data": {"attributes": members(&app, &json!({}))}});
                if !sent.is_null() {
                    body["data"]["type"] = sent.clone();
                }
                let answer = ask(&app, content_type, body.to_string()).await.expect_status(201);
                assert_eq!(answer.header("content-type"), JSON_API);
                assert_eq!(answer.header("cache-control"), "no-store");
                let token = &answer.body["data"];
                let expected = json!({
                    "type": kind,
                    "id": token["id"],
                    "attributes": {
                        "access_token": token["attributes"]["access_token"],
                        "refresh_token": token["attributes"]["refresh_token"],
                        "token_type": "bearer",
                        "expires_in": 3600,
                    },
                    "relationships": {
                        "organization": {
                            "data": {"type": "organization", "id": app.demo.organization},
                            "links": {"related": format!("/pub/oauth/token/{}/organization", answer.id())},
                        },
                        "groups": {
                            "data": [
                                {"type": "group", "id": "63e1356a741e089d927ad217"},
                                {"type": "group", "id": "63e27027741e089d927ad218"},
                                {"type": "group", "id": "643ebbbeb46c643c507ad219"},
                                {"type": "group", "id": "659d8885fa867d8b7c7ad21a"},
                            ],
                            "links": {"related": format!("/pub/oauth/token/{}/groups", answer.id())},
                        },
                    },
                });
                assert_eq!(token, &expected);
                assert!(answer.body.get("access_token").is_none(), "{}", answer.text);
                assert_eq!(status_with(&app, &token["attributes"]["access_token"]).await, 200);
            }
        }
    })
    .await;
}

#[actix_web::test]
async fn flat_json_is_answered_201_in_both_readings() {
    on_each_database(async |app| {
        let answer = ask(&app, JSON, members(&app, &json!({})).to_string()).await.expect_status(201);
        assert_eq!(answer.header("content-type"), JSON);
        assert_eq!(answer.header("cache-control"), "no-store");
        assert_both_readings(&answer);
        assert_eq!(answer.body["data"]["type"], "oauth/token");
        assert_eq!(status_with(&app, &answer.body["access_token"]).await, 200);
    })
    .await;
}

#[actix_web::test]
async fn a_form_with_the_client_in_it_is_answered_200_in_both_readings() {
    on_each_database(async |app| {
        for content_type in [FORM, "application/x-www-form-urlencoded; charset=UTF-8"] {
            let answer = ask(&app, content_type, form(&members(&app, &json!({})))).await.expect_status(200);
            assert_eq!(answer.header("content-type"), JSON);
            assert_eq!(answer.header("cache-control"), "no-store");
            assert_both_readings(&answer);
            assert_eq!(status_with(&app, &answer.body["access_token"]).await, 200);
        }
    })
    .await;
}

#[actix_web::test]
async fn the_plain_forms_are_answered_as_json_api_when_accept_asks_for_it() {
    on_each_database(async |app| {
        let accepted = [
            ("application/vnd.api+json", JSON_API),
            ("application/json, application/vnd.api+json;q=0.9", JSON_API),
            ("application/json", JSON),
            ("*/*", JSON),
        ];
        for (accept, expected) in accepted {
            let flat = members(&app, &json!({})).to_string();
            for (content_type, body) in [(JSON, flat), (FORM, form(&members(&app, &json!({}))))] {
                let answer = ask_with(&app, &[("Content-Type", content_type), ("Accept", accept)], body).await;
                assert_eq!(answer.header("content-type"), expected, "{content_type} accepting {accept}");
                assert_both_readings(&answer);
            }
        }
    })
    .await;
}

#[actix_web::test]
async fn http_basic_is_read_raw_percent_encoded_and_plus_encoded() {
    on_each_database(async |app| {
        add_awkward_client(&app).await;
        let encoded = [
            format!("{}:{}", AWKWARD.0, AWKWARD.1),
            "river%20clinic%2F7%2B%C3%BC:a%20b%2Bc%2Fd%3D%C3%A9".to_owned(),
            "river+clinic%2F7%2B%C3%BC:a+b%2Bc%2Fd%3D%C3%A9".to_owned(),
        ];
        for credentials in encoded {
            let headers = [("Content-Type", FORM), ("Authorization", &*basic(&credentials))];
            let answer = ask_with(&app, &headers, "grant_type=client_credentials".into()).await.expect_status(200);
            assert_eq!(status_with(&app, &answer.body["access_token"]).await, 200, "{credentials}");
        }
    })
    .await;
}

#[actix_web::test]
async fn awkward_credentials_are_read_from_every_body() {
    on_each_database(async |app| {
        add_awkward_client(&app).await;
        let members = members(&app, &json!({"client_id": AWKWARD.0, "client_secret": AWKWARD.1}));
        ask(&app, JSON_API, document(&members)).await.expect_status(201);
        ask(&app, JSON, members.to_string()).await.expect_status(201);
        ask(&app, FORM, form(&members)).await.expect_status(200);
    })
    .await;
}

#[actix_web::test]
async fn a_secret_that_an_operator_chose_works_as_well() {
    on_each_database(async |app| {
        add_awkward_client(&app).await;
        let members = members(&app, &json!({"client_id": AWKWARD.0, "client_secret": AWKWARD.1}));
        let answer = ask(&app, JSON, members.to_string()).await.expect_status(201);
        assert_eq!(status_with(&app, &answer.body["access_token"]).await, 200);
    })
    .await;
}

#[actix_web::test]
async fn http_basic_may_be_repeated_by_the_form_and_must_be_right() {
    on_each_database(async |app| {
        let right = basic(&format!("{}:{}", app.demo.client_id, app.demo.client_secret));
        let id_again = form(&members(&app, &json!({"client_secret": null})));
        ask_with(&app, &[("Content-Type", FORM), ("Authorization", &right)], id_again).await.expect_status(200);
        let all_again = form(&members(&app, &json!({})));
        let lower = right.replace("Basic", "basic");
        ask_with(&app, &[("Content-Type", FORM), ("Authorization", &lower)], all_again).await.expect_status(200);

        let wrong = basic(&format!("{}:{}", app.demo.client_id, app.stranger.client_secret));
        let headers = [("Content-Type", FORM), ("Authorization", &*wrong)];
        let answer = ask_with(&app, &headers, "grant_type=client_credentials".into()).await.expect_status(401);
        assert_eq!(answer.body["error"], "invalid_client");
        assert!(answer.header("www-authenticate").starts_with("Basic"), "RFC 6749 wants the scheme named");
    })
    .await;
}

#[actix_web::test]
async fn an_old_bearer_token_is_not_looked_at() {
    on_each_database(async |app| {
        let members = members(&app, &json!({}));
        for header in ["Bearer undefined", "bearer 00000000-0000-4000-8000-000000000000", "Bearer", "undefined"] {
            let bodies = [(JSON_API, document(&members)), (JSON, members.to_string()), (FORM, form(&members))];
            for (content_type, body) in bodies {
                let answer = ask_with(&app, &[("Content-Type", content_type), ("Authorization", header)], body).await;
                assert!([200, 201].contains(&answer.status), "{header} with {content_type}: {}", answer.text);
            }
        }
    })
    .await;
}

#[actix_web::test]
async fn the_token_endpoint_is_served_without_pub_too() {
    on_each_database(async |app| {
        let client = app.anonymous();
        let members = members(&app, &json!({}));
        let bodies =
            [(JSON_API, document(&members), 201), (JSON, members.to_string(), 201), (FORM, form(&members), 200)];
        for (content_type, body, status) in bodies {
            for path in ["/oauth/token", "//oauth/token/", "/pub/oauth/token/", "//pub//oauth//token"] {
                let request = client.request(Method::POST, path).insert_header(("Content-Type", content_type));
                let answer = client.send(request.set_payload(body.clone())).await.expect_status(status);
                assert_eq!(status_with(&app, &answer.body["data"]["attributes"]["access_token"]).await, 200);
            }
        }
    })
    .await;
}

#[actix_web::test]
async fn the_lifetime_of_a_token_is_configured() {
    for database in each() {
        let app = TestApp::with_config(database, config(&["--token-lifetime", "90"])).await;
        let answer = ask(&app, JSON, members(&app, &json!({})).to_string()).await.expect_status(201);
        assert_eq!(answer.body["expires_in"], 90);
        app.advance(89);
        assert_eq!(status_with(&app, &answer.body["access_token"]).await, 200);
        app.advance(1);
        assert_eq!(status_with(&app, &answer.body["access_token"]).await, 401);
    }
}

#[actix_web::test]
async fn include_sends_groups_and_organization_along() {
    on_each_database(async |app| {
        let body = document(&members(&app, &json!({})));
        let groups = [
            "63e1356a741e089d927ad217",
            "63e27027741e089d927ad218",
            "643ebbbeb46c643c507ad219",
            "659d8885fa867d8b7c7ad21a",
        ];
        let groups = groups.map(|id| format!("group {id}")).to_vec();
        let organization = vec![format!("organization {}", app.demo.organization)];
        let mut both = [groups.clone(), organization.clone()].concat();
        both.sort();
        let expectations = [
            ("", Vec::new()),
            ("?include=", Vec::new()),
            ("?include=groups", groups),
            ("?include=organization", organization),
            ("?include=groups,organization", both.clone()),
            ("?include=organization%2Cgroups,groups", both),
        ];
        for (query, expected) in expectations {
            let client = app.anonymous();
            let request = client.request(Method::POST, &format!("{TOKEN}{query}"));
            let request = request.insert_header(("Content-Type", JSON_API)).set_payload(body.clone());
            let answer = client.send(request).await.expect_status(201);
            let resource = |resource: &Value| {
                format!("{} {}", resource["type"].as_str().unwrap(), resource["id"].as_str().unwrap())
            };
            let mut included: Vec<_> = answer.body["included"].as_array().unwrap().iter().map(resource).collect();
            included.sort();
            assert_eq!(included, expected, "{query}");
        }
    })
    .await;
}

#[actix_web::test]
async fn parameters_that_the_token_endpoint_does_not_know_are_refused_or_ignored_by_their_name() {
    on_each_database(async |app| {
        let body = document(&members(&app, &json!({})));
        let client = app.anonymous();
        let post = async |query: &str| {
            let request = client.request(Method::POST, &format!("{TOKEN}?{query}"));
            client.send(request.insert_header(("Content-Type", JSON_API)).set_payload(body.clone())).await
        };
        let refused = post("include=patients,groups&expand=all").await.expect_status(400);
        assert_eq!(
            refused.errors(),
            "400 InvalidParameter include: \"patients\" cannot be included here; groups, organization can\n\
             400 InvalidParameter expand: is not a parameter of this operation; leave it out"
        );
        assert_eq!(refused.header("cache-control"), "no-store");
        post("_=1&utm_source=mail&cacheBust=7").await.expect_status(201);
    })
    .await;
}
