//! `PUT /patient`: create or update, by an identifier within groups.

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::people::{
    DIABETES, EASTSIDE, HEART, ODWYER, OSTRANDER, STRANGE_GROUP, UNKNOWN, WEIGHT, attributes, count_patients, groups,
    places, related,
};
use crate::support::{NOW, Response, on_each_database};

/// An upsert of the patient whom a system knows by a value, within groups.
fn upsert(system: &str, value: &str, groups: &[&str], attributes: &Value) -> Value {
    json!({
        "data": {"type": "patient", "attributes": attributes},
        "meta": {"query": {"identifier": {"system": system, "value": value}, "groups": groups}},
    })
}

/// Fails the test unless every error points at something that was sent.
#[track_caller]
fn assert_places_exist(refused: &Response, body: &Value) {
    for error in refused.body["errors"].as_array().unwrap() {
        let pointer = error["source"]["pointer"].as_str().unwrap();
        assert!(body.pointer(pointer).is_some(), "{pointer} is not in {body}");
    }
}

#[actix_web::test]
async fn nobody_found_makes_a_patient_with_the_identifier_and_the_groups() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let body = upsert("other-place", "123", &[HEART, EASTSIDE], &json!({"first_name": "Corwin"}));

        let answer = client.put("/pub/patient", &body).await.expect_status(200);

        let data = &answer.body["data"];
        let expected = json!({
            "first_name": "Corwin", "phone_numbers": [], "addresses": [],
            "identifiers": [{"system": "other-place", "value": "123"}],
            "archived": false, "archive_history": [], "enrolled_at": NOW, "updated_at": NOW,
        });
        assert_eq!(data["attributes"], expected);
        assert_eq!(related(data, "groups"), [HEART, EASTSIDE]);
        let fetched = client.get(&format!("/pub/patient/{}", answer.id())).await.expect_status(200);
        assert_eq!(&fetched.body["data"], data);
        assert_eq!(count_patients(&app).await, 35);
    })
    .await;
}

#[actix_web::test]
async fn a_new_patient_keeps_the_identifiers_and_groups_of_the_body_beside_those_of_the_query() {
    on_each_database(async |app| {
        let identifiers = json!([
            {"label": "Elsewhere", "system": "other-place", "value": "124"}, {"system": "ward-book", "value": "124"},
        ]);
        let mut body = upsert("other-place", "124", &[HEART], &json!({ "identifiers": identifiers }));
        body["data"]["relationships"] = json!({"groups": {"data": groups(&[WEIGHT, HEART])}});

        let answer = app.organization().await.put("/pub/patient", &body).await.expect_status(200);

        let data = &answer.body["data"];
        assert_eq!(data["attributes"]["identifiers"], identifiers);
        let mut related = related(data, "groups");
        related.sort();
        assert_eq!(related, [HEART, WEIGHT]);
    })
    .await;
}

#[actix_web::test]
async fn the_one_who_is_found_is_changed() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let before = client.get(&format!("/pub/patient/{OSTRANDER}")).await.expect_status(200);
        app.advance(60);
        // Another organization has this number too; and any of the groups will do.
        let attributes = json!({"note": "Called.", "birth_date": null, "archived": true});
        let body = upsert("medical-record-number", "204417", &[WEIGHT, DIABETES], &attributes);

        let answer = client.put("/pub/patient", &body).await.expect_status(200);

        let mut expected = before.body["data"].clone();
        expected["attributes"].as_object_mut().unwrap().remove("birth_date");
        expected["attributes"]["note"] = json!("Called.");
        expected["attributes"]["updated_at"] = json!("2026-03-02T09:31:00.000Z");
        assert_eq!(answer.body["data"], expected);
        assert_eq!(answer.body["meta"]["ignored"], json!(["/data/attributes/archived"]));
        assert_eq!(count_patients(&app).await, 34);
    })
    .await;
}

#[actix_web::test]
async fn groups_decide_between_those_who_share_an_identifier() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let sent = |groups: &[&str]| upsert("household", "H-0311", groups, &json!({"note": "Moved."}));

        let both = client.put("/pub/patient", &sent(&[DIABETES, HEART])).await.expect_status(409);
        assert_eq!(places(&both), ["409 InvalidBodyParameter /meta/query"]);
        assert!(both.errors().contains("2 patients"), "{}", both.errors());

        let one = client.put("/pub/patient", &sent(&[HEART])).await.expect_status(200);
        assert_eq!(one.body["data"]["attributes"]["first_name"], "Joanna");
        assert_eq!(attributes(&client, "6553dedfe179cdf90b7ad236").await["note"], Value::Null);
        assert_eq!(count_patients(&app).await, 34);
    })
    .await;
}

#[actix_web::test]
async fn an_identifier_that_others_share_can_be_shared_by_a_new_patient() {
    on_each_database(async |app| {
        let shared = json!({"identifiers": [{"system": "household", "value": "H-0311", "unique": false}]});
        let body = upsert("household", "H-0311", &[EASTSIDE], &shared);

        let answer = app.organization().await.put("/pub/patient", &body).await.expect_status(200);

        assert_eq!(answer.body["data"]["attributes"]["identifiers"], shared["identifiers"]);
        assert_eq!(count_patients(&app).await, 35);
    })
    .await;
}

#[actix_web::test]
async fn the_same_upsert_again_doubles_nothing_whatever_identifiers_the_body_has() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let of_body = json!({"system": "ward-book", "value": "130"});
        for (value, attributes, others) in [
            ("131", json!({"first_name": "Hesper"}), vec![]),
            ("132", json!({"first_name": "Hesper", "identifiers": []}), vec![]),
            ("133", json!({"first_name": "Hesper", "identifiers": null}), vec![]),
            ("134", json!({"first_name": "Hesper", "identifiers": [of_body]}), vec![of_body]),
        ] {
            let body = upsert("other-place", value, &[DIABETES], &attributes);
            let first = client.put("/pub/patient", &body).await.expect_status(200);
            let count = count_patients(&app).await;

            for _ in 0..2 {
                let again = client.put("/pub/patient", &body).await.expect_status(200);
                assert_eq!(again.body["data"], first.body["data"], "{attributes}");
            }

            let mut expected = others;
            expected.push(json!({"system": "other-place", "value": value}));
            assert_eq!(first.body["data"]["attributes"]["identifiers"], json!(expected), "{attributes}");
            assert_eq!(count_patients(&app).await, count, "{attributes}");
        }
    })
    .await;
}

#[actix_web::test]
async fn a_body_with_other_groups_moves_the_patient() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let mut body = upsert("medical-record-number", "204417", &[DIABETES], &json!({}));
        body["data"]["relationships"] = json!({"groups": {"data": groups(&[DIABETES, WEIGHT])}});

        let answer = client.put("/pub/patient", &body).await.expect_status(200);

        assert_eq!(answer.id(), OSTRANDER);
        assert_eq!(related(&answer.body["data"], "groups"), [DIABETES, WEIGHT]);
    })
    .await;
}

#[actix_web::test]
async fn an_identifier_held_outside_the_groups_is_refused_where_the_query_names_it() {
    on_each_database(async |app| {
        let (whole, restricted) = (app.organization().await, app.group().await);
        // A patient in another group; one whom the client cannot see; a coach.
        for (client, system, value, group) in [
            (&whole, "medical-record-number", "204502", DIABETES),
            (&restricted, "medical-record-number", "204502", DIABETES),
            (&whole, "employee-number", "RHP-0112", HEART),
        ] {
            let body = upsert(system, value, &[group], &json!({"note": "Taken."}));
            let refused = client.put("/pub/patient", &body).await.expect_status(409);
            assert_places_exist(&refused, &body);
            assert_eq!(places(&refused), ["409 InvalidBodyParameter /meta/query/identifier"], "{value}");
        }
        assert_eq!(attributes(&whole, ODWYER).await["note"], Value::Null);
        assert_eq!(count_patients(&app).await, 34);
    })
    .await;
}

#[actix_web::test]
async fn a_query_needs_an_identifier_and_groups() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let identifier = json!({"system": "other-place", "value": "140"});
        for (meta, expected) in [
            (json!(null), "/meta/query"),
            (json!({}), "/meta/query"),
            (json!({"query": null}), "/meta/query"),
            (json!({"query": "other-place 140"}), "/meta/query"),
            (json!({"query": {"identifier": identifier}}), "/meta/query/groups"),
            (json!({"query": {"identifier": identifier, "groups": null}}), "/meta/query/groups"),
            (json!({"query": {"identifier": identifier, "groups": DIABETES}}), "/meta/query/groups"),
            (json!({"query": {"identifier": identifier, "groups": [5]}}), "/meta/query/groups/0"),
            (json!({"query": {"groups": [DIABETES]}}), "/meta/query/identifier"),
            (json!({"query": {"identifier": "140", "groups": [DIABETES]}}), "/meta/query/identifier"),
            (json!({"query": {"identifier": {"value": "140"}, "groups": [DIABETES]}}), "/meta/query/identifier/system"),
            (
                json!({"query": {"identifier": {"system": "x", "value": 140}, "groups": [DIABETES]}}),
                "/meta/query/identifier/value",
            ),
        ] {
            let body = json!({"data": {"type": "patient", "attributes": {}}, "meta": meta});
            let refused = client.put("/pub/patient", &body).await.expect_status(409);
            let expected = format!("409 InvalidBodyParameter {expected}");
            assert!(places(&refused).contains(&expected), "{meta}: {}", refused.errors());
        }
        let without_meta = json!({"data": {"type": "patient", "attributes": {}}});
        let refused = client.put("/pub/patient", &without_meta).await.expect_status(409);
        assert_eq!(places(&refused), ["409 InvalidBodyParameter /meta/query"]);
        assert_eq!(count_patients(&app).await, 34);
    })
    .await;
}

#[actix_web::test]
async fn an_empty_list_of_groups_makes_no_patient_without_a_group() {
    on_each_database(async |app| {
        let client = app.organization().await;
        for value in ["141", "204417"] {
            let body = upsert("medical-record-number", value, &[], &json!({}));
            let refused = client.put("/pub/patient", &body).await.expect_status(409);
            let expected = "409 InvalidBodyParameter /meta/query/groups".to_owned();
            assert!(places(&refused).contains(&expected), "{value}: {}", refused.errors());
        }
        assert_eq!(count_patients(&app).await, 34);
    })
    .await;
}

#[actix_web::test]
async fn all_that_a_query_lacks_is_named() {
    on_each_database(async |app| {
        let body = json!({
            "data": {"type": "patient", "attributes": {"gender": "x"}},
            "meta": {"query": {"identifier": {"system": " "}, "groups": [DIABETES]}},
        });

        let refused = app.organization().await.put("/pub/patient", &body).await.expect_status(409);

        let places = places(&refused);
        for expected in ["/data/attributes/gender", "/meta/query/identifier/system", "/meta/query/identifier/value"] {
            assert!(places.contains(&format!("409 InvalidBodyParameter {expected}")), "{}", refused.errors());
        }
    })
    .await;
}

#[actix_web::test]
async fn a_group_outside_the_scope_is_forbidden() {
    on_each_database(async |app| {
        let (whole, restricted) = (app.organization().await, app.group().await);
        for (client, outside) in [(&whole, STRANGE_GROUP), (&whole, UNKNOWN), (&whole, "no-id"), (&restricted, HEART)] {
            // Whether the patient is there or not.
            for value in ["204417", "no such number"] {
                let body = upsert("medical-record-number", value, &[DIABETES, outside], &json!({"note": "Seen."}));
                let refused = client.put("/pub/patient", &body).await.expect_status(403);
                assert_eq!(places(&refused), ["403 Forbidden /meta/query/groups/1"], "{outside}");
            }
        }
        assert_ne!(attributes(&whole, OSTRANDER).await["note"], "Seen.");
        assert_eq!(count_patients(&app).await, 34);
    })
    .await;
}

#[actix_web::test]
async fn a_restricted_client_upserts_within_its_group() {
    on_each_database(async |app| {
        let client = app.group().await;
        let body = upsert("other-place", "150", &[DIABETES], &json!({"first_name": "Linnea"}));

        let first = client.put("/pub/patient", &body).await.expect_status(200);
        let again = client.put("/pub/patient", &body).await.expect_status(200);

        assert_eq!(again.body["data"], first.body["data"]);
        assert_eq!(related(&first.body["data"], "groups"), [DIABETES]);
    })
    .await;
}

#[actix_web::test]
async fn equal_upserts_at_once_make_one_patient() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let body = upsert("other-place", "160", &[DIABETES, HEART], &json!({"first_name": "Amadou"}));

        let answers = join_all((0..8).map(|_| client.put("/pub/patient", &body))).await;

        let shown: Vec<_> = answers.into_iter().map(|answer| answer.expect_status(200).body["data"].clone()).collect();
        assert!(shown.iter().all(|patient| *patient == shown[0]), "{shown:?}");
        assert_eq!(shown[0]["attributes"]["identifiers"], json!([{"system": "other-place", "value": "160"}]));
        assert_eq!(count_patients(&app).await, 35);
    })
    .await;
}

#[actix_web::test]
async fn the_faults_of_an_upsert_are_named_and_nothing_is_stored() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let attributes = json!({"first_name": 1, "phone_numbers": [{"value": "1", "type": "car"}]});
        for value in ["204417", "no such number"] {
            let body = upsert("medical-record-number", value, &[DIABETES], &attributes);
            let refused = client.put("/pub/patient", &body).await.expect_status(409);
            let expected = ["first_name", "phone_numbers/0/type"];
            assert_eq!(
                places(&refused),
                expected.map(|place| format!("409 InvalidBodyParameter /data/attributes/{place}"))
            );
        }
        let query = json!({"identifier": {"system": "other-place", "value": "170"}, "groups": [DIABETES]});
        for data in [json!(null), json!([{"type": "patient"}]), json!({"type": "coach"})] {
            client.put("/pub/patient", &json!({"data": data, "meta": {"query": query}})).await.expect_status(409);
        }
        assert_eq!(count_patients(&app).await, 34);
    })
    .await;
}
