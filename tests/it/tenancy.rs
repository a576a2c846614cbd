//! Two organizations on one server: to a client of one, whatever belongs to the
//! other looks as if it existed nowhere. `strangers` tries all ids in all places;
//! here is what else there is to tell.

use serde_json::{Value, json};

use crate::support::{Client, Response, TestApp, on_each_database};

/// An id of the right form that nothing has.
const NOWHERE: &str = "65ffffffffffffffffffffff";

/// Of the stranger's organization.
const OWN_GROUP: &str = "646249ff86f89266d12f13ec";

const DEMO: &str = include_str!("../../fixtures/demo.json");
const STRANGER: &str = include_str!("../../fixtures/stranger.json");

/// The ids of one type in a fixture.
fn ids(fixture: &str, kind: &str) -> Vec<String> {
    let fixture: Value = serde_json::from_str(fixture).unwrap();
    let resources = fixture["data"].as_array().unwrap().iter().filter(|resource| resource["type"] == kind);
    resources.map(|resource| resource["id"].as_str().unwrap().to_owned()).collect()
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
