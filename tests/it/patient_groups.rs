//! The groups and coaches of patients: groups that are named by a query, and
//! the lists that a patient links to.

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::people::{
    CASTELLANOS, DIABETES, HEART, ODWYER, OSTRANDER, STRANGE_PATIENT, UNKNOWN, WEIGHT, WHITCOMBE, change_of_groups,
    count_patients, document, patient, patient_in, patient_known_as, places, related,
};
use crate::support::{Client, TestApp, on_each_database};

/// A group by its name.
fn named(organization: &str, name: &str) -> Value {
    json!({"type": "group", "meta": {"query": {"organization": organization, "name": name}}})
}

/// A document with a patient in these groups.
fn member(groups: &Value) -> Value {
    document(&patient_in(groups, &json!({})))
}

/// The ids of the demo's groups of this name.
async fn groups_named(app: &TestApp, name: &str) -> Vec<String> {
    let path = format!("/pub/group?filter[organization]={}&filter[name]={name}", app.demo.organization);
    app.organization().await.get(&path).await.expect_status(200).ids()
}

async fn post(client: &Client, body: &Value) -> Vec<String> {
    let created = client.post("/pub/patient", body).await.expect_status(201);
    related(&created.body["data"], "groups")
}

#[actix_web::test]
async fn a_group_whose_name_is_new_is_created_and_related() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let body = member(&json!([named(&app.demo.organization, "Newcomers")]));

        let groups = post(&client, &body).await;

        assert_eq!(groups_named(&app, "Newcomers").await, groups);
        let group = client.get(&format!("/pub/group/{}", groups[0])).await.expect_status(200);
        assert_eq!(group.body["data"]["attributes"], json!({"name": "Newcomers"}));
    })
    .await;
}

#[actix_web::test]
async fn the_only_group_of_a_name_is_related_beside_those_named_by_id() {
    on_each_database(async |app| {
        let client = app.organization().await;
        // The other organization has a group of the same name.
        let mut by_name = named(&app.demo.organization, "Weight Management");
        assert_eq!(post(&client, &member(&json!([by_name]))).await, [WEIGHT]);
        for id in [json!(""), json!(null)] {
            by_name["id"] = id;
            let body = member(&json!([{"type": "group", "id": HEART}, by_name]));
            assert_eq!(post(&client, &body).await, [HEART, WEIGHT]);
        }
        assert_eq!(groups_named(&app, "Weight%20Management").await, [WEIGHT]);
    })
    .await;
}

#[actix_web::test]
async fn a_name_that_several_groups_have_is_refused() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let twin = json!({"type": "group", "attributes": {"name": "Twins"}});
        client.post("/pub/group", &json!({"data": [twin, twin]})).await.expect_status(201);

        let refused = client.post("/pub/patient", &member(&json!([named(&app.demo.organization, "Twins")]))).await;

        let expected = "409 InvalidBodyParameter /data/relationships/groups/data/0/meta/query: ";
        let errors = refused.expect_status(409).errors();
        assert!(errors.starts_with(expected) && errors.contains("2 groups"), "{errors}");
        assert_eq!(count_patients(&app).await, 34);
    })
    .await;
}

#[actix_web::test]
async fn patients_of_one_request_that_name_the_same_new_group_share_it() {
    on_each_database(async |app| {
        let organization = &app.demo.organization;
        let new = patient_in(&json!([named(organization, "Shared"), named(organization, "Shared")]), &json!({}));

        let created = app.organization().await.post("/pub/patient", &json!({"data": [new, new, new]})).await;

        let created = created.expect_status(201);
        let shared = groups_named(&app, "Shared").await;
        assert_eq!(shared.len(), 1);
        for patient in created.body["data"].as_array().unwrap() {
            assert_eq!(related(patient, "groups"), shared);
        }
    })
    .await;
}

#[actix_web::test]
async fn requests_at_the_same_time_that_name_the_same_new_group_share_it() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let body = member(&json!([named(&app.demo.organization, "Rush")]));

        let answers = join_all((0..8).map(|_| client.post("/pub/patient", &body))).await;

        let rush = groups_named(&app, "Rush").await;
        assert_eq!(rush.len(), 1);
        for answer in answers {
            assert_eq!(related(&answer.expect_status(201).body["data"], "groups"), rush);
        }
    })
    .await;
}

#[actix_web::test]
async fn a_refused_request_leaves_no_group_behind() {
    on_each_database(async |app| {
        let new = patient_in(&json!([named(&app.demo.organization, "Stillborn")]), &json!({}));
        let body = json!({"data": [new, patient(&json!({"gender": "x"}))]});

        app.organization().await.post("/pub/patient", &body).await.expect_status(409);

        assert_eq!(groups_named(&app, "Stillborn").await, [""; 0]);
    })
    .await;
}

#[actix_web::test]
async fn a_group_of_another_organization_is_forbidden_by_name_too() {
    on_each_database(async |app| {
        let client = app.organization().await;
        for organization in [&app.stranger.organization, UNKNOWN, "no-id"] {
            let body = member(&json!([named(organization, "Harbor Street Adults")]));
            let refused = client.post("/pub/patient", &body).await.expect_status(403);
            let place = "/data/relationships/groups/data/0/meta/query/organization";
            assert_eq!(places(&refused), [format!("403 Forbidden {place}")], "{organization}");
        }
        assert_eq!(groups_named(&app, "Harbor%20Street%20Adults").await, [""; 0]);
    })
    .await;
}

#[actix_web::test]
async fn a_restricted_client_names_its_own_groups_and_creates_none() {
    on_each_database(async |app| {
        let client = app.group().await;
        let by_name = |name: &str| member(&json!([named(&app.demo.organization, name)]));
        assert_eq!(post(&client, &by_name("Diabetes Together")).await, [DIABETES]);

        let new = client.post("/pub/patient", &by_name("Of my own")).await.expect_status(403);
        // That there is a group of this name is not its to know.
        let hidden = client.post("/pub/patient", &by_name("Weight Management")).await.expect_status(403);

        assert_eq!(new.errors(), hidden.errors());
        assert_eq!(places(&new), ["403 Forbidden /data/relationships/groups/data/0/meta/query"]);
        assert_eq!(groups_named(&app, "Of%20my%20own").await, [""; 0]);
    })
    .await;
}

#[actix_web::test]
async fn a_group_is_named_by_id_or_by_query_but_not_by_both() {
    on_each_database(async |app| {
        let mut both = named(&app.demo.organization, "Weight Management");
        both["id"] = json!(WEIGHT);
        let neither = json!({"type": "group", "id": "", "meta": {}});

        let refused = app.organization().await.post("/pub/patient", &member(&json!([both, neither]))).await;

        let places = places(&refused.expect_status(409));
        assert_eq!(places.len(), 2, "{places:?}");
        for (index, place) in places.iter().enumerate() {
            let expected = format!("409 InvalidBodyParameter /data/relationships/groups/data/{index}");
            assert!(place.starts_with(&expected), "{place}");
        }
        assert_eq!(count_patients(&app).await, 34);
    })
    .await;
}

#[actix_web::test]
async fn all_that_a_query_for_a_group_lacks_is_named() {
    on_each_database(async |app| {
        for query in [json!({}), json!({"organization": 5, "name": 5}), json!({"organization": null, "name": " "})] {
            let body = member(&json!([{"type": "group", "meta": {"query": query}}]));

            let refused = app.organization().await.post("/pub/patient", &body).await.expect_status(409);

            let place = "409 InvalidBodyParameter /data/relationships/groups/data/0/meta/query";
            let expected = ["organization", "name"].map(|name| format!("{place}/{name}"));
            assert_eq!(places(&refused), expected, "{query}");
        }
    })
    .await;
}

#[actix_web::test]
async fn a_skipped_duplicate_creates_no_group() {
    on_each_database(async |app| {
        let mut known = patient_known_as("medical-record-number", "204417");
        known["relationships"]["groups"]["data"] = json!([named(&app.demo.organization, "Unneeded")]);
        let body = json!({"data": [known], "meta": {"ignore_duplicates": true}});

        app.organization().await.post("/pub/patient", &body).await.expect_status(201);

        assert_eq!(groups_named(&app, "Unneeded").await, [""; 0]);
    })
    .await;
}

#[actix_web::test]
async fn a_change_can_name_groups_by_query() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let path = format!("/pub/patient/{ODWYER}");
        let organization = &app.demo.organization;
        let wanted = json!([named(organization, "Diabetes Together"), named(organization, "Movers")]);

        let changed = client.patch(&path, &change_of_groups(ODWYER, &wanted)).await.expect_status(200);

        let movers = groups_named(&app, "Movers").await;
        assert_eq!(related(&changed.body["data"], "groups"), [DIABETES, &movers[0]]);
    })
    .await;
}

#[actix_web::test]
async fn the_groups_of_a_patient_are_listed_whole() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let path = format!("/pub/patient/{OSTRANDER}/groups");

        let listed = client.get(&path).await.expect_status(200);

        assert_eq!((listed.count(), listed.link("self"), listed.link("next")), (2, Some(path), None));
        let mut expected = Vec::new();
        for id in [DIABETES, HEART] {
            expected.push(client.get(&format!("/pub/group/{id}")).await.expect_status(200).body["data"].clone());
        }
        assert_eq!(listed.body["data"], json!(expected));
    })
    .await;
}

#[actix_web::test]
async fn the_coaches_of_a_patient_are_listed_whole() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let path = format!("/pub/patient/{OSTRANDER}/coaches");

        let listed = client.get(&path).await.expect_status(200);

        assert_eq!((listed.count(), listed.link("self"), listed.link("next")), (2, Some(path), None));
        let mut expected = Vec::new();
        for id in [CASTELLANOS, WHITCOMBE] {
            expected.push(client.get(&format!("/pub/coach/{id}")).await.expect_status(200).body["data"].clone());
        }
        assert_eq!(listed.body["data"], json!(expected));
        let without = client.get("/pub/patient/66fece8c966aa5d31e7ad249/coaches").await.expect_status(200);
        assert_eq!((without.count(), without.ids()), (0, vec![]));
    })
    .await;
}

#[actix_web::test]
async fn groups_and_coaches_of_a_patient_come_in_pages_when_asked() {
    on_each_database(async |app| {
        let client = app.organization().await;
        for (relationship, ids) in [("groups", [DIABETES, HEART]), ("coaches", [CASTELLANOS, WHITCOMBE])] {
            for page in ["page[size]=1", "page[limit]=1"] {
                let first =
                    client.get(&format!("/pub/patient/{OSTRANDER}/{relationship}?{page}")).await.expect_status(200);
                let next = first.link("next").unwrap();
                let second = client.get(&next).await.expect_status(200);

                assert_eq!((first.count(), second.count()), (2, 2), "{relationship} {page}");
                assert_eq!([first.ids(), second.ids()].concat(), ids, "{relationship} {page}");
                assert_eq!((second.link("self"), second.link("next")), (Some(next), None), "{relationship} {page}");
            }
        }
    })
    .await;
}

#[actix_web::test]
async fn a_restricted_client_is_shown_its_own_group_of_a_patient_alone() {
    on_each_database(async |app| {
        let client = app.group().await;

        let listed = client.get(&format!("/pub/patient/{OSTRANDER}/groups")).await.expect_status(200);
        let patient = client.get(&format!("/pub/patient/{OSTRANDER}")).await.expect_status(200);

        assert_eq!((listed.count(), listed.ids()), (1, vec![DIABETES.to_owned()]));
        assert_eq!(related(&patient.body["data"], "groups"), [DIABETES]);
    })
    .await;
}

#[actix_web::test]
async fn the_relations_of_a_patient_out_of_sight_are_not_found() {
    on_each_database(async |app| {
        let whole = app.organization().await;
        let restricted = app.group().await;
        for relationship in ["groups", "coaches"] {
            let of = |id: &str| format!("/pub/patient/{id}/{relationship}");
            let unknown = whole.get(&of(UNKNOWN)).await.expect_status(404).errors();
            for (client, id) in [(&whole, STRANGE_PATIENT), (&whole, "no-id"), (&restricted, ODWYER)] {
                assert_eq!(client.get(&of(id)).await.expect_status(404).errors(), unknown, "{id}");
            }
        }
    })
    .await;
}
