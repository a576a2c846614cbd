//! New patients: what is stored of them, and to whom they may be related.

use serde_json::{Value, json};

use crate::people::{
    CASTELLANOS, DIABETES, DRAGUSIN, HEART, STRANGE_COACH, STRANGE_GROUP, UNKNOWN, WHITCOMBE, coaches, count_patients,
    document, groups, ignored, patient, patient_in, places, related,
};
use crate::support::{NOW, on_each_database};

#[actix_web::test]
async fn a_patient_needs_nothing_but_a_group() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let body = json!({"data": {"type": "patient", "relationships": {"groups": {"data": groups(&[HEART])}}}});

        let created = client.post("/pub/patient", &body).await.expect_status(201);

        let id = created.id();
        let path = format!("/pub/patient/{id}");
        let expected = json!({
            "type": "patient",
            "id": id,
            "attributes": {
                "phone_numbers": [], "addresses": [], "identifiers": [],
                "archived": false, "archive_history": [],
                "enrolled_at": NOW, "updated_at": NOW,
            },
            "links": {"self": path, "twine_web_app": format!("https://app.example.com/#/coach/patient/{id}")},
            "relationships": {
                "groups": {"data": [{"type": "group", "id": HEART}], "links": {"related": format!("{path}/groups")}},
                "coaches": {"data": [], "links": {"related": format!("{path}/coaches")}},
            },
        });
        assert_eq!(created.body["data"], expected);
        assert_eq!(client.get(&path).await.expect_status(200).body["data"], expected);
    })
    .await;
}

#[actix_web::test]
async fn every_attribute_comes_back_as_it_was_sent() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let sent = json!({
            "first_name": "Wilhelmina-Zoë",
            "last_name": "O'Carrick \"Billie\"",
            "email_address": "wz.ocarrick@example.org",
            "birth_date": "1952-02-29",
            "gender": "other",
            "note": "Doorbell is broken.\nKnock \u{1f6aa}, twice.",
            "phone_numbers": [
                {"type": "home-fax", "value": "802-555-0111", "primary": true},
                {"type": "work", "value": "802-555-0112", "primary": false},
            ],
            "addresses": [
                {
                    "use": "home", "type": "both", "text": "The yellow one", "lines": ["1 Cooper Lane", "Attic"],
                    "city": "Fernhollow", "district": "Upper", "state": "VT", "postal_code": "05095", "country": "US",
                },
                {"lines": []},
            ],
            "identifiers": [
                {"label": "Ward book", "system": "ward-book", "value": "W/7 é"},
                {"system": "household", "value": "H-0900", "unique": false},
            ],
        });

        let created = client.post("/pub/patient", &document(&patient(&sent))).await.expect_status(201);

        let mut expected = sent;
        for (name, value) in [("archived", json!(false)), ("archive_history", json!([]))] {
            expected[name] = value;
        }
        (expected["enrolled_at"], expected["updated_at"]) = (json!(NOW), json!(NOW));
        assert_eq!(created.body["data"]["attributes"], expected);
        let fetched = client.get(&format!("/pub/patient/{}", created.id())).await.expect_status(200);
        assert_eq!(fetched.body["data"], created.body["data"]);
    })
    .await;
}

#[actix_web::test]
async fn null_counts_as_left_out() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let body = document(&patient(&json!({
            "first_name": null, "last_name": null, "email_address": null, "birth_date": null, "gender": null,
            "note": null, "phone_numbers": [{"type": null, "value": "802-555-0113", "primary": null}],
            "addresses": [{"use": null, "lines": null, "city": "Fernhollow"}],
            "identifiers": [{"label": null, "system": "ward-book", "value": "8", "unique": null}],
        })));

        let created = client.post("/pub/patient", &body).await.expect_status(201);

        let expected = json!({
            "phone_numbers": [{"value": "802-555-0113", "primary": false}],
            "addresses": [{"city": "Fernhollow"}],
            "identifiers": [{"system": "ward-book", "value": "8"}],
            "archived": false, "archive_history": [], "enrolled_at": NOW, "updated_at": NOW,
        });
        assert_eq!(created.body["data"]["attributes"], expected);
        assert_eq!(created.body["meta"]["ignored"], Value::Null);

        let lists = document(&patient(&json!({"phone_numbers": null, "addresses": null, "identifiers": null})));
        let created = client.post("/pub/patient", &lists).await.expect_status(201);
        for list in ["phone_numbers", "addresses", "identifiers"] {
            assert_eq!(created.body["data"]["attributes"][list], json!([]), "{list}");
        }
    })
    .await;
}

#[actix_web::test]
async fn a_phone_number_needs_no_type_and_is_not_primary_unless_said_so() {
    on_each_database(async |app| {
        let body = document(&patient(&json!({"phone_numbers": [{"value": "802-555-0114"}]})));

        let created = app.organization().await.post("/pub/patient", &body).await.expect_status(201);

        let expected = json!([{"value": "802-555-0114", "primary": false}]);
        assert_eq!(created.body["data"]["attributes"]["phone_numbers"], expected);
    })
    .await;
}

#[actix_web::test]
async fn what_a_client_cannot_set_is_ignored_and_named() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let then = "2019-01-01T00:00:00.000Z";
        let mut new = patient(&json!({
            "archived": true,
            "archive_history": [{"archived": true, "modified_at": then}],
            "statement": {"value": "To sail again."},
            "enrolled_at": then, "invited_at": then, "first_access_at": then, "last_access_at": then,
            "created_at": then, "updated_at": then,
            "shoe/size": 38,
            "phone_numbers": [{"value": "802-555-0115", "extension": "7"}],
            "addresses": [{"planet": "Earth"}],
            "identifiers": [{"system": "ward-book", "value": "9", "period": {}}],
        }));
        new["links"] = json!({"self": "/pub/patient/x"});
        new["meta"] = json!({"source": "import"});

        let created =
            client.post("/pub/patient", &json!({"data": [patient(&json!({})), new]})).await.expect_status(201);

        let expected = json!({
            "phone_numbers": [{"value": "802-555-0115", "primary": false}],
            "addresses": [{}],
            "identifiers": [{"system": "ward-book", "value": "9"}],
            "archived": false, "archive_history": [], "enrolled_at": NOW, "updated_at": NOW,
        });
        assert_eq!(created.body["data"][1]["attributes"], expected);
        let of_attributes: Vec<_> = ignored(&created)
            .iter()
            .map(|pointer| pointer.strip_prefix("/data/1/attributes/").expect("an attribute of the second").to_owned())
            .collect();
        let expected = [
            "addresses/0/planet",
            "archive_history",
            "archived",
            "created_at",
            "enrolled_at",
            "first_access_at",
            "identifiers/0/period",
            "invited_at",
            "last_access_at",
            "phone_numbers/0/extension",
            "shoe~1size",
            "statement",
            "updated_at",
        ];
        assert_eq!(of_attributes, expected);
    })
    .await;
}

#[actix_web::test]
async fn many_patients_are_answered_in_the_order_of_the_request() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let names: Vec<_> = (0..60).map(|number| format!("Number {}", (number * 7) % 60)).collect();
        let data: Vec<_> = names.iter().map(|name| patient(&json!({"first_name": name}))).collect();

        let created = client.post("/pub/patient", &json!({ "data": data })).await.expect_status(201);

        let data = created.body["data"].as_array().unwrap();
        let answered: Vec<_> =
            data.iter().map(|patient| patient["attributes"]["first_name"].as_str().unwrap()).collect();
        assert_eq!(answered, names);
        let listed = format!("/pub/patient?filter[organization]={}&page[limit]=1000", app.demo.organization);
        assert_eq!(client.get(&listed).await.expect_status(200).ids()[34..], created.ids());
    })
    .await;
}

#[actix_web::test]
async fn an_array_is_answered_with_an_array_however_short() {
    on_each_database(async |app| {
        let client = app.organization().await;

        let one = client.post("/pub/patient", &json!({"data": [patient(&json!({}))]})).await.expect_status(201);
        let none = client.post("/pub/patient", &json!({"data": []})).await.expect_status(201);

        assert_eq!(one.ids().len(), 1);
        assert_eq!(none.body["data"], json!([]));
        assert_eq!(count_patients(&app).await, 35);
    })
    .await;
}

#[actix_web::test]
async fn an_id_of_the_clients_own_choice_is_forbidden_unless_it_is_empty() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let with_id = |id: Value| {
            let mut new = patient(&json!({}));
            new["id"] = id;
            new
        };

        let taken = json!({"data": [with_id(json!("")), with_id(json!(null)), with_id(json!(UNKNOWN))]});
        let refused = client.post("/pub/patient", &taken).await.expect_status(403);
        assert_eq!(
            refused.errors(),
            "403 Forbidden /data/2/id: must be left out: the server gives a new resource its id"
        );
        assert_eq!(count_patients(&app).await, 34);

        let empty = json!({"data": [with_id(json!("")), with_id(json!(null))]});
        assert_eq!(client.post("/pub/patient", &empty).await.expect_status(201).ids().len(), 2);
    })
    .await;
}

#[actix_web::test]
async fn a_patient_without_a_group_is_refused() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let body = json!({"data": [
            {"type": "patient", "attributes": {"first_name": "Nowhere"}},
            {"type": "patient", "relationships": {}},
            {"type": "patient", "relationships": {"groups": null}},
            {"type": "patient", "relationships": {"groups": {"links": {}}}},
            {"type": "patient", "relationships": {"groups": {"data": []}}},
        ]});

        let refused = client.post("/pub/patient", &body).await.expect_status(409);

        let expected = "\
409 InvalidBodyParameter /data/0/relationships/groups: is required
409 InvalidBodyParameter /data/1/relationships/groups: is required
409 InvalidBodyParameter /data/2/relationships/groups: is required
409 InvalidBodyParameter /data/3/relationships/groups: is required
409 InvalidBodyParameter /data/4/relationships/groups: must not be empty: a patient belongs to at least one group";
        assert_eq!(refused.errors(), expected);
        assert_eq!(count_patients(&app).await, 34);
    })
    .await;
}

#[actix_web::test]
async fn a_group_outside_the_scope_is_forbidden_whether_it_exists_or_not() {
    on_each_database(async |app| {
        let outside = |ids: &[&str]| json!({"data": [patient(&json!({})), patient_in(&groups(ids), &json!({}))]});
        let whole = app.organization().await;
        let restricted = app.group().await;

        let refused = whole.post("/pub/patient", &outside(&[DIABETES, UNKNOWN, STRANGE_GROUP, "no-id"])).await;
        let here = "/data/1/relationships/groups/data";
        let why =
            "this group is not within the scope of the token; see the token's own relationships for those that are";
        let line = |index: usize| format!("403 Forbidden {here}/{index}/id: {why}");
        assert_eq!(refused.expect_status(403).errors(), [line(1), line(2), line(3)].join("\n"));

        let refused = restricted.post("/pub/patient", &outside(&[DIABETES, HEART])).await.expect_status(403);
        assert_eq!(refused.errors(), line(1));
        assert_eq!(count_patients(&app).await, 34);
        restricted.post("/pub/patient", &document(&patient(&json!({})))).await.expect_status(201);
    })
    .await;
}

#[actix_web::test]
async fn a_patient_is_related_to_groups_and_coaches_in_the_order_sent() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let mut new = patient_in(&groups(&[HEART, DIABETES, HEART]), &json!({}));
        let sent = json!([
            {"type": "coach", "id": WHITCOMBE, "meta": {"primary": false}},
            {"type": "coach", "id": CASTELLANOS, "meta": {"primary": true}},
            {"type": "coach", "id": DRAGUSIN},
        ]);
        new["relationships"]["coaches"] = json!({ "data": sent });

        let created = client.post("/pub/patient", &document(&new)).await.expect_status(201);

        assert_eq!(related(&created.body["data"], "groups"), [HEART, DIABETES]);
        let expected = json!([
            {"type": "coach", "id": WHITCOMBE},
            {"type": "coach", "id": CASTELLANOS, "meta": {"primary": true}},
            {"type": "coach", "id": DRAGUSIN},
        ]);
        assert_eq!(created.body["data"]["relationships"]["coaches"]["data"], expected);
        let fetched = client.get(&format!("/pub/patient/{}", created.id())).await.expect_status(200);
        assert_eq!(fetched.body["data"], created.body["data"]);
    })
    .await;
}

#[actix_web::test]
async fn a_coach_who_is_unknown_or_out_of_sight_is_refused_in_the_same_words() {
    on_each_database(async |app| {
        let with_coaches = |ids: &[&str]| {
            let mut new = patient(&json!({}));
            new["relationships"]["coaches"] = json!({"data": coaches(ids)});
            json!({"data": [new]})
        };
        let line = |index: usize| {
            format!(
                "409 InvalidBodyParameter /data/0/relationships/coaches/data/{index}/id: \
                 there is no coach of this id within the scope of the token"
            )
        };

        let whole = app.organization().await;
        let refused = whole.post("/pub/patient", &with_coaches(&[UNKNOWN, CASTELLANOS, STRANGE_COACH, "x"])).await;
        assert_eq!(refused.expect_status(409).errors(), [line(0), line(2), line(3)].join("\n"));
        let refused = app.group().await.post("/pub/patient", &with_coaches(&[CASTELLANOS, DRAGUSIN])).await;
        assert_eq!(refused.expect_status(409).errors(), line(1));
        assert_eq!(count_patients(&app).await, 34);
    })
    .await;
}

#[actix_web::test]
async fn one_coach_at_most_is_primary() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let mut new = patient(&json!({}));
        let primary = |id: &str| json!({"type": "coach", "id": id, "meta": {"primary": true}});
        new["relationships"]["coaches"] = json!({"data": [primary(CASTELLANOS), primary(WHITCOMBE)]});

        let refused = client.post("/pub/patient", &document(&new)).await.expect_status(409);

        assert_eq!(places(&refused), ["409 InvalidBodyParameter /data/relationships/coaches"]);
        assert_eq!(count_patients(&app).await, 34);
    })
    .await;
}

#[actix_web::test]
async fn a_coach_named_twice_is_related_once() {
    on_each_database(async |app| {
        let mut new = patient(&json!({}));
        new["relationships"]["coaches"] = json!({"data": coaches(&[WHITCOMBE, CASTELLANOS, WHITCOMBE])});

        let created = app.organization().await.post("/pub/patient", &document(&new)).await.expect_status(201);

        assert_eq!(related(&created.body["data"], "coaches"), [WHITCOMBE, CASTELLANOS]);
    })
    .await;
}
