//! What a client reads when it is refused, to the letter: the whole error
//! document of each kind, which says what was wrong and what would be right.

use actix_web::http::Method;
use serde_json::{Value, json};

use crate::support::{Response, TestApp, config, each, on_each_database};

/// Fails the test unless this is the whole answer.
#[track_caller]
fn expect(mut answer: Response, status: u16, errors: &Value) {
    assert_eq!(answer.status, status, "{}", answer.text);
    assert_eq!(answer.header("content-type"), "application/vnd.api+json");
    let req_id = answer.body["meta"]["req_id"].take();
    assert_eq!(answer.header("x-request-id"), req_id);
    assert_eq!(answer.body, json!({"meta": {"req_id": null}, "errors": errors}));
}

/// A request for a token with these credentials.
async fn ask_for_token(app: &TestApp, attributes: Value) -> Response {
    let body = json!({"data": {"type": "token", "attributes": attributes}});
    app.anonymous().post("/pub/oauth/token", &body).await
}

#[actix_web::test]
async fn unauthorized_without_a_token() {
    on_each_database(async |app| {
        let answer = app.anonymous().get("/pub/patient").await;
        assert_eq!(answer.header("www-authenticate"), "Bearer");
        let detail = "A bearer token is required: send the header \"Authorization: Bearer <access_token>\" with a token \
                      from POST /pub/oauth/token.";
        expect(answer, 401, &json!([
            {"status": "401", "code": "Unauthorized", "title": "Unauthorized", "detail": detail}
        ]));
    })
    .await;
}

#[actix_web::test]
async fn unauthorized_with_a_header_that_is_none() {
    on_each_database(async |app| {
        let client = app.anonymous();
        let request = client.request(Method::GET, "/pub/patient").insert_header(("Authorization", "Token 8f14e45f"));
        let answer = client.send(request).await;
        let detail = "The Authorization header is not of the form \"Authorization: Bearer <access_token>\".";
        expect(
            answer,
            401,
            &json!([
                {"status": "401", "code": "Unauthorized", "title": "Unauthorized", "detail": detail}
            ]),
        );
    })
    .await;
}

#[actix_web::test]
async fn unauthorized_with_an_unknown_token() {
    on_each_database(async |app| {
        let mut client = app.anonymous();
        client.token = Some("undefined".to_owned());
        let detail = "The bearer token is unknown or was revoked. Get one from POST /pub/oauth/token.";
        expect(
            client.get("/pub/patient").await,
            401,
            &json!([
                {"status": "401", "code": "Unauthorized", "title": "Unauthorized", "detail": detail}
            ]),
        );
    })
    .await;
}

#[actix_web::test]
async fn unauthorized_with_an_expired_token() {
    on_each_database(async |app| {
        let client = app.organization().await;
        app.advance(3600);
        let detail = "The bearer token has expired. Get a new one from POST /pub/oauth/token, with the refresh token or \
                      the client's credentials.";
        expect(client.get("/pub/patient").await, 401, &json!([
            {"status": "401", "code": "Unauthorized", "title": "Unauthorized", "detail": detail}
        ]));
    })
    .await;
}

#[actix_web::test]
async fn invalid_credentials() {
    on_each_database(async |app| {
        let (id, grant) = (&app.demo.client_id, "client_credentials");
        let detail = "There is no client of this id and secret, or it was revoked. Check both with the operator of this \
                      server.";
        let unknown = "8f14e45f-ceea-4e7a-9c1d-3f2b1a0d9c8e";
        for (id, secret) in [(id.as_str(), unknown), (unknown, &app.demo.client_secret)] {
            let credentials = json!({"grant_type": grant, "client_id": id, "client_secret": secret});
            expect(ask_for_token(&app, credentials).await, 401, &json!([
                {"status": "401", "code": "InvalidCredentials", "title": "Invalid credentials", "detail": detail}
            ]));
        }
        let detail = "The refresh token is unknown, expired, revoked or was used before. Each works once; get a new \
                      token with the grant type client_credentials.";
        let spent = json!({"grant_type": "refresh_token", "client_id": id, "refresh_token": unknown});
        expect(ask_for_token(&app, spent).await, 401, &json!([
            {"status": "401", "code": "InvalidCredentials", "title": "Invalid credentials", "detail": detail}
        ]));
    })
    .await;
}

#[actix_web::test]
async fn invalid_grant_type() {
    on_each_database(async |app| {
        let (id, secret) = (&app.demo.client_id, &app.demo.client_secret);
        let asked = json!({"grant_type": "password", "client_id": id, "client_secret": secret});
        expect(
            ask_for_token(&app, asked).await,
            409,
            &json!([{
                "status": "409", "code": "InvalidGrantType", "title": "Invalid grant type",
                "detail": "/data/attributes/grant_type: \"password\" is not offered; the grant types are client_credentials and refresh_token",
                "source": {"pointer": "/data/attributes/grant_type"}
            }]),
        );
    })
    .await;
}

#[actix_web::test]
async fn forbidden_outside_the_scope() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let uri = format!("/pub/patient?filter[organization]={}", app.stranger.organization);
        expect(client.get(&uri).await, 403, &json!([{
            "status": "403", "code": "Forbidden", "title": "Forbidden",
            "detail": "filter[organization]: this organization is not within the scope of the token; see the token's own relationships for \
                       those that are",
            "source": {"parameter": "filter[organization]"}
        }]));
        let groups = json!({"data": [{"type": "group", "id": app.demo.group}, {"type": "group", "id": app.stranger.group}]});
        let body = json!({"data": {"type": "patient", "relationships": {"groups": groups}}});
        expect(client.post("/pub/patient", &body).await, 403, &json!([{
            "status": "403", "code": "Forbidden", "title": "Forbidden",
            "detail": "/data/relationships/groups/data/1/id: this group is not within the scope of the token; see the token's own relationships for those that are",
            "source": {"pointer": "/data/relationships/groups/data/1/id"}
        }]));
    })
    .await;
}

#[actix_web::test]
async fn forbidden_to_choose_an_id() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let groups = json!({"data": [{"type": "group", "id": app.demo.group}]});
        let body = json!({"data": {"type": "patient", "id": "17", "relationships": {"groups": groups}}});
        expect(
            client.post("/pub/patient", &body).await,
            403,
            &json!([{
                "status": "403", "code": "Forbidden", "title": "Forbidden",
                "detail": "/data/id: must be left out: the server gives a new resource its id",
                "source": {"pointer": "/data/id"}
            }]),
        );
    })
    .await;
}

#[actix_web::test]
async fn forbidden_media_type_of_a_request_for_a_token() {
    on_each_database(async |app| {
        let client = app.anonymous();
        let request = client.request(Method::POST, "/pub/oauth/token").insert_header(("Content-Type", "text/plain"));
        expect(client.send(request.set_payload("secret")).await, 403, &json!([{
            "status": "403", "code": "Forbidden", "title": "Forbidden",
            "detail": "The Content-Type \"text/plain\" is not taken here. Send \"Content-Type: application/vnd.api+json\", \
                       or application/json."
        }]));
    })
    .await;
}

#[actix_web::test]
async fn resource_not_found() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let detail = "There is no such resource, or it is not within the scope of this token; check the path and the id \
                      in it.";
        for path in ["/pub/patient/65ffffffffffffffffffffff", "/pub/patient/17", "/pub/weather", "/pub", "/", "/patient"] {
            expect(client.get(path).await, 404, &json!([
                {"status": "404", "code": "ResourceNotFound", "title": "Resource not found", "detail": detail}
            ]));
        }
    })
    .await;
}

#[actix_web::test]
async fn invalid_parameter_of_each_kind_at_once() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let uri = format!(
            "/pub/patient?filter[organization]={}&filter[archived]=maybe&filter[created_at]=2026-01-01..&page[size]=51\
             &filter[weather]=rain&filter[identifier][system]=ward-book",
            app.demo.organization
        );
        let error = |parameter: &str, detail: &str| {
            json!({"status": "409", "code": "InvalidParameter", "title": "Invalid parameter",
                "detail": format!("{parameter}: {detail}"), "source": {"parameter": parameter}})
        };
        expect(
            client.get(&uri).await,
            409,
            &json!([
                error(
                    "filter[identifier][system]",
                    "has no meaning without filter[identifier][value]; send both or neither"
                ),
                error("filter[archived]", "\"maybe\" is neither true nor false"),
                error(
                    "filter[created_at]",
                    "\"2026-01-01\" is not an RFC 3339 instant with an offset, such as 2026-01-31T08:30:00Z"
                ),
                error("page[size]", "\"51\" is not a whole number from 0 to 50"),
                error(
                    "filter[weather]",
                    "is not a filter of this resource, which knows filter[organization], filter[groups], \
                 filter[identifier][system], filter[identifier][value], filter[archived], filter[created_at], \
                 filter[updated_at]"
                ),
            ]),
        );
    })
    .await;
}

#[actix_web::test]
async fn invalid_parameter_where_a_filter_is_missing() {
    on_each_database(async |app| {
        let client = app.organization().await;
        expect(
            client.get("/pub/patient").await,
            409,
            &json!([{
                "status": "409", "code": "InvalidParameter", "title": "Invalid parameter",
                "detail": "filter[groups]: one of filter[groups], filter[organization] is required",
                "source": {"parameter": "filter[groups]"}
            }]),
        );
    })
    .await;
}

#[actix_web::test]
async fn invalid_parameter_that_names_nothing() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let uri = format!("/pub/patient_health_metric?filter[patient]={}", app.demo.group);
        expect(
            client.get(&uri).await,
            409,
            &json!([{
                "status": "409", "code": "InvalidParameter", "title": "Invalid parameter",
                "detail": "filter[patient]: there is no patient of this id within the scope of the token",
                "source": {"parameter": "filter[patient]"}
            }]),
        );
    })
    .await;
}

#[actix_web::test]
async fn unsupported_sort_and_include() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let error = |parameter: &str, detail: &str| {
            json!({"status": "400", "code": "InvalidParameter", "title": "Unsupported parameter",
                "detail": format!("{parameter}: {detail}"), "source": {"parameter": parameter}})
        };
        let uri = format!("/pub/patient?filter[organization]={}&sort=age", app.demo.organization);
        let detail = "\"age\" cannot be sorted by here; created_at, updated_at, last_name, first_name can";
        expect(client.get(&uri).await, 400, &json!([error("sort", detail)]));
        let body = json!({"data": {"type": "token", "attributes": {"grant_type": "client_credentials",
            "client_id": app.demo.client_id, "client_secret": app.demo.client_secret}}});
        let answer = client.post("/pub/oauth/token?include=groups,weather", &body).await;
        expect(
            answer,
            400,
            &json!([error("include", "\"weather\" cannot be included here; groups, organization can")]),
        );
    })
    .await;
}

#[actix_web::test]
async fn unsupported_parameter() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let uri = format!("/pub/patient?filter[organization]={}&colour=blue&_=17", app.demo.organization);
        expect(
            client.get(&uri).await,
            400,
            &json!([{
                "status": "400", "code": "InvalidParameter", "title": "Unsupported parameter",
                "detail": "colour: is not a parameter of this operation; leave it out",
                "source": {"parameter": "colour"}
            }]),
        );
    })
    .await;
}

#[actix_web::test]
async fn invalid_body_parameter_in_each_of_several_resources() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let first = json!({"type": "patients", "attributes": {
            "gender": "f", "birth_date": "1.4.1970", "last_name": 7, "phone_numbers": [{"type": "cell"}]}});
        let second = json!({"type": "patient", "attributes": "none", "relationships": {"groups": {"data": []}}});
        let error = |pointer: &str, detail: &str| {
            json!({"status": "409", "code": "InvalidBodyParameter", "title": "Invalid body parameter",
                "detail": format!("{pointer}: {detail}"), "source": {"pointer": pointer}})
        };
        expect(
            client.post("/pub/patient", &json!({"data": [first, second]})).await,
            409,
            &json!([
                error("/data/0/type", "\"patients\" does not belong here; the type must be \"patient\""),
                error("/data/0/attributes/last_name", "must be a string, not a number"),
                error(
                    "/data/0/attributes/phone_numbers/0/type",
                    "\"cell\" is not one of home, work, mobile, home-fax, work-fax, other"
                ),
                error("/data/0/attributes/phone_numbers/0/value", "is required"),
                error("/data/0/attributes/birth_date", "\"1.4.1970\" is not a date in the form YYYY-MM-DD"),
                error("/data/0/attributes/gender", "\"f\" is not one of male, female, other"),
                error("/data/0/relationships/groups", "is required"),
                error("/data/1/attributes", "must be an object, not a string"),
                error("/data/1/relationships/groups", "must not be empty: a patient belongs to at least one group"),
            ]),
        );
    })
    .await;
}

#[actix_web::test]
async fn invalid_body() {
    on_each_database(async |app| {
        let client = app.organization().await;
        for (body, pointer, detail) in [
            ("", "", "the body is empty; a JSON:API document, {\"data\": ...}, is expected"),
            ("{\"data\": ", "", "the body is not JSON: EOF while parsing a value at line 1 column 9"),
            ("[]", "", "the body must be an object, not an array"),
            ("{}", "/data", "/data: is required"),
        ] {
            let request =
                client.request(Method::POST, "/pub/group").insert_header(("Content-Type", "application/json"));
            expect(
                client.send(request.set_payload(body)).await,
                409,
                &json!([{
                    "status": "409", "code": "InvalidBodyParameter", "title": "Invalid body parameter",
                    "detail": detail, "source": {"pointer": pointer}
                }]),
            );
        }
    })
    .await;
}

#[actix_web::test]
async fn method_not_allowed() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let answer = client.send(client.request(Method::DELETE, "/pub/patient/64062e37741e089d927ad224")).await;
        assert_eq!(answer.header("allow"), "GET, HEAD, PATCH");
        expect(
            answer,
            405,
            &json!([{
                "status": "405", "title": "Method not allowed",
                "detail": "This path does not take DELETE; it takes GET, HEAD, PATCH."
            }]),
        );
    })
    .await;
}

#[actix_web::test]
async fn not_acceptable() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let accept = ("Accept", "application/vnd.api+json; ext=bulk, application/vnd.api+json; profile=x");
        let answer = client.send(client.request(Method::GET, "/pub/patient").insert_header(accept)).await;
        expect(answer, 406, &json!([{
            "status": "406", "title": "Not acceptable",
            "detail": "Answers are application/vnd.api+json without parameters; send \"Accept: application/vnd.api+json\" \
                       or leave the header out."
        }]));
    })
    .await;
}

#[actix_web::test]
async fn payload_too_large_whether_or_not_it_was_announced() {
    for database in each() {
        let app = TestApp::with_config(database, config(&["--body-limit", "300"])).await;
        let client = app.organization().await;
        let body = json!({"data": {"type": "group", "attributes": {"name": "Night shift", "bio": "z".repeat(300)}}});
        for announced in [None, Some(("Content-Length", body.to_string().len()))] {
            let request =
                client.request(Method::POST, "/pub/group").insert_header(("Content-Type", "application/json"));
            let request = announced.into_iter().fold(request, |request, length| request.insert_header(length));
            expect(
                client.send(request.set_payload(body.to_string())).await,
                413,
                &json!([{
                    "status": "413", "title": "Payload too large",
                    "detail": "The body is larger than the 300 bytes that this server takes. Send fewer resources at a time."
                }]),
            );
        }
    }
}

#[actix_web::test]
async fn unsupported_media_type() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let request = client.request(Method::POST, "/pub/group").insert_header(("Content-Type", "text/plain"));
        expect(client.send(request.set_payload("{}")).await, 415, &json!([{
            "status": "415", "title": "Unsupported media type",
            "detail": "The Content-Type \"text/plain\" is not taken here. Send \"Content-Type: application/vnd.api+json\" \
                       without parameters, or application/json."
        }]));
    })
    .await;
}
