//! Identifiers: who may share one, who is found by one, and who gets it when
//! many ask at once.

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::people::{
    DIABETES, HEART, OSTRANDER, STRANGE_GROUP, attributes, change, count_patients, document, groups, ignored, patient,
    patient_in, patient_known_as, places,
};
use crate::support::{TestApp, on_each_database};

const MRN: &str = "medical-record-number";

/// A new patient with this one identifier, unique or not.
fn shared(value: &str, unique: bool) -> Value {
    patient(&json!({"identifiers": [{"system": "household", "value": value, "unique": unique}]}))
}

/// The ids of the demo's patients who have this identifier.
async fn known_as(app: &TestApp, system: &str, value: &str) -> Vec<String> {
    let (organization, client) = (&app.demo.organization, app.organization().await);
    let filter = format!("filter[identifier][system]={system}&filter[identifier][value]={value}");
    client.get(&format!("/pub/patient?filter[organization]={organization}&{filter}")).await.expect_status(200).ids()
}

fn skipping(data: &Value) -> Value {
    json!({"data": data, "meta": {"ignore_duplicates": true}})
}

#[actix_web::test]
async fn an_identifier_belongs_to_one_patient_of_a_request() {
    on_each_database(async |app| {
        let body = json!({"data": [
            patient_known_as("ward-book", "40"),
            patient_known_as("chart", "40"),
            patient(&json!({"identifiers": [{"system": "chart", "value": "41"}, {"system": "ward-book", "value": "40"}]})),
        ]});

        let refused = app.organization().await.post("/pub/patient", &body).await.expect_status(409);

        assert_eq!(places(&refused), ["409 InvalidBodyParameter /data/2/attributes/identifiers/1"]);
        assert_eq!(count_patients(&app).await, 34);
    })
    .await;
}

#[actix_web::test]
async fn an_identifier_belongs_to_one_person_of_the_organization() {
    on_each_database(async |app| {
        let body = json!({"data": [
            patient_known_as(MRN, "204417"),
            patient_known_as("employee-number", "204417"),
            // A coach has this one.
            patient_known_as("employee-number", "RHP-0112"),
        ]});

        let refused = app.organization().await.post("/pub/patient", &body).await.expect_status(409);

        let expected = [0, 2].map(|item| format!("409 InvalidBodyParameter /data/{item}/attributes/identifiers/0"));
        assert_eq!(places(&refused), expected);
        assert!(refused.errors().contains("\"204417\"") && refused.errors().contains("\"medical-record-number\""));
        assert_eq!(count_patients(&app).await, 34);
    })
    .await;
}

#[actix_web::test]
async fn the_place_of_a_taken_identifier_counts_those_before_it_that_are_wrong() {
    on_each_database(async |app| {
        let identifiers = json!([{"system": 5, "value": "1"}, {"system": MRN, "value": "204417"}]);
        let body = document(&patient(&json!({ "identifiers": identifiers })));

        let refused = app.organization().await.post("/pub/patient", &body).await.expect_status(409);

        let expected =
            ["0/system", "1"].map(|place| format!("409 InvalidBodyParameter /data/attributes/identifiers/{place}"));
        assert_eq!(places(&refused), expected);
    })
    .await;
}

#[actix_web::test]
async fn all_that_an_identifier_lacks_is_named() {
    on_each_database(async |app| {
        let body = document(&patient(&json!({"identifiers": [{}, {"system": " ", "value": 1}]})));

        let refused = app.organization().await.post("/pub/patient", &body).await.expect_status(409);

        let expected = ["0/system", "0/value", "1/system", "1/value"];
        let expected = expected.map(|place| format!("409 InvalidBodyParameter /data/attributes/identifiers/{place}"));
        assert_eq!(places(&refused), expected);
    })
    .await;
}

#[actix_web::test]
async fn an_identifier_is_shared_only_when_everybody_agrees() {
    on_each_database(async |app| {
        let client = app.organization().await;
        for (first, second, status) in [(true, false, 409), (false, true, 409), (true, true, 409), (false, false, 201)]
        {
            // Against one that is stored, and within one request.
            let stored = format!("S-{first}-{second}");
            client.post("/pub/patient", &document(&shared(&stored, first))).await.expect_status(201);
            let answer = client.post("/pub/patient", &document(&shared(&stored, second))).await.expect_status(status);
            if status == 409 {
                assert_eq!(places(&answer), ["409 InvalidBodyParameter /data/attributes/identifiers/0"]);
            }

            let sent = format!("R-{first}-{second}");
            let body = json!({"data": [shared(&sent, first), shared(&sent, second)]});
            let answer = client.post("/pub/patient", &body).await.expect_status(status);
            if status == 409 {
                assert_eq!(places(&answer), ["409 InvalidBodyParameter /data/1/attributes/identifiers/0"]);
            }
        }
        assert_eq!(known_as(&app, "household", "S-false-false").await.len(), 2);
        assert_eq!(known_as(&app, "household", "R-false-false").await.len(), 2);
        assert_eq!(known_as(&app, "household", "S-false-true").await.len(), 1);
        assert_eq!(known_as(&app, "household", "R-false-true").await.len(), 0);
    })
    .await;
}

#[actix_web::test]
async fn organizations_do_not_know_of_each_others_identifiers() {
    on_each_database(async |app| {
        let (demo, stranger) = (app.organization().await, app.stranger().await);
        let there =
            patient_in(&groups(&[STRANGE_GROUP]), &json!({"identifiers": [{"system": "ward-book", "value": "50"}]}));

        stranger.post("/pub/patient", &document(&there)).await.expect_status(201);
        let here = demo.post("/pub/patient", &document(&patient_known_as("ward-book", "50"))).await.expect_status(201);

        assert_eq!(known_as(&app, "ward-book", "50").await, [here.id()]);
        // The other organization has a patient of this number, ours has not.
        demo.post("/pub/patient", &document(&patient_known_as(MRN, "310022"))).await.expect_status(201);
    })
    .await;
}

#[actix_web::test]
async fn a_change_keeps_its_own_identifiers_and_takes_none_of_others() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let path = format!("/pub/patient/{OSTRANDER}");
        let own = json!([{"system": MRN, "value": "204417"}, {"system": "ward-book", "value": "60"}]);
        client.patch(&path, &change(OSTRANDER, &json!({ "identifiers": own }))).await.expect_status(200);
        assert_eq!(attributes(&client, OSTRANDER).await["identifiers"], own);

        for taken in
            [json!({"system": MRN, "value": "204431"}), json!({"system": "employee-number", "value": "RHP-0112"})]
        {
            let body = change(OSTRANDER, &json!({"identifiers": [own[0], taken]}));
            let refused = client.patch(&path, &body).await.expect_status(409);
            assert_eq!(places(&refused), ["409 InvalidBodyParameter /data/attributes/identifiers/1"]);
        }
        assert_eq!(attributes(&client, OSTRANDER).await["identifiers"], own);
    })
    .await;
}

#[actix_web::test]
async fn an_identifier_that_others_share_cannot_be_made_unique() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let data = json!([shared("H-1", false), shared("H-1", false)]);
        let ids = client.post("/pub/patient", &json!({ "data": data })).await.expect_status(201).ids();
        let unique = change(&ids[0], &json!({"identifiers": [{"system": "household", "value": "H-1"}]}));
        let path = format!("/pub/patient/{}", ids[0]);

        let refused = client.patch(&path, &unique).await.expect_status(409);
        assert_eq!(places(&refused), ["409 InvalidBodyParameter /data/attributes/identifiers/0"]);

        // Alone with it, the patient may have it so, and then nobody else may have it at all.
        let without = change(&ids[1], &json!({"identifiers": []}));
        client.patch(&format!("/pub/patient/{}", ids[1]), &without).await.expect_status(200);
        client.patch(&path, &unique).await.expect_status(200);
        client.post("/pub/patient", &document(&shared("H-1", false))).await.expect_status(409);
    })
    .await;
}

#[actix_web::test]
async fn an_identifier_that_is_given_up_is_free_again() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let heir = document(&patient_known_as("riverbend-ehr", "RB-00018"));
        client.post("/pub/patient", &heir).await.expect_status(409);
        let left = change(OSTRANDER, &json!({"identifiers": [{"system": MRN, "value": "204417"}]}));

        client.patch(&format!("/pub/patient/{OSTRANDER}"), &left).await.expect_status(200);

        let heir = client.post("/pub/patient", &heir).await.expect_status(201);
        assert_eq!(known_as(&app, "riverbend-ehr", "RB-00018").await, [heir.id()]);
    })
    .await;
}

#[actix_web::test]
async fn one_duplicate_that_is_ignored_is_answered_with_the_patient_who_is_there() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let before = client.get(&format!("/pub/patient/{OSTRANDER}")).await.expect_status(200);
        app.advance(60);
        let identifiers = json!([{"system": "ward-book", "value": "70"}, {"system": MRN, "value": "204417"}]);
        let body = skipping(&patient(&json!({"first_name": "Somebody", "identifiers": identifiers})));

        let answer = client.post("/pub/patient", &body).await.expect_status(201);

        assert_eq!(answer.body["data"], before.body["data"]);
        assert_eq!(ignored(&answer), ["/data"]);
        assert_eq!(client.get(&format!("/pub/patient/{OSTRANDER}")).await.body["data"], before.body["data"]);
        assert_eq!((count_patients(&app).await, known_as(&app, "ward-book", "70").await.len()), (34, 0));
    })
    .await;
}

#[actix_web::test]
async fn of_many_the_duplicates_that_are_ignored_are_missing_from_the_answer() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let first = patient_known_as("ward-book", "80");
        let body = skipping(&json!([
            patient_known_as(MRN, "204431"),
            first,
            patient_known_as("employee-number", "RHP-0112"),
            first,
            patient_known_as("ward-book", "81"),
        ]));

        let answer = client.post("/pub/patient", &body).await.expect_status(201);

        let values: Vec<_> = answer.body["data"]
            .as_array()
            .unwrap()
            .iter()
            .map(|patient| &patient["attributes"]["identifiers"][0]["value"])
            .collect();
        assert_eq!(values, ["80", "81"]);
        assert_eq!(ignored(&answer), ["/data/0", "/data/2", "/data/3"]);
        assert_eq!(count_patients(&app).await, 36);

        // The same once more, as after an answer that was lost.
        let again = client.post("/pub/patient", &body).await.expect_status(201);
        assert_eq!((again.ids(), ignored(&again).len()), (vec![], 5));
        assert_eq!(count_patients(&app).await, 36);
    })
    .await;
}

#[actix_web::test]
async fn ignoring_duplicates_excuses_no_other_fault() {
    on_each_database(async |app| {
        let body = skipping(&json!([
            patient_known_as("ward-book", "90"),
            patient_known_as(MRN, "204431"),
            patient(&json!({"gender": "x"})),
        ]));

        let refused = app.organization().await.post("/pub/patient", &body).await.expect_status(409);

        assert_eq!(places(&refused), ["409 InvalidBodyParameter /data/2/attributes/gender"]);
        assert_eq!(count_patients(&app).await, 34);
    })
    .await;
}

#[actix_web::test]
async fn duplicates_are_ignored_only_on_request() {
    on_each_database(async |app| {
        let client = app.organization().await;
        for meta in [json!({}), json!({"ignore_duplicates": false}), json!({"ignore_duplicates": null}), json!(null)] {
            let body = json!({"data": patient_known_as(MRN, "204431"), "meta": meta});
            let refused = client.post("/pub/patient", &body).await.expect_status(409);
            assert_eq!(places(&refused), ["409 InvalidBodyParameter /data/attributes/identifiers/0"], "{meta}");
        }
    })
    .await;
}

#[actix_web::test]
async fn of_many_who_claim_an_identifier_at_once_exactly_one_gets_it() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let body = document(&patient_known_as("ward-book", "100"));

        let answers = join_all((0..16).map(|_| client.post("/pub/patient", &body))).await;

        let (created, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(|answer| answer.status == 201);
        assert_eq!((created.len(), refused.len()), (1, 15));
        for answer in refused {
            assert_eq!(places(&answer.expect_status(409)), ["409 InvalidBodyParameter /data/attributes/identifiers/0"]);
        }
        assert_eq!(known_as(&app, "ward-book", "100").await, [created[0].id()]);
        assert_eq!(count_patients(&app).await, 35);
    })
    .await;
}

#[actix_web::test]
async fn of_many_who_change_to_an_identifier_at_once_exactly_one_gets_it() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let data: Vec<_> = (0..8).map(|_| patient(&json!({}))).collect();
        let ids = client.post("/pub/patient", &json!({ "data": data })).await.expect_status(201).ids();
        let claim = json!({"identifiers": [{"system": "ward-book", "value": "110"}]});

        let answers =
            join_all(ids.iter().map(async |id| client.patch(&format!("/pub/patient/{id}"), &change(id, &claim)).await))
                .await;

        let mut statuses: Vec<_> = answers.iter().map(|answer| answer.status).collect();
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 409, 409, 409, 409, 409, 409, 409]);
        let winner = answers.iter().find(|answer| answer.status == 200).unwrap();
        assert_eq!(known_as(&app, "ward-book", "110").await, [winner.id()]);
    })
    .await;
}

#[actix_web::test]
async fn patients_are_found_by_system_and_value_together() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let odd = "a&b=c/d +ü%";
        let created =
            client.post("/pub/patient", &document(&patient_known_as("ward book", odd))).await.expect_status(201);

        assert_eq!(known_as(&app, "ward%20book", "a%26b%3Dc%2Fd%20%2B%C3%BC%25").await, [created.id()]);
        assert_eq!(known_as(&app, MRN, "204417").await, [OSTRANDER]);
        assert_eq!(known_as(&app, "riverbend-ehr", "204417").await, [""; 0]);
        assert_eq!(known_as(&app, MRN, "310022").await, [""; 0]);
        assert_eq!(known_as(&app, "employee-number", "RHP-0112").await, [""; 0]);
        assert_eq!(known_as(&app, "household", "H-0311").await.len(), 2);

        let household = "filter[identifier][system]=household&filter[identifier][value]=H-0311";
        for (client, group, expected) in
            [(client, HEART, "65550694e179cdf90b7ad237"), (app.group().await, DIABETES, "6553dedfe179cdf90b7ad236")]
        {
            let path = format!("/pub/patient?filter[groups]={group}&{household}");
            assert_eq!(client.get(&path).await.expect_status(200).ids(), [expected]);
        }
    })
    .await;
}

#[actix_web::test]
async fn a_system_without_a_value_finds_nobody_but_is_refused() {
    on_each_database(async |app| {
        let client = app.organization().await;
        for (half, place) in [
            ("filter[identifier][system]=household", "filter[identifier][system]"),
            ("filter[identifier][value]=H-0311", "filter[identifier][value]"),
        ] {
            let path = format!("/pub/patient?filter[organization]={}&{half}", app.demo.organization);
            let refused = client.get(&path).await.expect_status(409);
            assert_eq!(places(&refused), [format!("409 InvalidParameter {place}")]);
        }
    })
    .await;
}
