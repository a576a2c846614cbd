//! Health metrics, one by one: which are taken, whose they are, and that values
//! come back to the letter.

use std::collections::HashMap;

use actix_web::http::Method;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::support::{Client, NOW, Response, on_each_database};

const PATH: &str = "/pub/patient_health_metric";
/// In Diabetes Together, the group of the restricted client.
const ACHTERBERG: &str = "6409ea55741e089d927ad227";
/// In Weight Management only.
const ADEYINKA: &str = "644ae057b46c643c507ad22a";
/// Of the other organization.
const CROWHURST: &str = "647e09d486f89266d12f13f6";
const WEIGHT_MANAGEMENT: &str = "643ebbbeb46c643c507ad219";
const NOWHERE: &str = "ffffffffffffffffffffffff";

/// A measurement of a patient, who is named by `id` or `meta`.
fn metric(patient: &Value, attributes: &Value) -> Value {
    let mut identifier = patient.clone();
    identifier["type"] = json!("patient");
    json!({
        "type": "patient_health_metric",
        "attributes": attributes,
        "relationships": {"patient": {"data": identifier}},
    })
}

/// A weight, at a time that no fixture has.
fn weight(patient: &str, value: u32, occurred_at: &str) -> Value {
    metric(&json!({"id": patient}), &json!({"type": "weight", "value": value, "occurred_at": occurred_at}))
}

/// Posts attributes for Achterberg.
async fn post(client: &Client, attributes: Value) -> Response {
    client.post(PATH, &json!({"data": metric(&json!({"id": ACHTERBERG}), &attributes)})).await
}

/// Posts a weight of whom a `meta.query` finds.
async fn post_for(client: &Client, query: Value) -> Response {
    let attributes = json!({"type": "weight", "value": 80, "occurred_at": NOW});
    client.post(PATH, &json!({"data": metric(&json!({"meta": {"query": query}}), &attributes)})).await
}

/// How many metrics a patient has.
async fn count(client: &Client, patient: &str) -> i64 {
    client.get(&format!("{PATH}?filter[patient]={patient}&page[size]=0")).await.expect_status(200).count()
}

/// The text of a member of a JSON object, untouched.
fn exact<'t>(text: &'t str, path: &[&str]) -> &'t str {
    path.iter().fold(text, |text, name| {
        let object: HashMap<String, &'t RawValue> = serde_json::from_str(text).unwrap();
        object[*name].get()
    })
}

/// The texts of the items of `data`.
fn exact_items(text: &str) -> Vec<&str> {
    let items: Vec<&RawValue> = serde_json::from_str(exact(text, &["data"])).unwrap();
    items.into_iter().map(RawValue::get).collect()
}

#[actix_web::test]
async fn a_metric_is_answered_whole_and_leads_to_its_patient() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let sent =
            json!({"type": "heart_rate", "value": 64, "unit": "/min", "occurred_at": "2026-02-01T08:00:00+01:00"});

        let created = post(&client, sent).await.expect_status(200);

        let path = format!("{PATH}/{}", created.id());
        let expected = json!({
            "type": "patient_health_metric",
            "id": created.id(),
            "attributes": {
                "type": "heart_rate",
                "value": 64,
                "unit": "/min",
                "occurred_at": "2026-02-01T07:00:00.000Z",
                "created_at": NOW,
                "updated_at": NOW,
                "created_by": app.demo.client_id,
                "updated_by": app.demo.client_id,
            },
            "links": {"self": path},
            "relationships": {"patient": {
                "data": {"type": "patient", "id": ACHTERBERG},
                "links": {"related": format!("{path}/patient")},
            }},
        });
        assert_eq!(created.body["data"], expected);
        assert_eq!(created.body["meta"]["ignored"], Value::Null);
        assert_eq!(client.get(&path).await.expect_status(200).body["data"], expected);
        let related = client.get(&format!("{path}/patient")).await.expect_status(200);
        let patient = client.get(&format!("/pub/patient/{ACHTERBERG}")).await.expect_status(200);
        assert_eq!(related.body["data"], patient.body["data"]);
    })
    .await;
}

#[actix_web::test]
async fn values_and_units_come_back_to_the_letter() {
    const VALUES: [&str; 22] = [
        r#""121""#,
        "121",
        "121.0",
        "1.50",
        "1e3",
        "1E+3",
        "-0",
        "-0.0",
        "0",
        "true",
        "false",
        r#""""#,
        r#""\u00e9 \/ é""#,
        r#"{"a":[1,2.0]}"#,
        r#"{ "b" : null, "a" : 1 , "a" : 2 }"#,
        "[]",
        "9007199254740993",
        "18446744073709551616",
        "-123456789012345678901234567890",
        "0.1000000000000000055511151231257827",
        "1e-400",
        "1.7976931348623157e308",
    ];
    on_each_database(async |app| {
        let client = app.organization().await;
        let item = |value: &&str| {
            format!(
                r#"{{"type":"patient_health_metric",
                "attributes":{{"type":"inhaler_usage","value":{value},"unit":{value},"occurred_at":"{NOW}"}},
                "relationships":{{"patient":{{"data":{{"type":"patient","id":"{ACHTERBERG}"}}}}}}}}"#
            )
        };
        let body = format!(r#"{{"data":[{}]}}"#, VALUES.iter().map(item).collect::<Vec<_>>().join(","));
        let request = client.request(Method::POST, PATH).insert_header(("Content-Type", "application/json"));

        let created = client.send(request.set_payload(body)).await.expect_status(200);

        let attribute = |item: &str, name: &str| exact(item, &["attributes", name]).to_owned();
        let list = |response: &Response, name: &str| -> Vec<String> {
            exact_items(&response.text).into_iter().map(|item| attribute(item, name)).collect()
        };
        assert_eq!(
            (list(&created, "value"), list(&created, "unit")),
            (VALUES.map(str::to_owned).to_vec(), VALUES.map(str::to_owned).to_vec())
        );
        for (id, value) in created.ids().into_iter().zip(VALUES) {
            let fetched = client.get(&format!("{PATH}/{id}")).await.expect_status(200);
            assert_eq!(attribute(exact(&fetched.text, &["data"]), "value"), value);
            assert_eq!(attribute(exact(&fetched.text, &["data"]), "unit"), value);
        }
        let sparse = format!("{PATH}?filter[patient]={ACHTERBERG}&sort=-created_at&page[limit]=22");
        let sparse = client.get(&format!("{sparse}&fields[patient_health_metric]=value")).await.expect_status(200);
        let mut newest = list(&sparse, "value");
        newest.reverse();
        assert_eq!(newest, VALUES);
    })
    .await;
}

#[actix_web::test]
async fn blood_pressure_keeps_both_numbers_to_the_letter() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let body = format!(
            r#"{{"data":{{"type":"patient_health_metric","attributes":{{"type":"blood_pressure","systolic":121.0,
            "diastolic":8.00e1,"occurred_at":"{NOW}"}},
            "relationships":{{"patient":{{"data":{{"type":"patient","id":"{ACHTERBERG}"}}}}}}}}}}"#
        );
        let request = client.request(Method::POST, PATH).insert_header(("Content-Type", "application/vnd.api+json"));
        let created = client.send(request.set_payload(body)).await.expect_status(200);
        let fetched = client.get(&format!("{PATH}/{}", created.id())).await.expect_status(200);
        for text in [created.text, fetched.text] {
            assert_eq!(exact(&text, &["data", "attributes", "systolic"]), "121.0");
            assert_eq!(exact(&text, &["data", "attributes", "diastolic"]), "8.00e1");
        }
    })
    .await;
}

#[actix_web::test]
async fn a_patient_is_found_by_identifier() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let organization = &app.demo.organization;
        let mrn = json!({"system": "medical-record-number", "value": "204431"});
        let household = json!({"system": "household", "value": "H-0311"});
        for (query, patient) in [
            (json!({"identifier": mrn}), ACHTERBERG),
            (json!({"identifier": mrn, "organization": organization}), ACHTERBERG),
            (json!({"identifier": mrn, "groups": [WEIGHT_MANAGEMENT, app.demo.group]}), ACHTERBERG),
            (json!({"identifier": mrn, "organization": organization, "groups": [app.demo.group]}), ACHTERBERG),
            // Of the two who share it, one is in the group.
            (json!({"identifier": household, "groups": [app.demo.group]}), "6553dedfe179cdf90b7ad236"),
        ] {
            let created = post_for(&client, query.clone()).await.expect_status(200);
            let related = &created.body["data"]["relationships"]["patient"]["data"];
            assert_eq!(*related, json!({"type": "patient", "id": patient}), "{query}");
        }
    })
    .await;
}

#[actix_web::test]
async fn a_query_must_find_exactly_one_patient() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let identifier = |system: &str, value: &str| json!({"system": system, "value": value});
        for (found, query) in [
            (0, json!({"identifier": identifier("medical-record-number", "1")})),
            (0, json!({"identifier": identifier("MEDICAL-RECORD-NUMBER", "204431")})),
            // Somebody else's patient, a coach, and a patient of another group.
            (0, json!({"identifier": identifier("medical-record-number", "310022")})),
            (0, json!({"identifier": identifier("employee-number", "RHP-0107")})),
            (0, json!({"identifier": identifier("medical-record-number", "204431"), "groups": [WEIGHT_MANAGEMENT]})),
            (2, json!({"identifier": identifier("household", "H-0311")})),
        ] {
            let refused = post_for(&client, query.clone()).await.expect_status(409);
            let place = "409 InvalidBodyParameter /data/relationships/patient/data/meta/query";
            let detail = format!("finds {found} patients within the scope of the token; it must find exactly one");
            assert_eq!(refused.errors(), format!("{place}: {detail}"), "{query}");
        }
        assert_eq!(count(&client, ACHTERBERG).await, 47);
    })
    .await;
}

#[actix_web::test]
async fn a_query_may_not_name_what_is_out_of_scope() {
    on_each_database(async |app| {
        let (whole, restricted) = (app.organization().await, app.group().await);
        let mrn = json!({"system": "medical-record-number", "value": "204431"});
        let base = "/data/relationships/patient/data/meta/query";
        for (client, query, place) in [
            (&whole, json!({"identifier": mrn, "organization": app.stranger.organization}), "organization"),
            (&whole, json!({"identifier": mrn, "organization": NOWHERE}), "organization"),
            (&whole, json!({"identifier": mrn, "organization": "riverbend"}), "organization"),
            (&whole, json!({"identifier": mrn, "groups": [app.demo.group, app.stranger.group]}), "groups/1"),
            (&whole, json!({"identifier": mrn, "groups": [NOWHERE]}), "groups/0"),
            (&restricted, json!({"identifier": mrn, "groups": [WEIGHT_MANAGEMENT]}), "groups/0"),
        ] {
            let refused = post_for(client, query.clone()).await.expect_status(403).errors();
            assert!(refused.starts_with(&format!("403 Forbidden {base}/{place}: ")), "{query}: {refused}");
            assert_eq!(refused.lines().count(), 1, "{refused}");
        }
    })
    .await;
}

#[actix_web::test]
async fn unknown_and_foreign_patients_look_the_same() {
    on_each_database(async |app| {
        let (whole, restricted) = (app.organization().await, app.group().await);
        for (client, patient) in [(&whole, NOWHERE), (&whole, CROWHURST), (&whole, "204431"), (&restricted, ADEYINKA)] {
            let refused = client.post(PATH, &json!({"data": weight(patient, 80, NOW)})).await.expect_status(409);
            assert_eq!(
                refused.errors(),
                "409 InvalidBodyParameter /data/relationships/patient/data/id: \
                 there is no patient of this id within the scope of the token"
            );
        }
    })
    .await;
}

#[actix_web::test]
async fn a_loinc_code_tells_the_type() {
    on_each_database(async |app| {
        let client = app.organization().await;
        for (system, code, kind) in [
            ("LOINC", "13457-7", "ldl_cholesterol"),
            ("LOINC", "4548-4", "hemoglobin_a1c"),
            ("LOINC", "29463-7", "weight"),
            ("LOINC", "8867-4", "heart_rate"),
            ("http://loinc.org", "2339-0", "blood_glucose"),
        ] {
            let code = json!({"system": system, "value": code});
            let created = post(&client, json!({"code": code, "value": 1, "occurred_at": NOW})).await.expect_status(200);
            let attributes = &created.body["data"]["attributes"];
            assert_eq!((&attributes["type"], &attributes["code"]), (&json!(kind), &code));
        }
        let panel =
            json!({"code": {"system": "LOINC", "value": "85354-9"}, "systolic": 1, "diastolic": 1, "occurred_at": NOW});
        let created = post(&client, panel).await.expect_status(200);
        assert_eq!(created.body["data"]["attributes"]["type"], "blood_pressure");
    })
    .await;
}

#[actix_web::test]
async fn a_code_may_carry_its_display_name() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let code = json!({"system": "LOINC", "value": "29463-7", "display": "Body weight"});
        let created = post(&client, json!({"code": code, "value": 80, "occurred_at": NOW})).await.expect_status(200);
        assert_eq!(created.body["data"]["attributes"]["type"], "weight");
        client.get(&format!("{PATH}/{}", created.id())).await.expect_status(200);
    })
    .await;
}

#[actix_web::test]
async fn a_type_that_contradicts_its_code_is_stored_with_a_warning() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let code = |system: &str, value: &str| json!({"system": system, "value": value});
        let of = |code: Value| json!({"type": "weight", "code": code, "value": 1, "occurred_at": NOW});

        let created = post(&client, of(code("LOINC", "8867-4"))).await.expect_status(200);

        let stored = client.get(&format!("{PATH}/{}", created.id())).await.expect_status(200);
        let attributes = &stored.body["data"]["attributes"];
        assert_eq!((&attributes["type"], &attributes["code"]), (&json!("weight"), &code("LOINC", "8867-4")));
        let warnings = created.body["meta"]["warnings"].as_array().unwrap();
        assert_eq!(warnings.iter().map(|warning| &warning["pointer"]).collect::<Vec<_>>(), ["/data/attributes/code"]);

        for agreeing in [code("LOINC", "29463-7"), code("LOINC", "99999-9"), code("our-lab", "8867-4")] {
            let created = post(&client, of(agreeing.clone())).await.expect_status(200);
            assert_eq!(created.body["data"]["attributes"]["code"], agreeing);
            assert_eq!(created.body["meta"]["warnings"], Value::Null, "{agreeing}");
        }
    })
    .await;
}

#[actix_web::test]
async fn a_faulty_metric_is_refused_with_every_fault() {
    let code = |system: &str, value: &str| json!({"system": system, "value": value});
    let cases = [
        (json!({"type": "mood", "value": 1}), vec!["type"]),
        (json!({"type": "Weight", "value": 1}), vec!["type"]),
        (json!({"type": "mood", "code": code("LOINC", "29463-7"), "value": 1}), vec!["type"]),
        (json!({"type": 7, "value": 1}), vec!["type"]),
        (json!({"value": 1}), vec!["type"]),
        (json!({"code": code("LOINC", "99999-9"), "value": 1}), vec!["type"]),
        (json!({"code": code("our-lab", "29463-7"), "value": 1}), vec!["type"]),
        (json!({"type": "weight", "code": {"system": "LOINC"}, "value": 1}), vec!["code/value"]),
        (json!({"type": "weight", "code": "29463-7", "value": 1}), vec!["code"]),
        (json!({"type": "weight"}), vec!["value"]),
        (json!({"type": "weight", "value": null}), vec!["value"]),
        (json!({"type": "weight", "systolic": 120, "diastolic": 80}), vec!["value"]),
        (json!({"type": "blood_pressure", "value": 120}), vec!["systolic", "diastolic"]),
        (json!({"type": "blood_pressure", "systolic": 120}), vec!["diastolic"]),
        (json!({"type": "blood_pressure", "systolic": "120", "diastolic": 80}), vec!["systolic"]),
        (json!({"type": "blood_pressure", "systolic": 120, "diastolic": true}), vec!["diastolic"]),
        (json!({"code": code("LOINC", "85354-9"), "value": 120, "systolic": 1}), vec!["diastolic"]),
    ];
    on_each_database(async |app| {
        let client = app.organization().await;
        for (attributes, faulty) in &cases {
            let mut attributes = attributes.clone();
            attributes["occurred_at"] = json!(NOW);
            let refused = post(&client, attributes.clone()).await.expect_status(409).errors();
            let places: Vec<_> = refused.lines().map(|line| line.split(": ").next().unwrap()).collect();
            let expected: Vec<_> =
                faulty.iter().map(|name| format!("409 InvalidBodyParameter /data/attributes/{name}")).collect();
            assert_eq!(places, expected, "{attributes}: {refused}");
        }
        assert_eq!(count(&client, ACHTERBERG).await, 47);
    })
    .await;
}

#[actix_web::test]
async fn occurred_at_is_an_instant_with_an_offset() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let at = |text: Value| json!({"type": "weight", "value": 1, "occurred_at": text});
        for (sent, returned) in [
            ("2026-02-01T00:00:00Z", "2026-02-01T00:00:00.000Z"),
            ("2026-02-01T00:00:00.125-05:00", "2026-02-01T05:00:00.125Z"),
            ("2026-02-01T00:00:00+05:30", "2026-01-31T18:30:00.000Z"),
            ("2026-02-01T00:00:00 05:00", "2026-01-31T19:00:00.000Z"),
        ] {
            let created = post(&client, at(json!(sent))).await.expect_status(200);
            let fetched = client.get(&format!("{PATH}/{}", created.id())).await.expect_status(200);
            assert_eq!(created.body["data"]["attributes"]["occurred_at"], returned);
            assert_eq!(fetched.body["data"]["attributes"]["occurred_at"], returned);
        }
        for refused in [
            json!("2026-02-01T00:00:00"),
            json!("2026-02-01"),
            json!("2026-02-30T00:00:00Z"),
            json!("yesterday"),
            json!(""),
            json!(1_769_904_000),
            json!(null),
        ] {
            let errors = post(&client, at(refused)).await.expect_status(409).errors();
            assert!(errors.starts_with("409 InvalidBodyParameter /data/attributes/occurred_at: "), "{errors}");
            assert_eq!(errors.lines().count(), 1, "{errors}");
        }
    })
    .await;
}

#[actix_web::test]
async fn what_has_no_effect_is_listed() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let mut sent = weight(ACHTERBERG, 80, NOW);
        sent["id"] = json!(NOWHERE);
        sent["attributes"]["created_by"] = json!("somebody");
        sent["attributes"]["mood"] = json!("good");

        let created = client.post(PATH, &json!({"data": sent})).await.expect_status(200);

        assert_ne!(created.id(), NOWHERE);
        assert_eq!(created.body["data"]["attributes"]["created_by"], app.demo.client_id.as_str());
        let mut ignored: Vec<_> = created.body["meta"]["ignored"].as_array().unwrap().iter().collect();
        ignored.sort_by_key(|pointer| pointer.as_str());
        assert_eq!(ignored, ["/data/attributes/created_by", "/data/attributes/mood", "/data/id"]);

        let mut empty = [weight(ACHTERBERG, 80, NOW), weight(ACHTERBERG, 80, NOW)];
        empty[0]["id"] = json!("");
        empty[1]["id"] = json!(null);
        let created = client.post(PATH, &json!({"data": empty})).await.expect_status(200);
        assert_eq!(created.body["meta"]["ignored"], Value::Null);
    })
    .await;
}
