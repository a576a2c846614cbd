//! New patients that are refused: every wrong value at its place, and nothing
//! stored.

use actix_web::http::Method;
use serde_json::{Value, json};

use crate::people::{DIABETES, UNKNOWN, count_patients, document, patient, places};
use crate::support::on_each_database;

#[actix_web::test]
async fn every_wrong_value_of_a_bulk_request_is_listed_in_order() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let cases = [
            (json!({"first_name": 7}), "first_name"),
            (json!({"first_name": "NUL\u{0}"}), "first_name"),
            (json!({"last_name": ["Pell"]}), "last_name"),
            (json!({"email_address": {}}), "email_address"),
            (json!({"note": true}), "note"),
            (json!({"birth_date": 19_610_819}), "birth_date"),
            (json!({"birth_date": "1961-8-19"}), "birth_date"),
            (json!({"birth_date": "2023-02-29"}), "birth_date"),
            (json!({"birth_date": "1961-08-19T00:00:00Z"}), "birth_date"),
            (json!({"gender": 1}), "gender"),
            (json!({"gender": "Female"}), "gender"),
            (json!({"gender": ""}), "gender"),
            (json!({"phone_numbers": {}}), "phone_numbers"),
            (json!({"phone_numbers": ["802-555-0116"]}), "phone_numbers/0"),
            (json!({"phone_numbers": [{"value": "1"}, null]}), "phone_numbers/1"),
            (json!({"phone_numbers": [{"type": "home"}]}), "phone_numbers/0/value"),
            (json!({"phone_numbers": [{"value": "1"}, {"value": 8_025_550_116_u64}]}), "phone_numbers/1/value"),
            (json!({"phone_numbers": [{"value": "1", "type": "car"}]}), "phone_numbers/0/type"),
            (json!({"phone_numbers": [{"value": "1", "type": 2}]}), "phone_numbers/0/type"),
            (json!({"phone_numbers": [{"value": "1", "primary": "yes"}]}), "phone_numbers/0/primary"),
            (json!({"addresses": "1 Cooper Lane"}), "addresses"),
            (json!({"addresses": [{}, 5]}), "addresses/1"),
            (json!({"addresses": [{"use": 1}]}), "addresses/0/use"),
            (json!({"addresses": [{"type": 1}]}), "addresses/0/type"),
            (json!({"addresses": [{"text": 1}]}), "addresses/0/text"),
            (json!({"addresses": [{"lines": "1 Cooper Lane"}]}), "addresses/0/lines"),
            (json!({"addresses": [{"lines": ["1 Cooper Lane", 2]}]}), "addresses/0/lines/1"),
            (json!({"addresses": [{"city": 1}]}), "addresses/0/city"),
            (json!({"addresses": [{"district": 1}]}), "addresses/0/district"),
            (json!({"addresses": [{"state": 1}]}), "addresses/0/state"),
            (json!({"addresses": [{"postal_code": 5096}]}), "addresses/0/postal_code"),
            (json!({"addresses": [{"country": "U\u{0}S"}]}), "addresses/0/country"),
            (json!({"identifiers": "204417"}), "identifiers"),
            (json!({"identifiers": [["ward-book", "1"]]}), "identifiers/0"),
            (json!({"identifiers": [{"value": "1"}]}), "identifiers/0/system"),
            (json!({"identifiers": [{"system": "ward-book"}]}), "identifiers/0/value"),
            (json!({"identifiers": [{"system": 1, "value": "1"}]}), "identifiers/0/system"),
            (json!({"identifiers": [{"system": "ward-book", "value": 1}]}), "identifiers/0/value"),
            (json!({"identifiers": [{"system": "ward-book", "value": "1", "label": 1}]}), "identifiers/0/label"),
            (json!({"identifiers": [{"system": "ward-book", "value": "2", "unique": "no"}]}), "identifiers/0/unique"),
        ];
        let mut data = vec![patient(&json!({"first_name": "Faultless"}))];
        data.extend(cases.iter().map(|(attributes, _)| patient(attributes)));

        let refused = client.post("/pub/patient", &json!({ "data": data })).await.expect_status(409);

        let expected: Vec<_> = (1..)
            .zip(&cases)
            .map(|(item, (_, place))| format!("409 InvalidBodyParameter /data/{item}/attributes/{place}"))
            .collect();
        assert_eq!(places(&refused), expected);
        assert_eq!(count_patients(&app).await, 34);
    })
    .await;
}

#[actix_web::test]
async fn all_faults_of_one_patient_are_listed_together() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let body = json!({"data": {
            "type": "person",
            "attributes": {"first_name": 1, "gender": "x", "phone_numbers": [{"type": "car"}]},
            "relationships": {
                "groups": {"data": [{"type": "coach", "id": DIABETES}, {"type": "group", "id": UNKNOWN}]},
                "coaches": {"data": [{"type": "coach"}, {"type": "coach", "id": UNKNOWN}]},
            },
        }});

        let refused = client.post("/pub/patient", &body).await;

        let mut places = places(&refused);
        places.sort();
        let expected = [
            "403 Forbidden /data/relationships/groups/data/1/id",
            "409 InvalidBodyParameter /data/attributes/first_name",
            "409 InvalidBodyParameter /data/attributes/gender",
            "409 InvalidBodyParameter /data/attributes/phone_numbers/0/type",
            "409 InvalidBodyParameter /data/attributes/phone_numbers/0/value",
            "409 InvalidBodyParameter /data/relationships/coaches/data/0/id",
            "409 InvalidBodyParameter /data/relationships/coaches/data/1/id",
            "409 InvalidBodyParameter /data/relationships/groups/data/0/type",
            "409 InvalidBodyParameter /data/type",
        ];
        assert_eq!(places, expected);
    })
    .await;
}

#[actix_web::test]
async fn a_document_of_the_wrong_shape_is_refused_where_it_is_wrong() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let groups = |data: Value| json!({"data": {"type": "patient", "relationships": {"groups": {"data": data}}}});
        let valid = patient(&json!({}));
        for (body, place) in [
            (json!([]), "-"),
            (json!({}), "/data"),
            (json!({"data": null}), "/data"),
            (json!({"data": "patient"}), "/data"),
            (json!({"data": [valid, 5]}), "/data/1"),
            (json!({"data": {"relationships": valid["relationships"]}}), "/data/type"),
            (json!({"data": [valid], "meta": 5}), "/meta"),
            (json!({"data": [valid], "meta": {"ignore_duplicates": "true"}}), "/meta/ignore_duplicates"),
            (
                json!({"data": {"type": "patient", "attributes": [], "relationships": valid["relationships"]}}),
                "/data/attributes",
            ),
            (
                json!({"data": {"type": "patient", "relationships": {"groups": [DIABETES]}}}),
                "/data/relationships/groups",
            ),
            (groups(json!({"type": "group", "id": DIABETES})), "/data/relationships/groups/data"),
            (groups(json!([DIABETES])), "/data/relationships/groups/data/0"),
        ] {
            let refused = client.post("/pub/patient", &body).await.expect_status(409);
            let place = place.trim_start_matches('-');
            assert_eq!(places(&refused), [format!("409 InvalidBodyParameter {place}")], "{body}");
        }
        assert_eq!(count_patients(&app).await, 34);
    })
    .await;
}

#[actix_web::test]
async fn half_a_surrogate_pair_is_refused_with_a_reason() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let body = document(&patient(&json!({"note": "HALF"}))).to_string().replace("HALF", r"\ud83d");
        let request = client.request(Method::POST, "/pub/patient");
        let request = request.insert_header(("Content-Type", "application/vnd.api+json")).set_payload(body);

        let refused = client.send(request).await.expect_status(409);

        assert_eq!(places(&refused), ["409 InvalidBodyParameter /data/attributes/note"]);
        assert!(!refused.errors().contains("must be a string, not a string"), "{}", refused.errors());
    })
    .await;
}
