//! Plan summaries: each patient has one, clients change what is theirs, and the
//! rest follows from actions, bundles and results.

use serde_json::json;

use crate::support::{Client, NOW, Response, on_each_database};

const PATH: &str = "/pub/patient_plan_summary";
/// In Diabetes Together, the group of the restricted client; with a rich plan.
const OSTRANDER: &str = "64062e37741e089d927ad224";
/// In Weight Management only.
const ADEYINKA: &str = "644ae057b46c643c507ad22a";
/// Without anything in the fixture but the patient.
const THIRUNELVAN: &str = "66d9fb297458db2ebf7ad248";
/// Of the other organization.
const CROWHURST: &str = "647e09d486f89266d12f13f6";

async fn patch(client: &Client, id: &str, attributes: serde_json::Value) -> Response {
    let body = json!({"data": {"type": "patient_plan_summary", "id": id, "attributes": attributes}});
    client.patch(&format!("{PATH}/{id}"), &body).await
}

#[actix_web::test]
async fn a_new_patient_has_a_plan_without_anything_in_it() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let patient = json!({"data": {"type": "patient", "attributes": {"last_name": "Framsden"},
            "relationships": {"groups": {"data": [{"type": "group", "id": app.demo.group}]}}}});
        let patient = client.post("/pub/patient", &patient).await.expect_status(201).id();

        let listed = client.get(&format!("{PATH}?filter[patient]={patient}")).await.expect_status(200);
        let id = listed.ids()[0].clone();
        let path = format!("{PATH}/{id}");
        let related = |name: &str| json!({"related": format!("{path}/{name}")});
        let expected = json!({
            "type": "patient_plan_summary",
            "id": id,
            "attributes": {
                "adherence": {"due": 0, "complete": 0, "streak": {"count": 0}},
                "window_order": [],
                "effective_from": NOW,
                "window_notification_times": {"morning": 25200, "afternoon": 43200, "evening": 64800, "night": 75600},
            },
            "links": {"self": path},
            "relationships": {
                "actions": {"data": [], "links": related("actions")},
                "bundles": {"data": [], "links": related("bundles")},
                "patient": {"data": {"type": "patient", "id": patient}, "links": related("patient")},
                "current_results": {"data": [], "links": related("current_results")},
            },
        });
        assert_eq!(listed.body["data"], json!([expected]));
        assert_eq!(listed.body["included"], json!([]));
        assert_eq!(client.get(&path).await.expect_status(200).body["data"], expected);
    })
    .await;
}

#[actix_web::test]
async fn an_upserted_patient_has_a_plan_too() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let query = json!({"identifier": {"system": "ward-book", "value": "W-7"}, "groups": [app.demo.group]});
        let body =
            json!({"data": {"type": "patient", "attributes": {"last_name": "Framsden"}}, "meta": {"query": query}});
        for _ in 0..2 {
            let patient = client.put("/pub/patient", &body).await.expect_status(200).id();
            let listed = client.get(&format!("{PATH}?filter[patient]={patient}")).await.expect_status(200);
            assert_eq!(listed.count(), 1);
        }
    })
    .await;
}

#[actix_web::test]
async fn every_patient_of_the_fixtures_has_a_plan() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let all = client.get(&format!("{PATH}?filter[organization]={}", app.demo.organization)).await;
        let all = all.expect_status(200);
        assert_eq!((all.count(), all.ids().len()), (34, 34));
        let page = client.get(&format!("{PATH}?filter[organization]={}&page[number]=2", app.demo.organization)).await;
        assert_eq!(page.expect_status(200).ids(), all.ids()[10..20]);
        let plain = client.get(&format!("{PATH}?filter[patient]={THIRUNELVAN}")).await.expect_status(200);
        assert_eq!(plain.body["data"][0]["attributes"]["effective_from"], "2024-09-05T18:40:41.237Z");
    })
    .await;
}

#[actix_web::test]
async fn a_plan_leads_to_all_that_hangs_on_it() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let include = "include=actions,bundles,patient,current_results";
        let plan = client.get(&format!("{PATH}/{OSTRANDER}?{include}")).await.expect_status(200);
        let relationships = &plan.body["data"]["relationships"];
        let included = plan.body["included"].as_array().unwrap();
        for (name, kind, count) in
            [("actions", "action", 5), ("bundles", "bundle", 1), ("current_results", "result", 10)]
        {
            let mut named: Vec<_> = relationships[name]["data"].as_array().unwrap().clone();
            assert_eq!(named.len(), count, "{name}");
            let mut sent: Vec<_> = included.iter().filter(|resource| resource["type"] == kind).collect();
            named.sort_by_key(|resource| resource["id"].to_string());
            sent.sort_by_key(|resource| resource["id"].to_string());
            let link = relationships[name]["links"]["related"].as_str().unwrap();
            let related = client.get(&format!("{link}?page[limit]=1000")).await.expect_status(200);
            assert_eq!((related.ids().len(), related.count()), (count, i64::try_from(count).unwrap()));
            assert_eq!(json!(sent), related.body["data"], "{name}");
            assert!(named.iter().zip(sent).all(|(named, sent)| named["id"] == sent["id"]));
        }
        let patient = client.get(&format!("{PATH}/{OSTRANDER}/patient")).await.expect_status(200);
        assert!(included.contains(&patient.body["data"]));
        assert_eq!(included.len(), 17);
        let refused = client.get(&format!("{PATH}/{OSTRANDER}?include=results")).await.expect_status(400);
        assert!(refused.errors().starts_with("400 InvalidParameter include"), "{}", refused.errors());
    })
    .await;
}

#[actix_web::test]
async fn the_current_results_are_the_latest_of_each_thread() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let metric = |at: &str| {
            json!({"type": "patient_health_metric",
                "attributes": {"type": "weight", "value": 80, "occurred_at": at},
                "relationships": {"patient": {"data": {"type": "patient", "id": THIRUNELVAN}}}})
        };
        let at = ["2026-03-01T08:00:00Z", "2026-03-02T08:00:00Z", "2026-02-28T08:00:00Z", "2026-03-02T08:00:00Z"];
        let metrics: Vec<_> = at.iter().map(|at| metric(at)).collect();
        let created = client.post("/pub/patient_health_metric", &json!({"data": metrics})).await.expect_status(200);
        let current = client.get(&format!("{PATH}/{THIRUNELVAN}/current_results")).await.expect_status(200);
        assert_eq!(current.ids(), [created.ids()[3].clone()]);
    })
    .await;
}

#[actix_web::test]
async fn a_change_keeps_what_it_does_not_name_and_clears_what_is_null() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let critical = json!({"weight": {"data": {"maximum": {"value": 121.0, "unit": "kg"}}}});
        let sent = json!({
            "critical": critical,
            "time_zone": "Europe/Lisbon",
            "window_order": [{"type": "morning", "_actions": ["640a0be0741e089d927ad501"]}],
            "adherence": {"due": 7},
        });
        let changed = patch(&client, OSTRANDER, sent.clone()).await.expect_status(200);
        let attributes = &changed.body["data"]["attributes"];
        for name in ["critical", "time_zone", "window_order"] {
            assert_eq!(attributes[name], sent[name]);
        }
        assert!(changed.text.contains("\"value\":121.0"), "{}", changed.text);
        assert_eq!(changed.body["meta"]["ignored"], json!(["/data/attributes/adherence"]));
        let fetched = client.get(&format!("{PATH}/{OSTRANDER}")).await.expect_status(200);
        assert_eq!(fetched.body["data"], changed.body["data"]);

        let whole = json!({"data": fetched.body["data"]});
        let again = client.patch(&format!("{PATH}/{OSTRANDER}"), &whole).await.expect_status(200);
        assert_eq!(again.body["data"], fetched.body["data"]);

        let cleared = json!({"critical": null, "time_zone": null, "window_order": null});
        let cleared = patch(&client, OSTRANDER, cleared).await.expect_status(200);
        let attributes = &cleared.body["data"]["attributes"];
        assert_eq!(attributes["window_order"], json!([]));
        assert!(attributes.get("critical").is_none() && attributes.get("time_zone").is_none());
    })
    .await;
}

#[actix_web::test]
async fn a_change_is_refused_with_every_fault() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let sent = json!({"critical": [], "time_zone": "Mars/Olympus", "window_order": [{"type": 7}, 8]});
        let refused = patch(&client, OSTRANDER, sent).await.expect_status(409);
        assert_eq!(
            refused.errors(),
            "409 InvalidBodyParameter /data/attributes/critical: must be an object, not an array\n\
             409 InvalidBodyParameter /data/attributes/time_zone: \"Mars/Olympus\" is not the IANA name of a \
             time zone, such as America/New_York\n\
             409 InvalidBodyParameter /data/attributes/window_order/0/type: must be a string, not a number\n\
             409 InvalidBodyParameter /data/attributes/window_order/1: must be an object, not a number"
        );
    })
    .await;
}

#[actix_web::test]
async fn a_list_needs_a_filter_that_is_within_the_scope() {
    on_each_database(async |app| {
        let client = app.organization().await;
        for (query, status, errors) in [
            (
                String::new(),
                409,
                "409 InvalidParameter filter[patient]: one of filter[patient], filter[groups], filter[organization] is \
                 required",
            ),
            (
                format!("filter[patient]={CROWHURST}"),
                409,
                "409 InvalidParameter filter[patient]: there is no patient of this id within the scope of the token",
            ),
        ] {
            let answer = client.get(&format!("{PATH}?{query}")).await.expect_status(status);
            assert_eq!(answer.errors(), errors);
        }
        for query in [format!("filter[organization]={}", app.stranger.organization), "filter[groups]=x".into()] {
            let answer = client.get(&format!("{PATH}?{query}")).await.expect_status(403);
            assert!(answer.errors().starts_with("403 Forbidden filter["), "{}", answer.errors());
        }
        let of_group = client.get(&format!("{PATH}?filter[group]={}", app.demo.group)).await.expect_status(200);
        let patients = client.get(&format!("/pub/patient?filter[groups]={}&page[size]=0", app.demo.group)).await;
        assert_eq!(of_group.count(), patients.count());
    })
    .await;
}

#[actix_web::test]
async fn who_does_not_see_a_patient_does_not_see_the_plan() {
    on_each_database(async |app| {
        let (group, stranger) = (app.group().await, app.stranger().await);
        group.get(&format!("{PATH}/{OSTRANDER}")).await.expect_status(200);
        for (client, id) in [(&group, ADEYINKA), (&group, CROWHURST), (&stranger, OSTRANDER)] {
            for path in ["", "/actions", "/bundles", "/patient", "/current_results"] {
                client.get(&format!("{PATH}/{id}{path}")).await.expect_status(404);
            }
            patch(client, id, json!({"time_zone": "Mars/Olympus"})).await.expect_status(404);
        }
        let all = format!("filter[organization]={}&page[size]=0", app.demo.organization);
        let (seen, patients) =
            (group.get(&format!("{PATH}?{all}")).await, group.get(&format!("/pub/patient?{all}")).await);
        assert_eq!(seen.expect_status(200).count(), patients.count());
    })
    .await;
}
