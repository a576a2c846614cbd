//! Health metrics in bulk: in order, all or nothing, and without duplicates
//! where that is asked for.

use std::collections::{BTreeMap, HashSet};

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::support::{Client, NOW, Response, on_each_database};

const PATH: &str = "/pub/patient_health_metric";
/// In Diabetes Together, the group of the restricted client, with 47 metrics.
const ACHTERBERG: &str = "6409ea55741e089d927ad227";
/// In Weight Management only, with 31 metrics.
const ADEYINKA: &str = "644ae057b46c643c507ad22a";
/// Of the other organization.
const CROWHURST: &str = "647e09d486f89266d12f13f6";

fn metric(patient: &str, kind: &str, value: u32, occurred_at: &str) -> Value {
    json!({
        "type": "patient_health_metric",
        "attributes": {"type": kind, "value": value, "occurred_at": occurred_at},
        "relationships": {"patient": {"data": {"type": "patient", "id": patient}}},
    })
}

/// Weights that no fixture has, a minute from each other, valued from 0 on.
fn weights(patient: &str, count: u32) -> Vec<Value> {
    let at = |n: u32| format!("2026-02-01T{:02}:{:02}:00.000Z", n / 60, n % 60);
    (0..count).map(|n| metric(patient, "weight", n, &at(n))).collect()
}

async fn post(client: &Client, data: impl Into<Value>) -> Response {
    client.post(PATH, &json!({"data": data.into()})).await
}

async fn post_new(client: &Client, data: impl Into<Value>) -> Response {
    client.post(PATH, &json!({"meta": {"ignore_duplicates": true}, "data": data.into()})).await
}

/// How many metrics a patient has.
async fn count(client: &Client, patient: &str) -> i64 {
    client.get(&format!("{PATH}?filter[patient]={patient}&page[size]=0")).await.expect_status(200).count()
}

fn values(response: &Response) -> Vec<u64> {
    let data = response.body["data"].as_array().unwrap();
    data.iter().map(|metric| metric["attributes"]["value"].as_u64().unwrap()).collect()
}

#[actix_web::test]
async fn a_thousand_keep_their_order() {
    on_each_database(async |app| {
        let client = app.organization().await;

        let created = post(&client, weights(ACHTERBERG, 1000)).await.expect_status(200);

        let ids = created.ids();
        assert_eq!(values(&created), (0..1000).collect::<Vec<_>>());
        assert!(ids.is_sorted());
        assert_eq!(count(&client, ACHTERBERG).await, 47 + 1000);
        let list = format!("{PATH}?filter[patient]={ACHTERBERG}&sort=-created_at&page[limit]=1000");
        let mut listed = client.get(&list).await.expect_status(200).ids();
        listed.reverse();
        assert_eq!(listed, ids);
    })
    .await;
}

#[actix_web::test]
async fn a_page_far_from_both_ends_is_the_part_of_the_list_that_its_number_says() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let data: Vec<_> = (0..3000).map(|n| metric(ACHTERBERG, "weight", n, "2026-02-01T00:00:00Z")).collect();
        post(&client, data).await.expect_status(200);
        for filter in [format!("patient]={ACHTERBERG}"), format!("groups]={}", app.demo.group)] {
            let list = format!("{PATH}?filter[{filter}");
            let mut all = Vec::new();
            let mut next = Some(format!("{list}&page[limit]=1000"));
            while let Some(path) = next {
                let page = client.get(&path).await.expect_status(200);
                all.extend(page.ids());
                next = page.body["links"]["next"].as_str().map(str::to_owned);
            }
            // Pages 21 to 61 begin more than 1,000 from the beginning, some less than that from the end.
            for (index, expected) in all.chunks(50).enumerate().filter(|(index, _)| index % 4 == 1) {
                let page = client.get(&format!("{list}&page[size]=50&page[number]={}", index + 1)).await;
                assert_eq!(page.ids(), expected, "{list}, page {}", index + 1);
                assert_eq!(page.body["links"]["next"].is_string(), index + 1 < all.len().div_ceil(50));
            }
        }
    })
    .await;
}

#[actix_web::test]
async fn one_bad_metric_refuses_all_and_every_fault_is_listed() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let mut data = weights(ACHTERBERG, 8);
        data[1]["attributes"]["type"] = json!("mood");
        data[2]["attributes"]["occurred_at"] = json!("2026-02-01T00:00:00");
        data[2]["attributes"].as_object_mut().unwrap().remove("value");
        data[4]["relationships"]["patient"]["data"]["id"] = json!(CROWHURST);
        data[5].as_object_mut().unwrap().remove("relationships");
        data[6]["type"] = json!("patient");
        data[7] = json!("a weight");

        let (plain, with_query) = (post(&client, data.clone()).await, {
            // Those that only the database can tell come on their own.
            let mut data = weights(ACHTERBERG, 3);
            data[1]["relationships"]["patient"]["data"]["id"] = json!(CROWHURST);
            let query = json!({"identifier": {"system": "household", "value": "H-0311"}});
            data[2]["relationships"]["patient"]["data"] = json!({"type": "patient", "meta": {"query": query}});
            post_new(&client, data).await
        });

        assert_eq!(
            places(plain),
            [
                "409 InvalidBodyParameter /data/1/attributes/type",
                "409 InvalidBodyParameter /data/2/attributes/occurred_at",
                "409 InvalidBodyParameter /data/2/attributes/value",
                "409 InvalidBodyParameter /data/4/relationships/patient/data/id",
                "409 InvalidBodyParameter /data/5/relationships/patient",
                "409 InvalidBodyParameter /data/6/type",
                "409 InvalidBodyParameter /data/7",
            ]
        );
        assert_eq!(
            places(with_query),
            [
                "409 InvalidBodyParameter /data/1/relationships/patient/data/id",
                "409 InvalidBodyParameter /data/2/relationships/patient/data/meta/query",
            ]
        );
        assert_eq!(count(&client, ACHTERBERG).await, 47);
    })
    .await;
}

#[actix_web::test]
async fn after_a_thousand_faults_the_rest_is_not_looked_at() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let last = |refused: Response| {
            let errors = refused.expect_status(409).body["errors"].as_array().unwrap().clone();
            assert_eq!(errors.len(), 1001);
            errors[1000]["detail"].as_str().unwrap().to_owned()
        };

        let unreadable = last(post(&client, vec![json!({}); 100_000]).await);
        // What only the database tells is told of all that were read.
        let unknown = last(post(&client, weights("65f0c1d2e3a4b5c6d7e8f901", 1200)).await);

        assert_eq!(unreadable, "after 1000 faults, the rest was not looked at; mend these first");
        assert_eq!(unknown, "200 further faults are not listed; mend these first");
    })
    .await;
}

/// Status, code and place of each error, in the order of the request.
fn places(refused: Response) -> Vec<String> {
    let errors = refused.expect_status(409).errors();
    errors.lines().map(|line| line.split(": ").next().unwrap().to_owned()).collect()
}

#[actix_web::test]
async fn without_the_option_duplicates_are_stored() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let twice = [metric(ACHTERBERG, "weight", 1, NOW), metric(ACHTERBERG, "weight", 2, NOW)];
        for meta in [json!({}), json!({"ignore_duplicates": false})] {
            let created = client.post(PATH, &json!({"meta": meta, "data": twice})).await.expect_status(200);
            assert_eq!(values(&created), [1, 2]);
            assert_eq!(created.body["meta"]["ignored"], Value::Null);
        }
        assert_eq!(count(&client, ACHTERBERG).await, 47 + 4);
    })
    .await;
}

#[actix_web::test]
async fn the_only_one_posted_is_answered_with_what_is_there() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let first = post_new(&client, metric(ACHTERBERG, "weight", 81, NOW)).await.expect_status(200);
        assert_eq!(first.body["meta"]["ignored"], Value::Null);

        // The same instant, however it is written.
        let again = metric(ACHTERBERG, "weight", 99, "2026-03-02T10:30:00+01:00");
        let second = post_new(&client, again.clone()).await.expect_status(200);

        assert_eq!(second.body["data"], first.body["data"]);
        assert_eq!(second.body["meta"]["ignored"], json!(["/data"]));
        let in_array = post_new(&client, vec![again]).await.expect_status(200);
        assert_eq!(in_array.body["data"], json!([]));
        assert_eq!(in_array.body["meta"]["ignored"], json!(["/data/0"]));
        assert_eq!(count(&client, ACHTERBERG).await, 47 + 1);
    })
    .await;
}

#[actix_web::test]
async fn of_many_only_the_new_ones_are_stored() {
    on_each_database(async |app| {
        let client = app.organization().await;
        post(&client, metric(ACHTERBERG, "weight", 0, NOW)).await.expect_status(200);
        let data = vec![
            metric(ACHTERBERG, "weight", 1, NOW),
            metric(ACHTERBERG, "heart_rate", 2, NOW),
            metric(ADEYINKA, "weight", 3, NOW),
            metric(ACHTERBERG, "weight", 4, "2026-03-02T09:30:00.001Z"),
            // Within the request:
            metric(ACHTERBERG, "heart_rate", 5, NOW),
            metric(ADEYINKA, "weight", 6, "2026-03-02T04:30:00-05:00"),
        ];

        let created = post_new(&client, data).await.expect_status(200);

        assert_eq!(values(&created), [2, 3, 4]);
        assert_eq!(created.body["meta"]["ignored"], json!(["/data/0", "/data/4", "/data/5"]));
        assert_eq!(count(&client, ACHTERBERG).await, 47 + 3);
        assert_eq!(count(&client, ADEYINKA).await, 31 + 1);
    })
    .await;
}

#[actix_web::test]
async fn a_patient_named_by_query_and_by_id_is_one_patient() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let mut data = [metric(ACHTERBERG, "weight", 1, NOW), metric(ACHTERBERG, "weight", 2, NOW)];
        let query = json!({"identifier": {"system": "medical-record-number", "value": "204431"}});
        data[1]["relationships"]["patient"]["data"] = json!({"type": "patient", "meta": {"query": query}});

        let created = post_new(&client, data.to_vec()).await.expect_status(200);

        assert_eq!(values(&created), [1]);
        assert_eq!(created.body["meta"]["ignored"], json!(["/data/1"]));
    })
    .await;
}

#[actix_web::test]
async fn a_second_run_stores_nothing() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let first = post_new(&client, weights(ACHTERBERG, 200)).await.expect_status(200);
        assert_eq!(first.ids().len(), 200);

        let second = post_new(&client, weights(ACHTERBERG, 200)).await.expect_status(200);

        let all: Vec<_> = (0..200).map(|n| format!("/data/{n}")).collect();
        assert_eq!(second.body["data"], json!([]));
        assert_eq!(second.body["meta"]["ignored"], json!(all));
        assert_eq!(count(&client, ACHTERBERG).await, 47 + 200);
    })
    .await;
}

#[actix_web::test]
async fn equal_imports_at_once_leave_one_copy_of_each() {
    on_each_database(async |app| {
        let client = app.organization().await;

        let answers = join_all((0..8).map(|_| post_new(&client, weights(ACHTERBERG, 40)))).await;

        let (mut stored, mut skipped) = (HashSet::new(), BTreeMap::<String, usize>::new());
        for answer in answers {
            let answer = answer.expect_status(200);
            stored.extend(answer.ids());
            for pointer in answer.body["meta"]["ignored"].as_array().into_iter().flatten() {
                *skipped.entry(pointer.as_str().unwrap().to_owned()).or_default() += 1;
            }
        }
        let sevenfold: BTreeMap<_, _> = (0..40).map(|n| (format!("/data/{n}"), 7)).collect();
        assert_eq!((stored.len(), skipped), (40, sevenfold));
        assert_eq!(count(&client, ACHTERBERG).await, 47 + 40);
        let list = format!("{PATH}?filter[patient]={ACHTERBERG}&sort=-created_at&page[limit]=40");
        let listed = client.get(&list).await.expect_status(200);
        assert_eq!(values(&listed).into_iter().collect::<HashSet<_>>(), (0..40).collect());
        assert_eq!(listed.ids().into_iter().collect::<HashSet<_>>(), stored);
    })
    .await;
}

#[actix_web::test]
async fn a_restricted_client_imports_for_its_own_patients_only() {
    on_each_database(async |app| {
        let (whole, restricted) = (app.organization().await, app.group().await);
        let foreign = post(&whole, metric(ADEYINKA, "weight", 1, NOW)).await.expect_status(200).id();

        let own = post_new(&restricted, weights(ACHTERBERG, 2)).await.expect_status(200);
        let mixed = vec![metric(ACHTERBERG, "weight", 8, NOW), metric(ADEYINKA, "weight", 9, NOW)];
        let mixed = post_new(&restricted, mixed).await;

        assert_eq!(own.body["data"][0]["attributes"]["created_by"], "3e8b6f92-1c47-4a9d-b5e3-92d07c1f4a68");
        assert_eq!(places(mixed), ["409 InvalidBodyParameter /data/1/relationships/patient/data/id"]);
        assert_eq!(count(&whole, ACHTERBERG).await, 47 + 2);
        for path in [format!("{PATH}/{foreign}"), format!("{PATH}/{foreign}/patient")] {
            restricted.get(&path).await.expect_status(404);
        }
        restricted.get(&format!("{PATH}/{}/patient", own.ids()[0])).await.expect_status(200);
    })
    .await;
}
