//! A client that is restricted to a group: it sees that group and what hangs on
//! it, and changes nothing else. `strangers` tries the ids of all that it does not see.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::support::{Client, Response, TestApp, on_each_database};

/// The client's group, and another of its organization.
const GROUP: &str = "63e1356a741e089d927ad217";
const OTHER_GROUP: &str = "63e27027741e089d927ad218";

/// A patient of both groups, one of the other only, and one of the client's.
const SHARED: &str = "64062e37741e089d927ad224";
const HIDDEN: &str = "6419ae7b741e089d927ad228";
const SEEN: &str = "6409ea55741e089d927ad227";

/// A coach neither of the group nor of its patients.
const HIDDEN_COACH: &str = "644183f7b46c643c507ad21f";

const NOWHERE: &str = "65ffffffffffffffffffffff";

fn fixture() -> Vec<Value> {
    let mut fixture: Value = serde_json::from_str(include_str!("../../fixtures/demo.json")).unwrap();
    serde_json::from_value(fixture["data"].take()).unwrap()
}

/// The ids in a relationship of a resource.
fn related(resource: &Value, name: &str) -> BTreeSet<String> {
    let data = resource["relationships"][name]["data"].as_array().into_iter().flatten();
    data.map(|identifier| identifier["id"].as_str().unwrap().to_owned()).collect()
}

fn ids(resources: impl IntoIterator<Item = Value>) -> BTreeSet<String> {
    resources.into_iter().map(|resource| resource["id"].as_str().unwrap().to_owned()).collect()
}

/// The patients of the group.
fn members() -> Vec<Value> {
    let of_group = |resource: &Value| resource["type"] == "patient" && related(resource, "groups").contains(GROUP);
    fixture().into_iter().filter(of_group).collect()
}

/// The measurements of the group's patients.
fn metrics() -> BTreeSet<String> {
    let members = ids(members());
    let patient = |resource: &Value| resource["relationships"]["patient"]["data"]["id"].as_str().map(str::to_owned);
    let of_group = |resource: &Value| patient(resource).is_some_and(|patient| members.contains(&patient));
    ids(fixture().into_iter().filter(|resource| resource["type"] == "patient_health_metric" && of_group(resource)))
}

/// The coaches of the group and those of its patients.
fn coaches() -> BTreeSet<String> {
    let of_patients: BTreeSet<_> = members().iter().flat_map(|patient| related(patient, "coaches")).collect();
    let of_group = |resource: &Value| resource["type"] == "coach" && related(resource, "groups").contains(GROUP);
    ids(fixture().into_iter().filter(of_group)).union(&of_patients).cloned().collect()
}

/// What a caller can tell an answer by.
fn seen(answer: &Response) -> (u16, Value) {
    let mut body = answer.body.clone();
    body["meta"]["req_id"].take();
    (answer.status, body)
}

/// A list with all its pages in one.
async fn all(client: &Client, uri: &str) -> Response {
    client.get(&format!("{uri}&page[limit]=1000")).await.expect_status(200)
}

fn set(answer: &Response) -> BTreeSet<String> {
    answer.ids().into_iter().collect()
}

/// What the hidden patient is, to a client that sees the whole organization.
async fn hidden(app: &TestApp) -> Value {
    let (client, path) = (app.organization().await, format!("/pub/patient/{HIDDEN}"));
    client.get(&path).await.expect_status(200).body["data"].take()
}

#[actix_web::test]
async fn lists_and_their_counts_end_at_the_group() {
    on_each_database(async |app| {
        let client = app.group().await;
        let organization = format!("filter[organization]={}", app.demo.organization);
        let group = format!("filter[groups]={GROUP}");
        let expected = [
            ("group", &organization, BTreeSet::from([GROUP.to_owned()])),
            ("patient", &organization, ids(members())),
            ("patient", &group, ids(members())),
            ("patient_health_metric", &organization, metrics()),
            ("patient_health_metric", &group, metrics()),
            ("coach", &organization, coaches()),
        ];
        for (kind, filter, expected) in expected {
            let list = all(&client, &format!("/pub/{kind}?{filter}")).await;
            assert_eq!(set(&list), expected, "{kind} {filter}");
            let none = client.get(&format!("/pub/{kind}?{filter}&page[size]=0")).await.expect_status(200);
            let count = i64::try_from(expected.len()).unwrap();
            assert_eq!((list.count(), none.count()), (count, count), "{kind} {filter}");
        }
        let of_group = all(&client, &format!("/pub/coach?{group}")).await.ids();
        assert_eq!(of_group, ["63e3cad7741e089d927ad21c", "6500b34046a2c9c7467ad222"]);
    })
    .await;
}

#[actix_web::test]
async fn pages_of_either_kind_hold_the_groups_patients_and_no_gaps() {
    on_each_database(async |app| {
        let client = app.group().await;
        for paging in ["page[size]=4", "page[limit]=4"] {
            let list = format!("/pub/patient?filter[organization]={}&sort=-updated_at&{paging}", app.demo.organization);
            let (mut found, mut next) = (Vec::new(), Some(list));
            while let Some(uri) = next {
                let page = client.get(&uri).await.expect_status(200);
                next = page.link("next");
                assert!(page.ids().len() == 4 || next.is_none(), "{}", page.text);
                found.extend(page.ids());
            }
            assert_eq!(found.len(), members().len());
            assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), ids(members()));
        }
    })
    .await;
}

#[actix_web::test]
async fn a_patient_of_two_groups_shows_the_one_that_the_client_sees() {
    on_each_database(async |app| {
        let client = app.group().await;
        let own = BTreeSet::from([GROUP.to_owned()]);
        let uri = format!("/pub/patient?filter[organization]={}", app.demo.organization);
        for patient in all(&client, &uri).await.body["data"].as_array().unwrap() {
            assert_eq!(related(patient, "groups"), own, "{patient}");
        }
        let patient = client.get(&format!("/pub/patient/{SHARED}")).await.expect_status(200);
        assert_eq!(related(&patient.body["data"], "groups"), own);
        let groups = client.get(&format!("/pub/patient/{SHARED}/groups")).await.expect_status(200);
        assert_eq!((groups.ids(), groups.count()), (vec![GROUP.to_owned()], 1));
        let metric = format!("/pub/patient_health_metric?filter[patient]={SHARED}&page[size]=1");
        let metric = client.get(&metric).await.expect_status(200).ids().remove(0);
        let patient = client.get(&format!("/pub/patient_health_metric/{metric}/patient")).await.expect_status(200);
        assert_eq!(related(&patient.body["data"], "groups"), own);
        let body = json!({"data": {"type": "patient", "id": SHARED, "attributes": {"note": "Seen today."}}});
        let written = client.patch(&format!("/pub/patient/{SHARED}"), &body).await.expect_status(200);
        assert_eq!(related(&written.body["data"], "groups"), own);
    })
    .await;
}

#[actix_web::test]
async fn a_token_of_the_client_names_its_group_only() {
    on_each_database(async |app| {
        let (id, secret) = ("3e8b6f92-1c47-4a9d-b5e3-92d07c1f4a68", "b1d5f0a3-7e29-4c86-9f14-5a3c8e6d7b02");
        let attributes = json!({"grant_type": "client_credentials", "client_id": id, "client_secret": secret});
        let body = json!({"data": {"type": "token", "attributes": attributes}});
        let token = app.anonymous().post("/pub/oauth/token?include=groups", &body).await.expect_status(201);
        assert_eq!(token.body["data"]["relationships"]["groups"]["data"], json!([{"type": "group", "id": GROUP}]));
        let included = token.body["included"].as_array().unwrap().clone();
        assert_eq!(ids(included), BTreeSet::from([GROUP.to_owned()]));
        let groups = app.group().await.get(&format!("/pub/oauth/token/{}/groups", token.id())).await.expect_status(200);
        assert_eq!((groups.ids(), groups.count()), (vec![GROUP.to_owned()], 1));
    })
    .await;
}

fn patient(relationships: &Value) -> Value {
    json!({"data": {"type": "patient", "attributes": {"last_name": "Framsden"}, "relationships": relationships}})
}

fn groups(named: &[&str]) -> Value {
    json!({"data": named.iter().map(|id| json!({"type": "group", "id": id})).collect::<Vec<_>>()})
}

/// How many patients, groups and measurements the organization has.
async fn counts(app: &TestApp) -> [i64; 3] {
    let (client, mut counts) = (app.organization().await, [0; 3]);
    for (count, kind) in counts.iter_mut().zip(["patient", "group", "patient_health_metric"]) {
        let uri = format!("/pub/{kind}?filter[organization]={}&page[size]=0", app.demo.organization);
        *count = client.get(&uri).await.expect_status(200).count();
    }
    counts
}

#[actix_web::test]
async fn nothing_is_created_outside_the_group() {
    on_each_database(async |app| {
        let (client, before) = (app.group().await, counts(&app).await);
        let by_name = |name: &str| {
            let query = json!({"organization": app.demo.organization, "name": name});
            json!({"data": [{"type": "group", "meta": {"query": query}}]})
        };
        let coach = |id: &str| json!({"groups": groups(&[GROUP]), "coaches": {"data": [{"type": "coach", "id": id}]}});
        let metric = |patient: Value| {
            let attributes = json!({"type": "weight", "value": 70, "occurred_at": "2026-03-01T08:00:00Z"});
            json!({"data": {"type": "patient_health_metric", "attributes": attributes,
                "relationships": {"patient": {"data": patient}}}})
        };
        let by_identifier = |value: &str| {
            let identifier = json!({"system": "medical-record-number", "value": value});
            metric(json!({"type": "patient", "meta": {"query": {"identifier": identifier}}}))
        };
        // Each with what it names exists and hides, and with what does not exist.
        for (status, path, hidden, nowhere) in [
            (
                403,
                "patient",
                patient(&json!({"groups": groups(&[OTHER_GROUP])})),
                patient(&json!({"groups": groups(&[NOWHERE])})),
            ),
            (
                403,
                "patient",
                patient(&json!({"groups": groups(&[GROUP, OTHER_GROUP])})),
                patient(&json!({"groups": groups(&[GROUP, NOWHERE])})),
            ),
            (
                403,
                "patient",
                patient(&json!({"groups": by_name("Heart & Blood Pressure")})),
                patient(&json!({"groups": by_name("No such group")})),
            ),
            (409, "patient", patient(&coach(HIDDEN_COACH)), patient(&coach(NOWHERE))),
            (
                409,
                "patient_health_metric",
                metric(json!({"type": "patient", "id": HIDDEN})),
                metric(json!({"type": "patient", "id": NOWHERE})),
            ),
            (409, "patient_health_metric", by_identifier("204502"), by_identifier("no such")),
        ] {
            let nothing = seen(&client.post(&format!("/pub/{path}"), &nowhere).await);
            assert_eq!(nothing.0, status, "{nowhere}: {}", nothing.1);
            assert_eq!(seen(&client.post(&format!("/pub/{path}"), &hidden).await), nothing, "{hidden}");
        }
        let group = json!({"data": {"type": "group", "attributes": {"name": "Night shift"}}});
        assert_eq!(client.post("/pub/group", &group).await.status, 403);
        assert_eq!(counts(&app).await, before);
    })
    .await;
}

#[actix_web::test]
async fn a_patient_of_other_groups_is_not_changed() {
    on_each_database(async |app| {
        let (client, before) = (app.group().await, hidden(&app).await);
        let ask = async |id: &str| {
            let attributes = json!({"note": "Seen today.", "birth_date": "May"});
            let body = json!({"data": {"type": "patient", "id": id, "attributes": attributes}});
            seen(&client.patch(&format!("/pub/patient/{id}"), &body).await)
        };
        let nothing = ask(NOWHERE).await;
        assert_eq!(nothing.0, 404, "{}", nothing.1);
        assert_eq!(ask(HIDDEN).await, nothing);
        assert_eq!(hidden(&app).await, before);
    })
    .await;
}

#[actix_web::test]
async fn a_patient_is_neither_moved_into_other_groups_nor_out_of_them() {
    on_each_database(async |app| {
        let (client, organization) = (app.group().await, app.organization().await);
        let change = |id: &str, named: &[&str]| json!({"data": {"type": "patient", "id": id, "relationships": {"groups": groups(named)}}});
        let memberships = async |id: &str| {
            let patient = organization.get(&format!("/pub/patient/{id}")).await.expect_status(200);
            related(&patient.body["data"], "groups").into_iter().collect::<Vec<_>>()
        };
        for named in [vec![OTHER_GROUP], vec![GROUP, OTHER_GROUP]] {
            let answer = client.patch(&format!("/pub/patient/{SEEN}"), &change(SEEN, &named)).await;
            let place = format!("403 Forbidden /data/relationships/groups/data/{}/id: ", named.len() - 1);
            assert!(answer.errors().starts_with(&place), "{}", answer.text);
        }
        assert_eq!(memberships(SEEN).await, [GROUP]);

        // The client sends back all the groups that it sees.
        client.patch(&format!("/pub/patient/{SHARED}"), &change(SHARED, &[GROUP])).await.expect_status(200);
        assert_eq!(memberships(SHARED).await, [GROUP, OTHER_GROUP]);
    })
    .await;
}

#[actix_web::test]
async fn an_upsert_that_finds_a_hidden_patient_neither_changes_nor_shows_nor_doubles_it() {
    on_each_database(async |app| {
        let (client, before) = (app.group().await, (hidden(&app).await, counts(&app).await));
        let identifier = json!({"system": "medical-record-number", "value": "204502"});
        let body = json!({"data": {"type": "patient", "attributes": {"note": "Seen today."}},
            "meta": {"query": {"identifier": identifier, "groups": [GROUP]}}});
        let answer = client.put("/pub/patient", &body).await.expect_status(409);
        let taken = "409 InvalidBodyParameter /meta/query/identifier: the identifier \"204502\" of the system \
                     \"medical-record-number\" belongs to another patient or coach of the organization";
        assert!(answer.errors().starts_with(taken), "{}", answer.errors());
        for error in answer.body["errors"].as_array().unwrap() {
            let place = error["source"]["pointer"].as_str().unwrap();
            assert!(body.pointer(place).is_some(), "the request has nothing at {place}: {error}");
        }
        assert!(!answer.text.contains(HIDDEN), "{}", answer.text);
        assert_eq!((hidden(&app).await, counts(&app).await), before);
    })
    .await;
}

#[actix_web::test]
async fn a_duplicate_of_a_hidden_patient_is_neither_stored_nor_shown() {
    on_each_database(async |app| {
        let (client, before) = (app.group().await, (hidden(&app).await, counts(&app).await));
        let mut duplicate = patient(&json!({"groups": groups(&[GROUP])}));
        duplicate["data"]["attributes"]["identifiers"] =
            json!([{"system": "medical-record-number", "value": "204502"}]);
        for meta in [json!({}), json!({"ignore_duplicates": true})] {
            duplicate["meta"] = meta;
            let answer = client.post("/pub/patient", &duplicate).await;
            assert!(
                answer.errors().starts_with("409 InvalidBodyParameter /data/attributes/identifiers/0: "),
                "{}",
                answer.text
            );
            assert!(!answer.text.contains(HIDDEN), "{}", answer.text);
        }
        assert_eq!((hidden(&app).await, counts(&app).await), before);
    })
    .await;
}

#[actix_web::test]
async fn a_query_finds_one_patient_where_the_other_of_two_is_hidden() {
    on_each_database(async |app| {
        let household = json!({"identifier": {"system": "household", "value": "H-0311"}});
        let attributes = json!({"type": "weight", "value": 70, "occurred_at": "2026-03-01T08:00:00Z"});
        let patient = json!({"data": {"type": "patient", "meta": {"query": household}}});
        let body = json!({"data": {"type": "patient_health_metric", "attributes": attributes,
            "relationships": {"patient": patient}}});
        let answer = app.group().await.post("/pub/patient_health_metric", &body).await.expect_status(200);
        assert_eq!(answer.body["data"]["relationships"]["patient"]["data"]["id"], "6553dedfe179cdf90b7ad236");
        let answer = app.organization().await.post("/pub/patient_health_metric", &body).await.expect_status(409);
        assert!(answer.errors().contains("finds 2 patients"), "{}", answer.text);
    })
    .await;
}
