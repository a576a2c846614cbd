//! Bundles: actions of one plan, in an order.

use serde_json::{Value, json};

use crate::support::{Client, on_each_database};

const PATH: &str = "/pub/bundle";
const OSTRANDER: &str = "64062e37741e089d927ad224";
/// In Weight Management only.
const ADEYINKA: &str = "644ae057b46c643c507ad22a";
const BUNDLE: &str = "641331c0741e089d927ad50b";
const WALK: &str = "6413301c741e089d927ad506";
const WEIGHT: &str = "640a0c58741e089d927ad504";
const OF_ADEYINKA: &str = "644bd160741e089d927ad514";
const NOWHERE: &str = "ffffffffffffffffffffffff";

fn actions(ids: &[&str]) -> Value {
    let named: Vec<_> = ids.iter().map(|id| json!({"type": "action", "id": id})).collect();
    json!({ "data": named })
}

fn bundle(plan: &str, ids: &[&str]) -> Value {
    json!({
        "type": "bundle",
        "attributes": {"type": "fitness", "title": "Move", "effective_from": "2026-03-01T00:00:00+01:00"},
        "relationships": {"plan": {"data": {"type": "patient_plan_summary", "id": plan}}, "actions": actions(ids)},
    })
}

async fn patch(client: &Client, id: &str, data: Value) -> crate::support::Response {
    let mut data = data;
    data["type"] = json!("bundle");
    client.patch(&format!("{PATH}/{id}"), &json!({ "data": data })).await
}

#[actix_web::test]
async fn a_bundle_is_answered_whole_with_its_actions_in_their_order() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let sent = bundle(OSTRANDER, &[WALK, WEIGHT, WALK]);
        let created = client.post(PATH, &json!({"data": sent})).await.expect_status(200);
        let path = format!("{PATH}/{}", created.id());
        let expected = json!({
            "type": "bundle",
            "id": created.id(),
            "attributes": {
                "type": "fitness",
                "title": "Move",
                "effective_from": "2026-02-28T23:00:00.000Z",
                "_thread": "fitness",
                "_actions": [WALK, WEIGHT],
            },
            "links": {"self": path},
            "relationships": {
                "plan": {"data": {"type": "patient_plan_summary", "id": OSTRANDER},
                    "links": {"related": format!("{path}/plan")}},
                "actions": {"data": actions(&[WALK, WEIGHT])["data"], "links": {"related": format!("{path}/actions")}},
            },
        });
        assert_eq!(created.body["data"], expected);
        assert_eq!(created.body["included"], json!([]));
        assert_eq!(client.get(&path).await.expect_status(200).body["data"], expected);
        assert_eq!(client.get(&format!("{path}/plan")).await.expect_status(200).id(), OSTRANDER);
        assert_eq!(client.get(&format!("{path}/actions")).await.expect_status(200).ids(), [WEIGHT, WALK]);
        let listed = client.get(&format!("/pub/patient_plan_summary/{OSTRANDER}/bundles")).await.expect_status(200);
        assert_eq!(listed.ids(), [BUNDLE.to_owned(), created.id()]);
    })
    .await;
}

#[actix_web::test]
async fn a_bundle_takes_actions_of_its_own_plan_only() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let many = json!({"data": [bundle(OSTRANDER, &[WALK, OF_ADEYINKA, NOWHERE]), bundle(NOWHERE, &[])]});
        let refused = client.post(PATH, &many).await.expect_status(409);
        assert_eq!(
            refused.errors(),
            format!(
                "409 InvalidBodyParameter /data/0/relationships/actions/data/1/id: this action is in the plan {ADEYINKA}; \
                 name only those that are in the plan {OSTRANDER}\n\
                 409 InvalidBodyParameter /data/0/relationships/actions/data/2/id: there is no action of this id within \
                 the scope of the token\n\
                 409 InvalidBodyParameter /data/1/relationships/plan/data/id: there is no plan summary of this id within \
                 the scope of the token"
            )
        );
        let bare = client.post(PATH, &json!({"data": {"type": "bundle"}})).await.expect_status(409);
        assert_eq!(
            bare.errors(),
            "409 InvalidBodyParameter /data/attributes/type: is required\n\
             409 InvalidBodyParameter /data/attributes/title: is required\n\
             409 InvalidBodyParameter /data/attributes/effective_from: is required\n\
             409 InvalidBodyParameter /data/relationships/plan: is required"
        );
    })
    .await;
}

#[actix_web::test]
async fn a_change_keeps_what_it_does_not_name_and_replaces_the_actions() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let path = format!("{PATH}/{BUNDLE}");
        let before = client.get(&path).await.expect_status(200).body["data"].clone();
        let same = patch(&client, BUNDLE, before.clone()).await.expect_status(200);
        assert_eq!(same.body["data"], before);
        assert_eq!(same.body["meta"]["ignored"], json!(["/data/attributes/_actions"]));

        let sent = json!({"attributes": {"title": "Both"}, "relationships": {"actions": actions(&[WALK, WEIGHT])}});
        let changed = patch(&client, BUNDLE, sent).await.expect_status(200);
        let mut expected = before;
        expected["attributes"]["title"] = json!("Both");
        expected["attributes"]["_actions"] = json!([WALK, WEIGHT]);
        expected["relationships"]["actions"]["data"] = actions(&[WALK, WEIGHT])["data"].clone();
        assert_eq!(changed.body["data"], expected);
        assert_eq!(client.get(&path).await.body["data"], expected);

        let sent = json!({"relationships": {"actions": actions(&[OF_ADEYINKA]),
            "plan": {"data": {"type": "patient_plan_summary", "id": ADEYINKA}}}});
        let refused = patch(&client, BUNDLE, sent).await.expect_status(409);
        let errors = refused.errors();
        assert!(
            errors.starts_with("409 InvalidBodyParameter /data/relationships/plan/data/id: cannot be moved"),
            "{errors}"
        );
        assert!(
            errors.contains("\n409 InvalidBodyParameter /data/relationships/actions/data/0/id: this action"),
            "{errors}"
        );
    })
    .await;
}

#[actix_web::test]
async fn a_bundle_is_for_who_sees_the_patient() {
    on_each_database(async |app| {
        let (group, stranger) = (app.group().await, app.stranger().await);
        group.get(&format!("{PATH}/{BUNDLE}")).await.expect_status(200);
        for (client, id) in [(&group, "641afd38741e089d927ad513"), (&stranger, BUNDLE)] {
            for path in ["", "/plan", "/actions"] {
                client.get(&format!("{PATH}/{id}{path}")).await.expect_status(404);
            }
            patch(client, id, json!({"attributes": {"title": 7}})).await.expect_status(404);
        }
        stranger.post(PATH, &json!({"data": bundle(OSTRANDER, &[])})).await.expect_status(409);
        group.post(PATH, &json!({"data": bundle(ADEYINKA, &[])})).await.expect_status(409);
        group.post(PATH, &json!({"data": bundle(OSTRANDER, &[WALK])})).await.expect_status(200);
    })
    .await;
}
