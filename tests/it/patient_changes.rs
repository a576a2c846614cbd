//! Patients that change: what a PATCH sets, clears, leaves alone and refuses.

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::people::{
    CASTELLANOS, DIABETES, DRAGUSIN, EASTSIDE, HEART, ODWYER, OSTRANDER, STRANGE_PATIENT, UNKNOWN, WEIGHT, WHITCOMBE,
    attributes, change, change_of_groups, coaches, document, groups, ignored, patient_in, places, related,
};
use crate::support::{Client, NOW, on_each_database};

/// A patient with a value for everything; the id and what is shown of it.
async fn create_full(client: &Client) -> (String, Value) {
    let mut new = patient_in(
        &groups(&[DIABETES, HEART]),
        &json!({
            "first_name": "Ottilie", "last_name": "Marchetti-Boone", "email_address": "omb@example.org",
            "birth_date": "1949-11-05", "gender": "female", "note": "Rings back.",
            "phone_numbers": [{"value": "802-555-0120"}, {"value": "802-555-0121", "type": "work"}],
            "addresses": [{"lines": ["3 Fuller Row"], "city": "Fernhollow"}],
            "identifiers": [{"system": "ward-book", "value": "31"}, {"system": "chart", "value": "C-31"}],
        }),
    );
    new["relationships"]["coaches"] = json!({"data": coaches(&[WHITCOMBE, CASTELLANOS])});
    let created = client.post("/pub/patient", &document(&new)).await.expect_status(201);
    (created.id(), created.body["data"].clone())
}

#[actix_web::test]
async fn a_change_touches_what_it_names_and_nothing_else() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let (id, shown) = create_full(&client).await;
        let path = format!("/pub/patient/{id}");
        let mut expected = shown;
        for (name, value, shown) in [
            ("first_name", json!("Tilly"), json!("Tilly")),
            ("last_name", json!("Boone"), json!("Boone")),
            ("email_address", json!(""), json!("")),
            ("birth_date", json!("1950-11-05"), json!("1950-11-05")),
            ("gender", json!("other"), json!("other")),
            ("note", json!("Rings\nback"), json!("Rings\nback")),
            ("phone_numbers", json!([{"value": "1"}]), json!([{"value": "1", "primary": false}])),
            ("addresses", json!([{"state": "VT"}, {}]), json!([{"state": "VT"}, {}])),
            ("identifiers", json!([{"system": "chart", "value": "2"}]), json!([{"system": "chart", "value": "2"}])),
        ] {
            let changed = client.patch(&path, &change(&id, &json!({ name: value }))).await.expect_status(200);
            expected["attributes"][name] = shown;
            assert_eq!(changed.body["data"], expected, "{name}");
            assert_eq!(client.get(&path).await.expect_status(200).body["data"], expected, "{name}");
        }
    })
    .await;
}

#[actix_web::test]
async fn null_clears_an_attribute_and_empties_a_list() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let (id, shown) = create_full(&client).await;
        let path = format!("/pub/patient/{id}");
        let mut expected = shown["attributes"].clone();
        for name in ["first_name", "last_name", "email_address", "birth_date", "gender", "note"] {
            client.patch(&path, &change(&id, &json!({ name: null }))).await.expect_status(200);
            expected.as_object_mut().unwrap().remove(name);
            assert_eq!(attributes(&client, &id).await, expected, "{name}");
        }
        for name in ["phone_numbers", "addresses", "identifiers"] {
            client.patch(&path, &change(&id, &json!({ name: null }))).await.expect_status(200);
            expected[name] = json!([]);
            assert_eq!(attributes(&client, &id).await, expected, "{name}");
        }
    })
    .await;
}

#[actix_web::test]
async fn relationships_are_replaced_whole_and_stay_when_they_are_left_out() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let (id, shown) = create_full(&client).await;
        let path = format!("/pub/patient/{id}");
        let relate =
            |relationships: Value| json!({"data": {"type": "patient", "id": id, "relationships": relationships}});

        let untouched =
            relate(json!({"groups": {"links": {"related": "x"}}, "coaches": {"meta": {}}, "plan": {"data": null}}));
        let same = client.patch(&path, &untouched).await.expect_status(200);
        assert_eq!(same.body["data"], shown);

        let moved = relate(json!({"groups": {"data": groups(&[WEIGHT, HEART])}}));
        let moved = client.patch(&path, &moved).await.expect_status(200);
        assert_eq!(related(&moved.body["data"], "groups"), [WEIGHT, HEART]);
        assert_eq!(related(&moved.body["data"], "coaches"), [WHITCOMBE, CASTELLANOS]);

        let coach = json!([{"type": "coach", "id": DRAGUSIN, "meta": {"primary": true}}]);
        let changed = client.patch(&path, &relate(json!({"coaches": {"data": coach}}))).await.expect_status(200);
        assert_eq!(changed.body["data"]["relationships"]["coaches"]["data"], coach);
        assert_eq!(related(&changed.body["data"], "groups"), [WEIGHT, HEART]);

        let without = client.patch(&path, &relate(json!({"coaches": {"data": []}}))).await.expect_status(200);
        assert_eq!(related(&without.body["data"], "coaches"), [""; 0]);
        assert_eq!(client.get(&path).await.expect_status(200).body["data"], without.body["data"]);
    })
    .await;
}

#[actix_web::test]
async fn a_patient_sent_back_as_fetched_changes_nothing_but_its_time_of_change() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let all = format!("/pub/patient?filter[organization]={}&page[limit]=1000", app.demo.organization);
        let before = client.get(&all).await.expect_status(200);
        app.advance(60);

        for patient in before.body["data"].as_array().unwrap() {
            let path = format!("/pub/patient/{}", patient["id"].as_str().unwrap());
            client.patch(&path, &document(patient)).await.expect_status(200);
        }

        let mut expected = before.body["data"].clone();
        for patient in expected.as_array_mut().unwrap() {
            patient["attributes"]["updated_at"] = json!("2026-03-02T09:31:00.000Z");
        }
        assert_eq!(client.get(&all).await.expect_status(200).body["data"], expected);
    })
    .await;
}

#[actix_web::test]
async fn what_is_read_only_in_a_change_is_ignored_and_named() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let fetched = client.get(&format!("/pub/patient/{OSTRANDER}")).await.expect_status(200);
        let mut sent = fetched.body.clone();
        for name in ["archived", "enrolled_at", "updated_at", "statement"] {
            sent["data"]["attributes"][name] = json!(null);
        }

        let changed = client.patch(&format!("/pub/patient/{OSTRANDER}"), &sent).await.expect_status(200);

        let mut expected = fetched.body["data"].clone();
        expected["attributes"]["updated_at"] = json!(NOW);
        assert_eq!(changed.body["data"], expected);
        let read_only = [
            "archive_history",
            "archived",
            "enrolled_at",
            "first_access_at",
            "invited_at",
            "last_access_at",
            "statement",
            "updated_at",
        ];
        let of_data: Vec<_> = ignored(&changed).into_iter().filter(|pointer| pointer.starts_with("/data")).collect();
        assert_eq!(of_data, read_only.map(|name| format!("/data/attributes/{name}")));
    })
    .await;
}

#[actix_web::test]
async fn the_time_of_change_follows_the_clock_and_the_time_of_enrolment_does_not() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let (id, _) = create_full(&client).await;
        let path = format!("/pub/patient/{id}");

        for expected in ["2026-03-02T09:40:00.000Z", "2026-03-02T09:50:00.000Z"] {
            app.advance(600);
            client.patch(&path, &change(&id, &json!({"note": expected}))).await.expect_status(200);
            let shown = attributes(&client, &id).await;
            assert_eq!((&shown["updated_at"], &shown["enrolled_at"]), (&json!(expected), &json!(NOW)));
        }
        app.advance(600);
        client.patch(&path, &change(&id, &json!({"gender": "x"}))).await.expect_status(409);
        assert_eq!(attributes(&client, &id).await["updated_at"], "2026-03-02T09:50:00.000Z");
    })
    .await;
}

#[actix_web::test]
async fn every_fault_of_a_change_is_named_and_nothing_of_it_is_stored() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let (id, shown) = create_full(&client).await;
        let body = json!({"data": {
            "type": "patient",
            "id": id,
            "attributes": {
                "first_name": "Stored",
                "birth_date": "5 November",
                "phone_numbers": [{"value": 1}],
                "identifiers": [{"system": "medical-record-number", "value": "204417"}],
            },
            "relationships": {"groups": {"data": []}, "coaches": {"data": coaches(&[UNKNOWN])}},
        }});

        let refused = client.patch(&format!("/pub/patient/{id}"), &body).await.expect_status(409);

        let mut places = places(&refused);
        places.sort();
        let expected = [
            "attributes/birth_date",
            "attributes/identifiers/0",
            "attributes/phone_numbers/0/value",
            "relationships/coaches/data/0/id",
            "relationships/groups",
        ];
        assert_eq!(places, expected.map(|place| format!("409 InvalidBodyParameter /data/{place}")));
        assert_eq!(client.get(&format!("/pub/patient/{id}")).await.body["data"], shown);
    })
    .await;
}

#[actix_web::test]
async fn a_change_must_name_the_type_and_the_id_of_its_path() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let path = format!("/pub/patient/{OSTRANDER}");
        let before = attributes(&client, OSTRANDER).await;
        let note = json!({"note": "Changed."});
        for (data, place) in [
            (json!({"type": "coach", "id": OSTRANDER, "attributes": note}), "/data/type"),
            (json!({"type": "patient", "id": ODWYER, "attributes": note}), "/data/id"),
            (json!([{"type": "patient", "id": OSTRANDER, "attributes": note}]), "/data"),
            (json!(null), "/data"),
        ] {
            let refused = client.patch(&path, &document(&data)).await.expect_status(409);
            assert_eq!(places(&refused), [format!("409 InvalidBodyParameter {place}")], "{data}");
        }
        assert_eq!(attributes(&client, OSTRANDER).await, before);
    })
    .await;
}

#[actix_web::test]
async fn a_patient_out_of_sight_cannot_be_changed_and_looks_like_none() {
    on_each_database(async |app| {
        let whole = app.organization().await;
        let unknown = whole.patch(&format!("/pub/patient/{UNKNOWN}"), &change(UNKNOWN, &json!({}))).await;
        let unknown = unknown.expect_status(404).errors();
        for (client, id) in [(&whole, STRANGE_PATIENT), (&whole, "no-id"), (&app.group().await, ODWYER)] {
            // A fault in the body does not give the patient away.
            for note in [json!("Seen."), json!(5)] {
                let refused = client.patch(&format!("/pub/patient/{id}"), &change(id, &json!({"note": note}))).await;
                assert_eq!(refused.expect_status(404).errors(), unknown, "{id} {note}");
            }
        }
        assert_eq!(attributes(&whole, ODWYER).await["note"], Value::Null);
        assert_ne!(attributes(&app.stranger().await, STRANGE_PATIENT).await["note"], "Seen.");
    })
    .await;
}

#[actix_web::test]
async fn a_restricted_client_ends_no_membership_that_it_cannot_see() {
    on_each_database(async |app| {
        let (whole, restricted) = (app.organization().await, app.group().await);
        let path = format!("/pub/patient/{OSTRANDER}");
        let body = change_of_groups(OSTRANDER, &groups(&[DIABETES]));

        let changed = restricted.patch(&path, &body).await.expect_status(200);
        assert_eq!(related(&changed.body["data"], "groups"), [DIABETES]);
        let mut seen = related(&whole.get(&path).await.expect_status(200).body["data"], "groups");
        seen.sort();
        assert_eq!(seen, [DIABETES, HEART]);

        for outside in [HEART, EASTSIDE] {
            let body = change_of_groups(OSTRANDER, &groups(&[DIABETES, outside]));
            let refused = restricted.patch(&path, &body).await.expect_status(403);
            assert_eq!(places(&refused), ["403 Forbidden /data/relationships/groups/data/1/id"]);
        }
    })
    .await;
}

#[actix_web::test]
async fn changes_at_the_same_time_do_not_undo_each_other() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let (id, shown) = create_full(&client).await;
        let path = format!("/pub/patient/{id}");
        let wanted = json!({
            "first_name": "A", "last_name": "B", "email_address": "C", "note": "D", "birth_date": "1970-01-01",
            "gender": "male", "addresses": [], "phone_numbers": [],
        });
        let wanted = wanted.as_object().unwrap();
        let bodies: Vec<_> = wanted.iter().map(|(name, value)| change(&id, &json!({ name: value }))).collect();

        for answer in join_all(bodies.iter().map(|body| client.patch(&path, body))).await {
            answer.expect_status(200);
        }

        let mut expected = shown["attributes"].clone();
        expected.as_object_mut().unwrap().extend(wanted.clone());
        assert_eq!(attributes(&client, &id).await, expected);
    })
    .await;
}
