//! Calendar events.

use serde_json::{Value, json};

use crate::support::{Client, TestApp, on_each_database};

const OSTRANDER: &str = "64062e37741e089d927ad224";
const ACHTERBERG: &str = "6409ea55741e089d927ad227";
/// Sees Ostrander in another group than that of the restricted client.
const WHITCOMBE: &str = "63e52bcc741e089d927ad21d";
const CASTELLANOS: &str = "63e3cad7741e089d927ad21c";
/// Outside the group of the restricted client, as is the patient.
const MARROQUIN: &str = "659eb3e8fa867d8b7c7ad223";
const BARAKZADEH: &str = "659ff332fa867d8b7c7ad23a";
const OF_STRANGER: &str = "647e09d486f89266d12f13f6";

fn call() -> Value {
    json!({
        "type": "telephone-call",
        "title": "New strips",
        "time_zone": "America/New_York",
        "start_at": "2026-03-05T10:00:00-05:00",
        "end_at": "2026-03-05T10:20:00-05:00",
        "attendees": [{"user": CASTELLANOS}, {"user": OSTRANDER}],
    })
}

fn event(attributes: &Value) -> Value {
    owned(OSTRANDER, attributes)
}

fn owned(owner: &str, attributes: &Value) -> Value {
    let owner = json!({"owner": {"data": {"type": "patient", "id": owner}}});
    json!({"type": "calendar_event", "attributes": attributes, "relationships": owner})
}

/// A call, with these attributes changed; `null` takes one away.
fn call_but(changed: &Value) -> Value {
    let mut attributes = call();
    for (name, value) in changed.as_object().unwrap() {
        attributes[name] = value.clone();
    }
    attributes
}

async fn create(client: &Client, attributes: &Value) -> Value {
    client.post("/pub/calendar_event", &json!({"data": event(attributes)})).await.expect_status(201).body["data"]
        .clone()
}

async fn refused(client: &Client, attributes: &Value) -> String {
    client.post("/pub/calendar_event", &json!({"data": event(attributes)})).await.expect_status(409).errors()
}

fn path(event: &Value) -> String {
    format!("/pub/calendar_event/{}", event["id"].as_str().unwrap())
}

fn change(event: &Value, attributes: &Value) -> Value {
    json!({"data": {"type": "calendar_event", "id": event["id"], "attributes": attributes}})
}

async fn count(client: &Client, query: &str) -> i64 {
    client.get(&format!("/pub/calendar_event?{query}")).await.expect_status(200).count()
}

#[actix_web::test]
async fn an_event_is_created_and_found_again() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let created = client.post("/pub/calendar_event", &json!({"data": event(&call())})).await.expect_status(201);
        let data = &created.body["data"];
        let id = created.id();
        let attendees = &data["attributes"]["attendees"];
        assert_eq!(
            *data,
            json!({
                "type": "calendar_event",
                "id": id,
                "attributes": {
                    "type": "telephone-call",
                    "title": "New strips",
                    "time_zone": "America/New_York",
                    "all_day": false,
                    "start_at": "2026-03-05T15:00:00.000Z",
                    "end_at": "2026-03-05T15:20:00.000Z",
                    "attendees": [
                        {"_id": attendees[0]["_id"], "user": CASTELLANOS, "response_status": "needsAction"},
                        {"_id": attendees[1]["_id"], "user": OSTRANDER, "response_status": "needsAction"},
                    ],
                    "created_at": "2026-03-02T09:30:00.000Z",
                    "created_by": app.demo.client_id,
                    "updated_at": "2026-03-02T09:30:00.000Z",
                    "updated_by": app.demo.client_id,
                },
                "links": {"self": format!("/pub/calendar_event/{id}")},
                "relationships": {"owner": {
                    "data": {"type": "patient", "id": OSTRANDER},
                    "links": {"related": format!("/pub/calendar_event/{id}/owner")},
                }},
            })
        );
        assert_eq!(created.body["included"], json!([]));
        assert!(created.body["meta"].get("ignored").is_none(), "{}", created.text);

        let fetched = client.get(&path(data)).await.expect_status(200);
        assert_eq!(fetched.body["data"], *data);
        let owner = client.get(&format!("{}/owner", path(data))).await.expect_status(200);
        assert_eq!(owner.id(), OSTRANDER);
    })
    .await;
}

#[actix_web::test]
async fn what_is_left_out_has_its_default() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let bare =
            json!({"type": "reminder", "start_at": "2026-03-05T15:00:00Z", "title": "Flu shot", "attendees": []});
        let created = create(&client, &bare).await;
        let attributes = &created["attributes"];
        assert_eq!(attributes["time_zone"], "UTC");
        assert_eq!(attributes["all_day"], false);
        assert_eq!(attributes["attendees"], json!([]));
        for absent in ["end_at", "location", "description", "completed_at", "completed_by"] {
            assert!(attributes.get(absent).is_none(), "{absent}");
        }
    })
    .await;
}

#[actix_web::test]
async fn a_request_makes_many_events_or_none() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let body = json!({"data": [event(&call()), owned(ACHTERBERG, &call_but(&json!({"title": "Sensor"})))]});
        let created = client.post("/pub/calendar_event?include=owner", &body).await.expect_status(201);
        let owners: Vec<_> =
            created.body["included"].as_array().unwrap().iter().map(|owner| owner["id"].clone()).collect();
        assert_eq!(owners, [OSTRANDER, ACHTERBERG]);
        assert_eq!(created.body["data"][1]["attributes"]["title"], "Sensor");

        let before = count(&client, &format!("filter[organization]={}", app.demo.organization)).await;
        let body =
            json!({"data": [event(&call()), owned(OF_STRANGER, &call_but(&json!({"title": " ", "type": "brunch"})))]});
        let errors = client.post("/pub/calendar_event", &body).await.expect_status(409).errors();
        assert_eq!(
            errors,
            "409 InvalidBodyParameter /data/1/attributes/type: \"brunch\" is not one of plan-check-in, reminder, \
             telephone-call, office-visit, video-call\n\
             409 InvalidBodyParameter /data/1/attributes/title: must not be blank\n\
             409 InvalidBodyParameter /data/1/relationships/owner/data/id: there is no patient of this id within the \
             scope of the token"
        );
        assert_eq!(count(&client, &format!("filter[organization]={}", app.demo.organization)).await, before);
    })
    .await;
}

#[actix_web::test]
async fn the_owner_may_be_named_by_query() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let query = json!({"identifier": {"system": "medical-record-number", "value": "204417"}});
        let mut body = json!({"data": event(&call())});
        body["data"]["relationships"]["owner"]["data"] = json!({"type": "patient", "meta": {"query": query}});
        let created = client.post("/pub/calendar_event", &body).await.expect_status(201);
        assert_eq!(created.body["data"]["relationships"]["owner"]["data"]["id"], OSTRANDER);
    })
    .await;
}

#[actix_web::test]
async fn what_is_required_is_missed() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let body = json!({"data": {"type": "calendar_event", "attributes": {"title": null}}});
        let errors = client.post("/pub/calendar_event", &body).await.expect_status(409).errors();
        assert_eq!(
            errors,
            "409 InvalidBodyParameter /data/attributes/type: is required\n\
             409 InvalidBodyParameter /data/attributes/start_at: is required\n\
             409 InvalidBodyParameter /data/attributes/title: is required\n\
             409 InvalidBodyParameter /data/attributes/attendees: is required\n\
             409 InvalidBodyParameter /data/relationships/owner: is required"
        );
        let sent = json!({"data": {"type": "calendar_event", "id": OSTRANDER, "attributes": call(), "relationships": event(&call())["relationships"]}});
        let errors = client.post("/pub/calendar_event", &sent).await.expect_status(403).errors();
        assert!(errors.starts_with("403 Forbidden /data/id: "), "{errors}");
    })
    .await;
}

#[actix_web::test]
async fn attributes_must_go_together() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let zone = "America/New_York";
        let cases = [
            (json!({"time_zone": "Eastern"}), vec!["time_zone: \"Eastern\" is not the IANA name of a time zone, such as America/New_York".to_owned()]),
            (json!({"start_at": "2026-03-05T10:00:00"}), vec!["start_at: \"2026-03-05T10:00:00\" is not an RFC 3339 instant with an offset, such as 2026-01-31T08:30:00Z".into()]),
            (json!({"end_at": "2026-03-05T09:59:59-05:00"}), vec!["end_at: must not be before start_at".into()]),
            (json!({"end_at": "2026-03-06T00:00:00-05:00"}), vec![format!("end_at: must be on the day of start_at, in {zone}, unless all_day is true")]),
            (json!({"all_day": "yes"}), vec!["all_day: must be true or false, not a string".into()]),
            (
                json!({"all_day": true}),
                vec![
                    format!("start_at: must be the beginning of a day, in {zone} or in UTC, as the event lasts all day"),
                    format!("end_at: must be the beginning of a day, in {zone} or in UTC, as the event lasts all day"),
                ],
            ),
            (
                json!({"type": "plan-check-in"}),
                vec![
                    "end_at: must be left out of a plan-check-in".into(),
                    format!("start_at: must be the beginning of a day, in {zone} or in UTC, as the event lasts all day"),
                    "all_day: must be true of a plan-check-in".into(),
                ],
            ),
            (json!({"completed_at": "2026-03-02T09:00:00Z"}), vec!["completed_by: is set and cleared together with completed_at; send both, or null for both".into()]),
            (json!({"completed_by": CASTELLANOS}), vec!["completed_at: is set and cleared together with completed_by; send both, or null for both".into()]),
            (
                json!({"completed_at": "2026-03-02T09:00:00Z", "completed_by": OSTRANDER}),
                vec!["completed_by: there is no coach of this id within the scope of the token".into()],
            ),
        ];
        for (changed, faults) in cases {
            let expected: Vec<_> =
                faults.iter().map(|fault| format!("409 InvalidBodyParameter /data/attributes/{fault}")).collect();
            assert_eq!(refused(&client, &call_but(&changed)).await, expected.join("\n"), "{changed}");
        }
    })
    .await;
}

#[actix_web::test]
async fn an_all_day_event_begins_a_day_in_its_time_zone_or_in_utc() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let all_day = |zone: &str, start: &str, end: Value| {
            json!({
                "type": "reminder", "title": "Away", "attendees": [], "all_day": true,
                "time_zone": zone, "start_at": start, "end_at": end,
            })
        };
        for (zone, start, end) in [
            ("America/New_York", "2026-03-05T00:00:00-05:00", Value::Null),
            ("America/New_York", "2026-03-05T00:00:00Z", Value::Null),
            // The clocks are put forward in between.
            ("America/New_York", "2026-03-05T00:00:00-05:00", json!("2026-03-10T00:00:00-04:00")),
            ("America/New_York", "2026-03-05T00:00:00-05:00", json!("2026-03-05T00:00:00-05:00")),
            // There is no midnight on this day.
            ("America/Sao_Paulo", "2018-11-04T01:00:00-02:00", Value::Null),
        ] {
            create(&client, &all_day(zone, start, end)).await;
        }
        for (zone, start, end) in [
            ("America/New_York", "2026-03-10T00:00:00-05:00", Value::Null),
            ("America/Sao_Paulo", "2018-11-04T00:00:00-02:00", Value::Null),
            ("America/New_York", "2026-03-05T00:00:00-05:00", json!("2026-03-04T00:00:00-05:00")),
        ] {
            refused(&client, &all_day(zone, start, end)).await;
        }
        let check_in = json!({
            "type": "plan-check-in", "title": "Check-in", "attendees": [], "all_day": true,
            "time_zone": "America/New_York", "start_at": "2026-03-05T00:00:00Z",
        });
        create(&client, &check_in).await;
    })
    .await;
}

#[actix_web::test]
async fn attendees_are_people_of_the_organization_each_once() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let attendees = json!([{"user": CASTELLANOS}, {"user": OF_STRANGER}, {"user": CASTELLANOS}, {"user": "me"}, {}]);
        let unknown = "there is no coach or patient of this id within the scope of the token";
        assert_eq!(
            refused(&client, &call_but(&json!({ "attendees": attendees }))).await,
            format!(
                "409 InvalidBodyParameter /data/attributes/attendees/4/user: is required\n\
                 409 InvalidBodyParameter /data/attributes/attendees/1/user: {unknown}\n\
                 409 InvalidBodyParameter /data/attributes/attendees/2/user: is an attendee of this event already; name \
                 each person once\n\
                 409 InvalidBodyParameter /data/attributes/attendees/3/user: {unknown}"
            )
        );
    })
    .await;
}

#[actix_web::test]
async fn a_whole_event_can_be_sent_back() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let created = create(&client, &call()).await;
        app.advance(60);
        let mut body = json!({ "data": created });
        body["data"]["attributes"]["title"] = json!("New strips, and a lancet");
        body["data"]["attributes"]["attendees"][0]["response_status"] = json!("accepted");
        let answer = client.patch(&path(&created), &body).await.expect_status(200);
        let mut expected = created.clone();
        expected["attributes"]["title"] = json!("New strips, and a lancet");
        expected["attributes"]["updated_at"] = json!("2026-03-02T09:31:00.000Z");
        assert_eq!(answer.body["data"], expected);
        let ignored = answer.body["meta"]["ignored"].as_array().unwrap();
        for place in ["attendees/0/response_status", "attendees/1/response_status", "attendees/0/_id", "created_at"] {
            assert!(ignored.contains(&json!(format!("/data/attributes/{place}"))), "{place} in {ignored:?}");
        }
        assert_eq!(client.get(&path(&created)).await.expect_status(200).body["data"], expected);
    })
    .await;
}

#[actix_web::test]
async fn attendees_who_stay_keep_their_ids_and_responses() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let created = create(&client, &call()).await;
        let before = &created["attributes"]["attendees"];
        let response = json!({"data": {
            "type": "calendar_event_response",
            "attributes": {"attendee": before[1]["_id"], "response_status": "accepted"},
            "relationships": {
                "user": {"data": {"type": "user", "id": OSTRANDER}},
                "calendar_event": {"data": {"type": "calendar_event", "id": created["id"]}},
            },
        }});
        client.post("/pub/calendar_event_response", &response).await.expect_status(201);
        let users = json!({"attendees": [{"user": OSTRANDER}, {"user": WHITCOMBE}]});
        let changed = client.patch(&path(&created), &change(&created, &users)).await.expect_status(200);
        let after = &changed.body["data"]["attributes"]["attendees"];
        assert_eq!(
            *after,
            json!([
                {"_id": before[1]["_id"], "user": OSTRANDER, "response_status": "accepted"},
                {"_id": after[1]["_id"], "user": WHITCOMBE, "response_status": "needsAction"},
            ])
        );
        assert_eq!(client.get(&path(&created)).await.body["data"]["attributes"]["attendees"], *after);

        let title =
            client.patch(&path(&created), &change(&created, &json!({"title": "Later"}))).await.expect_status(200);
        assert_eq!(title.body["data"]["attributes"]["attendees"], *after);
        let cleared =
            client.patch(&path(&created), &change(&created, &json!({"attendees": null}))).await.expect_status(200);
        assert_eq!(cleared.body["data"]["attributes"]["attendees"], json!([]));
    })
    .await;
}

#[actix_web::test]
async fn completion_is_set_and_cleared_as_one() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let created = create(&client, &call()).await;
        let path = path(&created);
        let done = json!({"completed_at": "2026-03-05T10:25:00-05:00", "completed_by": CASTELLANOS});
        let answer = client.patch(&path, &change(&created, &done)).await.expect_status(200);
        assert_eq!(answer.body["data"]["attributes"]["completed_at"], "2026-03-05T15:25:00.000Z");
        assert_eq!(answer.body["data"]["attributes"]["completed_by"], CASTELLANOS);

        let half = client.patch(&path, &change(&created, &json!({"completed_at": null}))).await.expect_status(409);
        assert_eq!(
            half.errors(),
            "409 InvalidBodyParameter /data/attributes/completed_at: is set and cleared together with completed_by; \
             send both, or null for both"
        );
        let undone = json!({"completed_at": null, "completed_by": null});
        let answer = client.patch(&path, &change(&created, &undone)).await.expect_status(200);
        assert_eq!(answer.body["data"]["attributes"].get("completed_by"), None);
    })
    .await;
}

#[actix_web::test]
async fn a_change_is_held_against_what_is_there() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let created = create(&client, &call()).await;
        let path = path(&created);
        let faults = async |attributes: Value| {
            client.patch(&path, &change(&created, &attributes)).await.expect_status(409).errors()
        };
        assert_eq!(
            faults(json!({"type": "office-visit", "title": null})).await,
            "409 InvalidBodyParameter /data/attributes/title: is required\n\
             409 InvalidBodyParameter /data/attributes/type: cannot be changed; this event is and remains a telephone-call"
        );
        assert_eq!(faults(json!({"type": null})).await, "409 InvalidBodyParameter /data/attributes/type: is required");
        for nobody in ["me", OSTRANDER] {
            assert_eq!(
                faults(json!({"completed_by": nobody})).await,
                "409 InvalidBodyParameter /data/attributes/completed_by: there is no coach of this id within the scope of \
                 the token"
            );
        }
        assert_eq!(
            faults(json!({"start_at": "2026-03-05T10:30:00-05:00"})).await,
            "409 InvalidBodyParameter /data/attributes/end_at: must not be before start_at"
        );
        // In Auckland this call would begin before midnight and end after it.
        assert_eq!(
            faults(json!({"time_zone": "Pacific/Auckland", "start_at": "2026-03-05T10:50:00Z", "end_at": "2026-03-05T11:10:00Z"})).await,
            "409 InvalidBodyParameter /data/attributes/end_at: must be on the day of start_at, in Pacific/Auckland, \
             unless all_day is true"
        );
        let defaults = json!({"time_zone": null, "all_day": null, "end_at": null, "location": "Room 2"});
        let answer = client.patch(&path, &change(&created, &defaults)).await.expect_status(200);
        let attributes = &answer.body["data"]["attributes"];
        assert_eq!((&attributes["time_zone"], &attributes["all_day"]), (&json!("UTC"), &json!(false)));
        assert_eq!((attributes.get("end_at"), &attributes["location"]), (None, &json!("Room 2")));

        let mut body = change(&created, &json!({}));
        body["data"]["relationships"] = json!({"owner": {"data": {"type": "patient", "id": ACHTERBERG}}});
        let moved = client.patch(&format!("{path}?include=owner"), &body).await.expect_status(200);
        assert_eq!(moved.body["included"][0]["id"], ACHTERBERG);
        let other = json!({"data": {"type": "calendar_event", "id": OSTRANDER}});
        assert!(client.patch(&path, &other).await.expect_status(409).errors().contains("/data/id"));
    })
    .await;
}

#[actix_web::test]
async fn an_event_is_deleted_once() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let created = create(&client, &call()).await;
        let stranger = app.stranger().await;
        stranger.delete(&path(&created)).await.expect_status(404);
        app.anonymous().delete(&path(&created)).await.expect_status(401);
        client.delete(&format!("{}?page[size]=1", path(&created))).await.expect_status(409);

        let answer = client.delete(&path(&created)).await.expect_status(200);
        assert_eq!(answer.body, json!({"meta": {"req_id": answer.header("x-request-id")}}));
        client.get(&path(&created)).await.expect_status(404);
        client.delete(&path(&created)).await.expect_status(404);
        client.delete("/pub/calendar_event/x").await.expect_status(404);
        let refused = client.post(&path(&created), &json!({})).await;
        assert_eq!((refused.status, refused.header("allow")), (405, "GET, HEAD, PATCH, DELETE"));
    })
    .await;
}

#[actix_web::test]
async fn events_are_filtered() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let organization = format!("filter[organization]={}", app.demo.organization);
        for (query, expected) in [
            (organization.clone(), 25),
            (format!("filter[patient]={OSTRANDER}"), 12),
            (format!("filter[groups]={}", app.demo.group), 18),
            (format!("filter[group]={}", app.demo.group), 18),
            (format!("filter[groups]={}&filter[patient]={ACHTERBERG}", app.demo.group), 2),
            (format!("filter[attendees]={MARROQUIN}"), 2),
            (format!("filter[attendees]={MARROQUIN},{ACHTERBERG}"), 4),
            (format!("filter[attendees]={CASTELLANOS}&filter[patient]={OSTRANDER}"), 7),
            (format!("{organization}&filter[type]=plan-check-in"), 5),
            (format!("{organization}&filter[completed]=true"), 9),
            (format!("{organization}&filter[completed]=false"), 16),
            (format!("{organization}&filter[start_at]=2026-03-05T23:00:00Z..2026-03-06T05:00:00Z"), 2),
            (format!("{organization}&filter[start_at]=2026-03-05T23:00:00Z..2026-03-06T05:00:00.001Z"), 3),
            (format!("{organization}&filter[start_at]=2026-03-05T18:00:00-05:00.."), 11),
            (format!("{organization}&filter[end_at]=.."), 17),
            (format!("{organization}&filter[end_at]=2026-03-06T00:00:00%2000:00..2026-03-06T00:00:01%2B00:00"), 2),
            (format!("{organization}&filter[completed_at]=..2025-10-01T00:00:00Z"), 2),
            (format!("{organization}&filter[created_at]=2026-02-27T00:00:00Z.."), 3),
            (format!("{organization}&filter[updated_at]=2025-09-15T18:05:22Z..2025-09-15T18:05:22.001Z"), 1),
        ] {
            assert_eq!(count(&client, &query).await, expected, "{query}");
        }
    })
    .await;
}

#[actix_web::test]
async fn filters_are_checked() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let organization = &app.demo.organization;
        for (query, status, error) in [
            (
                String::new(),
                409,
                "409 InvalidParameter filter[patient]: one of filter[patient], filter[groups], filter[organization], \
                 filter[attendees] is required",
            ),
            (
                format!("filter[organization]={organization}&filter[type]=brunch"),
                409,
                "409 InvalidParameter filter[type]: \"brunch\" is not one of plan-check-in, reminder, telephone-call, \
                 office-visit, video-call",
            ),
            (
                format!("filter[organization]={organization}&filter[completed]=1"),
                409,
                "409 InvalidParameter filter[completed]: \"1\" is neither true nor false",
            ),
            (
                format!("filter[patient]={OF_STRANGER}"),
                409,
                "409 InvalidParameter filter[patient]: there is no patient of this id within the scope of the token",
            ),
            (
                format!("filter[attendees]={CASTELLANOS},{OF_STRANGER}"),
                409,
                "409 InvalidParameter filter[attendees]: there is no coach or patient of this id within the scope of \
                 the token",
            ),
            (
                format!("filter[organization]={organization}&filter[start_at]=2026-03-05"),
                409,
                "409 InvalidParameter filter[start_at]: \"2026-03-05\" is not a range: write start..end, either of \
                 which may be empty",
            ),
            (
                format!("filter[organization]={organization}&sort=title"),
                400,
                "400 InvalidParameter sort: \"title\" cannot be sorted by here; created_at, updated_at, start_at, \
                 end_at can",
            ),
            (
                format!("filter[organization]={organization}&include=attendees"),
                400,
                "400 InvalidParameter include: \"attendees\" cannot be included here; owner can",
            ),
        ] {
            let answer = client.get(&format!("/pub/calendar_event?{query}")).await.expect_status(status);
            assert_eq!(answer.errors(), error, "{query}");
        }
        let foreign = format!("/pub/calendar_event?filter[organization]={}", app.stranger.organization);
        client.get(&foreign).await.expect_status(403);
        let foreign = format!("/pub/calendar_event?filter[groups]={}", app.stranger.group);
        client.get(&foreign).await.expect_status(403);
    })
    .await;
}

#[actix_web::test]
async fn events_are_sorted_and_paged() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let list = format!("/pub/calendar_event?filter[patient]={OSTRANDER}");
        let first = client.get(&list).await.expect_status(200);
        assert_eq!((first.ids().len(), first.count()), (10, 12));
        let second = client.get(&first.link("next").unwrap()).await.expect_status(200);
        assert_eq!((second.ids().len(), second.link("next")), (2, None));
        assert!(first.ids().iter().chain(&second.ids()).is_sorted(), "creation order");

        for (name, fallback) in [("start_at", "start_at"), ("end_at", "start_at")] {
            for sign in ["", "-"] {
                let (mut next, mut values) = (Some(format!("{list}&sort={sign}{name}&page[limit]=5")), Vec::new());
                while let Some(link) = next {
                    let page = client.get(&link).await.expect_status(200);
                    values.extend(page.body["data"].as_array().unwrap().iter().map(|event| {
                        let attributes = &event["attributes"];
                        attributes[name].as_str().or(attributes[fallback].as_str()).unwrap().to_owned()
                    }));
                    next = page.link("next");
                }
                if sign == "-" {
                    values.reverse();
                }
                assert!(values.len() == 12 && values.is_sorted(), "{sign}{name}: {values:?}");
            }
        }
        let included = client.get(&format!("{list}&include=owner&page[size]=50")).await.expect_status(200);
        assert_eq!(included.body["included"].as_array().unwrap().len(), 1);
        assert_eq!(included.body["included"][0]["id"], OSTRANDER);
        let sparse = client.get(&format!("{list}&fields[calendar_event]=title&page[size]=1")).await.expect_status(200);
        assert_eq!(sparse.body["data"][0]["attributes"], json!({"title": "Quarterly plan check-in"}));
    })
    .await;
}

/// The id of an event of somebody outside the group of the restricted client.
async fn hidden(client: &Client) -> String {
    client.get(&format!("/pub/calendar_event?filter[patient]={BARAKZADEH}")).await.expect_status(200).ids().remove(0)
}

#[actix_web::test]
async fn a_restricted_client_sees_the_events_of_its_patients() {
    on_each_database(async |app: TestApp| {
        let (whole, client) = (app.organization().await, app.group().await);
        let organization = format!("filter[organization]={}", app.demo.organization);
        assert_eq!(count(&client, &organization).await, 18);
        let hidden = format!("/pub/calendar_event/{}", hidden(&whole).await);
        whole.get(&hidden).await.expect_status(200);
        client.get(&hidden).await.expect_status(404);
        client.get(&format!("{hidden}/owner")).await.expect_status(404);
        client.delete(&hidden).await.expect_status(404);
        client.patch(&hidden, &json!({})).await.expect_status(404);
        client.get(&format!("/pub/calendar_event?filter[patient]={BARAKZADEH}")).await.expect_status(409);
        client.get(&format!("/pub/calendar_event?filter[attendees]={BARAKZADEH}")).await.expect_status(409);

        // Nobody can be invited whom the client does not see; who was invited by others can stay.
        assert_eq!(
            refused(&client, &call_but(&json!({"attendees": [{"user": BARAKZADEH}]}))).await,
            "409 InvalidBodyParameter /data/attributes/attendees/0/user: there is no coach or patient of this id within \
             the scope of the token"
        );
        let done = json!({
            "attendees": [{"user": BARAKZADEH}],
            "completed_at": "2026-03-02T09:00:00Z",
            "completed_by": MARROQUIN,
        });
        let created = create(&whole, &call_but(&done)).await;
        let answer = client.patch(&path(&created), &json!({ "data": created })).await.expect_status(200);
        assert_eq!(answer.body["data"]["attributes"]["attendees"], created["attributes"]["attendees"]);
    })
    .await;
}

#[actix_web::test]
async fn a_stranger_sees_nothing() {
    on_each_database(async |app: TestApp| {
        let (client, stranger) = (app.organization().await, app.stranger().await);
        let created = create(&client, &call()).await;
        for path in [path(&created), format!("{}/owner", path(&created))] {
            stranger.get(&path).await.expect_status(404);
        }
        stranger.patch(&path(&created), &change(&created, &json!({"title": "Mine"}))).await.expect_status(404);
        stranger.get(&format!("/pub/calendar_event?filter[attendees]={CASTELLANOS}")).await.expect_status(409);
        assert_eq!(count(&stranger, &format!("filter[organization]={}", app.stranger.organization)).await, 6);
        app.anonymous().get(&path(&created)).await.expect_status(401);
    })
    .await;
}
