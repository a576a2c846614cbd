//! Lists in the order that is asked for.

use std::cell::RefCell;
use std::cmp::Ordering;
use std::collections::HashMap;

use serde_json::{Value, json};

use crate::lists::{fixtures, id};
use crate::support::{Client, NOW, TestApp, on_each_database};

/// Names that databases and languages disagree on; `None` where there is none.
const NAMES: [(Option<&str>, Option<&str>); 12] = [
    (Some("Zoe"), Some("Ábalos")),
    (Some("zoe"), Some("Abalos")),
    (Some("Zoë"), Some("abalos")),
    (Some("Zoe\u{308}"), Some("ábalos")),
    (Some("Zoe"), Some("Zz Top")),
    (Some("Zoe"), Some("Zz-Top")),
    (Some("Zoe"), Some("ZzTop")),
    (Some("Åke"), None),
    (None, Some("Ängström")),
    (None, None),
    (Some("李"), Some("🌊")),
    (Some(" Zoe"), Some("_x")),
];

/// Adds patients of these names, one each minute.
async fn add_patients(app: &TestApp, client: &Client) {
    for (first, last) in NAMES {
        app.advance(60);
        let groups = json!({"data": [{"type": "group", "id": app.demo.group}]});
        let attributes = json!({"first_name": first, "last_name": last});
        let patient = json!({"type": "patient", "attributes": attributes, "relationships": {"groups": groups}});
        client.post("/pub/patient", &json!({"data": patient})).await.expect_status(201);
    }
}

/// A resource's value to be sorted by. Who has no name comes before all who have one.
fn key(resource: &Value, name: &str, created: &HashMap<String, String>) -> String {
    let shown = resource["attributes"][name].as_str().map(str::to_owned);
    match name {
        // Not shown by all types; what the fixture says, or the time that the id holds.
        "created_at" => created.get(&id(resource)).cloned().or(shown).unwrap_or_else(|| id(resource)[..8].to_owned()),
        _ => shown.unwrap_or_default(),
    }
}

fn compare(left: &Value, right: &Value, sort: &str, created: &HashMap<String, String>) -> Ordering {
    let keys = sort.split(',').map(|field| match field.strip_prefix('-') {
        Some(name) => key(right, name, created).cmp(&key(left, name, created)),
        None => key(left, field, created).cmp(&key(right, field, created)),
    });
    keys.fold(Ordering::Equal, Ordering::then)
}

/// Lists everything in each of these orders and checks it.
async fn check(client: &Client, path: &str, sorts: &[&str], created: &HashMap<String, String>) -> Vec<Vec<String>> {
    let whole = client.get(&format!("{path}&page[limit]=1000")).await.expect_status(200);
    let mut all = whole.ids();
    all.sort();
    let mut orders = Vec::new();
    for sort in sorts {
        let sorted = client.get(&format!("{path}&page[limit]=1000&sort={sort}")).await.expect_status(200);
        let data = sorted.body["data"].as_array().unwrap();
        for pair in data.windows(2) {
            let order = compare(&pair[0], &pair[1], sort, created);
            assert_ne!(order, Ordering::Greater, "{sort}: {} before {}", pair[0], pair[1]);
        }
        let mut ids = sorted.ids();
        orders.push(ids.clone());
        ids.sort();
        assert_eq!(ids, all, "{sort}");
    }
    orders
}

#[actix_web::test]
async fn patients_are_sorted_by_each_field_in_both_directions_and_by_several() {
    let by_database = RefCell::new(Vec::new());
    on_each_database(async |app| {
        let client = app.organization().await;
        add_patients(&app, &client).await;
        let mut created: HashMap<_, _> = fixtures("patient")
            .iter()
            .map(|patient| (id(patient), patient["attributes"]["created_at"].as_str().unwrap().to_owned()))
            .collect();
        let path = format!("/pub/patient?filter[organization]={}", app.demo.organization);
        let all = client.get(&format!("{path}&page[limit]=1000")).await.expect_status(200);
        for patient in &all.body["data"].as_array().unwrap()[34..] {
            // Nobody has changed these since they were created.
            created.insert(id(patient), patient["attributes"]["updated_at"].as_str().unwrap().to_owned());
        }
        let sorts = [
            "created_at",
            "-created_at",
            "updated_at",
            "-updated_at",
            "last_name",
            "-last_name",
            "first_name",
            "-first_name",
            "last_name,first_name",
            "-last_name,first_name",
            "first_name,-last_name",
            "-first_name,-updated_at",
        ];
        let orders = check(&client, &path, &sorts, &created).await;
        assert_eq!(orders[0], all.ids());
        // Ids differ from run to run where they are new, names do not.
        let by_name = client.get(&format!("{path}&sort=last_name,first_name&page[limit]=1000")).await;
        let names: Vec<_> = by_name.body["data"]
            .as_array()
            .unwrap()
            .iter()
            .map(|patient| (patient["attributes"]["last_name"].clone(), patient["attributes"]["first_name"].clone()))
            .collect();
        by_database.borrow_mut().push(names);
    })
    .await;
    let orders = by_database.into_inner();
    assert!(orders.iter().all(|names| *names == orders[0] && names.len() == 34 + NAMES.len()));
}

#[actix_web::test]
async fn groups_are_sorted_by_name_alike_on_both_databases() {
    let by_database = RefCell::new(Vec::new());
    on_each_database(async |app| {
        let client = app.organization().await;
        for name in ["weight Management", "Élan", "Elan", "elan", "élan", "Weight-Management", "WeightManagement"] {
            app.advance(60);
            let group = json!({"data": {"type": "group", "attributes": {"name": name}}});
            client.post("/pub/group", &group).await.expect_status(201);
        }
        let path = format!("/pub/group?filter[organization]={}", app.demo.organization);
        let sorts = ["name", "-name", "created_at", "-created_at", "updated_at", "-updated_at", "name,-created_at"];
        let orders = check(&client, &path, &sorts, &HashMap::new()).await;
        let mut created = client.get(&path).await.expect_status(200).ids();
        assert_eq!((&orders[2], &orders[4]), (&created, &created));
        created.reverse();
        assert_eq!((&orders[3], &orders[5]), (&created, &created));

        let by_name = client.get(&format!("{path}&sort=name")).await.expect_status(200);
        let names: Vec<_> =
            by_name.body["data"].as_array().unwrap().iter().map(|group| group["attributes"]["name"].clone()).collect();
        by_database.borrow_mut().push(names);
    })
    .await;
    let orders = by_database.into_inner();
    assert!(orders.iter().all(|names| *names == orders[0] && names.len() == 4 + 7));
}

#[actix_web::test]
async fn coaches_are_sorted_by_each_field_in_both_directions() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let sorts = [
            "created_at",
            "-created_at",
            "last_name",
            "-last_name",
            "first_name",
            "-first_name",
            "last_name,-first_name",
        ];
        let path = format!("/pub/coach?filter[organization]={}", app.demo.organization);
        check(&client, &path, &sorts, &HashMap::new()).await;
        // Nobody can change a coach.
        for sign in ["", "-"] {
            let updated = client.get(&format!("{path}&sort={sign}updated_at")).await.expect_status(200).ids();
            assert_eq!(updated, client.get(&format!("{path}&sort={sign}created_at")).await.expect_status(200).ids());
        }
    })
    .await;
}

#[actix_web::test]
async fn metrics_are_sorted_by_when_they_occurred_or_were_stored() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let metric = |occurred_at: &str| {
            json!({
                "type": "patient_health_metric",
                "attributes": {"type": "weight", "value": 80, "occurred_at": occurred_at},
                "relationships": {"patient": {"data": {"type": "patient", "id": "64062e37741e089d927ad224"}}},
            })
        };
        // Older than what was stored before, and of equal times.
        let late = [metric("2019-01-01T00:00:00Z"), metric(NOW), metric("2019-01-01T00:00:00Z"), metric(NOW)];
        client.post("/pub/patient_health_metric", &json!({"data": late})).await.expect_status(200);
        let sorts = [
            "created_at",
            "-created_at",
            "updated_at",
            "-updated_at",
            "occurred_at",
            "-occurred_at",
            "occurred_at,-created_at",
            "-created_at,occurred_at",
        ];
        let path = "/pub/patient_health_metric?filter[patient]=64062e37741e089d927ad224";
        check(&client, path, &sorts, &HashMap::new()).await;
    })
    .await;
}
