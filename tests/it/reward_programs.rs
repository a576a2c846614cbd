//! Reward programs and their activations.

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::support::{Client, Response, on_each_database};

/// Of the fixtures: in the first group, open, with points that are paid at the
/// end of a year.
const POINTS: &str = "67604a5046a2c9c7467ad501";
/// Of the fixtures: in the first group, frozen, activated once.
const FROZEN: &str = "642ade4e46a2c9c7467ad500";
/// Of the fixtures: not in the first group.
const ELSEWHERE: &str = "67bc9c5946a2c9c7467ad502";
const MARIBEL: &str = "64062e37741e089d927ad224";
/// In the first group, without activations.
const VILLASENOR: &str = "645d2470b46c643c507ad22b";
/// Not in the first group.
const LINDMOOR: &str = "675b4d6b966aa5d31e7ad24b";

fn program(group: &str) -> Value {
    json!({"data": {
        "type": "reward_program",
        "attributes": {
            "name": "Sleep Well",
            "start_at": "2026-01-01T00:00:00-05:00",
            "end_at": "2026-12-31T00:00:00-05:00",
            "budget_value": 100,
        },
        "relationships": {"group": {"data": {"type": "group", "id": group}}},
    }})
}

fn activation(program: &str, patient: &str) -> Value {
    json!({"data": {
        "type": "reward_program_activation",
        "attributes": {"activated_at": "2026-03-01T12:00:00Z"},
        "relationships": {
            "patient": {"data": {"type": "patient", "id": patient}},
            "reward_program": {"data": {"type": "reward_program", "id": program}},
        },
    }})
}

/// The body with something else at this place.
fn with(mut body: Value, pointer: &str, value: Value) -> Value {
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    body.pointer_mut(parent).unwrap()[name] = value;
    body
}

/// Follows every related link of the only resource.
pub async fn follow(client: &Client, answer: &Response) {
    for (name, relationship) in answer.body["data"]["relationships"].as_object().unwrap() {
        let related = client.get(relationship["links"]["related"].as_str().unwrap()).await.expect_status(200);
        assert_eq!(related.body["data"]["id"], relationship["data"]["id"], "{name}");
        assert_eq!(related.body["data"]["type"], relationship["data"]["type"], "{name}");
    }
}

#[actix_web::test]
async fn a_program_is_created_with_its_defaults_and_found_again() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let created = client.post("/pub/reward_program", &program(&app.demo.group)).await.expect_status(200);
        let id = created.id();
        assert_eq!(
            created.body["data"],
            json!({
                "type": "reward_program",
                "id": id,
                "attributes": {
                    "name": "Sleep Well",
                    "start_at": "2026-01-01T05:00:00.000Z",
                    "end_at": "2026-12-31T05:00:00.000Z",
                    "budget_value": 100,
                    "budget_unit": "dollar",
                    "duration_active": 540,
                    "fulfill_as_earned": false,
                    "frozen": false,
                    "created_at": "2026-03-02T09:30:00.000Z",
                    "updated_at": "2026-03-02T09:30:00.000Z",
                    "created_by": app.demo.client_id,
                    "updated_by": app.demo.client_id,
                },
                "links": {"self": format!("/pub/reward_program/{id}")},
                "relationships": {"group": {
                    "data": {"type": "group", "id": app.demo.group},
                    "links": {"related": format!("/pub/reward_program/{id}/group")},
                }},
            })
        );
        let fetched = client.get(&format!("/pub/reward_program/{id}")).await.expect_status(200);
        assert_eq!(fetched.body["data"], created.body["data"]);
        follow(&client, &fetched).await;
    })
    .await;
}

#[actix_web::test]
async fn a_program_says_what_its_client_said() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let body = json!({"data": [{
            "type": "reward_program",
            "attributes": {
                "name": "Sleep Well",
                "tagline": "Eight hours",
                "description": "A book for every quiet month.",
                "start_at": "2026-01-01T00:00:00Z",
                "end_at": "2026-12-31T00:00:00Z",
                "budget_value": 0.1 + 0.2,
                "budget_unit": "credit",
                "duration_active": 1.5,
                "fulfill_as_earned": true,
                "frozen": true,
                "members": 12,
            },
            "relationships": {"group": {"data": {"type": "group", "meta": {"query": {
                "organization": app.demo.organization, "name": "Night shift",
            }}}}},
        }]});
        let created = client.post("/pub/reward_program", &body).await.expect_status(200);
        let attributes = &created.body["data"][0]["attributes"];
        assert_eq!(created.body["meta"]["ignored"], json!(["/data/0/attributes/members"]));
        assert_eq!(attributes["tagline"], "Eight hours");
        assert_eq!(attributes["description"], "A book for every quiet month.");
        assert_eq!(attributes["budget_value"], json!(0.3));
        assert_eq!(attributes["budget_unit"], "credit");
        assert_eq!(attributes["duration_active"], json!(1.5));
        assert_eq!(attributes["fulfill_as_earned"], true);
        assert_eq!(attributes["frozen"], true);
        let group = created.body["data"][0]["relationships"]["group"]["data"]["id"].as_str().unwrap();
        let group = client.get(&format!("/pub/group/{group}")).await.expect_status(200);
        assert_eq!(group.body["data"]["attributes"]["name"], "Night shift");
    })
    .await;
}

#[actix_web::test]
async fn everything_that_is_wrong_with_a_program_is_listed() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let empty = json!({"data": {"type": "reward_program"}});
        let answer = client.post("/pub/reward_program", &empty).await.expect_status(409);
        assert_eq!(
            answer.errors(),
            "409 InvalidBodyParameter /data/attributes/name: is required\n\
             409 InvalidBodyParameter /data/attributes/start_at: is required\n\
             409 InvalidBodyParameter /data/attributes/end_at: is required\n\
             409 InvalidBodyParameter /data/attributes/budget_value: is required\n\
             409 InvalidBodyParameter /data/relationships/group: is required"
        );

        let good = program(&app.demo.group);
        for (name, value, detail) in [
            ("budget_value", json!(0), "must be a number greater than 0, and below 100000000000"),
            ("budget_value", json!(-5), "must be a number greater than 0, and below 100000000000"),
            ("budget_value", json!("100"), "must be a number greater than 0, and below 100000000000"),
            ("budget_value", json!(1e11), "must be a number greater than 0, and below 100000000000"),
            ("duration_active", json!(0), "must be a number greater than 0, and below 100000000000"),
            ("budget_unit", json!("euro"), "\"euro\" is not one of dollar, point, credit"),
            ("end_at", json!("2026-01-01T05:00:00Z"), "must be after start_at, 2026-01-01T05:00:00.000Z"),
            ("frozen", json!("no"), "must be true or false, not a string"),
        ] {
            let pointer = format!("/data/attributes/{name}");
            let answer = client.post("/pub/reward_program", &with(good.clone(), &pointer, value)).await;
            assert_eq!(answer.expect_status(409).errors(), format!("409 InvalidBodyParameter {pointer}: {detail}"));
        }
        let answer = client.post("/pub/reward_program", &with(good, "/data/id", json!(FROZEN))).await;
        assert!(answer.expect_status(403).errors().starts_with("403 Forbidden /data/id: "));
    })
    .await;
}

#[actix_web::test]
async fn programs_are_listed_by_group_or_organization() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let (organization, group) = (&app.demo.organization, &app.demo.group);
        let all = client.get(&format!("/pub/reward_program?filter[organization]={organization}")).await;
        assert_eq!(all.expect_status(200).count(), 4);
        for name in ["groups", "group"] {
            let some = client.get(&format!("/pub/reward_program?filter[{name}]={group}")).await.expect_status(200);
            assert_eq!(some.ids(), [FROZEN, POINTS]);
        }
        let page = client
            .get(&format!("/pub/reward_program?filter[organization]={organization}&sort=-created_at&page[size]=3"))
            .await
            .expect_status(200);
        assert_eq!(page.ids(), ["68e3be8d46a2c9c7467ad503", ELSEWHERE, POINTS]);
        let rest = client.get(&page.link("next").unwrap()).await.expect_status(200);
        assert_eq!(rest.ids(), [FROZEN]);

        let none = client.get("/pub/reward_program").await.expect_status(409);
        assert_eq!(
            none.errors(),
            "409 InvalidParameter filter[groups]: one of filter[groups], filter[organization] is required"
        );
        let other = &app.stranger.organization;
        let outside = client.get(&format!("/pub/reward_program?filter[organization]={other}")).await;
        assert!(outside.expect_status(403).errors().starts_with("403 Forbidden filter[organization]: "));
    })
    .await;
}

#[actix_web::test]
async fn a_program_is_activated_for_a_patient() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let body = activation(POINTS, VILLASENOR);
        let created = client.post("/pub/reward_program_activation", &body).await.expect_status(200);
        let id = created.id();
        assert_eq!(
            created.body["data"],
            json!({
                "type": "reward_program_activation",
                "id": id,
                "attributes": {
                    "active": true,
                    "activated_at": "2026-03-01T12:00:00.000Z",
                    "expires_at": "2027-03-01T12:00:00.000Z",
                    "fulfill_as_earned": false,
                    "allocated_count": 0,
                    "total_allocated_value": 0,
                    "earned_count": 0,
                    "total_earned_value": 0,
                    "budget_unit": "point",
                    "created_at": "2026-03-02T09:30:00.000Z",
                    "updated_at": "2026-03-02T09:30:00.000Z",
                    "created_by": app.demo.client_id,
                    "updated_by": app.demo.client_id,
                },
                "links": {"self": format!("/pub/reward_program_activation/{id}")},
                "relationships": {
                    "patient": {
                        "data": {"type": "patient", "id": VILLASENOR},
                        "links": {"related": format!("/pub/reward_program_activation/{id}/patient")},
                    },
                    "reward_program": {
                        "data": {"type": "reward_program", "id": POINTS},
                        "links": {"related": format!("/pub/reward_program_activation/{id}/reward_program")},
                    },
                },
            })
        );
        let path = format!("/pub/reward_program_activation/{id}");
        let fetched = client.get(&path).await.expect_status(200);
        assert_eq!(fetched.body["data"], created.body["data"]);
        follow(&client, &fetched).await;
    })
    .await;
}

#[actix_web::test]
async fn an_activation_expires_by_the_gateways_clock() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let created = client.post("/pub/reward_program", &program(&app.demo.group)).await.expect_status(200);
        let body = activation(&created.id(), VILLASENOR);
        let path = format!(
            "/pub/reward_program_activation/{}",
            client.post("/pub/reward_program_activation", &body).await.expect_status(200).id()
        );
        let active = async || {
            // The token does not live as long as the program.
            let client = app.organization().await;
            let answer = client.get(&path).await.expect_status(200);
            let attributes = &answer.body["data"]["attributes"];
            assert_eq!(attributes["expires_at"], "2027-08-23T12:00:00.000Z");
            attributes["active"].as_bool().unwrap()
        };
        assert!(active().await);
        app.advance(539 * 86_400 + 2 * 3_600 + 1_799);
        assert!(active().await);
        app.advance(1);
        assert!(!active().await, "540 days are over");
    })
    .await;
}

#[actix_web::test]
async fn an_activation_that_is_posted_as_not_active_is_over() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let good = activation(POINTS, VILLASENOR);
        let ended = with(good.clone(), "/data/attributes/deactivated_at", json!("2026-03-01T18:00:00Z"));
        for (body, ignored) in [
            (ended.clone(), Value::Null),
            (with(ended.clone(), "/data/attributes/active", json!(false)), Value::Null),
            (with(ended, "/data/attributes/active", json!(true)), json!(["/data/attributes/active"])),
            (with(good.clone(), "/data/attributes/active", json!(false)), Value::Null),
        ] {
            let answer = client.post("/pub/reward_program_activation", &body).await.expect_status(200);
            assert_eq!(answer.body["data"]["attributes"]["active"], false);
            assert_eq!(answer.body["meta"]["ignored"], ignored);
        }
        let later = with(good, "/data/attributes/deactivated_at", json!("2026-03-02T10:30:00Z"));
        let answer = client.post("/pub/reward_program_activation", &later).await.expect_status(200);
        assert_eq!(answer.body["data"]["attributes"]["active"], true);
        let path = format!("/pub/reward_program_activation/{}", answer.id());
        app.advance(3600);
        let fetched = app.organization().await.get(&path).await.expect_status(200);
        assert_eq!(fetched.body["data"]["attributes"]["active"], false);
    })
    .await;
}

#[actix_web::test]
async fn everything_that_is_wrong_with_an_activation_is_listed() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let post =
            async |body: Value| client.post("/pub/reward_program_activation", &body).await.expect_status(409).errors();
        assert_eq!(
            post(json!({"data": {"type": "reward_program_activation"}})).await,
            "409 InvalidBodyParameter /data/attributes/activated_at: is required\n\
             409 InvalidBodyParameter /data/relationships/patient: is required\n\
             409 InvalidBodyParameter /data/relationships/reward_program: is required"
        );
        let good = activation(POINTS, VILLASENOR);
        for at in ["2025-01-01T04:59:59.999Z", "2026-12-31T05:00:00.001Z"] {
            assert_eq!(
                post(with(good.clone(), "/data/attributes/activated_at", json!(at))).await,
                "409 InvalidBodyParameter /data/attributes/activated_at: must be from start_at to end_at of the \
                 program, 2025-01-01T05:00:00.000Z to 2026-12-31T05:00:00.000Z"
            );
        }
        assert_eq!(
            post(with(good.clone(), "/data/attributes/deactivated_at", json!("2026-03-01T12:00:00Z"))).await,
            "409 InvalidBodyParameter /data/attributes/deactivated_at: must be after activated_at, \
             2026-03-01T12:00:00.000Z"
        );
        assert_eq!(
            post(activation(FROZEN, VILLASENOR)).await,
            "409 InvalidBodyParameter /data/relationships/reward_program/data/id: names a program that is frozen and \
             cannot be activated\n\
             409 InvalidBodyParameter /data/attributes/activated_at: must be from start_at to end_at of the program, \
             2023-04-10T04:00:00.000Z to 2024-12-31T05:00:00.000Z"
        );
        let unknown = "there is no reward program of this id within the scope of the token";
        let of_stranger = "6784e5437120ef309e2f1500";
        for id in [of_stranger, "000000000000000000000000", "17"] {
            assert_eq!(
                post(activation(id, VILLASENOR)).await,
                format!("409 InvalidBodyParameter /data/relationships/reward_program/data/id: {unknown}")
            );
        }
        let no_id = json!({"type": "reward_program"});
        assert_eq!(
            post(with(good.clone(), "/data/relationships/reward_program/data", no_id)).await,
            "409 InvalidBodyParameter /data/relationships/reward_program/data/id: is required"
        );
        let of_stranger = "647e09d486f89266d12f13f6";
        assert_eq!(
            post(activation(POINTS, of_stranger)).await,
            "409 InvalidBodyParameter /data/relationships/patient/data/id: there is no patient of this id within the \
             scope of the token"
        );
        assert_eq!(
            post(json!({"data": [good["data"], good["data"]]})).await,
            "409 InvalidBodyParameter /data/1/relationships/patient: names a patient for whom this program is active \
             already; only one activation of it can be"
        );
    })
    .await;
}

#[actix_web::test]
async fn a_program_is_active_for_a_patient_once_at_a_time() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let (mut body, path) = (activation(POINTS, VILLASENOR), "/pub/reward_program_activation");
        let answers = join_all((0..8).map(|_| client.post(path, &body))).await;
        assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1);
        assert!(answers.iter().all(|answer| answer.status == 200 || answer.status == 409));

        client.post(path, &activation(POINTS, "6509cda246a2c9c7467ad233")).await.expect_status(200);
        let over = with(body.clone(), "/data/attributes/deactivated_at", json!("2026-03-01T18:00:00Z"));
        client.post(path, &over).await.expect_status(200);

        // The one for Achterberg expired on 2026-02-03.
        body["data"]["relationships"]["patient"]["data"]["id"] = json!("6409ea55741e089d927ad227");
        client.post(path, &body).await.expect_status(200);
        client.post(path, &body).await.expect_status(409);
    })
    .await;
}

#[actix_web::test]
async fn activations_are_listed_with_the_totals_of_their_parts() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let list = async |filter: String| {
            client.get(&format!("/pub/reward_program_activation?{filter}")).await.expect_status(200)
        };
        let of_patient = list(format!("filter[patient]={MARIBEL}")).await;
        let totals = |answer: &Response| -> Vec<Value> {
            let of = |attributes: &Value| {
                json!([
                    attributes["active"],
                    attributes["allocated_count"],
                    attributes["total_allocated_value"],
                    attributes["earned_count"],
                    attributes["total_earned_value"],
                ])
            };
            answer.body["data"].as_array().unwrap().iter().map(|resource| of(&resource["attributes"])).collect()
        };
        assert_eq!(totals(&of_patient), [json!([false, 3, 115, 2, 85]), json!([true, 2, 400, 1, 150])]);
        assert_eq!(list(format!("filter[groups]={}", app.demo.group)).await.count(), 4);
        let organization = &app.demo.organization;
        let all = list(format!("filter[organization]={organization}")).await;
        assert_eq!(all.count(), 6);
        assert_eq!(totals(&all)[2], json!([true, 2, 75.5, 1, 25.25]));
        let both = list(format!("filter[organization]={organization}&filter[patient]={LINDMOOR}&page[limit]=1")).await;
        assert_eq!(both.count(), 1);

        let none = client.get("/pub/reward_program_activation").await.expect_status(409);
        assert_eq!(
            none.errors(),
            "409 InvalidParameter filter[patient]: one of filter[patient], filter[groups], filter[organization] is \
             required"
        );
        let unknown = client.get("/pub/reward_program_activation?filter[patient]=000000000000000000000000").await;
        assert_eq!(
            unknown.expect_status(409).errors(),
            "409 InvalidParameter filter[patient]: there is no patient of this id within the scope of the token"
        );
    })
    .await;
}

#[actix_web::test]
async fn nobody_sees_programs_and_activations_of_others() {
    on_each_database(async |app| {
        let activated_elsewhere = "67f7eb0046a2c9c7467ad519";
        let stranger = app.stranger().await;
        for path in [
            format!("/pub/reward_program/{POINTS}"),
            format!("/pub/reward_program/{POINTS}/group"),
            format!("/pub/reward_program_activation/{activated_elsewhere}"),
            format!("/pub/reward_program_activation/{activated_elsewhere}/patient"),
            format!("/pub/reward_program_activation/{activated_elsewhere}/reward_program"),
        ] {
            stranger.get(&path).await.expect_status(404);
            app.anonymous().get(&path).await.expect_status(401);
        }
        stranger.post("/pub/reward_program", &program(&app.demo.group)).await.expect_status(403);
        stranger.post("/pub/reward_program_activation", &activation(POINTS, MARIBEL)).await.expect_status(409);

        let restricted = app.group().await;
        let organization = &app.demo.organization;
        let list = async |kind: &str| {
            restricted.get(&format!("/pub/{kind}?filter[organization]={organization}")).await.expect_status(200)
        };
        assert_eq!(list("reward_program").await.ids(), [FROZEN, POINTS]);
        let activations = list("reward_program_activation").await;
        assert_eq!(activations.count(), 4);
        for id in activations.ids() {
            let activation = restricted.get(&format!("/pub/reward_program_activation/{id}")).await.expect_status(200);
            follow(&restricted, &activation).await;
        }
        for path in [
            format!("/pub/reward_program/{ELSEWHERE}"),
            format!("/pub/reward_program_activation/{activated_elsewhere}"),
        ] {
            restricted.get(&path).await.expect_status(404);
        }
        let body = activation(POINTS, VILLASENOR);
        restricted.post("/pub/reward_program_activation", &body).await.expect_status(200);
        for (program, patient) in [(ELSEWHERE, VILLASENOR), (POINTS, LINDMOOR)] {
            let body = activation(program, patient);
            restricted.post("/pub/reward_program_activation", &body).await.expect_status(409);
        }
    })
    .await;
}
