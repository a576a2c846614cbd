//! Two organizations on one server: to a client of one, whatever belongs to the
//! other looks as if it existed nowhere.

use actix_web::http::Method;
use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::support::{Client, Response, TestApp, on_each_database, operations};

/// An id of the right form that nothing has.
const NOWHERE: &str = "65ffffffffffffffffffffff";

/// Of the stranger's organization.
const OWN_GROUP: &str = "646249ff86f89266d12f13ec";
const OWN_PATIENT: &str = "647e09d486f89266d12f13f6";

const DEMO: &str = include_str!("../../fixtures/demo.json");
const STRANGER: &str = include_str!("../../fixtures/stranger.json");

/// The ids of one type in a fixture.
fn ids(fixture: &str, kind: &str) -> Vec<String> {
    let fixture: Value = serde_json::from_str(fixture).unwrap();
    let resources = fixture["data"].as_array().unwrap().iter().filter(|resource| resource["type"] == kind);
    resources.map(|resource| resource["id"].as_str().unwrap().to_owned()).collect()
}

/// Everything in the demo organization, though not all of its measurements.
fn ids_of_the_demo() -> Vec<String> {
    let metrics = ids(DEMO, "patient_health_metric").into_iter().step_by(50);
    let kinds = [
        "organization",
        "group",
        "coach",
        "patient",
        "health_profile",
        "health_profile_question",
        "email_history",
        "action",
        "bundle",
        "result",
    ];
    kinds.into_iter().flat_map(|kind| ids(DEMO, kind)).chain(metrics).collect()
}

/// One of each type.
fn an_id_of_each_type(app: &TestApp) -> Vec<String> {
    let demo = [&app.demo.organization, &app.demo.group, "63e3cad7741e089d927ad21c"];
    let of_patient = [
        "64062e37741e089d927ad224",
        "6407294b741e089d927ad24f",
        "64062e37762d5b20787ad601",
        "64062e37762d5b20787ad633",
        "640a16b0762d5b20787ad650",
        "64063141762d5b20787ad787",
        "640a0be0741e089d927ad501",
    ];
    demo.into_iter().chain(of_patient).map(str::to_owned).collect()
}

/// What a caller can tell an answer by.
fn seen(answer: &Response) -> (u16, String, Value) {
    let mut body = answer.body.clone();
    body["meta"]["req_id"].take();
    (answer.status, answer.header("content-type").to_owned(), body)
}

async fn token_of(app: &TestApp, id: &str, secret: &str) -> Response {
    let attributes = json!({"grant_type": "client_credentials", "client_id": id, "client_secret": secret});
    let body = json!({"data": {"type": "token", "attributes": attributes}});
    app.anonymous().post("/pub/oauth/token", &body).await.expect_status(201)
}

/// All patients that a client sees of its organization.
async fn patients(client: &Client, organization: &str) -> Value {
    let uri = format!("/pub/patient?filter[organization]={organization}&page[limit]=1000");
    client.get(&uri).await.expect_status(200).body["data"].take()
}

#[actix_web::test]
async fn a_list_holds_the_whole_of_the_clients_organization_and_nothing_else() {
    on_each_database(async |app| {
        let clients = [
            (app.organization().await, &app.demo.organization, DEMO),
            (app.stranger().await, &app.stranger.organization, STRANGER),
        ];
        for (client, organization, fixture) in clients {
            for kind in [
                "group",
                "coach",
                "patient",
                "patient_health_metric",
                "calendar_event",
                "health_profile",
                "health_profile_answer",
            ] {
                let uri = format!("/pub/{kind}?filter[organization]={organization}&page[limit]=1000");
                let list = client.get(&uri).await.expect_status(200);
                let expected = ids(fixture, kind);
                assert_eq!(list.count(), i64::try_from(expected.len()).unwrap(), "{uri}");
                assert_eq!(list.ids(), expected, "{uri}");
            }
        }
    })
    .await;
}

#[actix_web::test]
async fn an_id_of_another_organization_in_the_path_is_found_as_little_as_one_of_nothing() {
    on_each_database(async |app| {
        let stranger = app.stranger().await;
        let token = token_of(&app, &app.demo.client_id, &app.demo.client_secret).await.id();
        let ids: Vec<_> = ids_of_the_demo().into_iter().chain([token]).collect();
        for operation in operations().iter().filter(|operation| operation.path.contains("{id}")) {
            let ask = async |id: &str| {
                let path = format!("/pub{}", operation.path.replace("{id}", id));
                let request = stranger.request(operation.method.clone(), &path);
                if operation.method == Method::GET {
                    return seen(&stranger.send(request).await);
                }
                let kind = path.split('/').nth(2).unwrap();
                let body = json!({"data": {"type": kind, "id": id, "attributes": {"note": 7, "birth_date": "May"}}});
                let request = request.insert_header(("Content-Type", "application/json"));
                seen(&stranger.send(request.set_payload(body.to_string())).await)
            };
            let nothing = ask(NOWHERE).await;
            assert_eq!(nothing.0, 404, "{}: {}", operation.id, nothing.2);
            let answers = join_all(ids.iter().map(|id| ask(id))).await;
            for (id, answer) in ids.iter().zip(answers) {
                assert_eq!(answer, nothing, "{} of {id}", operation.id);
            }
        }
    })
    .await;
}

/// The lists with the filters that take ids: `*` is where one goes.
const OF_PATIENTS: &[&str] =
    &["filter[organization]=*", "filter[groups]=*", "filter[patient]=*", "filter[groups]=OWN&filter[patient]=*"];

const FILTERS: [(&str, &[&str]); 17] = [
    ("/group", &["filter[organization]=*", "filter[organization]=*&filter[name]=Weight+Management"]),
    ("/coach", &["filter[organization]=*", "filter[groups]=*", "filter[group]=*", "filter[groups]=OWN,*"]),
    ("/patient", &["filter[organization]=*", "filter[groups]=*", "filter[group]=*", "filter[groups]=*,OWN"]),
    ("/patient_health_metric", OF_PATIENTS),
    ("/health_profile", OF_PATIENTS),
    ("/health_profile_question", OF_PATIENTS),
    ("/health_profile_answer", OF_PATIENTS),
    ("/health_question_definition", &[]),
    ("/email_history", &["filter[receiver]=*", "filter[sender]=*"]),
    ("/calendar_event", &["filter[organization]=*", "filter[groups]=*", "filter[patient]=*", "filter[attendees]=*"]),
    ("/reward_program", &["filter[organization]=*", "filter[groups]=*"]),
    ("/reward_program_activation", &["filter[groups]=*", "filter[patient]=*"]),
    ("/reward", &["filter[groups]=*", "filter[patient]=*"]),
    ("/reward_earning", &["filter[groups]=*", "filter[patient]=*"]),
    ("/reward_earning_fulfillment", &["filter[patient]=*"]),
    ("/patient_plan_summary", &["filter[organization]=*", "filter[groups]=*", "filter[patient]=*"]),
    ("/result", &["filter[patient]=*", "filter[patient]=647e09d486f89266d12f13f6&filter[actions]=*"]),
];

#[actix_web::test]
async fn a_filter_tells_an_id_of_another_organization_by_nothing_from_one_of_nothing() {
    on_each_database(async |app| {
        let stranger = app.stranger().await;
        for operation in operations().iter().filter(|one| one.method == Method::GET && !one.path.contains("{id}")) {
            assert!(FILTERS.iter().any(|(path, _)| *path == operation.path), "no filters of {}", operation.id);
        }
        for (path, filters) in FILTERS {
            for filter in filters {
                let ask = async |id: &str| {
                    let filter = filter.replace('*', id).replace("OWN", OWN_GROUP);
                    seen(&stranger.get(&format!("/pub{path}?{filter}")).await)
                };
                let nothing = ask(NOWHERE).await;
                let of_person =
                    ["patient", "receiver", "sender", "attendees"].iter().any(|person| filter.contains(person));
                let expected = if of_person { 409 } else { 403 };
                assert_eq!(nothing.0, expected, "{path}?{filter}: {}", nothing.2);
                for id in an_id_of_each_type(&app) {
                    assert_eq!(ask(&id).await, nothing, "{path}?{filter} with {id}");
                }
            }
        }
    })
    .await;
}

/// Writes that relate something to what has an id: `*` is where that goes.
fn writes() -> Vec<(Method, &'static str, Value)> {
    let related = |kind: &str, id: &str| json!({"data": {"type": kind, "id": id}});
    let all_related = |kind: &str, id: &str| json!({"data": [{"type": kind, "id": id}]});
    let by_query = |kind: &str, query: Value| json!({"data": [{"type": kind, "meta": {"query": query}}]});
    let own = || all_related("group", OWN_GROUP);
    let patient = |relationships: Value| {
        let attributes = json!({"first_name": "Ottilie", "identifiers": [{"system": "ward-book", "value": "W-7"}]});
        json!({"type": "patient", "attributes": attributes, "relationships": relationships})
    };
    let change = |relationships: Value| {
        (
            Method::PATCH,
            "/pub/patient/647e09d486f89266d12f13f6",
            json!({"data": {"type": "patient", "id": OWN_PATIENT, "relationships": relationships}}),
        )
    };
    let create = |relationships: Value| (Method::POST, "/pub/patient", json!({"data": patient(relationships)}));
    let upsert = |query: Value, relationships: Value| {
        (Method::PUT, "/pub/patient", json!({"data": patient(relationships), "meta": {"query": query}}))
    };
    let measure = |patient: Value| {
        let attributes = json!({"type": "weight", "value": 70, "occurred_at": "2026-03-01T08:00:00Z"});
        let metric =
            json!({"type": "patient_health_metric", "attributes": attributes, "relationships": {"patient": patient}});
        (Method::POST, "/pub/patient_health_metric", json!({"data": metric}))
    };
    let known = json!({"system": "medical-record-number", "value": "204417"});
    let new = json!({"system": "ward-book", "value": "W-7"});
    vec![
        create(json!({"groups": all_related("group", "*")})),
        create(json!({"groups": {"data": [{"type": "group", "id": OWN_GROUP}, {"type": "group", "id": "*"}]}})),
        create(json!({"groups": own(), "coaches": all_related("coach", "*")})),
        create(json!({"groups": by_query("group", json!({"organization": "*", "name": "Weight Management"}))})),
        create(json!({"groups": by_query("group", json!({"organization": "*", "name": "Heart & Blood Pressure"}))})),
        change(json!({"groups": all_related("group", "*")})),
        change(json!({"coaches": all_related("coach", "*")})),
        change(json!({"groups": by_query("group", json!({"organization": "*", "name": "Weight Management"}))})),
        upsert(json!({"identifier": known, "groups": ["*"]}), json!({})),
        upsert(json!({"identifier": known, "groups": [OWN_GROUP, "*"]}), json!({})),
        upsert(json!({"identifier": known, "groups": [OWN_GROUP], "organization": "*"}), json!({})),
        upsert(json!({"identifier": new, "groups": ["*"]}), json!({"groups": own()})),
        upsert(json!({"identifier": new, "groups": [OWN_GROUP]}), json!({"groups": all_related("group", "*")})),
        upsert(json!({"identifier": known, "groups": [OWN_GROUP]}), json!({"coaches": all_related("coach", "*")})),
        measure(related("patient", "*")),
        measure(json!({"data": {"type": "patient", "meta": {"query": {"identifier": known, "organization": "*"}}}})),
        measure(json!({"data": {"type": "patient", "meta": {"query": {"identifier": known, "groups": ["*"]}}}})),
    ]
}

#[actix_web::test]
async fn a_write_tells_an_id_of_another_organization_by_nothing_from_one_of_nothing() {
    on_each_database(async |app| {
        let (stranger, demo) = (app.stranger().await, app.organization().await);
        let everything = async || {
            (patients(&demo, &app.demo.organization).await, patients(&stranger, &app.stranger.organization).await)
        };
        let before = everything().await;
        for (method, path, body) in writes() {
            let body = body.to_string();
            let ask = async |id: &str| {
                let request =
                    stranger.request(method.clone(), path).insert_header(("Content-Type", "application/json"));
                seen(&stranger.send(request.set_payload(body.replace('*', id))).await)
            };
            let nothing = ask(NOWHERE).await;
            let by_id = |kind: &str| body.contains(&json!({"type": kind, "id": "*"}).to_string());
            let expected = if by_id("coach") || by_id("patient") { 409 } else { 403 };
            assert_eq!(nothing.0, expected, "{method} {path} {body}: {}", nothing.2);
            for id in an_id_of_each_type(&app) {
                assert_eq!(ask(&id).await, nothing, "{method} {path} {body} with {id}");
            }
        }
        assert_eq!(everything().await, before);
    })
    .await;
}

#[actix_web::test]
async fn an_identifier_of_another_organization_is_found_as_little_as_one_of_nobody() {
    on_each_database(async |app| {
        let stranger = app.stranger().await;
        let organization = &app.stranger.organization;
        for value in ["204502", "no such"] {
            let uri = format!(
                "/pub/patient?filter[organization]={organization}&filter[identifier][system]=medical-record-number\
                 &filter[identifier][value]={}",
                value.replace(' ', "+")
            );
            let list = stranger.get(&uri).await.expect_status(200);
            assert_eq!((list.count(), list.ids()), (0, vec![]));

            let attributes = json!({"type": "weight", "value": 70, "occurred_at": "2026-03-01T08:00:00Z"});
            let query = json!({"identifier": {"system": "medical-record-number", "value": value}});
            let patient = json!({"data": {"type": "patient", "meta": {"query": query}}});
            let metric = json!({"data": {"type": "patient_health_metric", "attributes": attributes,
                "relationships": {"patient": patient}}});
            let answer = stranger.post("/pub/patient_health_metric", &metric).await.expect_status(409);
            assert_eq!(
                answer.errors(),
                "409 InvalidBodyParameter /data/relationships/patient/data/meta/query: \
                 finds 0 patients within the scope of the token; it must find exactly one"
            );
        }
    })
    .await;
}

#[actix_web::test]
async fn an_identifier_of_both_organizations_leads_each_client_to_its_own_patient() {
    on_each_database(async |app| {
        let demo = (app.organization().await, &app.demo.organization, app.demo.group.as_str());
        let stranger = (app.stranger().await, &app.stranger.organization, OWN_GROUP);
        let (desmond, dolores) = ("6409ea55741e089d927ad227", "64a7286e18b8fd08242f13fa");
        for ((client, organization, group), own) in [(&demo, desmond), (&stranger, dolores)] {
            let filter = "filter[identifier][system]=medical-record-number&filter[identifier][value]=204431";
            let list = client.get(&format!("/pub/patient?filter[organization]={organization}&{filter}")).await;
            assert_eq!((list.count(), list.ids()), (1, vec![own.to_owned()]));

            let identifier = json!({"system": "medical-record-number", "value": "204431"});
            let upsert = json!({"data": {"type": "patient", "attributes": {"note": own}},
                "meta": {"query": {"identifier": identifier, "groups": [group]}}});
            assert_eq!(client.put("/pub/patient", &upsert).await.expect_status(200).id(), own);

            let attributes = json!({"type": "weight", "value": 70, "occurred_at": "2026-03-01T08:00:00Z"});
            let patient = json!({"data": {"type": "patient", "meta": {"query": {"identifier": identifier}}}});
            let metric = json!({"data": {"type": "patient_health_metric", "attributes": attributes,
                "relationships": {"patient": patient}}});
            let answer = client.post("/pub/patient_health_metric", &metric).await.expect_status(200);
            assert_eq!(answer.body["data"]["relationships"]["patient"]["data"]["id"], own);
        }
        for ((client, ..), own) in [(demo, desmond), (stranger, dolores)] {
            let patient = client.get(&format!("/pub/patient/{own}")).await.expect_status(200);
            assert_eq!(patient.body["data"]["attributes"]["note"], own, "the other client's upsert has changed this");
        }
    })
    .await;
}

#[actix_web::test]
async fn an_identifier_is_free_as_long_as_nobody_of_the_same_organization_has_it() {
    on_each_database(async |app| {
        let (stranger, demo) = (app.stranger().await, app.organization().await);
        let theirs = patients(&demo, &app.demo.organization).await;
        let patient = |system: &str, value: &str| {
            json!({"type": "patient", "attributes": {"identifiers": [{"system": system, "value": value}]},
                "relationships": {"groups": {"data": [{"type": "group", "id": OWN_GROUP}]}}})
        };
        // Of a patient and of a coach of the other organization.
        for (system, value) in [("riverbend-ehr", "RB-00021"), ("employee-number", "RHP-0107")] {
            let body = json!({"data": patient(system, value), "meta": {"ignore_duplicates": true}});
            let answer = stranger.post("/pub/patient", &body).await.expect_status(201);
            assert_eq!(answer.body["data"]["attributes"]["identifiers"][0]["value"], value);
            assert_eq!(answer.body["meta"]["ignored"], Value::Null);
        }
        let upsert = json!({"data": patient("ward-book", "W-7"), "meta": {"query": {"groups": [OWN_GROUP],
            "identifier": {"system": "medical-record-number", "value": "204502"}}}});
        stranger.put("/pub/patient", &upsert).await.expect_status(200);
        // Of a coach of both.
        let answer = stranger.post("/pub/patient", &json!({"data": patient("employee-number", "RHP-0112")})).await;
        assert!(
            answer.errors().starts_with("409 InvalidBodyParameter /data/attributes/identifiers/0: "),
            "{}",
            answer.text
        );
        assert_eq!(patients(&demo, &app.demo.organization).await, theirs);
    })
    .await;
}

#[actix_web::test]
async fn a_group_is_found_by_its_name_in_the_clients_own_organization() {
    on_each_database(async |app| {
        let groups = [
            (app.organization().await, &app.demo.organization, "643ebbbeb46c643c507ad219"),
            (app.stranger().await, &app.stranger.organization, "6463d1d286f89266d12f13ed"),
        ];
        for (client, organization, own) in groups {
            let query = json!({"organization": organization, "name": "Weight Management"});
            let body = json!({"data": {"type": "patient",
                "relationships": {"groups": {"data": [{"type": "group", "meta": {"query": query}}]}}}});
            let answer = client.post("/pub/patient", &body).await.expect_status(201);
            assert_eq!(answer.body["data"]["relationships"]["groups"]["data"], json!([{"type": "group", "id": own}]));
        }
    })
    .await;
}

#[actix_web::test]
async fn an_id_that_another_organization_has_is_not_taken_over_by_a_create() {
    on_each_database(async |app| {
        let (stranger, demo) = (app.stranger().await, app.organization().await);
        let path = format!("/pub/group/{}", app.demo.group);
        let theirs = demo.get(&path).await.expect_status(200).body["data"].take();
        let body = json!({"data": {"type": "group", "id": app.demo.group, "attributes": {"name": "Night shift"}}});
        let answer = stranger.post("/pub/group", &body).await.expect_status(201);
        assert_ne!(answer.id(), app.demo.group);
        assert_eq!(demo.get(&path).await.body["data"], theirs);
    })
    .await;
}

#[actix_web::test]
async fn a_token_shows_what_it_opens_to_its_own_client_only() {
    on_each_database(async |app| {
        let token = token_of(&app, &app.demo.client_id, &app.demo.client_secret).await.id();
        // The last is of the same organization.
        for client in [app.stranger().await, app.group().await] {
            for relationship in ["groups", "organization"] {
                let ask = async |id: &str| seen(&client.get(&format!("/pub/oauth/token/{id}/{relationship}")).await);
                let nothing = ask(NOWHERE).await;
                assert_eq!(nothing.0, 404);
                assert_eq!(ask(&token).await, nothing);
            }
        }
    })
    .await;
}

#[actix_web::test]
async fn a_refresh_token_is_no_good_to_another_client_and_outlives_its_attempt() {
    on_each_database(async |app| {
        let token = token_of(&app, &app.demo.client_id, &app.demo.client_secret).await;
        let refresh_token = token.body["data"]["attributes"]["refresh_token"].as_str().unwrap();
        let refresh = async |id: &str, secret: &str, refresh_token: &str| {
            let attributes = json!({"grant_type": "refresh_token", "client_id": id, "client_secret": secret,
                "refresh_token": refresh_token});
            let body = json!({"data": {"type": "token", "attributes": attributes}});
            app.anonymous().post("/pub/oauth/token", &body).await
        };
        let (id, secret) = (&app.stranger.client_id, &app.stranger.client_secret);
        let unknown = refresh(id, secret, "8f14e45f-ceea-4e7a-9c1d-3f2b1a0d9c8e").await.expect_status(401);
        assert_eq!(seen(&refresh(id, secret, refresh_token).await), seen(&unknown));
        refresh(&app.demo.client_id, &app.demo.client_secret, refresh_token).await.expect_status(201);
    })
    .await;
}

#[actix_web::test]
async fn a_cursor_of_another_client_opens_nothing() {
    on_each_database(async |app| {
        let (demo, group, stranger) = (app.organization().await, app.group().await, app.stranger().await);
        let list = |organization: &str, rest: &str| {
            format!("/pub/patient?filter[organization]={organization}&sort=last_name{rest}")
        };
        let page = demo.get(&list(&app.demo.organization, "&page[limit]=5")).await.expect_status(200);
        let cursor = page.link("next").unwrap().rsplit_once("page[after]=").unwrap().1.to_owned();
        let from_there = format!("&page[limit]=1000&page[after]={cursor}");

        // To a client of other groups it is a place in the list of those.
        let whole = group.get(&list(&app.demo.organization, "&page[limit]=1000")).await.expect_status(200).ids();
        let rest = group.get(&list(&app.demo.organization, &from_there)).await.expect_status(200).ids();
        assert!(!rest.is_empty() && whole.ends_with(&rest), "{rest:?}");

        let answer = stranger.get(&list(&app.demo.organization, &from_there)).await;
        assert_eq!(answer.status, 403, "{}", answer.text);
        let answer = stranger.get(&list(&app.stranger.organization, &from_there)).await;
        assert!(answer.errors().starts_with("409 InvalidParameter page[after]: "), "{}", answer.text);
    })
    .await;
}
