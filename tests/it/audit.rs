//! The audit trail: who changed and who saw which records.

use retwine::audit::{Reads, Records, Search, search};
use retwine::id::Id;
use retwine::time::Instant;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::command_line::Operator;
use crate::serving::Server;
use crate::support::{NOW, Response, TestApp, each, on_each_database};

/// In Diabetes Together, the group of the restricted client.
const OSTRANDER: &str = "64062e37741e089d927ad224";

/// The entries of requests over the API, the oldest first.
fn trail(app: &TestApp) -> Vec<Value> {
    let mut entries = Vec::new();
    let tell = |line: &str| {
        entries.push(serde_json::from_str::<Value>(line).unwrap());
        Ok(())
    };
    search(&mut app.database.connect(), &Search::default(), tell).unwrap();
    entries.retain(|entry| entry["req_id"].is_string());
    entries
}

/// What an entry of this request is to say.
fn entry(app: &TestApp, response: &Response, action: &str, records: &Value) -> Value {
    json!({
        "at": crate::support::NOW,
        "organization": app.demo.organization,
        "client": app.demo.client_id,
        "req_id": response.body["meta"]["req_id"],
        "action": action,
        "records": records,
    })
}

#[actix_web::test]
async fn a_change_is_entered_with_who_made_it_and_how_it_was_before() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let path = format!("/pub/patient/{OSTRANDER}");
        let before = client.get(&path).await.expect_status(200);
        let change = json!({"data": {"type": "patient", "id": OSTRANDER, "attributes": {"note": "Prefers mornings"}}});
        let changed = client.patch(&format!("{path}?fields[patient]=note"), &change).await.expect_status(200);
        let after = client.get(&path).await.expect_status(200);

        let expected = entry(&app, &changed, "update", &json!({"patient": [OSTRANDER]}));
        let [found] = &*trail(&app) else { panic!("{:?}", trail(&app)) };
        assert_eq!((&found["old"], &found["new"]), (&before.body["data"], &after.body["data"]));
        let mut rest = found.clone();
        rest.as_object_mut().unwrap().retain(|name, _| !["old", "new"].contains(&name.as_str()));
        assert_eq!(rest, expected);
    })
    .await;
}

#[actix_web::test]
async fn what_is_created_is_entered_one_entry_for_a_request() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let metric = |value: u32| {
            json!({"type": "patient_health_metric",
                "attributes": {"type": "weight", "value": value, "occurred_at": "2026-03-01T08:00:00Z"},
                "relationships": {"patient": {"data": {"type": "patient", "id": OSTRANDER}}}})
        };
        let many = json!({"meta": {"ignore_duplicates": true}, "data": (0..3).map(metric).collect::<Vec<_>>()});
        let bulk = client.post("/pub/patient_health_metric", &many).await.expect_status(200);
        client.post("/pub/patient_health_metric", &many).await.expect_status(200);
        let bad = json!({"data": [metric(1), {"type": "patient_health_metric", "attributes": {"type": "colour"}}]});
        client.post("/pub/patient_health_metric", &bad).await.expect_status(409);
        assert_eq!(bulk.ids().len(), 1, "all three are the same");

        let group = json!({"query": {"organization": app.demo.organization, "name": "Night shift"}});
        let patient = json!({"data": {"type": "patient", "attributes": {"last_name": "Framsden"},
            "relationships": {"groups": {"data": [{"type": "group", "meta": group}]}}}});
        let patient = client.post("/pub/patient", &patient).await.expect_status(201);
        let group = patient.body["data"]["relationships"]["groups"]["data"][0]["id"].clone();

        let expected = [
            entry(&app, &bulk, "create", &json!({"patient_health_metric": bulk.ids()})),
            entry(&app, &patient, "create", &json!({"group": [group]})),
            entry(&app, &patient, "create", &json!({"patient": [patient.id()]})),
        ];
        assert_eq!(trail(&app), expected);
    })
    .await;
}

#[actix_web::test]
async fn an_upsert_is_entered_as_what_it_was_and_a_deletion_with_what_is_gone() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let upsert = |note: &str| {
            json!({"meta": {"query": {"identifier": {"system": "MyEMR", "value": "a-1"}, "groups": [app.demo.group]}},
                "data": {"type": "patient", "attributes": {"note": note},
                    "relationships": {"groups": {"data": [{"type": "group", "id": app.demo.group}]}}}})
        };
        let made = client.put("/pub/patient", &upsert("first")).await.expect_status(200);
        let changed = client.put("/pub/patient", &upsert("second")).await.expect_status(200);
        let event = json!({"data": {"type": "calendar_event",
            "attributes": {"type": "reminder", "title": "Call", "start_at": "2026-03-05T08:00:00Z",
                "time_zone": "UTC", "attendees": [{"user": made.id()}]},
            "relationships": {"owner": {"data": {"type": "patient", "id": made.id()}}}}});
        let event = client.post("/pub/calendar_event", &event).await.expect_status(201);
        let path = format!("/pub/calendar_event/{}", event.id());
        let shown = client.get(&path).await.expect_status(200);
        let deleted = client.delete(&path).await.expect_status(200);

        let trail = trail(&app);
        let told: Vec<_> = trail.iter().map(|entry| (entry["action"].as_str().unwrap(), &entry["req_id"])).collect();
        let requests = [&made, &changed, &event, &deleted].map(|response| &response.body["meta"]["req_id"]);
        let expected: Vec<_> = ["create", "update", "create", "delete"].into_iter().zip(requests).collect();
        assert_eq!(told, expected);
        assert_eq!(trail[1]["old"]["attributes"]["note"], "first");
        assert_eq!(trail[1]["new"]["attributes"]["note"], "second");
        assert_eq!((&trail[3]["old"], trail[3].get("new")), (&shown.body["data"], None));
    })
    .await;
}

#[actix_web::test]
async fn a_response_is_entered_as_the_change_of_its_event() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let path = format!("/pub/calendar_event?filter[patient]={OSTRANDER}&page[size]=50");
        let events = client.get(&path).await.expect_status(200);
        let attended = |event: &&Value| event["attributes"]["attendees"][0].is_object();
        let before = events.body["data"].as_array().unwrap().iter().find(attended).expect("an event with attendees");
        let (id, attendee) = (before["id"].as_str().unwrap(), &before["attributes"]["attendees"][0]);
        let response = json!({"data": {"type": "calendar_event_response",
            "attributes": {"attendee": attendee["_id"], "response_status": "declined"},
            "relationships": {"user": {"data": {"type": "user", "id": attendee["user"]}},
                "calendar_event": {"data": {"type": "calendar_event", "id": id}}}}});
        let answered = client.post("/pub/calendar_event_response", &response).await.expect_status(201);
        let after = client.get(&format!("/pub/calendar_event/{id}")).await.expect_status(200);

        let trail = trail(&app);
        let [changed, created] = &*trail else { panic!("{trail:?}") };
        let mut expected = entry(&app, &answered, "update", &json!({"calendar_event": [id]}));
        expected["old"] = before.clone();
        expected["new"] = after.body["data"].clone();
        assert_eq!(changed, &expected);
        assert_ne!(changed["old"], changed["new"]);
        let response = json!({"calendar_event_response": [answered.id()]});
        assert_eq!(created, &entry(&app, &answered, "create", &response));
    })
    .await;
}

#[test]
fn what_the_answer_to_a_write_shows_beside_what_was_written_is_a_read() {
    for database in each() {
        let operator = Operator::of(&database);
        let mut server = Server::start(&operator, &["serve", "--bind", "127.0.0.1:0"]);
        let authorization = server.authorization();
        let patient = server.get(&format!("/pub/patient/{OSTRANDER}"), &authorization).json();
        let duplicate = json!({"meta": {"ignore_duplicates": true}, "data": {"type": "patient",
            "attributes": {"identifiers": patient["data"]["attributes"]["identifiers"]},
            "relationships": {"groups": patient["data"]["relationships"]["groups"]}}});
        let skipped = server.send("POST", "/pub/patient", &authorization, &duplicate).json();
        assert_eq!(skipped["data"]["id"], OSTRANDER, "{skipped}");
        let plan = json!({"data": {"type": "patient_plan_summary", "id": OSTRANDER}});
        let path = format!("/pub/patient_plan_summary/{OSTRANDER}?include=patient");
        let changed = server.send("PATCH", &path, &authorization, &plan).json();
        assert_eq!(changed["included"][0]["type"], "patient", "{changed}");
        server.signal("-TERM");
        assert_eq!(server.ended(), Some(0));

        for answer in [skipped, changed] {
            let request = answer["meta"]["req_id"].as_str().unwrap();
            let out = operator.run(&["audit", "--action", "read", "--request", request]).done();
            let read: Value = serde_json::from_str(&out).unwrap();
            assert_eq!(read["records"], json!({"patient": [OSTRANDER]}));
        }
    }
}

#[actix_web::test]
async fn reads_of_several_seconds_are_told_of_the_oldest_first() {
    on_each_database(async |app| {
        let (reads, now) = (Reads::default(), Instant::parse(NOW).unwrap().seconds());
        let organization = Id::parse(&app.demo.organization).unwrap();
        for second in now - 20..now {
            let at = Instant::from_milliseconds(second * 1000).unwrap();
            reads.note(organization, "a client", at, Uuid::new_v4(), &Records::of("patient", [OSTRANDER]));
        }
        reads.enter(&app.database.pool()).await;
        let told: Vec<_> = trail(&app).iter().map(|read| read["at"].as_str().unwrap().to_owned()).collect();
        assert_eq!(told.len(), 20);
        assert!(told.is_sorted(), "{told:?}");
    })
    .await;
}

#[test]
fn reads_are_entered_when_the_server_ends_at_the_latest() {
    for database in each() {
        let operator = Operator::of(&database);
        let mut server = Server::start(&operator, &["serve", "--bind", "127.0.0.1:0"]);
        let authorization = server.authorization();
        let fetched = server.get(&format!("/pub/patient/{OSTRANDER}"), &authorization).json();
        let results = format!("/pub/patient_plan_summary/{OSTRANDER}?include=patient");
        server.get(&results, &authorization);
        server.get("/pub/patient/ffffffffffffffffffffffff", &authorization);
        server.get(&format!("/pub/patient/{OSTRANDER}"), "");
        server.signal("-TERM");
        assert_eq!(server.ended(), Some(0));

        let audit = |arguments: &[&str]| -> Vec<Value> {
            let out = operator.run(&[&["audit", "--action", "read"], arguments].concat()).done();
            out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
        };
        let records: Vec<_> = audit(&[]).iter().map(|read| read["records"].clone()).collect();
        let plan = json!({"patient_plan_summary": [OSTRANDER], "patient": [OSTRANDER]});
        assert_eq!(records, [json!({"patient": [OSTRANDER]}), plan]);
        let request = fetched["meta"]["req_id"].as_str().unwrap();
        let [read] = &*audit(&["--request", request]) else { panic!("not one read of {request}") };
        assert_eq!((&read["req_id"], &read["records"]), (&fetched["meta"]["req_id"], &json!({"patient": [OSTRANDER]})));
        assert_eq!(audit(&["--record", OSTRANDER]).len(), 2);
        assert_eq!(audit(&["--record", "ffffffffffffffffffffffff"]).len(), 0);
        assert_eq!(audit(&["--since", "1960-01-01"]).len(), 2);
        assert_eq!(audit(&["--until", "2026-01-01"]).len(), 0);
        assert_eq!(audit(&["--client", "operator"]).len(), 0);
    }
}
