//! What holds of every request and every answer, whatever it is about: tokens,
//! paths, parameters, and how answers are sent.

use std::collections::HashSet;

use actix_web::dev::Decompress;
use actix_web::http::Method;
use actix_web::http::header::ContentEncoding;
use actix_web::test::{init_service, read_body};
use actix_web::web::Bytes;
use futures_util::{StreamExt, stream};
use serde_json::{Value, json};

use crate::support::{Client, Response, TestApp, on_each_database};

const JSON_API: &str = "application/vnd.api+json";

/// The groups of the demo organization.
fn groups(app: &TestApp) -> String {
    format!("/pub/group?filter[organization]={}", app.demo.organization)
}

/// GET with one more header.
async fn get_with(client: &Client, path: &str, header: (&str, &str)) -> Response {
    client.send(client.request(Method::GET, path).insert_header(header)).await
}

#[actix_web::test]
async fn without_a_token_the_answer_says_which_header_is_expected() {
    on_each_database(async |app| {
        let body = json!({"data": {"type": "group", "attributes": {"name": "Night shift"}}});
        let client = app.anonymous();
        for answer in [client.get(&groups(&app)).await, client.post("/pub/group", &body).await] {
            let answer = answer.expect_status(401);
            assert_eq!(
                answer.errors(),
                "401 Unauthorized -: A bearer token is required: send the header \"Authorization: Bearer \
                 <access_token>\" with a token from POST /pub/oauth/token."
            );
            assert_eq!(answer.header("www-authenticate"), "Bearer");
        }
    })
    .await;
}

#[actix_web::test]
async fn a_token_that_is_malformed_or_unknown_is_refused_with_401() {
    on_each_database(async |app| {
        let malformed = "401 Unauthorized -: The Authorization header is not of the form \"Authorization: Bearer \
                         <access_token>\".";
        let unknown =
            "401 Unauthorized -: The bearer token is unknown or was revoked. Get one from POST /pub/oauth/token.";
        let good = app.organization().await.token.unwrap();
        let headers = [
            (String::new(), malformed),
            ("Bearer".into(), malformed),
            ("Bearer ".into(), malformed),
            (good.clone(), malformed),
            (format!("Token {good}"), malformed),
            ("Basic dXNlcjpwYXNz".into(), malformed),
            ("Bearer undefined".into(), unknown),
            ("Bearer 8c1d5f70-2b94-4e63-a7f8-90e1b3d6c425".into(), unknown),
            (format!("Bearer {good}{good}"), unknown),
        ];
        for (header, expected) in headers {
            let answer = get_with(&app.anonymous(), &groups(&app), ("Authorization", &header)).await;
            let answer = answer.expect_status(401);
            assert_eq!(answer.errors(), expected, "{header:?}");
            assert_eq!(answer.header("www-authenticate"), "Bearer");
        }
    })
    .await;
}

#[actix_web::test]
async fn the_word_bearer_may_be_in_any_case() {
    on_each_database(async |app| {
        let token = app.organization().await.token.unwrap();
        for scheme in ["Bearer", "bearer", "BEARER", "bEaReR", "Bearer "] {
            let header = format!("{scheme} {token}");
            get_with(&app.anonymous(), &groups(&app), ("Authorization", &header)).await.expect_status(200);
        }
    })
    .await;
}

#[actix_web::test]
async fn slashes_that_are_repeated_or_trailing_change_nothing() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let query = format!("?filter[organization]={}&page[size]=2", app.demo.organization);
        let expected = client.get(&format!("/pub/patient{query}")).await.expect_status(200);
        for path in ["/pub/patient/", "//pub//patient", "/pub//patient///", "///pub/patient//"] {
            let answer = client.get(&format!("{path}{query}")).await.expect_status(200);
            assert_eq!(answer.body["data"], expected.body["data"], "{path}");
            assert_eq!(answer.body["links"], expected.body["links"], "{path}");
        }
        let id = &expected.ids()[0];
        let groups = client.get(&format!("/pub/patient/{id}/groups")).await.expect_status(200);
        let again = client.get(&format!("//pub//patient//{id}//groups//")).await.expect_status(200);
        assert_eq!(again.body["data"], groups.body["data"]);

        for (path, name) in
            [("//pub//group", "Night shift"), ("/pub/group/", "Day shift"), ("/pub//group//", "Weekends")]
        {
            let body = json!({"data": {"type": "group", "attributes": {"name": name}}});
            let created = client.post(path, &body).await.expect_status(201);
            assert_eq!(created.body["data"]["attributes"]["name"], name);
        }
    })
    .await;
}

#[actix_web::test]
async fn an_unknown_path_is_404_and_so_is_an_id_of_another_form() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let not_found =
            "404 ResourceNotFound -: There is no such resource, or it is not within the scope of this token; check the path and the id in it.";
        let known = &app.demo.group;
        let paths = [
            "/".to_owned(),
            "/pub".into(),
            "/pub/".into(),
            "/group".into(),
            "/pub/grou".into(),
            "/pub/Group".into(),
            "/pub/group/1".into(),
            "/pub/group/undefined".into(),
            format!("/pub/group/{}", known.to_uppercase()),
            format!("/pub/group/{known}0"),
            format!("/pub/group/{known}%20"),
            "/pub/group/%00".into(),
            "/pub/group/%ff".into(),
            format!("/pub/group/{known}/nothing"),
        ];
        for path in paths {
            let answer = client.get(&path).await.expect_status(404);
            assert_eq!(answer.errors(), not_found, "{path}");
            assert_eq!(answer.header("content-type"), JSON_API, "{path}");
            assert_eq!(answer.body["meta"]["req_id"], answer.header("x-request-id"), "{path}");
        }
    })
    .await;
}

#[actix_web::test]
async fn a_method_that_a_path_does_not_have_is_405_with_those_that_it_has() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let requests = [
            (Method::PUT, "/pub/group".to_owned(), "GET HEAD POST"),
            (Method::DELETE, format!("/pub/group/{}", app.demo.group), "GET HEAD"),
            (Method::GET, "/pub/oauth/token".into(), "POST"),
            (Method::GET, "/oauth/token".into(), "POST"),
            (Method::POST, "/pub/patient/64062e37741e089d927ad224".into(), "GET HEAD PATCH"),
        ];
        for (method, path, allowed) in requests {
            let answer = client.send(client.request(method.clone(), &path)).await.expect_status(405);
            let mut allow: Vec<_> = answer.header("allow").split(", ").collect();
            allow.sort_unstable();
            assert_eq!(allow.join(" "), allowed, "{method} {path}");
            assert!(answer.errors().starts_with("405 - -: "), "{}", answer.text);
            assert_eq!(answer.header("content-type"), JSON_API);
        }
    })
    .await;
}

#[actix_web::test]
async fn get_may_carry_any_content_type() {
    on_each_database(async |app| {
        let client = app.organization().await;
        for content_type in [JSON_API, "application/json", "text/plain", "application/vnd.api+json; ext=x", ""] {
            get_with(&client, &groups(&app), ("Content-Type", content_type)).await.expect_status(200);
        }
    })
    .await;
}

#[actix_web::test]
async fn the_content_type_of_answers_has_no_parameters_whatever_accept_says() {
    on_each_database(async |app| {
        let client = app.organization().await;
        for accept in [
            "*/*",
            "application/json",
            "text/html, application/xhtml+xml",
            "application/vnd.api+json; charset=utf-8, */*",
            "application/vnd.api+json;ext=x, application/vnd.api+json",
            "application/vnd.api+json;q=0.8",
            "application/vnd.api+json; q=1.0, application/vnd.api+json; ext=x",
            "nonsense",
            "",
        ] {
            let expectations = [
                (groups(&app), 200),
                ("/pub/group".into(), 409),
                ("/pub/group/1".into(), 404),
                ("/nothing".into(), 404),
            ];
            for (path, status) in expectations {
                let answer = get_with(&client, &path, ("Accept", accept)).await.expect_status(status);
                assert_eq!(answer.header("content-type"), JSON_API, "{accept} for {path}");
            }
        }
    })
    .await;
}

#[actix_web::test]
async fn accept_with_nothing_but_parametrised_json_api_is_406() {
    on_each_database(async |app| {
        let client = app.organization().await;
        for accept in [
            "application/vnd.api+json; ext=\"https://example.com/ext\"",
            "application/vnd.api+json;profile=x",
            "Application/Vnd.Api+Json; charset=utf-8",
            "application/vnd.api+json; ext=x; q=0.5, application/vnd.api+json; profile=y",
        ] {
            let answer = get_with(&client, &groups(&app), ("Accept", accept)).await.expect_status(406);
            assert_eq!(
                answer.errors(),
                "406 - -: Answers are application/vnd.api+json without parameters; send \"Accept: \
                 application/vnd.api+json\" or leave the header out."
            );
            assert_eq!(answer.header("content-type"), JSON_API);
        }
    })
    .await;
}

#[actix_web::test]
async fn every_answer_has_a_fresh_request_id_in_its_header_and_its_meta() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let body = json!({"data": {"type": "group", "attributes": {"name": "Night shift"}}});
        let answers = [
            client.get(&groups(&app)).await.expect_status(200),
            client.get(&groups(&app)).await.expect_status(200),
            get_with(&client, &groups(&app), ("X-Request-Id", "8c1d5f70-2b94-4e63-a7f8-90e1b3d6c425")).await,
            client.post("/pub/group", &body).await.expect_status(201),
            client.post("/pub/group", &Value::Null).await.expect_status(409),
            client.get("/pub/group").await.expect_status(409),
            client.get("/pub/group/1").await.expect_status(404),
            client.get("/nothing").await.expect_status(404),
            client.put("/pub/group", &body).await.expect_status(405),
            app.anonymous().get(&groups(&app)).await.expect_status(401),
            app.anonymous().post("/pub/oauth/token", &body).await.expect_status(409),
        ];
        let ids = answers.each_ref().map(|answer| answer.header("x-request-id"));
        for (answer, id) in answers.iter().zip(ids) {
            assert_eq!(uuid::Uuid::parse_str(id).unwrap().get_version_num(), 4);
            assert_eq!(answer.body["meta"]["req_id"], id);
        }
        assert_eq!(ids.iter().collect::<HashSet<_>>().len(), ids.len());
        assert!(!ids.contains(&"8c1d5f70-2b94-4e63-a7f8-90e1b3d6c425"));
    })
    .await;
}

#[actix_web::test]
async fn brackets_may_be_literal_or_percent_encoded_and_are_literal_in_links() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let organization = &app.demo.organization;
        let literal = client
            .get(&format!("/pub/patient?filter[organization]={organization}&page[number]=2&page[size]=3"))
            .await
            .expect_status(200);
        let encoded = client
            .get(&format!("/pub/patient?filter%5Borganization%5D={organization}&page%5bnumber%5d=2&page[size%5D=3"))
            .await
            .expect_status(200);
        assert_eq!(encoded.body["data"], literal.body["data"]);
        assert_eq!(encoded.body["links"], literal.body["links"]);
        let next = format!("/pub/patient?filter[organization]={organization}&page[number]=3&page[size]=3");
        assert_eq!(literal.link("next"), Some(next));
    })
    .await;
}

#[actix_web::test]
async fn a_plus_in_an_instant_may_be_raw_or_encoded() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let list = format!("/pub/patient?filter[organization]={}&page[limit]=100", app.demo.organization);
        let all = client.get(&list).await.expect_status(200);
        let updated_at = |patient: &Value| {
            chrono::DateTime::parse_from_rfc3339(patient["attributes"]["updated_at"].as_str().unwrap()).unwrap()
        };
        let patients = all.body["data"].as_array().unwrap();
        // The clock of somebody five hours to the east when the tenth patient was changed.
        let instant = updated_at(&patients[9]);
        let east = instant.with_timezone(&chrono::FixedOffset::east_opt(5 * 3600).unwrap());
        let east = east.format("%Y-%m-%dT%H:%M:%S%.3f");
        let before = patients.iter().filter(|patient| updated_at(patient) < instant);
        let before: Vec<_> = before.map(|patient| patient["id"].as_str().unwrap().to_owned()).collect();
        assert!((1..patients.len()).contains(&before.len()));
        for plus in ["%2B", "+", "%20"] {
            let found = client.get(&format!("{list}&filter[updated_at]=..{east}{plus}05:00")).await;
            assert_eq!(found.expect_status(200).ids(), before, "{plus}");
        }
    })
    .await;
}

#[actix_web::test]
async fn an_unknown_parameter_of_lower_case_letters_is_400() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let body = json!({"data": {"type": "group", "attributes": {"name": "Night shift"}}});
        let patient = "/pub/patient/64062e37741e089d927ad224";
        let answers = [
            client.get(&format!("{}&expand=all", groups(&app))).await,
            client.get(&format!("{patient}?expand=")).await,
            client.get(&format!("{patient}/groups?expand=all")).await,
            client.post("/pub/group?expand=all", &body).await,
            client.patch(&format!("{patient}?expand=all"), &json!({"data": {"type": "patient"}})).await,
        ];
        for answer in answers {
            let answer = answer.expect_status(400);
            let errors = answer.errors();
            assert!(
                errors.starts_with("400 InvalidParameter expand: is not a parameter of this operation"),
                "{errors}"
            );
        }
        let groups = client.get(&groups(&app)).await.expect_status(200);
        assert_eq!(groups.count(), 4, "nothing was stored");
    })
    .await;
}

#[actix_web::test]
async fn any_other_unknown_parameter_is_ignored() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let expected = client.get(&groups(&app)).await.expect_status(200);
        for ignored in ["_=1699", "utm_source=mail", "cacheBust=7", "X=1", "v2=1", "a-b=", "&&", "caf%C3%A9=1", "=1"] {
            let answer = client.get(&format!("{}&{ignored}", groups(&app))).await.expect_status(200);
            assert_eq!(answer.body["data"], expected.body["data"], "{ignored}");
        }
    })
    .await;
}

#[actix_web::test]
async fn answers_are_compressed_as_asked() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let token = client.token.clone().unwrap();
        let path = format!("/pub/patient?filter[organization]={}&page[size]=20", app.demo.organization);
        let plain = client.get(&path).await.expect_status(200);
        // The harness reads answers as text, so this test speaks to the application itself.
        let service = init_service(retwine::server::app(app.app.clone())).await;
        for (accepted, encoding) in [
            ("gzip", ContentEncoding::Gzip),
            ("br", ContentEncoding::Brotli),
            ("zstd", ContentEncoding::Zstd),
            ("gzip;q=0.5, br", ContentEncoding::Brotli),
            ("identity", ContentEncoding::Identity),
            ("unheard-of", ContentEncoding::Identity),
        ] {
            let request = Client::new(app.clone(), Some(token.clone())).request(Method::GET, &path);
            let request = request.insert_header(("Accept-Encoding", accepted)).to_request();
            let response = actix_web::test::call_service(&service, request).await;
            let header = response.headers().get("content-encoding").map(|value| value.to_str().unwrap().to_owned());
            let expected = (encoding != ContentEncoding::Identity).then(|| encoding.as_str().to_owned());
            assert_eq!(header, expected, "{accepted}");
            assert_eq!(response.headers().get("content-type").unwrap(), JSON_API);
            let sent = read_body(response).await;
            assert_eq!(sent.len() < plain.text.len() / 2, encoding != ContentEncoding::Identity, "{accepted}");
            let mut body: Value = serde_json::from_slice(&decompress(sent, encoding).await).unwrap();
            body["meta"]["req_id"] = plain.body["meta"]["req_id"].clone();
            assert_eq!(body, plain.body, "{accepted}");
        }
    })
    .await;
}

#[actix_web::test]
async fn an_encoding_that_cannot_be_had_is_no_reason_for_anything_but_json_api() {
    on_each_database(async |app| {
        let client = app.organization().await;
        for accepted in ["identity;q=0, unheard-of", "*;q=0"] {
            let answer = get_with(&client, &groups(&app), ("Accept-Encoding", accepted)).await;
            assert!([200, 406].contains(&answer.status), "{accepted}: {}", answer.text);
            assert_eq!(answer.header("content-type"), JSON_API, "{accepted}");
            assert_eq!(answer.body["meta"]["req_id"], answer.header("x-request-id"), "{accepted}");
        }
    })
    .await;
}

pub async fn decompress(sent: Bytes, encoding: ContentEncoding) -> Vec<u8> {
    let mut pieces = Decompress::new(stream::iter([Ok(sent)]), encoding);
    let mut body = Vec::new();
    while let Some(piece) = pieces.next().await {
        body.extend_from_slice(&piece.unwrap());
    }
    body
}

#[actix_web::test]
async fn the_contract_is_served_as_yaml_and_as_json() {
    on_each_database(async |app| {
        let client = app.anonymous();
        let yaml = client.get("/pub/openapi.yaml").await.expect_status(200);
        let json = client.get("/pub/openapi.json").await.expect_status(200);
        assert_eq!(json.header("content-type"), "application/json");
        assert!(yaml.header("content-type").contains("yaml"), "{}", yaml.header("content-type"));
        assert!(json.body["paths"]["/patient"]["get"].is_object());
        let read: Value = serde_saphyr::from_str(&yaml.text).unwrap();
        assert_eq!(read, json.body);
    })
    .await;
}

#[actix_web::test]
async fn answers_are_not_to_be_kept_or_guessed_at_or_handed_on() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let body = json!({"data": {"type": "group", "attributes": {"name": "Night shift"}}});
        let answers = [
            client.get(&groups(&app)).await.expect_status(200),
            client.post("/pub/group", &body).await.expect_status(201),
            client.get("/pub/group").await.expect_status(409),
            client.get("/nothing").await.expect_status(404),
            app.anonymous().get(&groups(&app)).await.expect_status(401),
            app.anonymous().post("/pub/oauth/token", &Value::Null).await.expect_status(409),
            client.get("/healthz").await.expect_status(200),
            client.get("/docs").await.expect_status(200),
        ];
        for (index, answer) in answers.iter().enumerate() {
            assert_eq!(answer.header("x-content-type-options"), "nosniff");
            assert_eq!(answer.header("referrer-policy"), "no-referrer");
            let kept: Vec<_> = answer.headers.get_all("cache-control").collect();
            assert_eq!(kept, [if index == answers.len() - 1 { "no-cache" } else { "no-store" }]);
            assert_eq!(answer.header("server"), "");
        }
    })
    .await;
}
