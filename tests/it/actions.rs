//! Actions: made one or many at a time, changed, and where they stand.

use serde_json::{Value, json};

use crate::support::{Client, NOW, Response, on_each_database};

const PATH: &str = "/pub/action";
const OSTRANDER: &str = "64062e37741e089d927ad224";
const ACHTERBERG: &str = "6409ea55741e089d927ad227";
/// In Weight Management only.
const ADEYINKA: &str = "644ae057b46c643c507ad22a";
/// Of the other organization.
const CROWHURST: &str = "647e09d486f89266d12f13f6";
/// A bundle of Ostrander's, and its actions.
const BUNDLE: &str = "641331c0741e089d927ad50b";
const BUNDLED: [&str; 3] = ["640a0be0741e089d927ad501", "64133148741e089d927ad507", "640a0c58741e089d927ad504"];
/// Ostrander's walk, which is in no bundle.
const WALK: &str = "6413301c741e089d927ad506";
/// A bundle of O'Dwyer-Kells.
const OTHER_BUNDLE: &str = "641afd38741e089d927ad513";

fn action(plan: &str, attributes: &Value) -> Value {
    json!({
        "type": "action",
        "attributes": attributes,
        "relationships": {"plan": {"data": {"type": "patient_plan_summary", "id": plan}}},
    })
}

fn stairs() -> Value {
    json!({"type": "fitness", "title": "Take the stairs", "effective_from": "2026-03-01T00:00:00Z"})
}

async fn post(client: &Client, attributes: Value) -> Response {
    client.post(PATH, &json!({"data": action(OSTRANDER, &attributes)})).await
}

async fn patch(client: &Client, id: &str, attributes: Value) -> Response {
    let body = json!({"data": {"type": "action", "id": id, "attributes": attributes}});
    client.patch(&format!("{PATH}/{id}"), &body).await
}

#[actix_web::test]
async fn an_action_is_answered_whole() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let mut sent = action(
            OSTRANDER,
            &json!({
                "type": "heart_rate",
                "title": "Take your pulse",
                "static_title": "mine",
                "effective_from": "2026-03-01T00:00:00+01:00",
                "effective_to": "2026-06-01T00:00:00+02:00",
                "frequency_goal": {"weeks": {"days": [1, 3]}},
                "identifiers": [{"system": "ward-book", "value": "17"}],
                "details": {"step": 1.5},
                "metrics": [{"metric_type": "heart_rate", "unit": "/min", "goal": {"data": {"value": 70.0}}}],
                "windows": [{"type": "morning"}],
            }),
        );
        sent["id"] = json!("chosen by the client");
        sent["relationships"]["bundles"] = json!({"data": [{"type": "bundle", "id": BUNDLE}]});
        let created = client.post(PATH, &json!({"data": sent})).await.expect_status(201);

        let (id, data) = (created.id(), &created.body["data"]);
        let attributes = &data["attributes"];
        let path = format!("{PATH}/{id}");
        let part = |list: &str| attributes[list][0]["_id"].clone();
        let expected = json!({
            "type": "action",
            "id": id,
            "attributes": {
                "type": "heart_rate",
                "title": "Take your pulse",
                "effective_from": "2026-02-28T23:00:00.000Z",
                "effective_to": "2026-05-31T22:00:00.000Z",
                "tracking": true,
                "_thread": "heart_rate",
                "adherence": {"due": 1, "complete": 0, "streak": {"count": 0}},
                "frequency_goal": {"weeks": {"days": [1, 3]}},
                "frequency_goal_prorated": 0,
                "identifiers": [{"system": "ward-book", "value": "17", "_id": part("identifiers")}],
                "details": {"step": 1.5},
                "metric_required": false,
                "metrics": [{"metric_type": "heart_rate", "unit": "/min", "goal": {"data": {"value": 70.0}},
                    "accepted_values": [], "_id": part("metrics")}],
                "windows": [{"type": "morning", "_id": part("windows")}],
                "options": [],
                "created_at": NOW,
                "updated_at": NOW,
                "created_by": app.demo.client_id,
                "updated_by": app.demo.client_id,
            },
            "links": {"self": path},
            "relationships": {
                "plan": {"data": {"type": "patient_plan_summary", "id": OSTRANDER},
                    "links": {"related": format!("{path}/plan")}},
                "bundles": {"data": [{"type": "bundle", "id": BUNDLE}], "links": {"related": format!("{path}/bundles")}},
            },
        });
        assert_eq!(*data, expected);
        assert!(part("metrics").is_string() && part("metrics") != part("windows"));
        assert_eq!(created.body["included"], json!([]));
        assert_eq!(created.body["meta"]["ignored"], json!(["/data/id", "/data/attributes/static_title"]));
        assert!(created.text.contains("\"value\":70.0"), "{}", created.text);
        assert_eq!(client.get(&path).await.expect_status(200).body["data"], expected);
        assert_eq!(client.get(&format!("{path}/plan")).await.expect_status(200).id(), OSTRANDER);
        assert_eq!(client.get(&format!("{path}/bundles")).await.expect_status(200).ids(), [BUNDLE]);
        let bundle = client.get(&format!("/pub/bundle/{BUNDLE}")).await.expect_status(200);
        let members: Vec<_> = BUNDLED.into_iter().chain([id.as_str()]).collect();
        assert_eq!(bundle.body["data"]["attributes"]["_actions"], json!(members));
    })
    .await;
}

#[actix_web::test]
async fn a_thread_is_the_type_or_the_clients_own_or_for_lifestyle_its_title() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let mut threads = Vec::new();
        for (kind, title, thread) in [
            ("medication", "Aspirin", json!(null)),
            ("weight", "Weigh in", json!("scales")),
            ("other_lifestyle", "Stretch", json!(null)),
            ("other_lifestyle", "Breathe", json!(null)),
            ("other_lifestyle", "Stretch", json!("")),
        ] {
            let sent = json!({"type": kind, "title": title, "effective_from": NOW, "_thread": thread});
            let created = post(&client, sent).await.expect_status(201);
            threads.push(created.body["data"]["attributes"]["_thread"].as_str().unwrap().to_owned());
        }
        assert_eq!(threads[..2], ["medication", "scales"]);
        assert!(threads[2] == threads[4] && threads[2] != threads[3] && threads[2].len() == 64, "{threads:?}");
        let elsewhere =
            action(ACHTERBERG, &json!({"type": "other_lifestyle", "title": "Stretch", "effective_from": NOW}));
        let elsewhere = client.post(PATH, &json!({"data": elsewhere})).await.expect_status(201);
        assert_ne!(elsewhere.body["data"]["attributes"]["_thread"], json!(threads[2]));
    })
    .await;
}

#[actix_web::test]
async fn many_actions_are_stored_together_or_not_at_all() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let count = async || client.get(&format!("/pub/patient_plan_summary/{OSTRANDER}/actions")).await.count();
        let many = json!({"data": [action(OSTRANDER, &stairs()), action(ACHTERBERG, &stairs())]});
        let created = client.post(PATH, &many).await.expect_status(201);
        assert_eq!((created.ids().len(), count().await), (2, 6));

        let mut other_bundle = action(OSTRANDER, &stairs());
        other_bundle["relationships"]["bundles"] =
            json!({"data": [{"type": "bundle", "id": OTHER_BUNDLE}, {"type": "bundle", "id": CROWHURST}]});
        let many = json!({"data": [
            action(OSTRANDER, &stairs()), action(CROWHURST, &stairs()), action("x", &stairs()), other_bundle,
        ]});
        let refused = client.post(PATH, &many).await.expect_status(409);
        assert_eq!(
            refused.errors(),
            format!(
                "409 InvalidBodyParameter /data/1/relationships/plan/data/id: there is no plan summary of this id within \
                 the scope of the token\n\
                 409 InvalidBodyParameter /data/2/relationships/plan/data/id: there is no plan summary of this id within \
                 the scope of the token\n\
                 409 InvalidBodyParameter /data/3/relationships/bundles/data/0/id: this bundle is in the plan \
                 6419ae7b741e089d927ad228; name only those that are in the plan {OSTRANDER}\n\
                 409 InvalidBodyParameter /data/3/relationships/bundles/data/1/id: there is no bundle of this id within \
                 the scope of the token"
            )
        );
        assert_eq!(count().await, 6);
    })
    .await;
}

#[actix_web::test]
async fn an_action_is_refused_with_every_fault() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let bare = client.post(PATH, &json!({"data": {"type": "action"}})).await.expect_status(409);
        assert_eq!(
            bare.errors(),
            "409 InvalidBodyParameter /data/attributes/type: is required\n\
             409 InvalidBodyParameter /data/attributes/title: is required\n\
             409 InvalidBodyParameter /data/attributes/effective_from: is required\n\
             409 InvalidBodyParameter /data/relationships/plan: is required"
        );
        let sent = json!({
            "type": " ", "title": 7, "effective_from": "2026-03-01", "effective_to": true, "tracking": "yes",
            "frequency_goal": {"weeks": {"days": [0, 7, -1, 1.5]}}, "identifiers": [{"value": "1"}], "details": [],
            "metrics": [{"goal": 70}], "windows": [{"title": "Morning"}],
        });
        let refused = post(&client, sent).await.expect_status(409);
        let places: Vec<_> = refused.errors().lines().map(|line| line.split_once(": ").unwrap().0.to_owned()).collect();
        let places: Vec<_> = places.iter().map(|place| place.rsplit_once("/attributes/").unwrap().1).collect();
        assert_eq!(
            places,
            [
                "type",
                "title",
                "effective_from",
                "effective_to",
                "tracking",
                "frequency_goal/weeks/days/1",
                "frequency_goal/weeks/days/2",
                "frequency_goal/weeks/days/3",
                "identifiers/0/system",
                "details",
                "metrics/0/goal",
                "windows/0/type",
            ]
        );
    })
    .await;
}

#[actix_web::test]
async fn a_change_keeps_what_it_does_not_name() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let path = format!("{PATH}/{}", BUNDLED[0]);
        let before = client.get(&path).await.expect_status(200).body["data"].clone();
        app.advance(60);
        let changed = patch(&client, BUNDLED[0], json!({"title": "Sugar"})).await.expect_status(200);
        let mut expected = before.clone();
        expected["attributes"]["title"] = json!("Sugar");
        expected["attributes"]["updated_at"] = json!("2026-03-02T09:31:00.000Z");
        expected["attributes"]["updated_by"] = json!(app.demo.client_id);
        assert_eq!(changed.body["data"], expected);

        // The whole of it sent back changes nothing, the ids of its parts included.
        let again = client.patch(&path, &json!({"data": expected})).await.expect_status(200);
        assert_eq!(again.body["data"], expected);
    })
    .await;
}

#[actix_web::test]
async fn null_clears_what_is_not_required() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let all = json!({"effective_to": NOW, "tracking": false, "_thread": "steps", "details": {}, "intake": {},
            "metric_required": true, "windows": [{"type": "noon"}], "frequency_goal": {"weeks": {"days": [2]}}});
        patch(&client, WALK, all.clone()).await.expect_status(200);
        let null: serde_json::Map<_, _> =
            all.as_object().unwrap().keys().map(|name| (name.clone(), json!(null))).collect();
        let cleared = patch(&client, WALK, Value::Object(null)).await.expect_status(200);
        let attributes = &cleared.body["data"]["attributes"];
        for name in ["effective_to", "details", "intake", "frequency_goal"] {
            assert!(attributes.get(name).is_none(), "{name}");
        }
        assert_eq!((&attributes["tracking"], &attributes["metric_required"]), (&json!(true), &json!(false)));
        assert_eq!((&attributes["windows"], attributes["_thread"].as_str().unwrap().len()), (&json!([]), 64));

        let required = json!({"type": null, "title": null, "effective_from": null});
        let refused = patch(&client, WALK, required).await.expect_status(409);
        assert_eq!(
            refused.errors(),
            "409 InvalidBodyParameter /data/attributes/type: is required\n\
             409 InvalidBodyParameter /data/attributes/title: is required\n\
             409 InvalidBodyParameter /data/attributes/effective_from: is required"
        );
    })
    .await;
}

#[actix_web::test]
async fn a_change_replaces_the_bundles_but_not_the_plan() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let send = async |relationships: Value| {
            let body = json!({"data": {"type": "action", "relationships": relationships}});
            client.patch(&format!("{PATH}/{WALK}"), &body).await
        };
        let bundles = |ids: &[&str]| {
            let named: Vec<_> = ids.iter().map(|id| json!({"type": "bundle", "id": id})).collect();
            json!({"bundles": {"data": named}})
        };
        for ids in [&[BUNDLE] as &[&str], &[BUNDLE, BUNDLE], &[]] {
            send(bundles(ids)).await.expect_status(200);
            let found = client.get(&format!("{PATH}/{WALK}/bundles")).await.expect_status(200);
            assert_eq!(found.ids().len(), ids.len().min(1));
            let bundle = client.get(&format!("/pub/bundle/{BUNDLE}/actions")).await.expect_status(200);
            assert_eq!(bundle.ids().len(), 3 + ids.len().min(1));
        }
        let refused = send(bundles(&[OTHER_BUNDLE])).await.expect_status(409);
        assert!(refused.errors().starts_with("409 InvalidBodyParameter /data/relationships/bundles/data/0/id: this bundle"));
        let moved = json!({"plan": {"data": {"type": "patient_plan_summary", "id": ACHTERBERG}}});
        assert_eq!(
            send(moved).await.expect_status(409).errors(),
            format!(
                "409 InvalidBodyParameter /data/relationships/plan/data/id: cannot be moved to another plan; leave it out \
                 or name {OSTRANDER}"
            )
        );
        let same = json!({"plan": {"data": {"type": "patient_plan_summary", "id": OSTRANDER}}});
        send(same).await.expect_status(200);
    })
    .await;
}

#[actix_web::test]
async fn an_action_is_for_who_sees_the_patient() {
    on_each_database(async |app| {
        let (group, stranger) = (app.group().await, app.stranger().await);
        let of_adeyinka = "644bd160741e089d927ad514";
        group.get(&format!("{PATH}/{WALK}")).await.expect_status(200);
        for (client, id) in [(&group, of_adeyinka), (&stranger, WALK)] {
            for path in ["", "/plan", "/bundles"] {
                client.get(&format!("{PATH}/{id}{path}")).await.expect_status(404);
            }
            patch(client, id, json!({"title": 7})).await.expect_status(404);
        }
        for (client, plan) in [(&group, ADEYINKA), (&stranger, OSTRANDER)] {
            let refused = client.post(PATH, &json!({"data": action(plan, &stairs())})).await.expect_status(409);
            assert!(
                refused.errors().starts_with("409 InvalidBodyParameter /data/relationships/plan/data/id: there is no")
            );
        }
        group.post(PATH, &json!({"data": action(OSTRANDER, &stairs())})).await.expect_status(201);
    })
    .await;
}
