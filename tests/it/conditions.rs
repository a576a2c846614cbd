//! `ETag`, `If-None-Match` and `If-Match`: nothing is sent that a client has
//! already, and nobody's change is lost to another's.

use std::collections::BTreeMap;

use actix_web::http::Method;
use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::contract::samples;
use crate::people::{
    CASTELLANOS, DIABETES, ODWYER, OSTRANDER, UNKNOWN, change, count_patients, document, patient, places,
};
use crate::support::{Client, Response, on_each_database};

/// Fetches with these headers.
async fn fetch(client: &Client, path: &str, headers: &[(&str, &str)]) -> Response {
    client.send_with(Method::GET, path, headers, None).await
}

async fn tag_of(client: &Client, path: &str) -> String {
    client.get(path).await.expect_status(200).header("etag").to_owned()
}

fn path_of(patient: &str) -> String {
    format!("/pub/patient/{patient}")
}

/// Renames a patient, with these headers.
async fn rename(client: &Client, patient: &str, name: &str, headers: &[(&str, &str)]) -> Response {
    let body = change(patient, &json!({"last_name": name}));
    client.send_with(Method::PATCH, &path_of(patient), headers, Some(&body)).await
}

async fn name_of(client: &Client, patient: &str) -> Value {
    client.get(&path_of(patient)).await.expect_status(200).body["data"]["attributes"]["last_name"].take()
}

#[actix_web::test]
async fn every_answer_that_shows_one_resource_has_the_tag_that_fetching_it_has() {
    on_each_database(async |app| {
        let (client, samples) = samples(&app).await;
        let mut of_type: BTreeMap<String, usize> = BTreeMap::new();
        for sample in samples {
            let answer = sample.send(&client, &sample.uri()).await;
            let (name, tag) = (&sample.operation.id, answer.header("etag").to_owned());
            let shown = &answer.body["data"];
            let lasting = shown["links"]["self"].as_str().filter(|_| shown.is_object());
            let Some(itself) = lasting else {
                assert_eq!(tag, "", "{name}");
                continue;
            };
            *of_type.entry(shown["type"].to_string()).or_default() += 1;
            for path in [itself, itself] {
                let again = client.get(path).await.expect_status(200);
                assert_eq!((again.header("etag"), &again.body["data"]), (&*tag, shown), "{name}");
                assert_ne!(again.body["meta"], answer.body["meta"], "{name}");
            }
            if !sample.writes() {
                for method in [Method::GET, Method::HEAD] {
                    let request = client.request(method, &sample.uri()).insert_header(("If-None-Match", &*tag));
                    let not_modified = client.send(request).await.expect_status(304);
                    assert_eq!((not_modified.header("etag"), &*not_modified.text), (&*tag, ""), "{name}");
                    assert_ne!(not_modified.header("x-request-id"), "", "{name}");
                }
            }
        }
        assert_eq!(of_type.len(), 20, "{of_type:?}");
    })
    .await;
}

#[actix_web::test]
async fn a_tag_is_of_the_whole_resource_and_of_what_is_included() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let patient = path_of(OSTRANDER);
        let tag = tag_of(&client, &patient).await;
        assert_eq!(tag_of(&client, &format!("{patient}?fields[patient]=first_name")).await, tag);
        // What others see of it is their matter.
        assert_ne!(tag_of(&app.group().await, &patient).await, tag);

        let path = format!("/pub/patient_plan_summary/{OSTRANDER}");
        let plan = tag_of(&client, &path).await;
        let with_patient = tag_of(&client, &format!("{path}?include=patient")).await;
        assert!(with_patient.starts_with(&format!("{}.", plan.trim_end_matches('"'))), "{with_patient}");
        let cached = [("If-None-Match", &*with_patient)];
        fetch(&client, &format!("{path}?include=patient"), &cached).await.expect_status(304);
        fetch(&client, &path, &cached).await.expect_status(200);

        rename(&client, OSTRANDER, "Changed", &[]).await.expect_status(200);
        assert_ne!(tag_of(&client, &patient).await, tag);
        assert_ne!(tag_of(&client, &format!("{patient}?fields[patient]=first_name")).await, tag);
        assert_eq!(tag_of(&client, &path).await, plan);
        fetch(&client, &format!("{path}?include=patient"), &cached).await.expect_status(200);
    })
    .await;
}

#[actix_web::test]
async fn what_a_client_has_is_not_sent_again() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let path = path_of(OSTRANDER);
        let tag = tag_of(&client, &path).await;
        let other = tag_of(&client, &path_of(ODWYER)).await;
        let weak = format!("W/{tag}");
        let list = format!("{other}, , {weak} ,\"x,y\"");
        for (sent, status) in [(&*tag, 304), ("*", 304), (&weak, 304), (&list, 304), (&other, 200), ("\"\"", 200)] {
            fetch(&client, &path, &[("If-None-Match", sent)]).await.expect_status(status);
        }
        // Two lines are one list.
        fetch(&client, &path, &[("If-None-Match", &other), ("If-None-Match", &tag)]).await.expect_status(304);
        // If-Match is looked at first, and by the strong comparison.
        for (sent, status) in [(&*tag, 304), ("*", 304), (&weak, 412), (&list, 412), (&other, 412)] {
            fetch(&client, &path, &[("If-Match", sent), ("If-None-Match", &tag)]).await.expect_status(status);
        }
        fetch(&client, &path_of(UNKNOWN), &[("If-Match", "*")]).await.expect_status(404);
        fetch(&client, &path_of(UNKNOWN), &[("If-None-Match", "*")]).await.expect_status(404);

        rename(&client, OSTRANDER, "Changed", &[]).await.expect_status(200);
        fetch(&client, &path, &[("If-None-Match", &tag)]).await.expect_status(200);
        // Lists have no tags, and nothing is asked of them.
        let list = format!("/pub/group?filter[organization]={}", app.demo.organization);
        let answer = fetch(&client, &list, &[("If-None-Match", "*"), ("If-Match", "nonsense")]).await;
        assert_eq!(answer.expect_status(200).header("etag"), "");
    })
    .await;
}

#[actix_web::test]
async fn a_change_meets_the_resource_that_the_client_saw_or_none() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let path = path_of(OSTRANDER);
        let seen = client.get(&path).await.expect_status(200);
        let seen = seen.header("etag");
        let first = rename(&client, OSTRANDER, "First", &[("If-Match", seen)]).await.expect_status(200);

        let late = rename(&client, OSTRANDER, "Late", &[("If-Match", seen)]).await.expect_status(412);
        assert_eq!(places(&late), ["412 - -"]);
        assert!(late.errors().contains("Fetch it again"), "{}", late.errors());
        assert_eq!(name_of(&client, OSTRANDER).await, "First");
        let fresh = tag_of(&client, &path).await;
        assert_eq!(fresh, first.header("etag"));
        rename(&client, OSTRANDER, "Late", &[("If-Match", &fresh)]).await.expect_status(200);

        // From whatever answer that showed it alone, and among others.
        let sparse = tag_of(&client, &format!("{path}?fields[patient]=first_name")).await;
        let list = format!("{seen}, {sparse}");
        rename(&client, OSTRANDER, "Listed", &[("If-Match", &list)]).await.expect_status(200);
        let plan = format!("/pub/patient_plan_summary/{OSTRANDER}");
        let included = tag_of(&client, &format!("{plan}?include=actions,patient")).await;
        let body =
            document(&json!({"type": "patient_plan_summary", "id": OSTRANDER, "attributes": {"time_zone": "UTC"}}));
        client.send_with(Method::PATCH, &plan, &[("If-Match", &included)], Some(&body)).await.expect_status(200);

        let now = tag_of(&client, &path).await;
        rename(&client, OSTRANDER, "Weak", &[("If-Match", &format!("W/{now}"))]).await.expect_status(412);
        rename(&client, OSTRANDER, "None", &[("If-None-Match", &now)]).await.expect_status(412);
        rename(&client, OSTRANDER, "None", &[("If-None-Match", "*")]).await.expect_status(412);
        rename(&client, OSTRANDER, "Other", &[("If-None-Match", seen), ("If-Match", "*")]).await.expect_status(200);
        rename(&client, UNKNOWN, "Nobody", &[("If-Match", "*")]).await.expect_status(404);
        // What it may not see does not exist, whatever it wants it to be.
        let stranger = app.stranger().await;
        rename(&stranger, OSTRANDER, "Stolen", &[("If-Match", "*")]).await.expect_status(404);
        // A restricted client goes by what it sees.
        let restricted = app.group().await;
        let seen = tag_of(&restricted, &path).await;
        rename(&restricted, OSTRANDER, "Restricted", &[("If-Match", &seen)]).await.expect_status(200);
        rename(&restricted, OSTRANDER, "Restricted", &[("If-Match", &seen)]).await.expect_status(412);
    })
    .await;
}

#[actix_web::test]
async fn of_many_who_change_what_they_saw_one_wins_and_none_is_lost() {
    const CLIENTS: usize = 8;
    on_each_database(async |app| {
        let client = app.organization().await;
        let tag = tag_of(&client, &path_of(OSTRANDER)).await;
        let names: Vec<_> = (0..CLIENTS).map(|number| format!("Number {number}")).collect();
        let conditions = [("If-Match", &*tag)];
        let answers = join_all(names.iter().map(|name| rename(&client, OSTRANDER, name, &conditions))).await;
        let won: Vec<_> = names.iter().zip(&answers).filter(|(_, answer)| answer.status == 200).collect();
        assert_eq!(answers.iter().filter(|answer| answer.status == 412).count(), CLIENTS - 1);
        assert_eq!((won.len(), name_of(&client, OSTRANDER).await), (1, json!(won[0].0)));

        // Each adds its letter to what it has seen, and looks again when it comes too late.
        let letters = ["a", "b", "c", "d", "e", "f"];
        let add = async |letter: &str| {
            for attempt in 1.. {
                let seen = client.get(&path_of(OSTRANDER)).await.expect_status(200);
                let name = format!("{}{letter}", seen.body["data"]["attributes"]["last_name"].as_str().unwrap());
                let answer = rename(&client, OSTRANDER, &name, &[("If-Match", seen.header("etag"))]).await;
                if answer.status == 200 {
                    return attempt;
                }
                answer.expect_status(412);
            }
            0
        };
        let attempts: Vec<usize> = join_all(letters.iter().map(|letter| add(letter))).await;
        let name = name_of(&client, OSTRANDER).await;
        let name = name.as_str().unwrap().strip_prefix(won[0].0.as_str()).unwrap();
        assert!(letters.iter().all(|letter| name.contains(letter)) && name.len() == letters.len(), "{name}");
        assert!(attempts.iter().any(|attempts| *attempts > 1), "nobody came too late");
    })
    .await;
}

#[actix_web::test]
async fn an_event_is_deleted_as_it_was_seen() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let event = json!({"type": "calendar_event",
            "attributes": {"type": "reminder", "title": "Call", "start_at": "2026-03-05T15:00:00Z",
                "attendees": [{"user": CASTELLANOS}]},
            "relationships": {"owner": {"data": {"type": "patient", "id": OSTRANDER}}}});
        let created = client.post("/pub/calendar_event", &document(&event)).await.expect_status(201);
        let (seen, path) = (created.header("etag"), format!("/pub/calendar_event/{}", created.id()));
        // Somebody answers the invitation.
        let response = json!({"type": "calendar_event_response",
            "attributes": {"attendee": CASTELLANOS, "response_status": "accepted"},
            "relationships": {"calendar_event": {"data": {"type": "calendar_event", "id": created.id()}},
                "user": {"data": {"type": "coach", "id": CASTELLANOS}}}});
        client.post("/pub/calendar_event_response", &document(&response)).await.expect_status(201);

        let delete = async |tag: &str| client.send_with(Method::DELETE, &path, &[("If-Match", tag)], None).await;
        delete(seen).await.expect_status(412);
        let seen = tag_of(&client, &path).await;
        assert_eq!(delete(&seen).await.expect_status(200).header("etag"), "");
        delete(&seen).await.expect_status(404);
        delete("*").await.expect_status(404);
    })
    .await;
}

#[actix_web::test]
async fn an_upsert_can_be_told_to_create_or_to_update_only() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let put = async |name: &str, group: &str, headers: &[(&str, &str)]| {
            let body = json!({
                "data": patient(&json!({"first_name": name})),
                "meta": {"query": {"identifier": {"system": "emr", "value": "upsert-1"}, "groups": [group]}},
            });
            client.send_with(Method::PUT, "/pub/patient", headers, Some(&body)).await
        };
        let before = count_patients(&app).await;
        put("Nobody", DIABETES, &[("If-Match", "*")]).await.expect_status(412);
        put("Nobody", DIABETES, &[("If-Match", "\"seen\"")]).await.expect_status(412);
        assert_eq!(count_patients(&app).await, before);

        let created = put("Ann", DIABETES, &[("If-None-Match", "*")]).await.expect_status(200);
        put("Other", DIABETES, &[("If-None-Match", "*")]).await.expect_status(412);
        let updated = put("Bea", DIABETES, &[("If-Match", created.header("etag"))]).await.expect_status(200);
        assert_eq!(updated.id(), created.id());
        put("Late", DIABETES, &[("If-Match", created.header("etag"))]).await.expect_status(412);
        put("Cleo", DIABETES, &[("If-Match", "*")]).await.expect_status(200);
        assert_eq!(count_patients(&app).await, before + 1);
        let shown = client.get(&path_of(&created.id())).await.expect_status(200);
        assert_eq!(shown.body["data"]["attributes"]["first_name"], "Cleo");
        // What may not be asked at all is no question of states.
        put("Nobody", UNKNOWN, &[("If-Match", "*")]).await.expect_status(403);
        // Without a condition all is as ever.
        put("Dora", DIABETES, &[]).await.expect_status(200);
    })
    .await;
}

#[actix_web::test]
async fn a_change_is_refused_for_what_is_no_list_of_tags_after_the_token_was_looked_at() {
    on_each_database(async |app| {
        let client = app.organization().await;
        let tag = tag_of(&client, &path_of(OSTRANDER)).await;
        let bare = tag.trim_matches('"');
        let joined = format!("{tag} {tag}");
        let any_and_more = format!("*, {tag}");
        for malformed in [bare, "", "\"open", &joined, &any_and_more, "W/", "\"ä\" x"] {
            for header in ["If-Match", "If-None-Match"] {
                let answer = rename(&client, OSTRANDER, "Renamed", &[(header, malformed)]).await.expect_status(400);
                assert_eq!(places(&answer), ["400 InvalidParameter -"], "{malformed}");
                assert!(answer.errors().contains(header), "{}", answer.errors());
                // What only reads was never told so.
                fetch(&client, &path_of(OSTRANDER), &[(header, malformed)]).await.expect_status(200);
                fetch(&app.anonymous(), &path_of(OSTRANDER), &[(header, malformed)]).await.expect_status(401);
            }
        }
        assert_ne!(name_of(&client, OSTRANDER).await, "Renamed");
    })
    .await;
}
