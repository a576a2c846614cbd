//! Rewards, their earnings and fulfillments.

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::reward_programs::follow;
use crate::support::{Client, TestApp, counted, on_each_database};

const MARIBEL: &str = "64062e37741e089d927ad224";
/// Of the fixtures: Maribel's, of a program that is frozen and over.
const FROZEN: &str = "6451105846a2c9c7467ad504";
/// Of the fixtures: Maribel's, active, paid when it is over; 100 of 500 points
/// remain.
const POINTS: &str = "68c814d846a2c9c7467ad515";
/// Of the fixtures: active, paid as it goes, not in the first group; nothing of
/// 75.5 dollars remains.
const DOLLARS: &str = "67f7eb0046a2c9c7467ad519";

fn reward(activation: &str, value: f64) -> Value {
    json!({
        "type": "reward",
        "attributes": {
            "description": "Lights out by eleven",
            "allocated_value": value,
            "allocated_at": "2026-03-01T12:00:00Z",
        },
        "relationships": {"reward_program_activation": {
            "data": {"type": "reward_program_activation", "id": activation},
        }},
    })
}

fn earning(reward: &str, value: f64) -> Value {
    json!({
        "type": "reward_earning",
        "attributes": {"earned_value": value, "earned_at": "2026-03-01T18:00:00Z"},
        "relationships": {"reward": {"data": {"type": "reward", "id": reward}}},
    })
}

fn fulfillment(earning: &str, value: f64) -> Value {
    json!({
        "type": "reward_earning_fulfillment",
        "attributes": {"fulfilled_value": value, "fulfilled_at": "2026-03-01T20:00:00Z"},
        "relationships": {"reward_earning": {"data": {"type": "reward_earning", "id": earning}}},
    })
}

fn document(data: &Value) -> Value {
    json!({ "data": data })
}

/// The resource with other attributes.
fn with(mut resource: Value, name: &str, value: Value) -> Value {
    resource["attributes"][name] = value;
    resource
}

/// A new activation, for Maribel, of a new program of the first group.
async fn activate(app: &TestApp, client: &Client, budget: f64, fulfill_as_earned: bool) -> String {
    let program = json!({"data": {
        "type": "reward_program",
        "attributes": {
            "name": "Sleep Well",
            "start_at": "2026-01-01T00:00:00Z",
            "end_at": "2026-12-31T00:00:00Z",
            "budget_value": budget,
            "duration_active": 30,
            "fulfill_as_earned": fulfill_as_earned,
        },
        "relationships": {"group": {"data": {"type": "group", "id": app.demo.group}}},
    }});
    let program = client.post("/pub/reward_program", &program).await.expect_status(200).id();
    let activation = json!({"data": {
        "type": "reward_program_activation",
        "attributes": {"activated_at": "2026-02-28T12:00:00Z"},
        "relationships": {
            "patient": {"data": {"type": "patient", "id": MARIBEL}},
            "reward_program": {"data": {"type": "reward_program", "id": program}},
        },
    }});
    client.post("/pub/reward_program_activation", &activation).await.expect_status(200).id()
}

async fn create(client: &Client, resource: &Value) -> String {
    let path = format!("/pub/{}", resource["type"].as_str().unwrap());
    client.post(&path, &document(resource)).await.expect_status(200).id()
}

async fn attributes(client: &Client, kind: &str, id: &str) -> Value {
    client.get(&format!("/pub/{kind}/{id}")).await.expect_status(200).body["data"]["attributes"].clone()
}

#[actix_web::test]
async fn a_reward_is_allocated_earned_and_fulfilled() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let activation = activate(&app, &client, 100.0, true).await;

        let mut body = with(reward(&activation, 12.5), "_thread", json!("sleep"));
        body = with(body, "target_at", json!("2026-04-01T00:00:00Z"));
        let created = client.post("/pub/reward", &document(&body)).await.expect_status(200);
        let reward = created.id();
        let path = format!("/pub/reward/{reward}");
        let stamps = json!({
            "created_at": "2026-03-02T09:30:00.000Z",
            "updated_at": "2026-03-02T09:30:00.000Z",
            "created_by": app.demo.client_id,
            "updated_by": app.demo.client_id,
        });
        let and_stamps = |mut attributes: Value| {
            attributes.as_object_mut().unwrap().extend(stamps.as_object().unwrap().clone());
            attributes
        };
        let allocated = json!({
            "_thread": "sleep",
            "description": "Lights out by eleven",
            "allocated_value": 12.5,
            "allocated_unit": "dollar",
            "allocated_at": "2026-03-01T12:00:00.000Z",
            "target_at": "2026-04-01T00:00:00.000Z",
        });
        let related = |path: &str, name: &str, kind: &str, id: &str| {
            json!({"data": {"type": kind, "id": id}, "links": {"related": format!("{path}/{name}")}})
        };
        assert_eq!(
            created.body["data"],
            json!({
                "type": "reward",
                "id": reward,
                "attributes": and_stamps(allocated.clone()),
                "links": {"self": path},
                "relationships": {
                    "patient": related(&path, "patient", "patient", MARIBEL),
                    "reward_program_activation":
                        related(&path, "reward_program_activation", "reward_program_activation", &activation),
                },
            })
        );
        let fetched = client.get(&path).await.expect_status(200);
        assert_eq!(fetched.body["data"], created.body["data"]);
        follow(&client, &fetched).await;

        let created = client.post("/pub/reward_earning", &document(&earning(&reward, 10.25))).await.expect_status(200);
        let earned = created.id();
        let path = format!("/pub/reward_earning/{earned}");
        assert_eq!(
            created.body["data"],
            json!({
                "type": "reward_earning",
                "id": earned,
                "attributes": and_stamps(json!({
                    "earned_value": 10.25,
                    "earned_unit": "dollar",
                    "earned_at": "2026-03-01T18:00:00.000Z",
                    "ready_for_fulfillment": true,
                })),
                "links": {"self": path},
                "relationships": {
                    "group": related(&path, "group", "group", &app.demo.group),
                    "patient": related(&path, "patient", "patient", MARIBEL),
                    "reward_program_activation":
                        related(&path, "reward_program_activation", "reward_program_activation", &activation),
                    "reward": related(&path, "reward", "reward", &reward),
                },
            })
        );
        let fetched = client.get(&path).await.expect_status(200);
        assert_eq!(fetched.body["data"], created.body["data"]);
        follow(&client, &fetched).await;

        let created = client
            .post("/pub/reward_earning_fulfillment", &document(&fulfillment(&earned, 10.0)))
            .await
            .expect_status(200);
        let fulfilled = created.id();
        let path = format!("/pub/reward_earning_fulfillment/{fulfilled}");
        assert_eq!(
            created.body["data"],
            json!({
                "type": "reward_earning_fulfillment",
                "id": fulfilled,
                "attributes": and_stamps(json!({
                    "fulfilled_value": 10,
                    "fulfilled_unit": "dollar",
                    "fulfilled_at": "2026-03-01T20:00:00.000Z",
                })),
                "links": {"self": path},
                "relationships": {
                    "patient": related(&path, "patient", "patient", MARIBEL),
                    "reward_earning": related(&path, "reward_earning", "reward_earning", &earned),
                },
            })
        );
        let fetched = client.get(&path).await.expect_status(200);
        assert_eq!(fetched.body["data"], created.body["data"]);
        follow(&client, &fetched).await;

        let mut whole = and_stamps(allocated);
        whole.as_object_mut().unwrap().extend(
            json!({
                "earned_value": 10.25,
                "earned_at": "2026-03-01T18:00:00.000Z",
                "fulfilled_value": 10,
                "fulfilled_at": "2026-03-01T20:00:00.000Z",
            })
            .as_object()
            .unwrap()
            .clone(),
        );
        assert_eq!(attributes(&client, "reward", &reward).await, whole);
        let earned = attributes(&client, "reward_earning", &earned).await;
        assert_eq!(earned["fulfilled_value"], 10);
        assert_eq!(earned["fulfilled_at"], "2026-03-01T20:00:00.000Z");
        let totals = attributes(&client, "reward_program_activation", &activation).await;
        assert_eq!(totals["allocated_count"], 1);
        assert_eq!(totals["total_allocated_value"], 12.5);
        assert_eq!(totals["earned_count"], 1);
        assert_eq!(totals["total_earned_value"], 10.25);
    })
    .await;
}

#[actix_web::test]
async fn a_budget_is_never_overdrawn() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let activation = activate(&app, &client, 1.5, true).await;
        let body = document(&reward(&activation, 0.3));
        let answers = join_all((0..16).map(|_| client.post("/pub/reward", &body))).await;
        let (stored, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(|answer| answer.status == 200);
        assert_eq!(stored.len(), 5);
        for answer in refused {
            assert_eq!(
                answer.expect_status(409).errors(),
                "409 InvalidBodyParameter /data/attributes/allocated_value: is more than what remains of the \
                 activation's budget: 0 of 1.5"
            );
        }
        let totals = attributes(&client, "reward_program_activation", &activation).await;
        assert_eq!(totals["allocated_count"], 5);
        assert_eq!(totals["total_allocated_value"], 1.5);

        // Sixteen at once again, for five rewards that can be earned once each.
        let rewards: Vec<_> = stored.iter().map(|answer| answer.id()).collect();
        let bodies: Vec<_> = (0..16).map(|index| document(&earning(&rewards[index % 5], 0.3))).collect();
        let answers = join_all(bodies.iter().map(|body| client.post("/pub/reward_earning", body))).await;
        assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 5);
        assert_eq!(answers.iter().filter(|answer| answer.status == 409).count(), 11);
        let totals = attributes(&client, "reward_program_activation", &activation).await;
        assert_eq!(totals["earned_count"], 5);
        assert_eq!(totals["total_earned_value"], 1.5);

        let earnings: Vec<_> = answers.iter().filter(|answer| answer.status == 200).map(|answer| answer.id()).collect();
        let body = document(&fulfillment(&earnings[0], 0.3));
        let answers = join_all((0..8).map(|_| client.post("/pub/reward_earning_fulfillment", &body))).await;
        assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1);
        assert_eq!(answers.iter().filter(|answer| answer.status == 409).count(), 7);
    })
    .await;
}

#[actix_web::test]
async fn the_rewards_of_one_request_share_what_remains() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let body = json!({"data": [reward(POINTS, 60.0), reward(POINTS, 41.0), reward(POINTS, 40.0)]});
        assert_eq!(
            client.post("/pub/reward", &body).await.expect_status(409).errors(),
            "409 InvalidBodyParameter /data/1/attributes/allocated_value: is more than what remains of the \
             activation's budget: 40 of 500"
        );
        assert_eq!(attributes(&client, "reward_program_activation", POINTS).await["total_allocated_value"], 400);
        let body = json!({"data": [reward(POINTS, 60.0), reward(POINTS, 40.0)]});
        let created = client.post("/pub/reward", &body).await.expect_status(200);
        assert_eq!(created.ids().len(), 2);
        assert_eq!(attributes(&client, "reward_program_activation", POINTS).await["total_allocated_value"], 500);
    })
    .await;
}

#[actix_web::test]
async fn everything_that_is_wrong_with_a_reward_is_listed() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let post =
            async |resource: Value| client.post("/pub/reward", &document(&resource)).await.expect_status(409).errors();
        assert_eq!(
            post(json!({"type": "reward"})).await,
            "409 InvalidBodyParameter /data/attributes/description: is required\n\
             409 InvalidBodyParameter /data/attributes/allocated_value: is required\n\
             409 InvalidBodyParameter /data/attributes/allocated_at: is required\n\
             409 InvalidBodyParameter /data/relationships/reward_program_activation: is required"
        );
        // From 2025-09-15T13:30 to a year later.
        for at in ["2025-09-15T13:30:00Z", "2026-09-15T13:30:00Z"] {
            assert_eq!(
                post(with(reward(POINTS, 1.0), "allocated_at", json!(at))).await,
                "409 InvalidBodyParameter /data/attributes/allocated_at: must be after the activation, \
                 2025-09-15T13:30:00.000Z, and before its end, 2026-09-15T13:30:00.000Z"
            );
        }
        assert_eq!(
            post(with(reward(POINTS, 1.0), "target_at", json!("2026-03-01T11:59:59Z"))).await,
            "409 InvalidBodyParameter /data/attributes/target_at: must not be before allocated_at, \
             2026-03-01T12:00:00.000Z"
        );
        assert_eq!(
            post(reward(POINTS, -1.0)).await,
            "409 InvalidBodyParameter /data/attributes/allocated_value: must be a number that is 0 or greater, and \
             below 100000000000"
        );
        let late = post(with(reward(FROZEN, 5.1), "allocated_at", json!("2024-10-24T00:00:00Z"))).await;
        assert_eq!(
            late,
            "409 InvalidBodyParameter /data/relationships/reward_program_activation/data/id: names an activation of a \
             program that is frozen and takes no new rewards\n\
             409 InvalidBodyParameter /data/attributes/allocated_at: must be after the activation, \
             2023-05-02T13:30:00.000Z, and before its end, 2024-10-23T13:30:00.000Z\n\
             409 InvalidBodyParameter /data/attributes/allocated_value: is more than what remains of the activation's \
             budget: 5 of 120"
        );
        for id in ["68494c987120ef309e2f1501", "000000000000000000000000", "seventeen"] {
            assert_eq!(
                post(reward(id, 1.0)).await,
                "409 InvalidBodyParameter /data/relationships/reward_program_activation/data/id: there is no reward \
                 program activation of this id within the scope of the token"
            );
        }
        let mut named = reward(POINTS, 1.0);
        named["id"] = json!("6964fe6046a2c9c7467ad518");
        client.post("/pub/reward", &document(&named)).await.expect_status(403);

        let mut read_only = with(reward(POINTS, 0.0), "earned_value", json!(7));
        read_only["relationships"]["patient"] = json!({"data": {"type": "patient", "id": MARIBEL}});
        let created = client.post("/pub/reward", &document(&read_only)).await.expect_status(200);
        assert_eq!(
            created.body["meta"]["ignored"],
            json!(["/data/relationships/patient", "/data/attributes/earned_value"])
        );
        assert_eq!(created.body["data"]["attributes"]["earned_value"], Value::Null);
    })
    .await;
}

#[actix_web::test]
async fn rewards_are_listed_by_any_of_their_filters() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let (organization, group) = (&app.demo.organization, &app.demo.group);
        for (filter, count) in [
            (format!("filter[organization]={organization}"), 11),
            (format!("filter[groups]={group}"), 8),
            (format!("filter[groups]={group},643ebbbeb46c643c507ad219"), 11),
            (format!("filter[patient]={MARIBEL}"), 5),
            (format!("filter[reward_program_activation]={POINTS}"), 2),
            ("filter[thread]=blood_glucose".into(), 3),
            (format!("filter[thread]=blood_glucose&filter[patient]={MARIBEL}"), 2),
            (format!("filter[thread]=weight&filter[groups]={group}"), 0),
        ] {
            let answer = client.get(&format!("/pub/reward?{filter}")).await.expect_status(200);
            assert_eq!(answer.count(), count, "{filter}");
            assert!(answer.link("next").is_none(), "not paged unless asked to");
        }
        let of_points = client.get(&format!("/pub/reward?filter[reward_program_activation]={POINTS}")).await;
        let attributes = &of_points.expect_status(200).body["data"][0]["attributes"];
        assert_eq!(attributes["earned_value"], 150);
        assert_eq!(attributes["fulfilled_value"], Value::Null);

        let none = client.get("/pub/reward").await.expect_status(409);
        assert_eq!(
            none.errors(),
            "409 InvalidParameter filter[patient]: one of filter[patient], filter[reward_program_activation], \
             filter[thread], filter[groups], filter[organization] is required"
        );
        let unknown = "/pub/reward?filter[reward_program_activation]=68494c987120ef309e2f1501";
        assert_eq!(
            client.get(unknown).await.expect_status(409).errors(),
            "409 InvalidParameter filter[reward_program_activation]: there is no reward program activation of this id \
             within the scope of the token"
        );
    })
    .await;
}

#[actix_web::test]
async fn everything_that_is_wrong_with_earnings_is_listed() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let activation = activate(&app, &client, 100.0, false).await;
        let first = create(&client, &reward(&activation, 20.0)).await;
        let second = create(&client, &reward(&activation, 30.0)).await;
        let body = json!({"data": [
            {"type": "reward_earning"},
            earning(&first, 20.0001),
            with(earning(&second, 30.0), "earned_at", json!("2026-03-01T12:00:00Z")),
            with(earning(&second, 30.0), "earned_at", json!("2026-03-30T12:00:00Z")),
            earning("68494ef07120ef309e2f1502", 1.0),
            earning(&first, -0.1),
        ]});
        let at = "must be after the reward was allocated, 2026-03-01T12:00:00.000Z, and before the end of the \
                  activation, 2026-03-30T12:00:00.000Z";
        let again = "names a reward that is earned already; a reward has only one earning";
        assert_eq!(
            client.post("/pub/reward_earning", &body).await.expect_status(409).errors(),
            [
                "409 InvalidBodyParameter /data/0/attributes/earned_value: is required",
                "409 InvalidBodyParameter /data/0/attributes/earned_at: is required",
                "409 InvalidBodyParameter /data/0/relationships/reward: is required",
                "409 InvalidBodyParameter /data/1/attributes/earned_value: is more than was allocated for the reward, 20",
                &format!("409 InvalidBodyParameter /data/2/attributes/earned_at: {at}"),
                &format!("409 InvalidBodyParameter /data/3/relationships/reward/data/id: {again}"),
                &format!("409 InvalidBodyParameter /data/3/attributes/earned_at: {at}"),
                "409 InvalidBodyParameter /data/4/relationships/reward/data/id: there is no reward of this id within \
                 the scope of the token",
                "409 InvalidBodyParameter /data/5/attributes/earned_value: must be a number that is 0 or greater, and \
                 below 100000000000",
                &format!("409 InvalidBodyParameter /data/5/relationships/reward/data/id: {again}"),
            ]
            .join("\n")
        );
        let body = json!({"data": [earning(&first, 20.0), earning(&second, 0.0)]});
        let created = client.post("/pub/reward_earning", &body).await.expect_status(200);
        assert_eq!(created.ids().len(), 2);
        let body = document(&earning(&first, 1.0));
        let refused = client.post("/pub/reward_earning", &body).await.expect_status(409);
        assert_eq!(
            refused.errors(),
            format!("409 InvalidBodyParameter /data/relationships/reward/data/id: {again}")
        );
    })
    .await;
}

#[actix_web::test]
async fn an_earning_waits_for_the_end_of_its_activation_unless_the_program_pays_as_it_goes() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let activation = activate(&app, &client, 100.0, false).await;
        let reward = create(&client, &reward(&activation, 20.0)).await;
        let earned = create(&client, &earning(&reward, 20.0)).await;
        assert_eq!(attributes(&client, "reward_earning", &earned).await["ready_for_fulfillment"], false);
        let body = document(&with(fulfillment(&earned, 20.0), "fulfilled_at", json!("2026-03-31T00:00:00Z")));
        let refused = client.post("/pub/reward_earning_fulfillment", &body).await.expect_status(409);
        assert_eq!(
            refused.errors(),
            "409 InvalidBodyParameter /data/relationships/reward_earning/data/id: names an earning that is not \
             ready_for_fulfillment: its program pays when the activation is over"
        );
        let listed = async |ready: bool| {
            let client = app.organization().await;
            let filter = format!("filter[patient]={MARIBEL}&filter[ready_for_fulfillment]={ready}");
            client.get(&format!("/pub/reward_earning?{filter}")).await.expect_status(200).ids()
        };
        let of_points = "693ab36c46a2c9c7467ad517";
        assert_eq!(listed(false).await, [of_points, &earned]);
        assert_eq!(listed(true).await, Vec::<String>::new());

        app.advance(29 * 86_400);
        let client = app.organization().await;
        assert_eq!(attributes(&client, "reward_earning", &earned).await["ready_for_fulfillment"], true);
        assert_eq!(listed(false).await, [of_points]);
        assert_eq!(listed(true).await, [&*earned]);
        client.post("/pub/reward_earning_fulfillment", &body).await.expect_status(200);
        assert_eq!(listed(true).await, Vec::<String>::new(), "what is fulfilled is in neither list");
        assert_eq!(listed(false).await, [of_points]);
    })
    .await;
}

#[actix_web::test]
async fn earnings_are_listed_by_group_or_patient() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let group = &app.demo.group;
        for (filter, count) in [
            (format!("filter[groups]={group}"), 6),
            (format!("filter[groups]={group}&filter[patient]={MARIBEL}"), 3),
            (format!("filter[patient]={MARIBEL}"), 3),
            // Two of an activation that expired.
            (format!("filter[groups]={group}&filter[ready_for_fulfillment]=true"), 2),
            (format!("filter[groups]={group}&filter[ready_for_fulfillment]=false"), 1),
            ("filter[groups]=643ebbbeb46c643c507ad219&filter[ready_for_fulfillment]=true".into(), 1),
        ] {
            let answer = client.get(&format!("/pub/reward_earning?{filter}")).await.expect_status(200);
            assert_eq!(answer.count(), count, "{filter}");
        }
        assert_eq!(
            client.get("/pub/reward_earning").await.expect_status(409).errors(),
            "409 InvalidParameter filter[groups]: one of filter[groups], filter[patient] is required"
        );
        let path = format!("/pub/reward_earning?filter[organization]={}", app.demo.organization);
        assert!(client.get(&path).await.expect_status(409).errors().contains("filter[organization]: is not a filter"));
        let path = format!("/pub/reward_earning?filter[groups]={group}&filter[ready_for_fulfillment]=yes");
        assert_eq!(
            client.get(&path).await.expect_status(409).errors(),
            "409 InvalidParameter filter[ready_for_fulfillment]: \"yes\" is neither true nor false"
        );
    })
    .await;
}

#[actix_web::test]
async fn everything_that_is_wrong_with_a_fulfillment_is_listed() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let activation = activate(&app, &client, 100.0, true).await;
        let reward = create(&client, &reward(&activation, 20.0)).await;
        let earned = create(&client, &earning(&reward, 20.0)).await;
        let post = async |resource: Value| {
            client.post("/pub/reward_earning_fulfillment", &document(&resource)).await.expect_status(409).errors()
        };
        assert_eq!(
            post(json!({"type": "reward_earning_fulfillment"})).await,
            "409 InvalidBodyParameter /data/attributes/fulfilled_value: is required\n\
             409 InvalidBodyParameter /data/attributes/fulfilled_at: is required\n\
             409 InvalidBodyParameter /data/relationships/reward_earning: is required"
        );
        assert_eq!(
            post(with(fulfillment(&earned, 20.01), "fulfilled_at", json!("2026-03-01T17:59:59Z"))).await,
            "409 InvalidBodyParameter /data/attributes/fulfilled_value: is more than was earned, 20\n\
             409 InvalidBodyParameter /data/attributes/fulfilled_at: must not be before the reward was earned, \
             2026-03-01T18:00:00.000Z"
        );
        assert_eq!(
            post(fulfillment(&earned, -1.0)).await,
            "409 InvalidBodyParameter /data/attributes/fulfilled_value: must be a number that is 0 or greater, and \
             below 100000000000"
        );
        assert_eq!(
            post(fulfillment("691e17347120ef309e2f1503", 1.0)).await,
            "409 InvalidBodyParameter /data/relationships/reward_earning/data/id: there is no reward earning of this \
             id within the scope of the token"
        );
        create(&client, &with(fulfillment(&earned, 0.0), "fulfilled_at", json!("2026-03-01T18:00:00Z"))).await;
        assert_eq!(
            post(fulfillment(&earned, 1.0)).await,
            "409 InvalidBodyParameter /data/relationships/reward_earning/data/id: names an earning that is fulfilled \
             already; an earning has only one fulfillment"
        );
    })
    .await;
}

#[actix_web::test]
async fn fulfillments_are_listed_by_patient() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let path = format!("/pub/reward_earning_fulfillment?filter[patient]={MARIBEL}");
        let all = client.get(&path).await.expect_status(200);
        assert_eq!(all.ids(), ["6478a46046a2c9c7467ad507", "653bc96846a2c9c7467ad50a"]);
        let last = client.get(&format!("{path}&sort=-updated_at&page[limit]=1")).await.expect_status(200);
        assert_eq!((last.count(), last.ids()), (2, vec!["653bc96846a2c9c7467ad50a".to_owned()]));
        let first = client.get(&last.link("next").unwrap()).await.expect_status(200);
        assert_eq!(first.ids(), ["6478a46046a2c9c7467ad507"]);
        assert_eq!(
            client.get("/pub/reward_earning_fulfillment").await.expect_status(409).errors(),
            "409 InvalidParameter filter[patient]: is required"
        );
    })
    .await;
}

#[actix_web::test]
async fn nobody_sees_rewards_of_others() {
    on_each_database(async |app| {
        // Of the program in dollars, outside the first group.
        let paths = [
            "/pub/reward/67f7ed5846a2c9c7467ad51a",
            "/pub/reward/67f7ed5846a2c9c7467ad51a/patient",
            "/pub/reward/67f7ed5846a2c9c7467ad51a/reward_program_activation",
            "/pub/reward_earning/68b1989846a2c9c7467ad51b",
            "/pub/reward_earning/68b1989846a2c9c7467ad51b/group",
            "/pub/reward_earning/68b1989846a2c9c7467ad51b/patient",
            "/pub/reward_earning/68b1989846a2c9c7467ad51b/reward",
            "/pub/reward_earning/68b1989846a2c9c7467ad51b/reward_program_activation",
            "/pub/reward_earning_fulfillment/68b7067046a2c9c7467ad51c",
            "/pub/reward_earning_fulfillment/68b7067046a2c9c7467ad51c/patient",
            "/pub/reward_earning_fulfillment/68b7067046a2c9c7467ad51c/reward_earning",
        ];
        let (whole, restricted, stranger) = (app.organization().await, app.group().await, app.stranger().await);
        for path in paths {
            whole.get(path).await.expect_status(200);
            restricted.get(path).await.expect_status(404);
            stranger.get(path).await.expect_status(404);
            app.anonymous().get(path).await.expect_status(401);
        }
        for resource in [
            reward(DOLLARS, 0.0),
            earning("68bef67846a2c9c7467ad51d", 1.0),
            fulfillment("68ff750446a2c9c7467ad520", 1.0),
        ] {
            let path = format!("/pub/{}", resource["type"].as_str().unwrap());
            restricted.post(&path, &document(&resource)).await.expect_status(409);
            stranger.post(&path, &document(&resource)).await.expect_status(409);
        }
        let organization = &app.demo.organization;
        let rewards = restricted.get(&format!("/pub/reward?filter[organization]={organization}")).await;
        assert_eq!(rewards.expect_status(200).count(), 8);
        assert_eq!(restricted.get("/pub/reward?filter[thread]=weight").await.expect_status(200).count(), 0);
        let path = "/pub/reward_earning?filter[groups]=643ebbbeb46c643c507ad219";
        restricted.get(path).await.expect_status(403);
        create(&restricted, &reward(POINTS, 1.0)).await;
    })
    .await;
}

#[actix_web::test]
async fn a_page_of_rewards_costs_as_many_statements_as_one_reward() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let activation = activate(&app, &client, 100.0, true).await;
        let body = json!({"data": vec![reward(&activation, 1.0); 40]});
        let rewards = client.post("/pub/reward", &body).await.expect_status(200).ids();
        let body: Vec<_> = rewards.iter().map(|id| earning(id, 1.0)).collect();
        let earnings = client.post("/pub/reward_earning", &json!({ "data": body })).await.expect_status(200).ids();
        let body: Vec<_> = earnings.iter().map(|id| fulfillment(id, 1.0)).collect();
        client.post("/pub/reward_earning_fulfillment", &json!({ "data": body })).await.expect_status(200);
        for kind in ["reward", "reward_earning", "reward_earning_fulfillment", "reward_program_activation"] {
            let cost = async |size: usize| {
                let before = counted(&app.database.target);
                let path = format!("/pub/{kind}?filter[patient]={MARIBEL}&page[size]={size}");
                client.get(&path).await.expect_status(200);
                counted(&app.database.target) - before
            };
            let one = cost(1).await;
            assert_eq!(one, cost(50).await, "{kind}");
            assert!((1..=10).contains(&one), "{kind}: {one} statements");
        }
    })
    .await;
}
