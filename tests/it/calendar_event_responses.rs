//! Responses of attendees to calendar events.

use futures_util::future::{join, join_all};
use serde_json::{Value, json};

use crate::support::{Client, on_each_database};

/// A call with Achterberg, whom Castellanos-Wray calls.
const ACHTERBERG: &str = "6409ea55741e089d927ad227";
const CASTELLANOS: &str = "63e3cad7741e089d927ad21c";

/// Achterberg's check-in, which nobody has answered.
async fn check_in(client: &Client) -> Value {
    let list = format!("/pub/calendar_event?filter[patient]={ACHTERBERG}&filter[type]=plan-check-in");
    client.get(&list).await.expect_status(200).body["data"][0].clone()
}

fn response(event: &Value, attendee: &Value, status: &str, user: &Value) -> Value {
    json!({
        "type": "calendar_event_response",
        "attributes": {"attendee": attendee, "response_status": status},
        "relationships": {
            "user": {"data": user},
            "calendar_event": {"data": {"type": "calendar_event", "id": event["id"]}},
        },
    })
}

async fn post(client: &Client, data: Value) -> crate::support::Response {
    client.post("/pub/calendar_event_response", &json!({ "data": data })).await
}

#[actix_web::test]
async fn a_response_is_answered_as_created_and_found_at_the_event() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let event = check_in(&client).await;
        let coach = &event["attributes"]["attendees"][0]["_id"];
        let user = json!({"type": "user", "id": CASTELLANOS});
        app.advance(60);
        let created = post(&client, response(&event, coach, "accepted", &user)).await.expect_status(201);
        assert_eq!(
            created.body["data"],
            json!({
                "type": "calendar_event_response",
                "id": created.id(),
                "attributes": {"attendee": coach, "response_status": "accepted"},
                "relationships": {
                    "user": {"data": user},
                    "calendar_event": {"data": {"type": "calendar_event", "id": event["id"]}},
                },
            })
        );
        let mut expected = event.clone();
        expected["attributes"]["attendees"][0]["response_status"] = json!("accepted");
        expected["attributes"]["updated_at"] = json!("2026-03-02T09:31:00.000Z");
        expected["attributes"]["updated_by"] = json!(app.demo.client_id);
        assert_eq!(check_in(&client).await, expected);
        client.get(&format!("/pub/calendar_event_response/{}", created.id())).await.expect_status(404);
        assert_eq!(client.get("/pub/calendar_event_response").await.expect_status(405).header("allow"), "POST");
    })
    .await;
}

#[actix_web::test]
async fn attendees_are_named_by_id_or_by_user_and_users_by_three_types() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let event = check_in(&client).await;
        let attendees = &event["attributes"]["attendees"];
        let many = json!([
            response(&event, &json!(CASTELLANOS), "declined", &json!({"type": "coach", "id": CASTELLANOS})),
            response(&event, &attendees[1]["_id"], "tentative", &json!({"type": "patient", "id": ACHTERBERG})),
        ]);
        let created = post(&client, many).await.expect_status(201);
        assert_eq!(created.body["data"][0]["attributes"]["attendee"], attendees[0]["_id"]);
        assert_eq!(created.body["data"][1]["relationships"]["user"]["data"]["type"], "patient");
        let after = check_in(&client).await;
        let statuses: Vec<_> = after["attributes"]["attendees"]
            .as_array()
            .unwrap()
            .iter()
            .map(|attendee| attendee["response_status"].clone())
            .collect();
        assert_eq!(statuses, ["declined", "tentative"]);
    })
    .await;
}

#[actix_web::test]
async fn what_does_not_fit_is_refused() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let event = check_in(&client).await;
        let coach = &event["attributes"]["attendees"][0]["_id"];
        let user = json!({"type": "user", "id": CASTELLANOS});
        let foreign = json!({"id": "66d3f1a2b7d3409c6e81f24a"});
        for (data, error) in [
            (
                response(&event, coach, "needsAction", &user),
                "409 InvalidBodyParameter /data/attributes/response_status: \"needsAction\" is not one of accepted, \
                 declined, tentative",
            ),
            (
                response(&event, &json!("63e52bcc741e089d927ad21d"), "accepted", &user),
                "409 InvalidBodyParameter /data/attributes/attendee: is no attendee of this event; name one by its _id \
                 there, or by the id of its user",
            ),
            (
                response(&event, coach, "accepted", &json!({"type": "user", "id": ACHTERBERG})),
                "409 InvalidBodyParameter /data/relationships/user/data/id: is not the user of this attendee; see the \
                 event's attendees",
            ),
            (
                response(&event, coach, "accepted", &json!({"type": "patient", "id": CASTELLANOS})),
                "409 InvalidBodyParameter /data/relationships/user/data/type: \"patient\" is not what this user is: a \
                 coach; \"user\" will do too",
            ),
            (
                response(&event, coach, "accepted", &json!({"type": "group", "id": CASTELLANOS})),
                "409 InvalidBodyParameter /data/relationships/user/data/type: \"group\" is not one of user, coach, \
                 patient",
            ),
            (
                response(&foreign, coach, "accepted", &user),
                "409 InvalidBodyParameter /data/relationships/calendar_event/data/id: there is no calendar event of \
                 this id within the scope of the token",
            ),
            (
                json!({"type": "calendar_event_response"}),
                "409 InvalidBodyParameter /data/attributes/attendee: is required\n\
                 409 InvalidBodyParameter /data/attributes/response_status: is required\n\
                 409 InvalidBodyParameter /data/relationships/calendar_event: is required\n\
                 409 InvalidBodyParameter /data/relationships/user: is required",
            ),
        ] {
            assert_eq!(post(&client, data).await.expect_status(409).errors(), error);
        }
        let mut with_id = response(&event, coach, "accepted", &user);
        with_id["id"] = json!(CASTELLANOS);
        post(&client, with_id).await.expect_status(403);
        assert_eq!(check_in(&client).await, event);
        let stranger = app.stranger().await;
        post(&stranger, response(&event, coach, "accepted", &user)).await.expect_status(409);
        post(&app.group().await, response(&event, coach, "accepted", &user)).await.expect_status(201);
    })
    .await;
}

#[actix_web::test]
async fn no_response_is_lost_to_a_change_at_the_same_time() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let event = check_in(&client).await;
        let path = format!("/pub/calendar_event/{}", event["id"].as_str().unwrap());
        let user = json!({"type": "user", "id": CASTELLANOS});
        let answer = post(&client, response(&event, &json!(CASTELLANOS), "accepted", &user));
        let body = json!({ "data": event });
        let changes = join_all((0..8).map(|_| client.patch(&path, &body)));
        let (answer, changes) = join(answer, changes).await;
        answer.expect_status(201);
        for change in changes {
            change.expect_status(200);
        }
        assert_eq!(check_in(&client).await["attributes"]["attendees"][0]["response_status"], "accepted");
    })
    .await;
}
