//! Results: the health metrics of a patient, and what was done without one.

use serde_json::json;

use crate::support::on_each_database;

const PATH: &str = "/pub/result";
const OSTRANDER: &str = "64062e37741e089d927ad224";
const ACHTERBERG: &str = "6409ea55741e089d927ad227";
/// In Weight Management only.
const ADEYINKA: &str = "644ae057b46c643c507ad22a";
/// Ostrander's walk and weigh-in, and the threads of both.
const WALK: &str = "6413301c741e089d927ad506";
const WEIGHT: &str = "640a0c58741e089d927ad504";
/// A result of the walk.
const WALKED: &str = "6914f0a0741e089d927ad51e";

#[actix_web::test]
async fn a_metric_is_a_result_of_the_same_id() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let sent = |attributes: serde_json::Value| {
            json!({"data": {"type": "patient_health_metric", "attributes": attributes,
                "relationships": {"patient": {"data": {"type": "patient", "id": OSTRANDER}}}}})
        };
        for (attributes, data) in [
            (json!({"type": "weight", "value": 80.50, "unit": "kg"}), json!({"value": 80.50, "unit": "kg"})),
            (
                json!({"type": "blood_pressure", "systolic": 120, "diastolic": 80}),
                json!({"systolic": 120, "diastolic": 80}),
            ),
        ] {
            let mut attributes = attributes;
            attributes["occurred_at"] = json!("2026-03-02T08:00:00Z");
            let metric = client.post("/pub/patient_health_metric", &sent(attributes.clone())).await.expect_status(200);
            let path = format!("{PATH}/{}", metric.id());
            let result = client.get(&path).await.expect_status(200);
            let related = |name: &str| json!({"related": format!("{path}/{name}")});
            let expected = json!({
                "type": "result",
                "id": metric.id(),
                "attributes": {
                    "type": attributes["type"],
                    "metric_type": attributes["type"],
                    "_thread": attributes["type"],
                    "data": data,
                    "annotations": [],
                    "occurred_at": "2026-03-02T08:00:00.000Z",
                    "created_at": metric.body["data"]["attributes"]["created_at"],
                    "updated_at": metric.body["data"]["attributes"]["updated_at"],
                    "created_by": app.demo.client_id,
                    "updated_by": app.demo.client_id,
                },
                "links": {"self": path},
                "relationships": {
                    "patient": {"data": {"type": "patient", "id": OSTRANDER}, "links": related("patient")},
                    "metric": {"data": {"type": "patient_health_metric", "id": metric.id()}, "links": related("metric")},
                },
            });
            assert_eq!(result.body["data"], expected);
            let again = client.get(&format!("{path}/metric")).await.expect_status(200);
            assert_eq!(again.body["data"], metric.body["data"]);
            assert_eq!(client.get(&format!("{path}/patient")).await.expect_status(200).id(), OSTRANDER);
            client.get(&format!("{path}/action")).await.expect_status(404);
        }
    })
    .await;
}

#[actix_web::test]
async fn a_result_without_a_metric_belongs_to_its_action() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let path = format!("{PATH}/{WALKED}");
        let result = client.get(&path).await.expect_status(200);
        let related = |name: &str| json!({"related": format!("{path}/{name}")});
        let expected = json!({
            "type": "result",
            "id": WALKED,
            "attributes": {
                "type": "other_lifestyle",
                "_thread": "long-walk",
                "data": {"value": 31, "unit": "min"},
                "annotations": [{"text": "New record, and it rained."}],
                "occurred_at": "2025-11-12T20:40:00.000Z",
                "occurred_at_time_zone": "America/New_York",
                "created_at": "2025-11-12T20:40:00.000Z",
                "updated_at": "2025-11-12T20:40:00.000Z",
                "created_by": "fixture",
                "updated_by": "fixture",
            },
            "links": {"self": path},
            "relationships": {
                "patient": {"data": {"type": "patient", "id": OSTRANDER}, "links": related("patient")},
                "action": {"data": {"type": "action", "id": WALK}, "links": related("action")},
            },
        });
        assert_eq!(result.body["data"], expected);
        assert_eq!(client.get(&format!("{path}/action")).await.expect_status(200).id(), WALK);
        client.get(&format!("{path}/metric")).await.expect_status(404);
    })
    .await;
}

#[actix_web::test]
async fn a_list_holds_metrics_and_others_and_is_filtered() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let count = async |filter: &str| {
            let answer = client.get(&format!("{PATH}?filter[patient]={OSTRANDER}{filter}")).await;
            answer.expect_status(200).count()
        };
        // 105 metrics, 17 metformin, 3 walks.
        for (filter, expected) in [
            ("", 125),
            ("&filter[threads]=long-walk", 3),
            ("&filter[threads]=weight,long-walk", 45),
            (&format!("&filter[actions]={WALK}"), 3),
            (&format!("&filter[actions]={WALK},{WEIGHT}"), 45),
            (&format!("&filter[actions]={WALK}&filter[threads]=weight"), 0),
            // An action of another plan has no results here.
            ("&filter[actions]=640b37e0741e089d927ad50c", 0),
            ("&filter[threads]=long-walk&filter[start_at]=2025-11-12T20:40:00Z", 1),
            ("&filter[threads]=long-walk&filter[start_at]=2025-11-12T20:39:59Z", 2),
            ("&filter[threads]=long-walk&filter[end_at]=2025-11-12T20:40:00Z", 1),
            ("&filter[threads]=long-walk&filter[end_at]=2025-11-12T20:40:01Z", 2),
            ("&filter[threads]=long-walk&filter[created_at]=2025-11-12T20:40:00Z..", 2),
            ("&filter[threads]=long-walk&filter[updated_at]=..2025-11-12T20:40:00Z", 1),
        ] {
            assert_eq!(count(filter).await, expected, "{filter}");
        }
        let page =
            client.get(&format!("{PATH}?filter[patient]={OSTRANDER}&sort=-occurred_at")).await.expect_status(200);
        assert_eq!((page.ids().len(), page.ids()[0].as_str()), (10, "69a42b525d2f8a1c9e0b006e"));
        assert!(page.body.get("included").is_none());

        let mut walked = Vec::new();
        let mut next = Some(format!("{PATH}?filter[patient]={OSTRANDER}&page[limit]=30"));
        while let Some(link) = next {
            let page = client.get(&link).await.expect_status(200);
            walked.extend(page.ids());
            next = page.link("next");
        }
        assert!(walked.len() == 125 && walked.is_sorted());
    })
    .await;
}

#[actix_web::test]
async fn a_list_is_refused_with_every_fault() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let none = client.get(PATH).await.expect_status(409);
        assert_eq!(none.errors(), "409 InvalidParameter filter[patient]: is required");
        let query = "filter[patient]=x&filter[actions]=y&filter[start_at]=2026-03-01&filter[created_at]=2026-03-01";
        let refused = client.get(&format!("{PATH}?{query}")).await.expect_status(409);
        let errors = refused.errors();
        let places: Vec<_> = errors.lines().map(|line| line.split_once(": ").unwrap().0).collect();
        assert_eq!(
            places,
            [
                "409 InvalidParameter filter[start_at]",
                "409 InvalidParameter filter[created_at]",
                "409 InvalidParameter filter[patient]",
                "409 InvalidParameter filter[actions]",
            ],
            "{errors}"
        );
    })
    .await;
}

#[actix_web::test]
async fn a_result_is_for_who_sees_the_patient() {
    on_each_database(async |app| {
        let (group, stranger) = (app.group().await, app.stranger().await);
        group.get(&format!("{PATH}/{WALKED}")).await.expect_status(200);
        let of_adeyinka = "6817ea68741e089d927ad519";
        for (client, id, patient) in [(&group, of_adeyinka, ADEYINKA), (&stranger, WALKED, OSTRANDER)] {
            for path in ["", "/patient", "/action", "/metric"] {
                client.get(&format!("{PATH}/{id}{path}")).await.expect_status(404);
            }
            client.get(&format!("{PATH}?filter[patient]={patient}")).await.expect_status(409);
        }
        let query = format!("{PATH}?filter[patient]={ACHTERBERG}&filter[actions]=644bd160741e089d927ad514");
        let refused = group.get(&query).await.expect_status(409);
        assert_eq!(
            refused.errors(),
            "409 InvalidParameter filter[actions]: there is no action of this id within the scope of the token"
        );
    })
    .await;
}
