//! Relationships that a PATCH says are null: none that a resource needs can be
//! cleared, and a list is emptied by an empty one.

use serde_json::{Value, json};

use crate::support::{Client, on_each_database};

/// In the demo's fixture, one of each.
const EVENT: &str = "68b6eda093c0e51b7e7b0004";
const ACTION: &str = "6413301c741e089d927ad506";
const BUNDLE: &str = "641331c0741e089d927ad50b";
const PATIENT: &str = "64062e37741e089d927ad224";

async fn change(client: &Client, kind: &str, id: &str, relationships: Value) -> String {
    let body = json!({"data": {"type": kind, "id": id, "relationships": relationships}});
    client.patch(&format!("/pub/{kind}/{id}"), &body).await.expect_status(409).errors()
}

#[actix_web::test]
async fn what_a_resource_belongs_to_cannot_be_cleared() {
    on_each_database(async |app| {
        let client = app.organization().await;
        for (kind, id, name) in
            [("calendar_event", EVENT, "owner"), ("action", ACTION, "plan"), ("bundle", BUNDLE, "plan")]
        {
            let path = format!("/pub/{kind}/{id}");
            let before = client.get(&path).await.expect_status(200).body["data"].clone();
            assert_eq!(
                change(&client, kind, id, json!({ name: {"data": null} })).await,
                format!(
                    "409 InvalidBodyParameter /data/relationships/{name}/data: must not be null: it cannot be cleared; \
                     leave it out to keep it"
                )
            );
            let body = json!({"data": {"type": kind, "relationships": {name: {"links": {}, "meta": {"a": 1}}}}});
            let kept = client.patch(&path, &body).await.expect_status(200);
            assert_eq!(kept.body["data"]["relationships"], before["relationships"]);
            assert_eq!(kept.body["meta"].get("ignored"), None);
        }
    })
    .await;
}

#[actix_web::test]
async fn a_list_of_related_resources_is_no_null() {
    on_each_database(async |app| {
        let client = app.organization().await;
        for (kind, id, name) in [
            ("action", ACTION, "bundles"),
            ("bundle", BUNDLE, "actions"),
            ("patient", PATIENT, "groups"),
            ("patient", PATIENT, "coaches"),
        ] {
            assert_eq!(
                change(&client, kind, id, json!({ name: {"data": null} })).await,
                format!("409 InvalidBodyParameter /data/relationships/{name}/data: must be an array, not null")
            );
        }
    })
    .await;
}
